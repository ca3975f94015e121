"""Which components cause a behaviour: activation, attribution and relevance patching.

A component ``n`` (the residual stream, an attention or MLP output, a head, a neuron, at one layer
and position) is judged by what happens to a metric ``L`` when its activation in the base run is
replaced by that of the source run::

    activation patching    L(M(x | do(n <- n')))  -  L(M(x))         one run for every component
    attribution patching   (n' - n) . dL/dn                          two forward, one backward pass
    relevance patching     (n' - n) . rho(n)                         two forward, one backward pass

with ``rho = R / n`` the propagation coefficient of layer-wise relevance propagation. Denoising
patches the clean run into the corrupted one, noising the other way round.

Paper: Rezaei Jafari et al., arXiv 2508.21258, section 3. Attribution patching: Nanda 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from axonal.activations.recording import record
from axonal.activations.site import Site
from axonal.activations.sites import Sites
from axonal.errors import InputError, nearest
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance.baselines import Baselines, measure_baselines
from axonal.language.relevance.continuation import BaseRun, Patch
from axonal.language.relevance.metric import LogitDifference, Metric, Readout
from axonal.language.relevance.rules import Rules, hf_model, propagation_rules

if TYPE_CHECKING:
    import xarray as xr

Direction = Literal["denoising", "noising"]
Kind = Literal["residual_pre", "attention", "mlp", "heads", "neurons"]

DEFAULT_KINDS: tuple[Kind, ...] = ("residual_pre", "attention", "mlp")
_UNIT = {"heads": "head", "neurons": "neuron"}

Progress = Callable[[int], object]
"""Called with the number of components that were just done."""


@dataclass(frozen=True)
class Problem:
    """A model, prompt pairs and a metric, checked and resolved, as every method needs them.

    Parameters
    ----------
    base, source
        The run that is explained and the run that activations are taken from, token ids
        ``(pairs, positions)``.
    scale
        What differences of the metric are divided by: clean minus corrupted, averaged over pairs.
    """

    model: nn.Module
    sites: Sites
    readout: Readout
    pairs: PromptPairs
    metric: Metric
    base: Tensor
    source: Tensor
    baselines: Baselines
    scale: float
    layers: tuple[int, ...]
    kinds: tuple[Kind, ...]
    direction: Direction

    def site(self, kind: Kind, layer: int) -> Site:
        """Return where a kind of component lies in a layer, without the view as heads."""
        site: Site = getattr(self.sites, kind)(layer)
        return Site(site.path, site.side)

    @property
    def everywhere(self) -> list[tuple[Kind, int, Site]]:
        """Every kind at every layer."""
        return [
            (kind, layer, self.site(kind, layer)) for kind in self.kinds for layer in self.layers
        ]

    def value(self, final: Tensor, rows: Tensor, *, identity: bool = False) -> Tensor:
        """Return the metric of some pairs from their last block's output ``(rows, width)``."""
        pairs = self.pairs[rows]
        return self.metric.value(
            self.readout(final, self.metric.columns(pairs), identity=identity), pairs
        )


def activation_patching(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    *,
    kinds: Sequence[Kind] = DEFAULT_KINDS,
    layers: Sequence[int] | None = None,
    metric: Metric | None = None,
    direction: Direction = "denoising",
    copies: int = 256,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Patch every component for real, and measure.

    Positions before a pair's first difference hold the same activations in both runs and score
    zero without being run.

    Parameters
    ----------
    model
        A causal language model of a supported family.
    pairs
        Clean and corrupted prompts.
    kinds
        Of component: ``residual_pre`` (the stream into a block), ``attention`` and ``mlp`` (what
        they add to it), ``heads``, ``neurons``.
    layers
        Default: all.
    metric
        Default: the logit difference of answer and distractor.
    direction
        ``"denoising"`` patches clean activations into the corrupted run, ``"noising"`` corrupted
        ones into the clean run.
    copies
        Patched copies that are run at once; bounds memory.
    progress
        Told how many pairs are done.

    Returns
    -------
    xr.Dataset
        One array a kind, with dimensions ``pair, layer, position`` (and ``head`` or ``neuron``), in
        units of the clean-minus-corrupted metric: 1 restores the clean run.
    """
    problem = prepare(model, pairs, kinds, layers, metric, direction)
    values: dict[Kind, list[np.ndarray]] = {kind: [] for kind in problem.kinds}
    for row in range(len(pairs)):
        patched = _patch_one_pair(problem, row, copies)
        for kind in problem.kinds:
            values[kind].append(patched[kind])
        if progress is not None:
            progress(1)
    arrays = {kind: np.stack(value) for kind, value in values.items()}
    return scores(arrays, problem, "activation patching")


def attribution_patching(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    *,
    kinds: Sequence[Kind] = DEFAULT_KINDS,
    layers: Sequence[int] | None = None,
    metric: Metric | None = None,
    direction: Direction = "denoising",
    batch: int = 32,
) -> xr.Dataset:
    """Estimate activation patching by the gradient; see `relevance_patching` for parameters."""
    return relevance_patching(
        model,
        pairs,
        rules="none",
        kinds=kinds,
        layers=layers,
        metric=metric,
        direction=direction,
        batch=batch,
    )


def relevance_patching(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    *,
    rules: Rules | str = "relp",
    kinds: Sequence[Kind] = DEFAULT_KINDS,
    layers: Sequence[int] | None = None,
    metric: Metric | None = None,
    direction: Direction = "denoising",
    batch: int = 32,
) -> xr.Dataset:
    """Estimate activation patching by relevance: ``(n_source - n_base) . rho(n_base)``.

    Parameters
    ----------
    model, pairs, kinds, layers, metric, direction
        As in `activation_patching`.
    rules
        Propagation rules: a preset (``"relp"``), single rules (``"ln+half"``) or `Rules`.
    batch
        Pairs that are run at once; bounds memory.

    Returns
    -------
    xr.Dataset
        As `activation_patching` returns it.
    """
    rules = Rules.named(rules) if isinstance(rules, str) else rules
    problem = prepare(model, pairs, kinds, layers, metric, direction)
    parts: dict[Kind, list[np.ndarray]] = {kind: [] for kind in problem.kinds}
    for rows in torch.arange(len(pairs)).split(batch):
        source = activations(problem, problem.source[rows])
        base, rho = coefficients(problem, rows, rules)
        for kind in problem.kinds:
            per_layer = [
                contract(problem, kind, source[site] - base[site], rho[site])
                for site in (problem.site(kind, layer) for layer in problem.layers)
            ]
            parts[kind].append(torch.stack(per_layer, dim=1).cpu().numpy() / problem.scale)
    method = "attribution patching" if rules == Rules() else "relevance patching"
    arrays = {kind: np.concatenate(value) for kind, value in parts.items()}
    return scores(arrays, problem, method)


def prepare(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    kinds: Sequence[Kind],
    layers: Sequence[int] | None,
    metric: Metric | None,
    direction: Direction,
) -> Problem:
    """Check what the user passed and resolve it against the model."""
    module = hf_model(model)
    sites = Sites.of(module)
    for kind in kinds:
        if kind not in (*DEFAULT_KINDS, *_UNIT):
            raise InputError(
                f"There is no kind of component {kind!r}; {nearest(kind, [*DEFAULT_KINDS, *_UNIT])}"
            )
    if not kinds:
        raise InputError("kinds is empty: name at least one kind of component.")
    if direction not in ("denoising", "noising"):
        raise InputError(f"direction must be 'denoising' or 'noising'; got {direction!r}.")
    chosen = tuple(range(sites.blocks) if layers is None else layers)
    if not chosen or not all(0 <= layer < sites.blocks for layer in chosen):
        raise InputError(f"layers must lie in 0 to {sites.blocks - 1}; got {list(chosen)}.")
    network: Any = module
    pairs = pairs.to(network.get_input_embeddings().weight.device)
    metric = LogitDifference() if metric is None else metric
    readout = Readout.of(module)
    baselines = measure_baselines(module, readout, pairs, metric)
    denoising = direction == "denoising"
    return Problem(
        model=module,
        sites=sites,
        readout=readout,
        pairs=pairs,
        metric=metric,
        base=pairs.corrupt if denoising else pairs.clean,
        source=pairs.clean if denoising else pairs.corrupt,
        baselines=baselines,
        scale=baselines.scale(),
        layers=chosen,
        kinds=tuple(kinds),
        direction=direction,
    )


def activations(problem: Problem, ids: Tensor) -> dict[Site, Tensor]:
    """Record every component of a run, ``(rows, positions, width)`` a site."""
    sites = [site for _, _, site in problem.everywhere]
    return record(problem.model, {"input_ids": ids, "use_cache": False}, sites)


def coefficients(
    problem: Problem, rows: Tensor, rules: Rules, embeddings: Tensor | None = None
) -> tuple[dict[Site, Tensor], dict[Site, Tensor]]:
    """Return the base run's activations and their propagation coefficients under the rules.

    Parameters
    ----------
    problem
        What is asked.
    rows
        Which pairs.
    rules
        Propagation rules; none of them gives gradients.
    embeddings
        Run these in the place of the base prompts, ``(rows, positions, width)``.
    """
    sites = [site for _, _, site in problem.everywhere]
    last = problem.sites.residual(problem.sites.blocks - 1)
    inputs = (
        {"input_ids": problem.base[rows]} if embeddings is None else {"inputs_embeds": embeddings}
    )
    ruled: AbstractContextManager[object] = (
        nullcontext() if rules == Rules() else propagation_rules(problem.model, rules)
    )
    with ruled:
        cache = record(
            problem.model, {**inputs, "use_cache": False}, [*sites, last], gradients=True
        )
        final = cache[last][torch.arange(len(rows)), problem.pairs.last[rows]]
        with torch.enable_grad():
            value = problem.value(final, rows, identity=rules.activations)
        # Components that lie behind every path to the metric, as the last MLP at earlier
        # positions, are in the graph and get zeros.
        gradients = torch.autograd.grad(value.sum(), [cache[site] for site in sites])
    base = {site: cache[site].detach() for site in sites}
    return base, dict(zip(sites, gradients, strict=True))


def contract(problem: Problem, kind: Kind, change: Tensor, rho: Tensor) -> Tensor:
    """Sum ``change * rho`` over the units of each component, at float32 or better."""
    product = change.to(torch.promote_types(change.dtype, torch.float32)) * rho
    if kind == "neurons":
        return product
    if kind == "heads":
        return product.unflatten(-1, (problem.sites.heads_per_block, -1)).sum(-1)
    return product.sum(-1)


def _patch_one_pair(problem: Problem, row: int, copies: int) -> dict[Kind, np.ndarray]:
    """Patch every component of one pair; ``(layers, positions, ...)`` a kind."""
    length = int(problem.pairs.lengths[row])
    ids = problem.base[row, :length]
    run = BaseRun(problem.model, ids)
    source = activations(problem, problem.source[row : row + 1, :length])
    index = torch.tensor([row])
    with torch.no_grad():
        unpatched = problem.value(run.residual[-1][-1:], index)
    results: dict[Kind, np.ndarray] = {}
    components: list[tuple[Kind, int, Site, int, int]] = []
    for kind in problem.kinds:
        for place, layer in enumerate(problem.layers):
            site = problem.site(kind, layer)
            units = source[site].shape[-1]
            count = 1
            if kind in _UNIT:
                count = problem.sites.heads_per_block if kind == "heads" else units
            components.extend((kind, place, site, i, units // count) for i in range(count))
            if kind not in results:
                shape = (len(problem.layers), problem.pairs.clean.shape[1], count)
                results[kind] = np.zeros(shape)
    for position in range(int(problem.pairs.first_difference[row]), length):
        for start in range(0, len(components), copies):
            chunk = components[start : start + copies]
            patches = [
                Patch(
                    layer=problem.layers[place],
                    site=None if kind == "residual_pre" else site,
                    value=source[site][0, position : position + 1, i * width : (i + 1) * width],
                    first_unit=i * width,
                )
                for kind, place, site, i, width in chunk
            ]
            with torch.no_grad():
                final = run.final_states(position, patches)
                patched = problem.value(final, index.expand(len(chunk)))
            change = ((patched - unpatched) / problem.scale).cpu().numpy()
            for (kind, place, _, i, _), score in zip(chunk, change, strict=True):
                results[kind][place, position, i] = score
    return {kind: value if kind in _UNIT else value[..., 0] for kind, value in results.items()}


def scores(values: Mapping[str, np.ndarray], problem: Problem, method: str) -> xr.Dataset:
    """Name the axes of scores; positions behind a pair's end hold NaN."""
    import xarray as xr

    pairs = problem.pairs
    columns = np.arange(pairs.clean.shape[1])
    real = columns < pairs.lengths.cpu().numpy()[:, None]
    arrays = {}
    for kind, value in values.items():
        dims = ["pair", "layer", "position"]
        if kind in _UNIT:
            dims.append(_UNIT[kind])
        mask = real[:, None, :, None] if kind in _UNIT else real[:, None, :]
        arrays[kind] = (dims, np.where(mask, value, np.nan))
    coordinates = {
        "layer": list(problem.layers),
        "position": columns,
        "token": ("position", list(pairs.tokens)),
    }
    attributes = {
        "method": method,
        "direction": problem.direction,
        "metric": type(problem.metric).__name__,
        "scale": problem.scale,
    }
    return xr.Dataset(arrays, coords=coordinates, attrs=attributes)

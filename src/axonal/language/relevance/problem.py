"""What patching asks of a model: the runs, the components, the metric, and its unit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
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
from axonal.language.relevance.metric import LogitDifference, Metric, Readout
from axonal.language.relevance.rules import Rules, hf_model, propagation_rules

if TYPE_CHECKING:
    import xarray as xr

Direction = Literal["denoising", "noising"]
Kind = Literal["residual_pre", "attention", "mlp", "heads", "neurons"]

DEFAULT_KINDS: tuple[Kind, ...] = ("residual_pre", "attention", "mlp")
UNIT_DIMENSION = {"heads": "head", "neurons": "neuron"}

Progress = Callable[[int], object]
"""Called with the number of prompt pairs that were just done."""


@dataclass(frozen=True)
class Problem:
    """A model, prompt pairs and a metric, checked and resolved, as every method needs them.

    Parameters
    ----------
    model, sites, readout
        The model, the names of its sites, and the way from its last block to logits.
    pairs, metric
        The prompts, and what is measured of each.
    base, source
        The run that is explained and the run that activations are taken from, token ids
        ``(pairs, positions)``.
    layers, kinds
        Which components are asked for.
    direction
        Denoising: the corrupted run is the base, the clean run the source.
    """

    model: nn.Module
    sites: Sites
    readout: Readout
    pairs: PromptPairs
    metric: Metric
    base: Tensor
    source: Tensor
    layers: tuple[int, ...]
    kinds: tuple[Kind, ...]
    direction: Direction

    def site(self, kind: Kind, layer: int) -> Site:
        """Return where a kind of component lies in a layer, without the view as heads."""
        site: Site = getattr(self.sites, kind)(layer)
        return Site(site.path, site.side)

    @property
    def components(self) -> list[Site]:
        """The sites of every kind at every layer."""
        return [self.site(kind, layer) for kind in self.kinds for layer in self.layers]

    @property
    def last(self) -> Site:
        """What the last block returns."""
        return self.sites.residual(self.sites.blocks - 1)

    def at_end(self, states: Tensor, rows: Tensor) -> Tensor:
        """Take the last real position of each pair out of ``(rows, positions, width)``."""
        return states[torch.arange(len(rows)), self.pairs.last[rows]]

    def value(self, final: Tensor, rows: Tensor, *, identity: bool = False) -> Tensor:
        """Return the metric of some pairs from their last block's output ``(rows, width)``."""
        pairs = self.pairs[rows]
        return self.metric.value(
            self.readout(final, self.metric.columns(pairs), identity=identity), pairs
        )


@dataclass(frozen=True)
class Baselines:
    """The metric of the unpatched runs, ``(pairs,)`` each."""

    clean: Tensor
    corrupt: Tensor

    @classmethod
    def of_runs(cls, problem: Problem, runs: Sequence[tuple[Tensor, Tensor]]) -> Baselines:
        """Gather the metrics of base and source runs, batch after batch."""
        base, source = (torch.cat(values) for values in zip(*runs, strict=True))
        return cls(source, base) if problem.direction == "denoising" else cls(base, source)

    def unit(self, problem: Problem) -> float:
        """Return clean minus corrupted, averaged over pairs; warn where the model fails the task."""
        unit = (self.clean.mean() - self.corrupt.mean()).item()
        if not abs(unit) > 1e-6 * (1 + self.clean.abs().mean().item()):
            raise InputError(
                f"The metric is {self.clean.mean().item():.6g} on the clean prompts and the same "
                "on the corrupted ones, so scores have no unit: the two prompts must change the "
                "answer."
            )
        if isinstance(problem.metric, LogitDifference) and self.clean.mean() <= 0:
            values = ", ".join(f"{value:.2f}" for value in self.clean.tolist())
            warnings.warn(
                f"The model fails this task: its logit difference on the clean prompts is {values}, "
                "so scores explain a behaviour that it doesn't have.",
                stacklevel=3,
            )
        return unit


def measure_baselines(problem: Problem) -> Baselines:
    """Run both prompts of every pair once."""
    every = torch.arange(len(problem.pairs))
    _, base = activations(problem, problem.base, every, [])
    _, source = activations(problem, problem.source, every, [])
    return Baselines.of_runs(problem, [(base, source)])


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
        if kind not in (*DEFAULT_KINDS, *UNIT_DIMENSION):
            raise InputError(
                f"There is no kind of component {kind!r}; {nearest(kind, [*DEFAULT_KINDS, *UNIT_DIMENSION])}"
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
    denoising = direction == "denoising"
    return Problem(
        model=module,
        sites=sites,
        readout=Readout.of(module),
        pairs=pairs,
        metric=metric,
        base=pairs.corrupt if denoising else pairs.clean,
        source=pairs.clean if denoising else pairs.corrupt,
        layers=chosen,
        kinds=tuple(kinds),
        direction=direction,
    )


def activations(
    problem: Problem, ids: Tensor, rows: Tensor, sites: Sequence[Site]
) -> tuple[dict[Site, Tensor], Tensor]:
    """Run some prompts of ``ids`` and return what flows at the sites, and the metric.

    Returns
    -------
    states
        ``(rows, positions, width)`` a site.
    value
        ``(rows,)``.
    """
    inputs = {"input_ids": ids[rows], "use_cache": False}
    states = record(problem.model, inputs, [*sites, problem.last])
    with torch.no_grad():
        value = problem.value(problem.at_end(states[problem.last], rows), rows)
    return states, value


def coefficients(
    problem: Problem,
    rows: Tensor,
    rules: Rules,
    sites: Sequence[Site],
    *,
    embeddings: Tensor | None = None,
) -> tuple[dict[Site, Tensor], dict[Site, Tensor], Tensor]:
    """Run some base prompts forward, and their metric backward under the rules.

    Parameters
    ----------
    problem
        What is asked.
    rows
        Which pairs.
    rules
        Propagation rules; none of them gives gradients.
    sites
        Where the coefficients are wanted.
    embeddings
        Run these in the place of the base prompts, ``(rows, positions, width)``.

    Returns
    -------
    states, rho
        Activations and their propagation coefficients, ``(rows, positions, width)`` a site.
    value
        The metric, ``(rows,)``.
    """
    inputs = (
        {"input_ids": problem.base[rows]} if embeddings is None else {"inputs_embeds": embeddings}
    )
    with propagation_rules(problem.model, rules):
        states = record(
            problem.model, {**inputs, "use_cache": False}, [*sites, problem.last], gradients=True
        )
        with torch.enable_grad():
            final = problem.at_end(states[problem.last], rows)
            value = problem.value(final, rows, identity=rules.activations)
        rho = torch.autograd.grad(value.sum(), [states[site] for site in sites])
    base = {site: states[site].detach() for site in sites}
    return base, dict(zip(sites, rho, strict=True)), value.detach()


def contract(problem: Problem, kind: Kind, change: Tensor, rho: Tensor) -> Tensor:
    """Sum ``change * rho`` over the units of each component, at float32 or better."""
    product = wide(change) * wide(rho)
    if kind == "neurons":
        return product
    if kind == "heads":
        return product.unflatten(-1, (problem.sites.heads_per_block, -1)).sum(-1)
    return product.sum(-1)


def wide(x: Tensor) -> Tensor:
    """Return a tensor at float32 or better: sums need it, and NumPy has no bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def scores(
    values: Mapping[str, np.ndarray], problem: Problem, unit: float, method: str
) -> xr.Dataset:
    """Divide by the unit and name the axes; positions behind a pair's end hold NaN."""
    import xarray as xr

    pairs = problem.pairs
    columns = np.arange(pairs.clean.shape[1])
    real = columns < pairs.lengths.cpu().numpy()[:, None]
    arrays = {}
    for kind, value in values.items():
        dims = ["pair", "layer", "position"]
        if kind in UNIT_DIMENSION:
            dims.append(UNIT_DIMENSION[kind])
        mask = real[:, None, :, None] if kind in UNIT_DIMENSION else real[:, None, :]
        arrays[kind] = (dims, np.where(mask, value / unit, np.nan))
    coordinates = {
        "layer": list(problem.layers),
        "position": columns,
        "token": ("position", list(pairs.tokens)),
    }
    attributes = {
        "method": method,
        "direction": problem.direction,
        "metric": type(problem.metric).__name__,
        "unit": unit,
    }
    return xr.Dataset(arrays, coords=coordinates, attrs=attributes)

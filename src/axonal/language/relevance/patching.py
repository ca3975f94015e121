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

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from axonal.activations.site import Site
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance.continuation import BaseRun, Patch
from axonal.language.relevance.metric import Metric
from axonal.language.relevance.problem import (
    DEFAULT_KINDS,
    UNIT_DIMENSION,
    Baselines,
    Direction,
    Kind,
    Problem,
    Progress,
    activations,
    coefficients,
    contract,
    measure_baselines,
    prepare,
    scores,
    wide,
)
from axonal.language.relevance.rules import Rules, check_differentiable, hf_model

if TYPE_CHECKING:
    import xarray as xr


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
    unit = measure_baselines(problem).unit(problem)
    values: dict[Kind, list[np.ndarray]] = {kind: [] for kind in problem.kinds}
    for row in range(len(pairs)):
        patched = _patch_one_pair(problem, row, copies)
        for kind in problem.kinds:
            values[kind].append(patched[kind])
        if progress is not None:
            progress(1)
    arrays = {kind: np.stack(value) for kind, value in values.items()}
    return scores(arrays, problem, unit, "activation patching")


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
    check_differentiable(hf_model(model))
    problem = prepare(model, pairs, kinds, layers, metric, direction)
    sites = problem.components
    method = "attribution patching" if rules == Rules() else "relevance patching"
    return estimate(problem, lambda rows: coefficients(problem, rows, rules, sites), batch, method)


Propagate = Callable[[Tensor], tuple[dict[Site, Tensor], dict[Site, Tensor], Tensor]]
"""From rows to base activations, coefficients and metric, as `coefficients` returns them."""


def estimate(problem: Problem, propagate: Propagate, batch: int, method: str) -> xr.Dataset:
    """Score every component by ``(n_source - n_base) . rho(n_base)``, batch by batch."""
    parts: dict[Kind, list[np.ndarray]] = {kind: [] for kind in problem.kinds}
    ends: list[tuple[Tensor, Tensor]] = []
    for rows in torch.arange(len(problem.pairs)).split(batch):
        source, source_value = activations(problem, problem.source, rows, problem.components)
        base, rho, base_value = propagate(rows)
        ends.append((base_value, source_value))
        for kind in problem.kinds:
            per_layer = [
                contract(problem, kind, source[site] - base[site], rho[site])
                for site in (problem.site(kind, layer) for layer in problem.layers)
            ]
            parts[kind].append(torch.stack(per_layer, dim=1).cpu().numpy())
    unit = Baselines.of_runs(problem, ends).unit(problem)
    arrays = {kind: np.concatenate(value) for kind, value in parts.items()}
    return scores(arrays, problem, unit, method)


def _patch_one_pair(problem: Problem, row: int, copies: int) -> dict[Kind, np.ndarray]:
    """Patch every component of one pair; ``(layers, positions, ...)`` a kind."""
    length = int(problem.pairs.lengths[row])
    index = torch.tensor([row])
    run = BaseRun(problem.model, problem.base[row, :length])
    source, _ = activations(problem, problem.source, index, problem.components)
    with torch.no_grad():
        unpatched = problem.value(run.residual[-1][-1:], index)
    results: dict[Kind, np.ndarray] = {}
    components: list[tuple[Kind, int, Site, int, int]] = []
    for kind in problem.kinds:
        for place, layer in enumerate(problem.layers):
            site = problem.site(kind, layer)
            units = source[site].shape[-1]
            count = 1
            if kind in UNIT_DIMENSION:
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
            change = wide(patched - unpatched).cpu().numpy()
            for (kind, place, _, i, _), score in zip(chunk, change, strict=True):
                results[kind][place, position, i] = score
    return {
        kind: value if kind in UNIT_DIMENSION else value[..., 0] for kind, value in results.items()
    }

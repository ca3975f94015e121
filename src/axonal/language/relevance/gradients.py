"""Integrated gradients as estimates of activation patching: of each node, and of the input.

The gradient is averaged on the straight path from the base activation to the source's::

    (n' - n) . sum_k w_k dL/dn   at   n + alpha_k (n' - n)

*Per node* the path is walked at one component while the rest of the run is the base run's (Marks et
al. 2024, sparse feature circuits): with enough nodes of a Gauss-Legendre rule and one position at a
time it equals activation patching exactly. It costs ``steps`` passes for every layer. *Of the input*
the token embeddings walk, and every component's gradient is averaged along the way (Hanna et al.
2024, EAP-IG): ``steps`` passes in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from axonal.activations.site import Site
from axonal.errors import InputError, nearest
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance.continuation import BaseRun, Patch
from axonal.language.relevance.metric import Metric
from axonal.language.relevance.patching import estimate
from axonal.language.relevance.problem import (
    DEFAULT_KINDS,
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
)
from axonal.language.relevance.rules import Rules, check_differentiable, hf_model

if TYPE_CHECKING:
    import xarray as xr

Rule = Literal["midpoint", "left", "right", "gauss-legendre"]


def integrated_gradients(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    *,
    steps: int = 10,
    rule: Rule = "midpoint",
    path: Literal["layer", "position"] = "layer",
    kinds: Sequence[Kind] = DEFAULT_KINDS,
    layers: Sequence[int] | None = None,
    metric: Metric | None = None,
    direction: Direction = "denoising",
    copies: int = 128,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Estimate activation patching by integrated gradients of each component.

    Parameters
    ----------
    model, pairs, kinds, layers, metric, direction, copies, progress
        As in `activation_patching`.
    steps
        Points of the path.
    rule
        Of quadrature: `quadrature`.
    path
        ``"layer"`` walks all positions of a layer's component at once (sparse feature circuits),
        ``"position"`` one position at a time, at as many times the cost.

    Returns
    -------
    xr.Dataset
        As `activation_patching` returns it.
    """
    if path not in ("layer", "position"):
        raise InputError(f"path must be 'layer' or 'position'; got {path!r}.")
    check_differentiable(hf_model(model))
    problem = prepare(model, pairs, kinds, layers, metric, direction)
    unit = measure_baselines(problem).unit(problem)
    alphas, weights = quadrature(steps, rule)
    values: dict[Kind, list[np.ndarray]] = {kind: [] for kind in problem.kinds}
    for row in range(len(pairs)):
        for kind in problem.kinds:
            one = _integrate(problem, row, kind, alphas, weights, path, copies)
            values[kind].append(one)
        if progress is not None:
            progress(1)
    arrays = {kind: np.stack(value) for kind, value in values.items()}
    return scores(arrays, problem, unit, f"integrated gradients ({steps} steps, {rule}, by {path})")


def input_integrated_gradients(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    *,
    steps: int = 5,
    rule: Rule = "midpoint",
    kinds: Sequence[Kind] = DEFAULT_KINDS,
    layers: Sequence[int] | None = None,
    metric: Metric | None = None,
    direction: Direction = "denoising",
    batch: int = 32,
) -> xr.Dataset:
    """Estimate activation patching by gradients averaged along the input's path (EAP-IG).

    Parameters are those of `relevance_patching` and `integrated_gradients`.
    """
    check_differentiable(hf_model(model))
    problem = prepare(model, pairs, kinds, layers, metric, direction)
    alphas, weights = quadrature(steps, rule)
    network: Any = problem.model
    embed = network.get_input_embeddings()
    sites = problem.components

    def walk(rows: Tensor) -> tuple[dict[Site, Tensor], dict[Site, Tensor], Tensor]:
        base, value = activations(problem, problem.base, rows, sites)
        start, end = embed(problem.base[rows]), embed(problem.source[rows])
        mean: dict[Site, Tensor] = {}
        for alpha, weight in zip(alphas, weights, strict=True):
            between = start + alpha * (end - start)
            _, gradient, _ = coefficients(problem, rows, Rules(), sites, embeddings=between)
            for site in sites:
                mean[site] = weight * gradient[site] + mean.get(site, 0)
        return base, mean, value

    return estimate(problem, walk, batch, f"input integrated gradients ({steps} steps, {rule})")


def quadrature(steps: int, rule: Rule) -> tuple[list[float], list[float]]:
    """Return points in [0, 1] and weights that sum to 1.

    ``midpoint`` and the Riemann sums ``left`` (k/K from 0: the sparse feature circuits) and
    ``right`` (EAP-IG's code) have equal weights; ``gauss-legendre`` is exact to degree 2K - 1.
    """
    if steps < 1:
        raise InputError(f"steps must be 1 or more; got {steps}.")
    if rule == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return list((points + 1) / 2), list(weights / 2)
    shift = {"left": 0.0, "midpoint": 0.5, "right": 1.0}
    if rule not in shift:
        raise InputError(f"There is no rule {rule!r}; {nearest(rule, [*shift, 'gauss-legendre'])}")
    return [(k + shift[rule]) / steps for k in range(steps)], [1 / steps] * steps


def _integrate(
    problem: Problem,
    row: int,
    kind: Kind,
    alphas: list[float],
    weights: list[float],
    path: Literal["layer", "position"],
    copies: int,
) -> np.ndarray:
    """Integrate one kind of component of one pair; ``(layers, positions, ...)``."""
    length = int(problem.pairs.lengths[row])
    first = int(problem.pairs.first_difference[row])
    run = BaseRun(problem.model, problem.base[row, :length])
    index = torch.tensor([row])
    sites = [problem.site(kind, layer) for layer in problem.layers]
    base, _ = activations(problem, problem.base, index, sites)
    source, _ = activations(problem, problem.source, index, sites)
    change = {site: source[site][0] - base[site][0] for site in sites}
    mean = {site: torch.zeros_like(change[site]) for site in sites}
    walks = [slice(first, length)]
    if path == "position":
        walks = [slice(position, position + 1) for position in range(first, length)]
    for walk in walks:
        points = [
            (site, layer, alpha, weight)
            for site, layer in zip(sites, problem.layers, strict=True)
            for alpha, weight in zip(alphas, weights, strict=True)
        ]
        for start in range(0, len(points), copies):
            chunk = points[start : start + copies]
            values = [
                (base[site][0, walk] + alpha * change[site][walk]).requires_grad_()
                for site, _, alpha, _ in chunk
            ]
            patches = [
                Patch(layer, None if kind == "residual_pre" else site, value)
                for (site, layer, _, _), value in zip(chunk, values, strict=True)
            ]
            with torch.enable_grad():
                final = run.final_states(walk.start, patches)
                total = problem.value(final, index.expand(len(chunk))).sum()
            for (site, _, _, weight), gradient in zip(
                chunk, torch.autograd.grad(total, values), strict=True
            ):
                mean[site][walk] += weight * gradient
    # Behind a shorter pair's end the average gradient is zero.
    score = torch.stack([contract(problem, kind, change[site], mean[site]) for site in sites])
    return score.cpu().numpy()

r"""Distances between two sets of points that need no transport plan: MMD, energy distance, sliced W2.

For a kernel :math:`k`, the squared maximum mean discrepancy (Gretton et al. 2012) is

.. math::

    \mathrm{MMD}^2 = \mathbb E\, k(x, x') + \mathbb E\, k(y, y') - 2\, \mathbb E\, k(x, y)

and the energy distance (Székely & Rizzo 2013) is the same with :math:`k = -|x-y|`. Everything is
summed one block of rows after the other, so memory is linear in the points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.transport.arrays import Array, Kind
from axonal.transport.costs import pairwise, points

_ROWS = 1024  # of a block

#: Bandwidths of the perturbation-modelling literature: k = exp(-gamma |x - y|^2), averaged over these.
GAMMAS = (2.0, 1.0, 0.5, 0.1, 0.01, 0.005)


def mmd(
    x: Array, y: Array, gammas: Sequence[float] | float = GAMMAS, *, biased: bool = True
) -> Any:
    r"""Return the squared maximum mean discrepancy, the mean over Gaussian kernels.

    Parameters
    ----------
    x, y
        ``(n, d)`` and ``(m, d)``; gradients flow to both.
    gammas
        Kernels :math:`\exp(-\gamma |x-y|^2)`; in one over the square of the points' unit.
    biased
        Keep the pairs of a point with itself, which makes it a squared distance: never negative. The
        unbiased one leaves them out and is 0 in the mean for two samples of one law.
    """
    widths = [float(gammas)] if isinstance(gammas, int | float) else [float(g) for g in gammas]
    if not widths or min(widths) <= 0:
        raise InputError(f"gammas: expected positive numbers, got {gammas}.")

    def kernel(squares: Tensor) -> Tensor:
        total = torch.exp(-widths[0] * squares)
        for gamma in widths[1:]:
            total = total + torch.exp(-gamma * squares)
        return total / len(widths)

    return _discrepancy(x, y, "sqeuclidean", kernel, biased, at_zero=1.0)


def energy_distance(x: Array, y: Array) -> Any:
    r"""Return :math:`2\,\mathbb E|x-y| - \mathbb E|x-x'| - \mathbb E|y-y'|`, in the points' unit.

    Parameters
    ----------
    x, y
        ``(n, d)`` and ``(m, d)``; gradients flow to both.
    """
    return _discrepancy(x, y, "euclidean", torch.neg, biased=True, at_zero=0.0)


def sliced_wasserstein(x: Array, y: Array, slices: int = 128, seed: int = 0) -> Any:
    r"""Return the sliced Wasserstein-2 distance: the root mean of W2 squared along random lines.

    Along a line the optimal plan pairs by rank, so it costs a sort. For points in ``d`` dimensions it
    is at most :math:`W_2/\sqrt d`.

    Parameters
    ----------
    x, y
        ``(n, d)`` and ``(m, d)``; gradients flow to both.
    slices
        Directions, uniform on the sphere.
    seed
        Of the directions.
    """
    left, right, kind = _two_sets(x, y)
    if slices < 1:
        raise InputError(f"slices is a positive number, got {slices}.")
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(left.shape[1], slices, generator=generator, dtype=torch.float64)
    directions = (directions / directions.norm(dim=0)).to(left.device)
    squares = _line_w2((left @ directions).mT.contiguous(), (right @ directions).mT.contiguous())
    return kind.number(squares.mean().sqrt())


def _line_w2(x: Tensor, y: Tensor) -> Tensor:
    """Return W2 squared for each line: ``(lines, n)`` and ``(lines, m)`` to ``(lines,)``."""
    x, y = x.sort(dim=-1).values, y.sort(dim=-1).values
    n, m = x.shape[-1], y.shape[-1]
    if n == m:
        return (x - y).square().mean(-1)
    # The quantile functions are steps; between the jumps of either both are constant.
    steps = [torch.arange(count + 1, dtype=x.dtype, device=x.device) / count for count in (n, m)]
    cuts = torch.cat(steps).sort().values  # twice 0 and twice 1: pieces of no width
    middles, widths = (cuts[1:] + cuts[:-1]) / 2, cuts[1:] - cuts[:-1]
    left = (middles * n).long().clamp_max(n - 1)
    right = (middles * m).long().clamp_max(m - 1)
    return ((x[:, left] - y[:, right]).square() * widths).sum(-1)


def _discrepancy(
    x: Array,
    y: Array,
    cost: str,
    kernel: Callable[[Tensor], Tensor],
    biased: bool,
    at_zero: float,
) -> Any:
    left, right, kind = _two_sets(x, y, cost)
    if not biased and min(len(left), len(right)) < 2:
        raise InputError("The unbiased discrepancy needs at least two points in each set.")
    same = [_mean_of_pairs(rows, rows, cost, kernel) for rows in (left, right)]
    if not biased:
        same = [
            (mean * n - at_zero) / (n - 1)
            for mean, n in zip(same, (len(left), len(right)), strict=True)
        ]
    return kind.number(same[0] + same[1] - 2 * _mean_of_pairs(left, right, cost, kernel))


def _mean_of_pairs(x: Tensor, y: Tensor, cost: str, kernel: Callable[[Tensor], Tensor]) -> Tensor:
    total = x.new_zeros(())
    for start in range(0, len(x), _ROWS):
        total = total + kernel(pairwise(x[start : start + _ROWS], y, cost)).sum()
    return total / (len(x) * len(y))


def _two_sets(x: Array, y: Array, cost: str = "sqeuclidean") -> tuple[Tensor, Tensor, Kind]:
    left, right, kind = points(x, y, cost)
    if left.ndim != 2:
        raise InputError(f"x: expected points (n, d), got shape {tuple(left.shape)}.")
    return left, right, kind

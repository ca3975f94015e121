r"""Soft repulsion between discs, its sum on each particle and the divergence of that sum.

.. math::

    F_i = \sum_j f(|x_{ij}|)\, \frac{x_{ij}}{|x_{ij}|}, \qquad
    f(q) = \tfrac1\beta \log\bigl(1 + e^{\beta (2r - q)}\bigr), \qquad
    \nabla_i \cdot F_i = \sum_j \Bigl[ (d - 1) \frac{f(q)}{q} - \frac{1}{1 + e^{-\beta(2r - q)}} \Bigr]

with :math:`x_{ij} = x_i - x_j` by the minimum image and radius ``r = 1`` (Boffi & Vanden-Eijnden
2024). Everything is batched over leading dimensions and differentiable in the positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

#: Up to this many particles every pair is visited; above, only those within the cut-off.
DENSE = 96


class Pairs(NamedTuple):
    """Pairs of particles within a cut-off, both orders, as rows of the flattened ``(..., N)``."""

    first: Tensor
    second: Tensor


def minimum_image(displacement: Tensor, half_width: float | None) -> Tensor:
    """Return the shortest of a displacement's periodic images, ``[-w, w]`` along every axis."""
    if half_width is None:
        return displacement
    width = 2 * half_width
    return displacement - width * torch.round(displacement / width)


def pairs_within(x: Tensor, half_width: float | None, cutoff: float) -> Pairs:
    """Return the pairs closer than a cut-off at positions ``(..., N, d)``."""
    from scipy.spatial import KDTree

    count, axes = x.shape[-2:]
    points = x.detach().reshape(-1, count, axes).cpu().double().numpy()
    found = []
    for number, here in enumerate(points):
        if half_width is None:
            tree = KDTree(here)
        else:
            width = 2 * half_width
            # A negative number of tiny size is wrapped onto the width itself, which is outside.
            inside = np.mod(here, width)
            tree = KDTree(np.where(inside >= width, 0.0, inside), boxsize=width)
        found.append(tree.query_pairs(cutoff, output_type="ndarray") + number * count)
    pairs = torch.from_numpy(np.concatenate(found)).to(x.device)
    return Pairs(torch.cat([pairs[:, 0], pairs[:, 1]]), torch.cat([pairs[:, 1], pairs[:, 0]]))


def strength(distance: Tensor, steepness: float) -> Tensor:
    """Return the force between two discs of unit stiffness at a distance, ``f(q)``."""
    # log(1 + e^z) is z itself, to rounding, from 40 on.
    return torch.nn.functional.softplus(2 - distance, beta=steepness, threshold=40.0)


def strength_derivative(distance: Tensor, steepness: float) -> Tensor:
    """Return ``f'(q)``, which is between -1 and 0."""
    return -torch.sigmoid(steepness * (2 - distance))


def repulsion(
    x: Tensor, half_width: float | None, steepness: float, cutoff: float | None = None
) -> Tensor:
    """Return the sum of unit-stiffness forces on each particle, ``(..., N, d)``.

    Parameters
    ----------
    x
        Positions ``(..., N, d)``.
    half_width
        Of the periodic box; None for open space.
    steepness
        ``beta``.
    cutoff
        Distance beyond which pairs are left out, for many particles; None for no cut-off.
    """
    apart, distance, collect = _separations(x, half_width, cutoff)
    return collect((strength(distance, steepness) / distance)[..., None] * apart)


def repulsion_divergence(
    x: Tensor, half_width: float | None, steepness: float, cutoff: float | None = None
) -> Tensor:
    """Return the divergence of each particle's force in its own position, ``(..., N)``."""
    apart, distance, collect = _separations(x, half_width, cutoff)
    across = (x.shape[-1] - 1) * strength(distance, steepness) / distance
    # Where two particles coincide, and of a particle with itself, there is no direction.
    there = (apart != 0).any(dim=-1)
    terms = torch.where(there, across + strength_derivative(distance, steepness), 0.0)
    return collect(terms[..., None])[..., 0]


def _separations(
    x: Tensor, half_width: float | None, cutoff: float | None
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """Return separations, distances (1 where they are 0), and how to sum over partners."""
    if cutoff is None or x.shape[-2] <= DENSE:
        apart = minimum_image(x[..., :, None, :] - x[..., None, :, :], half_width)
        return apart, _distances(apart), lambda terms: terms.sum(dim=-2)
    pairs = pairs_within(x, half_width, cutoff)
    flat = x.reshape(-1, x.shape[-1])
    apart = minimum_image(flat[pairs.first] - flat[pairs.second], half_width)

    def collect(terms: Tensor) -> Tensor:
        total = terms.new_zeros(len(flat), terms.shape[-1])
        return total.index_add(0, pairs.first, terms).reshape(*x.shape[:-1], -1)

    return apart, _distances(apart), collect


def _distances(apart: Tensor) -> Tensor:
    square = apart.square().sum(dim=-1)
    return torch.where(square > 0, square, 1.0).sqrt()

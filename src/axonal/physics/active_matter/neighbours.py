"""The nearest neighbours of every particle, in a periodic box or in open space."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.physics.active_matter.forces import minimum_image

#: Up to this many particles all distances are computed; above, a tree finds the near ones.
DENSE = 256


def nearest(x: Tensor, neighbours: int, half_width: float | None = None) -> Tensor:
    """Return each particle and its nearest neighbours, itself first and then by distance.

    Parameters
    ----------
    x
        Positions ``(..., N, d)``.
    neighbours
        ``K``, beside itself; at most N - 1.
    half_width
        Of the periodic box ``[-w, w)``, in which distances are by the minimum image; None for open
        space.

    Returns
    -------
    Tensor
        Indices ``(..., N, K + 1)``.
    """
    if x.ndim < 2:
        raise InputError(f"x: expected positions (..., N, d), got {tuple(x.shape)}.")
    count, axes = x.shape[-2:]
    if not 1 <= neighbours < count:
        raise InputError(
            f"neighbours: {count} particles have between 1 and {count - 1} neighbours each, "
            f"got {neighbours}."
        )
    flat = x.detach().reshape(-1, count, axes)
    find = _by_distance if count <= DENSE else _by_tree
    found = torch.stack([find(here, neighbours, half_width) for here in flat])
    return found.reshape(*x.shape[:-1], neighbours + 1)


def gather(values: Tensor, index: Tensor) -> Tensor:
    """Return the values ``(S, N, ...)`` of the particles ``(S, N, K)``: ``(S, N, K, ...)``."""
    samples = torch.arange(len(index), device=index.device).reshape(-1, 1, 1)
    return values[samples, index]


def _by_distance(x: Tensor, neighbours: int, half_width: float | None) -> Tensor:
    apart = minimum_image(x[:, None] - x[None], half_width).square().sum(dim=-1)
    apart.fill_diagonal_(-1.0)  # itself first, also where two particles coincide
    return apart.topk(neighbours + 1, dim=1, largest=False, sorted=True).indices


def _by_tree(x: Tensor, neighbours: int, half_width: float | None) -> Tensor:
    from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

    points = x.cpu().double().numpy()
    if half_width is not None:
        points = np.mod(points, 2 * half_width)
        points[points >= 2 * half_width] = 0.0  # what rounds up to the width itself
    tree = cKDTree(points, boxsize=None if half_width is None else 2 * half_width)
    found = np.asarray(tree.query(points, k=neighbours + 1)[1], dtype=np.int64)
    own = np.arange(len(points))
    for row in np.flatnonzero(found[:, 0] != own):  # another particle is at the same place
        others = found[row][found[row] != row]
        found[row] = np.concatenate([[row], others[:neighbours]])
    return torch.from_numpy(found).to(x.device)

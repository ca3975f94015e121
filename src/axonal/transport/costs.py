r"""Costs of moving a point onto another, as matrices, block by block, and their gradients in closed form.

``"sqeuclidean"`` is :math:`|x-y|^2`, ``"euclidean"`` is :math:`|x-y|` and ``"cosine"`` is
:math:`1 - \hat x \cdot \hat y`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from axonal.errors import InputError, nearest
from axonal.transport.arrays import Array, tensor_of

Cost: TypeAlias = Literal["sqeuclidean", "euclidean", "cosine"]
COSTS = ("sqeuclidean", "euclidean", "cosine")

#: Added under the root of a distance: its gradient is finite where two points coincide.
SOFTENING = 1e-12


def cost_matrix(x: Array, y: Array, cost: Cost = "sqeuclidean") -> Any:
    """Return the cost between rows of two sets of points.

    Parameters
    ----------
    x, y
        Points ``(..., n, d)`` and ``(..., m, d)``: NumPy arrays or tensors; gradients flow.
    cost
        ``"sqeuclidean"``, ``"euclidean"`` or ``"cosine"``.

    Returns
    -------
    Array
        ``(..., n, m)``, of the kind of ``x``.
    """
    left, right, kind = points(x, y, cost)
    return kind.back(pairwise(left, right, cost))


def points(x: Array, y: Array, cost: str) -> tuple[Tensor, Tensor, Any]:
    """Return two sets of points as float64 tensors, ready for ``pairwise``, and what they were."""
    if cost not in COSTS:
        raise InputError(f"There is no cost {cost!r}: {nearest(cost, COSTS)}")
    left, kind = tensor_of(x, "x")
    right, _ = tensor_of(y, "y")
    right = right.to(left.device)
    shapes = tuple(left.shape), tuple(right.shape)
    if left.ndim < 2 or right.ndim != left.ndim or left.shape[-1] != right.shape[-1]:
        raise InputError(f"x and y: expected points (..., n, d) and (..., m, d), got {shapes}.")
    if left.shape[:-2] != right.shape[:-2]:
        raise InputError(f"x and y: their batch dimensions differ, {shapes}.")
    if cost == "cosine":
        for name, rows in (("x", left), ("y", right)):
            if bool((rows.detach() == 0).all(-1).any()):
                raise InputError(f"{name}: the point 0 has no direction, so no cosine cost.")
        left, right = (
            left / left.norm(dim=-1, keepdim=True),
            right / right.norm(dim=-1, keepdim=True),
        )
    return left, right, kind


def pairwise(x: Tensor, y: Tensor, cost: str) -> Tensor:
    """Return the cost of every pair ``(..., n, m)``; for the cosine cost, of unit vectors."""
    if cost == "cosine":
        return 1 - x @ y.mT
    middle = y.detach().mean(-2, keepdim=True)  # the closer to 0, the less is cancelled
    x, y = x - middle, y - middle
    squares = (x * x).sum(-1)[..., :, None] + (y * y).sum(-1)[..., None, :] - 2 * (x @ y.mT)
    squares = squares.clamp_min(0.0)
    return squares if cost == "sqeuclidean" else (squares + SOFTENING).sqrt()


def paired(x: Tensor, y: Tensor, cost: str) -> Tensor:
    """Return the cost of moving each row of ``x`` onto the row of ``y`` beside it, ``(..., n)``."""
    if cost == "cosine":
        return 1 - (x * y).sum(-1)
    squares = (x - y).square().sum(-1)
    return squares if cost == "sqeuclidean" else (squares + SOFTENING).sqrt()


class PlannedCost(torch.autograd.Function):
    """Zero, with the gradient of the mean cost under a plan that stays as it is.

    By the envelope theorem that is the gradient of an (entropic) transport value with respect to
    the points. It is computed one block of rows after the other, so that no matrix of all pairs
    is ever kept.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, plan: Any, cost: str) -> Tensor:
        """Return a zero for each problem of the batch."""
        ctx.save_for_backward(x, y)
        ctx.plan, ctx.cost = plan, cost
        return x.new_zeros(x.shape[:-2])

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *outer: Tensor
    ) -> tuple[Tensor, Tensor, None, None]:
        """Return the gradients with respect to the points."""
        x, y = ctx.saved_tensors
        to_x, to_y = torch.empty_like(x), torch.zeros_like(y)
        for rows in ctx.plan.blocks:
            block, part = x[..., rows, :], ctx.plan.block(rows)
            if ctx.cost == "cosine":
                to_x[..., rows, :] = -part @ y
                to_y -= part.mT @ block
                continue
            if ctx.cost == "euclidean":
                weights = part / pairwise(block, y, "euclidean")
            else:
                weights = 2 * part
            to_x[..., rows, :] = weights.sum(-1, keepdim=True) * block - weights @ y
            to_y += weights.sum(-2).unsqueeze(-1) * y - weights.mT @ block
        scale = outer[0][..., None, None]
        return scale * to_x, scale * to_y, None, None

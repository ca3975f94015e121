r"""Entropic optimal transport, by Sinkhorn's iterations (Cuturi 2013), stable at small epsilon.

.. math::

    \mathrm{OT}_\varepsilon(a, b) = \min_{P 1 = a,\; P^T 1 = b}
        \langle P, C \rangle + \varepsilon\, \mathrm{KL}(P \,\|\, a b^T)
        = \langle f, a \rangle + \langle g, b \rangle

The iterations are products of a kernel with scalings, which are absorbed into the potentials as soon
as they grow (Schmitzer 2019), and :math:`\varepsilon` is lowered in steps where it is
small (:mod:`axonal.transport.scaling`). The kernel is kept, or made again one block of rows after the
other, with memory linear in the points. Gradients are those of the envelope theorem: the plan is held,
nothing is unrolled.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.transport.arrays import Array, Kind, tensor_of
from axonal.transport.costs import Cost, PlannedCost, pairwise, points
from axonal.transport.kernels import CostMatrix, CostOfPoints, Costs, EntropicPlan, Plan
from axonal.transport.scaling import solve


@dataclass(frozen=True)
class Coupling:
    r"""A transport plan between two sets, and what it costs.

    Parameters
    ----------
    value
        :math:`\langle P,C\rangle + \varepsilon\,\mathrm{KL}(P\|ab^T)`, one a problem of the batch.
        A tensor with gradients if tensors came in; else a NumPy array, or a float.
    entropy_value
        :math:`\langle P,C\rangle - \varepsilon H(P)`, which is smaller by
        :math:`\varepsilon(\log n + \log m)` for uniform weights.
    f, g
        The potentials, ``(..., n)`` and ``(..., m)``.
    epsilon
        The strength of the entropy that was used.
    converged
        Whether the error went below the tolerance.
    error
        The sum of the absolute differences between the plan's marginals and the weights.
    iterations
        In all, those at larger epsilon included.
    """

    value: Any
    entropy_value: Any
    f: Any
    g: Any
    epsilon: float
    converged: bool
    error: float
    iterations: int
    _plan: Plan = field(repr=False)
    _kind: Kind = field(repr=False)

    def matrix(self) -> Any:
        """Return the plan ``(..., n, m)``; its sum is 1."""
        plan = self._plan
        return self._kind.back(torch.cat([plan.block(rows) for rows in plan.blocks], dim=-2))

    def barycentre(self, y: Array) -> Any:
        """Return where each point goes on average, ``(..., n, d)``, for the target's points ``y``."""
        target, _ = tensor_of(y, "y")
        plan, parts = self._plan, []
        for rows in plan.blocks:
            block = plan.block(rows)
            parts.append(block @ target.to(block.device) / block.sum(-1, keepdim=True))
        return self._kind.back(torch.cat(parts, dim=-2))


def sinkhorn(
    cost: Array,
    epsilon: float | Literal["auto"] = "auto",
    *,
    a: Array | None = None,
    b: Array | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 2000,
) -> Coupling:
    """Solve entropic transport for a cost matrix.

    Parameters
    ----------
    cost
        ``(..., n, m)``; batches are solved together. If it requires a gradient, so do the values.
    epsilon
        In the units of the cost; ``"auto"`` is 5 % of its mean.
    a, b
        Weights ``(..., n)`` and ``(..., m)`` that sum to 1; uniform by default. Zeros are allowed.
    tolerance
        The marginal error (sum of absolute differences) at which to stop.
    max_iterations
        At the last epsilon; if they do not suffice, a warning says so and ``converged`` is False.
    """
    matrix, kind = tensor_of(cost, "cost")
    if matrix.ndim < 2:
        raise InputError(f"cost: expected a matrix (..., n, m), got shape {tuple(matrix.shape)}.")

    def carry(plan: Plan) -> Tensor:
        cost = (plan.block(slice(None)) * matrix).sum((-2, -1))
        return cost - cost.detach()

    return _couple(
        CostMatrix(matrix.detach()),
        kind,
        epsilon,
        a,
        b,
        tolerance,
        max_iterations,
        carry if matrix.requires_grad else None,
    )


def transport_points(
    x: Array,
    y: Array,
    epsilon: float | Literal["auto"] = "auto",
    *,
    cost: Cost = "sqeuclidean",
    a: Array | None = None,
    b: Array | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 2000,
    block: int | None = None,
) -> Coupling:
    """Solve entropic transport between two sets of points.

    Parameters
    ----------
    x, y
        ``(..., n, d)`` and ``(..., m, d)``; gradients of the values flow back to both. Where ``y`` is
        ``x`` itself, the symmetry is made use of.
    epsilon, a, b, tolerance, max_iterations
        As for :func:`sinkhorn`.
    cost
        ``"sqeuclidean"``, ``"euclidean"`` or ``"cosine"``.
    block
        Rows of the kernel at a time: memory is then linear in the points, and the kernel is
        computed again in every iteration. None keeps it.
    """
    left, right, kind = points(x, y, cost)
    if block is not None and block < 1:
        raise InputError(f"block is a positive number of rows, got {block}.")
    x_, y_ = left.detach(), right.detach()
    if block is None or block >= x_.shape[-2]:
        costs: Costs = CostMatrix(pairwise(x_, y_, cost))
    else:
        costs = CostOfPoints(x_, y_, cost, block)

    def carry(plan: Plan) -> Tensor:
        return cast("Tensor", PlannedCost.apply(left, right, plan, cost))

    return _couple(
        costs,
        kind,
        epsilon,
        a,
        b,
        tolerance,
        max_iterations,
        carry if left.requires_grad or right.requires_grad else None,
        symmetric=y is x and b is a,
    )


def _couple(
    costs: Costs,
    kind: Kind,
    epsilon: float | str,
    a: Array | None,
    b: Array | None,
    tolerance: float,
    max_iterations: int,
    carry: Callable[[Plan], Tensor] | None,
    *,
    symmetric: bool = False,
) -> Coupling:
    """Solve, and give the values the gradient that ``carry`` gives its zero."""
    strength = _strength(epsilon, costs)
    weights = _weights(a, "a", costs, costs.n), _weights(b, "b", costs, costs.m)
    f, g, error, iterations = solve(costs, strength, *weights, tolerance, max_iterations, symmetric)
    converged = error <= tolerance
    if not converged:
        warnings.warn(
            f"Sinkhorn stopped after {max_iterations} iterations at epsilon {strength:.3g} with a "
            f"marginal error of {error:.1e} (tolerance {tolerance:.1e}): raise max_iterations or "
            "epsilon.",
            RuntimeWarning,
            stacklevel=3,
        )
    a_, b_ = weights
    plan = EntropicPlan(costs, f, g, strength, weights)
    value = (f * a_).sum(-1) + (g * b_).sum(-1)
    if carry is not None:
        value = value + carry(plan)
    entropy = sum((torch.special.xlogy(w, w)).sum(-1) for w in weights)
    return Coupling(
        kind.number(value),
        kind.number(value + strength * entropy),
        kind.back(f),
        kind.back(g),
        strength,
        converged,
        error,
        iterations,
        plan,
        kind,
    )


def _strength(epsilon: float | str, costs: Costs) -> float:
    if epsilon == "auto":
        strength = 0.05 * costs.mean()
        if strength > 0:
            return strength
        raise InputError("epsilon='auto' is 5 % of the mean cost, which is 0 here: give a number.")
    if isinstance(epsilon, str) or not 0 < float(epsilon) < math.inf:
        raise InputError(f"epsilon: expected a positive number or 'auto', got {epsilon!r}.")
    return float(epsilon)


def _weights(weights: Array | None, name: str, costs: Costs, count: int) -> Tensor:
    like = costs.like
    shape = (*costs.batch, count)
    if weights is None:
        return like.new_full(shape, 1 / count)
    given, _ = tensor_of(weights, name)
    given = given.detach().to(like.device)
    if given.shape not in (shape, shape[-1:]):
        raise InputError(f"{name}: expected weights of shape {shape}, got {tuple(given.shape)}.")
    sums = given.sum(-1)
    if bool((given < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-6):
        raise InputError(f"{name}: weights are not negative and sum to 1, here to {sums.tolist()}.")
    return (given / sums.unsqueeze(-1)).expand(shape)

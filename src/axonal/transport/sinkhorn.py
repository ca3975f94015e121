r"""Entropic optimal transport, by Sinkhorn's iterations (Cuturi 2013), stable at small epsilon.

.. math::

    \mathrm{OT}_\varepsilon(a, b) = \min_{P 1 = a,\; P^T 1 = b}
        \langle P, C \rangle + \varepsilon\, \mathrm{KL}(P \,\|\, a b^T)
        = \langle f, a \rangle + \langle g, b \rangle

The iterations are products of a kernel with scalings, which are absorbed into the potentials as soon
as they grow (Schmitzer 2019), and :math:`\varepsilon` is lowered in steps where it is small. The kernel is kept, or made
again one block of rows after the other, with memory linear in the points. Gradients are those of
the envelope theorem: the plan is held, nothing is unrolled.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.transport.arrays import Array, Kind, tensor_of
from axonal.transport.costs import Cost, PlannedCost, pairwise, points

_ABSORB = math.log(1e3)  # scalings beyond e^this go into the potentials
_LOWER = 4.0  # epsilon falls by this factor a stage
_BROAD = 20.0  # the first stage's epsilon is at least the largest cost divided by this
_WARM = 1e-2  # the marginal error with which a stage above the last one is left
_TINY = 1e-150  # kernel entries below count for nothing, and subnormal numbers are slow


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
    kernel = _Dense(matrix.detach(), None)
    coupling = _couple(kernel, kind, epsilon, a, b, tolerance, max_iterations)
    if not matrix.requires_grad:
        return coupling
    plan = coupling._plan
    carried = (plan.block(slice(None)) * matrix).sum((-2, -1))
    return _with_gradient(coupling, carried - carried.detach(), kind)


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
    kernel = _OfPoints(left.detach(), right.detach(), cost, block)
    itself = y is x and b is a
    coupling = _couple(kernel, kind, epsilon, a, b, tolerance, max_iterations, itself)
    if not (left.requires_grad or right.requires_grad):
        return coupling
    carried = PlannedCost.apply(left, right, coupling._plan, cost)
    return _with_gradient(coupling, carried, kind)


class _Dense:
    """A cost matrix that is kept."""

    def __init__(self, cost: Tensor, block: int | None) -> None:
        self._cost = cost
        self.batch, (self.n, self.m) = cost.shape[:-2], cost.shape[-2:]
        size = self.n if block is None else block
        self.blocks = [slice(i, min(i + size, self.n)) for i in range(0, self.n, size)]
        self._kernel: Tensor | None = None

    def like(self) -> Tensor:
        return self._cost

    def cost(self, rows: slice) -> Tensor:
        return self._cost[..., rows, :]

    def mean(self) -> float:
        total = sum(float(self.cost(rows).sum()) for rows in self.blocks)
        return total / (math.prod(self.batch) * self.n * self.m)

    def largest(self) -> float:
        return max(float(self.cost(rows).abs().max()) for rows in self.blocks)

    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> None:
        """Make the kernel of these potentials the one that ``kernel`` gives."""
        self._potentials = f, g, epsilon
        self._kernel = None
        if len(self.blocks) == 1:
            self._kernel = self._made(self.blocks[0])

    def kernel(self, rows: slice) -> Tensor:
        return self._made(rows) if self._kernel is None else self._kernel

    def _made(self, rows: slice) -> Tensor:
        f, g, epsilon = self._potentials
        exponent = f[..., rows, None] + g[..., None, :] - self.cost(rows)
        kernel = exponent.div_(epsilon).exp_()
        return torch.threshold_(kernel, _TINY, 0.0)


class _OfPoints(_Dense):
    """A cost that is computed from points: kept if it is one block, else made when it is asked for."""

    def __init__(self, x: Tensor, y: Tensor, cost: str, block: int | None) -> None:
        self._x, self._y, self._name = x, y, cost
        whole = block is None or block >= x.shape[-2]
        if whole:
            super().__init__(pairwise(x, y, cost), None)
        else:
            shape = (*x.shape[:-2], x.shape[-2], y.shape[-2])
            super().__init__(x.new_empty(()).expand(shape), block)
        self._whole = whole

    def like(self) -> Tensor:
        return self._x

    def cost(self, rows: slice) -> Tensor:
        if self._whole:
            return super().cost(rows)
        return pairwise(self._x[..., rows, :], self._y, self._name)


class Plan:
    """The plan of final potentials, a block of rows at a time."""

    def __init__(self, costs: _Dense, f: Tensor, g: Tensor, epsilon: float, weights: Any) -> None:
        self._costs, self._f, self._g, self._epsilon = costs, f, g, epsilon
        self._a, self._b = weights
        self.blocks = costs.blocks

    def block(self, rows: slice) -> Tensor:
        """Return rows of the plan, ``(..., rows, m)``."""
        exponent = self._f[..., rows, None] + self._g[..., None, :] - self._costs.cost(rows)
        kernel = exponent.div_(self._epsilon).exp_()
        return kernel.mul_(self._a[..., rows, None]).mul_(self._b[..., None, :])


def _couple(
    costs: _Dense,
    kind: Kind,
    epsilon: float | str,
    a: Array | None,
    b: Array | None,
    tolerance: float,
    max_iterations: int,
    symmetric: bool = False,
) -> Coupling:
    strength = _strength(epsilon, costs)
    weights = _weights(a, "a", costs, costs.n), _weights(b, "b", costs, costs.m)
    f, g, error, iterations = _solve(
        costs, strength, *weights, tolerance, max_iterations, symmetric
    )
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
    value = (f * a_).sum(-1) + (g * b_).sum(-1)
    entropy = sum((torch.special.xlogy(w, w)).sum(-1) for w in weights)
    return Coupling(
        _out(value, kind),
        _out(value + strength * entropy, kind),
        kind.back(f),
        kind.back(g),
        strength,
        converged,
        error,
        iterations,
        Plan(costs, f, g, strength, weights),
        kind,
    )


def _solve(
    costs: _Dense,
    epsilon: float,
    a: Tensor,
    b: Tensor,
    tolerance: float,
    max_iterations: int,
    symmetric: bool,
) -> tuple[Tensor, Tensor, float, int]:
    """Return potentials, marginal error and iterations."""
    like = costs.like()
    f = like.new_zeros((*costs.batch, costs.n))
    g = like.new_zeros((*costs.batch, costs.m))
    broad = costs.largest() / _BROAD
    stages = max(0, math.ceil(math.log(max(broad / epsilon, 1.0), _LOWER)))
    total, error = 0, math.inf
    for stage in range(stages, -1, -1):
        stop, most = (_WARM, 100) if stage else (tolerance, max_iterations)
        iterate = _scale_symmetric if symmetric else _scale
        f, g, error, used = iterate(costs, f, g, epsilon * _LOWER**stage, a, b, stop, most)
        total += used
    return f, g, error, total


def _scale(
    costs: _Dense,
    f: Tensor,
    g: Tensor,
    epsilon: float,
    a: Tensor,
    b: Tensor,
    tolerance: float,
    max_iterations: int,
) -> tuple[Tensor, Tensor, float, int]:
    """Iterate at one epsilon: multiply by the kernel, absorb what grows."""
    costs.absorb(f, g, epsilon)
    u, v = torch.ones_like(f), torch.ones_like(g)
    error = math.inf
    for iteration in range(1, max_iterations + 1):
        fresh_u, back, wrong = torch.empty_like(u), torch.zeros_like(v), 0.0
        weighted = (b * v).unsqueeze(-1)
        for rows in costs.blocks:
            kernel = costs.kernel(rows)
            reached = (kernel @ weighted).squeeze(-1)
            miss = a[..., rows] * (u[..., rows] * reached - 1).abs()
            wrong = wrong + miss.sum(-1)
            fresh = 1 / reached
            fresh_u[..., rows] = fresh
            back += (kernel.mT @ (a[..., rows] * fresh).unsqueeze(-1)).squeeze(-1)
        error = float(torch.as_tensor(wrong).max())
        if error <= tolerance and iteration > 1:  # of the plan before, whose columns are exact
            return f + epsilon * u.log(), g + epsilon * v.log(), error, iteration
        u, v = fresh_u, 1 / back
        grown = max(float(u.log().abs().max()), float(v.log().abs().max()))
        if not grown < _ABSORB:
            if math.isfinite(grown):
                f, g = f + epsilon * u.log(), g + epsilon * v.log()
            else:  # a row of the kernel vanished: one exact step in the log domain brings it back
                f, g = _log_step(costs, g, epsilon, a, b)
            costs.absorb(f, g, epsilon)
            u, v = torch.ones_like(f), torch.ones_like(g)
    return f + epsilon * u.log(), g + epsilon * v.log(), error, max_iterations


def _scale_symmetric(
    costs: _Dense,
    f: Tensor,
    g: Tensor,
    epsilon: float,
    a: Tensor,
    b: Tensor,
    tolerance: float,
    max_iterations: int,
) -> tuple[Tensor, Tensor, float, int]:
    """Iterate for a set against itself: both potentials are one, and half a step is taken at a time.

    Whole steps swing about the solution and take hundreds of iterations; half steps take ten.
    """
    del g, b
    costs.absorb(f, f, epsilon)
    u = torch.ones_like(f)
    error = math.inf
    for iteration in range(1, max_iterations + 1):
        weighted = (a * u).unsqueeze(-1)
        reached = torch.cat([costs.kernel(rows) @ weighted for rows in costs.blocks], dim=-2)
        reached = reached.squeeze(-1)
        error = float((a * (u * reached - 1).abs()).sum(-1).max())
        if error <= tolerance and iteration > 1:
            mass = (a * u * reached).sum(-1, keepdim=True)  # 1 up to the error; the value needs it
            f = f + epsilon * (u.log() - mass.log() / 2)
            return f, f, error, iteration
        u = (u / reached).sqrt()
        grown = float(u.log().abs().max())
        if not grown < _ABSORB:
            if math.isfinite(grown):
                f = f + epsilon * u.log()
            else:
                f = (f + _log_step(costs, f, epsilon, a, a)[0]) / 2
            costs.absorb(f, f, epsilon)
            u = torch.ones_like(f)
    f = f + epsilon * u.log()
    return f, f, error, max_iterations


def _log_step(
    costs: _Dense, g: Tensor, epsilon: float, a: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Return both potentials after one exact iteration in the log domain."""
    log_a, log_b = a.log(), b.log()
    f, back = torch.empty_like(log_a.expand((*costs.batch, costs.n))), None
    for rows in costs.blocks:
        cost = costs.cost(rows)
        f[..., rows] = -epsilon * torch.logsumexp(
            ((g[..., None, :] - cost) / epsilon + log_b[..., None, :]), dim=-1
        )
        part = torch.logsumexp(
            (f[..., rows, None] - cost) / epsilon + log_a[..., rows, None], dim=-2
        )
        back = part if back is None else torch.logaddexp(back, part)
    assert back is not None
    return f, -epsilon * back


def _strength(epsilon: float | str, costs: _Dense) -> float:
    if epsilon == "auto":
        strength = 0.05 * costs.mean()
        if strength > 0:
            return strength
        raise InputError("epsilon='auto' is 5 % of the mean cost, which is 0 here: give a number.")
    if isinstance(epsilon, str) or not 0 < float(epsilon) < math.inf:
        raise InputError(f"epsilon: expected a positive number or 'auto', got {epsilon!r}.")
    return float(epsilon)


def _weights(weights: Array | None, name: str, costs: _Dense, count: int) -> Tensor:
    like = costs.like()
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


def _with_gradient(coupling: Coupling, carried: Tensor, kind: Kind) -> Coupling:
    from dataclasses import replace

    if kind.numpy:
        return coupling
    carried = kind.back(carried)
    return replace(
        coupling,
        value=coupling.value + carried,
        entropy_value=coupling.entropy_value + carried,
    )


def _out(value: Tensor, kind: Kind) -> Any:
    if kind.numpy and value.ndim == 0:
        return float(value)
    return kind.back(value)

r"""Transport with a quadratic penalty: sparse plans, and soft labels that spread their mass evenly.

Blondel, Seguy & Rolet (2018):

.. math::

    \min_{P \ge 0,\; P 1 = a,\; P^T 1 = b} \langle P, C \rangle + \frac\lambda2 \|P\|_F^2, \qquad
    P_{ij} = (\alpha_i + \beta_j - C_{ij})_+ / \lambda

The dual is concave and piecewise quadratic, so a semismooth Newton method ends after a few steps at
machine precision. Where C is symmetric and both weights are one, so are the potentials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from axonal.errors import AxonalError, InputError
from axonal.transport.arrays import Array, tensor_of

_RIDGE = 1e-10
_STEPS = 200


@dataclass(frozen=True)
class SmoothCoupling:
    r"""A plan with a quadratic penalty.

    Parameters
    ----------
    plan
        ``(n, m)``, not negative, mostly zeros where the penalty is small.
    value
        :math:`\langle P, C\rangle + \frac\lambda2\|P\|^2`.
    alpha, beta
        The dual potentials, ``(n,)`` and ``(m,)``.
    gap
        Between the primal and the dual value; the plan's marginals are those wanted to this order.
    iterations
        Newton steps.
    """

    plan: Any
    value: float
    alpha: Any
    beta: Any
    gap: float
    iterations: int


def smooth_transport(
    cost: Array,
    penalty: float,
    *,
    a: Array | None = None,
    b: Array | None = None,
    tolerance: float = 1e-10,
) -> SmoothCoupling:
    r"""Solve transport with the penalty :math:`\frac\lambda2\|P\|_F^2`.

    Parameters
    ----------
    cost
        ``(n, m)``.
    penalty
        :math:`\lambda > 0`, in the cost's unit over that of the mass. To infinity the plan becomes
        :math:`a b^T/\sum a`; to 0 an optimal transport plan.
    a, b
        The marginals, of equal sums; 1/n and 1/m by default.
    tolerance
        On the largest error of a marginal, relative to the mean weight.
    """
    matrix, kind = tensor_of(cost, "cost", dimensions=2)
    matrix = matrix.detach()
    if not 0 < penalty < float("inf"):
        raise InputError(f"penalty: expected a positive number, got {penalty}.")
    n, m = matrix.shape
    left, right = _marginal(a, "a", n, matrix), _marginal(b, "b", m, matrix)
    if abs(float(left.sum() - right.sum())) > 1e-9 * float(left.sum()):
        raise InputError(
            f"a and b: both must hold the same mass, got {float(left.sum()):.6g} and "
            f"{float(right.sum()):.6g}."
        )
    alike = n == m and torch.equal(matrix, matrix.mT) and torch.equal(left, right)
    solve = _newton_symmetric if alike else _newton
    alpha, beta, steps = solve(matrix, penalty, left, right, tolerance)
    plan = (alpha[:, None] + beta - matrix).clamp_min(0.0) / penalty
    value = float((plan * matrix).sum() + penalty / 2 * plan.square().sum())
    dual = float(alpha @ left + beta @ right - penalty / 2 * plan.square().sum())
    back = kind.back
    return SmoothCoupling(back(plan), value, back(alpha), back(beta), abs(value - dual), steps)


def soft_labels(similarity: Array, penalty: float = 5.0) -> Any:
    """Return soft labels: the plan for cost ``1 - similarity`` whose rows and columns all sum to 1.

    A row is a probability over the batch, and no column can take more than its share.

    Parameters
    ----------
    similarity
        ``(n, n)``, cosine similarities over a temperature.
    penalty
        The larger, the more evenly the labels spread.
    """
    matrix, kind = tensor_of(similarity, "similarity", dimensions=2)
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"similarity: expected a square matrix, got {tuple(matrix.shape)}.")
    ones = torch.ones(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return kind.back(smooth_transport(1 - matrix.detach(), penalty, a=ones, b=ones).plan)


def _newton_symmetric(
    cost: Tensor, penalty: float, a: Tensor, b: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, int]:
    del b
    count = len(a)
    start = (penalty * float(a.mean()) / count + float(cost.mean())) / 2
    alpha, steps = _ascend(
        lambda potential: potential[:, None] + potential - cost,
        torch.full_like(a, start),
        lambda active: torch.diag(active.sum(1)) + active,
        lambda rest: rest.sum(1),
        2 * a,
        penalty,
        tolerance,
        both=True,
    )
    return alpha, alpha, steps


def _newton(
    cost: Tensor, penalty: float, a: Tensor, b: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, int]:
    n, m = cost.shape
    start = (penalty * float(a.sum()) / (n * m) + float(cost.mean())) / 2

    def hessian(active: Tensor) -> Tensor:
        top = torch.cat([torch.diag(active.sum(1)), active], dim=1)
        bottom = torch.cat([active.mT, torch.diag(active.sum(0))], dim=1)
        return torch.cat([top, bottom])

    both, steps = _ascend(
        lambda potential: potential[:n, None] + potential[n:] - cost,
        torch.full((n + m,), start, dtype=cost.dtype, device=cost.device),
        hessian,
        lambda rest: torch.cat([rest.sum(1), rest.sum(0)]),
        torch.cat([a, b]),
        penalty,
        tolerance,
        both=False,
    )
    return both[:n], both[n:], steps


def _ascend(
    slack_of: Any,
    potential: Tensor,
    hessian: Any,
    marginals: Any,
    wanted: Tensor,
    penalty: float,
    tolerance: float,
    *,
    both: bool,
) -> tuple[Tensor, int]:
    """Return the potential at the top of the dual, by Newton steps with a halving line search."""
    scale = 2.0 if both else 1.0  # in the symmetric case one potential stands for two

    def dual(at: Tensor) -> Tensor:
        return at @ wanted - slack_of(at).clamp_min(0.0).square().sum() / (2 * penalty)

    height = dual(potential)
    for step in range(_STEPS):
        slack = slack_of(potential)
        gradient = wanted - scale * marginals(slack.clamp_min(0.0)) / penalty
        if float(gradient.abs().max()) <= tolerance * float(wanted.mean()):
            return potential, step
        matrix = hessian((slack > 0).to(slack)) * (scale / penalty)
        # Adding to one potential what the other loses changes nothing: the ridge picks one of them.
        matrix.diagonal().add_(_RIDGE + 1e-10 * float(matrix.diagonal().mean()))
        direction = torch.linalg.solve(matrix, gradient)
        length = _length(dual, potential, height, direction, float(gradient @ direction))
        potential = potential + length * direction
        height = dual(potential)
    raise AxonalError(
        f"The smooth transport did not converge in {_STEPS} Newton steps at penalty {penalty}: "
        "raise it."
    )


def _length(dual: Any, potential: Tensor, height: Tensor, direction: Tensor, slope: float) -> float:
    """Return how much of a Newton step raises the dual enough: 1, or a half of a half of..."""
    slack = 1e-14 * abs(float(height))
    for halvings in range(60):
        length = 0.5**halvings
        rise = float(dual(potential + length * direction) - height)
        if rise >= 1e-4 * length * slope - slack:
            return length
    return 0.5**60


def _marginal(weights: Array | None, name: str, count: int, like: Tensor) -> Tensor:
    if weights is None:
        return torch.full((count,), 1 / count, dtype=like.dtype, device=like.device)
    given, _ = tensor_of(weights, name, dimensions=1)
    if len(given) != count or bool((given <= 0).any()):
        raise InputError(f"{name}: expected {count} positive weights, got {tuple(given.shape)}.")
    return given.detach().to(like)

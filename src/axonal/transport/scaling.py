r"""Sinkhorn's iterations: potentials from a kernel, its marginals, and epsilon lowered in steps.

With :math:`P_{ij} = a_i u_i K_{ij} v_j b_j` and
:math:`K_{ij} = \exp((f_i + g_j - C_{ij})/\varepsilon)`, an iteration sets
:math:`u = 1/(K (b v))` and :math:`v = 1/(K^T (a u))`; what grows of u and v goes into f and g.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from axonal.transport.kernels import Costs

_ABSORB = math.log(1e3)  # scalings beyond e^this go into the potentials
_LOWER = 4.0  # epsilon falls by this factor a stage
_BROAD = 20.0  # the first stage's epsilon is at least the largest cost divided by this
_WARM = 1e-2  # the marginal error with which a stage above the last one is left


def solve(
    costs: Costs,
    epsilon: float,
    a: Tensor,
    b: Tensor,
    tolerance: float,
    max_iterations: int,
    symmetric: bool,
) -> tuple[Tensor, Tensor, float, int]:
    """Return potentials, marginal error and iterations."""
    f = costs.like.new_zeros((*costs.batch, costs.n))
    g = costs.like.new_zeros((*costs.batch, costs.m))
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
    costs: Costs,
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
    costs: Costs,
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
    costs: Costs, g: Tensor, epsilon: float, a: Tensor, b: Tensor
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

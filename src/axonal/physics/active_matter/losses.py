r"""Losses for the score of a stationary density whose drift is known.

Implicit score matching, and beside it the stationarity that the score must have at every point
(Boffi & Vanden-Eijnden 2024; divided by the number of coordinates as in the paper's code),

.. math:: L = \tfrac1d\, \mathbb E\bigl[\, |s|^2 + 2\, \nabla\cdot s
          + \lambda\, (\nabla \cdot v + v \cdot s)^2 \,\bigr], \qquad v = b - D s .

The square of an estimated divergence would be biased by its variance: with Hutchinson's estimate the
residual is taken with two independent probes, and their product. The antithetic denoising loss for
one particle's activity, its surroundings being left as they are, is

.. math:: L = \tfrac12 \sum_\pm \mathbb E\bigl[\, |s_{g_i}(g_i \pm \sigma\xi)|^2
          \pm \tfrac2\sigma\, s_{g_i}(g_i \pm \sigma\xi) \cdot \xi \,\bigr] .

A score is a gradient in one particle's activity at given others, so noise on that activity alone is
enough: it smooths the density in no other direction, and adds no variance from the neighbours'.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from axonal.physics.active_matter.surroundings import Surroundings
from axonal.transport.score import Field

Trace = Literal["exact", "hutchinson"]


def implicit_loss(
    score: Field,
    z: Tensor,
    *,
    drift: Tensor,
    drift_divergence: Tensor,
    noise: Tensor,
    stationarity: float = 0.0,
    trace: Trace = "exact",
) -> Tensor:
    """Return the loss at samples.

    Parameters
    ----------
    score
        Treats samples ``(n, d)`` one by one.
    z
        ``(n, d)``.
    drift, drift_divergence
        ``b(z)``, ``(n, d)``, and its divergence ``(n,)``.
    noise
        The diagonal of D, ``(d,)``.
    stationarity
        :math:`\\lambda`.
    trace
        How to take divergences; Hutchinson's signs come from torch's own stream, which a training
        seeds in every step.
    """
    z = z.detach().requires_grad_(True)
    s = score(z)
    first, second = _traces(s, z, trace)
    loss = s.square().sum(dim=1) + (first + second).sum(dim=1)
    if stationarity:
        along = ((drift - noise * s) * s).sum(dim=1) + drift_divergence
        one, other = (along - (noise * terms).sum(dim=1) for terms in (first, second))
        loss = loss + stationarity * one * other
    return loss.mean() / z.shape[1]


def shifted_loss(learned: Field, z: Tensor, shift: Tensor, trace: Trace) -> Tensor:
    """Return the implicit loss of ``shift + learned`` but for the divergence of the shift.

    That one is constant, and the shift's values ``(n, d)`` are all that is needed of it.
    """
    z = z.detach().requires_grad_(True)
    s = learned(z)
    first, second = _traces(s, z, trace, pairs=1)
    return ((shift + s).square() + first + second).sum(dim=1).mean() / z.shape[1]


def own_denoising_loss(network: nn.Module, around: Surroundings, noise: float) -> Tensor:
    """Return the antithetic denoising loss of particles' activities, each on its own.

    The direction of the noise is random and its length fixed at that of the mean square, which
    leaves the expectation to this order and takes variance away.
    """
    draw = torch.randn_like(around.g)
    draw = draw * (draw.shape[1] ** 0.5 / draw.norm(dim=1, keepdim=True))
    plus = network(around.pushed(noise * draw))
    minus = network(around.pushed(-noise * draw))
    return antithetic(plus, minus, draw, noise)


def own_implicit_loss(network: nn.Module, around: Surroundings) -> Tensor:
    """Return the implicit loss of particles' activities, with exact divergences."""
    s, terms = own_divergence(network, around, create_graph=True)
    return (s.square() + 2 * terms).sum(dim=1).mean()


def antithetic(plus: Tensor, minus: Tensor, draw: Tensor, noise: float) -> Tensor:
    """Return the denoising loss from scores ``(B, d)`` at both signs of a draw."""
    squares = (plus.square() + minus.square()).sum(dim=1) / 2
    return (squares + ((plus - minus) * draw).sum(dim=1) / noise).mean()


def own_divergence(
    network: nn.Module, around: Surroundings, *, create_graph: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the score of each particle's activity, and its derivatives in it: ``(B, d)`` each."""
    change = torch.zeros_like(around.g, requires_grad=True)
    with torch.enable_grad():
        s = network(around.pushed(change))
        rows = [
            torch.autograd.grad(s[:, k].sum(), change, create_graph=create_graph, retain_graph=True)
            for k in range(s.shape[1])
        ]
    terms = torch.stack([row[:, k] for k, (row,) in enumerate(rows)], dim=1)
    return (s, terms) if create_graph else (s.detach(), terms.detach())


def _traces(s: Tensor, z: Tensor, trace: Trace, pairs: int = 2) -> tuple[Tensor, Tensor]:
    """Return the terms of the divergence ``(n, d)`` twice, independently if ``pairs`` is 2."""
    if trace == "exact":
        rows = [_row(s[:, k].sum(), z)[:, k] for k in range(z.shape[1])]
        terms = torch.stack(rows, dim=1)
        return terms, terms
    signs = torch.randint(0, 2, (pairs, *z.shape), device=z.device).to(z) * 2 - 1
    terms = [_row((s * probe).sum(), z) * probe for probe in signs]
    return terms[0], terms[-1]


def _row(value: Tensor, z: Tensor) -> Tensor:
    return torch.autograd.grad(value, z, create_graph=True, materialize_grads=True)[0]

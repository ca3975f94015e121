r"""Learn the score :math:`s = \nabla \log \rho` of a density from its samples: losses, divergences.

Implicit score matching (Hyvärinen 2005) needs the divergence of the score,

.. math:: L = \mathbb E\bigl[\,|s(z)|^2 + 2\, \nabla \cdot s(z)\,\bigr] \ge -\mathbb E |\nabla \log \rho|^2,

denoising score matching (Vincent 2011) needs none, and learns the score of the density smoothed by
Gaussian noise :math:`\sigma`. Here it takes the noise with both signs (Boffi & Vanden-Eijnden 2024),
which cancels the term of order :math:`1/\sigma` in the loss's variance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from axonal.errors import InputError

#: A function of samples ``(n, d)`` that treats each by itself and returns ``(n, d)``.
Field: TypeAlias = Callable[[Tensor], Tensor]


def divergence(
    field: Field, z: Tensor, *, parts: bool = False, create_graph: bool = True
) -> Tensor:
    """Return the exact divergence of a field at each sample, by one backward pass a coordinate.

    Parameters
    ----------
    field
        Treats the samples one by one.
    z
        ``(n, d)``.
    parts
        Return the ``d`` terms of the sum, ``(n, d)``, instead of their sum ``(n,)``.
    create_graph
        Keep the graph, so that the result can be trained on.
    """
    z = _inputs(z)
    with torch.enable_grad():
        out = _values(field, z)
        terms = []
        for k in range(z.shape[1]):
            if not out.requires_grad:  # a constant field
                terms.append(torch.zeros_like(z[:, k]))
                continue
            (row,) = torch.autograd.grad(
                out[:, k].sum(),
                z,
                create_graph=create_graph,
                retain_graph=True,
                materialize_grads=True,
            )
            terms.append(row[:, k])
    stacked = torch.stack(terms, dim=1)
    stacked = stacked if create_graph else stacked.detach()
    return stacked if parts else stacked.sum(dim=1)


def hutchinson_divergence(
    field: Field,
    z: Tensor,
    generator: torch.Generator | None = None,
    *,
    probes: int = 1,
    create_graph: bool = True,
) -> Tensor:
    """Return Hutchinson's estimate of the divergence, unbiased, by one backward pass a probe.

    Its square is biased: a loss that squares a divergence needs two independent probes, or the exact
    one.

    Parameters
    ----------
    field, z, create_graph
        As for :func:`divergence`.
    generator
        Of the random signs.
    probes
        To average over.
    """
    if probes < 1:
        raise InputError(f"probes is a positive number, got {probes}.")
    z = _inputs(z)
    total = torch.zeros_like(z[:, 0])
    with torch.enable_grad():
        out = _values(field, z)
        for _ in range(probes if out.requires_grad else 0):
            signs = torch.randint(0, 2, z.shape, generator=generator, device=z.device)
            signs = signs.to(z) * 2 - 1
            (row,) = torch.autograd.grad(
                (out * signs).sum(),
                z,
                create_graph=create_graph,
                retain_graph=True,
                materialize_grads=True,
            )
            total = total + (row * signs).sum(dim=1)
    return (total if create_graph else total.detach()) / probes


def implicit_score_matching(
    score: Field,
    z: Tensor,
    *,
    method: Literal["exact", "hutchinson"] = "exact",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the implicit score-matching loss; at its minimum it is minus the mean squared score.

    Parameters
    ----------
    score
        The model, ``(n, d)`` to ``(n, d)``.
    z
        Samples ``(n, d)``.
    method
        How to take the divergence.
    generator
        For ``"hutchinson"``.
    """
    if method not in ("exact", "hutchinson"):
        raise InputError(f"method is 'exact' or 'hutchinson', got {method!r}.")
    if method == "exact":
        spread = divergence(score, z)
    else:
        spread = hutchinson_divergence(score, z, generator)
    return (score(z).square().sum(dim=1) + 2 * spread).mean()


def denoising_score_matching(
    score: Field, z: Tensor, noise: float, generator: torch.Generator | None = None
) -> Tensor:
    r"""Return the antithetic denoising loss.

    .. math:: \tfrac12 \sum_\pm \mathbb E\bigl[\,|s(z \pm \sigma\xi)|^2
              \pm \tfrac2\sigma\, s(z \pm \sigma\xi)\cdot\xi\,\bigr]

    Parameters
    ----------
    score
        The model; it learns the score of the density smoothed by the noise.
    z
        Samples ``(n, d)``.
    noise
        :math:`\sigma`, in the unit of ``z``; well below the narrowest width of the density.
    generator
        Of the noise.
    """
    if not 0 < noise < float("inf"):
        raise InputError(f"noise: expected a positive number, got {noise}.")
    draw = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
    loss = z.new_zeros(())
    for sign in (1.0, -1.0):
        value = score(z + sign * noise * draw)
        loss = loss + (value.square() + 2 * sign / noise * value * draw).sum(dim=1).mean()
    return loss / 2


def _inputs(z: Tensor) -> Tensor:
    if z.ndim != 2 or not z.is_floating_point():
        raise InputError(f"z: expected samples (n, d) of floating type, got {tuple(z.shape)}.")
    return z if z.requires_grad else z.detach().requires_grad_(True)


def _values(field: Field, z: Tensor) -> Tensor:
    out = field(z)
    if out.shape != z.shape:
        raise InputError(
            f"A field on samples of shape {tuple(z.shape)} returned shape {tuple(out.shape)}."
        )
    return out

r"""The few directions in which a map acts, and how much of the contrast they hold.

Pooled principal components point along the difference of the means
:math:`\Delta = m_t - m_s` only where it is large against the spread within the populations,

.. math:: \Sigma = w_s \Sigma_s + w_t \Sigma_t + w_s w_t \Delta\Delta^\top,

so :func:`captured` belongs beside every fit: the share :math:`|P^\top\Delta|^2 / |\Delta|^2`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from axonal.errors import InputError, nearest
from axonal.transport.arrays import Array, tensor_of
from axonal.transport.covariance import ledoit_wolf_intensity

BasisName: TypeAlias = Literal["pooled", "mean_difference", "target", "fisher"]
"""How the directions are chosen."""

#: Directions with less than this part of the largest variance are rounding errors.
NO_VARIANCE = 1e-13


def subspace(source: Tensor, target: Tensor, n_components: int, basis: str | Array) -> Tensor:
    """Return orthonormal directions ``(units, n_components)``.

    Parameters
    ----------
    source, target
        Rows ``(samples, units)``.
    n_components
        How many; the columns count where a basis is given.
    basis
        ``"pooled"``: principal components of both populations together, about their common mean.
        ``"mean_difference"``: the difference of the means, then principal components of what is
        left within the populations. ``"target"``: principal components of the target.
        ``"fisher"``: Fisher's discriminant (within-population covariance shrunk as by Ledoit and
        Wolf), then as for ``"mean_difference"``. Or an array ``(units, k)`` of one's own.
    """
    if not isinstance(basis, str):
        return _own(basis, source)
    width = source.shape[1]
    whole = isinstance(n_components, int) and not isinstance(n_components, bool)
    if not whole or not 1 <= n_components <= width:
        raise InputError(
            f"n_components: expected a whole number from 1 to {width} or None, got {n_components!r}."
        )
    if basis == "pooled":
        both = torch.cat([source, target])
        return principal_axes(both - both.mean(dim=0), n_components)
    if basis == "target":
        return principal_axes(target - target.mean(dim=0), n_components)
    within = torch.cat([source - source.mean(dim=0), target - target.mean(dim=0)])
    if basis == "mean_difference":
        first = mean_difference(source, target)
    elif basis == "fisher":
        first = _discriminant(within, mean_difference(source, target))
    else:
        raise InputError(f"basis: there is no {basis!r}; {nearest(basis, get_args(BasisName))}")
    first = (first / torch.linalg.vector_norm(first))[:, None]
    if n_components == 1:
        return first
    rest = principal_axes(within - (within @ first) @ first.mT, n_components - 1)
    rest = rest - first @ (first.mT @ rest)
    return torch.cat([first, torch.linalg.qr(rest).Q], dim=1)


def captured(basis: Tensor | None, difference: Tensor) -> float:
    """Return the share of the squared difference of the means that lies in the subspace."""
    if basis is None:
        return 1.0
    whole = float(difference.square().sum())
    inside = float((difference @ basis).square().sum())
    return min(inside / whole, 1.0) if whole > 0 else 1.0


def mean_difference(source: Tensor, target: Tensor) -> Tensor:
    """Return the mean of the target minus that of the source; refuse equal means."""
    difference = target.mean(dim=0) - source.mean(dim=0)
    scale = max(float(source.abs().max()), float(target.abs().max()))
    if float(difference.abs().max()) <= 1e-13 * scale:
        raise InputError(
            "source and target have the same mean: there is no direction between them."
        )
    return difference


def principal_axes(centred: Tensor, count: int) -> Tensor:
    """Return the first principal axes of centred rows ``(samples, units)``, signs fixed."""
    variances, axes = _spectrum(centred)
    rank = int((variances > NO_VARIANCE * variances[0]).sum()) if float(variances[0]) > 0 else 0
    if rank < count:
        raise InputError(
            f"{len(centred)} rows vary in {rank} directions only, but {count} were asked for: use "
            "fewer components or more rows."
        )
    axes = axes[:, :count]
    largest = axes.abs().argmax(dim=0)
    return axes * axes[largest, torch.arange(count, device=axes.device)].sign()


def _spectrum(centred: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of squares along the principal axes, largest first, and the axes ``(units, r)``."""
    n, width = centred.shape
    if n < width:
        _, sizes, axes = torch.linalg.svd(centred, full_matrices=False)
        return sizes.square(), axes.mT
    values, axes = torch.linalg.eigh(centred.mT @ centred)
    return values.flip(0).clamp_min(0.0), axes.flip(1)


def _discriminant(within: Tensor, difference: Tensor) -> Tensor:
    """Solve ((1 - rho) S + rho mu I) w = difference in the principal axes of S."""
    n = len(within)
    values, axes = _spectrum(within)
    intensity = ledoit_wolf_intensity(within)
    floor = intensity * float(values.sum()) / n / within.shape[1]
    values = (1 - intensity) * values / n + floor
    seen = difference @ axes
    if float(values.min()) <= NO_VARIANCE * float(values.max()):
        raise InputError("basis='fisher' needs populations that vary in every direction.")
    inside = axes @ (seen / values)
    return inside + (difference - axes @ seen) / floor if floor > 0 else inside


def _own(basis: Array, source: Tensor) -> Tensor:
    own, _ = tensor_of(basis, "basis")
    own = own[:, None] if own.ndim == 1 else own
    if own.ndim != 2 or len(own) != source.shape[1] or own.shape[1] > len(own):
        raise InputError(
            f"basis: expected shape ({source.shape[1]}, k), got {tuple(own.shape)}: one row a unit."
        )
    q, r = torch.linalg.qr(own.to(source.device))
    lengths = r.diagonal().abs()
    if float(lengths.min()) <= 1e-8 * float(lengths.max()):
        raise InputError(f"basis: its {own.shape[1]} columns are zero or linearly dependent.")
    return q * r.diagonal().sign()

r"""Covariances from few samples: unbiased, or shrunk towards a multiple of the identity.

O. Ledoit & M. Wolf, *A well-conditioned estimator for large-dimensional covariance matrices*,
J. Multivariate Anal. **88**, 365 (2004): :math:`(1-\rho) S + \rho\,\mu I` with
:math:`\mu = \operatorname{tr} S / d` and the intensity :math:`\rho` of least expected squared error,
estimated as their :math:`b^2/d^2` (Lemmas 3.2 to 3.5).
"""

from __future__ import annotations

from numbers import Real
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from axonal.errors import InputError

Shrinkage: TypeAlias = Literal["auto", "ledoit-wolf"] | float | None
"""How a covariance is shrunk: by a given intensity, by Ledoit and Wolf's, not at all, or "auto"."""

#: "auto" shrinks where there are fewer rows than this for each dimension.
ROWS_PER_DIMENSION = 10


def covariance(rows: Tensor, shrinkage: Shrinkage = None) -> tuple[Tensor, float]:
    """Return the covariance of rows ``(samples, k)``, ``(k, k)``, and the intensity of shrinkage.

    Parameters
    ----------
    rows
        At least two samples.
    shrinkage
        None: unbiased (divided by n - 1). A number from 0 to 1: that intensity. ``"ledoit-wolf"``:
        the optimal one. ``"auto"``: Ledoit and Wolf's where there are fewer than ten rows for each
        dimension, none otherwise.
    """
    intensity = _intensity(rows, check_shrinkage(shrinkage))
    centred = rows - rows.mean(dim=0)
    unbiased = centred.mT @ centred / (len(rows) - 1)
    if intensity == 0.0:
        return unbiased, 0.0
    scale = unbiased.diagonal().mean()
    identity = torch.eye(len(unbiased), dtype=rows.dtype, device=rows.device)
    return (1 - intensity) * unbiased + intensity * scale * identity, intensity


def ledoit_wolf_intensity(rows: Tensor) -> float:
    """Return Ledoit and Wolf's intensity for rows ``(samples, k)``: 0 trusts them, 1 does not.

    It does not depend on the units of the rows, and falls as 1/n.
    """
    n, k = rows.shape
    centred = rows - rows.mean(dim=0)
    # Through the smaller of the two products: the same sums of squares for n rows of k >> n units.
    product = centred @ centred.mT if n < k else centred.mT @ centred
    scale = float(centred.square().sum()) / n / k
    squared_norm = float(product.square().sum()) / n**2 / k
    dispersion = squared_norm - scale**2
    if dispersion <= 0.0:  # S is a multiple of the identity already
        return 1.0
    fourth = float(centred.square().sum(dim=1).square().sum()) / n / k
    return min(max((fourth - squared_norm) / n, 0.0), dispersion) / dispersion


def check_shrinkage(shrinkage: Shrinkage) -> Shrinkage:
    """Return the choice if it is one."""
    if shrinkage is None or shrinkage in ("auto", "ledoit-wolf"):
        return shrinkage
    number = isinstance(shrinkage, Real) and not isinstance(shrinkage, bool)
    if number and 0 <= float(shrinkage) <= 1:
        return float(shrinkage)
    raise InputError(
        "shrinkage: expected 'auto', 'ledoit-wolf', None or a number from 0 to 1, got "
        f"{shrinkage!r}."
    )


def _intensity(rows: Tensor, shrinkage: Shrinkage) -> float:
    if shrinkage is None:
        return 0.0
    if isinstance(shrinkage, float):
        return shrinkage
    if shrinkage == "auto" and len(rows) >= ROWS_PER_DIMENSION * rows.shape[1]:
        return 0.0
    return ledoit_wolf_intensity(rows)

r"""Rows from a stream: kept as they are while they are few, then as their mean and covariance.

Most maps depend on a population only through its mean and covariance. For n rows of k units with
n > k + 1 there are k + 1 rows with the same two moments: with orthonormal columns H ``(k + 1, k)``
that are orthogonal to (1, ..., 1) (Helmert's) and :math:`\Sigma = V \Lambda V^\top`,

.. math:: x_i = \bar x + \sqrt{k}\, H_i \Lambda^{1/2} V^\top .

So a fit on every token of a corpus needs the memory of one covariance.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from axonal.transport import (
    LEACE,
    AffineAblation,
    AffineTransport,
    DirectionalAblation,
    GaussianTransport,
    MeanShift,
)
from axonal.transport.covariance import ROWS_PER_DIMENSION
from axonal.transport.gaussian import MASSIVE

#: Rows are kept as they are up to this many times their width.
KEPT = 4


class RunningRows:
    """The rows of one population at one site, as they come.

    Parameters
    ----------
    compress
        Whether many rows may be reduced to their moments.
    """

    def __init__(self, *, compress: bool) -> None:
        self.count = 0
        self._compress = compress
        self._rows: list[Tensor] = []
        self._mean: Tensor | None = None
        self._scatter: Tensor | None = None
        self._limit = float("inf")
        self._held = 0

    def add(self, rows: Tensor) -> None:
        """Take in rows ``(samples, width)``."""
        self._rows.append(rows.detach().cpu())
        self._held += len(rows)
        if self._compress and self._held > KEPT * rows.shape[1]:
            self._absorb()

    @property
    def compressed(self) -> bool:
        """Whether the rows are gone and their moments are left."""
        return self._scatter is not None

    @property
    def samples(self) -> int:
        """How many rows came in."""
        return self.count + self._held

    def rows(self, *, moments: bool = False) -> Tensor:
        """Return the rows; with ``moments``, as few as have their mean and covariance.

        Returns
        -------
        Tensor
            ``(samples, width)``, or float64 ``(width + 1, width)``.
        """
        if not (moments or self.compressed):
            return torch.cat(self._rows)
        self._absorb()
        assert self._mean is not None
        assert self._scatter is not None
        values, vectors = torch.linalg.eigh(self._scatter / (self.count - 1))
        width = len(values)
        spread = values.clamp_min(0.0).sqrt()[:, None] * vectors.mT
        return self._mean + width**0.5 * _helmert(width) @ spread

    def _absorb(self) -> None:
        """Add the rows that are held to the moments (Chan, Golub & LeVeque 1983)."""
        if not self._rows:
            return
        x = torch.cat(self._rows).double()
        self._rows, self._held = [], 0
        norms = torch.linalg.vector_norm(x, dim=1)
        if self._limit == float("inf") and float(norms.median()) > 0:
            self._limit = MASSIVE * float(norms.median())
        x = x[norms <= self._limit]
        if len(x) == 0:
            return
        mean, count = x.mean(dim=0), len(x)
        scatter = (x - mean).mT @ (x - mean)
        if self._mean is None or self._scatter is None:
            self._mean, self._scatter, self.count = mean, scatter, count
            return
        total = self.count + count
        step = mean - self._mean
        self._scatter += scatter + torch.outer(step, step) * (self.count * count / total)
        self._mean = self._mean + step * (count / total)
        self.count = total


def moments_suffice(estimator: AffineTransport[Any], width: int) -> bool:
    """Whether a map depends on its populations only through their means and covariances."""
    if isinstance(estimator, MeanShift | DirectionalAblation | AffineAblation):
        return True
    if isinstance(estimator, LEACE):
        return estimator.shrinkage not in ("auto", "ledoit-wolf")
    if not isinstance(estimator, GaussianTransport) or estimator.massive == "keep":
        return False
    if isinstance(estimator.basis, str) and estimator.basis == "fisher":
        return False
    if estimator.shrinkage == "auto":  # unshrunk where there are this many rows
        size = estimator.n_components
        return size is not None and ROWS_PER_DIMENSION * size <= width + 1
    return estimator.shrinkage != "ledoit-wolf"


def _helmert(width: int) -> Tensor:
    """Orthonormal columns orthogonal to ones, ``(width + 1, width)``."""
    rows = torch.arange(width + 1, dtype=torch.float64)[:, None]
    k = torch.arange(1, width + 1, dtype=torch.float64)
    scale = (k * (k + 1)).rsqrt()
    return torch.where(rows < k, scale, torch.where(rows == k, -k * scale, 0.0))

r"""How unlike a reference population is a row? For rows that were moved to look ordinary.

A detector remembers the mean of ordinary rows, their variances along their principal directions, and
how much is left outside of these. A row is scored by

.. math:: s(x) = \lVert \Sigma_k^{-1/2} P^\top (x - \mu) \rVert^2 + \lVert x - \mu - PP^\top(x - \mu)
   \rVert^2 / \sigma^2

(Mahalanobis distance, with one variance for all that is outside: the log-likelihood of
probabilistic principal components, Tipping & Bishop 1999). A row that was moved in a few directions
keeps the rest of what it was, which rows that came there by themselves do not have. What whole
windows of rows tell is in :class:`axonal.language.steering.DriftMonitor`.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.transport.arrays import Array, tensor_of


class NoveltyDetector:
    """Score rows by how unlike a reference population they are.

    Parameters
    ----------
    n_components
        Principal directions of the reference; fewer than its rows.

    Attributes
    ----------
    mean_, basis_
        Of the reference: ``(units,)`` and ``(units, k)``.
    variances_
        The reference's along the directions, ``(k,)``.
    left_
        The variance outside of them, of one unit.
    """

    mean_: Tensor
    basis_: Tensor
    variances_: Tensor
    left_: float

    def __init__(self, n_components: int = 8) -> None:
        self.n_components = n_components

    def fit(self, reference: Array) -> Self:
        """Learn what is ordinary from rows ``(samples, units)``."""
        x, _ = tensor_of(reference, "reference")
        if x.ndim != 2:
            raise InputError(f"reference: expected rows (samples, units), got {tuple(x.shape)}.")
        samples, units = x.shape
        most = min(samples - 2, units - 1)
        if not 1 <= self.n_components <= most:
            raise InputError(
                f"n_components: {samples} rows of {units} units allow 1 to {most}, got "
                f"{self.n_components}: use fewer, or more rows."
            )
        x = x.double()
        self.mean_ = x.mean(dim=0)
        _, sizes, axes = torch.linalg.svd(x - self.mean_, full_matrices=False)
        variances = sizes.square() / (samples - 1)
        left = variances[self.n_components :].sum() / (units - self.n_components)
        if not float(left) > 1e-12 * float(variances.sum()):
            raise InputError(
                f"reference: its rows vary in no more than {self.n_components} directions, so "
                "nothing is left outside of them: use fewer components."
            )
        self.basis_ = axes[: self.n_components].mT
        self.left_ = float(left)
        self.variances_ = variances[: self.n_components]
        return self

    def score(self, rows: Array) -> Any:
        """Return how unlike the reference each row is, ``(samples,)``; the larger the less alike."""
        x, kind = self._rows(rows)
        inside = x @ self.basis_
        outside = x - inside @ self.basis_.mT
        scores = (inside.square() / self.variances_).sum(-1) + outside.square().sum(-1) / self.left_
        return kind.back(scores)

    def _rows(self, rows: Array) -> tuple[Tensor, Any]:
        if not hasattr(self, "mean_"):
            raise InputError("This NoveltyDetector is not fitted: call fit first.")
        x, kind = tensor_of(rows, "rows")
        if x.ndim != 2 or x.shape[-1] != len(self.mean_):
            raise InputError(
                f"rows: this detector was fitted on {len(self.mean_)} units, but shape "
                f"{tuple(x.shape)} came."
            )
        return x.double() - self.mean_.to(x.device), kind

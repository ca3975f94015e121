r"""Gaussian transport: the optimal affine map of one population onto another, in a subspace.

G. Nanfack, E. Belilovsky, E. Dohmatob, *Efficient Refusal Ablation in LLM through Optimal
Transport*, arXiv:2603.04355 (2026). With :math:`z = P^\top (x - \mu)` for directions P, and the
Monge map T of :mod:`axonal.transport.bures` between the normal laws of z in both populations,

.. math:: x' = x + \lambda P \bigl(T(z) - z\bigr).

Mean and covariance of the source become those of the target within P, with the least mean squared
displacement; what is orthogonal to P stays. The strength runs along the Wasserstein geodesic.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from axonal.errors import InputError
from axonal.transport.affine import AffineMap
from axonal.transport.arrays import Array, require_spread
from axonal.transport.bures import Gaussian, monge_matrix
from axonal.transport.covariance import Shrinkage, check_shrinkage, covariance
from axonal.transport.estimator import AffineTransport
from axonal.transport.subspace import BasisName, captured, subspace

#: A row is massive (an attention sink) where its norm exceeds this many times the median norm.
MASSIVE = 20.0


@dataclass(frozen=True, eq=False)
class GaussianReport:
    """What a fit found.

    Parameters
    ----------
    n_source, n_target
        Rows used.
    dropped
        Massive rows that were left out, of source and target.
    captured
        The share of the squared difference of the means that the subspace holds.
    distance
        Wasserstein-2 distance of the two laws in the subspace, in units of the rows.
    mean_distance
        The part of it that the means make: a mean shift alone bridges no more.
    stretches
        Eigenvalues of A, ascending: the factors along its axes.
    shrinkage
        Intensities used for source and target; 0 is none.
    """

    n_source: int
    n_target: int
    dropped: tuple[int, int]
    captured: float
    distance: float
    mean_distance: float
    stretches: tuple[float, ...]
    shrinkage: tuple[float, float]


class GaussianTransport(AffineTransport[AffineMap]):
    """Move a population onto another by the optimal map between their normal laws.

    Parameters
    ----------
    n_components
        Directions to act in; None is the whole space.
    basis
        How they are chosen, see :func:`axonal.transport.subspace.subspace`; or an array
        ``(units, k)``, whose columns then count.
    shrinkage
        See :func:`axonal.transport.covariance.covariance`.
    ridge
        Added to both covariances, in parts of their mean eigenvalue; 0 makes the moments of the
        training rows exact.
    massive
        ``"drop"`` leaves out, with a warning, rows whose norm is more than 20 times the median
        (the first token of a language model); ``"keep"`` keeps them.
    strength
        λ: 0 leaves every row, 1 transports it in full; between them is the geodesic.

    Attributes
    ----------
    map_
        The fitted :class:`AffineMap`.
    source_, target_
        The normal laws of the coordinates, as the map saw them.
    report_
        A :class:`GaussianReport`.
    """

    source_: Gaussian
    target_: Gaussian
    report_: GaussianReport

    def __init__(
        self,
        n_components: int | None = 2,
        *,
        basis: BasisName | Array = "pooled",
        shrinkage: Shrinkage = "auto",
        ridge: float = 1e-6,
        massive: Literal["drop", "keep"] = "drop",
        strength: float = 1.0,
    ) -> None:
        self.n_components = n_components
        self.basis = basis
        self.shrinkage: Shrinkage = shrinkage
        self.ridge = ridge
        self.massive: Literal["drop", "keep"] = massive
        self.strength = strength

    @override
    def learn(self, source: Tensor, target: Tensor) -> AffineMap:
        """Return the map for float64 rows ``(samples, units)``."""
        self._check_parameters()
        source, target, dropped = self._without_massive(source, target)
        require_spread(source, "source")
        require_spread(target, "target")
        whole = isinstance(self.basis, str) and self.n_components is None
        basis = None if whole else subspace(source, target, self.n_components or 0, self.basis)
        size = source.shape[1] if basis is None else basis.shape[1]
        self._require_rows(source, target, size)
        difference = target.mean(dim=0) - source.mean(dim=0)
        share = captured(basis, difference)
        center = torch.cat([source, target]).mean(dim=0)
        x, y = source - center, target - center
        if basis is not None:
            x, y = x @ basis, y @ basis
        cov_s, intensity_s = covariance(x, self.shrinkage)
        cov_t, intensity_t = covariance(y, self.shrinkage)
        level = self.ridge * float((cov_s.trace() + cov_t.trace()) / 2) / size
        identity = torch.eye(size, dtype=x.dtype, device=x.device)
        cov_s, cov_t = cov_s + level * identity, cov_t + level * identity
        mean_s, mean_t = x.mean(dim=0), y.mean(dim=0)
        matrix = monge_matrix(cov_s, cov_t)
        step = matrix - identity
        between = float((mean_t - mean_s).square().sum())
        self.source_, self.target_ = Gaussian(mean_s, cov_s), Gaussian(mean_t, cov_t)
        self.report_ = GaussianReport(
            n_source=len(source),
            n_target=len(target),
            dropped=dropped,
            captured=share,
            # E|T(z) - z|^2 = tr((A - I) S (A - I)): a sum of squares, without cancellation
            distance=(between + max(float((step @ cov_s * step).sum()), 0.0)) ** 0.5,
            mean_distance=between**0.5,
            stretches=tuple(torch.linalg.eigvalsh(matrix).tolist()),
            shrinkage=(intensity_s, intensity_t),
        )
        self._warn()
        return AffineMap(matrix, mean_t - matrix @ mean_s, basis, center)

    def _check_parameters(self) -> None:
        check_shrinkage(self.shrinkage)
        number = isinstance(self.ridge, Real) and not isinstance(self.ridge, bool)
        if not number or not 0 <= float(self.ridge) < float("inf"):
            raise InputError(f"ridge: expected a number of at least 0, got {self.ridge!r}.")
        if self.massive not in ("drop", "keep"):
            raise InputError(f"massive: expected 'drop' or 'keep', got {self.massive!r}.")

    def _require_rows(self, source: Tensor, target: Tensor, size: int) -> None:
        shrunk = self.shrinkage is not None and self.shrinkage != 0
        needed = 3 if shrunk else size + 2
        for name, rows in (("source", source), ("target", target)):
            if len(rows) < needed:
                hint = "" if shrunk else ", fewer components or shrinkage='ledoit-wolf'"
                raise InputError(
                    f"{name}: {len(rows)} rows are too few for {size} components, expected at "
                    f"least {needed}: use more rows{hint}."
                )

    def _without_massive(
        self, source: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, tuple[int, int]]:
        if self.massive == "keep":
            return source, target, (0, 0)
        norms = torch.linalg.vector_norm(source, dim=1), torch.linalg.vector_norm(target, dim=1)
        limit = MASSIVE * torch.cat(norms).median()
        if float(limit) == 0.0:  # most rows are zero: no scale to judge by
            return source, target, (0, 0)
        kept = norms[0] <= limit, norms[1] <= limit
        dropped = int((~kept[0]).sum()), int((~kept[1]).sum())
        if dropped == (0, 0):
            return source, target, dropped
        warnings.warn(
            f"{dropped[0]} rows of source and {dropped[1]} of target have a norm of more than "
            f"{MASSIVE:g} times the median (first tokens?) and were left out; massive='keep' keeps "
            "them.",
            stacklevel=4,
        )
        source, target = source[kept[0]], target[kept[1]]
        for name, rows in (("source", source), ("target", target)):
            if len(rows) < 2:
                raise InputError(f"{name}: {len(rows)} rows are left without the massive ones.")
        return source, target, dropped

    def _warn(self) -> None:
        found = self.report_
        if found.captured < 0.2:
            warnings.warn(
                f"The chosen subspace holds {100 * found.captured:.0f} % of the mean difference; "
                "raise n_components or use basis='mean_difference'.",
                stacklevel=4,
            )
        low, high = found.stretches[0], found.stretches[-1]
        if low < 0.1 or high > 10.0:
            warnings.warn(
                f"The map stretches its axes by {low:.2g} to {high:.2g}: a covariance is nearly "
                "singular or the sets are too small; use more rows, fewer components or shrinkage.",
                stacklevel=4,
            )

r"""The paper's measures of a prediction, and those that it lacks.

Eleven random batches of 512 predicted and 512 measured cells (with replacement), in the space of the
measured features, restricted to marker genes; every measure is averaged over the batches.

- ``r2``: the squared Pearson correlation of the two vectors of feature means. It is blind to offset
  and scale, and is no coefficient of determination.
- ``signature``: the distance of the two vectors of means.
- ``mmd``: the biased squared maximum mean discrepancy, the mean over six Gaussian kernels.
- ``wasserstein``: :math:`\mathrm{OT}_{0.1}` with Euclidean cost (the KL value).
- ``divergence``: the Sinkhorn divergence at epsilon 0.1.
- ``gap``: the Monge gap at epsilon 1 *between measured and predicted cells*. They are not paired, so it
  says nothing; it is here for parity with the official code.

Beyond the paper: ``spread``, the mean absolute difference of the features' standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from axonal.errors import InputError
from axonal.transport import exact_transport, mmd, monge_gap, sinkhorn_divergence, transport_points

BATCHES, CELLS = 11, 512
_OPTIONS = {"cost": "euclidean", "tolerance": 1e-3}


@dataclass(frozen=True)
class PerturbationMetrics:
    """How far predicted cells are from measured ones; see the module for each."""

    r2: float
    signature: float
    mmd: float
    wasserstein: float
    divergence: float
    gap: float
    spread: float

    def as_dict(self) -> dict[str, float]:
        """Return the measures by name."""
        return asdict(self)


def perturbation_metrics(
    target: np.ndarray,
    predicted: np.ndarray,
    *,
    markers: Sequence[int] | np.ndarray | None = None,
    batches: int = BATCHES,
    cells: int = CELLS,
    seed: int = 0,
    only: Sequence[str] | None = None,
) -> PerturbationMetrics:
    """Compare predicted with measured cells, as the paper does.

    Parameters
    ----------
    target, predicted
        Cells ``(n, features)`` and ``(m, features)``, in the space of the measured features.
    markers
        Columns that count; None: all. See :func:`marker_genes`.
    batches, cells
        How many batches, and cells of each side in one.
    seed
        Of the batches.
    only
        Names of measures; the others are NaN, which saves their time.
    """
    y, z = _rows(target, "target"), _rows(predicted, "predicted")
    if y.shape[1] != z.shape[1]:
        raise InputError(f"target has {y.shape[1]} features, predicted {z.shape[1]}.")
    if markers is not None:
        y, z = y[:, np.asarray(markers)], z[:, np.asarray(markers)]
    rng = np.random.default_rng(seed)
    parts = [
        batch_metrics(
            y[rng.integers(len(y), size=cells)], z[rng.integers(len(z), size=cells)], only
        )
        for _ in range(batches)
    ]
    names = parts[0].as_dict()
    return PerturbationMetrics(
        **{name: float(np.mean([getattr(part, name) for part in parts])) for name in names}
    )


def batch_metrics(
    target: np.ndarray, predicted: np.ndarray, only: Sequence[str] | None = None
) -> PerturbationMetrics:
    """Return the measures of one batch: measured and predicted cells as they are."""
    y, z = torch.as_tensor(target).double(), torch.as_tensor(predicted).double()

    def wanted(name: str) -> bool:
        return only is None or name in only

    return PerturbationMetrics(
        r2=squared_correlation(y.mean(0).numpy(), z.mean(0).numpy()),
        signature=float((y.mean(0) - z.mean(0)).norm()),
        mmd=float(mmd(y, z)) if wanted("mmd") else np.nan,
        wasserstein=float(transport_points(y, z, 0.1, **_OPTIONS).value)
        if wanted("wasserstein")
        else np.nan,
        divergence=float(sinkhorn_divergence(y, z, 0.1, **_OPTIONS))
        if wanted("divergence")
        else np.nan,
        gap=float(monge_gap(y, z, 1.0, **_OPTIONS))
        if wanted("gap") and len(y) == len(z)
        else np.nan,
        spread=float((y.std(0) - z.std(0)).abs().mean()) if min(len(y), len(z)) > 1 else np.nan,
    )


def squared_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Pearson correlation; NaN where one side does not vary."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float((a @ b / scale) ** 2) if scale > 0 else float("nan")


def exact_wasserstein(target: np.ndarray, predicted: np.ndarray) -> float:
    """Return the exact Wasserstein-1 distance of two sets of cells, by POT."""
    return float(exact_transport(target, predicted, cost="euclidean").value)


def marker_genes(treated: np.ndarray, control: np.ndarray, count: int = 50) -> np.ndarray:
    """Return the columns that a treatment raises most, by Welch's t (scanpy's default ranking).

    Parameters
    ----------
    treated, control
        Cells ``(n, features)``, on a logarithmic scale.
    count
        How many; all where there are fewer.
    """
    y, x = _rows(treated, "treated"), _rows(control, "control")
    variance = y.var(0, ddof=1) / len(y) + x.var(0, ddof=1) / len(x)
    difference = y.mean(0) - x.mean(0)
    score = np.divide(
        difference, np.sqrt(variance), out=np.zeros_like(difference), where=variance > 0
    )
    return np.argsort(-score, kind="stable")[:count]


def specificity(predicted: np.ndarray, measured: np.ndarray) -> tuple[float, float]:
    """Return how alike the effects of different drugs are, predicted and measured.

    Parameters
    ----------
    predicted, measured
        Mean effects ``(drugs, features)``: treated minus control.

    Returns
    -------
    tuple
        Mean Pearson correlation between different drugs, of either. A model that predicts one effect
        for all has 1 where the data do not.
    """
    alike = []
    for effects in (predicted, measured):
        correlation = np.corrcoef(effects)
        alike.append(float(correlation[~np.eye(len(correlation), dtype=bool)].mean()))
    return alike[0], alike[1]


def _rows(values: np.ndarray, name: str) -> np.ndarray:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or len(rows) == 0:
        raise InputError(f"{name}: expected cells (n, features), got shape {rows.shape}.")
    if not np.isfinite(rows).all():
        raise InputError(f"{name}: NaN or infinite values.")
    return rows

"""The intervals verdicts rest on: of a mean over repeats, and of a difference of means.

Means and paired differences have the studentised bootstrap of `axonal.statistics.estimate`, which
keeps its 95 % also with few repeats. Samples that cannot be paired, because one has more repeats,
have Welch's interval.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from axonal.statistics import estimate

if TYPE_CHECKING:
    from axonal.lab.measurement import Measurement

LEVEL = 0.95


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the interval of the mean over repeats.

    Parameters
    ----------
    values
        Shape ``(repeats,)`` or ``(repeats, points)``. Differences taken repeat by repeat before
        are paired. One repeat has an infinite interval.
    level
        The probability with which the interval covers the mean.

    Returns
    -------
    low, high
        Shape ``()`` or ``(points,)``.
    """
    columns = np.ascontiguousarray(values.reshape(len(values), -1).T, dtype=float)
    ends = np.array([_ends(column.tobytes(), level) for column in columns])
    return ends[:, 0].reshape(values.shape[1:]), ends[:, 1].reshape(values.shape[1:])


@lru_cache(maxsize=4096)
def _ends(values: bytes, level: float) -> tuple[float, float]:
    """Return the ends for one column; a verdict, its sentence and its table ask for the same."""
    found = estimate(np.frombuffer(values), level)
    return found.low, found.high


def measurement_interval(
    measurement: Measurement,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, low and high of a measurement, shape ``()`` or ``(points,)``.

    An exact one has an interval of no width; one stochastic repeat, or a value that is not a
    number, has none (NaN).
    """
    with np.errstate(invalid="ignore", over="ignore"):
        mean = measurement.values.mean(axis=0)
    if measurement.exact:
        return mean, mean, mean
    if measurement.repeats > 1 and measurement.finite:
        low, high = interval(measurement.values)
        if measurement.bounds is not None:
            low, high = np.clip(low, *measurement.bounds), np.clip(high, *measurement.bounds)
        return mean, low, high
    nothing = np.full_like(mean, np.nan)
    return mean, nothing, nothing


def unpaired_interval(
    a: np.ndarray, b: np.ndarray, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Welch's interval of ``mean(a) - mean(b)`` for independent samples.

    Shapes ``(repeats_a, points)`` and ``(repeats_b, points)``, at least two repeats each.
    """
    from scipy.special import stdtrit

    squares = [sample.var(axis=0, ddof=1) / len(sample) for sample in (a, b)]
    total = squares[0] + squares[1]
    pooled = squares[0] ** 2 / (len(a) - 1) + squares[1] ** 2 / (len(b) - 1)
    freedom = np.where(pooled > 0, total**2 / np.where(pooled > 0, pooled, 1.0), 1.0)
    half = stdtrit(freedom, (1 + level) / 2) * np.sqrt(total)
    mean = a.mean(axis=0) - b.mean(axis=0)
    return mean - half, mean + half

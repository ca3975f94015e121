r"""Pearson's and Spearman's correlation along an axis, with intervals.

Intervals are Fisher's: normal on the scale :math:`z = \operatorname{artanh} r`, with standard
error :math:`1/\sqrt{n-3}` for Pearson's r and :math:`\sqrt{(1 + r^2/2)/(n-3)}` for Spearman's
(Bonett & Wright, 2000). They assume pairs that are independent of one another; where they are
not (the layers of one model), use `bootstrap` over what is independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.statistics.checks import finite, fraction


@dataclass(frozen=True)
class Correlation:
    """Correlations with their intervals: numbers for vectors, arrays for arrays.

    Parameters
    ----------
    r
        The coefficient; NaN where one of the two is constant, because none is defined there.
    low, high
        Ends of the interval; -1 and 1 with fewer than four pairs, NaN where ``r`` is.
    n
        The number of pairs.
    level
        The confidence level.
    """

    r: Any
    low: Any
    high: Any
    n: int
    level: float = 0.95


def pearson(a: ArrayLike, b: ArrayLike, level: float = 0.95, *, axis: int = -1) -> Correlation:
    """Return Pearson's correlation along an axis.

    Parameters
    ----------
    a, b
        Arrays whose shapes broadcast, with the same two values or more along ``axis``.
    level
        Confidence level.
    axis
        Along which pairs are counted; it is gone from the result.

    Examples
    --------
    >>> float(pearson([1, 2, 3, 4], [2, 4, 6, 9]).r) > 0.98
    True
    """
    first, second = _aligned(a, b, axis)
    r = _coefficient(first, second)
    n = first.shape[-1]
    return _with_interval(r, np.ones_like(r), n, level)


def spearman(a: ArrayLike, b: ArrayLike, level: float = 0.95, *, axis: int = -1) -> Correlation:
    """Return Spearman's rank correlation along an axis (ties get their mean rank).

    Parameters are those of `pearson`.
    """
    from scipy.stats import rankdata

    first, second = _aligned(a, b, axis)
    r = _coefficient(rankdata(first, axis=-1), rankdata(second, axis=-1))
    return _with_interval(r, 1 + r**2 / 2, first.shape[-1], level)


def _aligned(
    a: ArrayLike, b: ArrayLike, axis: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = finite(a, "a"), finite(b, "b")
    try:
        first, second = np.broadcast_arrays(first, second)
        first, second = np.moveaxis(first, axis, -1), np.moveaxis(second, axis, -1)
    except ValueError as error:
        raise InputError(
            f"expected two arrays of one shape with an axis {axis}, got {np.shape(a)} and "
            f"{np.shape(b)}."
        ) from error
    if first.shape[-1] < 2:
        raise InputError(f"expected at least 2 pairs along axis {axis}, got {first.shape[-1]}.")
    return first, second


def _coefficient(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    constant = (np.ptp(a, axis=-1) == 0) | (np.ptp(b, axis=-1) == 0)
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        a = a / np.sqrt(np.sum(a * a, axis=-1, keepdims=True))
        b = b / np.sqrt(np.sum(b * b, axis=-1, keepdims=True))
        r = np.clip(np.sum(a * b, axis=-1), -1.0, 1.0)
    return np.where(constant, np.nan, r)


def _with_interval(
    r: NDArray[np.float64], spread: NDArray[np.float64], n: int, level: float
) -> Correlation:
    from scipy.special import ndtri

    z = float(ndtri(1 - (1 - fraction(level)) / 2))
    if n < 4:
        low = np.where(np.isnan(r), np.nan, -1.0)
        return Correlation(r[()], low[()], -low[()], n, level)
    with np.errstate(divide="ignore"):
        centre = np.arctanh(r)
    half = z * np.sqrt(spread / (n - 3))
    return Correlation(r[()], np.tanh(centre - half)[()], np.tanh(centre + half)[()], n, level)

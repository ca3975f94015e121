r"""The mean of repeated measurements with an interval, and the mean difference of pairs.

The interval is the studentised bootstrap (bootstrap-t; Efron & Tibshirani, An Introduction to the
Bootstrap, 1993, section 12.5): resample, compute :math:`t^* = (\bar x^* - \bar x) / s^*_{\bar x}`,
and turn its quantiles around,

.. math:: [\bar x - t^*_{1-\alpha/2} s_{\bar x},\; \bar x - t^*_{\alpha/2} s_{\bar x}].

Measurements of a study have few repeats, and there the better known bootstraps are too narrow:
with five normal values the 95 % BCa or percentile interval covers the mean in 84 % of the cases,
the studentised one in 95 % (three values: 74 %). Where resampling cannot work, Student's t takes
its place: with fewer than five values, with values so tied that many resamples have no spread,
and above 2,000 values, where both agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.statistics.checks import finite, fraction, paired

FEWEST_TO_RESAMPLE = 5
MOST_TO_RESAMPLE = 2_000
RESAMPLES = 9_999


@dataclass(frozen=True)
class Estimate:
    """A mean with its confidence interval.

    Parameters
    ----------
    mean
        The sample mean.
    low, high
        Ends of the interval. One value alone says nothing of the spread: minus and plus infinity.
    n
        The number of values (or pairs).
    level
        The confidence level.
    """

    mean: float
    low: float
    high: float
    n: int
    level: float = 0.95

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"{self.mean:.4g} (n = {self.n}: no interval)"
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def estimate(values: ArrayLike, level: float = 0.95, *, seed: int = 0) -> Estimate:
    """Return the mean of repeats with its interval.

    Parameters
    ----------
    values
        Independent repeats, (n,).
    level
        Confidence level.
    seed
        Of the resampling; the same values give the same interval.

    Examples
    --------
    >>> str(estimate([1.0, 2.0, 3.0]))
    '2 [-0.4841, 4.484]'
    """
    values, level = finite(values, "values", dimensions=1), fraction(level)
    n, mean = values.size, float(values.mean())
    if n == 1:
        return Estimate(mean, -math.inf, math.inf, n, level)
    error = float(values.std(ddof=1)) / math.sqrt(n)
    if np.ptp(values) == 0:
        return Estimate(mean, mean, mean, n, level)
    low, high = _quantiles_of_t(values, level, seed)
    return Estimate(mean, mean - high * error, mean - low * error, n, level)


def paired_difference(
    a: ArrayLike, b: ArrayLike, level: float = 0.95, *, seed: int = 0
) -> Estimate:
    """Return the mean of ``a - b`` over pairs, with its interval.

    Parameters
    ----------
    a, b
        The same repeats measured in two ways, (n,) each: the i-th values belong together.
    level, seed
        As in `estimate`.
    """
    first, second = paired(a, b)
    return estimate(first - second, level, seed=seed)


def _quantiles_of_t(values: NDArray[np.float64], level: float, seed: int) -> tuple[float, float]:
    """Return the two quantiles of the studentised mean: resampled where that works."""
    n = values.size
    tail = (1 - level) / 2
    if FEWEST_TO_RESAMPLE <= n <= MOST_TO_RESAMPLE:
        means, errors = _resampled(values, seed)
        # A resample without spread has t* = 0/0 or infinite: with more than a few of them, as
        # among yes/no values, the quantiles themselves would be infinite.
        usable = errors > 1e-9 * values.std()
        if np.mean(~usable) < tail / 5:
            t = (means[usable] - values.mean()) / errors[usable]
            low, high = np.quantile(t, [tail, 1 - tail])
            return float(low), float(high)
    from scipy.special import stdtrit

    high = float(stdtrit(n - 1, 1 - tail))
    return -high, high


def _resampled(
    values: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and its standard error for each resample, (resamples,) each."""
    rng = np.random.default_rng(seed)
    n = values.size
    centred = values - values.mean()
    block = max(1, 1_000_000 // n)  # resamples at a time: 8 MB, whatever n is
    means, errors = [], []
    for start in range(0, RESAMPLES, block):
        drawn = centred[rng.integers(0, n, (min(block, RESAMPLES - start), n))]
        means.append(drawn.mean(axis=1))
        errors.append(drawn.std(axis=1, ddof=1) / math.sqrt(n))
    return np.concatenate(means) + values.mean(), np.concatenate(errors)

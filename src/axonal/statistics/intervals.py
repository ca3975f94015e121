"""Intervals for quantities that are not means: any statistic (bootstrap), a proportion (Wilson)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.statistics.checks import finite, fraction


@dataclass(frozen=True)
class Interval:
    """A quantity with its confidence interval.

    Parameters
    ----------
    value
        The quantity itself.
    low, high
        Ends of the interval.
    n
        The number of values that it was computed from.
    level
        The confidence level.
    """

    value: float
    low: float
    high: float
    n: int
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def bootstrap(
    samples: ArrayLike | tuple[ArrayLike, ...],
    statistic: Callable[..., NDArray[np.float64] | float],
    level: float = 0.95,
    *,
    paired: bool = True,
    resamples: int = 9_999,
    seed: int = 0,
) -> Interval:
    """Return any statistic with its BCa bootstrap interval (Efron 1987, through SciPy).

    For a mean use `estimate`, whose interval is better with few values.

    Parameters
    ----------
    samples
        One sample (n,), or a tuple of samples.
    statistic
        ``statistic(*samples, axis=...)``, computed along that axis for all resamples at once, as
        NumPy's own functions are.
    level
        Confidence level.
    paired
        Resample all samples by the same indices; otherwise each by its own.
    resamples, seed
        How many resamples, and the seed they are drawn with.

    Examples
    --------
    >>> import numpy as np
    >>> str(bootstrap(np.arange(30.0), np.median))
    '14.5 [9.5, 19.5]'
    """
    from scipy import stats

    given = samples if isinstance(samples, tuple) else (samples,)
    arrays = [
        finite(sample, f"sample {index}", dimensions=1)
        for index, sample in enumerate(given, start=1)
    ]
    if any(array.size < 2 for array in arrays):
        raise InputError("bootstrap: expected at least 2 values a sample, got 1.")
    if paired and len({array.size for array in arrays}) > 1:
        sizes = " and ".join(str(array.size) for array in arrays)
        raise InputError(f"bootstrap: paired samples need one length, got {sizes}.")
    level = fraction(level)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # about degenerate resamples, which are dealt with below
        result = stats.bootstrap(
            arrays,
            statistic,
            method="BCa",
            confidence_level=level,
            paired=paired and len(arrays) > 1,
            n_resamples=resamples,
            batch=max(1, 4_000_000 // max(array.size for array in arrays)),
            vectorized=True,
            rng=np.random.default_rng(seed),
        )
        low, high = result.confidence_interval
        if not (math.isfinite(low) and math.isfinite(high)):
            # BCa has no correction where nearly all resamples give one value: percentiles then.
            tail = (1 - level) / 2
            low, high = np.nanquantile(result.bootstrap_distribution, [tail, 1 - tail])
        value = float(statistic(*arrays, axis=-1))
    if not math.isfinite(value):
        raise InputError("bootstrap: the statistic of the samples themselves is not finite.")
    n = arrays[0].size if paired else sum(array.size for array in arrays)
    return Interval(value, float(low), float(high), n, level)


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    r"""Return a proportion with Wilson's score interval (Wilson 1927).

    .. math:: \frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n}

    It stays within 0 and 1, and is not empty at 0 of n or n of n.

    Parameters
    ----------
    successes, trials
        Whole numbers, ``0 <= successes <= trials`` and ``trials >= 1``.
    level
        Confidence level.

    Examples
    --------
    >>> str(wilson_interval(8, 10))
    '0.8 [0.4902, 0.9433]'
    """
    from scipy.special import ndtri

    whole = float(successes).is_integer() and float(trials).is_integer()
    if not (whole and 0 <= successes <= trials):
        raise InputError(f"expected whole 0 <= successes <= trials, got {successes} of {trials}.")
    if trials < 1:
        raise InputError("trials: expected at least one, got 0.")
    n, p = int(trials), int(successes) / int(trials)
    z = float(ndtri(1 - (1 - fraction(level)) / 2))
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(p, low, high, n, level)

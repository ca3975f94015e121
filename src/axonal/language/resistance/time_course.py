"""Do latents follow the drift? Their activation around the moment of a correction.

Episodes are aligned at the first token of their correction and cut into bins of a few tokens; the
segments before it (off topic) and after it (on topic again) are compared with episodes that needed no
correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError


@dataclass(frozen=True, eq=False)
class TimeCourse:
    """A trace aligned at the correction.

    Parameters
    ----------
    offsets
        ``(bins,)``: the middle of each bin, in tokens from the correction.
    mean, error
        ``(bins,)``: mean over episodes and its standard error; NaN where no episode reaches.
    episodes
        ``(bins,)``: how many episodes reach a bin.
    """

    offsets: NDArray[np.float64]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]
    episodes: NDArray[np.int64]


def time_course(
    traces: Sequence[ArrayLike], onsets: Sequence[int], *, width: int = 6, bins: int = 50
) -> TimeCourse:
    """Align traces at their onsets and average them in bins.

    Parameters
    ----------
    traces
        One value a token for each episode, such as the mean activation of detectors.
    onsets
        The first token of the correction in each trace.
    width, bins
        Tokens a bin, and how many bins; half of them lie before the correction.
    """
    if len(traces) != len(onsets) or not traces:
        raise InputError(f"{len(traces)} traces need one onset each, got {len(onsets)}.")
    first = -(bins // 2)
    table = np.full((len(traces), bins), np.nan)
    for row, (trace, onset) in enumerate(zip(traces, onsets, strict=True)):
        values = np.asarray(trace, dtype=float)
        if not 0 <= onset <= len(values):
            raise InputError(f"Episode {row} has {len(values)} tokens and its onset at {onset}.")
        for column in range(bins):
            start = onset + (first + column) * width
            part = values[max(0, start) : max(0, start + width)]
            if len(part):
                table[row, column] = part.mean()
    reach = np.isfinite(table).sum(axis=0)
    sums = np.nansum(table, axis=0)
    mean = np.divide(sums, reach, out=np.full(bins, np.nan), where=reach > 0)
    spread = np.nansum((table - mean) ** 2, axis=0)
    error = np.full(bins, np.nan)
    several = reach > 1
    error[several] = np.sqrt(spread[several] / (reach[several] - 1) / reach[several])
    offsets = (np.arange(bins, dtype=np.float64) + first + 0.5) * width
    return TimeCourse(offsets, mean, error, reach)


def smoothed(values: ArrayLike, alpha: float = 0.5) -> NDArray[np.float64]:
    """Return the exponential smoothing ``y_i = alpha x_i + (1 - alpha) y_(i-1)``."""
    x = np.asarray(values, dtype=float)
    if not 0 < alpha <= 1:
        raise InputError(f"alpha lies in (0, 1], got {alpha}.")
    y = x.copy()
    for i in range(1, len(x)):
        y[i] = alpha * x[i] + (1 - alpha) * y[i - 1]
    return y


@dataclass(frozen=True)
class Comparison:
    """Two samples compared in the four ways of the paper.

    Parameters
    ----------
    cohens_d
        Difference of means in units of the pooled standard deviation.
    cliffs_delta
        P(a > b) - P(a < b).
    welch_p, wilcoxon_p
        Of Welch's t-test, and of Wilcoxon's: signed ranks for pairs, else rank sums.
    """

    cohens_d: float
    cliffs_delta: float
    welch_p: float
    wilcoxon_p: float


def compare_samples(a: ArrayLike, b: ArrayLike, *, paired: bool = False) -> Comparison:
    """Compare two samples; ``paired`` says that the i-th values belong together."""
    from scipy import stats as scipy_stats

    stats: Any = scipy_stats
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if min(len(x), len(y)) < 2 or (paired and len(x) != len(y)):
        raise InputError(
            f"Samples need two values each, pairs equal numbers; got {len(x)}, {len(y)}."
        )
    pooled = math.sqrt(
        ((len(x) - 1) * x.var(ddof=1) + (len(y) - 1) * y.var(ddof=1)) / (len(x) + len(y) - 2)
    )
    difference = float(x.mean() - y.mean())
    d = difference / pooled if pooled > 0 else math.copysign(math.inf, difference or 1.0)
    if difference == 0:
        d = 0.0
    order = np.sign(x[:, None] - y[None, :])
    if not paired:
        rank_p = float(stats.ranksums(x, y).pvalue)
    elif np.any(x != y):
        rank_p = float(stats.wilcoxon(x, y).pvalue)
    else:
        rank_p = 1.0
    welch = float(stats.ttest_ind(x, y, equal_var=False).pvalue)
    return Comparison(d, float(order.mean()), 1.0 if math.isnan(welch) else welch, rank_p)

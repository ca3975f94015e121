"""Is the difference of two means more than chance? A permutation test (SciPy does the shuffling)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.statistics.checks import finite
from axonal.statistics.checks import paired as pairs


@dataclass(frozen=True)
class PermutationTest:
    """The outcome of a permutation test.

    Parameters
    ----------
    difference
        ``mean(a) - mean(b)``.
    p_value
        The share of rearrangements with a difference at least as extreme, the observed one among
        them, so it is never 0.
    """

    difference: float
    p_value: float


def permutation_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    paired: bool = False,
    alternative: Literal["two-sided", "less", "greater"] = "two-sided",
    resamples: int = 9_999,
    seed: int = 0,
) -> PermutationTest:
    """Test whether two samples have one mean by rearranging them.

    Parameters
    ----------
    a, b
        Samples, (n,) and (m,); of one length where ``paired``.
    paired
        Exchange the members within pairs, instead of pooling both samples.
    alternative
        ``"greater"``: the mean of ``a`` is the larger one.
    resamples
        All rearrangements are tried where there are no more than this, else this many at random.
    seed
        Of the random rearrangements.

    Examples
    --------
    >>> permutation_test([4, 5, 6], [1, 2, 3]).p_value
    0.1
    """
    from scipy import stats

    if paired:
        first, second = pairs(a, b)
    else:
        first, second = finite(a, "a", dimensions=1), finite(b, "b", dimensions=1)
    if min(first.size, second.size) < 2:
        raise InputError(f"expected at least 2 values a sample, got {first.size}, {second.size}.")
    result: Any = stats.permutation_test(
        (first, second),
        _difference,
        permutation_type="samples" if paired else "independent",
        alternative=alternative,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, 4_000_000 // (first.size + second.size)),
        rng=np.random.default_rng(seed),
    )
    return PermutationTest(float(result.statistic), float(result.pvalue))


def _difference(
    a: NDArray[np.float64], b: NDArray[np.float64], axis: int
) -> NDArray[np.float64] | np.float64:
    return a.mean(axis=axis) - b.mean(axis=axis)

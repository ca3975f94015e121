"""Intervals cover what they claim to cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from axonal.errors import InputError
from axonal.statistics import estimate, estimates, paired_difference


@pytest.fixture
def fewer_resamples(monkeypatch):
    """Enough for coverage, ten times as quick."""
    monkeypatch.setattr(estimates, "RESAMPLES", 999)


@pytest.mark.parametrize("n", [3, 5, 10, 40])
def test_interval_of_normal_values_covers_their_mean(n, fewer_resamples):
    samples = np.random.default_rng(n).normal(3.0, 2.0, (2000, n))
    found = [estimate(sample, seed=i) for i, sample in enumerate(samples)]
    assert 0.93 <= np.mean([e.low <= 3.0 <= e.high for e in found]) <= 0.97


def test_interval_of_skewed_values_covers_better_than_the_percentile_bootstrap(fewer_resamples):
    samples = np.random.default_rng(1).exponential(1.0, (1000, 10))
    found = [estimate(sample, seed=i) for i, sample in enumerate(samples)]
    ours = np.mean([e.low <= 1.0 <= e.high for e in found])
    percentile = stats.bootstrap(
        (samples,),
        np.mean,
        axis=1,
        n_resamples=999,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    theirs = np.mean((percentile.low <= 1.0) & (percentile.high >= 1.0))
    assert theirs < 0.90
    assert 0.92 <= ours <= 0.97


def test_level_is_the_share_of_intervals_that_cover(fewer_resamples):
    samples = np.random.default_rng(2).normal(0.0, 1.0, (1000, 8))
    found = [estimate(sample, level=0.8, seed=i) for i, sample in enumerate(samples)]
    assert 0.77 <= np.mean([e.low <= 0.0 <= e.high for e in found]) <= 0.83


def test_three_values_and_yes_no_values_have_students_interval():
    for values in ([1.0, 2.0, 4.0], [1.0] * 9 + [0.0]):
        ends = stats.ttest_1samp(values, 0).confidence_interval()
        found = estimate(values)
        assert (found.low, found.high) == pytest.approx((ends.low, ends.high))


def test_many_values_have_students_interval_which_resampling_would_match(monkeypatch):
    values = np.random.default_rng(0).normal(size=1999)
    resampled = estimate(values)
    monkeypatch.setattr(estimates, "MOST_TO_RESAMPLE", 100)
    student = estimate(values)
    assert resampled.low == pytest.approx(student.low, abs=2e-3)
    assert resampled.high == pytest.approx(student.high, abs=2e-3)


@pytest.mark.parametrize("n", [3, 12])
def test_interval_moves_and_stretches_with_the_values(n):
    values = np.random.default_rng(0).exponential(size=n)
    found, other = estimate(values), estimate(10.0 - 4.0 * values)
    assert other.mean == pytest.approx(10 - 4 * found.mean)
    assert other.low == pytest.approx(10 - 4 * found.high, rel=1e-9, abs=0.02 * (n > 4))
    stretched = estimate(10.0 + 4.0 * values)
    assert stretched.low == pytest.approx(10 + 4 * found.low)
    assert stretched.high == pytest.approx(10 + 4 * found.high)


def test_same_values_give_the_same_interval():
    values = np.random.default_rng(3).normal(size=20)
    assert estimate(values) == estimate(values)
    assert estimate(values) != estimate(values, seed=1)


def test_pairing_removes_what_the_pairs_share():
    rng = np.random.default_rng(4)
    shared = rng.normal(0, 100, 30)
    a, b = shared + 1 + rng.normal(0, 0.1, 30), shared + rng.normal(0, 0.1, 30)
    found = paired_difference(a, b)
    assert found.low > 0.9
    assert found.high < 1.1
    assert found == estimate(a - b)
    swapped = paired_difference(b, a)
    assert swapped.mean == pytest.approx(-found.mean)


def test_one_value_bounds_nothing_and_equal_values_have_no_width():
    one = estimate([2.0])
    assert (one.mean, one.low, one.high, one.n) == (2.0, -math.inf, math.inf, 1)
    assert str(one) == "2 (n = 1: no interval)"
    for n in (2, 10):
        same = estimate([0.1] * n)
        assert same.low == same.high == same.mean == pytest.approx(0.1)
    assert paired_difference([1, 2, 3], [0, 1, 2]).low == 1.0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "at least one value"),
        ([1.0, math.nan, math.inf], "2 of 3 values are not finite"),
        ([[1.0, 2.0]], "expected 1 dimension"),
        (["a"], "expected real numbers"),
        ([1j], "expected real numbers"),
    ],
)
def test_values_that_have_no_mean_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        estimate(values)


def test_lengths_and_levels_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="got 2 and 3"):
        paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="between 0 and 1"):
        estimate([1, 2], level=95)

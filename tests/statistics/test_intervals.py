"""The bootstrap of any statistic, and Wilson's interval of a proportion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from axonal.errors import InputError
from axonal.statistics import bootstrap, wilson_interval


def test_bootstrap_is_scipys_bca():
    values = np.random.default_rng(0).exponential(size=40)
    found = bootstrap(values, np.median, seed=7)
    theirs = stats.bootstrap(
        (values,), np.median, method="BCa", batch=1000, rng=np.random.default_rng(7)
    ).confidence_interval
    assert found.value == np.median(values)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.05)


def test_bootstrap_of_the_median_covers_it():
    samples = np.random.default_rng(1).normal(size=(400, 41))
    found = [bootstrap(sample, np.median, resamples=400) for sample in samples]
    assert 0.92 <= np.mean([e.low <= 0 <= e.high for e in found]) <= 0.98


def correlation(a, b, axis):
    a, b = a - a.mean(axis, keepdims=True), b - b.mean(axis, keepdims=True)
    return np.sum(a * b, axis) / np.sqrt(np.sum(a * a, axis) * np.sum(b * b, axis))


def test_paired_samples_are_resampled_together():
    rng = np.random.default_rng(2)
    a = rng.normal(size=50)
    found = bootstrap((a, a + 0.1 * rng.normal(size=50)), correlation)
    assert found.low > 0.98
    assert found.n == 50


def ratio(a, b, axis):
    return a.mean(axis) / b.mean(axis)


def test_samples_of_their_own_may_differ_in_length():
    rng = np.random.default_rng(3)
    found = bootstrap((rng.normal(10, 1, 30), rng.normal(5, 1, 60)), ratio, paired=False)
    assert found.low < 2 < found.high
    assert found.n == 90
    with pytest.raises(InputError, match="got 30 and 60"):
        bootstrap((np.ones(30), np.ones(60)), ratio)


def test_statistic_without_spread_has_an_interval_without_width():
    found = bootstrap([2.0, 2.0, 2.0], np.mean)
    assert (found.low, found.value, found.high) == (2, 2, 2)


def test_statistic_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="not finite"):
        bootstrap((np.ones(5), np.arange(5.0)), correlation)
    with pytest.raises(InputError, match="at least 2 values"):
        bootstrap([1.0], np.mean)


def test_wilson_interval_solves_the_score_equation():
    for k, n in [(0, 5), (1, 5), (7, 10), (300, 1000), (12, 12)]:
        found = wilson_interval(k, n)
        z = stats.norm.ppf(0.975)
        for end in (found.low, found.high):
            if end not in (0.0, 1.0):
                assert (k / n - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / n)
        theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_interval_covers_on_average():
    n, p = 30, np.linspace(0.02, 0.98, 197)
    ends = [wilson_interval(k, n) for k in range(n + 1)]
    inside = np.array([[e.low <= q <= e.high for e in ends] for q in p])
    chance = stats.binom.pmf(np.arange(n + 1), n, p[:, None])
    assert 0.94 <= np.mean(np.sum(inside * chance, axis=1)) <= 0.965


def test_failures_mirror_successes():
    a, b = wilson_interval(3, 11), wilson_interval(8, 11)
    assert (a.low, a.high) == pytest.approx((1 - b.high, 1 - b.low))


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (0, 0), (0.5, 3), (math.nan, 3)])
def test_counts_that_are_none_are_refused(k, n):
    with pytest.raises(InputError):
        wilson_interval(k, n)

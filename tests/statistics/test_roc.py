"""The area under the ROC curve is Mann and Whitney's U; its interval covers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from axonal.errors import InputError
from axonal.statistics import auc, roc_curve


def drawn(seed, m, n, shift=1.0, decimals=None):
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(shift, 1, m), rng.normal(0, 1, n)])
    labels = np.arange(m + n) < m
    order = rng.permutation(m + n)
    scores = scores if decimals is None else scores.round(decimals)
    return labels[order], scores[order]


@pytest.mark.parametrize("decimals", [None, 0])
def test_area_is_mann_whitney_u_and_the_area_under_the_curve(decimals):
    labels, scores = drawn(0, 40, 70, decimals=decimals)
    u = stats.mannwhitneyu(scores[labels], scores[~labels]).statistic / (40 * 70)
    curve = roc_curve(labels, scores)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert auc(labels, scores).value == pytest.approx(u, abs=1e-12)
    assert area == pytest.approx(u, abs=1e-12)


def test_curve_counts_cases_at_or_above_each_threshold():
    labels, scores = drawn(1, 15, 20, decimals=1)
    curve = roc_curve(labels, scores)
    for alarm, hit, threshold in zip(
        curve.false_positive_rate, curve.true_positive_rate, curve.thresholds, strict=True
    ):
        assert hit == np.mean(scores[labels] >= threshold)
        assert alarm == np.mean(scores[~labels] >= threshold)
    assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)
    assert np.all(np.diff(curve.thresholds) < 0)


def test_area_knows_order_only_and_mirrors():
    labels, scores = drawn(2, 20, 30)
    found = auc(labels, scores)
    assert auc(labels, np.exp(3 * scores)) == found
    mirrored = auc(~labels, scores)
    assert mirrored.value == pytest.approx(1 - found.value)
    assert mirrored.low == pytest.approx(1 - found.high)


@pytest.mark.parametrize(("m", "n", "area"), [(30, 30, 0.6), (30, 30, 0.8), (20, 100, 0.9)])
def test_interval_covers_the_true_area(m, n, area):
    shift = np.sqrt(2) * stats.norm.ppf(area)
    found = [auc(*drawn(seed, m, n, shift)) for seed in range(1000)]
    assert 0.93 <= np.mean([e.low <= area <= e.high for e in found]) <= 0.975


def test_interval_covers_where_half_the_positives_look_like_negatives():
    """Screening data: here an interval from an assumed score distribution fails."""
    true = 0.5 * stats.norm.cdf(4 / np.sqrt(2)) + 0.25
    covered = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        positives = rng.normal(4.0 * (rng.random(50) < 0.5), 1)
        scores = np.concatenate([positives, rng.normal(0, 1, 300)])
        found = auc(np.arange(350) < 50, scores)
        covered.append(found.low <= true <= found.high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_perfect_and_tied_rankings_still_have_an_interval():
    perfect = auc([0] * 10 + [1] * 10, np.arange(20))
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert 0.7 < perfect.low < 0.9
    worst = auc([1] * 10 + [0] * 10, np.arange(20))
    assert (worst.value, worst.low, worst.high) == pytest.approx((0, 0, 1 - perfect.low))
    tied = auc([0, 1] * 10, np.ones(20))
    assert tied.value == 0.5
    assert tied.low < 0.3 < 0.7 < tied.high


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([1, 1, 1], [1, 2, 3], "both 0 and 1"),
        ([0, 1, 2], [1, 2, 3], "both 0 and 1"),
        ([0, 1], [1, 2, 3], "one label a score"),
        ([0, 1, 1], [1, np.nan, 3], "not finite"),
        ([0, 1, 1], [1, 2, 3], "2 positives and 2 negatives"),
    ],
)
def test_labels_and_scores_that_do_not_fit_are_refused(labels, scores, words):
    with pytest.raises(InputError, match=words):
        auc(labels, scores)

"""Screening metrics are RDKit's without ties, and expectations over orders with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rdkit.ML.Scoring import Scoring

from axonal.errors import InputError
from axonal.molecules import attainable_enrichment, enrichment_curve, screening_metrics

FRACTIONS = (0.005, 0.01, 0.05)


def ranking(rng, actives, molecules):
    labels = np.zeros(molecules, int)
    labels[rng.choice(molecules, actives, replace=False)] = 1
    return labels, rng.permutation(molecules).astype(float)


def in_order(labels, scores):
    return [[bool(label)] for label in labels[np.argsort(-scores)]]


@pytest.mark.parametrize("alpha", [20.0, 80.5])
def test_metrics_equal_rdkit_on_random_rankings(alpha):
    rng = np.random.default_rng(0)
    for _ in range(25):
        molecules = int(rng.integers(250, 2500))
        labels, scores = ranking(rng, int(rng.integers(1, 60)), molecules)
        found = screening_metrics(labels, scores, alpha=alpha)
        rows = in_order(labels, scores)
        np.testing.assert_allclose(found.auroc, Scoring.CalcAUC(rows, 0), atol=1e-12)
        np.testing.assert_allclose(found.bedroc, Scoring.CalcBEDROC(rows, 0, alpha), atol=1e-12)
        np.testing.assert_allclose(found.rie, Scoring.CalcRIE(rows, 0, alpha), rtol=1e-12)
        expected = Scoring.CalcEnrichment(rows, 0, list(FRACTIONS))
        np.testing.assert_allclose(list(found.enrichment.values()), expected, atol=1e-12)


def test_perfect_and_reversed_rankings_are_at_the_ends():
    labels = np.r_[np.ones(10), np.zeros(990)]
    best = screening_metrics(labels, -np.arange(1000.0))
    worst = screening_metrics(labels, np.arange(1000.0))
    assert best.auroc == 1
    assert best.bedroc == pytest.approx(1, abs=1e-12)
    assert best.enrichment == pytest.approx(best.attainable)
    assert worst.auroc == 0
    assert worst.bedroc == pytest.approx(0, abs=1e-12)
    assert set(worst.enrichment.values()) == {0.0}


def test_random_rankings_have_auroc_one_half_and_enrichment_one_in_the_mean():
    rng = np.random.default_rng(1)
    found = [screening_metrics(*ranking(rng, 40, 1000)).as_dict() for _ in range(800)]
    for name, expected in {"auroc": 0.5, "rie": 1.0, "ef1%": 1.0, "ef5%": 1.0}.items():
        values = np.array([one[name] for one in found])
        error = values.std() / math.sqrt(len(values))
        assert abs(values.mean() - expected) < 4 * error


def test_ties_count_by_expectation_whatever_the_order_of_the_file():
    labels = np.r_[np.ones(20), np.zeros(980)]
    collapsed = screening_metrics(labels, np.zeros(1000))
    assert collapsed.auroc == 0.5
    assert collapsed.rie == pytest.approx(1, abs=1e-12)
    assert list(collapsed.enrichment.values()) == pytest.approx([1, 1, 1])
    rng = np.random.default_rng(2)
    labels, scores = ranking(rng, 12, 300)
    scores = np.floor(scores / 9)  # runs of nine equal scores
    exact = np.array(list(screening_metrics(labels, scores).as_dict().values()))
    broken = np.mean(
        [
            list(screening_metrics(labels, scores + 0.5 * rng.random(300)).as_dict().values())
            for _ in range(3000)
        ],
        axis=0,
    )
    np.testing.assert_allclose(exact, broken, rtol=0.06)


def test_bedroc_rises_with_every_active_that_rises_by_one_rank():
    rng = np.random.default_rng(3)
    labels, scores = ranking(rng, 15, 400)
    order = np.argsort(-scores)
    before = screening_metrics(labels, scores).bedroc
    for place in np.flatnonzero(labels[order])[1:]:
        above, active = order[place - 1], order[place]
        if labels[above]:
            continue
        promoted = scores.copy()
        promoted[[above, active]] = promoted[[active, above]]
        after = screening_metrics(labels, promoted).bedroc
        # Far down the ranking the gain is below the last digit of a number of order one.
        assert after > before or place > 250
        assert 0 <= after <= 1


def test_a_fraction_of_less_than_one_molecule_is_undefined_and_the_most_attainable_is_said():
    labels = np.r_[np.ones(7), np.zeros(93)]
    found = screening_metrics(labels, -np.arange(100.0))
    assert math.isnan(found.enrichment[0.005])
    assert math.isnan(found.attainable[0.005])
    assert found.attainable[0.01] == pytest.approx(100 / 7)
    assert attainable_enrichment(50, 100_000, 0.01) == pytest.approx(100)
    assert "attainable: ef0.5% nan, ef1% 14.3" in str(found)


def test_intervals_cover_the_value_and_repeat_with_the_seed():
    labels, scores = ranking(np.random.default_rng(4), 30, 600)
    scores = scores + 200 * labels
    one = screening_metrics(labels, scores, resamples=200, seed=5)
    again = screening_metrics(labels, scores, resamples=200, seed=5)
    assert one.intervals == again.intervals
    for name, (low, high) in one.intervals.items():
        assert low <= one.as_dict()[name] <= high


def test_the_curve_ends_at_one_and_is_straight_through_ties():
    looked, found = enrichment_curve([1, 0, 0, 1], [1.0, 1.0, 1.0, 0.0])
    assert looked.tolist() == [0, 0.75, 1]
    assert found.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("labels", "scores", "options", "words"),
    [
        ([0, 0], [1, 2], {}, "there is no active"),
        ([1, 1], [1, 2], {}, "every molecule is an active"),
        ([0, 2], [1, 2], {}, "expected 0 and 1"),
        ([0, 1], [1, np.nan], {}, "1 of 2 are NaN"),
        ([0, 1, 1], [1, 2], {}, "one label a score"),
        ([0, 1], [1, 2], {"alpha": 0}, "alpha: expected a positive"),
        ([0, 1], [1, 2], {"fractions": (0.0,)}, "fractions: expected"),
    ],
)
def test_what_is_no_ranking_is_refused(labels, scores, options, words):
    with pytest.raises(InputError, match=words):
        screening_metrics(labels, scores, **options)


def test_intervals_are_quantiles_of_resampled_actives():
    rng = np.random.default_rng(8)
    labels = np.r_[np.ones(12), np.zeros(60)]
    scores = rng.standard_normal(72) + labels
    found = screening_metrics(labels, scores, resamples=200, seed=3, fractions=())
    draws = np.random.default_rng(3)
    above = (scores[:12, None] > scores[None, 12:]).mean(1)  # AUROC of each active alone
    aurocs = [above[draws.integers(0, 12, 12)].mean() for _ in range(200)]
    np.testing.assert_allclose(found.intervals["auroc"], np.quantile(aurocs, [0.025, 0.975]))

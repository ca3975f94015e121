"""Calibration, detectors, controls, rates and time courses against numbers that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from resistance_models import random_sae, tiny
from scipy import stats

from axonal.errors import InputError
from axonal.language.dictionaries import LatentStatistics
from axonal.language.resistance import (
    Attempt,
    Bisection,
    Bracket,
    Contrast,
    Plan,
    Trial,
    boost_levels,
    calibrate,
    calibrate_together,
    compare_samples,
    concrete_latents,
    contrast,
    derangement,
    find_detectors,
    irrelevant_latents,
    matched_random_latents,
    mcnemar,
    rates,
    resistance_report,
    time_course,
)
from axonal.language.resistance.calibration import Threshold
from axonal.language.resistance.report import (
    binomial_half_width,
    cluster_interval,
    two_proportion_z,
)
from axonal.language.resistance.time_course import smoothed

LLAMA_70B = Bracket(0, 100, 7, 5)


def trial(scores: tuple[float, ...], latent: int = 0, seed: int = 0, **more: object) -> Trial:
    plan = Plan(latent, 1.0, "p", seed)
    return Trial(plan, "c", "t", tuple(Attempt("a", score) for score in scores), **more)


# Calibration


def test_bisection_finds_known_roots():
    assert abs(calibrate(lambda x: float(x < 12), LLAMA_70B).value - 12) < 0.05
    assert 13.9 <= calibrate(lambda x: max(0, 1 - x / 20), LLAMA_70B).value <= 14.4


@pytest.mark.parametrize(("score", "q"), [(0, 0.947337), (0.3, 0.471780), (1, 0.000362723)])
def test_the_certainty_is_the_beta_distributions(score, q):
    right, sure = Bisection(LLAMA_70B).certainty(score)
    assert sure == pytest.approx(max(q, 1 - q), abs=1e-6)
    assert right == (q < 0.5)


def test_the_belief_sums_to_one_and_forgets_the_order_of_equal_observations():
    seen = [(8.0, 0.4), (20.0, 0.1), (8.0, 0.4), (14.0, 0.3)]
    orders = [seen, [seen[2], seen[1], seen[0], seen[3]], seen[::-1]]
    ends = []
    for order in orders:
        search = Bisection(LLAMA_70B)
        for x, score in order:
            search.observe(x, score)
            assert search.density.sum() == pytest.approx(1, abs=1e-12)
        ends.append(search.density)
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], atol=1e-15)


@pytest.mark.parametrize(("score", "status"), [(0.95, "not_reached"), (0.0, "not_reached")])
def test_a_root_outside_the_bracket_is_never_a_number(score, status):
    found = calibrate(lambda x: score, LLAMA_70B)
    assert found.status == status
    assert math.isnan(found.value)
    assert not found.reached


def test_a_root_that_the_steps_did_not_reach_is_unresolved():
    found = calibrate(lambda x: float(x < 99), LLAMA_70B, steps=4)
    assert found.status == "unresolved"
    assert math.isnan(found.value)


def test_latents_are_calibrated_together_as_alone():
    roots = [5.0, 12.0, 30.0]

    def scores(boosts):
        return [None if b is None else float(b < r) for b, r in zip(boosts, roots, strict=True)]

    together = calibrate_together(scores, [LLAMA_70B] * 3, steps=14)
    alone = [calibrate(lambda x, r=r: float(x < r), LLAMA_70B, steps=14) for r in roots]
    assert together == alone


def test_a_response_that_could_not_be_judged_teaches_nothing():
    answers = iter([[None], [0.9], [None], [0.1], [0.5], [0.2]])
    (found,) = calibrate_together(lambda boosts: next(answers), [LLAMA_70B], steps=6)
    assert len(found.asked) == 4
    assert found.reached
    (none,) = calibrate_together(lambda boosts: [None], [LLAMA_70B], steps=3)
    assert none.status == "unresolved"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Bracket(3, 3), "finite low < high"),
        (lambda: Bracket(0, 1, 0.5), "both or neither"),
        (lambda: Bracket(0, 1, 0.5, 0), "positive"),
        (lambda: Bisection(LLAMA_70B, 30), "between 0 and 1"),
        (lambda: Bisection(LLAMA_70B).observe(1, 30), "lies in"),
        (lambda: calibrate(lambda x: 0.5, LLAMA_70B, steps=0), "at least one step"),
        (lambda: boost_levels({1: Threshold(math.nan, "not_reached", (), ())}), "two thresholds"),
    ],
)
def test_calibration_refuses_what_makes_no_sense(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_boosts_of_a_sweep_run_three_deviations_each_way_and_are_not_negative():
    thresholds = {k: Threshold(v, "reached", (), ()) for k, v in enumerate((8.0, 10.0, 12.0))}
    levels = boost_levels(thresholds, 7)
    np.testing.assert_allclose(levels[:, 0], np.arange(-3, 4))
    np.testing.assert_allclose(levels[:, 1], 10 + np.std([8, 10, 12]) * np.arange(-3, 4))
    wide = boost_levels(
        {0: Threshold(1.0, "reached", (), ()), 1: Threshold(9.0, "reached", (), ())}
    )
    assert wide[:, 1].min() == 0


# Detectors and controls


def test_derangements_have_no_fixed_point_and_are_all_as_likely():
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(900):
        found = derangement(4, seed)
        assert all(place != number for number, place in enumerate(found))
        counts[tuple(found)] = counts.get(tuple(found), 0) + 1
    assert len(counts) == 9
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3
    with pytest.raises(InputError, match="two things"):
        derangement(1, 0)


def test_it_takes_about_e_draws_to_find_a_derangement():
    rng = np.random.default_rng(0)
    share = np.mean([not np.any(rng.permutation(12) == np.arange(12)) for _ in range(4000)])
    assert 1 / share == pytest.approx(math.e, rel=0.08)


def planted() -> Contrast:
    """Latent 0 is a perfect detector, 1 a noisy one, 2 is always on, 3 only fires when matched."""
    rng = np.random.default_rng(0)
    matched, shuffled = np.zeros((20, 6)), np.zeros((20, 6))
    shuffled[:, 0] = 1 + rng.random(20)
    shuffled[:, 1] = rng.random(20) * (rng.random(20) < 0.9) + 0.4
    matched[:, 1] = 0.5 * rng.random(20)
    shuffled[:, 2] = matched[:, 2] = 3
    matched[:, 3] = 1
    return Contrast(matched, shuffled, tuple("abcdefghijklmnopqrst"))


def test_rules_find_planted_detectors():
    found = planted()
    assert find_detectors(found, "silent").latents == (0,)
    assert find_detectors(found, "auc").latents[0] == 0
    assert 3 not in find_detectors(found, "auc").latents
    assert find_detectors(found, "difference").latents == (0, 1)
    assert find_detectors(found, "difference", most=1).latents == (0,)
    assert find_detectors(found, "silent").prompts == found.prompts
    with pytest.raises(InputError, match="did you mean silent"):
        find_detectors(found, "silence")


def test_the_auc_is_mann_whitneys():
    found = planted()
    for latent, value in enumerate(found.auc()):
        u = stats.mannwhitneyu(found.shuffled[:, latent], found.matched[:, latent]).statistic
        assert value == pytest.approx(u / 400)


def test_a_contrast_reads_matched_and_shuffled_conversations():
    language_model, sae = tiny(chat=True), random_sae()
    prompts, answers = ["w5", "w6", "w7"], ["w15 w16 w17", "w25", "w35 w36"]
    found = contrast(language_model, sae, prompts, answers, pool="answer", batch=2)
    again = contrast(language_model, sae, prompts, answers, pool="answer", batch=8)
    np.testing.assert_allclose(found.matched, again.matched, atol=1e-5)
    np.testing.assert_allclose(found.shuffled, again.shuffled, atol=1e-5)
    whole = contrast(language_model, sae, prompts, answers)
    assert (whole.matched >= found.matched - 1e-6).all()
    with pytest.raises(InputError, match="as many answers"):
        contrast(language_model, sae, prompts, answers[:2])


def statistics(count: int = 400, seed: int = 0) -> LatentStatistics:
    rng = np.random.default_rng(seed)
    frequency = torch.from_numpy(np.exp(rng.normal(-5, 1.5, count)))
    magnitude = torch.from_numpy(np.exp(rng.normal(0, 0.7, count)))
    return LatentStatistics(frequency, magnitude, magnitude * 3, 10_000)


def test_controls_match_and_share_nothing():
    found = statistics(4000)
    detectors = [int(k) for k in np.random.default_rng(1).permutation(4000)[:26]]
    sets = matched_random_latents(found, detectors, sets=3, exclude=[0, 1])
    drawn = [k for control in sets for k in control]
    assert len(set(drawn)) == 78
    assert not {*drawn} & {*detectors, 0, 1}
    for values in (found.frequency, found.magnitude):
        for control in sets:
            assert values[control].median() == pytest.approx(
                float(values[detectors].median()), rel=0.1
            )
    assert sets == matched_random_latents(found, detectors, sets=3, exclude=[0, 1])


def test_under_the_null_the_controls_rank_detectors_uniformly():
    p_values = []
    for seed in range(200):
        found, rng = statistics(120, seed), np.random.default_rng(seed)
        effect = rng.normal(size=120)
        chosen = [int(k) for k in rng.permutation(120)[:3]]
        sets = matched_random_latents(found, chosen, sets=19, seed=seed)
        below = sum(effect[control].sum() > effect[chosen].sum() for control in sets)
        p_values.append((below + rng.random()) / 20)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_controls_that_are_not_there_are_refused():
    found = statistics(30)
    with pytest.raises(InputError, match="3 sets of 10 need 30"):
        matched_random_latents(found, list(range(10)))
    with pytest.raises(InputError, match="distinct"):
        matched_random_latents(found, [1, 1])
    found.frequency[4] = 0
    with pytest.raises(InputError, match="Latent 4 is never active"):
        matched_random_latents(found, [4])


def test_filters_keep_what_has_nothing_to_do_with_the_questions():
    activity = np.array([[0.0, 3, 1, 0], [0, 0, 2, 1]])
    assert irrelevant_latents(activity) == [0]
    assert irrelevant_latents(activity, "top", top=1) == [0, 3]
    assert concrete_latents({1: 10, 2: 70, 3: 90}) == [3]
    assert concrete_latents({1: 10, 2: 65, 3: 90}, "rating") == [2, 3]
    for call in (
        lambda: irrelevant_latents(activity, "none"),
        lambda: irrelevant_latents(activity[0]),
        lambda: concrete_latents({}),
        lambda: concrete_latents({1: 2.0}, "mean"),
    ):
        with pytest.raises(InputError):
            call()


# Rates


def test_resistance_is_multi_times_improvement_and_never_exceeds_multi():
    rng = np.random.default_rng(0)
    trials = [
        trial(tuple(rng.uniform(0, 100, rng.integers(1, 4))), latent=i % 7, seed=i)
        for i in range(90)
    ]
    found = rates(trials)
    assert found.improvement is not None
    assert found.resistance.value == pytest.approx(found.multi.value * found.improvement.value)
    assert found.resistance.value <= found.multi.value
    more = rates([*trials, *(trial((50.0,), seed=1000 + i) for i in range(20))])
    assert more.resistance.value <= found.resistance.value
    assert more.multi_count == found.multi_count


def test_trials_without_attempts_or_judgement_are_counted_and_left_out():
    trials = [
        trial((30.0,)),
        trial((), seed=1),
        trial((), seed=2, problem="unread"),
        trial((10.0, 90.0), seed=3),
    ]
    found = rates(trials)
    assert (found.trials, found.empty, found.unread) == (2, 1, 1)
    assert found.multi.value == 0.5
    assert found.gain == 80
    assert found.first_score == 20
    with pytest.raises(InputError, match="no rate"):
        rates([trial(())])


def test_few_multi_attempt_trials_make_an_improvement_rate_unreliable():
    several = [trial((10.0, 20.0), seed=i) for i in range(5)]
    assert rates(several).improvement_words.endswith("unreliable (n=5)")
    assert rates([trial((10.0,))]).improvement_words == "none (n=0)"
    assert (
        "unreliable" not in rates([trial((1.0, 2.0), seed=i) for i in range(30)]).improvement_words
    )


def test_the_papers_half_widths_and_z():
    assert 100 * binomial_half_width(0.074, 4877) == pytest.approx(0.735, abs=5e-4)
    assert 100 * binomial_half_width(0.038, 4877) == pytest.approx(0.537, abs=5e-4)
    assert two_proportion_z(361, 4877, 268, 4875) == pytest.approx(3.829, abs=5e-4)


def test_clusters_widen_the_interval_of_dependent_trials():
    values = np.repeat([0.0, 1, 0, 1, 0, 1, 1, 0], 50)
    clusters = np.repeat(np.arange(8), 50)
    whole = cluster_interval(values, clusters)
    each = cluster_interval(values, np.arange(400))
    assert whole is not None
    assert each is not None
    assert whole.high - whole.low > 3 * (each.high - each.low)
    assert cluster_interval(values, np.zeros(400)) is None


def test_replayed_trials_are_compared_pair_by_pair():
    first = [trial((1.0, 2.0) if i < 12 else (1.0,), seed=i) for i in range(40)]
    second = [trial((1.0, 2.0) if i < 3 or i == 39 else (1.0,), seed=i) for i in range(40)]
    found = mcnemar(first, second[::-1])
    assert (found.pairs, found.only_first, found.only_second) == (40, 9, 1)
    assert found.difference == pytest.approx(-8 / 40)
    assert found.p_value == pytest.approx(stats.binomtest(1, 10).pvalue)
    with pytest.raises(InputError, match="share no plan"):
        mcnemar(first, [trial((1.0,), seed=99)])
    table = resistance_report({"steered": first, "ablated": second})
    assert list(table.index) == ["steered", "ablated"]
    assert table.loc["ablated", "McNemar p"] == pytest.approx(found.p_value, rel=1e-2)


# Time course


def test_traces_are_aligned_at_their_onsets():
    traces = [np.where(np.arange(30) < onset, 2.0, 1.0) for onset in (12, 18)]
    course = time_course(traces, [12, 18], width=3, bins=8)
    np.testing.assert_allclose(course.offsets, (np.arange(8) - 4 + 0.5) * 3)
    np.testing.assert_allclose(course.mean, [2, 2, 2, 2, 1, 1, 1, 1])
    assert course.episodes.tolist() == [2] * 8
    with pytest.raises(InputError, match="onset"):
        time_course(traces, [12, 31])


def test_samples_are_compared_in_four_ways():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 60), rng.normal(0, 1, 50)
    found = compare_samples(a, b)
    assert found.cohens_d == pytest.approx(1, abs=0.45)
    u = stats.mannwhitneyu(a, b).statistic
    assert found.cliffs_delta == pytest.approx(2 * u / 3000 - 1)
    assert found.welch_p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert compare_samples(a[:50], b, paired=True).wilcoxon_p == pytest.approx(
        stats.wilcoxon(a[:50], b).pvalue
    )
    same = compare_samples([1.0, 2.0], [1.0, 2.0], paired=True)
    assert (same.cohens_d, same.cliffs_delta, same.wilcoxon_p) == (0, 0, 1)
    np.testing.assert_allclose(smoothed([1, 0, 0], 0.5), [1, 0.5, 0.25])

"""Verdicts: three-valued, right at the known error rate, and never better than the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axonal.lab import (
    All,
    Claim,
    Decreasing,
    Equals,
    Greater,
    Increasing,
    InteriorMaximum,
    Less,
    Within,
)
from axonal.lab.judge import judge, judge_test
from axonal.lab.measurement import Measurement

LAYERS = np.arange(6.0)


def exact(name, value, **options):
    return Measurement.of(name, value, exact=True, **options)


def verdict(test, *measurements):
    return judge_test(test, {m.name: m for m in measurements}).verdict


def detail(test, *measurements):
    return judge_test(test, {m.name: m for m in measurements}).detail


def noisy(name, mean, seed, repeats=20, spread=0.1, **options):
    rng = np.random.default_rng(seed)
    mean = np.asarray(mean, dtype=float)
    return Measurement.of(name, mean + rng.normal(0, spread, (repeats, *mean.shape)), **options)


# Exact numbers: the test is the inequality itself


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-10, 10))
@settings(max_examples=60)
def test_exact_numbers_are_compared_as_numbers(a, b, by):
    first, second = exact("a", a), exact("b", b)
    assert verdict(Greater("a", "b", by=by), first, second) == (
        "supported" if a - b > by else "not supported"
    )
    assert verdict(Less("a", "b", by=by), first, second) == (
        "supported" if a - b < -by else "not supported"
    )
    assert verdict(Within("a", b - abs(by), b + abs(by)), first) == (
        "supported" if b - abs(by) <= a <= b + abs(by) else "not supported"
    )


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1.05, 1.0, "supported"),
        (0.95, 1.0, "supported"),
        (1.2, 1.0, "not supported"),
        (-1.05, -1.0, "supported"),
        (-1.2, -1.0, "not supported"),
        (0.0, 0.0, "supported"),
    ],
)
def test_equality_within_a_fraction_knows_signs(a, b, expected):
    assert verdict(Equals("a", "b", relative=0.1), exact("a", a), exact("b", b)) == expected


@pytest.mark.parametrize(
    ("values", "rising", "falling"),
    [
        ([1, 2, 3, 4, 5, 6], "supported", "not supported"),
        ([6, 5, 4, 3, 2, 1], "not supported", "supported"),
        ([1, 2, 2, 4, 5, 6], "not supported", "not supported"),
        ([1, 2, 1.95, 4, 5, 6], "not supported", "not supported"),
    ],
)
def test_an_exact_series_is_monotone_or_not(values, rising, falling):
    series = exact("s", values, along=LAYERS)
    assert verdict(Increasing("s"), series) == rising
    assert verdict(Decreasing("s"), series) == falling


def test_a_tolerance_forgives_a_small_fall():
    series = exact("s", [1, 2, 1.95, 4, 5, 6], along=LAYERS)
    assert verdict(Increasing("s", tolerance=0.1), series) == "supported"
    assert verdict(Increasing("s", tolerance=0.01), series) == "not supported"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 3, 2, 1, 0], "supported"),
        ([3, 2, 1, 0, 1, 2], "not supported"),
        ([0, 1, 2, 3, 4, 5], "not supported"),
        ([1, 1, 1, 1, 1, 1], "not supported"),
    ],
)
def test_a_maximum_inside_exceeds_both_ends(values, expected):
    assert verdict(InteriorMaximum("s"), exact("s", values, along=LAYERS)) == expected


def test_a_maximum_in_a_range_exceeds_every_point_outside_it():
    series = exact("s", [0, 1, 3, 2, 4, 0], along=LAYERS)
    assert verdict(InteriorMaximum("s", low=1, high=3), series) == "not supported"
    assert verdict(InteriorMaximum("s", low=3, high=4), series) == "supported"
    assert verdict(InteriorMaximum("s", low=2.1, high=2.9), series) == "inconclusive"


# Noise: three values


def test_a_clear_difference_a_clear_lack_and_an_open_question():
    a, b, close = noisy("a", 1.0, 1), noisy("b", 0.0, 2), noisy("close", 1.0, 3)
    assert verdict(Greater("a", "b"), a, b) == "supported"
    assert verdict(Greater("b", "a"), a, b) == "not supported"
    assert verdict(Greater("a", "close"), a, close) == "inconclusive"
    assert verdict(Within("a", 0.5, 1.5), a) == "supported"
    assert verdict(Within("a", 2.0, 3.0), a) == "not supported"
    assert verdict(Within("a", 1.0, 3.0), a) == "inconclusive"
    assert verdict(Equals("a", "close", tolerance=0.5), a, close) == "supported"
    assert verdict(Equals("a", "b", tolerance=0.5), a, b) == "not supported"
    assert verdict(Equals("a", "close", tolerance=0.02), a, close) == "inconclusive"


def test_pairing_sees_what_independent_samples_cannot():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 5, 20)
    a = Measurement.of("a", shared + 0.3 + rng.normal(0, 0.05, 20))
    b = Measurement.of("b", shared)
    assert verdict(Greater("a", "b"), a, b) == "supported"
    shuffled = Measurement.of("b", rng.permutation(shared))
    assert verdict(Greater("a", "b"), a, shuffled) == "inconclusive"


def test_unequal_repeats_are_compared_as_independent_samples():
    a, b = noisy("a", 1.0, 1, repeats=20), noisy("b", 0.0, 2, repeats=11)
    assert verdict(Greater("a", "b"), a, b) == "supported"
    assert "independent repeats" in detail(Greater("a", "b"), a, b)


def test_a_comparison_of_series_holds_at_every_point_or_not_at_all():
    high = noisy("high", LAYERS + 1, 1, along=LAYERS)
    low = noisy("low", LAYERS, 2, along=LAYERS)
    crossing = noisy("crossing", 6 - LAYERS, 3, along=LAYERS)
    assert verdict(Greater("high", "low"), high, low) == "supported"
    assert verdict(Greater("high", "crossing"), high, crossing) == "not supported"
    assert verdict(Greater("high", 0.0), high) == "supported"
    other = noisy("other", LAYERS, 2, along=LAYERS + 0.5)
    assert verdict(Greater("high", "other"), high, other) == "inconclusive"


def test_noisy_series_rise_fall_and_peak():
    rising = noisy("rising", LAYERS, 1, along=LAYERS)
    flat = noisy("flat", 0 * LAYERS, 2, along=LAYERS)
    hump = noisy("hump", -((LAYERS - 3) ** 2), 3, along=LAYERS)
    assert verdict(Increasing("rising"), rising) == "supported"
    assert verdict(Decreasing("rising"), rising) == "not supported"
    assert verdict(Increasing("flat"), flat) == "inconclusive"
    assert verdict(InteriorMaximum("hump"), hump) == "supported"
    assert verdict(InteriorMaximum("rising"), rising) == "not supported"
    assert verdict(InteriorMaximum("flat"), flat) == "inconclusive"


# Error rates, by simulation


def rate(test, draw, repeats=400):
    """How often each verdict comes out over simulated data sets."""
    found = [verdict(test, *draw(np.random.default_rng(seed))) for seed in range(repeats)]
    return {word: found.count(word) / repeats for word in set(found)}


def pair(rng, repeats, shift):
    values = rng.normal(0, 1, (2, repeats))
    return Measurement.of("a", values[0] + shift), Measurement.of("b", values[1])


@pytest.mark.parametrize("repeats", [3, 5, 12])
def test_no_difference_is_mistaken_for_one_in_at_most_2_5_percent_a_side(repeats):
    found = rate(Greater("a", "b"), lambda rng: pair(rng, repeats, 0.0))
    # 400 draws of a 2.5 % event: 5 % is three standard errors away
    assert found.get("supported", 0) <= 0.05
    assert found.get("not supported", 0) <= 0.05
    assert found["inconclusive"] >= 0.92


def test_skewed_repeats_keep_the_error_rate():
    def draw(rng):
        return (Measurement.of("a", rng.exponential(1.0, 15) - 1.0),)

    found = rate(Greater("a", 0.0), draw)
    assert found.get("supported", 0) + found.get("not supported", 0) <= 0.09


def test_a_real_difference_is_found_and_never_called_the_other_way():
    found = rate(Greater("a", "b"), lambda rng: pair(rng, 20, 1.5), repeats=60)
    assert found["supported"] >= 0.95
    assert "not supported" not in found


def flat_series(rng):
    return (Measurement.of("s", rng.normal(0, 1, (8, 5)), along=np.arange(5.0)),)


@pytest.mark.parametrize("test", [Increasing("s"), Decreasing("s"), InteriorMaximum("s")])
def test_many_points_do_not_add_up_to_a_chance_finding(test):
    found = rate(test, flat_series, repeats=60)
    assert found.get("supported", 0) <= 0.06
    assert found.get("not supported", 0) <= 0.1


def test_many_conditions_do_not_add_up_to_a_chance_refutation():
    parts = All(*(Within(f"m{i}", 0.0, np.inf) for i in range(10)))

    def draw(rng):
        return tuple(Measurement.of(f"m{i}", rng.normal(0, 1, 6)) for i in range(10))

    assert rate(parts, draw, repeats=60).get("not supported", 0) <= 0.08


# What cannot be judged says so


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("yes yes", "supported"),
        ("yes open", "inconclusive"),
        ("yes untested", "not tested"),
        ("open untested", "not tested"),
        ("yes no", "not supported"),
        ("open no", "not supported"),
        ("untested no", "not supported"),
    ],
)
def test_all_is_as_strong_as_its_weakest_part(parts, expected):
    measurements = [noisy("yes", 1.0, 1), noisy("no", -1.0, 2), noisy("open", 0.0, 3)]
    test = All(*(Greater(part, 0.0) for part in parts.split()))
    assert verdict(test, *measurements) == expected


def test_a_claim_that_needs_the_full_scale_is_not_tested_below_it():
    claim = Claim("c", "a > 0", "", "abstract", Greater("a", 0.0), needs="full")
    kept = {"a": exact("a", 1.0)}
    below = judge(claim, kept, "laptop")
    assert below.verdict == "not tested"
    assert "full" in below.detail
    assert "laptop" in below.detail
    assert judge(claim, kept, "full").verdict == "supported"


def test_a_measurement_that_was_not_taken_leaves_the_claim_not_tested():
    found = judge_test(Greater("a", "gone"), {"a": exact("a", 1.0)})
    assert found.verdict == "not tested"
    assert "gone" in found.detail


def test_one_stochastic_repeat_proves_nothing():
    found = judge_test(Greater("a", 0.0), {"a": Measurement.of("a", 100.0)})
    assert found.verdict == "inconclusive"
    assert "one repeat" in found.detail


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_leaves_the_claim_inconclusive(bad):
    found = judge_test(Greater("a", 0.0), {"a": Measurement.of("a", [1.0, bad, 1.0])})
    assert found.verdict == "inconclusive"
    assert "1 of 3 values" in found.detail


def test_a_series_test_on_a_plain_measurement_is_inconclusive():
    found = judge_test(Increasing("a"), {"a": noisy("a", 1.0, 1)})
    assert found.verdict == "inconclusive"
    assert "along" in found.detail


# The sentence


def test_the_detail_is_one_sentence_with_the_numbers():
    a = Measurement.of("a", [0.95, 0.97, 0.96, 0.94, 0.98], "r")
    b = Measurement.of("b", [0.70, 0.72, 0.66, 0.71, 0.76], "r")
    text = detail(Greater("a", "b", by=0.1), a, b)
    assert text.startswith("0.96 [0.937, 0.983] r")
    assert "r against 0.71 [" in text
    assert "; difference 0.25 [" in text
    assert text.endswith("more than 0.1 asked.")


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (Greater("a", 0.5), "1, more than 0.5 asked."),
        (Less("a", 2, by=0.5), "1, less than 1.5 asked."),
        (Equals("a", 1, tolerance=0.1), "1, within 0.1 of 1 asked."),
        (Within("a", 0, np.inf), "1, at least 0 asked."),
        (Less(0.5, "a"), "0.5 against 1; difference -0.5."),
        (All(Greater("a", 0), Less("a", 2)), "(1) 1, more than 0 asked; (2) 1, less than 2 asked."),
    ],
)
def test_the_detail_says_what_was_asked(test, words):
    assert detail(test, exact("a", 1.0)) == words


def test_the_same_measurements_have_the_same_verdict_and_detail():
    a, b = noisy("a", 0.1, 4), noisy("b", 0.0, 5)
    assert detail(Greater("a", "b"), a, b) == detail(Greater("a", "b"), a, b)


def test_the_order_of_repeats_changes_no_verdict():
    a = noisy("a", 0.04, 1)
    reversed_ = Measurement.of("a", a.values[::-1].copy())
    assert verdict(Greater("a", 0.0), a) == verdict(Greater("a", 0.0), reversed_)

"""Fitting the emergence curve: what is recovered, what is owned to be lost, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.errors import InputError
from axonal.learning.massive import (
    RIVALS,
    EmergenceCurve,
    compare_models,
    fit_emergence,
    fit_rival,
)
from axonal.learning.massive.points import aic
from axonal.learning.massive.rivals import second_order

END = 143_000
STEPS = np.linspace(0, END, 37)
EARLY = EmergenceCurve(A=250, lam=0.08, gamma=1e-4, t0=1.2, K=30)
RISING = EmergenceCurve(A=90, lam=0.02, gamma=1e-4, t0=1.5, K=10)


def drawn(seed: int) -> np.ndarray:
    """A noisy curve of either regime."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(2, 40)
    curve = EmergenceCurve(
        rng.uniform(50, 300),
        1 / (x * np.log(x)),
        rng.uniform(3, 30) / END,
        rng.uniform(1.05, 3),
        20,
    )
    return curve(STEPS) * (1 + 0.05 * rng.standard_normal(len(STEPS)))


# What is recovered


@pytest.mark.parametrize(("curve", "regime"), [(EARLY, "early-peak"), (RISING, "log-increase")])
def test_curves_without_noise_are_recovered(curve, regime):
    fit = fit_emergence(STEPS, curve(STEPS))
    for name, value in fit.parameters.items():
        assert value == pytest.approx(getattr(curve, name), rel=1e-4), name
    assert fit.t_peak == pytest.approx(curve.t_peak, rel=1e-4)
    assert fit.regime == regime
    assert fit.r2 > 1 - 1e-12


def test_a_pure_logarithm_is_fitted_and_its_asymptote_is_not_identified():
    fit = fit_emergence(STEPS, 40 * np.log(STEPS + 900) + 3)
    assert fit.r2 > 1 - 1e-10
    assert fit.identified["K"] is False
    assert fit.regime == "log-increase"


@pytest.mark.parametrize("seed", range(12))
def test_projection_is_never_worse_than_the_papers_start(seed):
    y = drawn(seed)
    ours, paper = (fit_emergence(STEPS, y, method=m) for m in ("projection", "paper"))
    assert ours.rss <= paper.rss * (1 + 1e-9)
    assert ours.method == "projection"


def test_nearly_collinear_parameters_are_flagged_where_the_peak_is_well_known():
    rng = np.random.default_rng(0)
    fit = fit_emergence(STEPS, EARLY(STEPS) * (1 + 0.02 * rng.standard_normal(37)))
    assert fit.t_peak == pytest.approx(EARLY.t_peak, rel=0.05)
    assert fit.peak_height == pytest.approx(EARLY.peak_height, rel=0.03)
    assert not fit.identified["K"]
    assert fit.condition > 100
    low, high = fit.intervals["t_peak"]
    assert low < EARLY.t_peak < high
    assert high - low < 0.2 * EARLY.t_peak


def test_fits_follow_a_change_of_units():
    y = drawn(3)
    fit, other = fit_emergence(STEPS, y), fit_emergence(STEPS / 1000, 2 * y + 7)
    assert other.t_peak == pytest.approx(fit.t_peak / 1000, rel=1e-4)
    assert other.r2 == pytest.approx(fit.r2, abs=1e-9)
    assert other.peak_height == pytest.approx(2 * fit.peak_height + 7, rel=1e-5)
    assert other.curve.lam == pytest.approx(fit.curve.lam, rel=1e-3)
    assert other.curve.gamma == pytest.approx(1000 * fit.curve.gamma, rel=1e-3)


def test_intervals_of_the_peak_cover_it_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(40):
        fit = fit_emergence(STEPS, EARLY(STEPS) + 6 * rng.standard_normal(37))
        low, high = fit.intervals["t_peak"]
        covered.append(low <= EARLY.t_peak <= high)
    assert np.mean(covered) >= 0.85


def test_points_measured_better_count_more():
    y, sem = EARLY(STEPS), np.ones(37)
    y[20], sem[20] = 600, 1e4
    assert fit_emergence(STEPS, y, sem).t_peak == pytest.approx(EARLY.t_peak, rel=1e-3)
    assert fit_emergence(STEPS, y).t_peak != pytest.approx(EARLY.t_peak, rel=1e-2)


def test_a_forecast_follows_the_curve_and_widens():
    rng = np.random.default_rng(1)
    early = STEPS[:25]
    fit = fit_emergence(early, EARLY(early) + 3 * rng.standard_normal(25))
    told = fit.forecast(STEPS[25:])
    assert np.abs(told["ratio"] / EARLY(STEPS[25:]) - 1).max() < 0.1
    width = (told["high"] - told["low"]).to_numpy()
    assert np.all(np.diff(width) > 0)
    assert np.all(width > (fit.forecast(early[10:20]).eval("high - low")).max())


# Regimes


@pytest.mark.parametrize(
    ("y", "regime"),
    [
        (200 * np.exp(-STEPS / 2e4) + 5, "decay"),
        (EARLY(STEPS), "early-peak"),
        (100 - EARLY(STEPS) / 5, "trough"),
    ],
)
def test_regimes_are_told_apart(y, regime):
    assert fit_emergence(STEPS, y).regime == regime


def test_noise_around_a_constant_is_flat():
    y = 6 + 0.1 * np.random.default_rng(7).standard_normal(37)
    assert fit_emergence(STEPS, y).regime == "flat"


def test_a_small_dip_before_a_rise_is_still_a_rise():
    t = np.array([0, 1, 2, 4, 8, 16, 32, *range(50, 1001, 50)], dtype=float)
    y = 6 - 3 * (1 - np.exp(-t / 3)) + 0.02 * t
    assert fit_emergence(t, y).regime == "log-increase"


# Rivals


def test_akaikes_criterion_is_as_written():
    assert aic(37, 12.5, 5) == pytest.approx(-30.152002928, abs=1e-8)
    table = compare_models(STEPS, drawn(0))
    assert table["weight"].sum() == pytest.approx(1)
    assert set(table["model"]) == {"emergence", *RIVALS}
    same = table[table["parameters"] == 3]
    assert same["aic"].is_monotonic_increasing == same["rss"].is_monotonic_increasing


def test_the_curve_wins_where_it_is_the_truth():
    assert compare_models(STEPS, EARLY(STEPS))["model"][0] == "emergence"


@pytest.mark.parametrize("zeta", [0.1, 0.9, 0.9999, 1.0, 1.0001, 1.5, 20])
def test_step_responses_start_at_rest_and_settle(zeta):
    at = second_order(np.array([0, 1e-6, 1e6]), np.array(2.0), np.array(zeta))
    np.testing.assert_allclose(at, [0, 0, 1], atol=1e-9)


def test_damping_passes_smoothly_through_critical():
    t = np.linspace(0, 10, 50)
    near = [second_order(t, np.array(1.0), np.array(1 + e)) for e in (-2e-4, 0, 2e-4)]
    np.testing.assert_allclose(near[0], near[1], atol=1e-3)
    np.testing.assert_allclose(near[2], near[1], atol=1e-3)


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_recovers_itself(name):
    truth = {
        "first-order": 80 * (1 - np.exp(-STEPS / 3e4)),
        "second-order": 80 * second_order(STEPS, np.array(2e-4), np.array(0.4)),
        "first-order + offset": 6 + 80 * (1 - np.exp(-STEPS / 3e4)),
        "second-order + offset": 6 + 80 * second_order(STEPS, np.array(2e-4), np.array(0.4)),
        "logarithm": 4 + 9 * np.log(STEPS + 500),
        "constant": 6 + 1e-9 * np.arange(37) % 2,
    }[name]
    found = fit_rival(name, STEPS, truth)
    np.testing.assert_allclose(found.fitted, truth, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.predict(STEPS), found.fitted)


# What is refused


@pytest.mark.parametrize(
    ("steps", "ratios", "words"),
    [
        (range(5), range(5), "steps: .* at least 6 checkpoints, got 5"),
        ([0, 1, 2, 2, 3, 4], range(6), "steps: 2 comes twice"),
        ([0, 1, 3, 2, 4, 5], range(6), "steps: expected increasing"),
        (range(6), [1, 2, np.nan, 4, 5, 6], "ratios: number 3 of 6 is nan"),
        (range(6), [1, 2, np.inf, 4, 5, 6], "ratios: number 3 of 6 is inf"),
        (range(6), [7.0] * 6, "ratios: all 6 are 7"),
        (range(6), range(7), "one length, got 6 and 7"),
        (range(-6, 0), range(6), "steps: expected the last one above 0"),
        (["a"] * 6, range(6), "steps: expected numbers"),
    ],
)
def test_a_series_that_cannot_be_fitted_is_refused(steps, ratios, words):
    with pytest.raises(InputError, match=words):
        fit_emergence(list(steps), list(ratios))


def test_unknown_methods_levels_and_weights_are_refused():
    with pytest.raises(InputError, match="no method 'papers'"):
        fit_emergence(STEPS, EARLY(STEPS), method="papers")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="level"):
        fit_emergence(STEPS, EARLY(STEPS), level=95)
    with pytest.raises(InputError, match="sem: expected 37"):
        fit_emergence(STEPS, EARLY(STEPS), np.zeros(37))
    with pytest.raises(InputError, match="no rival"):
        fit_rival("third-order", STEPS, EARLY(STEPS))


def test_steps_may_start_late_and_offsets_stay_inside_the_logarithm():
    late = STEPS[5:]
    fit = fit_emergence(late, EARLY(late))
    assert fit.r2 > 1 - 1e-9
    assert np.all(np.isfinite(fit.fitted))
    shallow = fit_emergence(
        late, 30 * np.log(late - late[0] + 1) + 4
    )  # x is close to 0 at the start
    assert shallow.r2 > 1 - 1e-8


def test_parameters_that_overflow_are_infinite_and_unidentified():
    y = 5 + 0.3 * np.arange(37) + 0.05 * np.random.default_rng(2).standard_normal(37)
    fit = fit_emergence(STEPS, y)
    assert fit.r2 > 0.999
    bad = [name for name, value in fit.parameters.items() if not np.isfinite(value)]
    assert all(not fit.identified[name] for name in bad)
    assert not fit.identified["lam"]

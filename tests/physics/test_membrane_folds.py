"""Folds, cusps and the phase diagram, against independent ways to find them."""

from __future__ import annotations

import numpy as np
import pytest
from membranes import random_membrane, standard
from scipy.optimize import root

from axonal.sweep import continue_curve


def test_folds_agree_with_the_double_root_of_the_loop_equation():
    membrane = standard("swelling", 6.0)

    def double_root(state):
        phi, u = state
        h = 1e-6
        gap, ahead, behind = (
            membrane.response(membrane.inert_uptake(u, 0.8, at)) - at
            for at in (phi, phi + h, phi - h)
        )
        return [gap, (ahead - behind) / (2 * h)]

    for fold in membrane.fold_points(0.8):
        start = [fold.volume_fraction * 1.0001, fold.force * 1.0001]
        phi, u = root(double_root, start, tol=1e-13).x
        assert fold.force == pytest.approx(u, rel=1e-8)
        assert fold.volume_fraction == pytest.approx(phi, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "interaction", "c0"), [("swelling", 6, 0.8), ("collapse", 6, 0.5)]
)
def test_folds_agree_with_pseudo_arclength_continuation(kind, interaction, c0):
    membrane = standard(kind, interaction)
    start = float(np.log(membrane.steady_states(0.0, c0).uptake[0]))
    curve = continue_curve(membrane.loop_residual(c0), start, 0.0, within=(0.0, 12.0))
    folds = membrane.fold_points(c0, max_force=12.0)
    assert sorted(fold.parameter for fold in curve.folds) == pytest.approx(
        [fold.force for fold in folds], rel=1e-8
    )
    uptakes = sorted(float(np.exp(fold.state)) for fold in curve.folds)
    assert uptakes == pytest.approx(sorted(fold.uptake for fold in folds), rel=1e-6)


@pytest.mark.parametrize(
    ("c0", "forces"),
    [(0.8, [4.409973, 5.264081]), (1.5, [2.226068, 4.060439]), (3.0, [2.780369])],
)
def test_folds_of_the_valve_lie_where_an_earlier_calculation_found_them(c0, forces):
    folds = standard("swelling", 6.0).fold_points(c0)
    assert [fold.force for fold in folds] == pytest.approx(forces, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "interaction", "table"),
    [
        (
            "swelling",
            6.0,
            {
                0: (2.25505, 8.63373),
                1: (2.02816, 7.12846),
                2: (1.59382, 4.54436),
                6: (0.47013, 0.55368),
            },
        ),
        (
            "collapse",
            -6.0,
            {0: (0.112272, 0.429848), 2: (0.087190, 0.435195), 40: (0.046421, 0.447801)},
        ),
    ],
)
def test_phase_boundaries_lie_where_an_earlier_calculation_found_them(kind, interaction, table):
    region = standard(kind, interaction).bistable_region(list(table))
    expected = np.array(list(table.values()))
    assert region.lower.values == pytest.approx(expected[:, 0], abs=1e-5)
    assert region.upper.values == pytest.approx(expected[:, 1], abs=1e-5)


def test_folds_at_fixed_force_and_at_fixed_concentration_are_the_same_points():
    membrane = standard("swelling", 6.0)
    for fold in membrane.fold_points(1.5):
        matching = [f.bulk_concentration for f in membrane.fold_concentrations(fold.force)]
        assert np.min(np.abs(np.array(matching) - 1.5)) < 1e-9


def test_the_loop_gain_is_one_at_a_fold_and_its_slope_vanishes_too_at_a_cusp():
    membrane = standard("collapse", 6.0)
    (cusp,) = membrane.cusps()
    assert cusp.force == pytest.approx(4.633468, abs=1e-6)
    assert cusp.bulk_concentration == pytest.approx(0.684749, abs=1e-6)

    def slope_of_log_concentration(phi):  # in the variable phi: the inverse of the response
        h = 1e-4
        values = [
            np.log(membrane.response.inverse(p) / membrane.inert_uptake(cusp.force, 1.0, p))
            for p in (phi - 2 * h, phi - h, phi, phi + h, phi + 2 * h)
        ]
        first = (values[0] - 8 * values[1] + 8 * values[3] - values[4]) / (12 * h)
        second = (-values[0] + 16 * values[1] - 30 * values[2] + 16 * values[3] - values[4]) / (
            12 * h * h
        )
        return first, second

    first, second = slope_of_log_concentration(cusp.volume_fraction)
    assert first == pytest.approx(0.0, abs=1e-7)
    assert second == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(("kind", "interaction"), [("collapse", 6.0), ("swelling", 6.0)])
def test_the_cusp_does_not_depend_on_the_variable_it_is_found_in(kind, interaction):
    membrane = standard(kind, interaction)
    (cusp,) = membrane.cusps()
    law = membrane.response

    def log_concentration(x, u):  # x = artanh of the scaled volume fraction
        c = law.threshold + (law.width if kind == "collapse" else -law.width) * x
        phi = (law.low + law.high) / 2 + (law.high - law.low) / 2 * np.tanh(x)
        return np.log(c / membrane.inert_uptake(u, 1.0, phi))

    def conditions(state):
        x, u = state
        h, k = 0.01, np.arange(-4, 5)
        values = np.array([log_concentration(x + i * h, u) for i in k])
        first = np.array([3, -32, 168, -672, 0, 672, -168, 32, -3]) / 840
        second = np.array([-9, 128, -1008, 8064, -14350, 8064, -1008, 128, -9]) / 5040
        return [values @ first / h, values @ second / h**2]

    start = [
        np.arctanh((2 * cusp.volume_fraction - law.low - law.high) / (law.high - law.low)),
        cusp.force,
    ]
    solution = root(conditions, start, tol=1e-13)
    assert solution.x[1] == pytest.approx(cusp.force, rel=1e-8)
    c0 = np.exp(log_concentration(solution.x[0], solution.x[1]))
    assert c0 == pytest.approx(cusp.bulk_concentration, rel=1e-8)


def test_two_folds_meet_at_the_cusp_and_none_is_left_beyond_it():
    membrane = standard("swelling", 6.0)
    (cusp,) = membrane.cusps()
    for distance in (1e-2, 1e-4, 1e-6, 1e-8):
        upper, lower = membrane.fold_concentrations(cusp.force - distance)
        middle = np.sqrt(lower.bulk_concentration * upper.bulk_concentration)
        assert lower.bulk_concentration < upper.bulk_concentration
        assert middle == pytest.approx(cusp.bulk_concentration, rel=2 * distance)
        if distance > 1e-8:  # the window's width falls as distance^(3/2), there below round-off
            assert len(membrane.steady_states(cusp.force - distance, middle)) == 3
        assert membrane.fold_concentrations(cusp.force + distance) == []


def test_the_count_of_states_is_the_number_of_states():
    rng = np.random.default_rng(2)
    for kind, sign in (("collapse", -1), ("swelling", 1), ("collapse", 1)):
        membrane = random_membrane(rng, kind, sign)
        forces, c0 = np.linspace(0, 12, 7)[:, None], np.geomspace(0.02, 10, 15)
        counts = membrane.count_states(forces, c0)
        assert counts.shape == (7, 15)
        for i, u in enumerate(forces[:, 0]):
            for j, c in enumerate(c0):
                assert counts[i, j] == len(membrane.steady_states(u, c))


def test_bistability_at_low_force_needs_collapse_with_attraction_or_swelling_with_repulsion():
    assert np.isfinite(standard("collapse", -6.0).bistable_region(0.0).lower)
    assert np.isfinite(standard("swelling", 6.0).bistable_region(0.0).lower)
    assert np.isnan(standard("collapse", 6.0).bistable_region(0.0).lower)
    assert np.isnan(standard("swelling", -6.0).bistable_region(0.0).lower)


def test_at_large_force_only_collapse_is_bistable_and_its_window_does_not_know_the_interaction():
    windows = [standard("collapse", b).bistable_region(400.0) for b in (-6.0, 0.0, 6.0)]
    lower, upper = (
        np.array([float(w[name].values[0]) for w in windows]) for name in ("lower", "upper")
    )
    assert np.ptp(lower) / lower[0] < 0.02
    assert np.ptp(upper) / upper[0] < 0.01
    assert np.isnan(standard("swelling", 6.0).bistable_region(400.0).lower)

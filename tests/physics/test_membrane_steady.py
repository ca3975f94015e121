"""Steady states of the closed loop: complete, stable where they should be, rightly differentiated."""

from __future__ import annotations

import numpy as np
import pytest
from membranes import random_membrane, standard

from axonal.errors import InputError
from axonal.physics.membrane import (
    ConservedPolymer,
    FreeVolumeDiffusivity,
    MultipleSteadyStates,
    ResponsiveMembrane,
    TanhResponse,
    VirialPartition,
)

CASES = [(kind, sign) for kind in ("collapse", "swelling") for sign in (-1, 1)]


def roots_by_dense_scan(membrane: ResponsiveMembrane, force: float, c0: float) -> np.ndarray:
    """Return the c_in of all states from sign changes on a very fine grid: slow and independent."""
    c = np.geomspace(1e-4, 1e4, 400_001)
    phi = membrane.response(c)
    excess = c - membrane.inert_uptake(force, c0, phi)
    at = np.flatnonzero(np.sign(excess[:-1]) != np.sign(excess[1:]))
    return c[at] - excess[at] * (c[at + 1] - c[at]) / (excess[at + 1] - excess[at])


@pytest.mark.parametrize(("kind", "sign"), CASES)
def test_every_state_of_a_dense_scan_is_found_and_no_other(kind, sign):
    rng = np.random.default_rng(7)
    several = 0
    for _ in range(15):
        membrane = random_membrane(rng, kind, sign)
        force, c0 = rng.uniform(0, 15), 10 ** rng.uniform(-1.5, 1.0)
        states = membrane.steady_states(force, c0)
        expected = roots_by_dense_scan(membrane, force, c0)
        assert np.sort(states.uptake) == pytest.approx(expected, rel=1e-5)
        several += len(states) > 1
    assert several > 0 or (kind, sign) in (("swelling", -1), ("collapse", 1))


def test_states_near_a_fold_are_not_lost_between_two_knots():
    membrane = standard("swelling", 6.0)
    for fold in membrane.fold_points(0.8):
        inwards = 1 if fold.force < 5 else -1
        for distance in (1e-2, 1e-4, 1e-6, 1e-8):
            assert len(membrane.steady_states(fold.force + inwards * distance, 0.8)) == 3
            assert len(membrane.steady_states(fold.force - inwards * distance, 0.8)) == 1


def test_a_state_saturated_to_the_last_bit_is_found():
    membrane = standard("swelling", 6.0)
    for c0 in (1e-9, 1e-3, 1e3, 1e9):
        states = membrane.steady_states(2.0, c0)
        assert len(states) == 1
        assert membrane.inert_uptake(2.0, c0, states.volume_fraction) == pytest.approx(
            states.uptake, rel=1e-12
        )


@pytest.mark.parametrize(("kind", "sign"), CASES)
def test_states_are_odd_in_number_and_alternate_in_stability(kind, sign):
    rng = np.random.default_rng(3)
    for _ in range(25):
        membrane = random_membrane(rng, kind, sign)
        states = membrane.steady_states(rng.uniform(0, 15), 10 ** rng.uniform(-1.5, 1.0))
        assert len(states) % 2 == 1
        assert np.array_equal(states.stable, np.arange(len(states)) % 2 == 0)
        assert np.array_equal(states.stable, states.loop_gain < 1)
        assert np.all(np.diff(states.volume_fraction) >= 0)


def test_the_loop_closes_in_every_state():
    membrane = standard("collapse", -6.0)
    states = membrane.steady_states(1.0, 0.2)
    assert len(states) == 3
    phi = states.volume_fraction
    assert membrane.response(states.uptake) == pytest.approx(phi, rel=1e-13)
    assert membrane.inert_uptake(1.0, 0.2, phi) == pytest.approx(states.uptake, rel=1e-12)
    assert membrane.inert_flux(1.0, 0.2, phi) == pytest.approx(states.flux, rel=1e-13)
    assert membrane.inert_permeability(1.0, phi) == pytest.approx(
        states.system_permeability, rel=1e-13
    )


def test_the_loop_gain_is_the_product_of_the_two_slopes():
    membrane = standard("swelling", 6.0)
    states = membrane.steady_states(5.0, 0.8)
    phi, h = states.volume_fraction, 1e-6
    by_phi = (
        membrane.inert_uptake(5.0, 0.8, phi + h) - membrane.inert_uptake(5.0, 0.8, phi - h)
    ) / (2 * h)
    assert membrane.response.derivative(states.uptake) * by_phi == pytest.approx(
        states.loop_gain, rel=1e-7
    )


@pytest.mark.parametrize(
    ("kind", "interaction", "c0", "force"),
    [("swelling", 6, 0.8, 5.0), ("collapse", 6, 0.8, 4.0), ("collapse", -6, 0.2, 0.5)],
)
def test_differential_permeability_is_the_total_derivative_of_the_flux(
    kind, interaction, c0, force
):
    membrane, h = standard(kind, interaction), 1e-5
    states = membrane.steady_states(force, c0)
    ahead, behind = membrane.steady_states(force + h, c0), membrane.steady_states(force - h, c0)
    by_difference = (ahead.flux - behind.flux) / (2 * h * c0)
    assert states.differential_permeability == pytest.approx(by_difference, rel=1e-6)
    phi = states.volume_fraction
    frozen = (membrane.inert_flux(force + h, c0, phi) - membrane.inert_flux(force - h, c0, phi)) / (
        2 * h * c0
    )
    assert states.differential_permeability_inert == pytest.approx(frozen, rel=1e-6)


def test_differential_permeability_is_the_permeability_at_rest_and_even_in_the_force():
    membrane = standard("swelling", 6.0)
    rest = membrane.steady_states(0.0, 0.8)
    assert rest.differential_permeability == pytest.approx(rest.system_permeability, rel=1e-12)
    assert rest.flux == pytest.approx([0.0])
    forward, backward = membrane.steady_states(5.0, 0.8), membrane.steady_states(-5.0, 0.8)
    assert np.array_equal(forward.flux, -backward.flux)
    assert np.array_equal(forward.differential_permeability, backward.differential_permeability)


def test_differential_permeability_integrates_back_to_the_flux():
    membrane = standard("collapse", 6.0)
    curve = membrane.branch(0.5, max_force=4.0)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    forces = 2 * (nodes + 1)
    values = [membrane.steady_state(u, 0.5).differential_permeability[0] for u in forces]
    assert 0.5 * 2 * np.dot(weights, values) == pytest.approx(curve.flux[-1], rel=1e-6)


def test_differential_permeability_changes_sign_across_each_fold_through_infinity():
    membrane = standard("swelling", 6.0)
    curve = membrane.branch(0.8, max_force=8.0)
    turns = np.flatnonzero(np.diff(np.sign(np.diff(curve.force))))
    assert len(turns) == 2
    for k in turns:
        before, after = curve.differential_permeability[k - 3 : k + 5 : 7]
        assert before * after < 0
    near = membrane.steady_states(membrane.fold_points(0.8)[1].force - 1e-9, 0.8)
    assert np.max(np.abs(near.differential_permeability)) > 1e3


def test_smooth_clogging_has_negative_differential_permeability_without_any_fold():
    membrane = standard("collapse", 6.0)
    state = membrane.steady_state(4.0, 0.8)
    assert state.differential_permeability[0] == pytest.approx(-2.06, abs=0.005)
    assert membrane.fold_points(0.8, max_force=4.6) == []


@pytest.mark.parametrize(("kind", "sign"), CASES)
def test_the_sign_rules_of_the_loop_gain_hold_for_every_law(kind, sign):
    rng = np.random.default_rng(11)
    direction = 1 if kind == "collapse" else -1
    for _ in range(50):
        membrane = random_membrane(rng, kind, sign)
        forces = np.r_[0.0, np.geomspace(0.1, 200, 12)]
        c0 = 10 ** rng.uniform(-1, 0.7)
        gains = [membrane.steady_states(u, c0).loop_gain for u in forces]
        tiny = 1e-13
        # at rest partitioning alone feeds back: -b for collapse, +b for swelling
        assert np.all(-sign * direction * gains[0] >= -tiny)
        # at large force slowing alone: clogging feeds back positively, swelling negatively
        assert np.all(direction * gains[-1] >= -1e-2 * np.abs(gains[-1]) - 1e-2)
        if sign < 0:  # attraction: the two effects agree at every force
            assert all(np.all(direction * gain >= -tiny) for gain in gains)


def test_swelling_by_an_attracted_solute_is_never_bistable():
    rng = np.random.default_rng(5)
    for _ in range(50):
        membrane = random_membrane(rng, "swelling", -1)
        counts = membrane.count_states(np.linspace(0, 40, 9)[:, None], np.geomspace(0.01, 20, 40))
        assert np.all(counts == 1)


def test_the_force_flux_curve_passes_through_every_state_and_every_fold():
    membrane = standard("swelling", 6.0)
    curve = membrane.branch(0.8, max_force=8.0)
    assert curve.force[[0, -1]] == pytest.approx([0.0, 8.0])
    assert np.max(np.abs(np.diff(curve.force))) < 0.1
    for k in range(0, len(curve), 7):
        states = membrane.steady_states(float(curve.force[k]), 0.8)
        assert np.min(np.abs(states.flux / max(curve.flux[k], 1e-12) - 1)) < 1e-6 or k == 0
    for fold in membrane.fold_points(0.8):
        assert np.min(np.abs(curve.force - fold.force)) < 0.05
    assert np.sum(~curve.stable) > 5


def test_a_curve_in_two_pieces_is_separated_by_a_gap():
    curve = standard("swelling", 6.0).branch(3.0, max_force=8.0)
    assert np.sum(np.isnan(curve.flux)) == 1
    assert not curve.stable[np.isnan(curve.flux)].any()


def test_an_inert_membrane_has_its_own_curve_and_no_folds():
    for K in (1.0, 0.3):
        membrane = ResponsiveMembrane(
            lambda phi, K=K: K + 0 * phi, lambda phi: 1 + 0 * phi, lambda c: 0.2 + 0 * c
        )
        curve = membrane.branch(1.0, max_force=5.0)
        assert curve.flux == pytest.approx(membrane.inert_flux(curve.force, 1.0, 0.2), abs=1e-12)
        assert curve.stable.all()
        assert membrane.fold_points(1.0) == []
        assert membrane.cusps() == []


def test_one_flux_is_refused_where_two_are_stable_unless_a_branch_is_named():
    membrane = standard("swelling", 6.0)
    assert membrane.flux(3.0, 0.8) == pytest.approx(0.03611, abs=1e-5)
    with pytest.raises(MultipleSteadyStates, match=r"2 stable states .* phi = 0.1315.* phi = 0.39"):
        membrane.flux(5.0, 0.8)
    assert membrane.flux(5.0, 0.8, "swollen") == pytest.approx(3.0748, abs=1e-4)
    assert membrane.flux(5.0, 0.8, "collapsed") == pytest.approx(0.15506, abs=1e-5)
    with pytest.raises(InputError, match="'swollen' or 'collapsed'"):
        membrane.flux(5.0, 0.8, "open")  # pyright: ignore[reportArgumentType]


def test_any_smooth_function_serves_as_a_law():
    exact = standard("swelling", 6.0)
    plain = ResponsiveMembrane(
        partition=lambda phi: np.exp(-6 * phi),
        diffusivity=lambda phi: np.exp(-5 * phi / (1 - phi)),
        response=lambda c: 0.25 - 0.15 * np.tanh((c - 1) / 0.1),
    )
    for force in (1.0, 5.0):
        a, b = exact.steady_states(force, 0.8), plain.steady_states(force, 0.8)
        assert b.uptake == pytest.approx(a.uptake, rel=1e-10)
        assert b.loop_gain == pytest.approx(a.loop_gain, rel=1e-6, abs=1e-9)
    ours = [fold.force for fold in plain.fold_points(0.8)]
    assert ours == pytest.approx([fold.force for fold in exact.fold_points(0.8)], rel=1e-9)
    assert plain.cusps()[0].force == pytest.approx(exact.cusps()[0].force, rel=1e-7)


def test_a_response_without_an_inverse_has_all_its_states():
    def swells_then_collapses(c):
        return 0.4 - 0.25 / (1 + np.exp(-(c - 1) / 0.05)) + 0.2 / (1 + np.exp(-(c - 2) / 0.05))

    membrane = ResponsiveMembrane(VirialPartition(8), response=swells_then_collapses)
    found = set()
    for c0 in (0.3, 1.0, 2.0, 4.0):
        for force in (0.0, 2.0, 5.0, 9.0):
            states = membrane.steady_states(force, c0)
            expected = roots_by_dense_scan(membrane, force, c0)
            assert np.sort(states.uptake) == pytest.approx(expected, rel=1e-5)
            found.add(len(states))
    assert {1, 3} <= found


def test_a_slab_that_thins_as_it_collapses_closes_its_loop_too():
    membrane = ResponsiveMembrane(
        VirialPartition(6),
        FreeVolumeDiffusivity(5),
        TanhResponse(0.1, 0.4, 1.0, 0.1, "swelling"),
        thickness=ConservedPolymer(0.4, 0.4),
    )
    folds = membrane.fold_points(1.5)
    assert len(folds) == 2
    force = (folds[0].force + folds[1].force) / 2
    states = membrane.steady_states(force, 1.5)
    assert np.sort(states.uptake) == pytest.approx(
        roots_by_dense_scan(membrane, force, 1.5), rel=1e-5
    )
    h = 1e-5
    ahead, behind = (membrane.steady_states(force + s, 1.5).flux for s in (h, -h))
    assert states.differential_permeability == pytest.approx(
        (ahead - behind) / (2 * h * 1.5), rel=1e-6
    )
    assert np.array_equal(states.stable, [True, False, True])


def test_a_state_far_outside_the_resolved_concentrations_is_reported():
    def switches_far_away(c):
        return 0.25 - 0.15 * np.tanh((c - 1e9) / 1e8)

    membrane = ResponsiveMembrane(VirialPartition(6), response=switches_far_away)
    assert len(membrane.steady_states(5.0, 1.0)) == 1
    with pytest.raises(InputError, match="pass another concentration_scale"):
        membrane.steady_states(5.0, 0.8e9)
    moved = ResponsiveMembrane(
        VirialPartition(6), response=switches_far_away, concentration_scale=1e9
    )
    assert len(moved.steady_states(5.0, 0.8e9)) == 3


def test_bad_forces_and_concentrations_are_named():
    membrane = standard("swelling", 6.0)
    with pytest.raises(InputError, match="must be positive"):
        membrane.steady_states(1.0, -0.1)
    with pytest.raises(InputError, match="not finite"):
        membrane.steady_states(np.inf, 1.0)
    with pytest.raises(InputError, match=r"force has shape \(2,\); give one number"):
        membrane.steady_states(np.array([1.0, 2.0]), 1.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="max_force"):
        membrane.fold_points(1.0, max_force=-1.0)
    with pytest.raises(InputError, match="concentration_scale"):
        ResponsiveMembrane(concentration_scale=0.0)

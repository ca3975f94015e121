"""Estimation and detection: the global optimum, its errors, and the trade-off of false decisions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import differential_evolution
from scipy.stats import mannwhitneyu

from axonal.cells.contact import (
    Contact,
    ContactModel,
    CramerRao,
    DwellRecord,
    Evidence,
    Gaussian,
    ReceptorArray,
    TwoLigandKinetics,
    auc_det,
    det_curve,
    detection_trials,
    estimation_trials,
    false_negative_rate,
    false_positive_rate,
    known_position_auc,
    occupancy_estimate,
)
from axonal.errors import InputError

CONTACT = Contact(total=1000.0, fraction=0.1, position=40.0, half_width=8.0)


def model(alpha: float, spacing: float = 0.05, profile=None) -> ContactModel:
    arguments = {} if profile is None else {"profile": profile}
    return ContactModel(
        ReceptorArray.line(100.0, spacing), TwoLigandKinetics(alpha=alpha), **arguments
    )


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize(
    ("alpha", "half_width", "profile"),
    [(1.0, 8.0, None), (0.5, 2.0, None), (0.1, 8.0, None), (0.8, 5.0, Gaussian())],
)
def test_no_generic_global_optimiser_finds_a_better_optimum(alpha, half_width, profile, present):
    sensing = model(alpha, 0.1, profile)
    contact = Contact(1000.0, 0.1, 63.0, half_width)
    scene = contact if present else contact.without_neighbour()
    record = sensing.simulate(scene, 1.0, 11)
    evidence = Evidence.of(record, sensing.kinetics)
    spurious, _ = evidence.absent()

    def loss(z):
        values = sensing.profile.at(sensing.receptors.displacement(z[2]), half_width)
        return -evidence.evaluate(values, spurious * z[0], spurious * z[1]).value

    bounds = [(0, 2), (0.3, 1.5), (0, 100)]
    found = differential_evolution(loss, bounds, popsize=12, tol=1e-8, seed=1, maxiter=80)
    assert sensing.fit(record, half_width).log_likelihood > -found.fun - 1e-4


@pytest.mark.parametrize(
    ("alpha", "half_width", "seeds"), [(1.0, 25.0, (1, 2, 3)), (0.1, 2.0, (19, 31, 38))]
)
def test_the_search_finds_what_climbs_from_everywhere_find(alpha, half_width, seeds):
    # Records without a contact, whose highest peak is not the highest of the scan.
    sensing = model(alpha, 0.1)
    for seed in seeds:
        scene = Contact(1000.0, 0.1, 50.0, half_width).without_neighbour()
        record = sensing.simulate(scene, 1.0, seed)
        climbs = [
            sensing.fit(record, half_width, Contact(scene.total, chi, position, half_width))
            for position in np.arange(0.5, 100.0, 1.0)
            for chi in (0.001, 0.1)
        ]
        best = max(climb.log_likelihood for climb in climbs)
        assert sensing.fit(record, half_width).log_likelihood > best - 1e-3


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_errors_reach_the_cramer_rao_bound_where_many_events_are_seen(alpha):
    sensing = model(alpha)
    contact = Contact(500.0, 0.4, 40.0, 8.0)
    trials = estimation_trials(sensing, contact, 3.0, 200, np.random.default_rng(3))
    bound = CramerRao.of(sensing.fisher_information(contact, 3.0, "finite"))
    ratio = trials.standard_deviation / np.sqrt(np.diag(bound.covariance))
    assert np.abs(ratio - 1).max() < 4 / np.sqrt(2 * 199)
    bias = trials.estimates.mean(axis=0) - [500.0, 0.4, 40.0]
    assert np.abs(bias / trials.standard_deviation).max() < 4 / np.sqrt(200) + 0.05


def test_the_fits_own_covariance_agrees_with_the_bound():
    sensing = model(0.5)
    fit = sensing.fit(sensing.simulate(CONTACT, 20.0, 1), 8.0)
    bound = sensing.cramer_rao(CONTACT, 20.0, "finite")
    assert fit.converged
    assert not fit.at_bound
    np.testing.assert_allclose(
        np.sqrt(np.diag(fit.covariance) / np.diag(bound.covariance)), 1, rtol=0.1
    )


def test_a_contact_is_found_from_nowhere_and_from_the_truth_alike():
    sensing = model(0.5)
    record = sensing.simulate(CONTACT, 5.0, 2)
    anywhere, near = sensing.fit(record, 8.0), sensing.fit(record, 8.0, start=CONTACT)
    assert anywhere.log_likelihood == pytest.approx(near.log_likelihood, abs=1e-6)
    assert anywhere.contact.position == pytest.approx(near.contact.position, abs=1e-3)


def test_a_contact_across_the_seam_of_a_closed_outline_is_found():
    corners = [[0, 0], [25, 0], [25, 25], [0, 25]]
    ring = ReceptorArray.outline(corners, spacing=0.05)
    sensing = ContactModel(ring, TwoLigandKinetics(alpha=0.5))
    contact = Contact(500.0, 0.4, 0.5, 8.0)
    fit = sensing.fit(sensing.simulate(contact, 5.0, 4), 8.0)
    away = (fit.contact.position - 0.5 + 50) % 100 - 50
    assert abs(away) < 5 * np.sqrt(fit.covariance[2, 2])


def test_likelihood_ratio_is_never_negative_and_invariant_to_the_unit_of_time():
    slow = TwoLigandKinetics(binding=0.01, unbinding=1.0, alpha=0.4)
    fast = TwoLigandKinetics(binding=0.01 / 60, unbinding=1.0 / 60, alpha=0.4)
    receptors = ReceptorArray.line(100.0, 0.1)
    for seed in range(6):
        record = ContactModel(receptors, slow).simulate(CONTACT.without_neighbour(), 1.0, seed)
        minutes = DwellRecord(
            record.receptor, 60 * record.unbound, 60 * record.bound, 60.0, record.receptors,
            60 * record.cut_unbound, 60 * record.cut_bound,
        )  # fmt: skip
        ratio = ContactModel(receptors, slow).fit(record, 8.0).likelihood_ratio
        assert ratio >= 0
        scaled = ContactModel(receptors, fast).fit(minutes, 8.0).likelihood_ratio
        assert scaled == pytest.approx(ratio, abs=1e-5)


def test_an_estimate_without_contact_is_flagged_and_has_no_covariance():
    # Every receptor tells the same, so that no place has an excess.
    alike = np.full(2000, 0.1)
    record = DwellRecord(np.arange(2000), alike, 5 * alike, 1.0, 2000, cut_unbound=4 * alike)
    fit = model(1.0).fit(record, 8.0)
    assert fit.contact.fraction == 0
    assert fit.at_bound
    assert fit.likelihood_ratio == 0
    assert np.isnan(fit.covariance).all()


def test_a_climb_starts_without_a_contact_but_not_without_a_background():
    sensing = model(0.5)
    record = sensing.simulate(CONTACT, 5.0, 2)
    expected = sensing.fit(record, 8.0).log_likelihood
    nothing = Contact(1000.0, 0.0, 41.0, 8.0)
    assert sensing.fit(record, 8.0, nothing).log_likelihood == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match="a start with chi below 1"):
        sensing.fit(record, 8.0, Contact(1000.0, 1.0, 41.0, 8.0))


def test_without_spurious_ligand_the_estimate_is_at_its_bound():
    sensing = ContactModel(ReceptorArray.line(100.0, 0.05), TwoLigandKinetics(alpha=0.1))
    receptors = np.arange(640, 960)  # bound within the contact alone, and for long
    record = DwellRecord(
        receptors, np.full(320, 0.5), np.full(320, 3.0), 4.0, 2000, cut_unbound=np.full(2000, 0.5)
    )
    fit = sensing.fit(record, 8.0)
    assert fit.contact.fraction == pytest.approx(1.0, abs=1e-6)
    assert fit.at_bound
    assert np.isnan(fit.covariance).all()


def test_false_rates_and_area_are_those_of_the_roc_curve():
    present, absent = np.array([9.0, 4.0, 6.0, 2.0]), np.array([1.0, 3.0, 2.0, 0.0])
    curve = det_curve(present, absent)
    np.testing.assert_array_equal(np.diff(curve.false_negatives) >= 0, True)
    np.testing.assert_array_equal(np.diff(curve.false_positives) <= 0, True)
    # P(absent outscores present) with half the ties: (3 > 2) and half of (2 = 2), of 16.
    assert auc_det(present, absent).value == pytest.approx(1.5 / 16)
    assert np.trapezoid(curve.false_negatives, -curve.false_positives) == pytest.approx(1.5 / 16)
    assert false_negative_rate(present, 5.0).value == 0.5
    assert false_positive_rate(absent, 2.0).value == 0.5


def test_area_and_the_rank_sum_statistic_sum_to_one():
    rng = np.random.default_rng(0)
    present, absent = rng.normal(1, 1, 50).round(1), rng.normal(0, 1, 60).round(1)
    roc_area = mannwhitneyu(present, absent).statistic / (50 * 60)
    assert auc_det(present, absent).value + roc_area == pytest.approx(1)


def test_a_wide_contact_is_missed_less_often_than_a_narrow_one():
    rng = np.random.default_rng(0)
    narrow, wide = (
        detection_trials(model(1.0, 0.02), Contact(1000, 0.1, 50, width), 1.0, 40, rng)
        for width in (1.0, 15.0)
    )
    assert (
        false_negative_rate(narrow.present, 7.0).low > false_negative_rate(wide.present, 7.0).high
    )
    assert auc_det(narrow.present, narrow.absent).low > auc_det(wide.present, wide.absent).high


def test_knowing_the_position_bounds_the_search_from_below():
    sensing = model(1.0, 0.02)
    contact = Contact(1000, 0.1, 50, 4.0)
    trials = detection_trials(sensing, contact, 1.0, 60, np.random.default_rng(1))
    assert known_position_auc(sensing, contact, 1.0) < auc_det(trials.present, trials.absent).low
    # Twice the time, less confusion; no contact left, none at all.
    assert known_position_auc(sensing, contact, 2.0) < known_position_auc(sensing, contact, 1.0)
    assert known_position_auc(sensing, Contact(900.01, 1e-5, 50, 4.0), 1.0) == pytest.approx(
        0.5, abs=1e-3
    )


def test_occupancy_alone_locates_worse_than_the_dwell_times():
    sensing = model(0.1, 0.02)
    rng = np.random.default_rng(6)
    errors = []
    for _ in range(25):
        record = sensing.simulate(CONTACT, 5.0, rng)
        blind = occupancy_estimate(record, sensing.receptors, sensing.kinetics, 8.0)
        errors.append([blind.position - 40, sensing.fit(record, 8.0).contact.position - 40])
    blind, full = np.sqrt(np.mean(np.square(errors), axis=0))
    assert full < 0.5 * blind


def test_a_record_without_bindings_is_refused():
    empty = DwellRecord(
        np.array([], int), np.array([]), np.array([]), 1.0, 2000, cut_unbound=np.ones(2000)
    )
    with pytest.raises(InputError, match=r"0 bound intervals.*Measure for longer"):
        model(0.5).fit(empty, 8.0)


def test_trials_too_few_for_a_spread_are_refused():
    with pytest.raises(InputError, match="at least 2 trials; got 1"):
        estimation_trials(model(1.0), CONTACT, 1.0, 1, np.random.default_rng(0))
    with pytest.raises(InputError, match="At least one trial"):
        detection_trials(model(1.0), CONTACT, 1.0, 0, np.random.default_rng(0))
    with pytest.raises(InputError, match="with and without a contact"):
        det_curve([], [1.0])
    with pytest.raises(InputError, match="There is no contact to detect"):
        known_position_auc(model(1.0), CONTACT.without_neighbour(), 1.0)


def test_a_window_wider_than_the_perimeter_is_refused():
    sensing = model(1.0)
    with pytest.raises(InputError, match="must be longer than 2 sigma = 120"):
        occupancy_estimate(
            sensing.simulate(CONTACT, 1.0, 0), sensing.receptors, sensing.kinetics, 60.0
        )
    with pytest.raises(InputError, match="half-width sigma must be positive"):
        sensing.fit(sensing.simulate(CONTACT, 1.0, 0), -1.0)

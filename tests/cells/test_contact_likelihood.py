"""The log-likelihood: its terms, its derivatives, and what they must average to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from axonal.cells.contact import (
    Contact,
    ContactModel,
    DwellRecord,
    Evidence,
    ReceptorArray,
    TwoLigandKinetics,
)
from axonal.errors import InputError

ARRAY = ReceptorArray.line(100.0, 0.1)
CONTACT = Contact(total=1000.0, fraction=0.2, position=40.0, half_width=8.0)


def evaluate(model: ContactModel, record: DwellRecord, theta):
    profile = model.profile.at(model.receptors.displacement(theta[2]), 8.0)
    return Evidence.of(record, model.kinetics).evaluate(profile, theta[0], theta[1])


@pytest.mark.parametrize("alpha", [0.02, 0.4, 1.0])
@pytest.mark.parametrize("start", ["unbound", "stationary"])
def test_gradient_and_hessian_are_derivatives_of_the_value(alpha, start):
    model = ContactModel(ARRAY, TwoLigandKinetics(alpha=alpha))
    record = model.simulate(CONTACT, 1.5, 1, start=start)
    theta = np.array([180.0, 830.0, 40.6])
    here = evaluate(model, record, theta)
    for axis, step in enumerate((1e-2, 1e-2, 1e-4)):
        shift = step * np.eye(3)[axis]
        up, down = evaluate(model, record, theta + shift), evaluate(model, record, theta - shift)
        slope = (up.value - down.value) / (2 * step)
        scale = np.sqrt(abs(here.hessian[axis, axis]))
        assert here.gradient[axis] == pytest.approx(slope, rel=1e-6, abs=1e-5 * scale)
        bend = (up.gradient - down.gradient) / (2 * step)
        np.testing.assert_allclose(here.hessian[axis], bend, rtol=1e-5, atol=1e-6 * scale)


def test_complete_pairs_have_the_papers_likelihood():
    rng = np.random.default_rng(0)
    receptor = np.sort(rng.integers(0, 1000, 3000))
    unbound, bound = rng.exponential(0.1, 3000), rng.exponential(0.7, 3000)
    record = DwellRecord(receptor, unbound, bound, 3.0, 1000)
    model = ContactModel(ARRAY, TwoLigandKinetics(0.01, 1.0, 0.4))
    g = model.profile.at(ARRAY.displacement(40.0), 8.0).value[receptor]
    c, c_spurious, r, r2, k = 200 * g, 800.0, 1.0, 2.5, 0.01
    per_pair = np.log(k * (c + c_spurious)) - k * (c + c_spurious) * unbound
    mixture = c * r * np.exp(-r * bound) + c_spurious * r2 * np.exp(-r2 * bound)
    expected = np.sum(per_pair + np.log(mixture / (c + c_spurious)))
    assert model.log_likelihood(record, CONTACT) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("start", ["unbound", "stationary"])
def test_probabilities_of_all_short_histories_sum_to_one(start):
    # In a time so short that two releases are rare, every history of one receptor is one of few
    # kinds; their likelihoods, integrated over when things happened, must add up to 1.
    kinetics, duration = TwoLigandKinetics(binding=0.01, unbinding=1.0, alpha=0.4), 0.02
    array = ReceptorArray(np.array([40.0, 90.0, 95.0]), 100.0)
    model = ContactModel(array, kinetics)
    empty = {"receptor": np.array([], int), "unbound": np.array([]), "bound": np.array([])}
    rest = np.full(3, np.nan)

    def likelihood(pairs=None, cut_unbound=0.0, cut_bound=np.nan, first=np.nan):
        # Receptors 1 and 2 stay as they are for the whole time in every history.
        others = np.exp(-kinetics.binding * 800 * duration)
        if start == "stationary":
            others /= kinetics.partition(0.0, 800.0)
        record = DwellRecord(
            **(pairs or empty),
            duration=duration,
            receptors=3,
            cut_unbound=np.array([cut_unbound, duration, duration]),
            cut_bound=np.r_[cut_bound, rest[1:]],
            first_bound=np.r_[first, rest[1:]],
            start=start,
        )
        return np.exp(model.log_likelihood(record, CONTACT)) / others**2

    def pair(unbound, bound):
        return {
            "receptor": np.array([0]),
            "unbound": np.array([unbound]),
            "bound": np.array([bound]),
        }

    total = likelihood(cut_unbound=duration)
    total += quad(lambda u: likelihood(cut_unbound=u, cut_bound=duration - u), 0, duration)[0]
    points, weights = np.polynomial.legendre.leggauss(8)
    nodes, weights = duration * (points + 1) / 2, duration * weights / 2
    for u, w in zip(nodes, weights, strict=True):
        inner, inner_w = (duration - u) * nodes / duration, (duration - u) * weights / duration
        for b, v in zip(inner, inner_w, strict=True):
            total += w * v * likelihood(pair(u, b), cut_unbound=duration - u - b)
    if start == "stationary":
        total += likelihood(cut_bound=duration)
        for b, w in zip(nodes, weights, strict=True):
            total += w * likelihood(first=b, cut_unbound=duration - b)
            inner, inner_w = (duration - b) * nodes / duration, (duration - b) * weights / duration
            for u, v in zip(inner, inner_w, strict=True):
                total += w * v * likelihood(first=b, cut_unbound=u, cut_bound=duration - b - u)
    # What is left out has two bindings and a release between: of order rate³ t³.
    assert total == pytest.approx(1, abs=2e-3)
    assert total < 1 + 1e-9


@pytest.mark.parametrize(("alpha", "start"), [(0.3, "unbound"), (1.0, "stationary")])
def test_scores_average_to_zero_with_the_exact_information_as_their_covariance(alpha, start):
    model = ContactModel(ARRAY, TwoLigandKinetics(alpha=alpha))
    theta = np.array([CONTACT.correct, CONTACT.spurious, CONTACT.position])
    rng = np.random.default_rng(5)
    scores = np.array(
        [
            evaluate(model, model.simulate(CONTACT, 0.8, rng, start=start), theta).gradient
            for _ in range(2000)
        ]
    )
    z = scores.mean(axis=0) / (scores.std(axis=0, ddof=1) / np.sqrt(len(scores)))
    assert np.abs(z).max() < 4
    back = CONTACT.jacobian()
    exact = back.T @ model.fisher_information(CONTACT, 0.8, "finite", start) @ back
    scale = np.sqrt(np.diag(exact))
    np.testing.assert_allclose(
        np.cov(scores.T) / np.outer(scale, scale), exact / np.outer(scale, scale), atol=0.12
    )


@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_mean_curvature_is_the_information_after_a_long_time(alpha):
    model = ContactModel(ReceptorArray.line(100.0, 0.05), TwoLigandKinetics(alpha=alpha))
    theta = np.array([CONTACT.correct, CONTACT.spurious, CONTACT.position])
    rng = np.random.default_rng(2)
    curvature = -np.mean(
        [evaluate(model, model.simulate(CONTACT, 30.0, rng), theta).hessian for _ in range(40)],
        axis=0,
    )
    back = CONTACT.jacobian()
    expected = back.T @ model.fisher_information(CONTACT, 30.0) @ back
    np.testing.assert_allclose(np.diag(curvature), np.diag(expected), rtol=0.03)


def test_pooled_counts_have_the_likelihood_of_the_events():
    alike = ContactModel(ARRAY, TwoLigandKinetics(alpha=1.0))
    nearly = ContactModel(ARRAY, TwoLigandKinetics(alpha=1.0 - 1e-12))
    record = alike.simulate(CONTACT, 2.0, 7)
    assert len(Evidence.of(record, alike.kinetics).stay) < record.pairs / 1.5
    for position in (38.0, 40.0, 43.0):
        contact = Contact(1000.0, 0.2, position, 8.0)
        assert alike.log_likelihood(record, contact) == pytest.approx(
            nearly.log_likelihood(record, contact), abs=1e-6
        )


def test_a_very_long_stay_of_very_unlike_ligands_does_not_overflow():
    kinetics = TwoLigandKinetics(alpha=0.001)
    record = DwellRecord(np.array([400]), np.array([0.1]), np.array([5.0]), 10.0, 1000)
    model = ContactModel(ARRAY, kinetics)
    value = model.log_likelihood(record, CONTACT)
    # Only the correct ligand stays for 5 s when r' is 1000 /s.
    g = model.profile.at(ARRAY.displacement(40.0), 8.0).value[400]
    expected = np.log(0.01 * 200 * g) - 0.01 * (800 + 200 * g) * 0.1 - 5.0
    assert value == pytest.approx(expected, rel=1e-12)


def test_best_background_without_a_contact_has_zero_slope():
    for start in ("unbound", "stationary"):
        model = ContactModel(ARRAY, TwoLigandKinetics(alpha=0.5))
        record = model.simulate(CONTACT, 1.0, 3, start=start)
        evidence = Evidence.of(record, model.kinetics)
        spurious, value = evidence.absent()
        there = evaluate(model, record, np.array([0.0, spurious, 40.0]))
        assert there.value == pytest.approx(value, rel=1e-12)
        assert abs(there.gradient[1]) < 1e-9 * np.sqrt(-there.hessian[1, 1])


def test_a_record_of_other_receptors_is_refused():
    record = ContactModel(ARRAY).simulate(CONTACT, 1.0, 0)
    with pytest.raises(InputError, match="The record has 1000 receptors and the model 10000"):
        ContactModel().log_likelihood(record, CONTACT)
    with pytest.raises(InputError, match="chi must be below 1"):
        ContactModel(ARRAY).log_likelihood(record, Contact(1000, 1.0, 40, 8))

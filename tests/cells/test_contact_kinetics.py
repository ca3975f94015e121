"""Rates, times and occupancy of the two-ligand receptor."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from axonal.cells.contact import TwoLigandKinetics
from axonal.errors import InputError

KINETICS = TwoLigandKinetics(binding=0.02, unbinding=0.7, alpha=0.3)


def generator(kinetics: TwoLigandKinetics, correct: float, spurious: float) -> np.ndarray:
    """Return the master equation of (unbound, correct, spurious), columns the state left."""
    k, r, r2 = kinetics.binding, kinetics.unbinding, kinetics.spurious_unbinding
    rates = np.array([[0, r, r2], [k * correct, 0, 0], [k * spurious, 0, 0]])
    return rates - np.diag(rates.sum(axis=0))


def test_correlation_times_are_the_relaxation_times_of_the_master_equation():
    eigenvalues = np.sort(np.linalg.eigvals(generator(KINETICS, 40, 300)).real)
    fast, slow = KINETICS.correlation_times(40, 300)
    np.testing.assert_allclose([1 / fast, 1 / slow], -eigenvalues[:2], rtol=1e-12)


def test_without_correct_ligand_the_times_are_those_of_one_ligand():
    fast, slow = KINETICS.correlation_times(0, 300)
    assert slow == pytest.approx(1 / KINETICS.unbinding, rel=1e-12)
    assert fast == pytest.approx(1 / (0.02 * 300 + KINETICS.spurious_unbinding), rel=1e-12)


def test_occupancy_is_the_stationary_state_of_the_master_equation():
    late = expm(1e4 * generator(KINETICS, 40, 300))[:, 0]
    assert KINETICS.occupancy(40, 300) == pytest.approx(1 - late[0], rel=1e-10)


@pytest.mark.parametrize("alpha", [0.03, 0.5, 1.0])
def test_expected_bindings_integrate_the_probability_of_being_unbound(alpha):
    kinetics = TwoLigandKinetics(binding=0.02, unbinding=0.7, alpha=alpha)
    times = np.linspace(0, 2, 4001)
    step = expm(times[1] * generator(kinetics, 40, 300))
    state, unbound = np.array([1.0, 0, 0]), []
    for _ in times:
        unbound.append(state[0])
        state = step @ state
    rate = 0.02 * 340
    from scipy.integrate import simpson

    assert kinetics.expected_bindings(40, 300, 2.0) == pytest.approx(
        rate * simpson(unbound, x=times), rel=1e-6
    )


def test_expected_bindings_of_one_ligand_follow_the_renewal_formula():
    kinetics = TwoLigandKinetics(alpha=1)
    binding, unbinding, time = 0.01 * 1000, 1.0, 0.4
    total = binding + unbinding
    # E[bindings] = 1 + E[releases] - P(unbound now), here from the two-state master equation.
    expected = binding * (unbinding * time / total + binding * -np.expm1(-total * time) / total**2)
    assert kinetics.expected_bindings(100, 900, time) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.0, -0.2, 1.2, np.nan])
def test_alpha_outside_its_range_is_refused(alpha):
    with pytest.raises(InputError, match=r"alpha = r/r' must be in \(0, 1\].*swap"):
        TwoLigandKinetics(alpha=alpha)


@pytest.mark.parametrize("rates", [{"binding": 0.0}, {"binding": -1.0}, {"unbinding": np.inf}])
def test_rates_that_are_not_positive_are_refused(rates):
    with pytest.raises(InputError, match=f"The {next(iter(rates))} rate must be positive"):
        TwoLigandKinetics(**rates)

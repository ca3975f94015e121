"""Fisher information: closed forms against integrals, symmetries, scaling, and known limits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from axonal.cells.contact import (
    Contact,
    ContactModel,
    ContactWarning,
    CramerRao,
    Gaussian,
    ReceptorArray,
    SmoothRectangle,
    TwoLigandKinetics,
    dwell_information,
    finite_time_information,
    long_time_information,
    snapshot_information,
)
from axonal.errors import InputError

ALPHAS = [0.03, 0.2, 0.5, 0.7, 0.9, 0.93, 0.99, 1.0]
CONTACT = Contact(total=1000.0, fraction=0.1, position=50.0, half_width=10.0)


def model(alpha: float, profile=None, spacing: float = 0.01) -> ContactModel:
    return ContactModel(
        ReceptorArray.line(spacing=spacing),
        TwoLigandKinetics(alpha=alpha),
        profile or SmoothRectangle(),
    )


@pytest.mark.parametrize("alpha", ALPHAS)
def test_information_contracts_with_the_concentrations_to_one(alpha):
    # h is linear in (c, c'), so c Q_cc + c' Q_cc' = ∫ h_c dtau = 1, and likewise for c'.
    spurious = 900.0
    correct = spurious * np.logspace(-8, 1, 40)
    information = long_time_information(TwoLigandKinetics(1.0, 1.0, alpha), correct, spurious, 1.0)
    weight = 1 / (1 + correct + spurious * alpha)
    q_cc, q_mixed = information.correct / weight, information.mixed / weight
    q_spurious = information.spurious / weight
    np.testing.assert_allclose(correct * q_cc + spurious * q_mixed, 1, rtol=1e-9)
    np.testing.assert_allclose(correct * q_mixed + spurious * q_spurious, 1, rtol=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("correct", [1e-6, 0.5, 100.0])
def test_closed_forms_equal_the_integrals(alpha, correct):
    spurious = mpmath.mpf(900)
    r, r2, c = 1, 1 / mpmath.mpf(alpha), mpmath.mpf(correct)

    def integral(power_c, power_spurious):
        def integrand(t):
            h_c, h_s = r * mpmath.exp(-r * t), r2 * mpmath.exp(-r2 * t)
            return h_c**power_c * h_s**power_spurious / (c * h_c + spurious * h_s)

        return mpmath.quad(integrand, [0, 0.1, 0.5, 1, 2, 4, 8, 16, 32, 64, 200])

    q_cc, q_mixed = dwell_information(np.array([correct]), 900.0, alpha)
    assert q_cc[0] == pytest.approx(float(integral(2, 0)), rel=1e-8)
    assert q_mixed[0] == pytest.approx(float(integral(1, 1)), rel=1e-8)


def test_faint_ligand_has_a_limit_above_one_half_and_diverges_below():
    above, _ = dwell_information(np.array([1e-9 * 900]), 900.0, 0.8)
    assert above[0] == pytest.approx(0.8**2 / (900 * (2 * 0.8 - 1)), rel=1e-4)
    c = 900 * np.array([1e-9, 1e-8])
    below, _ = dwell_information(c, 900.0, 0.25)
    exponent = np.log(below[0] / below[1]) / np.log(c[0] / c[1])
    assert exponent == pytest.approx(-(1 - 2 * 0.25) / (1 - 0.25), rel=2e-2)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("regime", ["long", "finite"])
def test_information_is_symmetric_positive_definite_and_position_decouples(alpha, regime):
    # Receptors placed symmetrically about the contact's centre.
    receptors = ReceptorArray(np.linspace(0.005, 99.995, 10_000), 100.0)
    array = ContactModel(receptors, TwoLigandKinetics(alpha=alpha))
    information = array.fisher_information(CONTACT, 10.0, regime)
    np.testing.assert_array_equal(information, information.T)
    assert np.linalg.eigvalsh(information).min() > 0
    scale = np.sqrt(np.diag(information))
    assert np.abs(information[2, :2] / (scale[2] * scale[:2])).max() < 1e-10


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_long_time_information_is_proportional_to_time_and_receptor_density(alpha):
    once = model(alpha, spacing=0.02).fisher_information(CONTACT, 10.0)
    longer = model(alpha, spacing=0.02).fisher_information(CONTACT, 30.0)
    np.testing.assert_allclose(longer, 3 * once, rtol=1e-12, atol=1e-12)
    # Twice the receptors at the same places, exactly.
    positions = np.repeat(ReceptorArray.line(spacing=0.02).positions, 2)
    doubled = ContactModel(ReceptorArray(positions, 100.0), TwoLigandKinetics(alpha=alpha))
    np.testing.assert_allclose(
        doubled.fisher_information(CONTACT, 10.0), 2 * once, rtol=1e-12, atol=1e-12
    )


def test_reported_parameters_carry_the_information_of_the_ligand_concentrations():
    array = model(0.4)
    profile = array.profile.at(array.receptors.displacement(50.0), 10.0)
    per = array.information(CONTACT, 10.0)
    g, slope = profile.value, profile.slope
    d_correct = np.stack([g, 0 * g, CONTACT.correct * slope])  # of c_n in (c0, c', x0)
    d_spurious = np.stack([0 * g, 1 + 0 * g, 0 * g])
    mixed = (per.mixed * d_correct) @ d_spurious.T
    ligands = (per.correct * d_correct) @ d_correct.T + mixed + mixed.T
    ligands += (per.spurious * d_spurious) @ d_spurious.T
    back = np.linalg.inv(CONTACT.jacobian())
    np.testing.assert_allclose(
        back.T @ ligands @ back, array.fisher_information(CONTACT, 10.0), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("alpha", [0.03, 0.5, 0.8, 1.0])
def test_position_error_is_set_by_the_edges_and_does_not_depend_on_the_width(alpha):
    kinetics = TwoLigandKinetics(alpha=alpha)

    def at_an_edge(g):
        c = 100 * g
        q_cc, _ = dwell_information(np.array([c]), 900.0, alpha)
        return g * (1 - g) * q_cc[0] / kinetics.partition(c, 900.0)

    # Two edges, dx = omega/2 dg/(g (1 - g)), receptors every 0.01 µm, T = 10 s.
    integral = quad(at_an_edge, 0, 1, epsabs=0, epsrel=1e-10)[0]
    expected = (2 * 10 * 0.01 / 0.01 * 2 / 1.0 * 100**2 * integral) ** -0.5
    for half_width in (5.0, 12.0, 30.0):
        bound = CramerRao.of(
            model(alpha).fisher_information(Contact(1000, 0.1, 50, half_width), 10.0)
        )
        assert bound.sd_position == pytest.approx(expected, rel=1e-6)


def test_position_error_grows_as_the_root_of_edge_width_or_gaussian_width():
    sharp, blunt = (
        model(0.8, SmoothRectangle(omega)).cramer_rao(CONTACT, 10.0).sd_position
        for omega in (0.5, 2.0)
    )
    assert blunt / sharp == pytest.approx(2, rel=1e-6)
    narrow, wide = (
        model(0.8, Gaussian()).cramer_rao(Contact(1000, 0.1, 50, width), 10.0).sd_position
        for width in (2.0, 8.0)
    )
    assert wide / narrow == pytest.approx(2, rel=1e-3)


def test_bounds_at_the_papers_parameters():
    bound = model(0.8).cramer_rao(CONTACT, 10.0)
    assert bound.sd_total == pytest.approx(6.7731, rel=1e-4)
    assert bound.sd_fraction == pytest.approx(6.8162e-3, rel=1e-4)
    assert bound.sd_position == pytest.approx(0.34216, rel=1e-4)


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0])
@pytest.mark.parametrize("start", ["unbound", "stationary"])
def test_finite_time_information_equals_its_integral(alpha, start):
    kinetics, c, spurious, time = TwoLigandKinetics(0.01, 1.0, alpha), 60.0, 900.0, 1.7
    r, r2, k = 1.0, 1 / alpha, 0.01

    def stay(t):
        return c * np.exp(-r * t) + spurious * np.exp(-r2 * t)

    def leave(t):
        return c * r * np.exp(-r * t) + spurious * r2 * np.exp(-r2 * t)

    def integrand(t):
        score = (r2 - r) * np.exp(-(r + r2) * t) / (stay(t) * leave(t))
        done = kinetics.expected_bindings(c, spurious, time - t, start)
        value = done * leave(t) / (c + spurious) * score**2
        if start == "stationary":
            held = c / r * np.exp(-r * t) + spurious / r2 * np.exp(-r2 * t)
            first = (1 / r - 1 / r2) * np.exp(-(r + r2) * t) / (stay(t) * held)
            value += k / kinetics.partition(c, spurious) * stay(t) * first**2
        return value

    telling = quad(integrand, 0, time, epsabs=0, epsrel=1e-11, limit=400, points=[0.05, 0.2])[0]
    counting = kinetics.expected_bindings(c, spurious, time, start) / (c + spurious) ** 2
    expected = counting + telling * spurious**2
    if start == "stationary":
        z = kinetics.partition(c, spurious)
        expected += k**2 / (z**2 * (z - 1))
    found = finite_time_information(kinetics, np.array([c]), spurious, time, start)
    assert found.correct[0] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("alpha", [0.2, 0.7, 1.0])
def test_finite_time_information_tends_to_the_long_time_form(alpha):
    kinetics, correct = TwoLigandKinetics(alpha=alpha), np.array([0.1, 20.0, 100.0])
    finite = finite_time_information(kinetics, correct, 900.0, 1e6)
    long = long_time_information(kinetics, correct, 900.0, 1e6)
    for entry in ("correct", "mixed", "spurious"):
        np.testing.assert_allclose(getattr(finite, entry), getattr(long, entry), rtol=1e-4)


def test_a_first_look_in_equilibrium_is_the_papers_snapshot():
    correct = np.array([0.0, 20.0, 100.0])
    first = finite_time_information(TwoLigandKinetics(), correct, 900.0, 1e-9, "stationary")
    snapshot = snapshot_information(correct, 900.0, dissociation=100.0)
    np.testing.assert_allclose(first.correct, snapshot.correct, rtol=1e-6)
    np.testing.assert_allclose(first.spurious, snapshot.spurious, rtol=1e-6)


def test_no_contact_has_no_position_to_bound():
    with pytest.raises(InputError, match="no contact: its position has no information"):
        model(0.8).cramer_rao(Contact(1000, 0.0, 50, 10), 10.0)
    with pytest.raises(InputError, match="no spurious ligand"):
        model(0.8).cramer_rao(Contact(1000, 1.0, 50, 10), 10.0)


def test_a_contact_as_wide_as_the_perimeter_is_pointed_out_when_ligands_look_alike():
    with pytest.warns(ContactWarning) as said:
        model(1.0).cramer_rao(Contact(1000, 0.1, 50, 54), 10.0)
    words = " ".join(str(warning.message) for warning in said)
    assert "its profile is cut" in words
    assert "looks like more spurious ligand" in words


def test_a_contact_everywhere_says_nothing_of_its_fraction_when_ligands_look_alike():
    with (
        pytest.raises(InputError, match="carry no information about chi"),
        pytest.warns(ContactWarning, match="its profile is cut"),
    ):
        model(1.0).cramer_rao(Contact(1000, 0.1, 50, 60), 10.0)


def test_a_singular_information_matrix_is_refused_with_its_condition_number():
    with pytest.raises(InputError, match=r"can't be told apart here \(condition number 1\.\de\+13"):
        CramerRao.of(np.array([[1.0, 1 - 2e-13, 0], [1 - 2e-13, 1, 0], [0, 0, 1]]))


def test_a_contact_where_no_receptor_is_has_no_information():
    receptors = ReceptorArray(np.linspace(1, 10, 50), 100.0)
    with pytest.raises(
        InputError, match=r"carry no information about .*Place receptors at its edges"
    ):
        CramerRao.of(
            ContactModel(receptors, profile=Gaussian()).fisher_information(
                Contact(1000, 0.1, 90, 0.5), 10.0
            )
        )


def test_too_few_receptors_at_the_edges_are_pointed_out():
    coarse = ContactModel(ReceptorArray.line(100.0, 0.5))
    with pytest.warns(ContactWarning, match="too coarsely"):
        coarse.cramer_rao(CONTACT, 100.0)


def test_a_contact_that_leaves_the_perimeter_is_pointed_out():
    with pytest.warns(ContactWarning, match="its profile is cut"):
        model(0.8).cramer_rao(Contact(1000, 0.1, 5, 10), 10.0)


def test_a_short_measurement_is_pointed_out_and_the_exact_bound_is_not():
    with pytest.warns(ContactWarning, match="not long against the correlation time"):
        model(0.8).cramer_rao(CONTACT, 1.0)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(0.8).cramer_rao(CONTACT, 1.0, regime="finite")


def test_the_diverging_information_of_very_unlike_ligands_is_pointed_out():
    with pytest.warns(ContactWarning, match="diverges as chi -> 0"):
        model(0.3).cramer_rao(Contact(1000, 1e-4, 50, 10), 10.0)


def test_a_regime_or_time_that_is_not_one_is_refused():
    with pytest.raises(InputError, match="regime is 'long' or 'finite'"):
        model(0.3).cramer_rao(CONTACT, 10.0, regime="short")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="measuring time must be positive"):
        model(0.3).fisher_information(CONTACT, -1.0)

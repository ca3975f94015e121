"""Profiles, receptor positions and the contact's own parameters."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.cells.contact import Contact, CustomProfile, Gaussian, ReceptorArray, SmoothRectangle
from axonal.errors import InputError

AWAY = np.linspace(-20, 20, 81)
BUMP = CustomProfile(lambda d, s: 1 / (1 + (d / s) ** 4), scale=1.0)


@pytest.mark.parametrize("profile", [SmoothRectangle(0.8), Gaussian(), BUMP])
def test_slope_and_curvature_are_derivatives_in_the_centre(profile):
    step = 1e-4
    here = profile.at(AWAY, 6.0)
    left, right = profile.at(AWAY + step, 6.0).value, profile.at(AWAY - step, 6.0).value
    np.testing.assert_allclose(here.slope, (right - left) / (2 * step), atol=2e-7)
    np.testing.assert_allclose(here.curvature, (left + right - 2 * here.value) / step**2, atol=2e-6)


def test_smooth_rectangle_is_the_papers_product_of_hyperbolic_tangents():
    def edge(y):
        return (1 + np.tanh(y / 0.8)) / 2

    expected = edge(AWAY + 6) * edge(6 - AWAY)
    np.testing.assert_allclose(SmoothRectangle(0.8).at(AWAY, 6.0).value, expected, atol=1e-15)


def test_a_line_has_the_papers_receptors():
    line = ReceptorArray.line(100.0, 0.01)
    assert len(line) == 10_000
    assert line.positions[0] == pytest.approx(0.01)
    assert line.positions[-1] == pytest.approx(100.0)


def test_distances_wrap_around_a_closed_outline():
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = ReceptorArray.outline(np.c_[10 * np.cos(angle), 10 * np.sin(angle)], spacing=0.5)
    assert ring.length == pytest.approx(20 * np.pi, rel=1e-3)
    assert np.abs(ring.displacement(0.1)).max() <= ring.length / 2
    assert ring.displacement(0.1)[-1] == pytest.approx(-0.1 - ring.spacing / 2)


def test_positions_are_read_from_a_file(tmp_path):
    path = tmp_path / "receptors.csv"
    path.write_text("# position_um\n3.0\n1.0\n2.5\n")
    array = ReceptorArray.read(path, length=5.0)
    np.testing.assert_array_equal(array.positions, [1.0, 2.5, 3.0])


def test_jacobian_carries_ligand_concentrations_to_total_and_fraction():
    contact = Contact.of_ligands(120.0, 700.0, 40.0, 5.0)
    step = 1e-3
    numeric = np.zeros((3, 3))
    for column, shift in enumerate(np.eye(3) * step):
        up = Contact.of_ligands(120 + shift[0], 700 + shift[1], 40 + shift[2], 5.0)
        down = Contact.of_ligands(120 - shift[0], 700 - shift[1], 40 - shift[2], 5.0)
        numeric[:, column] = [
            (up.total - down.total) / (2 * step),
            (up.fraction - down.fraction) / (2 * step),
            (up.position - down.position) / (2 * step),
        ]
    np.testing.assert_allclose(contact.jacobian(), numeric, rtol=1e-7, atol=1e-12)


def test_too_few_receptors_are_refused():
    with pytest.raises(InputError, match="at least 3 receptor positions"):
        ReceptorArray(np.array([1.0, 2.0]), 10.0)
    with pytest.raises(InputError, match="leaves 1 receptors"):
        ReceptorArray.outline([[0, 0], [1, 0], [0, 1]], spacing=3.0)


def test_positions_that_descend_or_lie_outside_are_refused():
    with pytest.raises(InputError, match="position 2 is less than the one before"):
        ReceptorArray(np.array([1.0, 3.0, 2.0]), 10.0)
    with pytest.raises(InputError, match=r"must lie in \[0, 10\] µm"):
        ReceptorArray(np.array([1.0, 3.0, 12.0]), 10.0)
    with pytest.raises(InputError, match="NaN"):
        ReceptorArray(np.array([1.0, np.nan, 2.0]), 10.0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.0, 0.1, 50.0, 10.0), "total concentration must be positive"),
        ((1000.0, 1.1, 50.0, 10.0), r"chi must be in \[0, 1\]"),
        ((1000.0, 0.1, np.nan, 10.0), "position must be finite"),
        ((1000.0, 0.1, 50.0, -1.0), "half-width sigma must be positive"),
    ],
)
def test_impossible_contacts_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        Contact(*values)


def test_a_custom_profile_that_leaves_its_range_is_refused():
    with pytest.raises(InputError, match=r"one value in \[0, 1\]"):
        CustomProfile(lambda d, s: 2 + d / s, scale=1.0).at(AWAY, 5.0)

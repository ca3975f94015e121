"""The survey of a membrane reads the right numbers off its manifold."""

from __future__ import annotations

import numpy as np
import pytest
from membranes import standard

from axonal.physics.membrane.survey import (
    exponents,
    largest_jumps,
    survey,
    switching_concentration,
)

FORCES = np.linspace(0.0, 12.0, 25)


def test_a_valve_jumps_up_as_the_force_rises_and_down_as_it_falls():
    found = survey(standard("swelling", 6.0), FORCES)
    assert found.bistable == found.bistable_at_rest == 1
    assert found.bistable_at_large_force == 0
    assert found.rise_on_rising_force > 10
    assert found.fall_on_falling_force > 10
    assert found.fall_on_rising_force == found.rise_on_falling_force == 1


def test_a_clogging_membrane_jumps_the_other_way():
    found = survey(standard("collapse", 6.0), FORCES)
    assert found.bistable == found.bistable_at_large_force == 1
    assert found.bistable_at_rest == 0
    assert found.rise_on_rising_force == found.fall_on_falling_force == 1
    assert found.fall_on_rising_force > found.rise_on_falling_force > 1


def test_swelling_by_an_attracted_solute_does_nothing_sudden():
    found = survey(standard("swelling", -6.0), FORCES)
    jumps = ("bistable", "bistable_at_rest", "bistable_at_large_force")
    assert [getattr(found, name) for name in jumps] == [0, 0, 0]
    assert found.rise_on_rising_force == found.fall_on_rising_force == 1


def test_the_largest_jumps_of_one_concentration_are_its_jumps():
    membrane = standard("swelling", 6.0)
    down, up = membrane.jumps(0.8)
    largest = largest_jumps(membrane, membrane.fold_points(0.8))
    assert largest["rise_on_rising_force"] == pytest.approx(up.ratio, rel=1e-9)
    assert largest["fall_on_falling_force"] == pytest.approx(1 / down.ratio, rel=1e-9)


def test_the_exponent_of_linear_response_is_one():
    responsive, inert = exponents(standard("collapse", -6.0), np.linspace(1e-4, 1e-2, 4))
    assert responsive == pytest.approx(np.ones(3), abs=1e-4)
    assert inert == pytest.approx(np.ones(3), abs=1e-4)


def test_the_force_drives_the_uptake_through_the_switch_at_the_switching_concentration():
    for kind in ("collapse", "swelling"):
        membrane = standard(kind, 6.0)
        c0 = switching_concentration(membrane)
        empty = membrane.knots.phi[0]
        assert membrane.inert_uptake(0.0, c0, empty) < 1 < membrane.inert_uptake(300.0, c0, empty)

"""Hysteresis: quasi-static loops, jumps at the folds, finite rates, and the full problem on a grid."""

from __future__ import annotations

import numpy as np
import pytest
from membranes import standard

from axonal.errors import InputError
from axonal.physics.membrane import (
    ConservedPolymer,
    ResponsiveMembrane,
    drive,
    settle,
    sweep_force,
)


def test_the_loop_opens_at_one_fold_and_closes_at_the_other():
    membrane = standard("swelling", 6.0)
    lower, upper = (fold.force for fold in membrane.fold_points(0.8))
    forces = np.linspace(0, 8, 321)
    loop = membrane.hysteresis(0.8, forces)
    up, down = loop.flux.sel(direction="up"), loop.flux.sel(direction="down")
    inside = (forces > lower) & (forces < upper)
    assert np.all(down[inside] > 5 * up[inside])
    assert up[~inside].values == pytest.approx(down[~inside].values, rel=1e-9, abs=1e-12)


def test_a_loop_follows_steady_states_only():
    membrane = standard("collapse", 6.0)
    loop = membrane.hysteresis(0.5, np.linspace(0, 20, 41))
    phi = loop.volume_fraction.values
    uptake = membrane.inert_uptake(loop.force.values, 0.5, phi)
    assert membrane.response(uptake) == pytest.approx(phi, rel=1e-9)


def test_a_monostable_membrane_has_no_loop():
    loop = standard("swelling", -6.0).hysteresis(0.8, np.linspace(0, 10, 21))
    assert loop.flux[0].values == pytest.approx(loop.flux[1].values, rel=1e-12, abs=1e-15)


def test_jumps_lie_at_the_folds_and_carry_the_known_ratios():
    down, up = standard("swelling", 6.0).jumps(0.8)
    assert (down.direction, up.direction) == ("down", "up")
    assert up.flux_before == pytest.approx(0.2300, abs=1e-4)
    assert up.flux_after == pytest.approx(3.4205, abs=1e-4)
    assert up.ratio == pytest.approx(14.9, abs=0.05)
    assert 1 / down.ratio == pytest.approx(15.7, abs=0.05)
    assert up.volume_fraction_after < up.volume_fraction_before


def test_clogging_jumps_down_as_the_force_rises():
    jumps = standard("collapse", 6.0).jumps(0.5, max_force=20)
    assert [jump.direction for jump in jumps] == ["down", "up"] or [
        jump.direction for jump in jumps
    ] == ["up"]
    rising = next(jump for jump in jumps if jump.direction == "up")
    assert rising.ratio < 1


def test_the_quasi_static_loop_jumps_between_the_grid_forces_around_each_fold():
    membrane = standard("swelling", 6.0)
    down, up = membrane.jumps(0.8)
    forces = np.linspace(4, 6, 201)
    loop = membrane.hysteresis(0.8, forces)
    for direction, jump in (("up", up), ("down", down)):
        steps = np.abs(np.diff(np.log(loop.flux.sel(direction=direction))))
        k = int(np.argmax(steps))
        assert forces[k] <= jump.force <= forces[k + 1]


def test_a_polymer_settles_on_the_side_of_the_unstable_state_it_starts_from():
    membrane = standard("swelling", 6.0)
    swollen, unstable, collapsed = membrane.steady_states(5.0, 0.8).volume_fraction
    assert settle(membrane, 5.0, 0.8, unstable - 1e-6).volume_fraction[0] == swollen
    assert settle(membrane, 5.0, 0.8, unstable + 1e-6).volume_fraction[0] == collapsed
    assert settle(membrane, 5.0, 0.8, 0.0).volume_fraction[0] == swollen
    assert settle(membrane, 5.0, 0.8, 0.9).volume_fraction[0] == collapsed
    assert settle(membrane, 5.0, 0.8, swollen).volume_fraction[0] == swollen


def delayed_jump(membrane: ResponsiveMembrane, rate: float) -> float:
    """Return the force at which an upward sweep at this rate passes half way through its jump."""
    forces = np.linspace(5.0, 7.0, 20_001)
    phi = sweep_force(membrane, 0.8, forces, rate).volume_fraction.sel(direction="up").values
    return float(np.interp(-0.25, -phi, forces))


def test_a_finite_sweep_jumps_late_by_the_rate_to_the_power_two_thirds():
    membrane = standard("swelling", 6.0)
    fold = membrane.fold_points(0.8)[1].force
    lags = [delayed_jump(membrane, rate) - fold for rate in (1e-3, 1e-4, 1e-5)]
    assert all(lag > 0 for lag in lags)
    assert lags[-1] < 0.01
    exponents = np.log10(np.array(lags[:-1]) / lags[1:])
    assert exponents == pytest.approx([2 / 3] * 2, abs=0.05)


def test_the_full_smoluchowski_problem_goes_through_the_same_loop():
    membrane = standard("swelling", 6.0)
    lower, upper = (fold.force for fold in membrane.fold_points(0.8))
    half = np.linspace(4, 6, 1500)
    force = np.r_[half, half[::-1]]
    start = float(settle(membrane, 4.0, 0.8, 0.4).volume_fraction[0])
    time = np.arange(len(force)) * 1.6
    run = drive(membrane, 0.8, time, force, relaxation_time=20.0, volume_fraction=start, cells=8)
    phi = run.volume_fraction.values
    up = np.interp(-0.25, -phi[:1500], half)
    down = np.interp(-0.25, -phi[1500:][::-1], half)
    assert upper < up < upper + 0.15
    assert lower - 0.15 < down < lower
    swept = sweep_force(membrane, 0.8, half, rate=(half[1] - half[0]) / 1.6, relaxation_time=20.0)
    up_without_transport = np.interp(-0.25, -swept.volume_fraction.values[0], half)
    assert up == pytest.approx(up_without_transport, abs=0.02)  # transport is fast
    settled = run.flux.values[1499]
    assert settled == pytest.approx(membrane.flux(6.0, 0.8), rel=1e-3)


def test_sweeps_that_make_no_sense_are_refused():
    membrane = standard("swelling", 6.0)
    with pytest.raises(InputError, match="increasing sequence"):
        membrane.hysteresis(0.8, [1.0, 0.5])
    with pytest.raises(InputError, match="rate"):
        sweep_force(membrane, 0.8, [0.0, 1.0], rate=0.0)
    with pytest.raises(InputError, match="one shape"):
        drive(membrane, 0.8, [0.0, 1.0], [1.0], 1.0, 0.2)
    with pytest.raises(InputError, match="at least 2"):
        drive(membrane, 0.8, [0.0, 1.0], [1.0, 1.0], 1.0, 0.2, cells=1)
    thinning = ResponsiveMembrane(thickness=ConservedPolymer(0.3, 0.4))
    with pytest.raises(InputError, match="constant thickness"):
        drive(thinning, 0.8, [0.0, 1.0], [1.0, 1.0], 1.0, 0.2)

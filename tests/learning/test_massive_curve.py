"""The emergence curve: its two forms, its slope, its peak."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import lambertw

from axonal.errors import InputError
from axonal.learning.massive import EmergenceCurve, LinearisedCurve, stationary_x
from axonal.learning.massive.scaled import ScaledCurve

CURVE = EmergenceCurve(A=250, lam=0.08, gamma=1e-4, t0=1.2, K=30)
STEPS = np.array([0, 1_000, 10_000, 60_000, 143_000])
CURVES = [
    CURVE,
    EmergenceCurve(A=40, lam=1e-4, gamma=3e-5, t0=2, K=-7),
    EmergenceCurve(A=-90, lam=0.5, gamma=2e-5, t0=0.3, K=120),
]


def test_both_forms_are_the_same_curve():
    np.testing.assert_allclose(CURVE.linearised(STEPS), CURVE(STEPS), rtol=0, atol=1e-9)
    np.testing.assert_allclose(CURVE(STEPS)[0], 250 * math.exp(-0.096) * math.log(1.2) + 30)


@pytest.mark.parametrize("curve", CURVES)
def test_parameters_survive_the_way_there_and_back(curve):
    back = curve.linearised.raw
    for name in ("A", "lam", "gamma", "t0", "K"):
        assert getattr(back, name) == pytest.approx(getattr(curve, name), rel=1e-10)


@pytest.mark.parametrize("curve", CURVES)
def test_the_slope_vanishes_at_the_peak(curve):
    scale = abs(curve.derivative(STEPS)).max()
    assert abs(float(curve.derivative(curve.t_peak))) < 1e-10 * scale
    grid = np.linspace(0, 2 * curve.t_peak, 20_001)
    best = grid[int(np.argmax(np.sign(curve.A) * curve(grid)))]
    assert abs(best - curve.t_peak) <= grid[1]
    assert curve.peak_height == pytest.approx(float(curve(curve.t_peak)))


def test_the_peak_solves_its_equation():
    for lam in np.geomspace(1e-6, 10, 50):
        x = stationary_x(lam)
        assert lam * x * math.log(x) == pytest.approx(1, abs=1e-12)
        assert x == pytest.approx(float(np.exp(lambertw(1 / lam).real)), rel=1e-12)
    assert stationary_x(1) == pytest.approx(1.7632228343518968, rel=1e-15)
    assert stationary_x(1 / math.e) == pytest.approx(math.e, rel=1e-15)


def test_without_decay_there_is_no_peak():
    assert stationary_x(0) == math.inf
    assert stationary_x(1e-301) == math.inf
    curve = EmergenceCurve(A=10, lam=0, gamma=1e-3, t0=1, K=0)
    assert curve.t_peak == math.inf
    assert curve.peak_height == math.inf


@pytest.mark.parametrize("curve", CURVES)
def test_the_jacobian_agrees_with_complex_steps(curve):
    parameters = np.array([curve.A, curve.lam, curve.gamma, curve.t0, curve.K])

    def value(p: np.ndarray) -> np.ndarray:
        x = p[2] * STEPS + p[3]
        return p[0] * np.exp(-p[1] * x) * np.log(x) + p[4]

    for column in range(5):
        size = abs(parameters[column]) * 1e-20
        moved = parameters.astype(complex)
        moved[column] += 1j * size
        expected = value(moved).imag / size
        np.testing.assert_allclose(curve.jacobian(STEPS)[:, column], expected, rtol=1e-6)


def test_the_scaled_jacobian_and_peak_agree_with_differences():
    curve = ScaledCurve(math.log(2.3), math.log(0.04), 0.7, 1.9, -0.2, 0.01)
    time = np.linspace(0.01, 1, 9)
    parameters = np.array([curve.log_beta, curve.log_offset, curve.A1, curve.B, curve.C])
    _, gradient = curve.stationary()
    for column in range(5):
        ends = []
        for sign in (1, -1):
            moved = parameters.copy()
            moved[column] += sign * 1e-6
            ends.append(ScaledCurve(*moved, start=0.01))
        slope = (ends[0](time) - ends[1](time)) / 2e-6
        np.testing.assert_allclose(curve.jacobian(time)[:, column], slope, rtol=1e-6, atol=1e-8)
        peak = (ends[0].stationary()[0] - ends[1].stationary()[0]) / 2e-6
        assert gradient[column] == pytest.approx(peak, rel=1e-5, abs=1e-7)


def test_time_and_ratio_may_be_rescaled():
    other = CURVE.rescaled(time=3, scale=2, shift=5)
    np.testing.assert_allclose(other(3 * STEPS), 2 * CURVE(STEPS) + 5, rtol=1e-12)
    assert (other.lam, other.t0) == (CURVE.lam, CURVE.t0)
    assert other.gamma == pytest.approx(CURVE.gamma / 3)
    assert other.t_peak == pytest.approx(3 * CURVE.t_peak)


def test_a_curve_refuses_what_it_is_not_defined_for():
    with pytest.raises(InputError, match="lam >= 0"):
        EmergenceCurve(1, -0.1, 1, 1, 0)
    with pytest.raises(InputError, match="gamma t \\+ t0 > 0"):
        EmergenceCurve(1, 0.1, 1, -2, 0)([0.0, 5.0])
    with pytest.raises(InputError, match="gamma is not defined"):
        _ = LinearisedCurve(0.1, 1, 0, 1, 1).raw
    with pytest.raises(InputError, match="at least 0"):
        stationary_x(-1)

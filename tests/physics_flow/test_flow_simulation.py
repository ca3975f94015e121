"""The simulator: exact activities, equilibrium without speed, reproducible states, and its warnings."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import xarray as xr

from axonal.errors import AxonalError, InputError, MissingDependencyError
from axonal.physics.active_matter import (
    ActiveOrnsteinUhlenbeck,
    SwimmerRing,
    observables,
    states_of,
    system_of,
    tensors_of,
)


def trapped(**changes) -> ActiveOrnsteinUhlenbeck:
    settings = {
        "particles": 16,
        "speed": 0.2,
        "persistence_rate": 0.1,
        "diffusion": 0.1,
        "stiffness": 2.5,
        "trap": 0.05,
    }
    return ActiveOrnsteinUhlenbeck(**settings | changes)


def crowded(**changes) -> ActiveOrnsteinUhlenbeck:
    settings = {"particles": 100, "speed": 0.25, "persistence_rate": 0.05, "packing": 0.5}
    return ActiveOrnsteinUhlenbeck(**settings | changes)


@pytest.mark.parametrize("step", [0.1, 3.0])
def test_the_activity_is_normal_at_any_step(step):
    free = trapped(particles=100, packing=0.05, trap=0.0, stiffness=0.01)
    states = free.sample(5, 4, burn_in=30, spacing=30, step=step, seed=1)
    g = states.sel(variable="g").values
    error = np.sqrt(2 / g.size)
    assert g.var() == pytest.approx(1, abs=5 * error)
    assert g.mean() == pytest.approx(0, abs=5 / np.sqrt(g.size))


def test_a_lone_swimmer_has_the_covariance_of_its_closed_form():
    lone = trapped(particles=1, trap=0.5, persistence_rate=0.7, diffusion=0.3, speed=1.0)
    states = lone.sample(2000, 4, burn_in=15, spacing=3, step=0.02, seed=0)
    x, g = (states.sel(variable=name).values.ravel() for name in ("x", "g"))
    assert np.mean(x * g) == pytest.approx(1 / 1.2, rel=0.05)
    assert np.mean(x * x) == pytest.approx((0.3 + 1 / 1.2) / 0.5, rel=0.05)
    exact = lone.exact_total(states)
    # Two coordinates of 1.9444 each
    assert exact.rate == pytest.approx(2 * 0.7 / (0.3 * 1.2), rel=0.03)
    assert abs(exact.rate - 2 * 0.7 / 0.36) < 5 * exact.error


def test_without_speed_the_trap_is_at_equilibrium_and_produces_nothing():
    still = trapped(speed=0.0)
    states = still.sample(8, 30, burn_in=100, spacing=10, step=0.02, seed=2)
    assert still.exact_total(states).rate == 0.0
    # The virial: E[x . b_x] + eps d = 0 a particle at equilibrium.
    x, g = tensors_of(states)
    virial = (x * still.drift(x, g)[0]).sum(-1).mean()
    assert float(virial) == pytest.approx(-0.2, abs=0.02)


def test_two_forms_of_the_entropy_production_agree_in_a_trap():
    system = trapped()
    states = system.sample(16, 20, burn_in=150, spacing=20, step=0.02, seed=3)
    x, g = tensors_of(states)
    by_lag = system.speed / system.diffusion * system.persistence_rate * (g * x).sum(-1).mean(-1)
    exact = system.exact_total(states)
    error = exact.error + float(by_lag.std()) / np.sqrt(len(by_lag) / 3)
    assert exact.rate == pytest.approx(float(by_lag.mean()), abs=4 * error)
    assert exact.by_sample.shape == (320,)
    assert "k_B" in str(exact)
    assert float(exact) == exact.rate


def test_the_seed_sets_the_states_whatever_the_threads():
    system = crowded()
    settings = {"burn_in": 4.0, "spacing": 2.0, "step": 0.1}
    one = system.sample(3, 2, **settings, seed=5, threads=1)
    three = system.sample(3, 2, **settings, seed=5, threads=3)
    xr.testing.assert_identical(one, three)
    fewer = system.sample(2, 2, **settings, seed=5)
    np.testing.assert_array_equal(fewer.values, one.values[:4])
    other = system.sample(1, 2, **settings, seed=6)
    assert abs(other.values - one.values[:2]).max() > 1e-3


@pytest.mark.filterwarnings("ignore:Snapshots")
def test_states_are_labelled_inside_the_box_and_know_their_system():
    system = crowded()
    states = system.sample(2, 3, burn_in=5, spacing=1.0, step=0.1, seed=0)
    assert states.dims == ("sample", "particle", "variable", "axis")
    assert states.shape == (6, 100, 2, 2)
    np.testing.assert_allclose(states.time, [5, 6, 7, 5, 6, 7])
    np.testing.assert_array_equal(states.trajectory, [0, 0, 0, 1, 1, 1])
    x = states.sel(variable="x").values
    w = system.half_width
    assert x.min() >= -w
    assert x.max() < w
    assert system_of(states) == system


@pytest.mark.filterwarnings("ignore:Snapshots")
def test_a_simulation_goes_on_from_states():
    system = crowded()
    states = system.sample(2, 1, burn_in=10, step=0.1, seed=0)
    moved = system.sample(2, 1, burn_in=0, step=0.1, start=states, seed=1)
    np.testing.assert_array_equal(moved.values, states.values)
    later = system.sample(2, 2, burn_in=1, spacing=1, step=0.1, start=states, seed=1)
    np.testing.assert_allclose(later.time.values[:2], [11, 12])


@pytest.mark.filterwarnings("ignore:Not stationary")
def test_the_second_order_scheme_converges_faster_without_diffusion():
    still = crowded(particles=40, speed=0.0)
    start = still.sample(1, 1, burn_in=0.0, step=0.1, start="uniform", seed=0)
    fine = still.sample(1, 1, burn_in=2.0, step=0.002, scheme="heun", start=start)

    def error(step: float, scheme: str) -> float:
        end = still.sample(1, 1, burn_in=2.0, step=step, scheme=scheme, start=start)
        return float(abs((end - fine).sel(variable="x")).max())

    assert error(0.05, "heun") < error(0.05, "euler") / 5
    assert error(0.05, "heun") / error(0.1, "heun") < 0.4


def test_progress_counts_every_step():
    heard = []
    trapped().sample(
        2, 2, burn_in=1, spacing=1, step=0.01, progress=lambda *at: heard.append(at), seed=0
    )
    assert heard[-1] == (400, 400)


def test_the_hypoelliptic_reference_is_the_mean_divergence_of_the_drift():
    system = crowded()
    states = system.sample(1, 4, burn_in=50, spacing=10, step=0.1, seed=0)
    divergence = system.drift_divergence(tensors_of(states)[0])[0]
    part = system.exact_g_part(states)
    assert part.rate == pytest.approx(-float(divergence.mean()))
    assert part.rate > 0


# Warnings


def test_a_run_that_still_drifts_is_told():
    system = trapped()
    narrow = np.random.default_rng(0).normal(size=(12, 16, 2))
    start = states_of(system, narrow, narrow, trajectory=np.arange(12))
    with pytest.warns(UserWarning, match="Not stationary yet: .* between the halves"):
        system.sample(12, 1, burn_in=4, step=0.02, start=start, seed=0)
    with pytest.warns(UserWarning, match="Not stationary yet: .* between the halves"):
        system.sample(12, 4, burn_in=0, spacing=4, step=0.02, start=start, seed=0)


def test_a_stationary_run_is_silent():
    system = trapped(particles=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        system.sample(40, 6, burn_in=200, spacing=10, step=0.02, seed=0)


def test_snapshots_that_are_copies_are_told():
    with pytest.warns(UserWarning, match="nearly copies"):
        trapped(particles=2).sample(1, 2, burn_in=1, spacing=0.5, step=0.01)


def test_observables_have_the_radius_in_a_trap_only():
    states = trapped().sample(1, 2, burn_in=10, spacing=1, step=0.01)
    assert "square_radius" in observables(trapped(), states)
    free = crowded()
    assert "square_radius" not in observables(free, free.sample(1, 1, burn_in=1, step=0.1))


# Input


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"particles": 0}, "at least 1"),
        ({"particles": 2.5}, "whole number"),
        ({"persistence_rate": 0.0}, "persistence_rate must be a positive"),
        ({"diffusion": -0.1}, "diffusion must be"),
        ({"packing": -0.5}, "packing must be a positive"),
        ({"trap": 0.0}, "fly apart"),
        ({"packing": 0.9, "particles": 8}, "at least 25 particles"),
    ],
)
def test_a_system_that_cannot_be_is_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        trapped(**wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"step": 0.1}, "too coarse"),
        ({"step": 0.0}, "step must be a positive"),
        ({"burn_in": -1.0}, "not negative"),
        ({"spacing": 0.0}, "spacing must be"),
        ({"trajectories": 0}, "trajectories"),
        ({"snapshots": 0}, "snapshots"),
        ({"start": "anywhere"}, "start is"),
        ({"scheme": "rk4"}, "scheme is"),
        ({"threads": 0}, "threads"),
    ],
)
def test_a_simulation_that_cannot_be_is_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        trapped().sample(**{"step": 0.01, "burn_in": 0.1} | wrong)


def test_positions_that_are_no_longer_finite_stop_the_run(monkeypatch):
    monkeypatch.setattr("axonal.physics.active_matter.stepping.advance", lambda *_: -1)
    with pytest.raises(AxonalError, match="blew up"):
        trapped().sample(1, 1, burn_in=1, step=0.01)


def test_a_simulation_without_its_compiler_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(MissingDependencyError, match=r"axonal\[physics\]"):
        trapped().sample(1, 1, burn_in=1, step=0.01)
    with pytest.raises(MissingDependencyError, match=r"axonal\[physics\]"):
        SwimmerRing().sample(1, 1)


def test_the_total_without_diffusion_is_refused_and_the_part_offered():
    system = crowded()
    states = system.sample(1, 1, burn_in=1, step=0.1)
    with pytest.raises(InputError, match="exact_g_part"):
        system.exact_total(states)
    noisy = trapped()
    with pytest.raises(InputError, match="exact_total"):
        noisy.exact_g_part(noisy.sample(1, 1, burn_in=1, step=0.01))


def test_states_of_another_system_are_refused():
    system = trapped()
    states = system.sample(1, 1, burn_in=1, step=0.01)
    with pytest.raises(InputError, match=r"speed 0\.2, not 0\.4"):
        system.with_(speed=0.4).exact_total(states)
    with pytest.raises(InputError, match="16 particles"):
        system.with_(particles=8).exact_total(states)
    with pytest.raises(InputError, match="DataArray"):
        system.exact_total(states.values)
    with pytest.raises(InputError, match="do not say"):
        system_of(states.drop_attrs())


def test_arrays_that_are_no_states_are_refused():
    system = trapped()
    good = np.zeros((3, 16, 2))
    with pytest.raises(InputError, match=r"\(samples, 16, 2\)"):
        states_of(system, np.zeros((3, 15, 2)), good)
    with pytest.raises(InputError, match="NaN"):
        states_of(system, np.where(np.arange(2) > 0, np.nan, good), good)
    with pytest.raises(InputError, match="as many"):
        states_of(system, good, good[:2])
    with pytest.raises(InputError, match=r"expected \(\.\.\., 16, 2\)"):
        system.forces(tensors_of(states_of(system, good, good))[0][:, :4])

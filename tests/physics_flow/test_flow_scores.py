"""Losses, fits and the local entropy production, against closed forms."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from axonal.errors import AxonalError, InputError
from axonal.physics.active_matter import (
    ActiveOrnsteinUhlenbeck,
    FieldScore,
    ScoreModel,
    entropy_production,
    measures,
    on_grid,
    score_of_springs,
    states_of,
    surround,
    system_of,
    tensors_of,
)
from axonal.physics.active_matter.losses import (
    implicit_loss,
    own_denoising_loss,
    own_implicit_loss,
    shifted_loss,
)
from axonal.physics.active_matter.trajectories import follow
from axonal.transport import LinearDiffusion

# Two trapped swimmers that do not touch: every coordinate is harmonic and by itself.
APART = ActiveOrnsteinUhlenbeck(2, 1.0, 0.7, diffusion=0.3, stiffness=0.0, trap=0.5)
TRAPPED = ActiveOrnsteinUhlenbeck(6, 0.3, 0.1, diffusion=0.1, stiffness=2.5, trap=0.05)
CROWD = ActiveOrnsteinUhlenbeck(64, 0.25, 0.00625, packing=0.5)
ONE = LinearDiffusion(
    torch.tensor([[-0.5, 1.0], [0.0, -0.7]], dtype=torch.float64),
    torch.tensor([0.3, 0.7], dtype=torch.float64),
)


def harmonic_states(samples: int = 500, *, whitened: bool = False) -> xr.DataArray:
    """Draw stationary states; whitened, their second moments are exactly the stationary ones."""
    z = torch.randn(samples * 4, 2, generator=torch.Generator().manual_seed(0)).double()
    if whitened:
        z = z - z.mean(0)
        z = torch.linalg.solve(torch.linalg.cholesky(z.mT @ z / len(z)), z.mT).mT
    z = z @ torch.linalg.cholesky(ONE.covariance).mT
    x, g = z.reshape(samples, 2, 2, 2).unbind(-1)
    return states_of(APART, x.numpy(), g.numpy())


def crowd_states(samples: int = 3) -> xr.DataArray:
    return CROWD.sample(1, samples, burn_in=40.0, spacing=20.0, step=0.1, start="uniform", seed=0)


@pytest.fixture(scope="module")
def crowd() -> xr.DataArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so short a run is not stationary
        return crowd_states()


def test_springs_are_the_exact_score_of_harmonic_swimmers() -> None:
    x, g = tensors_of(harmonic_states())
    found = torch.stack(score_of_springs(APART, x, g), -1).reshape(-1, 2)
    z = torch.stack([x, g], -1).reshape(-1, 2)
    torch.testing.assert_close(found, ONE.score(z), rtol=1e-9, atol=1e-9)


def test_harmonic_entropy_production_and_parts_are_the_closed_form() -> None:
    states = harmonic_states(whitened=True)
    found = entropy_production(APART, ScoreModel.shift(APART, "springs"), states)
    # sigma = v0^2 gamma / (eps (A + gamma)) for each of two axes
    assert float(found.total.mean()) == pytest.approx(2 * 0.7 / (0.3 * 1.2), rel=1e-9)
    for number, name in enumerate(("x", "g")):
        part = float(found.total_by_variable.sel(variable=name).mean())
        assert part == pytest.approx(2 * float(ONE.parts[number]), rel=1e-9)
    assert APART.exact_total(harmonic_states(20_000)).rate == pytest.approx(3.8889, rel=0.02)


def test_exact_score_is_stationary_at_every_state_and_produces_nothing_on_average() -> None:
    states = harmonic_states()
    found = entropy_production(APART, ScoreModel.shift(APART, "springs"), states)
    here = found.system.sum("particle") + found.along.sum(["particle", "variable"])
    centre = float(found.system.mean())
    assert centre == pytest.approx(0, abs=1e-9)  # linear: the same everywhere, and its trace is 0
    mean = float(here.mean())
    assert mean == pytest.approx(0, abs=0.1)
    whitened = entropy_production(
        APART, ScoreModel.shift(APART, "springs"), harmonic_states(whitened=True)
    )
    assert float(whitened.along.sum("variable").mean()) == pytest.approx(0, abs=1e-9)


def test_without_activity_nothing_flows() -> None:
    still = TRAPPED.with_(speed=0.0)
    x = np.random.default_rng(0).normal(0, 2, (4, 6, 2))
    states = states_of(still, x, np.random.default_rng(1).normal(0, 1, x.shape))
    for shift in ("rest", "springs"):
        found = entropy_production(still, ScoreModel.shift(still, shift), states)
        np.testing.assert_allclose(found.flow, 0, atol=1e-12)
        np.testing.assert_allclose(found.total, 0, atol=1e-12)


def test_parts_by_particle_variable_and_place_sum_to_the_total() -> None:
    x = np.random.default_rng(0).normal(0, 2, (5, 6, 2))
    states = states_of(TRAPPED, x, np.random.default_rng(1).normal(0, 1, x.shape))
    score = ScoreModel.transformer(TRAPPED, width=8, blocks=1, heads=2)
    found = entropy_production(TRAPPED, score, states)
    system, noise = found.system_by_variable, np.array(TRAPPED.diffusion_matrix)
    flows = (found.flow**2 / xr.DataArray(noise, dims="variable")).sum(["variable", "axis"])
    np.testing.assert_allclose(flows, found.total, rtol=1e-12)
    np.testing.assert_allclose(system.sum("variable"), found.system, rtol=1e-12)
    field = on_grid(found.total.values, x, (-9.0, 9.0), bins=7)
    whole = float(found.total.sum("particle").mean())
    assert float(field.sum() * field.attrs["area"]) == pytest.approx(whole, rel=1e-9)


def test_probes_give_the_exact_divergence_on_average() -> None:
    x = np.random.default_rng(0).normal(0, 2, (1, 6, 2))
    states = states_of(TRAPPED, x, np.random.default_rng(1).normal(0, 1, x.shape))
    score = ScoreModel.shift(TRAPPED, "springs")
    exact = entropy_production(TRAPPED, score, states).system.values
    few = [
        entropy_production(TRAPPED, score, states, divergence=20, seed=seed).system.values
        for seed in range(10)
    ]
    error = np.std(few, axis=0, ddof=1) / 10**0.5
    assert (np.abs(np.mean(few, axis=0) - exact) < 5 * error + 1e-9).all()


def test_flow_leaves_the_moments_of_stationary_states_unchanged() -> None:
    states = harmonic_states(100, whitened=True)
    score = ScoreModel.shift(APART, "springs")
    later = follow(score, states, 1 / 0.7, step=0.05)
    assert float(np.abs(later.values - states.values).max()) > 0.5
    before, after = (
        s.transpose("sample", "particle", "axis", "variable").values.reshape(-1, 2)
        for s in (states, later)
    )
    np.testing.assert_allclose(after.T @ after, before.T @ before, rtol=1e-6)
    back = follow(score, later, -1 / 0.7, step=0.05)
    np.testing.assert_allclose(back.values, states.values, atol=1e-5)


def test_implicit_loss_of_a_gaussian_is_minus_the_trace_of_its_precision() -> None:
    z = ONE.sample(100_000, torch.Generator().manual_seed(0))
    known = {
        "drift": z @ ONE.drift.mT,
        "drift_divergence": torch.full((len(z),), float(ONE.drift.trace()), dtype=z.dtype),
        "noise": ONE.diffusion,
    }
    least = implicit_loss(ONE.score, z, **known).detach()
    precision = torch.linalg.inv(ONE.covariance)
    assert float(least) == pytest.approx(-float(precision.trace()) / 2, rel=0.01)
    for factor in (0.9, 1.1):
        worse = implicit_loss(lambda at, f=factor: f * ONE.score(at), z, **known)
        assert float(worse) > float(least)
    # The exact score is stationary at every state, so the further term is 0.
    for trace in ("exact", "hutchinson"):
        with_term = implicit_loss(ONE.score, z, **known, stationarity=1.0, trace=trace)
        assert float(with_term) == pytest.approx(float(least), rel=0.02)


def test_stationarity_term_from_two_probes_is_not_biased_by_their_variance() -> None:
    torch.manual_seed(0)
    twist = torch.tensor([[0.4, 2.5], [1.9, 0.2]], dtype=torch.float64)
    z = ONE.sample(3, torch.Generator().manual_seed(1)).repeat(40_000, 1)
    known = {
        "drift": z @ ONE.drift.mT,
        "drift_divergence": torch.full((len(z),), float(ONE.drift.trace()), dtype=z.dtype),
        "noise": ONE.diffusion,
        "stationarity": 1.0,
    }
    exact = implicit_loss(lambda at: at @ twist, z, **known)
    found = implicit_loss(lambda at: at @ twist, z, **known, trace="hutchinson")
    assert float(found) == pytest.approx(float(exact), rel=0.01)


def test_shifted_loss_is_the_implicit_loss_less_a_constant() -> None:
    z = ONE.sample(50, torch.Generator().manual_seed(1))
    twist = torch.tensor([[0.4, 1.5], [-0.9, 0.2]], dtype=torch.float64)
    precision = torch.linalg.inv(ONE.covariance)
    known = {"drift": z, "drift_divergence": z[:, 0], "noise": ONE.diffusion}
    whole = implicit_loss(lambda at: ONE.score(at) + at @ twist, z, **known)
    part = shifted_loss(lambda at: at @ twist, z, ONE.score(z), "exact")
    assert float(part - whole) == pytest.approx(float(precision.trace()), rel=1e-9)


def test_own_denoising_loss_tends_to_the_implicit_one(crowd: xr.DataArray) -> None:
    torch.manual_seed(0)
    score = ScoreModel.local(CROWD, neighbours=6, width=8, blocks=1, heads=2)
    with torch.no_grad():
        for parameter in score.network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    score.network.double()
    around = surround(CROWD, *tensors_of(crowd), 6)
    exact = float(own_implicit_loss(score.network, around).detach())
    with torch.no_grad():
        found = np.mean([float(own_denoising_loss(score.network, around, 1e-4)) for _ in range(30)])
    assert found == pytest.approx(exact, rel=0.06)


def test_shift_explains_of_the_crowd_what_its_mean_square_says(crowd: xr.DataArray) -> None:
    found = measures(
        CROWD,
        ScoreModel.shift(CROWD),
        crowd,
    )
    square = float((crowd.sel(variable="g") ** 2).sum("axis").mean())
    exact = 2 + CROWD.exact_g_part(crowd).rate / CROWD.persistence_rate
    assert found.loss == pytest.approx(square - 4)
    assert found.explained == pytest.approx((4 - square) / exact)
    assert found.captured == pytest.approx(0, abs=1e-12)


def test_fit_learns_is_repeatable_and_keeps_what_was_held_out(crowd: xr.DataArray) -> None:
    size = {"neighbours": 6, "width": 8, "blocks": 1, "heads": 2, "seed": 3}
    fit = {"loss": "denoising", "noise": 0.02, "steps": 20, "batch": 64, "lr": 1e-2, "decay": 0.8}
    score, again = (ScoreModel.local(CROWD, **size) for _ in range(2))
    history = score.fit(crowd, held_out=crowd, every=20, **fit)
    again.fit(crowd, **fit)
    explained = history.observed["held_out"]["explained"]
    assert explained[-1] > 3 * explained[0] > 0
    x, g = tensors_of(crowd)
    assert torch.equal(score(x, g)["g"], again(x, g)["g"])


@pytest.mark.parametrize(
    "fit",
    [
        {"loss": "denoising", "noise": 0.02, "noise_on": "all"},
        {"loss": "implicit"},
    ],
)
def test_local_score_takes_the_other_losses(crowd: xr.DataArray, fit: dict[str, object]) -> None:
    score = ScoreModel.local(CROWD, neighbours=6, width=8, blocks=1, heads=2, tokens="bare")
    history = score.fit(crowd, steps=3, batch=32, **fit)
    assert np.isfinite(history.loss).all()


@pytest.mark.parametrize(
    "fit",
    [
        {},
        {"stationarity": 1.0},
        {"loss": "denoising", "noise": 0.1},
    ],
)
def test_all_particle_score_learns_swimmers_apart(fit: dict[str, object]) -> None:
    states = harmonic_states(500)
    score = ScoreModel.transformer(APART, width=8, blocks=1, heads=2, seed=0)
    before = measures(APART, score, states).loss
    score.fit(states, steps=30, batch=128, lr=2e-2, decay=0.9, seed=1, **fit)
    after = measures(APART, score, states).loss
    best = -2 * float(torch.linalg.inv(ONE.covariance).trace())
    assert before - after > 0.5 * (before - best)


def test_linear_field_score_gives_the_entropy_production() -> None:
    z = ONE.sample(20_000, torch.Generator().manual_seed(0))
    score = FieldScore.linear(ONE.process(), seed=0)
    score.fit(z, steps=200, batch=1024, lr=3e-2, decay=0.95, seed=0)
    rate = float(ONE.process().entropy_production(score, z).total.sum(1).mean())
    assert rate == pytest.approx(ONE.entropy_production, rel=0.05)


def test_a_score_is_saved_loaded_and_carried_over(tmp_path: Path, crowd: xr.DataArray) -> None:
    score = ScoreModel.local(CROWD, neighbours=6, width=8, blocks=1, heads=2)
    with torch.no_grad():
        score.network.gates.weight.add_(0.3)
    place = score.save(tmp_path / "score")
    x, g = tensors_of(crowd)
    assert torch.equal(ScoreModel.load(place)(x, g)["g"], score(x, g)["g"])
    other = CROWD.with_(packing=0.25)
    assert ScoreModel.load(place, other).system == other
    with pytest.raises(InputError, match=r"speed 0\.25, and this one has 0\.3"):
        ScoreModel.load(place, CROWD.with_(speed=0.3))
    whole = ScoreModel.transformer(TRAPPED, width=8, blocks=1, heads=2).save(tmp_path / "whole")
    assert ScoreModel.load(whole, TRAPPED).kind == "transformer"
    with pytest.raises(InputError, match="particles 6, and this one has 7"):
        ScoreModel.load(whole, TRAPPED.with_(particles=7))
    with pytest.raises(InputError, match="a local one can be carried over"):
        ScoreModel.load(whole).on(TRAPPED.with_(particles=7))
    with pytest.raises(InputError, match="holds no saved score"):
        ScoreModel.load(tmp_path)
    (shift,) = (ScoreModel.shift(TRAPPED, "springs").save(tmp_path / "shift"),)
    assert ScoreModel.load(shift).options == {"shift": "springs"}


def test_the_total_without_noise_on_positions_is_refused(crowd: xr.DataArray) -> None:
    score = ScoreModel.local(CROWD, neighbours=6, width=8)
    with pytest.raises(InputError, match=r"not defined.*variables=\['g'\]"):
        entropy_production(CROWD, score, crowd)
    part = entropy_production(CROWD, score, crowd, variables=["g"])
    assert "total" not in part
    assert part.total_by_variable.shape == (3, 64, 1)


def test_a_score_of_something_else_is_refused(crowd: xr.DataArray) -> None:
    score = ScoreModel.local(CROWD, neighbours=6, width=8)
    warm = CROWD.with_(diffusion=0.1)
    states = states_of(warm, crowd.sel(variable="x"), crowd.sel(variable="g"))
    with pytest.raises(InputError, match="an all-particle one has all"):
        entropy_production(warm, ScoreModel.local(warm, neighbours=6, width=8), states)
    with pytest.raises(InputError, match="of another system"):
        entropy_production(warm, score, states, variables=["g"])
    with pytest.raises(InputError, match="their flow is not known"):
        follow(ScoreModel.local(warm, neighbours=6, width=8), states, 1.0, step=0.1)
    with pytest.raises(InputError, match=r"variables is \['x', 'g'\]"):
        entropy_production(CROWD, score, crowd, variables=["v"])
    with pytest.raises(InputError, match="number of probes"):
        entropy_production(CROWD, score, crowd, variables=["g"], divergence=0)


def test_a_choice_of_loss_that_makes_no_sense_is_said(crowd: xr.DataArray) -> None:
    score = ScoreModel.local(CROWD, neighbours=6, width=8)
    for options, words in (
        ({"loss": "sliced"}, "loss is 'implicit' or 'denoising'"),
        ({"noise": 0.1}, "noise belongs to"),
        ({"loss": "denoising"}, "takes a positive noise"),
        ({"stationarity": 1.0}, "a local score of the activities has not"),
        ({"loss": "denoising", "noise": 0.1, "noise_on": "some"}, "noise_on is"),
        ({"steps": 0}, "steps of at least 1"),
    ):
        with pytest.raises(InputError, match=words):
            score.fit(crowd, **options)
    with pytest.raises(InputError, match="nothing to fit"):
        ScoreModel.shift(CROWD).fit(crowd)
    with pytest.raises(InputError, match="needs diffusion"):
        ScoreModel.shift(CROWD, "springs")(*tensors_of(crowd))
    with pytest.raises(InputError, match="tokens is"):
        ScoreModel.local(CROWD, tokens="words")  # pyright: ignore[reportArgumentType]


def test_a_noise_wider_than_the_density_warns(crowd: xr.DataArray) -> None:
    score = ScoreModel.local(CROWD, neighbours=6, width=8, blocks=1)
    with pytest.warns(UserWarning, match="smooths a density"):
        score.fit(crowd, loss="denoising", noise=0.5, steps=1, batch=8)


def test_states_with_a_nan_or_none_are_refused_and_weights_stay(crowd: xr.DataArray) -> None:
    system = system_of(crowd)
    score = ScoreModel.local(system, neighbours=4, width=8, blocks=1, heads=2)
    before = [p.clone() for p in score.network.parameters()]
    broken = crowd.copy()
    broken[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="NaN"):
        score.fit(broken, loss="denoising", noise=0.02, steps=2)
    with pytest.raises(InputError, match="no sample"):
        system.exact_g_part(crowd[:0])
    with pytest.raises(InputError, match="at least 1"):
        ScoreModel.local(system, neighbours=4, width=0)
    with pytest.raises(InputError, match="particles"):
        system.with_(particels=3)
    with pytest.raises(AxonalError, match="The loss became"):
        score.fit(crowd, loss="denoising", noise=0.02, steps=3, lr=float("1e30"))
    for p, q in zip(before, score.network.parameters(), strict=True):
        torch.testing.assert_close(p, q)

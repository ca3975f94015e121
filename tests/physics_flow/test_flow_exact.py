"""What is known exactly: harmonic swimmers, the ring's density, and averages that need no score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axonal.errors import AxonalError, InputError
from axonal.physics.active_matter import (
    SwimmerRing,
    fokker_planck_2d,
    harmonic_production,
    harmonic_swimmers,
    mirrored,
)
from axonal.transport import Diffusion

SWIMMER = {"speed": 1.0, "persistence_rate": 0.7, "diffusion": 0.3, "trap": 0.5}


@pytest.fixture(scope="module")
def density():
    return SwimmerRing().density((240, 100))


# Harmonic swimmers


def test_a_trapped_swimmer_has_the_closed_form():
    system = harmonic_swimmers(1, **SWIMMER)
    rate = 1.0 * 0.7 / (0.3 * (0.5 + 0.7))
    assert system.entropy_production == pytest.approx(rate, abs=1e-12)
    assert harmonic_production(1, **SWIMMER) == pytest.approx(rate, abs=1e-12)
    assert float(system.flow.trace()) == pytest.approx(0, abs=1e-12)
    spread = system.covariance
    assert float(spread[1, 1]) == pytest.approx(1, abs=1e-12)
    assert float(spread[0, 1]) == pytest.approx(1 / 1.2, abs=1e-12)
    assert float(spread[0, 0]) == pytest.approx((0.3 + 1 / 1.2) / 0.5, abs=1e-12)


@pytest.mark.parametrize("particles", [2, 5])
def test_joined_swimmers_produce_the_sum_over_their_modes(particles):
    system = harmonic_swimmers(particles, **SWIMMER, coupling=0.8)
    total = harmonic_production(particles, **SWIMMER, coupling=0.8)
    assert system.entropy_production == pytest.approx(total, rel=1e-11)
    if particles == 2:
        assert total == pytest.approx(2.7777777778, abs=1e-10)


def test_without_diffusion_the_activity_obeys_its_identity():
    system = harmonic_swimmers(2, **SWIMMER | {"diffusion": 0.0}, coupling=0.8)
    square = torch.linalg.inv(system.covariance)[2:, 2:].trace()
    assert float(square) == pytest.approx(5.7142857143, abs=1e-9)  # d - tr J / gamma
    with pytest.raises(InputError, match="not defined"):
        harmonic_production(2, **SWIMMER | {"diffusion": 0.0})


def test_a_swimmer_without_speed_is_at_equilibrium():
    system = harmonic_swimmers(2, **SWIMMER | {"speed": 0.0}, coupling=0.8)
    assert float(system.flow.abs().max()) < 1e-12


def test_the_flow_of_swimmers_keeps_their_moments():
    system = harmonic_swimmers(1, **SWIMMER)
    z = torch.linalg.cholesky(system.covariance).mT * 2**0.5
    z = torch.cat([z, -z])  # its moments are exactly those of the law
    moved = system.process().follow(system.score, z, 1 / 0.7)
    torch.testing.assert_close(moved.mT @ moved / 4, system.covariance, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "wrong", [{"particles": 0}, {"trap": 0.0}, {"coupling": -1.0}, {"diffusion": -0.1}]
)
def test_a_chain_that_cannot_be_is_refused(wrong):
    settings = {"particles": 2, **SWIMMER} | wrong
    with pytest.raises(InputError):
        harmonic_swimmers(**settings)


# The ring's density


def test_the_ring_has_the_entropy_production_of_finer_grids(density):
    # 0.396848 and 0.396877 at 480 x 200, 0.39691 at 960 x 240, by both forms of the average.
    assert density.entropy_production == pytest.approx(0.39691, abs=5e-4)
    np.testing.assert_allclose(density.parts, [0.36450, 0.03243], atol=5e-4)
    assert float(density.mean("total").sum()) == pytest.approx(0.39691, abs=1e-3)
    assert density.residual < 1e-9


def test_the_score_free_average_over_the_density_is_its_entropy_production(density):
    ring = SwimmerRing()
    z, weight = density.states(), torch.from_numpy(density.weights.values.ravel())
    gained = (ring.process().score_free_production(z) * weight).sum()
    assert float(gained) == pytest.approx(density.entropy_production, abs=2e-3)
    contact = (z[:, 1] * ring.drift(z)[:, 0] * weight).sum() * ring.speed / ring.diffusion
    assert float(contact) == pytest.approx(density.entropy_production, abs=1e-3)


def test_the_flow_is_stationary_everywhere_and_on_average(density):
    fields = density.fields
    flow = (fields.velocity * fields.score).sum("variable")
    change = fields.divergence.sum("variable") + flow
    weight = density.weights
    assert float((weight * change.fillna(0) ** 2).sum()) ** 0.5 < 3e-3
    assert float((weight * flow.fillna(0)).sum()) == pytest.approx(0, abs=1e-3)
    assert float(density.mean("divergence").sum()) == pytest.approx(0, abs=1e-3)
    assert float(density.weights.sum()) == pytest.approx(1)


def test_the_activity_is_normal_and_the_ring_symmetric(density):
    marginal = density.fields.density.sum("x") * float(np.diff(density.fields.x.values)[0])
    normal = np.exp(-(marginal.g**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(marginal, normal, atol=2e-4)
    values = density.fields.density.values
    np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-10)


def test_without_speed_nothing_flows():
    still = SwimmerRing(speed=0.0).density((60, 40))
    assert still.entropy_production < 1e-12
    ring = SwimmerRing(speed=0.0)
    exact = ring.score_without_activity(still.states()).numpy()
    seen = still.weights.values.ravel() > 1e-7
    away = np.abs(still.states()[:, 0].numpy() - 8) < 5  # where a cell resolves the force
    np.testing.assert_allclose(
        still.fields.score.values.reshape(-1, 2)[seen & away], exact[seen & away], atol=2e-2
    )


def test_draws_of_the_density_have_its_averages(density):
    z = density.sample(100_000, torch.Generator().manual_seed(0))
    assert z.shape == (100_000, 2)
    assert SwimmerRing().exact_total(z) == pytest.approx(density.entropy_production, abs=0.012)
    again = density.sample(100_000, torch.Generator().manual_seed(0))
    assert torch.equal(z, again)


def test_simulated_states_have_the_averages_of_the_density(density):
    z = SwimmerRing().sample(400, 20, seed=1)
    assert SwimmerRing().exact_total(z) == pytest.approx(density.entropy_production, abs=0.03)
    assert float(z[:, 1].var()) == pytest.approx(1, abs=0.06)
    assert float(z[:, 0].min()) >= 0
    assert float(z[:, 0].max()) < 16
    assert torch.equal(z, SwimmerRing().sample(400, 20, seed=1))


def test_a_linear_diffusion_has_its_gaussian_on_the_grid():
    system = harmonic_swimmers(1, **SWIMMER)
    reach = 6 * float(system.covariance[0, 0]) ** 0.5
    found = fokker_planck_2d(
        system.process(), ((-reach, reach), (-6, 6)), cells=(160, 120), names=("x", "g")
    )
    assert found.entropy_production == pytest.approx(system.entropy_production, rel=5e-3)
    z = found.states()
    weight = torch.from_numpy(found.weights.values.ravel())
    covariance = (z * weight[:, None]).mT @ z
    torch.testing.assert_close(covariance, system.covariance, atol=1e-2, rtol=0)


def test_mirror_images_are_as_likely():
    ring = SwimmerRing()
    z = ring.sample(5, 2, spacing=1.0, burn_in=1.0, seed=0)
    both = mirrored(z, ring)
    assert len(both) == 20
    torch.testing.assert_close(ring.drift(both[10:]), -ring.drift(z), atol=1e-12, rtol=0)


# Input


def test_the_grid_says_what_it_cannot_solve():
    noise = torch.tensor([0.1, 0.1], dtype=torch.float64)
    process = Diffusion(lambda z: -z, noise)
    with pytest.raises(InputError, match="two dimensions"):
        fokker_planck_2d(Diffusion(lambda z: -z, torch.ones(3)), ((-1, 1), (-1, 1)))
    with pytest.raises(InputError, match="noise in both"):
        fokker_planck_2d(Diffusion(lambda z: -z, torch.tensor([0.0, 1.0])), ((-1, 1), (-1, 1)))
    with pytest.raises(InputError, match="bounds"):
        fokker_planck_2d(process, ((1, -1), (-1, 1)))
    with pytest.raises(InputError, match="cells"):
        fokker_planck_2d(process, ((-1, 1), (-1, 1)), cells=(2, 5000))
    with pytest.raises((InputError, AxonalError), match="not finite"):
        fokker_planck_2d(Diffusion(lambda z: z / 0 * 0, noise), ((-1, 1), (-1, 1)))
    with pytest.raises(InputError, match="count"):
        SwimmerRing().density((12, 12)).sample(0)


@pytest.mark.parametrize(
    "wrong", [{"half_width": 0.0}, {"speed": -1.0}, {"diffusion": 0.0}, {"steepness": float("nan")}]
)
def test_a_ring_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SwimmerRing(**wrong)


def test_a_ring_is_not_simulated_too_coarsely():
    with pytest.raises(InputError, match=r"at most 0\.08"):
        SwimmerRing().sample(1, 1, step=0.1)
    with pytest.raises(InputError, match="at least one"):
        SwimmerRing().sample(0, 1)

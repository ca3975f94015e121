"""Forces between soft discs, their divergence, and the drift of active particles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from axonal.physics.active_matter import ActiveOrnsteinUhlenbeck
from axonal.physics.active_matter.forces import minimum_image, repulsion
from axonal.physics.active_matter.stepping import neighbour_list, repel

GENERATOR = torch.Generator().manual_seed(3)


def dense(particles: int = 40, packing: float = 0.6, trap: float = 0.0) -> ActiveOrnsteinUhlenbeck:
    return ActiveOrnsteinUhlenbeck(
        particles=particles,
        speed=0.3,
        persistence_rate=0.2,
        diffusion=0.1,
        stiffness=2.5,
        trap=trap,
        packing=packing,
    )


def places(system: ActiveOrnsteinUhlenbeck, samples: int = 2) -> torch.Tensor:
    shape = (samples, system.particles, 2)
    draw = torch.rand(shape, generator=GENERATOR, dtype=torch.float64)
    return (2 * draw - 1) * system.half_width


def test_the_box_is_set_by_number_and_packing():
    system = dense(64, 0.1)
    assert system.half_width == pytest.approx(22.4199, abs=1e-4)
    assert system.box == 2 * system.half_width
    assert 64 * math.pi / system.box**2 == pytest.approx(0.1)


def test_the_pair_force_is_the_softplus_of_the_overlap_and_never_overflows():
    system = dense()
    q = torch.tensor([1e-9, 0.5, 2.0, 2.5, 60.0, 1e6], dtype=torch.float64)
    force = system.pair_force(q)
    assert torch.isfinite(force).all()
    assert float(force[1]) == pytest.approx(2.5 * 1.5, rel=1e-4)
    assert float(force[2]) == pytest.approx(2.5 * math.log(2) / 7.5)
    step = 1e-6
    slope = (system.pair_force(q[1:4] + step) - system.pair_force(q[1:4] - step)) / (2 * step)
    torch.testing.assert_close(slope, system.pair_force_derivative(q[1:4]), atol=1e-8, rtol=1e-7)


def test_forces_are_opposite_and_sum_to_zero():
    system = dense()
    total = system.forces(places(system)).sum(dim=1)
    torch.testing.assert_close(total, torch.zeros_like(total), atol=1e-12, rtol=0)
    pair = dense(2, 0.02)
    x = torch.tensor([[0.3, 0.1], [1.2, -0.4]], dtype=torch.float64)
    force = pair.forces(x)
    torch.testing.assert_close(force[0], -force[1], atol=1e-15, rtol=0)
    assert float(force[0] @ (x[0] - x[1])) > 0  # away from each other


def test_divergences_agree_with_finite_differences():
    system = dense(trap=0.05)
    x, g = places(system, 1)[0], torch.zeros(40, 2, dtype=torch.float64)
    step, found = 1e-5, torch.zeros(40, dtype=torch.float64)
    for i in range(40):
        for k in range(2):
            up, down = x.clone(), x.clone()
            up[i, k] += step
            down[i, k] -= step
            change = system.drift(up, g)[0][i, k] - system.drift(down, g)[0][i, k]
            found[i] += change / (2 * step)
    in_x, in_g = system.drift_divergence(x)
    torch.testing.assert_close(in_x, found, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(in_g, torch.full((40,), -0.4, dtype=torch.float64))


def test_drift_is_differentiable_twice():
    system = dense(16, 0.3)
    x = places(system, 1).requires_grad_()
    (first,) = torch.autograd.grad(system.forces(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    assert torch.isfinite(second).all()


def test_translation_and_images_leave_forces_as_they_are():
    system = dense()
    x = places(system)
    force = system.forces(x)
    box = system.box
    images = x + box * torch.randint(-2, 3, x.shape, generator=GENERATOR).double()
    torch.testing.assert_close(system.forces(images), force, atol=1e-11, rtol=0)
    torch.testing.assert_close(system.forces(x + 1.234), force, atol=1e-11, rtol=0)
    apart = system.displacement(x[:, :1], images)
    assert float(apart.abs().max()) <= system.half_width


def test_a_permutation_of_particles_permutes_drift_and_divergence():
    system = dense(trap=0.05)
    x = places(system)
    g = torch.randn(x.shape, generator=GENERATOR, dtype=torch.float64)
    order = torch.randperm(40, generator=GENERATOR)
    for whole, permuted in zip(
        system.drift(x, g), system.drift(x[:, order], g[:, order]), strict=True
    ):
        torch.testing.assert_close(whole[:, order], permuted, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        system.drift_divergence(x)[0][:, order],
        system.drift_divergence(x[:, order])[0],
        atol=1e-12,
        rtol=0,
    )


def test_particles_at_one_place_have_a_finite_force_and_gradient():
    system = dense(16, 0.3)
    x = places(system, 1)[0].clone()
    x[1] = x[0]
    x.requires_grad_()
    force = system.forces(x)
    assert torch.isfinite(force).all()
    assert torch.isfinite(system.drift_divergence(x)[0]).all()
    (gradient,) = torch.autograd.grad(force.square().sum(), x)
    assert torch.isfinite(gradient).all()


def test_lists_of_pairs_and_all_pairs_give_the_same_forces():
    system = dense(200)
    x = places(system)
    everything = repulsion(x, system.half_width, 7.5)
    listed = repulsion(x, system.half_width, 7.5, system.cutoff)
    torch.testing.assert_close(listed, everything, atol=5e-9, rtol=0)
    open_space = repulsion(x, None, 7.5, system.cutoff)
    torch.testing.assert_close(open_space, repulsion(x, None, 7.5), atol=5e-9, rtol=0)


@pytest.mark.parametrize("half_width", [18.0, -1.0])
@pytest.mark.parametrize("particles", [20, 150])
def test_the_compiled_forces_are_the_differentiable_ones(half_width, particles):
    rng = np.random.default_rng(1)
    x = rng.uniform(-17.9, 17.9, (particles, 2))
    reach = 2 + 20 / 7.5
    starts, others = neighbour_list(x, half_width, reach + 0.8)
    assert len(starts) == particles + 1
    force = np.zeros_like(x)
    repel(x, force, starts, others, 2.5, 7.5, half_width, reach)
    wanted = 2.5 * repulsion(torch.from_numpy(x), half_width if half_width > 0 else None, 7.5)
    np.testing.assert_allclose(force, wanted.numpy(), atol=5e-9)


def test_the_score_without_activity_is_the_drift_at_rest_over_the_diffusion():
    system = dense(trap=0.05)
    x = places(system)
    g = torch.randn(x.shape, generator=GENERATOR, dtype=torch.float64)
    in_x, in_g = system.score_without_activity(x, g)
    still = system.with_(speed=0.0).drift(x, g)[0]
    torch.testing.assert_close(in_x, still / 0.1)
    torch.testing.assert_close(in_g, -g)
    assert system.with_(diffusion=0.0).score_without_activity(x, g)[0] is None


def test_the_minimum_image_of_open_space_is_the_displacement():
    shift = torch.tensor([100.0, -3.0])
    assert minimum_image(shift, None) is shift

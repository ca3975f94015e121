"""Scores and probability flow, against the linear diffusion for which everything is known."""

from __future__ import annotations

import pytest
import torch
from clouds import definite

from axonal.errors import InputError
from axonal.transport import (
    Diffusion,
    LinearDiffusion,
    denoising_score_matching,
    divergence,
    hutchinson_divergence,
    implicit_score_matching,
)


def swimmer(v0: float = 1.0, trap: float = 0.5, eps: float = 0.3, gamma: float = 0.7):
    """One trapped active Ornstein-Uhlenbeck coordinate: position and self-propulsion."""
    return LinearDiffusion(
        torch.tensor([[-trap, v0], [0.0, -gamma]], dtype=torch.float64),
        torch.tensor([eps, gamma], dtype=torch.float64),
    )


def test_the_trapped_swimmer_has_its_closed_form():
    v0, trap, eps, gamma = 1.0, 0.5, 0.3, 0.7
    linear = swimmer(v0, trap, eps, gamma)
    covariance = [[(eps + v0**2 / (trap + gamma)) / trap, v0 / (trap + gamma)], [0, 1]]
    covariance[1][0] = covariance[0][1]
    assert torch.allclose(
        linear.covariance, torch.tensor(covariance, dtype=torch.float64), atol=1e-12
    )
    expected = v0**2 * gamma / (eps * (trap + gamma))
    assert linear.entropy_production == pytest.approx(expected, abs=1e-12)
    assert float(linear.parts.sum()) == pytest.approx(expected, abs=1e-12)
    assert float(linear.flow.trace()) == pytest.approx(0.0, abs=1e-12)


def test_two_coupled_swimmers_produce_the_sum_of_their_modes():
    trap, kappa, v0, eps, gamma = 0.5, 0.8, 1.0, 0.3, 0.7
    eye, spring = torch.eye(2), torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    top = torch.cat([-trap * eye + kappa * spring, v0 * eye], dim=1)
    bottom = torch.cat([0 * eye, -gamma * eye], dim=1)
    noise = torch.tensor([eps, eps, gamma, gamma]).double()
    linear = LinearDiffusion(torch.cat([top, bottom]).double(), noise)
    assert linear.entropy_production == pytest.approx(2.7777777778, abs=1e-6)
    modes = [swimmer(v0, a, eps, gamma).entropy_production for a in (trap, trap + 2 * kappa)]
    assert linear.entropy_production == pytest.approx(sum(modes), abs=1e-6)


def test_at_equilibrium_nothing_flows():
    linear = swimmer(v0=0.0)
    assert torch.allclose(linear.flow, torch.zeros(2, 2).double(), atol=1e-12)
    assert linear.entropy_production == pytest.approx(0.0, abs=1e-20)


def test_the_flow_is_stationary_at_every_point():
    linear = swimmer()
    z = 3 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    process = linear.process()
    velocity = process.velocity(linear.score, z)
    spread = divergence(lambda at: process.velocity(linear.score, at), z)
    assert torch.allclose(spread + (velocity * linear.score(z)).sum(1), spread * 0, atol=1e-10)


def test_the_rate_needs_no_score_and_its_fields_add_up():
    linear = swimmer()
    process = linear.process()
    z = linear.sample(200_000, torch.Generator().manual_seed(0))
    local = process.entropy_production(linear.score, z)
    free = process.score_free_production(z)
    for rate in (local.total.sum(1), free):
        error = 5 * float(rate.std()) / len(z) ** 0.5
        assert float(rate.mean()) == pytest.approx(linear.entropy_production, abs=error)
    assert torch.allclose(local.total.mean(0), linear.parts, rtol=0.03)
    assert torch.allclose(local.medium, local.total - local.system)
    # In the mean the system produces none, here exactly: div v is the trace of Q.
    assert float(local.system.sum(1).mean()) == pytest.approx(0.0, abs=1e-12)


def test_without_noise_on_a_coordinate_the_rate_is_refused_and_its_parts_are_not():
    linear = swimmer(eps=0.0)
    process = linear.process()
    with pytest.raises(InputError, match="not defined"):
        _ = linear.entropy_production
    with pytest.raises(InputError, match="1 of 2 coordinates have no noise"):
        process.score_free_production(torch.zeros(3, 2).double())
    local = process.entropy_production(linear.score, linear.sample(10))
    assert bool(torch.isnan(local.total[:, 0]).all())
    assert bool(torch.isfinite(local.total[:, 1]).all())


def test_the_score_of_the_hypoelliptic_pair_is_known_without_learning():
    """E|s_g|^2 = d - E[div_x F] / gamma where positions have no noise: 5.714 for the coupled pair."""
    trap, kappa, gamma = 0.5, 0.8, 0.7
    eye, spring = torch.eye(2), torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    force = -trap * eye + kappa * spring
    matrix = torch.cat([torch.cat([force, eye], 1), torch.cat([0 * eye, -gamma * eye], 1)])
    noise = torch.tensor([0.0, 0.0, gamma, gamma]).double()
    linear = LinearDiffusion(matrix.double(), noise)
    precision = torch.linalg.inv(linear.covariance)
    assert float(precision[2:, 2:].trace()) == pytest.approx(5.7142857143, abs=1e-5)


def test_samples_that_follow_the_flow_keep_their_moments():
    linear = swimmer()
    root = torch.linalg.cholesky(linear.covariance)
    z = torch.cat([root.mT, -root.mT]) * 2**0.5  # four points with exactly the right moments
    moved = linear.process().follow(linear.score, z, 1 / 0.7)
    assert torch.allclose(moved.mT @ moved / 4, linear.covariance, atol=1e-6)
    assert not torch.allclose(moved, z, atol=0.1)


def test_the_exact_divergence_is_the_trace_of_the_jacobian():
    matrix = torch.from_numpy(definite(4, 0))
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def field(at):
        return torch.tanh(at @ matrix.mT) * at

    jacobian = torch.func.vmap(torch.func.jacrev(lambda one: field(one[None])[0]))(z)
    parts = divergence(field, z, parts=True)
    assert torch.allclose(parts, jacobian.diagonal(dim1=1, dim2=2), atol=1e-12)
    assert torch.allclose(divergence(field, z), parts.sum(1))
    generator = torch.Generator().manual_seed(1)
    estimate = hutchinson_divergence(field, z, generator, probes=4000)
    assert torch.allclose(estimate, parts.sum(1), atol=0.15)
    assert torch.equal(divergence(lambda at: torch.ones_like(at), z), torch.zeros(6).double())


def test_the_minimum_of_implicit_matching_is_minus_the_mean_squared_score():
    linear = swimmer()
    z = linear.sample(100_000, torch.Generator().manual_seed(0))
    precision = torch.linalg.inv(z.mT @ z / len(z))

    def score(at):
        return -at @ precision.mT

    least = float(implicit_score_matching(score, z))
    assert least == pytest.approx(-float(precision.trace()), rel=1e-9)
    for factor in (0.9, 1.1):
        assert float(implicit_score_matching(lambda at, k=factor: k * score(at), z)) > least
    hutchinson = implicit_score_matching(
        score, z, method="hutchinson", generator=torch.Generator().manual_seed(1)
    )
    assert float(hutchinson) == pytest.approx(least, rel=0.02)


def test_denoising_learns_the_score_of_the_smoothed_density():
    """Among linear scores the minimum lies at the inverse of S + sigma^2 I."""
    linear = swimmer()
    generator = torch.Generator().manual_seed(0)
    z = linear.sample(100_000, generator)
    smoothed = torch.linalg.inv(linear.covariance + 0.5**2 * torch.eye(2))
    matrix = smoothed.clone().requires_grad_()
    loss = denoising_score_matching(lambda at: -at @ matrix.mT, z, 0.5, generator)
    (slope,) = torch.autograd.grad(loss, matrix)
    assert float(slope.abs().max()) < 0.03
    wrong = torch.linalg.inv(linear.covariance).requires_grad_()
    loss = denoising_score_matching(lambda at: -at @ wrong.mT, z, 0.5, generator)
    assert float(torch.autograd.grad(loss, wrong)[0].abs().max()) > 0.1


def test_the_antithetic_pair_keeps_small_noise_quiet():
    linear = swimmer()
    z = linear.sample(200, torch.Generator().manual_seed(0))
    losses = [
        float(denoising_score_matching(linear.score, z, 1e-3, torch.Generator().manual_seed(s)))
        for s in range(20)
    ]
    assert torch.tensor(losses).std() < 0.5


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: LinearDiffusion(torch.eye(2), torch.ones(2)), "no stationary law"),
        (lambda: LinearDiffusion(-torch.eye(2), torch.ones(3)), "3 entries"),
        (lambda: Diffusion(lambda z: z, torch.eye(2)), "not supported"),
        (lambda: Diffusion(lambda z: z, torch.zeros(2)), "somewhere positive"),
        (lambda: divergence(lambda z: z[:, :1], torch.zeros(2, 2)), "returned shape"),
        (lambda: divergence(lambda z: z, torch.zeros(2)), "expected samples"),
        (lambda: hutchinson_divergence(lambda z: z, torch.zeros(2, 2), probes=0), "probes"),
        (lambda: denoising_score_matching(lambda z: z, torch.zeros(2, 2), 0.0), "noise"),
        (
            lambda: implicit_score_matching(lambda z: z, torch.zeros(2, 2), method="guess"),
            "method is",
        ),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()

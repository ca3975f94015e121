"""Entropic transport: identities, limits, closed forms, parity with POT, gradients."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest
import torch
from clouds import clouds, definite
from scipy.linalg import sqrtm

from axonal.errors import InputError
from axonal.transport import (
    cost_matrix,
    exact_transport,
    monge_gap,
    sinkhorn,
    sinkhorn_divergence,
    transport_points,
)

COSTS = ["sqeuclidean", "euclidean", "cosine"]


def points(
    n: int = 40, m: int = 30, d: int = 3, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = clouds(d, n, m, seed)
    return torch.from_numpy(x), torch.from_numpy(y)


@pytest.mark.parametrize("cost", COSTS)
def test_the_cost_is_scipys(cost):
    from scipy.spatial.distance import cdist

    x, y = points()
    assert np.allclose(cost_matrix(x, y, cost), cdist(x, y, cost), atol=1e-6)
    assert isinstance(cost_matrix(x.numpy(), y.numpy(), cost), np.ndarray)


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_plan_is_pots(epsilon, weighted):
    x, y = points()
    rng = np.random.default_rng(0)
    a = rng.dirichlet(np.ones(40)) if weighted else np.full(40, 1 / 40)
    b = rng.dirichlet(np.ones(30)) if weighted else np.full(30, 1 / 30)
    ours = transport_points(
        x, y, epsilon, cost="euclidean", a=a, b=b, tolerance=1e-11, max_iterations=50_000
    )
    cost = cost_matrix(x, y, "euclidean").numpy()
    theirs = ot.sinkhorn(
        a, b, cost, epsilon, method="sinkhorn_log", stopThr=1e-13, numItermax=50_000
    )
    assert np.abs(ours.matrix().numpy() - theirs).max() < 1e-9
    assert ours.converged
    direct = (theirs * cost).sum() + epsilon * (theirs * np.log(theirs / np.outer(a, b))).sum()
    assert float(ours.value) == pytest.approx(direct, abs=1e-8)
    assert float(ours.entropy_value) == pytest.approx(
        (theirs * cost).sum() + epsilon * (theirs * np.log(theirs)).sum(), abs=1e-8
    )


def test_the_two_values_differ_by_the_entropy_of_the_weights():
    x, y = points()
    coupling = transport_points(x, y, 0.2, tolerance=1e-10, max_iterations=50_000)
    difference = float(coupling.value - coupling.entropy_value)
    assert difference == pytest.approx(0.2 * (math.log(40) + math.log(30)), abs=1e-9)


def test_the_marginals_are_the_weights_to_the_tolerance():
    x, y = points()
    for tolerance in (1e-2, 1e-5):
        coupling = transport_points(x, y, 0.1, tolerance=tolerance, max_iterations=10_000)
        plan = coupling.matrix()
        assert float((plan.sum(1) - 1 / 40).abs().sum()) <= tolerance * (1 + 1e-6)
        assert torch.allclose(plan.sum(0), torch.full((30,), 1 / 30, dtype=plan.dtype), atol=1e-12)


def test_small_epsilon_tends_to_the_exact_cost_and_large_to_the_mean():
    x, y = points()
    exact = ot.emd2([], [], cost_matrix(x, y).numpy())
    assert exact_transport(x.numpy(), y.numpy()).value == pytest.approx(exact, rel=1e-12)
    entropic = transport_points(x, y, 0.01, tolerance=1e-4, max_iterations=20_000)
    assert exact - 1e-4 <= float(entropic.value) <= exact + 0.01 * math.log(40 * 30)
    loose = transport_points(x, y, 1e6)
    assert float(loose.value) == pytest.approx(float(cost_matrix(x, y).mean()), rel=1e-4)


def test_the_value_between_gaussians_is_the_closed_form():
    """In one dimension, against a fine grid of weights: OT_eps of two normal laws."""
    grid = torch.linspace(-9, 9, 600, dtype=torch.float64)[:, None]

    def normal(mean: float, variance: float) -> torch.Tensor:
        density = torch.exp(-((grid[:, 0] - mean) ** 2) / (2 * variance))
        return density / density.sum()

    a, b, epsilon = (0.3, 1.2), (-0.5, 0.4), 0.7
    found = transport_points(
        grid, grid.clone(), epsilon, a=normal(*a), b=normal(*b), tolerance=1e-9
    )
    s = epsilon / 2
    root = math.sqrt(4 * a[1] * b[1] + s**2)
    closed = (a[0] - b[0]) ** 2 + a[1] + b[1] - root + s * (1 - math.log(2 * s))
    closed += s * math.log(root + s)
    assert float(found.value) == pytest.approx(closed, abs=1e-7)


def test_one_block_of_rows_at_a_time_is_the_same_plan_and_gradient():
    for cost in COSTS:
        results = []
        for block in (None, 7):
            x, y = (p.requires_grad_() for p in points())
            coupling = transport_points(x, y, 0.3, cost=cost, block=block, tolerance=1e-8)
            coupling.value.backward()
            results.append((coupling.matrix(), coupling.value.detach(), x.grad, y.grad))
        for whole, blocked in zip(*results, strict=True):
            assert torch.allclose(whole, blocked, atol=1e-12)


def test_a_batch_is_its_problems_one_by_one():
    pairs = [points(seed=s) for s in range(3)]
    x, y = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    together = transport_points(x, y, 0.5, tolerance=1e-10, max_iterations=20_000)
    alone = [transport_points(*p, 0.5, tolerance=1e-10, max_iterations=20_000) for p in pairs]
    assert torch.allclose(together.value, torch.stack([c.value for c in alone]), atol=1e-9)


@pytest.mark.parametrize("cost", COSTS)
def test_the_gradient_is_that_of_the_converged_value(cost):
    x, y = points(12, 10)
    x.requires_grad_()
    y.requires_grad_()

    def value(x, y):
        return transport_points(x, y, 0.4, cost=cost, tolerance=1e-12, max_iterations=50_000).value

    value(x, y).backward()
    for p, other in ((x, 0), (y, 1)):
        nudge = torch.zeros_like(p.detach())
        nudge[3, 1] = 1e-5
        pairs = [[x.detach(), y.detach()] for _ in range(2)]
        pairs[0][other] = pairs[0][other] + nudge
        pairs[1][other] = pairs[1][other] - nudge
        slope = float(value(*pairs[0]) - value(*pairs[1])) / 2e-5
        assert float(p.grad[3, 1]) == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_the_gradient_of_a_cost_matrix_is_the_plan():
    x, y = points(12, 10)
    cost = cost_matrix(x, y).requires_grad_()
    coupling = sinkhorn(cost, 0.4, tolerance=1e-10, max_iterations=20_000)
    coupling.value.backward()
    assert torch.allclose(cost.grad, coupling.matrix(), atol=1e-12)


def test_single_precision_in_single_precision_out():
    x, y = points()
    found = transport_points(x.float(), y.float(), 1e-3, tolerance=1e-3, max_iterations=50_000)
    assert found.value.dtype == torch.float32
    assert bool(torch.isfinite(found.value))
    assert isinstance(transport_points(x.numpy(), y.numpy(), 0.5).value, float)


def test_rows_without_weight_change_nothing():
    x, y = points()
    a = torch.full((41,), 1 / 40, dtype=torch.float64)
    a[-1] = 0.0
    far = torch.cat([x, x.new_full((1, 3), 50.0)])
    found = transport_points(far, y, 0.3, a=a, tolerance=1e-9, max_iterations=20_000)
    alone = transport_points(x, y, 0.3, tolerance=1e-9, max_iterations=20_000)
    assert float(found.value) == pytest.approx(float(alone.value), abs=1e-8)
    assert float(found.matrix()[-1].sum()) == 0.0


def test_a_barycentre_is_the_plans_mean_and_tends_to_the_exact_map():
    x, y = points()
    coupling = transport_points(x, y, 1.0)
    plan = coupling.matrix()
    assert torch.allclose(coupling.barycentre(y), plan @ y / plan.sum(1, keepdim=True))
    apart = 10 * x
    target = apart.flip(0) + 1.0
    sharp = transport_points(apart, target, 0.01, tolerance=1e-8, max_iterations=20_000)
    assert torch.allclose(sharp.barycentre(target), apart + 1.0, atol=1e-6)


def test_not_converging_is_said():
    x, y = points()
    with pytest.warns(RuntimeWarning, match="stopped after 5 iterations"):
        coupling = transport_points(x, y, 1e-3, max_iterations=5)
    assert not coupling.converged
    assert coupling.error > 1e-4


def test_a_shift_is_measured_exactly():
    x, _ = points()
    shift = torch.tensor([1.0, 0.8, math.sqrt(0.15)], dtype=torch.float64)
    for epsilon in (0.5, 5.0):
        found = sinkhorn_divergence(x, x + shift, epsilon, tolerance=1e-9, max_iterations=100_000)
        assert float(found) == pytest.approx(1.79, abs=1e-6)


def test_the_divergence_is_a_symmetric_distance():
    x, y = points()
    found = sinkhorn_divergence(x, y, 0.5, cost="euclidean", tolerance=1e-8)
    back = sinkhorn_divergence(y, x, 0.5, cost="euclidean", tolerance=1e-8)
    assert float(found) == pytest.approx(float(back), abs=1e-7)
    assert float(found) > 0
    assert abs(float(sinkhorn_divergence(x, x.clone(), 0.5, tolerance=1e-8))) < 1e-7


def test_a_large_epsilon_leaves_the_energy_distance():
    x, y = points()
    found = float(sinkhorn_divergence(x, y, 1e6, cost="euclidean", tolerance=1e-12))
    means = [float(cost_matrix(*p, "euclidean").mean()) for p in ((x, y), (x, x), (y, y))]
    assert found == pytest.approx(means[0] - means[1] / 2 - means[2] / 2, abs=1e-4)


def test_a_set_against_itself_takes_half_steps_to_the_same_plan():
    x, _ = points()
    half = transport_points(x, x, 0.05, tolerance=1e-10)
    whole = transport_points(x, x.clone(), 0.05, tolerance=1e-4, max_iterations=20_000)
    assert torch.allclose(half.matrix(), whole.matrix(), atol=1e-5)
    assert torch.allclose(half.matrix(), half.matrix().mT, atol=1e-12)
    assert half.iterations * 10 < whole.iterations


def test_the_gap_of_any_map_is_at_least_that_of_the_entropy():
    generator = torch.Generator().manual_seed(0)
    x = 10 * torch.randn(64, 3, generator=generator, dtype=torch.float64)
    identity = float(monge_gap(x, x.clone(), 0.01))
    assert identity == pytest.approx(0.01 * math.log(64), abs=1e-4)
    assert 0.01 * math.log(64) == pytest.approx(0.04158883, abs=1e-8)
    for seed in range(5):
        mapped = torch.randn(64, 3, generator=generator.manual_seed(seed), dtype=torch.float64)
        assert float(monge_gap(x, mapped, 0.01)) >= identity - 1e-4


def test_the_exact_gap_is_zero_for_gradients_of_convex_functions_alone():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 3, generator=generator, dtype=torch.float64)
    matrix = torch.from_numpy(definite(3, 0))
    assert abs(float(monge_gap(x, x @ matrix, 0.0, cost="sqeuclidean"))) < 1e-10
    assert float(monge_gap(x, -x, 0.0, cost="sqeuclidean")) > 5


def test_the_gap_has_a_gradient_that_repairs_a_map():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 2, generator=generator, dtype=torch.float64)
    mapped = x.flip(0).clone().requires_grad_()
    before = monge_gap(x, mapped, 0.05, cost="sqeuclidean")
    (slope,) = torch.autograd.grad(before, mapped)
    before = before.detach()
    after = monge_gap(x, mapped.detach() - 0.5 * slope, 0.05, cost="sqeuclidean")
    assert float(after) < float(before)


def test_a_gap_by_groups_is_the_mean_of_the_groups():
    x, _ = points()
    mapped = x.flip(0)
    groups = np.array([0] * 15 + [1] * 25)
    together = float(monge_gap(x, mapped, 0.1, groups=groups))
    alone = [float(monge_gap(x[groups == k], mapped[groups == k], 0.1)) for k in (0, 1)]
    assert together == pytest.approx(np.mean(alone), abs=1e-10)


def test_exact_transport_in_one_dimension_sorts():
    x, y = points(30, 30, 1)
    found = exact_transport(x, y, cost="euclidean")
    assert float(found.value) == pytest.approx(
        float((x.sort(0).values - y.sort(0).values).abs().mean()), abs=1e-6
    )
    x.requires_grad_()
    exact_transport(x, y, cost="euclidean").value.backward()
    assert torch.allclose(x.grad.abs(), torch.full_like(x, 1 / 30), atol=1e-6)


def test_the_gaussian_map_matrix_agrees_with_scipys_roots():
    left, right = definite(4, 1), definite(4, 2)
    root = sqrtm(left)
    inner = sqrtm(root @ right @ root)
    from axonal.transport import transport_matrix

    theirs = np.linalg.inv(root) @ inner @ np.linalg.inv(root)
    assert np.allclose(transport_matrix(left, right), theirs.real, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x, y: transport_points(x, y, 0.0), "epsilon: expected a positive number"),
        (lambda x, y: transport_points(x, y, "tiny"), "'auto'"),
        (lambda x, y: transport_points(x, y[:, :2], 1.0), "expected points"),
        (lambda x, y: transport_points(x, y, 1.0, cost="manhattan"), "no cost 'manhattan'"),
        (lambda x, y: transport_points(x, y, 1.0, a=torch.ones(40)), "sum to 1"),
        (lambda x, y: transport_points(x, y, 1.0, a=torch.ones(3) / 3), "shape"),
        (lambda x, y: transport_points(x, y, 1.0, block=0), "block is a positive"),
        (lambda x, y: transport_points(x * torch.nan, y, 1.0), "NaN"),
        (lambda x, y: transport_points(x * 0, y, 1.0, cost="cosine"), "no direction"),
        (lambda x, y: transport_points(x * 0, y * 0), "5 % of the mean cost"),
        (lambda x, y: sinkhorn(x[0], 1.0), "expected a matrix"),
        (lambda x, y: monge_gap(x, y, 0.1), "takes each row to one row"),
        (lambda x, y: monge_gap(x, x, 0.1, groups=[1, 2]), "one label for each"),
        (lambda x, y: exact_transport(x[None], y[None]), "one problem"),
        (lambda x, y: exact_transport(x, y, a=torch.ones(40)), "sum to 40"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(*points())


def test_one_point_equal_points_and_a_constant_feature_work():
    x = torch.zeros(1, 2, dtype=torch.float64)
    y = torch.ones(5, 2, dtype=torch.float64)
    assert float(transport_points(x, y, 0.1).value) == pytest.approx(2.0)
    assert float(transport_points(y, y.clone(), 0.1).value) == pytest.approx(0.0, abs=1e-12)
    y.requires_grad_()
    sinkhorn_divergence(y, y.detach() + 1e-3, 0.1, cost="euclidean").backward()
    assert bool(torch.isfinite(y.grad).all())

"""MMD, energy and sliced distances, smooth plans, inverse transport."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest
import torch
from clouds import clouds
from scipy.stats import energy_distance as energy_in_one_dimension

from axonal.errors import InputError
from axonal.transport import (
    cost_matrix,
    energy_distance,
    exact_transport,
    inverse_transport_loss,
    mmd,
    one_sided_plan,
    sliced_wasserstein,
    smooth_transport,
    soft_labels,
    spread_loss,
)


def unit(n: int, d: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return rows / rows.norm(dim=1, keepdim=True)


def test_mmd_is_its_definition_and_zero_on_equal_sets():
    x, y = clouds(3, 30, 25)
    squares = {
        key: cost_matrix(*p) for key, p in {"xx": (x, x), "yy": (y, y), "xy": (x, y)}.items()
    }
    by_hand = np.mean(
        [
            np.exp(-g * squares["xx"]).mean()
            + np.exp(-g * squares["yy"]).mean()
            - 2 * np.exp(-g * squares["xy"]).mean()
            for g in (0.5, 0.1)
        ]
    )
    assert mmd(x, y, (0.5, 0.1)) == pytest.approx(by_hand, abs=1e-12)
    assert mmd(x, x[::-1].copy()) == pytest.approx(0.0, abs=1e-12)


def test_unbiased_mmd_is_zero_in_the_mean_and_biased_is_not():
    rng = np.random.default_rng(0)
    draws = [(rng.normal(size=(20, 2)), rng.normal(size=(20, 2))) for _ in range(300)]
    unbiased = [mmd(x, y, 0.5, biased=False) for x, y in draws]
    biased = [mmd(x, y, 0.5) for x, y in draws]
    assert abs(np.mean(unbiased)) < 3 * np.std(unbiased) / math.sqrt(300)
    assert np.mean(biased) > 0.03


def test_the_energy_distance_in_one_dimension_is_twice_scipys_squared():
    x, y = clouds(1, 30, 25)
    assert energy_distance(x, y) == pytest.approx(
        energy_in_one_dimension(x[:, 0], y[:, 0]) ** 2, rel=1e-5
    )


@pytest.mark.parametrize(("n", "m"), [(30, 30), (30, 21)])
def test_sliced_wasserstein_in_one_dimension_is_exact(n, m):
    x, y = clouds(1, n, m)
    exact = math.sqrt(exact_transport(x, y).value)
    assert sliced_wasserstein(x, y, slices=3) == pytest.approx(exact, rel=1e-9)


def test_sliced_wasserstein_is_bounded_by_the_distance_over_the_root_of_the_dimension():
    x, y = clouds(4, 40, 40)
    bound = math.sqrt(exact_transport(x, y).value / 4)
    assert 0 < sliced_wasserstein(x, y, 5000) <= bound * 1.02
    shifted = sliced_wasserstein(x, x + 2.0, 20_000)
    assert shifted == pytest.approx(2.0, rel=0.02)


def test_gradients_flow_through_every_distance():
    x, y = (torch.from_numpy(rows).requires_grad_() for rows in clouds(3, 20, 15))
    for distance in (mmd, energy_distance, sliced_wasserstein):
        (slope,) = torch.autograd.grad(distance(x, y), x)
        moved = x.detach() - 1e-2 * slope / slope.norm()
        assert float(distance(moved, y).detach()) < float(distance(x, y).detach())


@pytest.mark.parametrize("penalty", [0.5, 5.0])
def test_a_smooth_plan_is_pots(penalty):
    x, y = clouds(3, 20, 15)
    cost = cost_matrix(x, y)
    found = smooth_transport(cost, penalty)
    theirs = ot.smooth.smooth_ot_dual(
        np.full(20, 1 / 20), np.full(15, 1 / 15), cost, penalty, stopThr=1e-15, numItermax=20_000
    )
    assert np.abs(found.plan - theirs).max() < 1e-6
    assert found.gap < 1e-8
    assert (found.plan >= 0).all()
    assert np.allclose(found.plan.sum(1), 1 / 20, atol=1e-10)
    assert np.allclose(found.plan.sum(0), 1 / 15, atol=1e-10)


def test_soft_labels_are_symmetric_probabilities_and_as_diffuse_as_they_should_be():
    rows = unit(32)
    labels = soft_labels(rows @ rows.mT, 5.0)
    assert torch.allclose(labels.sum(1), torch.ones(32, dtype=torch.float64), atol=1e-10)
    assert torch.allclose(labels, labels.mT, atol=1e-10)
    assert bool((labels >= 0).all())
    assert float((labels > 0).double().mean()) == pytest.approx(0.62, abs=0.05)
    assert float(labels.diagonal().mean()) == pytest.approx(0.21, abs=0.02)


def test_soft_labels_tend_to_the_identity_and_to_the_uniform():
    rows = unit(16)
    sharp, flat = soft_labels(rows @ rows.mT, 1e-3), soft_labels(rows @ rows.mT, 1e6)
    assert torch.allclose(sharp, torch.eye(16, dtype=torch.float64), atol=1e-8)
    assert torch.allclose(flat, torch.full_like(flat, 1 / 16), atol=1e-4)


def test_infonce_is_the_divergence_from_the_identity_pairing():
    similarity = unit(24) @ unit(24, seed=1).mT
    plan = one_sided_plan(similarity, 0.05)
    paired = torch.eye(24, dtype=torch.float64) / 24
    kl = float((paired * (paired / plan).log()).nan_to_num(0.0).sum())
    loss = float(inverse_transport_loss(similarity, None, 0.05))
    # KL(I/n || P) = -(1/n) sum log(n P_ii), whose rows sum to 1/n.
    assert loss == pytest.approx(kl, abs=1e-12)


def test_the_gradient_of_the_soft_loss_is_softmax_less_labels():
    similarity = (unit(12) @ unit(12, seed=1).mT).requires_grad_()
    labels = soft_labels(unit(12) @ unit(12).mT, 1.0)
    (slope,) = torch.autograd.grad(inverse_transport_loss(similarity, labels, 0.05), similarity)
    expected = (torch.softmax(similarity / 0.05, dim=1) - labels) / 12 / 0.05
    assert torch.allclose(slope, expected, atol=1e-10)


def test_masked_pairs_get_no_gradient_and_the_loss_stays_finite():
    similarity = unit(6) @ unit(6, seed=1).mT
    masked = similarity.clone().masked_fill_(~torch.eye(6, dtype=torch.bool), -torch.inf)
    masked.requires_grad_()
    loss = inverse_transport_loss(masked)
    (slope,) = torch.autograd.grad(loss, masked)
    assert loss.item() == 0.0
    assert bool((slope == 0).all())


def test_spread_points_lose_less_than_crowded_ones():
    crowded = torch.nn.functional.normalize(unit(8) * 0.05 + unit(1), dim=1)
    assert float(spread_loss(unit(8))) < float(spread_loss(crowded))
    twins = torch.cat([unit(4), unit(4)])
    assert math.isfinite(float(spread_loss(twins)))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x, y: mmd(x, y, -1.0), "gammas: expected positive"),
        (lambda x, y: mmd(x[:1], y, biased=False), "at least two points"),
        (lambda x, y: sliced_wasserstein(x, y, 0), "slices is a positive"),
        (lambda x, y: energy_distance(x, y[:, :2]), "expected points"),
        (lambda x, y: smooth_transport(cost_matrix(x, y), 0.0), "penalty: expected a positive"),
        (lambda x, y: smooth_transport(cost_matrix(x, y), 1.0, a=np.ones(20)), "same mass"),
        (lambda x, y: smooth_transport(cost_matrix(x, y), 1.0, a=np.zeros(20)), "positive weights"),
        (lambda x, y: soft_labels(cost_matrix(x, y)), "square matrix"),
        (lambda x, y: inverse_transport_loss(x, temperature=0.0), "temperature"),
        (lambda x, y: inverse_transport_loss(x), "fewer columns than rows"),
        (lambda x, y: inverse_transport_loss(x * np.nan), "NaN"),
        (lambda x, y: inverse_transport_loss(x.T, labels=x), "labels: expected shape"),
        (lambda x, y: spread_loss(torch.zeros(1, 3)), "at least two rows"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(*clouds(3, 20, 15))

"""What must hold of the objective, the network and the map, whatever the data."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from perturbation_screens import affine, affine_screen, drug_screen

from axonal.cells.perturbation import (
    ConditionalMongeMap,
    ConditionalPerturbationNetwork,
    MongeObjective,
    Treatment,
)
from axonal.transport import exact_transport, monge_gap, sinkhorn_divergence

PARITY = json.loads((Path(__file__).parent / "data" / "cmonge_parity.json").read_text())


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("scale", [1.0, -1.0, 3.0])
def test_gap_of_any_map_is_at_least_epsilon_log_n(scale):
    x = normal(64, 3)
    gap = monge_gap(x, scale * x.flip(0), 0.01, tolerance=1e-4)
    assert float(gap) >= 0.01 * math.log(64) - 1e-9


def test_gap_of_the_identity_is_epsilon_log_n():
    x = normal(64, 3)
    assert float(monge_gap(x, x, 0.01, tolerance=1e-9)) == pytest.approx(0.04158883, abs=1e-4)


def test_symmetric_positive_maps_have_no_gap_and_a_reflection_has_a_large_one():
    x = normal(64, 3)
    root = normal(3, 3, seed=1)
    positive = x @ (root @ root.mT + 0.1 * torch.eye(3, dtype=torch.float64))
    assert float(monge_gap(x, positive, 0, cost="sqeuclidean")) == pytest.approx(0, abs=1e-12)
    moved = (2 * x).square().sum(1).mean()
    assert float(monge_gap(x, -x, 0, cost="sqeuclidean")) > 0.8 * float(moved)


def test_far_translations_have_a_flat_euclidean_gap():
    x = normal(64, 3)
    far = x + torch.tensor([40.0, 0, 0])
    shuffled = far[torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    assert float(monge_gap(x, far, 0)) == pytest.approx(0, abs=1e-9)
    assert float(monge_gap(x, shuffled, 0)) < 0.002 * 40  # so the gap teaches nothing there


def test_divergence_of_a_shift_is_its_square():
    x, shift = normal(80, 3), torch.tensor([1.0, -0.5, 0.735], dtype=torch.float64)
    value = sinkhorn_divergence(x, x + shift, 0.5, cost="sqeuclidean", tolerance=1e-9)
    assert float(value) == pytest.approx(float(shift @ shift), abs=1e-8)


def test_objective_is_the_mean_over_conditions_of_fit_and_gap():
    x, z, y = normal(2, 40, 3), normal(2, 40, 3, seed=1), normal(2, 40, 3, seed=2)
    fit, gap = MongeObjective(tolerance=1e-4)(x, z, y)
    fits = [
        sinkhorn_divergence(a, b, 1.0, cost="euclidean", tolerance=1e-4)
        for a, b in zip(z, y, strict=True)
    ]
    gaps = [monge_gap(a, b, 0.01, tolerance=1e-4) for a, b in zip(x, z, strict=True)]
    assert float(fit) == pytest.approx(float(sum(fits)) / 2, abs=1e-3)
    assert float(gap) == pytest.approx(float(sum(gaps)) / 2, abs=1e-3)
    _, exact = MongeObjective(epsilon_gap=0)(x, z, y)
    assert 0 <= float(exact) <= float(gap)


def test_gradient_of_the_objective_is_that_of_its_converged_value():
    x, y = normal(1, 24, 2), normal(1, 24, 2, seed=1) + 1
    objective = MongeObjective(epsilon_fit=0.5, epsilon_gap=0.1, tolerance=1e-6)

    def value(z: torch.Tensor) -> torch.Tensor:
        fit, gap = objective(x, z, y)
        return fit + gap

    z = (0.8 * x + 0.3).requires_grad_()
    value(z).backward()
    direction = normal(1, 24, 2, seed=3)
    step = 1e-4
    numeric = (value(z.detach() + step * direction) - value(z.detach() - step * direction)) / (
        2 * step
    )
    assert float((z.grad * direction).sum()) == pytest.approx(float(numeric), rel=1e-4)


def test_duplicated_cells_keep_gradients_finite():
    x = normal(1, 8, 3).repeat(1, 4, 1)
    z = x.clone().requires_grad_()
    fit, gap = MongeObjective()(x, z, x + 1)
    (fit + gap).backward()
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("n", [1, 5, 33])
def test_sets_of_different_sizes_one_cell_and_constant_features_work(n):
    z = normal(1, n, 3)
    z[..., 2] = 1.0
    fit, _ = MongeObjective()(z, z, normal(1, 20, 3, seed=1))
    assert math.isfinite(float(fit))


def test_in_one_dimension_the_distance_is_that_of_sorted_cells():
    x, y = normal(50, 1), normal(50, 1, seed=1)
    sorted_cost = (x.sort(0).values - y.sort(0).values).abs().mean()
    assert float(exact_transport(x, y, cost="euclidean").value) == pytest.approx(
        float(sorted_cost), abs=1e-9
    )


def test_published_configuration_has_the_published_size():
    network = ConditionalPerturbationNetwork(50, ((0, 194), (0, 195)))
    assert sum(tensor.numel() for tensor in network.parameters()) == 32_204


@pytest.mark.parametrize("case", PARITY["networks"], ids=lambda case: case["pooling"])
def test_network_equals_the_official_one(case):
    pooled = case["pooling"] != "none"
    slices = ((0, 4),) if pooled else ((0, 4), (0, 5))
    network = ConditionalPerturbationNetwork(
        6, slices, (5,) if pooled else (5, 1), (8, 8), pooling=case["pooling"], layer_norm=True
    ).double()
    layers = [*network.embed, *network.hidden, network.out]
    named = {f"Dense_{i}": layer for i, layer in enumerate(layers)} | {"LayerNorm_0": network.norm}
    if case["pooling"] == "attention":
        named |= {"AttentionScores": network.scores, "AttentionOutput": network.project}
    with torch.no_grad():
        for k, (name, shape) in enumerate(zip(case["order"], case["shapes"], strict=True)):
            layer, what = name.split(".")
            value = np.sin(np.arange(math.prod(shape)) * 0.7 + k + 1).reshape(shape) * 0.5
            parameter = named[layer].bias if what == "bias" else named[layer].weight
            parameter.copy_(torch.from_numpy(value.T if what == "kernel" else value))
    x = torch.tensor(case["x"], dtype=torch.float64)[:, None]
    context = torch.tensor(case["c"], dtype=torch.float64).reshape(2, 3 if pooled else 1, -1)
    out = network.eval()(x, context)[:, 0]
    assert torch.allclose(out, torch.tensor(case["out"], dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_sets_of_drugs_have_no_order_and_padding_does_not_count(pooling):
    torch.manual_seed(0)
    network = ConditionalPerturbationNetwork(4, ((0, 3),), (6,), (8,), pooling=pooling).eval()
    x, tokens = torch.randn(1, 5, 4), torch.randn(1, 3, 3)
    padded = torch.cat([tokens, torch.randn(1, 2, 3)], dim=1)
    present = torch.tensor([[True, True, True, False, False]])
    assert torch.allclose(network(x, tokens), network(x, tokens.flip(1)), atol=1e-6)
    assert torch.allclose(network(x, tokens), network(x, padded, present), atol=1e-6)


def test_without_output_weights_the_map_is_the_identity():
    network = ConditionalPerturbationNetwork(4, ((0, 2),), (3,), (8,))
    torch.nn.init.zeros_(network.out.weight)
    x = torch.randn(2, 7, 4)
    assert torch.equal(network(x, torch.randn(2, 1, 2)), x)


def test_permuted_cells_are_predicted_permuted():
    adata = drug_screen()
    model = ConditionalMongeMap(steps=2, batch_size=16).fit(
        adata, dose_key="dose", context="learned"
    )
    order = np.random.default_rng(0).permutation(adata.n_obs)
    straight = model.predict(adata, "a", dose=1.0)
    shuffled = model.predict(adata[order], "a", dose=1.0)
    assert np.allclose(straight.X[order], shuffled.X, atol=1e-6)
    assert list(shuffled.obs_names) == list(adata.obs_names[order])


def test_known_affine_family_is_recovered_at_doses_that_were_held_out():
    adata = affine_screen((0.5, 1.0, 1.5, 2.5, 3.0, 3.5), 200)
    model = ConditionalMongeMap(
        (32, 32),
        steps=300,
        batch_size=96,
        conditions_per_step=3,
        learning_rate=5e-3,
        epsilon_gap=0,
        cost="sqeuclidean",
    )
    model.fit(adata, dose_key="dose", dose_scale="linear")
    x = np.random.default_rng(1).normal(size=(300, 3))
    truth = affine(x, 2.0, np.linspace(1.0, -0.5, 3))
    predicted = model.transport(x, Treatment(("drug",), 2.0))
    mean_error = np.linalg.norm(predicted.mean(0) - truth.mean(0)) / np.linalg.norm(
        truth.mean(0) - x.mean(0)
    )
    error = (
        np.linalg.norm(predicted - truth, axis=1).mean() / np.linalg.norm(truth - x, axis=1).mean()
    )
    assert mean_error < 0.05
    assert error < 0.12  # cell by cell, which the loss never sees

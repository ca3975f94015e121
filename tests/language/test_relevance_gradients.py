"""Integrated gradients are complete where their path and quadrature are."""

from __future__ import annotations

import numpy as np
import pytest
from relevance_models import build, build_exact, random_pairs
from test_relevance_patching import linear_gpt2

from axonal.errors import InputError
from axonal.language.relevance import (
    activation_patching,
    attribution_patching,
    input_integrated_gradients,
    integrated_gradients,
)
from axonal.language.relevance.gradients import quadrature

pytestmark = pytest.mark.filterwarnings("ignore:The model fails this task")

ALL = ("residual_pre", "attention", "mlp", "heads", "neurons")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_position_by_position_and_with_enough_nodes_they_equal_activation_patching(family):
    model, pairs = build_exact(family), random_pairs()
    exact = activation_patching(model, pairs)
    fine = integrated_gradients(model, pairs, steps=64, rule="gauss-legendre", path="position")
    for kind in exact:
        np.testing.assert_allclose(fine[kind], exact[kind], atol=1e-10)


def test_the_left_sum_of_ten_steps_does_not():
    model, pairs = build_exact("llama"), random_pairs()
    exact = activation_patching(model, pairs, kinds=["mlp"])["mlp"]
    coarse = integrated_gradients(
        model, pairs, steps=10, rule="left", path="position", kinds=["mlp"]
    )
    assert float(abs(coarse["mlp"] - exact).max()) > 1e-4


def test_walked_by_layer_the_scores_of_a_component_sum_to_patching_all_its_positions():
    """The stream into block 0 carries the whole difference, so its scores sum to 1."""
    model, pairs = build_exact("llama"), random_pairs()
    scores = integrated_gradients(
        model, pairs, steps=64, rule="gauss-legendre", kinds=["residual_pre"]
    )
    total = scores["residual_pre"].sum("position").mean("pair")
    np.testing.assert_allclose(total, 1, atol=1e-10)


def test_of_the_input_the_embeddings_scores_sum_to_the_whole_difference():
    model, pairs = build_exact("gpt2"), random_pairs()
    scores = input_integrated_gradients(
        model, pairs, steps=64, rule="gauss-legendre", kinds=["residual_pre"], layers=[0]
    )
    np.testing.assert_allclose(scores["residual_pre"].sum("position").mean("pair"), 1, atol=1e-10)


def test_one_left_step_is_attribution_patching():
    model, pairs = build_exact("qwen2"), random_pairs()
    gradient = attribution_patching(model, pairs, kinds=ALL)
    for method in (integrated_gradients, input_integrated_gradients):
        one = method(model, pairs, steps=1, rule="left", kinds=ALL)
        for kind in ALL:
            np.testing.assert_allclose(one[kind], gradient[kind], atol=1e-12)


def test_in_a_linear_network_any_number_of_steps_is_exact():
    model, pairs = linear_gpt2(), random_pairs()
    exact = activation_patching(model, pairs, kinds=ALL)
    for method in (integrated_gradients, input_integrated_gradients):
        for kind, score in method(model, pairs, steps=2, kinds=ALL).items():
            np.testing.assert_allclose(score, exact[kind], atol=1e-10)


def test_splitting_the_copies_changes_nothing():
    model, pairs = build_exact("llama"), random_pairs()
    whole = integrated_gradients(model, pairs, steps=4)
    split = integrated_gradients(model, pairs, steps=4, copies=5)
    for kind in whole:
        np.testing.assert_allclose(whole[kind], split[kind], atol=1e-12)


@pytest.mark.parametrize("rule", ["left", "midpoint", "right", "gauss-legendre"])
def test_quadrature_weights_sum_to_one(rule):
    points, weights = quadrature(7, rule)
    assert sum(weights) == pytest.approx(1)
    assert all(0 <= point <= 1 for point in points)


def test_midpoints_integrate_lines_and_gauss_legendre_polynomials():
    points, weights = quadrature(3, "midpoint")
    assert np.dot(weights, points) == pytest.approx(0.5)
    points, weights = quadrature(3, "gauss-legendre")
    assert np.dot(weights, np.array(points) ** 5) == pytest.approx(1 / 6)


def test_steps_rules_and_paths_that_do_not_exist_are_refused():
    model, pairs = build("llama"), random_pairs()
    with pytest.raises(InputError, match="steps must be 1 or more"):
        integrated_gradients(model, pairs, steps=0)
    with pytest.raises(InputError, match="did you mean midpoint"):
        input_integrated_gradients(model, pairs, rule="midpoints")
    with pytest.raises(InputError, match="path must be"):
        integrated_gradients(model, pairs, path="neuron")

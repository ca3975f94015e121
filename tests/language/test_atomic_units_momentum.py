"""Counting signs: exact, free of scale, the same in any batches; what chance alone scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from unit_models import SITES, fresh, normal, random_momentum, some_pairs

from axonal.language.atomic_units import (
    Momentum,
    expected_best_score,
    expected_score,
    measure,
    measure_sites,
    score_law,
    select,
)
from axonal.language.atomic_units.organism import Organism
from axonal.language.atomic_units.ranking import ranking
from steering_models import tiny

COUNTS = ("positive", "negative")


def test_the_rates_and_the_share_of_zeros_sum_to_one():
    good, bad = normal(60, 2, 50)
    bad[:, :, ::3] = torch.where(torch.rand(60, 2, 17) < 0.5, good[:, :, ::3], bad[:, :, ::3])
    momentum = Momentum.of(good, bad)
    zeros = (good == bad).sum(0)
    assert torch.equal(momentum.positive + momentum.negative + zeros, torch.full((2, 50), 60))
    assert bool((momentum.score[zeros == 0] >= 0.5).all())


def test_swapping_good_and_bad_swaps_the_rates_and_flips_every_gain():
    good, bad = normal(61, 3, 40)  # an odd number: no ties
    one, other = Momentum.of(good, bad), Momentum.of(bad, good)
    assert torch.equal(one.positive, other.negative)
    assert torch.equal(one.negative, other.positive)
    gains = select(one, 20, 0.5).gain
    assert torch.equal(gains, -select(other, 20, 0.5).gain)


def test_rescaling_units_changes_nothing_bit_for_bit():
    good, bad = normal(50, 3, 40)
    factors = 2.0 ** torch.randint(-10, 10, (3, 40), generator=torch.Generator().manual_seed(1))
    one = select(Momentum.of(good, bad), 30, 0.7)
    other = select(Momentum.of(good * factors, bad * factors), 30, 0.7)
    for name in ("layer", "unit", "gain", "positive_rate", "negative_rate"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_any_increasing_map_of_a_unit_leaves_the_rates():
    good, bad = normal(50, 3, 40)
    bent = [x**3 + x.exp() for x in (good, bad)]
    one, other = Momentum.of(good, bad), Momentum.of(*bent)
    assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in COUNTS)


def test_streamed_counts_are_those_in_memory_in_any_order():
    good, bad = normal(53, 3, 40)
    whole = Momentum.of(good, bad)
    order = torch.randperm(53, generator=torch.Generator().manual_seed(2))
    for size in (1, 7, 50):
        parts = [Momentum.of(good[rows], bad[rows]) for rows in order.split(size)]
        total = sum(parts[1:], start=parts[0])
        assert total.pairs == 53
        for name in COUNTS:
            assert torch.equal(getattr(total, name), getattr(whole, name))
        for name in ("difference", "difference_square", "power"):
            torch.testing.assert_close(getattr(total, name), getattr(whole, name))


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_a_model_gives_the_same_counts_in_any_batches_and_padding(family):
    model = fresh(family, torch.float64)
    pairs = some_pairs()
    one = measure_sites(model, pairs, SITES, batch_size=1)
    for size in (3, 24):
        other = measure_sites(model, pairs, SITES, batch_size=size)
        for site in SITES:
            for name in COUNTS:
                assert torch.equal(getattr(one[site], name), getattr(other[site], name)), site
    turned = measure(model, pairs[list(range(23, -1, -1))], "attention", batch_size=5)
    assert torch.equal(turned.positive, one["attention"].positive)


def test_widths_are_the_modules_own_and_not_the_hidden_size():
    found = measure_sites(tiny("qwen3"), some_pairs(), SITES)
    assert {site: found[site].width for site in SITES} == {
        "attention": 4 * 12,  # heads x head_dim: not the hidden size, and not the key-value heads
        "mlp_out": 32,
        "down_proj_in": 48,
        "layer": 32,
    }
    assert found["attention"].heads == 4
    units = select(found["attention"], 5, 1.0, warn=False)
    assert torch.equal(units.head, units.unit // 12)


def test_comparing_rounded_activations_makes_more_ties():
    exact = measure(tiny(), some_pairs(), "layer")
    rounded = measure(tiny(), some_pairs(), "layer", compare_as=torch.float16)
    assert int((rounded.positive + rounded.negative).sum()) <= int(
        (exact.positive + exact.negative).sum()
    )


def test_activations_at_the_prompt_need_prompts_that_differ():
    pairs = some_pairs()
    other = type(pairs).of(
        pairs.prompts, pairs.positives, pairs.positives, [f"a {text}" for text in pairs.prompts]
    )
    found = measure(tiny(), other, "layer", position="prompt")
    assert found.pairs == 24
    assert float(found.score.max()) > 0.5


# What chance gives


def test_the_mean_score_of_ten_coin_tosses_is_known_exactly():
    assert expected_score(10) == 0.623046875
    scores, probabilities = score_law(10)
    assert probabilities.sum() == pytest.approx(1, abs=1e-15)
    assert scores.tolist() == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_the_best_score_of_noise_is_what_noise_gives():
    assert expected_best_score(1, 1) == 1
    assert expected_best_score(20, 17_280) == pytest.approx(0.93, abs=0.005)
    assert expected_best_score(200, 17_280) == pytest.approx(0.65, abs=0.005)
    rng = np.random.default_rng(0)
    heads = rng.binomial(40, 0.5, (3000, 100))
    best = np.maximum(heads, 40 - heads).max(axis=1) / 40
    error = best.std() / np.sqrt(3000)
    assert abs(best.mean() - expected_best_score(40, 100)) < 4 * error


# Ranking


def test_equal_scores_keep_the_order_of_layers_and_then_of_units():
    values = torch.tensor([[0.5, 0.9, 0.5], [0.9, 0.5, 0.7]])
    assert ranking(values).tolist() == [1, 3, 5, 0, 2, 4]


def test_many_equal_scores_keep_their_order_too():
    order = ranking(torch.full((30, 576), 0.7))
    assert torch.equal(order, torch.arange(30 * 576))


def test_the_best_units_are_nested_in_their_number():
    momentum = random_momentum(pairs=10)  # many ties
    chosen = [select(momentum, k, 1.0, warn=False) for k in range(20)]
    for fewer, more in pairwise(chosen):
        assert torch.equal(more[: len(fewer)].layer, fewer.layer)
        assert torch.equal(more[: len(fewer)].unit, fewer.unit)


def test_at_a_tie_the_code_promotes_and_the_formula_holds_back():
    good = torch.tensor([[[1.0]], [[0.0]]])
    momentum = Momentum.of(good, 1 - good)
    assert select(momentum, 1, 2.0, warn=False).gain.tolist() == [1.0]
    assert select(momentum, 1, 2.0, tie="paper", warn=False).gain.tolist() == [-1.0]
    with pytest.warns(UserWarning, match="their sign is a convention"):
        select(momentum, 1, 2.0)


# The organism


def test_planted_units_are_found_without_a_mistake():
    found = Organism.grow(layers=10, units=1000, planted=50, pairs=200, consistency=0.95)
    momentum = Momentum.of(found.good, found.bad)
    chosen = ranking(momentum.score)[:50]
    assert found.precision(chosen) == 1
    signs = momentum.positive.flatten()[found.planted] > momentum.negative.flatten()[found.planted]
    assert torch.equal(signs, found.sign > 0)


def test_scales_that_grow_over_layers_mislead_the_difference_and_not_the_momentum():
    for growth in (1.0, 100.0):
        found = Organism.grow(growth=growth, layers=6, units=300, planted=30)
        momentum = Momentum.of(*(found.activations(x) for x in (found.good, found.bad)))
        assert found.precision(ranking(momentum.score)[:30]) == 1
    assert found.precision(ranking(momentum.mean_difference.abs())[:30]) < 0.5


def test_the_scale_of_an_organisms_layers_leaves_its_function():
    small, large = (Organism.grow(growth=growth, seed=3) for growth in (1.0, 100.0))
    torch.testing.assert_close(small.model(small.good), large.model(small.good))

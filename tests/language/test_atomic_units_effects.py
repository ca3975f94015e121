"""What units do: measured and first-order effects, token laws, the rivals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from unit_models import fresh, random_momentum, some_choices, some_pairs

from axonal.activations import ScaleUnits
from axonal.language.atomic_units import (
    KeptRun,
    gain_effects,
    logit_gaps,
    measure,
    nearest_answers,
    single_unit_sweep,
    token_laws,
    unit_site,
)
from axonal.language.atomic_units import baselines as rivals
from axonal.language.atomic_units.organism import Organism
from axonal.language.atomic_units.sentences import MiniLM
from axonal.language.atomic_units.token_law import laws_of
from steering_models import tiny


@pytest.mark.parametrize("site", ["attention", "down_proj_in"])
def test_first_order_effects_are_the_derivatives_of_the_gap(site):
    language_model = fresh(dtype=torch.float64)
    choices = some_choices(language_model)
    effects = gain_effects(language_model, choices, site, batch_size=10)
    for layer, unit in ((0, 3), (1, 17), (2, 30)):
        place = unit_site(language_model.model, site, layer)
        up, down = (
            logit_gaps(language_model, choices, {place: ScaleUnits([unit], gain)}).double().mean()
            for gain in (0.02, -0.02)
        )
        assert float(effects[layer, unit]) == pytest.approx(
            float(up - down) / 0.04, rel=2e-2, abs=2e-5
        )


def test_units_are_swept_one_by_one():
    language_model = tiny()
    kept = KeptRun(language_model, some_choices(language_model))
    found = single_unit_sweep(kept, "attention", [(1, 2), (2, 9)], [-1.0, 5.0])
    place = unit_site(language_model.model, "attention", 2)
    alone = logit_gaps(language_model, kept.choices, {place: ScaleUnits([9], 5.0)})
    assert float(found["gap"][1, 1]) == pytest.approx(float(alone.mean()), abs=1e-5)
    assert found["layer"].values.tolist() == [1, 2]


# Token laws


def test_in_the_organism_a_units_law_converges_and_laws_part():
    found = Organism.grow(layers=3, units=40, planted=12, pairs=4)
    batch = {"inputs": found.good}
    places = [(found.model.site(layer), unit) for layer in range(3) for unit in range(20)]
    laws = laws_of(found.model, [batch], places)
    own, across = laws.self_divergence(), laws.cross_divergence()
    falls = (own[:, 1:] <= own[:, :-1]).all(1)
    assert float(falls.double().mean()) >= 0.95
    assert bool((own[:, -1] == 0).all())
    assert across.shape == (60 * 59 // 2, 5)
    assert bool((across.mean(0).diff() > 0).all())


def test_laws_of_a_model_are_probabilities():
    laws = token_laws(tiny(), ["the film was", "a book"], "attention", [(0, 1), (2, 5)], [1, 100])
    total = laws.log_probabilities.exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(2, 2, 2, dtype=torch.float64))


# Rivals


def test_rivals_move_the_units_that_they_say():
    momentum = random_momentum(pairs=41)
    momentum = type(momentum)(**{**vars(momentum), "heads": 4, "site": "attention"})
    rng = np.random.default_rng(0)
    flat = momentum.mean_difference.abs().flatten()
    largest = rivals.activation_difference(momentum, 5, 1.0)
    assert set((largest.layer * 32 + largest.unit).tolist()) == set(flat.topk(5).indices.tolist())
    assert len(rivals.random_units(momentum, 9, 1.0, rng)) == 9
    assert len(rivals.all_units(momentum, 1.0)) == 96
    assert bool((rivals.promotion(momentum, 6, 1.0).gain > 0).all())
    assert bool((rivals.suppression(momentum, 6, 1.0).gain < 0).all())
    assert set(rivals.fixed_strength(momentum, 6, 3.0).gain.abs().tolist()) == {3.0}
    vector = rivals.fixed_vector(momentum, 6, 2.0)
    assert len(vector) == 6
    chosen = vector.vectors != 0
    torch.testing.assert_close(vector.vectors[chosen], 2 * momentum.mean_difference[chosen])
    assert len(rivals.mean_shift(momentum, 1, 1.0)) == 32
    assert len(rivals.head_shift(momentum, 3, 1.0)) == 3 * 8
    scaled = rivals.head_scaling(momentum, 2, 1.5)
    assert len(scaled) == 2 * 8
    assert len(set(zip(scaled.layer.tolist(), (scaled.unit // 8).tolist(), strict=True))) == 2
    assert len(rivals.one_head(momentum, 2, 1, 1.0)) == 8
    ordered = rivals.given_order(momentum, -momentum.score, 4, 1.0)
    assert bool((ordered.gain < 0).all())


def test_a_mean_shift_adds_the_mean_difference():
    language_model = tiny()
    momentum = measure(language_model, some_pairs(), "layer")
    edits = rivals.mean_shift(momentum, 1, 2.0).edits(language_model.model)
    ((site, add),) = edits.items()
    assert site == unit_site(language_model.model, "layer", 1)
    x = torch.zeros(1, 1, 32)
    torch.testing.assert_close(
        add(x)[0, 0].double(), 2 * momentum.mean_difference[1], atol=1e-6, rtol=1e-5
    )


# The nearest other answer


def test_the_wrong_answer_is_the_most_similar_other_one():
    vectors = {"red": [1, 0], "pink": [0.9, 0.436], "blue": [0, 1]}
    with pytest.warns(UserWarning, match="only 4 pairs"):
        pairs = nearest_answers(
            ["a", "b", "c", "d"],
            ["red", "pink", "blue", "red"],
            lambda texts: np.array([vectors[text] for text in texts]),
        )
    assert pairs.negatives == ("pink", "red", "pink", "pink")


def test_sentence_vectors_have_length_one_whatever_the_padding():
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=97,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    encoder = MiniLM(transformers.BertModel(config).eval(), tiny().tokenizer)
    texts = ["the film was good", "a", "the book"]
    together, alone = encoder(texts), np.concatenate([encoder([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)

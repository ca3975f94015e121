"""Setting single scalars: exactly those, to what was asked, and what it does to the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from massive_models import Plain, gpt2, tokens

from axonal.activations import Sites, record
from axonal.errors import InputError
from axonal.learning.massive import causal_check, intervene, next_token_loss, values_at
from axonal.learning.massive.causal import median_places


def stream(model, ids, layer):
    return next(iter(record(model, ids, [Sites.of(model).residual(layer - 1)]).values()))


def test_putting_back_the_value_that_is_there_changes_no_bit():
    model, ids = gpt2(), tokens(1, 12)
    before = model(ids).logits
    value = float(values_at(model, ids, 2, [(3, 7)]))
    with intervene(model, 2, [(3, 7)], value):
        after = model(ids).logits
    assert torch.equal(before, after)


def test_only_the_named_scalars_are_set():
    model, ids = gpt2(), tokens(2, 12)
    clean = stream(model, ids, 2)
    with intervene(model, 2, [(0, 5), (4, 9)], [2.5, -1.0]):
        set_to = stream(model, ids, 2)
    assert torch.all(set_to[:, 0, 5] == 2.5)
    assert torch.all(set_to[:, 4, 9] == -1.0)
    changed = (clean != set_to).nonzero()[:, 1:].unique(dim=0).tolist()
    assert changed == [[0, 5], [4, 9]]
    assert torch.equal(stream(model, ids, 2), clean)


def test_the_mean_is_taken_over_the_texts_given():
    model, ids = gpt2(), tokens(5, 12)
    values = values_at(model, ids, 1, [(2, 3)])
    torch.testing.assert_close(values[:, 0], stream(model, ids, 1)[:, 2, 3])
    with intervene(model, 1, [(2, 3)], "mean", values=values):
        assert stream(model, ids, 1)[0, 2, 3] == pytest.approx(float(values.mean()))


def test_a_scalar_that_carries_the_model_is_found_to_be_needed():
    model, ids = gpt2(width=32), tokens(4, 20)
    with torch.no_grad():  # block 2 writes a constant that its successor's norm lives on
        model.transformer.h[1].mlp.c_proj.bias[11] = 500.0
    places = [(token, 11) for token in range(20)]
    table = causal_check(model, ids, 2, places)
    loss = table.groupby("condition")["loss"].mean()
    assert loss["mean"] == pytest.approx(loss["none"], abs=1e-3)
    assert abs(loss["zero"] - loss["none"]) > 10 * abs(loss["mean"] - loss["none"])
    assert loss["control"] == pytest.approx(loss["none"], abs=0.05)
    np.testing.assert_allclose(np.exp(table["loss"]), table["perplexity"])


def test_the_control_is_of_median_size():
    model, ids = gpt2(), tokens(1, 30)
    places = median_places(model, ids, 2, 5, seed=3)
    x = stream(model, ids, 2)[0].abs()
    assert len(set(places)) == 5
    for token, channel in places:
        assert float(x[token, channel]) == pytest.approx(float(x.median()), rel=0.2)
    assert places == median_places(model, ids, 2, 5, seed=3)


def test_the_loss_is_that_of_the_next_token_for_any_decoder():
    model, ids = Plain().eval(), tokens(2, 9)
    with torch.no_grad():
        logits = model(ids)[:, :-1]
    expected = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), ids[:, 1:], reduction="none"
    ).mean(1)
    torch.testing.assert_close(next_token_loss(model, ids), expected.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "where", "value", "words"),
    [
        (9, [(0, 0)], "zero", "layer: expected 1 to 3"),
        (1, [], "zero", "at least one pair"),
        (1, [(0, -1)], "zero", "from 0 on"),
        (1, [5], "zero", "expected pairs"),
        (1, [(0, 0)], "median", 'expected "zero", "mean" or numbers'),
        (1, [(0, 0)], "mean", "needs values="),
        (1, [(0, 0)], [1.0, 2.0], "expected 1 numbers"),
        (1, [(0, 64)], "zero", "no unit 64"),
    ],
)
def test_what_cannot_be_set_is_refused(layer, where, value, words):
    model = gpt2()
    with pytest.raises(InputError, match=words), intervene(model, layer, where, value):
        model(tokens(1, 8))


def test_places_beyond_the_texts_are_refused():
    with pytest.raises(InputError, match="token 20 lies beyond the 8 tokens"):
        values_at(gpt2(), tokens(1, 8), 1, [(20, 0)])
    with pytest.raises(InputError, match="64 channels"):
        values_at(gpt2(), tokens(1, 8), 1, [(0, 64)])

"""Statistics of layers: what they are invariant to, what they see, what they refuse."""

from __future__ import annotations

import gc
import math
from typing import ClassVar

import numpy as np
import pytest
import torch
import transformers
from massive_models import Plain, gpt2, tokens
from torch import nn

from axonal.activations import Site
from axonal.errors import AxonalError, InputError
from axonal.learning.massive import (
    aggregate,
    block_sites,
    is_massive,
    layer_statistics,
    null_ratio,
    sink_rate,
    sink_statistics,
    with_first_token,
)
from axonal.learning.massive.blocks import check_vocabulary
from axonal.learning.massive.layers import statistics_of
from axonal.learning.massive.sinks import importance_of
from model_families import FAMILIES, VOCABULARY

# What the ratio is


def test_the_ratio_is_invariant_to_scale_and_order():
    x = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
    base = statistics_of(x)
    for moved in (x * -3.7, x[torch.randperm(30)], x[:, torch.randperm(20)]):
        assert statistics_of(moved)["ratio"] == pytest.approx(base["ratio"], rel=1e-6)
    assert base["top1"] >= base["top2"] >= base["top3"] >= base["median"]


def test_place_and_sign_of_the_largest_are_told():
    x = torch.full((5, 7), 0.5)
    x[3, 2] = -40
    found = statistics_of(x)
    assert (found["token"], found["channel"], found["value"]) == (3, 2, -40)
    assert found["ratio"] == 80


@pytest.mark.parametrize("count", [6, 7, 1000])
def test_the_median_is_the_lower_of_the_two_in_the_middle(count):
    x = torch.randn(1, count, generator=torch.Generator().manual_seed(count))
    assert statistics_of(x, k=1)["median"] == pytest.approx(float(x.abs().median()))


def test_gaussian_numbers_have_the_null_ratio():
    rng = np.random.default_rng(0)
    ratios = [
        statistics_of(torch.from_numpy(rng.standard_normal((128, 64))))["ratio"] for _ in range(200)
    ]
    assert np.mean(ratios) == pytest.approx(5.888, rel=0.03)
    assert null_ratio(8192) == pytest.approx(5.888, abs=1e-3)
    assert null_ratio(131_072) == pytest.approx(6.806, abs=1e-3)
    assert null_ratio(1_048_576) == pytest.approx(7.424, abs=1e-3)
    assert null_ratio(2) == pytest.approx((2 / math.sqrt(math.pi)) / 0.6744898, rel=1e-6)


def test_an_untrained_model_is_at_the_null_in_every_layer():
    series = aggregate(layer_statistics(gpt2(), tokens()))
    assert np.all(np.abs(series["over_null"] - 1) < 0.3)
    assert not series["above_null"].any()


def test_massive_is_large_and_a_thousand_medians():
    assert is_massive(-2000, 1.9)
    assert not is_massive(2000, 2.1)
    assert not is_massive(99, 0.01)


# Any decoder


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_layers_are_what_hidden_states_hold_but_for_the_last(name):
    kind, sizes = FAMILIES[name]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(
        kind(vocab_size=VOCABULARY, pad_token_id=0, **sizes)
    )
    ids = torch.arange(12)[None] % VOCABULARY
    table = layer_statistics(model, ids, embeddings=True)
    with torch.no_grad():
        states = model.eval()(ids, output_hidden_states=True).hidden_states
    for layer, state in enumerate(states[:-1]):
        row = table[table["layer"] == layer].iloc[0]
        assert row["top1"] == pytest.approx(float(state.abs().max()), rel=1e-5)
    last = float(states[-1].abs().max())  # after the final norm
    assert table["top1"].iloc[-1] != pytest.approx(last, rel=1e-3)


def test_a_decoder_of_ones_own_is_read_too():
    model = Plain().train()
    table = layer_statistics(model, tokens(2, 10))
    assert table["layer"].tolist() == [1, 2, 3] * 2
    assert model.training
    assert model.blocks[0].dropout.training
    again = layer_statistics(model, tokens(2, 10), sites=[Site("blocks.1"), Site("blocks.2")])
    np.testing.assert_allclose(again["ratio"], table[table["layer"] > 1]["ratio"])


def test_sequences_do_not_depend_on_their_batch():
    model, ids = gpt2(), tokens(3, 20)
    one, all_at_once = (layer_statistics(model, ids, batch_size=size) for size in (1, 3))
    np.testing.assert_allclose(one["ratio"], all_at_once["ratio"], rtol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_counts_nowhere(side):
    model, ids = gpt2(), tokens(1, 12)
    filler = torch.zeros(1, 5, dtype=torch.long)
    parts = [filler, ids] if side == "left" else [ids, filler]
    mask = torch.cat([torch.zeros_like(filler), torch.ones_like(ids)], 1)
    padded = torch.cat(parts, 1)
    mask = mask if side == "left" else mask.flip(1)
    expected, found = layer_statistics(model, ids), layer_statistics(model, padded, mask)
    np.testing.assert_allclose(found["ratio"], expected["ratio"], rtol=1e-4)
    assert found["token"].tolist() == expected["token"].tolist()
    assert found["token_id"].tolist() == expected["token_id"].tolist()


def test_what_follows_the_blocks_is_not_run_and_no_hook_is_left():
    model = gpt2()
    ran = []
    model.lm_head.register_forward_hook(lambda *_: ran.append(1))
    layer_statistics(model, tokens(1, 8))
    assert not ran
    assert not any(block._forward_hooks for block in model.transformer.h)


class Counting(nn.Module):
    """A block that makes a new stream and counts how many streams are alive."""

    alive: ClassVar[list[int]] = []

    def forward(self, x):
        alive = [o for o in gc.get_objects() if type(o) is torch.Tensor and o.shape == x.shape]
        self.alive.append(len(alive))
        return x * 1.01


@pytest.mark.parametrize("layers", [2, 12])
def test_one_layers_activations_are_alive_at_a_time(layers):
    model = Plain(layers=1)
    model.blocks = nn.ModuleList(Counting() for _ in range(layers))
    Counting.alive.clear()
    layer_statistics(model, tokens(1, 50))
    assert len(Counting.alive) == layers
    assert max(Counting.alive) <= 3


def test_a_first_token_may_be_put_before_every_sequence():
    ids = with_first_token([[5, 6], [7, 8]], 0)
    assert ids.tolist() == [[0, 5, 6], [0, 7, 8]]


# Over sequences


def test_both_averages_are_as_written():
    table = layer_statistics(gpt2(), tokens(5, 30))
    one = table[table["layer"] == 2]
    means, ratios = (aggregate(table, how) for how in ("ratio_of_means", "mean_of_ratios"))
    assert means["ratio"][1] == pytest.approx(one["top1"].mean() / one["median"].mean())
    assert ratios["ratio"][1] == pytest.approx(one["ratio"].mean())
    assert ratios["sem"][1] == pytest.approx(one["ratio"].sem())
    assert ratios["cv"][1] == pytest.approx(one["ratio"].std() / one["ratio"].mean())
    with pytest.raises(InputError, match="no aggregate 'mean'"):
        aggregate(table, "mean")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"lacks .*top1"):
        aggregate(table.drop(columns="top1"))


# Sinks


def test_importance_averages_over_the_queries_that_can_see_a_token():
    uniform = torch.ones(4, 4).tril() / torch.arange(1, 5)[:, None]
    np.testing.assert_allclose(importance_of(uniform[None])[0, 0], (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    all_on_first = torch.zeros(1, 4, 4)
    all_on_first[..., 0] = 1
    np.testing.assert_allclose(importance_of(all_on_first)[0], [1, 0, 0, 0])


def test_sinks_are_read_from_attention_and_the_model_is_put_back():
    model, ids = gpt2(), tokens(2, 16)
    before = model.config._attn_implementation
    table = sink_statistics(model, ids)
    assert len(table) == 12
    assert model.config._attn_implementation == before
    model.set_attn_implementation("eager")
    weights = model(ids, output_attentions=True).attentions[1].mean(0)
    np.testing.assert_allclose(
        table[table["layer"] == 2]["importance"], importance_of(weights)[:, 0].detach(), rtol=1e-4
    )
    assert 0 <= sink_rate(table) <= 1


def test_sinks_need_weights_and_a_token_that_is_there():
    with pytest.raises(InputError, match="name its attention modules"):
        sink_statistics(Plain(), tokens(1, 8))
    with pytest.raises(AxonalError, match="returns no weights"):
        sink_statistics(Plain(), tokens(1, 8), attention=["blocks.0"])
    with pytest.raises(InputError, match="token: expected a position below 8"):
        sink_statistics(gpt2(), tokens(1, 8), token=8)


# What is refused


def test_bad_tokens_are_refused():
    model = gpt2()
    for ids, words in [
        (torch.ones(2, 3), "expected integers"),
        ([[1, 2], [3]], "expected integers"),
        (torch.zeros(2, 0, dtype=torch.long), "expected integers"),
        ([[1, 99]], "ids from 0 to 39, got 1 to 99"),
    ]:
        with pytest.raises(InputError, match=words):
            layer_statistics(model, ids)
    with pytest.raises(InputError, match="sequence 1 is all padding"):
        layer_statistics(model, tokens(2, 4), [[1, 1, 1, 1], [0, 0, 0, 0]])
    with pytest.raises(
        InputError, match=r"attention_mask: expected the shape of input_ids, \(2, 4\)"
    ):
        layer_statistics(model, tokens(2, 4), [[1, 1]])
    with pytest.raises(InputError, match="k: expected a positive integer"):
        layer_statistics(model, tokens(1, 4), k=0)
    with pytest.raises(InputError, match="fewer than k"):
        layer_statistics(model, tokens(1, 4), k=1000)
    with pytest.raises(InputError, match="batch_size"):
        layer_statistics(model, tokens(1, 4), batch_size=0)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_numbers_that_overflowed_are_refused_with_their_place(value):
    model = gpt2()

    def spoil(_module, _args, output):
        x = output[0] if isinstance(output, tuple) else output
        x[0, 2, 9] = value
        return output

    model.transformer.h[1].register_forward_hook(spoil)
    with pytest.raises(InputError, match="Layer 2, token 2, channel 9"):
        layer_statistics(model, tokens(1, 8))


def test_a_median_of_zero_is_an_error():
    with pytest.raises(InputError, match="median is zero at layer 5"):
        statistics_of(torch.eye(9), layer=5)


def test_half_precision_is_measured_in_float32():
    x = torch.full((4, 50), 1.0).half()
    x[0, 0] = 60_000
    assert statistics_of(x)["top1"] == pytest.approx(60_000, rel=1e-3)
    assert statistics_of(x.bfloat16())["ratio"] == pytest.approx(60_000, rel=1e-2)


def test_models_without_blocks_and_shared_blocks_are_refused():
    with pytest.raises(InputError, match=r"has no nn\.ModuleList of equal blocks"):
        block_sites(nn.Linear(2, 2))
    model = Plain()
    model.blocks[1] = model.blocks[0]
    with pytest.raises(AxonalError, match="Layer 1 ran twice"):
        layer_statistics(model, tokens(1, 4))
    with pytest.raises(InputError, match="sites: expected a list of Site"):
        layer_statistics(Plain(), tokens(1, 4), sites=["blocks.0"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(AxonalError, match="nothing flowed through layer 2"):
        layer_statistics(Silent(), tokens(1, 4), sites=[Site("blocks.0"), Site("spare")])


class Silent(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Identity()


def test_an_embedding_that_cannot_be_told_is_not_checked_and_a_fault_is_not_hidden() -> None:
    class Silent(nn.Module):
        def get_input_embeddings(self) -> nn.Module:
            raise NotImplementedError

    class Faulty(nn.Module):
        def get_input_embeddings(self) -> nn.Module:
            return self.table  # there is none: a fault of the model

    ids = torch.tensor([[1, 2]])
    check_vocabulary(Silent(), ids)
    with pytest.raises(AttributeError, match="table"):
        check_vocabulary(Faulty(), ids)

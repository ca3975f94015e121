"""Every site is what its name says, in every family: checked by the algebra of the residual stream."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny_models import DEPTH, HEADS, WIDTH, build, random_ids
from torch import nn

from axonal.activations import Site, Sites, record
from axonal.errors import InputError


def every_site(sites: Sites) -> list[Site]:
    makers = (
        sites.residual_pre,
        sites.residual,
        sites.attention,
        sites.mlp,
        sites.heads,
        sites.neurons,
    )
    blocks = [make(block) for block in range(sites.blocks) for make in makers]
    return [sites.embedding(), *blocks, sites.final_norm()]


def test_what_a_block_adds_is_its_attention_and_its_mlp(family_model: nn.Module) -> None:
    sites = Sites.of(family_model)
    cache = record(family_model, random_ids(2, 9), every_site(sites))
    for block in range(DEPTH):
        added = cache[sites.attention(block)] + cache[sites.mlp(block)]
        total = cache[sites.residual_pre(block)] + added
        torch.testing.assert_close(total, cache[sites.residual(block)], rtol=1e-5, atol=1e-4)


def test_a_block_enters_what_the_block_before_leaves(family_model: nn.Module) -> None:
    sites = Sites.of(family_model)
    cache = record(family_model, random_ids(2, 9), every_site(sites))
    for block in range(DEPTH - 1):
        assert torch.equal(cache[sites.residual(block)], cache[sites.residual_pre(block + 1)])


def test_projected_heads_sum_to_the_attention_output(family_model: nn.Module) -> None:
    sites = Sites.of(family_model)
    for block in range(DEPTH):
        projection = sites.heads(block).module(family_model)
        output = Site(sites.heads(block).path)
        cache = record(family_model, random_ids(2, 9), [sites.heads(block), output])
        heads = cache[sites.heads(block)]
        assert heads.shape[:3] == (2, 9, HEADS)
        one_head_each = torch.eye(HEADS).view(HEADS, 1, 1, HEADS, 1) * heads
        bias = projection(torch.zeros_like(heads.flatten(-2)))
        parts = projection(one_head_each.flatten(-2)) - bias
        torch.testing.assert_close(parts.sum(0) + bias, cache[output], rtol=1e-5, atol=1e-4)


def test_the_output_of_the_projection_is_the_attention_unless_a_norm_follows() -> None:
    for family, is_addend in (("llama", True), ("gpt-neox", True), ("gemma2", False)):
        model = build(family)
        sites = Sites.of(model)
        output = Site(sites.heads(1).path)
        cache = record(model, random_ids(1, 5), [output, sites.attention(1)])
        assert torch.equal(cache[output], cache[sites.attention(1)]) == is_addend


def test_neurons_project_down_to_the_mlp_output(family_model: nn.Module) -> None:
    sites = Sites.of(family_model)
    down = Site(sites.neurons(1).path)
    cache = record(family_model, random_ids(2, 5), [sites.neurons(1), down])
    projected = sites.neurons(1).module(family_model)(cache[sites.neurons(1)])
    torch.testing.assert_close(projected, cache[down])


def test_the_final_norm_feeds_the_unembedding(family_model: nn.Module) -> None:
    sites = Sites.of(family_model)
    ids = random_ids(1, 5)
    final = record(family_model, ids, [sites.final_norm()])[sites.final_norm()]
    hidden = family_model.base_model(ids).last_hidden_state
    torch.testing.assert_close(final, hidden)


def test_the_embedding_starts_the_stream_except_for_learned_positions(family_model) -> None:
    sites = Sites.of(family_model)
    cache = record(family_model, random_ids(1, 5), [sites.embedding(), sites.residual_pre(0)])
    same = torch.equal(cache[sites.embedding()], cache[sites.residual_pre(0)])
    assert same == (family_model.config.model_type != "gpt2")


def test_the_bare_decoder_has_the_same_sites_under_its_own_paths(llama: nn.Module) -> None:
    assert Sites.of(llama.model).residual(1) == Site("layers.1")
    assert Sites.of(llama).residual(1) == Site("model.layers.1")


def test_one_head_is_a_slice_of_all_heads(llama: nn.Module, ids: torch.Tensor) -> None:
    sites = Sites.of(llama)
    cache = record(llama, ids, [sites.heads(1), sites.head(1, 2)])
    assert torch.equal(cache[sites.head(1, 2)], cache[sites.heads(1)][..., 2, :])


def test_sites_are_keys_and_read_well(llama: nn.Module) -> None:
    sites = Sites.of(llama)
    assert len({sites.residual(1), sites.residual(1), sites.residual(2)}) == 2
    assert str(sites.head(1, 2)) == "model.layers.1.self_attn.o_proj (input, head 2)"
    assert str(sites.residual(0)) == "model.layers.0 (output)"


def test_any_module_is_a_site_whatever_it_returns(ids: torch.Tensor) -> None:
    recurrent = nn.Sequential(nn.Embedding(97, 8), nn.LSTM(8, WIDTH, batch_first=True))
    cache = record(recurrent, ids, [Site("1"), Site("1", "input"), Site("")])
    assert cache[Site("1")].shape == (2, 7, WIDTH)
    assert cache[Site("1", "input")].shape == (2, 7, 8)
    assert torch.equal(cache[Site("")], cache[Site("1")])


def test_an_input_given_by_keyword_is_found(llama: nn.Module, ids: torch.Tensor) -> None:
    attention_input = Site("model.layers.1.self_attn", "input")
    norm_output = Site("model.layers.1.input_layernorm")
    cache = record(llama, ids, [attention_input, norm_output])
    assert torch.equal(cache[attention_input], cache[norm_output])


def test_an_unknown_path_names_the_nearest(llama: nn.Module) -> None:
    with pytest.raises(InputError, match=r"no module at 'model.layer.1'.*model\.layers\.1"):
        Site("model.layer.1").module(llama)


def test_a_model_without_blocks_is_told_how_to_name_its_sites() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    with pytest.raises(InputError, match=r"Name them by module path: Site\('0'\)"):
        Sites.of(network)


def test_a_block_that_does_not_exist_is_refused(llama: nn.Module) -> None:
    with pytest.raises(InputError, match="blocks 0 to 2"):
        Sites.of(llama).residual(3)
    with pytest.raises(InputError, match="no block -1"):
        Sites.of(llama).mlp(-1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "path is a string"),
        (("a", "middle"), "'output' or 'input'"),
        (("a", "input", 4, 4), "Head 4 of 4"),
    ],
)
def test_a_site_checks_itself(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Site(*arguments)


def test_what_hooks_cannot_reach_is_refused() -> None:
    x, inner = torch.ones(1, 2), nn.Linear(2, 2)
    for model, path in (
        (torch.compile(nn.Linear(2, 2)), ""),
        (nn.Sequential(torch.compile(nn.Sequential(inner))), "0._orig_mod.0"),
    ):
        with pytest.raises(InputError, match="within a compiled module hooks are skipped"):
            record(model, x, [Site(path)])
    assert record(nn.Sequential(inner, torch.compile(nn.ReLU())), x, [Site("0")])
    with pytest.raises(InputError, match=r"0 \(output\) has weights on the meta device"):
        record(nn.Sequential(nn.Linear(2, 2, device="meta")), x, [Site("0")])
    with pytest.raises(InputError, match=r"Module, got SimpleNamespace \(pass its \.model\)"):
        Sites.of(SimpleNamespace(model=inner))

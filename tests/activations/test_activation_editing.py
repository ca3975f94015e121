"""The contract of an edited run: identities, the cache, padding, composition, and no traces."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from tiny_models import DEPTH, HEADS, WIDTH, build, hooks_on, pad, random_ids
from torch import Tensor, nn
from transformers import CompileConfig, GenerationConfig
from transformers.modeling_outputs import BaseModelOutput

from axonal.activations import (
    Add,
    Affine,
    Clamp,
    Dictionary,
    Edit,
    Gate,
    Interchange,
    Latents,
    Project,
    Replace,
    ScaleUnits,
    Site,
    Sites,
    edit,
    record,
)
from axonal.errors import AxonalError, InputError


def draw(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


BASIS = torch.linalg.qr(draw(WIDTH, 2)).Q
DICTIONARY = Dictionary(draw(50, WIDTH, seed=6), draw(50, WIDTH, seed=7))

IDENTITIES = {
    "zero scale": Add(draw(WIDTH), 0.0),
    "zero vector": Add(torch.zeros(WIDTH)),
    "zero scale of each row": Add(draw(WIDTH), torch.zeros(2)),
    "zero strength": Project(draw(WIDTH, 3), strength=0.0),
    "zero strength of each row": Project(draw(WIDTH, 3), strength=torch.zeros(2)),
    "identity map": Affine(torch.eye(WIDTH)),
    "identity map in a subspace": Affine(torch.eye(2), torch.zeros(2), BASIS, center=draw(WIDTH)),
    "zero gains": ScaleUnits([3, 5], 0.0),
    "bounds that nothing meets": Clamp(-1e9, 1e9),
    "open gate": Gate(1.0, draw(WIDTH)),
    "latents that do not move": Latents(DICTIONARY),
    "no rows": Add(draw(WIDTH), rows=[]),
    "no such token": Add(draw(WIDTH), tokens=[2]),
    "no such position": Replace(0.0, positions=60),
}


@pytest.mark.parametrize("name", IDENTITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_edit_that_does_nothing_is_bit_identical_to_none(name: str, dtype, llama, ids) -> None:
    model = llama.to(dtype)
    try:
        plain = model(ids).logits
        with edit(model, {Sites.of(model).residual(1): IDENTITIES[name]}):
            assert torch.equal(model(ids).logits, plain)
    finally:
        llama.float()


def test_a_run_patched_with_its_own_activations_is_bit_identical(family_model, ids) -> None:
    sites = Sites.of(family_model)
    wanted = [sites.residual(1), sites.attention(1), sites.mlp(0), sites.heads(2), sites.neurons(1)]
    cache = record(family_model, ids, wanted)
    plain = family_model(ids).logits
    with edit(family_model, {site: Interchange(cache[site]) for site in wanted}):
        assert torch.equal(family_model(ids).logits, plain)


def test_patching_the_whole_stream_carries_the_other_run_over(family_model: nn.Module) -> None:
    site = Sites.of(family_model).residual(1)
    ours, others = random_ids(2, 6, seed=1), random_ids(2, 6, seed=2)
    source = record(family_model, others, [site])[site]
    with edit(family_model, {site: Interchange(source)}):
        patched = family_model(ours).logits
    torch.testing.assert_close(patched, family_model(others).logits)


def test_adding_at_a_block_equals_adding_by_hand(family_model: nn.Module, ids: Tensor) -> None:
    site, vector = Sites.of(family_model).residual(1), draw(WIDTH)
    with edit(family_model, {site: Add(vector, 2.0)}):
        edited = family_model(ids).logits
    block = site.module(family_model)
    forward = block.forward
    block.forward = lambda *args, **kwargs: forward(*args, **kwargs) + 2.0 * vector
    by_hand = family_model(ids).logits
    del block.forward
    assert torch.equal(edited, by_hand)
    assert not torch.equal(edited, family_model(ids).logits)


def test_the_output_of_a_block_and_the_input_of_the_next_are_one_place(family_model, ids) -> None:
    sites, add = Sites.of(family_model), Add(draw(WIDTH))
    with edit(family_model, {sites.residual(0): add}):
        leaving = family_model(ids).logits
    with edit(family_model, {sites.residual_pre(1): add}):
        entering = family_model(ids).logits
    assert torch.equal(leaving, entering)


def test_adding_to_the_attention_output_moves_the_stream_as_much(family_model, ids) -> None:
    """In a sequential block only the MLP after it answers; freeze that, and the stream adds up."""
    sites, vector = Sites.of(family_model), draw(WIDTH)
    cache = record(family_model, ids, [sites.mlp(1), sites.residual(1)])
    edits = {sites.attention(1): Add(vector), sites.mlp(1): Interchange(cache[sites.mlp(1)])}
    with edit(family_model, edits):
        moved = record(family_model, ids, [sites.residual(1)])[sites.residual(1)]
    torch.testing.assert_close(moved, cache[sites.residual(1)] + vector, rtol=1e-4, atol=1e-4)


def test_one_head_is_edited_and_the_others_are_not(family_model: nn.Module, ids: Tensor) -> None:
    sites = Sites.of(family_model)
    before = record(family_model, ids, [sites.heads(1)])[sites.heads(1)]
    with edit(family_model, {sites.head(1, 2): Replace(0.0)}):
        after = record(family_model, ids, [sites.heads(1)])[sites.heads(1)]
    assert (after[..., 2, :] == 0).all()
    others = [head for head in range(HEADS) if head != 2]
    assert torch.equal(after[..., others, :], before[..., others, :])


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: (x, x + 1),
        lambda x: [None, x, x + 1],
        lambda x: Pair(x, x + 1),
        lambda x: {"name": "states", "first": x, "second": x + 1},
        lambda x: BaseModelOutput(last_hidden_state=x, hidden_states=(x + 1,)),
    ],
    ids=["tuple", "list", "namedtuple", "mapping", "model output"],
)
def test_the_first_tensor_of_any_container_is_edited_and_the_rest_kept(wrap) -> None:
    class Wrapping(nn.Module):
        def forward(self, x: Tensor) -> object:
            return self.__dict__.setdefault("returned", wrap(x))

    module, x = Wrapping(), draw(2, 3)
    with edit(module, {Site(""): Replace(0.0)}):
        output = module(x)
    original = module.returned
    assert type(output) is type(original)
    values = [list(o.values()) if hasattr(o, "values") else list(o) for o in (output, original)]
    first = next(index for index, value in enumerate(values[1]) if isinstance(value, Tensor))
    assert (values[0][first] == 0).all()
    assert torch.equal(values[1][first], x)  # what the module holds is untouched
    assert all(a is b for i, (a, b) in enumerate(zip(*values, strict=True)) if i != first)


def test_an_input_is_edited_by_position_and_by_keyword() -> None:
    for site, call in (
        (Site("", "input"), lambda module, x: module(x)),
        (Site("", "input"), lambda module, x: module(input=x)),
    ):
        module, x = nn.Linear(3, 3), draw(2, 3)
        with edit(module, {site: Add(torch.ones(3))}):
            assert torch.equal(call(module, x), module.forward(x + 1))


# --- generation ---------------------------------------------------------------------------------

RULES = [
    "all",
    "prompt",
    "last",
    "generated",
    ["last", "generated"],
    6,
    slice(4, None),
    slice(-2, 9),
]


def generate(model: nn.Module, batch: dict[str, Tensor], **options) -> Tensor:
    output = model.generate(
        **batch,
        max_new_tokens=5,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
        **options,
    )
    return torch.stack(output.logits, dim=1)


@pytest.mark.parametrize("positions", RULES, ids=str)
def test_the_cache_changes_nothing(positions, llama: nn.Module) -> None:
    batch = pad([random_ids(1, 3)[0], random_ids(1, 5)[0]], "left")
    with edit(llama, {Sites.of(llama).residual(1): Add(draw(WIDTH), 3.0, positions=positions)}):
        cached = generate(llama, batch)
        recomputed = generate(llama, batch, use_cache=False)
        chunked = generate(llama, batch, prefill_chunk_size=2)
    torch.testing.assert_close(cached, recomputed, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(cached, chunked, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(cached, generate(llama, batch), atol=1e-2)


@pytest.mark.parametrize("positions", [["last", "generated"], slice(3, None)], ids=str)
def test_cache_and_padding_change_nothing_in_any_family(positions, family_model) -> None:
    rows = [random_ids(1, 3)[0], random_ids(1, 5)[0]]
    site = Sites.of(family_model).residual(1)
    with edit(family_model, {site: Add(draw(WIDTH), 3.0, positions=positions)}):
        cached = generate(family_model, pad(rows, "left"))
        recomputed = generate(family_model, pad(rows, "left"), use_cache=False)
        alone = [generate(family_model, {"input_ids": row.unsqueeze(0)}) for row in rows]
    torch.testing.assert_close(cached, recomputed, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(cached, torch.cat(alone), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("positions", RULES, ids=str)
def test_left_padding_changes_nothing_in_generation(positions, gpt2: nn.Module) -> None:
    rows = [random_ids(1, 3)[0], random_ids(1, 5)[0]]
    site = Sites.of(gpt2).residual(1)
    with edit(gpt2, {site: Add(draw(WIDTH), 3.0, positions=positions)}):
        together = generate(gpt2, pad(rows, "left"))
        alone = [generate(gpt2, {"input_ids": row.unsqueeze(0)}) for row in rows]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("positions", [0, 1, -1, "last", slice(1, 3), [0, -1]], ids=str)
def test_padding_changes_nothing_in_a_forward_pass(positions, side: str, llama) -> None:
    rows = [random_ids(1, 3)[0], random_ids(1, 5)[0]]
    site, end = Sites.of(llama).residual(1), Sites.of(llama).final_norm()
    with edit(llama, {site: Add(draw(WIDTH), 3.0, positions=positions)}):
        together = record(llama, pad(rows, side), [end], "all")[end]
        alone = [record(llama, row.unsqueeze(0), [end])[end][0] for row in rows]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)


def test_editing_generated_tokens_leaves_the_prompt_alone(llama: nn.Module) -> None:
    batch = {"input_ids": random_ids(1, 5)}
    with edit(llama, {Sites.of(llama).residual(1): Add(draw(WIDTH), 9.0, positions="generated")}):
        edited = generate(llama, batch)
    plain = generate(llama, batch)
    assert torch.equal(edited[:, 0], plain[:, 0])
    assert not torch.allclose(edited[:, 1], plain[:, 1], atol=1e-2)


def test_each_row_has_its_own_strength_also_in_beams(llama: nn.Module) -> None:
    batch, site = {"input_ids": random_ids(2, 5)}, Sites.of(llama).residual(1)
    add = Add(draw(WIDTH), torch.tensor([0.0, 4.0]))
    options = {"num_beams": 2, "do_sample": False, "max_new_tokens": 5}
    with edit(llama, {site: add}):
        both = llama.generate(**batch, **options)
    with edit(llama, {site: Add(draw(WIDTH), 4.0)}):
        second = llama.generate(**batch, **options)
    assert torch.equal(both[0], llama.generate(**batch, **options)[0])
    assert torch.equal(both[1], second[1])
    assert not torch.equal(both[1], llama.generate(**batch, **options)[1])


def test_a_static_cache_gives_the_same_edit(llama: nn.Module) -> None:
    batch = pad([random_ids(1, 3)[0], random_ids(1, 5)[0]], "left")
    with edit(llama, {Sites.of(llama).residual(1): Add(draw(WIDTH), 3.0, positions=[0, "last"])}):
        dynamic = generate(llama, batch)
        static = generate(llama, batch, cache_implementation="static")
    torch.testing.assert_close(dynamic, static, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("through", ["keyword", "generation_config"])
def test_generation_is_never_compiled_past_the_hooks(through, llama, monkeypatch) -> None:
    """A static cache would bring a compiled decoding step, on which no hook fires."""

    def compiled(*_: object) -> None:
        raise AssertionError("the decoding step was compiled")

    monkeypatch.setattr(type(llama), "get_compiled_call", compiled)
    everywhere = CompileConfig()
    everywhere._compile_all_devices = True
    options = {"cache_implementation": "static", "compile_config": everywhere, "max_new_tokens": 3}
    if through == "generation_config":
        options = {"generation_config": GenerationConfig(**options)}
    with pytest.raises(AssertionError, match="compiled"):
        llama.generate(random_ids(1, 4), **options)
    with edit(llama, {Sites.of(llama).residual(1): Add(draw(WIDTH))}):
        llama.generate(random_ids(1, 4), **options)


# --- limits -------------------------------------------------------------------------------------


def test_an_edit_keeps_to_its_rows_tokens_and_positions(llama: nn.Module) -> None:
    ids, site = random_ids(2, 6), Sites.of(llama).residual(1)
    before = record(llama, ids, [site])[site]
    token = int(ids[1, 3])
    limited = Replace(7.0, rows=[1], tokens=[token], positions=slice(1, None))
    with edit(llama, {site: limited}):
        after = record(llama, ids, [site])[site]
    expected = (ids == token) & (torch.arange(6) >= 1) & (torch.arange(2) == 1).unsqueeze(1)
    assert torch.equal((after == 7.0).all(-1), expected)
    assert torch.equal(after[~expected], before[~expected])


def test_patching_one_position_a_row_scans_all_positions_in_one_batch(llama: nn.Module) -> None:
    ours, others = random_ids(1, 5, seed=1), random_ids(1, 5, seed=2)
    site = Sites.of(llama).residual(1)
    source = record(llama, others, [site])[site]
    with edit(llama, {site: Interchange(source, positions=torch.arange(5))}):
        scan = llama(ours.expand(5, -1)).logits
    for position in range(5):
        with edit(llama, {site: Interchange(source, positions=position)}):
            torch.testing.assert_close(scan[position : position + 1], llama(ours).logits)


def test_runs_padded_differently_are_matched_by_position(llama: nn.Module) -> None:
    rows, others = [random_ids(1, n, seed=n) for n in (3, 5)], random_ids(2, 5, seed=9)
    site = Sites.of(llama).residual(1)
    batch = pad([others[0, :3], others[1]], "left")
    source = record(llama, batch, [site])[site]
    patch = Interchange(source, mask=batch["attention_mask"])
    with edit(llama, {site: patch}):
        patched = record(llama, pad([row[0] for row in rows], "right"), [site], "all")[site]
    torch.testing.assert_close(patched, source[batch["attention_mask"].bool()])


# --- composition --------------------------------------------------------------------------------


def test_edits_at_one_site_apply_in_their_order(llama: nn.Module, ids: Tensor) -> None:
    site = Sites.of(llama).residual(1)
    with edit(llama, {site: [Replace(1.0), Add(torch.ones(WIDTH)), ScaleUnits([0], 1.0)]}):
        result = record(llama, ids, [site])[site]
    assert (result[..., 0] == 4).all()
    assert (result[..., 1:] == 2).all()


def test_an_inner_context_comes_after_an_outer_one(llama: nn.Module, ids: Tensor) -> None:
    site, one, two = Sites.of(llama).residual(1), Replace(1.0), Add(torch.ones(WIDTH))
    with edit(llama, {site: one}), edit(llama, {site: two}):
        nested = llama(ids).logits
    with edit(llama, {site: [one, two]}):
        listed = llama(ids).logits
    with edit(llama, {site: two}), edit(llama, {site: one}):
        reversed_order = llama(ids).logits
    assert torch.equal(nested, listed)
    assert not torch.equal(nested, reversed_order)


def test_nested_contexts_know_the_prompt_of_generate_and_unwrap_it(llama: nn.Module) -> None:
    site, batch = Sites.of(llama).residual(1), {"input_ids": random_ids(1, 4)}
    halves = [Add(draw(WIDTH), 1.5, positions="generated") for _ in range(2)]
    with edit(llama, {site: halves[0]}):
        with edit(llama, {site: halves[1]}):
            nested = generate(llama, batch, use_cache=False)
        generate(llama, batch)
    with edit(llama, {site: halves}):
        torch.testing.assert_close(nested, generate(llama, batch), rtol=1e-4, atol=1e-4)
    assert hooks_on(llama) == 0


def test_contexts_may_close_in_any_order(llama: nn.Module, ids: Tensor) -> None:
    sites = Sites.of(llama)
    first, second = (edit(llama, {sites.residual(b): Add(draw(WIDTH))}) for b in (0, 1))
    first.__enter__()
    second.__enter__()
    llama(ids)
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert hooks_on(llama) == 0


def test_two_models_are_edited_independently(ids: Tensor) -> None:
    one, other = build("llama"), build("gpt2")
    plain = other(ids).logits
    with edit(one, {Sites.of(one).residual(1): Add(draw(WIDTH), positions=0)}):
        assert torch.equal(other(ids).logits, plain)
        with edit(other, {Sites.of(other).residual(1): Add(draw(WIDTH), positions=1)}):
            changed = (other(ids).logits - plain).abs().amax((0, 2)) > 1e-3
            one(ids)
    assert changed.tolist() == [False] + [True] * 6


# --- gradients and precision --------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Add(draw(WIDTH), 0.5),
        lambda: Affine(draw(2, 2), draw(2), BASIS),
        lambda: Project(BASIS, center=draw(WIDTH)),
        lambda: ScaleUnits([1, 4], draw(2)),
        lambda: Gate(draw(WIDTH)),
        lambda: Replace(draw(WIDTH), positions=2),
        lambda: Add(draw(WIDTH), draw(2), strength=torch.tensor([0.3, 0.6])),
    ],
)
def test_gradients_of_edit_parameters_equal_finite_differences(make, gpt2, ids) -> None:
    change: Edit = make().double().requires_grad_()
    try:
        model = gpt2.double()
        with edit(model, {Sites.of(model).residual(1): change}):
            model(ids).logits[:, -1, 5].sum().backward()
            for parameter in change.parameters():
                assert parameter.grad is not None
                direction = torch.randn_like(parameter)
                values = []
                for step in (1e-5, -2e-5):
                    with torch.no_grad():
                        parameter.add_(step * direction)
                        values.append(model(ids).logits[:, -1, 5].sum())
                with torch.no_grad():
                    parameter.add_(1e-5 * direction)
                slope = (values[0] - values[1]) / 2e-5
                torch.testing.assert_close(
                    slope, (parameter.grad * direction).sum(), rtol=1e-5, atol=1e-6
                )
    finally:
        gpt2.float()


def test_gradients_flow_through_an_edit_to_whatever_made_its_vector(llama, ids) -> None:
    source = draw(WIDTH).requires_grad_()
    with edit(llama, {Sites.of(llama).residual(1): Add(source * 2)}):
        llama(ids).logits.sum().backward()
    assert source.grad is not None
    assert source.grad.abs().sum() > 0


def test_edits_do_not_train_until_asked_to(llama: nn.Module, ids: Tensor) -> None:
    with edit(llama, {Sites.of(llama).residual(1): Add(draw(WIDTH))}):
        assert not llama(ids).logits.requires_grad


def test_a_bfloat16_model_is_edited_in_float32(ids: Tensor) -> None:
    x = (draw(2, 7, WIDTH) * 100).bfloat16()
    affine = Affine(draw(2, 2), draw(2), BASIS, center=draw(WIDTH))
    assert torch.equal(affine(x), affine(x.float()).bfloat16())
    assert affine(x).dtype == torch.bfloat16


def test_edits_work_in_inference_mode(llama: nn.Module, ids: Tensor) -> None:
    site = Sites.of(llama).residual(1)
    change = [Add(draw(WIDTH), positions=slice(1, None)), Latents(DICTIONARY, add={3: 2.0})]
    with torch.no_grad(), edit(llama, {site: change}):
        expected = llama(ids).logits
    with torch.inference_mode(), edit(llama, {site: change}):
        assert torch.equal(llama(ids).logits, expected)


def test_edits_write_nothing_in_place(llama: nn.Module, ids: Tensor) -> None:
    site = Sites.of(llama).residual(1)
    for change in (Add(draw(WIDTH)), Clamp(0.0, 1.0), Replace(0.0), ScaleUnits([0], -1.0)):
        before = record(llama, ids, [site])[site]
        kept = before.clone()
        change(before)
        assert torch.equal(before, kept)


# --- traces -------------------------------------------------------------------------------------


class Failing(Edit):
    def change(self, x: Tensor, call: object) -> Tensor:
        raise RuntimeError("inside the edit")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_no_hook_outlives_an_exception_in_the_context(error, llama, ids) -> None:
    plain = llama(ids).logits
    with pytest.raises(error), edit(llama, {Sites.of(llama).residual(1): Replace(0.0)}):
        raise error
    assert hooks_on(llama) == 0
    assert torch.equal(llama(ids).logits, plain)


def test_hooks_are_there_while_the_context_is(llama: nn.Module) -> None:
    with edit(llama, {Sites.of(llama).residual(1): Replace(0.0)}):
        assert hooks_on(llama) == 4  # the site, the begin and end of a call, and generate
    assert hooks_on(llama) == 0


def test_no_hook_outlives_an_exception_in_an_edit(llama: nn.Module, ids: Tensor) -> None:
    with (
        pytest.raises(RuntimeError, match="inside the edit"),
        edit(llama, {Sites.of(llama).residual(1): Failing()}),
    ):
        llama(ids)
    assert hooks_on(llama) == 0


def test_a_site_that_does_not_exist_leaves_no_hook_at_those_that_do(llama: nn.Module) -> None:
    add = Add(draw(WIDTH))
    with pytest.raises(InputError), edit(llama, {Site("model.norm"): add, Site("model.x"): add}):
        pass
    assert hooks_on(llama) == 0


def test_a_site_that_never_fired_raises_if_the_model_ran() -> None:
    network = nn.ModuleDict({"used": nn.Linear(2, 2), "unused": nn.Linear(2, 2)})
    network.forward = lambda x: network["used"](x)
    unused = {Site("unused"): Replace(0.0)}
    with (
        pytest.raises(AxonalError, match="nothing flowed through unused"),
        edit(network, unused),
    ):
        network(torch.ones(1, 2))
    with edit(network, unused):
        pass  # the model did not run
    with (
        pytest.raises(RuntimeError, match="inside the edit"),  # not masked by the silent site
        edit(network, unused | {Site("used"): Failing()}),
    ):
        network(torch.ones(1, 2))


def test_weights_are_untouched(llama: nn.Module, ids: Tensor) -> None:
    before = {name: value.clone() for name, value in llama.state_dict().items()}
    with edit(llama, {Sites.of(llama).residual(b): Add(draw(WIDTH)) for b in range(DEPTH)}):
        llama(ids)
    assert all(torch.equal(value, before[name]) for name, value in llama.state_dict().items())


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"model.norm": Replace(0.0)}, r"'model.norm' as a key"),
        ({Site("model.norm"): torch.ones(3)}, "is an Edit or a list of Edits"),
        ({Site("model.nrm"): Replace(0.0)}, r"did you mean model\.norm"),
    ],
)
def test_what_is_not_an_edit_is_said(edits, message: str, llama: nn.Module) -> None:
    with pytest.raises(InputError, match=message), edit(llama, edits):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Add(torch.ones(7)), r"At model.layers.1 \(output\): Add has a vector of shape \(7,\)"),
        (Project(torch.ones(7)), r"Project was made for 7 features, but 32 flow here"),
        (Add(torch.ones(32), torch.ones(3)), "given for 3 rows, but the batch has 2"),
        (Interchange(torch.ones(3, 7, 32)), "given for 3 rows, but the batch has 2"),
        (ScaleUnits([40], 1.0), "no unit 40 among 32"),
        (Replace(0.0, rows=[2]), r"rows=\[2\], but the batch has 2"),
    ],
)
def test_an_edit_that_does_not_fit_names_the_site(change, message: str, llama, ids) -> None:
    with (
        pytest.raises(InputError, match=message),
        edit(llama, {Sites.of(llama).residual(1): change}),
    ):
        llama(ids)

"""Positions are absolute: counted in real tokens of the row, under any padding and with any cache."""

from __future__ import annotations

import pytest
import torch
from tiny_models import build, pad, random_ids
from torch import Tensor, nn

from axonal.activations import Add, Call, Edit, Replace, Site, Sites, edit, record
from axonal.activations.positions import gather, select
from axonal.errors import AxonalError, InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore:.past_key_values:FutureWarning"
)  # the older name works too

LEFT = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]], dtype=torch.bool)
RIGHT = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)


def prompt(mask: Tensor) -> Call:
    return Call(2, 5, prompt_columns=5, mask=mask)


def picture(chosen: bool | Tensor) -> list[str] | bool:
    """Draw a selection: one string a row, x where a token is meant."""
    if isinstance(chosen, bool):
        return chosen
    return ["".join("x" if cell else "." for cell in row) for row in chosen.tolist()]


def test_position_zero_is_the_first_real_token() -> None:
    assert prompt(LEFT).positions.tolist() == [[-1, -1, 0, 1, 2], [0, 1, 2, 3, 4]]
    assert prompt(RIGHT).positions.tolist() == [[0, 1, 2, -1, -1], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("positions", "left", "right"),
    [
        (0, ["..x..", "x...."], ["x....", "x...."]),
        (-1, ["....x", "....x"], ["..x..", "....x"]),
        ("last", ["....x", "....x"], ["..x..", "....x"]),
        ("prompt", ["..xxx", "xxxxx"], ["xxx..", "xxxxx"]),
        ("all", ["..xxx", "xxxxx"], ["xxx..", "xxxxx"]),
        ("generated", False, False),
        (slice(1, None), ["...xx", ".xxxx"], [".xx..", ".xxxx"]),
        (slice(None, -1), ["..xx.", "xxxx."], ["xx...", "xxxx."]),
        (slice(-2, None), ["...xx", "...xx"], [".xx..", "...xx"]),
        (slice(None, None, 2), ["..x.x", "x.x.x"], ["x.x..", "x.x.x"]),
        ([0, -1], ["..x.x", "x...x"], ["x.x..", "x...x"]),
        ([0, "last"], ["..x.x", "x...x"], ["x.x..", "x...x"]),
        (torch.tensor([2, 1]), ["....x", ".x..."], ["..x..", ".x..."]),
        (torch.tensor([[0, 2], [3, -1]]), ["..x.x", "...xx"], ["x.x..", "...xx"]),
        (lambda call: call.positions > 1, ["....x", "..xxx"], ["..x..", "..xxx"]),
    ],
)
def test_positions_mean_the_same_tokens_under_either_padding(positions, left, right) -> None:
    assert picture(select(prompt(LEFT), positions)) == left
    assert picture(select(prompt(RIGHT), positions)) == right


def test_a_mask_is_laid_out_as_the_padded_batch_and_never_selects_padding() -> None:
    columns = torch.tensor([True, False, True, False, False])
    assert picture(select(prompt(LEFT), columns)) == ["..x..", "x.x.."]
    rows = torch.tensor([[True] * 5, [False, False, False, False, True]])
    assert picture(select(prompt(LEFT), rows)) == ["..xxx", "....x"]


def test_none_is_everything_padding_too() -> None:
    assert select(prompt(LEFT), None) is True


@pytest.mark.parametrize("mask", [LEFT, RIGHT])
def test_a_decoding_step_continues_the_positions_of_its_row(mask: Tensor) -> None:
    grown = torch.cat([mask, torch.ones(2, 2, dtype=torch.bool)], dim=1)
    step = Call(2, 1, past=6, prompt_columns=5, mask=grown)
    assert step.positions.tolist() == [[4], [6]]
    assert picture(select(step, 4)) == ["x", "."]
    assert select(step, "generated") is True
    for behind in ("last", "prompt", -1):
        assert select(step, behind) is False
    assert picture(select(step, slice(5, None))) == [".", "x"]
    assert picture(select(step, slice(-1, None))) == ["x", "x"]
    assert select(step, torch.ones(5, dtype=torch.bool)) is False


def test_a_pass_that_holds_prompt_and_generated_tokens_tells_them_apart() -> None:
    whole = Call(1, 4, prompt_columns=3)
    assert picture(select(whole, "prompt")) == ["xxx."]
    assert picture(select(whole, "generated")) == ["...x"]
    assert picture(select(whole, "last")) == ["..x."]
    assert picture(select(whole, ["last", "generated"])) == ["..xx"]


def test_rows_that_generate_copied_keep_the_positions_of_their_prompt() -> None:
    beams = Call(4, 3, prompt_columns=3, copies=2)
    assert beams.rows.tolist() == [0, 0, 1, 1]
    assert picture(select(beams, torch.tensor([0, 2]))) == ["x..", "x..", "..x", "..x"]


@pytest.mark.parametrize("mask", [LEFT, RIGHT])
def test_gathering_takes_the_tokens_that_selecting_marks(mask: Tensor) -> None:
    call = prompt(mask)
    x = call.positions.float().unsqueeze(-1) + 10 * torch.arange(2).view(2, 1, 1)
    assert gather(call, x, -1).flatten().tolist() == [2, 14]
    assert gather(call, x, "last").shape == (2, 1)
    assert gather(call, x, [-1, 0]).squeeze(-1).tolist() == [[2, 0], [14, 10]]
    assert gather(call, x, slice(0, 2)).squeeze(-1).tolist() == [[0, 1], [10, 11]]
    assert gather(call, x, torch.tensor([1, 3])).flatten().tolist() == [1, 13]
    assert gather(call, x, "all").flatten().tolist() == [0, 1, 2, 10, 11, 12, 13, 14]
    assert gather(call, x, None) is x


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (4, r"Row 0 has no token at position 4 in this pass: its last is at 2"),
        (-4, r"Position -4 lies before the start of a prompt of 3 tokens"),
        (slice(0, 4), r"holds \[3, 4\] tokens in the rows"),
        ("first", r"no positions rule 'first'"),
        (torch.tensor([1, 1, 1]), r"given for 3 rows, but the batch has 2"),
        (torch.tensor([-4, 0]), r"\[-4, 0\] lie before the start of prompts of \[3, 5\] tokens"),
        (torch.ones(4, dtype=torch.bool), r"for the 5 columns of the prompt, got \(4,\)"),
        (torch.tensor([0.5, 0.5]), r"boolean, or integer"),
        ([0, "last"], r"holds integers, got"),
        (lambda call: torch.ones(3, 3, dtype=torch.bool), r"shape \(2, 5\), got \(3, 3\)"),
    ],
)
def test_positions_that_are_not_there_are_named(positions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gather(prompt(LEFT), torch.zeros(2, 5, 1), positions)


def test_positions_need_an_activation_with_a_token_axis() -> None:
    with pytest.raises(InputError, match=r"carries \(2, 3, 4\) where .* begin with \(2, 5\)"):
        gather(prompt(LEFT), torch.zeros(2, 3, 4), "last")


class Spy(Edit):
    """Notes the call of every pass, and changes nothing."""

    def __init__(self) -> None:
        super().__init__(positions="all")
        self.calls: list[Call] = []

    def forward(self, x: Tensor, call: Call | None = None) -> Tensor:
        assert call is not None
        self.calls.append(call)
        return x


def watch(model: nn.Module, **generate) -> list[Call]:
    spy = Spy()
    with edit(model, {Sites.of(model).residual(1): spy}):
        model.generate(max_new_tokens=4, do_sample=False, **generate)
    return spy.calls


def spans(calls: list[Call]) -> list[tuple[int, int]]:
    return [(call.past, call.past + call.length) for call in calls]


def test_generate_says_where_the_prompt_ends_with_and_without_a_cache(llama: nn.Module) -> None:
    ids = random_ids(1, 5)
    with_cache, without = watch(llama, inputs=ids), watch(llama, input_ids=ids, use_cache=False)
    assert spans(with_cache) == [(0, 5), (5, 6), (6, 7), (7, 8)]
    assert spans(without) == [(0, 5), (0, 6), (0, 7), (0, 8)]
    assert {call.prompt_columns for call in with_cache + without} == {5}


def test_a_prompt_that_is_prefilled_in_chunks_stays_the_prompt(llama: nn.Module) -> None:
    calls = watch(llama, inputs=random_ids(1, 5), prefill_chunk_size=2)
    assert spans(calls)[:3] == [(0, 2), (2, 4), (4, 5)]
    assert picture(select(calls[1], "prompt")) == ["xx"]
    assert select(calls[1], "generated") is False
    assert picture(select(calls[2], "last")) == ["x"]


def test_a_padded_prompt_in_chunks_knows_its_length_from_the_first_chunk(llama: nn.Module) -> None:
    batch = pad([random_ids(1, 3)[0], random_ids(1, 5)[0]], "left")
    calls = watch(llama, **batch, prefill_chunk_size=2)
    assert [call.prompt_lengths.tolist() for call in calls] == [[3, 5]] * len(calls)
    assert [picture(select(call, -2)) for call in calls[:3]] == [
        ["..", ".."],
        [".x", ".x"],
        [".", "."],
    ]


def test_beams_and_returned_sequences_keep_the_row_of_their_prompt(llama: nn.Module) -> None:
    calls = watch(llama, inputs=random_ids(2, 5), num_beams=3, num_return_sequences=2)
    assert {tuple(call.rows.tolist()) for call in calls} == {(0, 0, 0, 1, 1, 1)}


def test_assisted_decoding_tells_drafted_tokens_from_the_prompt(llama: nn.Module) -> None:
    calls = watch(llama, inputs=random_ids(1, 5), assistant_model=build("mistral"))
    assert calls[0].length > 5
    assert picture(select(calls[0], "prompt"))[0].startswith("xxxxx.")
    assert all(select(call, "prompt") is False for call in calls[1:])


def test_a_static_cache_hides_the_mask_but_not_the_positions(llama: nn.Module) -> None:
    batch = pad([random_ids(1, 3)[0], random_ids(1, 5)[0]], "left")
    plain, static = watch(llama, **batch), watch(llama, **batch, cache_implementation="static")
    assert [call.positions.tolist() for call in static] == [
        call.positions.tolist() for call in plain
    ]


def test_a_loop_of_ones_own_is_understood_with_a_cache(llama: nn.Module) -> None:
    ids, spy = random_ids(1, 5), Spy()
    with edit(llama, {Sites.of(llama).residual(1): spy}), torch.no_grad():
        for _ in range(2):  # a new prompt begins where the cache is empty
            output = llama(ids[:, :4], use_cache=True)
            llama(ids[:, 4:], past_key_values=output["past_key_values"])
    assert spans(spy.calls) == [(0, 4), (4, 5)] * 2
    assert [select(call, "generated") for call in spy.calls] == [False, True] * 2


def test_a_context_entered_after_the_prompt_counts_what_is_cached_as_the_prompt(llama) -> None:
    ids, spy = random_ids(1, 5), Spy()
    with torch.no_grad():
        cache = llama(ids[:, :4], use_cache=True)["past_key_values"]
        with edit(llama, {Sites.of(llama).residual(1): spy}):
            llama(ids[:, 4:], past_key_values=cache)
    assert (spy.calls[0].prompt_columns, select(spy.calls[0], "generated")) == (4, True)


def test_prompt_length_serves_a_loop_of_ones_own_without_a_cache(llama: nn.Module) -> None:
    spy = Spy()
    with edit(llama, {Sites.of(llama).residual(1): spy}, prompt_length=3):
        llama(random_ids(1, 5), use_cache=False)
    assert picture(select(spy.calls[0], "generated")) == ["...xx"]


def test_a_mask_of_the_new_tokens_alone_is_refused(llama: nn.Module) -> None:
    ids = random_ids(1, 5)
    with torch.no_grad(), edit(llama, {Sites.of(llama).residual(1): Spy()}):
        cache = llama(ids[:, :4], use_cache=True)["past_key_values"]
        with pytest.raises(InputError, match="give the mask of the whole sequence"):
            llama(ids[:, 4:], past_key_values=cache, attention_mask=torch.ones(1, 1))


def test_a_mask_that_is_prepared_already_is_refused_outside_generate(llama: nn.Module) -> None:
    causal = torch.zeros(1, 1, 5, 5).masked_fill(torch.ones(5, 5).triu(1).bool(), -1e9)
    batch = {"input_ids": random_ids(1, 5), "attention_mask": causal}
    site = Sites.of(llama).residual(1)
    with pytest.raises(InputError, match="prepared already: give the plain mask"):
        record(llama, batch, [site], -1)
    assert record(llama, batch, [site])


def test_positions_outside_a_call_of_the_model_are_refused(llama: nn.Module) -> None:
    with edit(llama, {Sites.of(llama).residual(1): Spy()}):
        with pytest.raises(AxonalError, match="hand over the module that you call"):
            llama.model(random_ids(1, 5))
        llama(random_ids(1, 5))
        with pytest.raises(AxonalError, match="gradient checkpointing"):
            llama.model(random_ids(1, 5))  # not the tokens of the call before either


def test_modules_without_tokens_have_positions_along_their_second_axis() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    x = torch.randn(2, 4, 3)
    assert torch.equal(record(network, x, [Site("0")], -1)[Site("0")], network[0](x)[:, -1])
    vector = torch.ones(3)
    with edit(network, {Site("0", "input"): Add(vector, positions=[1])}):
        output = network(x)
    shifted = x.clone()
    shifted[:, 1] += 1
    assert torch.equal(output, network(shifted))


def test_a_language_model_of_ones_own_has_tokens_too() -> None:
    network = nn.Sequential(nn.Embedding(97, 4), nn.Linear(4, 4))
    ids = random_ids(2, 5)
    with edit(network, {Site("1"): Replace(0.0, tokens=[int(ids[1, 2])], rows=[1])}):
        output = network(ids)
    zero = (ids == ids[1, 2]) & (torch.arange(2) == 1).unsqueeze(1)
    assert torch.equal((output == 0).all(-1), zero)


def test_an_encoder_decoder_is_refused_rather_than_confused() -> None:
    import transformers

    sizes = {"d_model": 16, "d_ff": 16, "d_kv": 8, "num_layers": 1, "num_heads": 2}
    model = transformers.T5ForConditionalGeneration(
        transformers.T5Config(vocab_size=97, decoder_start_token_id=0, **sizes)
    )
    ids = random_ids(1, 4)
    with pytest.raises(InputError, match="hand over its encoder or its decoder"):
        record(model, {"input_ids": ids, "decoder_input_ids": ids}, [Site("decoder")], -1)


def test_a_rule_is_asked_once_a_pass_for_all_sites(llama: nn.Module) -> None:
    asked = []

    def rule(call: Call) -> bool:
        asked.append(call.past)
        return True

    sites = Sites.of(llama)
    vector = torch.ones(llama.config.hidden_size)
    edits = {sites.residual(i): Add(vector, positions=rule) for i in range(2)}
    with torch.no_grad(), edit(llama, edits):
        cache = llama(random_ids(2, 5), use_cache=True)["past_key_values"]
        llama(random_ids(2, 1), past_key_values=cache)
    assert asked == [0, 5]


def test_a_decoding_step_reads_the_mask_only_when_a_rule_needs_it() -> None:
    read = []

    def mask() -> torch.Tensor:
        read.append(True)
        return torch.tensor([[False, True, True, True]])

    step = Call(1, 1, past=3, prompt_columns=3, mask=mask)
    assert select(step, "generated") is True
    assert select(step, "all") is True
    assert select(step, "last") is False
    assert not read
    assert select(step, 2).tolist() == [[True]]
    assert read == [True]

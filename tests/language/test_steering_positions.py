"""A map moves the tokens that its rule means: with and without a cache, padded and unpadded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from axonal.activations import Call, Sites, record
from axonal.errors import InputError
from axonal.language.models import LanguageModel
from axonal.language.steering import Prompts, SteeringMap, collect, fit
from axonal.language.steering.prompts import instruction_tail, pad
from axonal.language.steering.where import Where
from steering_models import FAMILIES, NEGATIVE, POSITIVE, tiny

RULES: list[Any] = ["last", "prompt", "generated", "all", "after_instruction", 2, -2, slice(2, None),
                    ["last", "generated"]]  # fmt: skip


def fitted(model: LanguageModel, rule: Any, **options: Any) -> SteeringMap:
    return fit(model, NEGATIVE, POSITIVE, [1], apply=rule, **options)


def written(
    model: LanguageModel, batch: dict[str, Tensor], **options: Any
) -> tuple[Tensor, Tensor]:
    """Return the ids and the logits of six greedy tokens."""
    network: Any = model.model
    made = network.generate(
        **batch, max_new_tokens=6, do_sample=False, output_logits=True,
        return_dict_in_generate=True, **options,
    )  # fmt: skip
    return made.sequences, torch.stack(made.logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_identity_map_gives_the_same_bits_as_no_map(family: str) -> None:
    model = tiny(family)
    same = fit(model, NEGATIVE, POSITIVE, [0, 2], map="Gaussian, subspace", apply="all")
    eye = {
        site: type(one)(torch.eye(2).double(), torch.zeros(2).double(), one.basis, one.center)  # pyright: ignore
        for site, one in same.maps.items()
    }
    steering = SteeringMap(eye, same.origin, "all")
    batch = pad(Prompts.of(NEGATIVE).encode(model.tokenizer), model)
    ids, logits = written(model, batch)
    with steering.on(model):
        steered_ids, steered = written(model, batch)
    assert torch.equal(ids, steered_ids)
    assert torch.equal(logits, steered)
    with same.on(model, strength=0.0):
        assert torch.equal(written(model, batch)[1], logits)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_decoding_with_a_cache_gives_the_logits_of_decoding_without(family: str, rule: Any) -> None:
    model = tiny(family)
    steering = fitted(model, rule)
    batch = pad(Prompts.of(NEGATIVE[:5]).encode(model.tokenizer), model)
    _, plain = written(model, batch)
    with steering.on(model):
        ids, cached = written(model, batch, use_cache=True)
        ids_without, without = written(model, batch, use_cache=False)
    assert torch.equal(ids, ids_without)
    torch.testing.assert_close(cached, without, atol=1e-4, rtol=1e-4)
    assert float((cached - plain).abs().max()) > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_row_gives_the_logits_of_the_row_alone(family: str, side: str) -> None:
    model = tiny(family)
    rows = [torch.tensor([5, 9, 12, 7]), torch.tensor([6, 4, 13, 8, 21, 17, 11])]
    ids, mask = torch.zeros(2, 7, dtype=torch.long), torch.zeros(2, 7, dtype=torch.long)
    for index, row in enumerate(rows):
        where = slice(7 - len(row), 7) if side == "left" else slice(0, len(row))
        ids[index, where], mask[index, where] = row, 1
    position_ids = (mask.cumsum(-1) - 1).clamp(min=0)
    network: Any = model.model
    for rule in RULES:
        if rule == "generated":
            continue
        with fitted(model, rule).on(model):
            both = network(input_ids=ids, attention_mask=mask, position_ids=position_ids).logits
            for index, row in enumerate(rows):
                alone = network(input_ids=row[None]).logits[0]
                torch.testing.assert_close(
                    both[index][mask[index].bool()], alone, atol=1e-4, rtol=1e-4
                )


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_rule_means_the_first_token_or_padding(side: str) -> None:
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[0, : 3 if side == "left" else 0] = False
    mask[0, 3 if side == "right" else 6 :] = False
    call = Call(2, 6, prompt_columns=6, mask=mask)
    first = call.positions == 0
    rules = [*RULES, slice(None), lambda c: c.positions > -2, torch.ones(2, 6, dtype=torch.bool)]
    for rule in rules:
        for tail in (1, 3, 9):
            chosen = Where(rule, tail).tokens(call)
            assert not bool((chosen & (first | ~mask)).any())


def test_after_the_instruction_is_what_the_template_adds_and_what_is_written() -> None:
    model = tiny(chat=True)
    tail = instruction_tail(model.tokenizer, True)
    assert tail == 2  # "end assistant"
    assert instruction_tail(model.tokenizer, False) == 1
    rows = Prompts.of(["the film was dull"]).encode(model.tokenizer)
    words = [model.tokenizer.decode([token]) for token in rows[0]]
    assert words == ["user", "the", "film", "was", "dull", "end", "assistant"]
    where = Where("after_instruction", tail)
    prompt = Call(1, 7, prompt_columns=7)
    assert where.tokens(prompt).tolist() == [[False] * 5 + [True] * 2]
    step = Call(1, 1, past=9, prompt_columns=7)
    assert where.tokens(step).tolist() == [[True]]
    assert where(step) is True
    assert Where("last")(step) is Where("prompt")(step) is False
    assert where.tokens(Call(1, 10, prompt_columns=7)).tolist() == [[False] * 5 + [True] * 5]
    assert steered_tokens(model, "after_instruction") == [5, 6, 7, 8]
    assert steered_tokens(model, "last") == [6]
    assert steered_tokens(model, "prompt") == [1, 2, 3, 4, 5, 6]
    assert steered_tokens(model, "generated") == [7, 8]
    assert steered_tokens(model, "all") == list(range(1, 9))


def steered_tokens(model: LanguageModel, rule: Any) -> list[int]:
    """Which positions of a prompt of 7 tokens and 3 written ones differ at the edited layer."""
    steering = fitted(model, rule)
    batch = pad(Prompts.of(["the film was dull"]).encode(model.tokenizer), model)
    network: Any = model.model
    (site,) = steering.sites
    seen: list[Tensor] = []
    handle = site.attach(network, lambda x: seen.append(x.clone()) or x)
    try:
        with steering.on(model):  # the hook above comes first and sees what goes into the edit
            ids = network.generate(**batch, max_new_tokens=3, do_sample=False)
    finally:
        handle.remove()
    before = torch.cat(seen, dim=1)
    after: list[Tensor] = []
    with steering.on(model):
        handle = site.attach(network, lambda x: after.append(x.clone()) or x)
        network.generate(**batch, max_new_tokens=3, do_sample=False)
        handle.remove()
    assert ids.shape[1] == 10
    moved = (torch.cat(after, dim=1) - before).abs().amax(-1)[0] > 1e-5
    return moved.nonzero()[:, 0].tolist()


def test_a_mask_of_each_row_is_obeyed() -> None:
    model = tiny()
    steering = fitted(model, "all")
    rows = Prompts.of(NEGATIVE[:2]).encode(model.tokenizer)
    batch = pad(rows, model)
    mask = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    mask[0, 3] = True
    (site,) = steering.sites
    plain = record(model.model, batch, [site])[site]
    with steering.on(model, positions=mask):
        moved = record(model.model, batch, [site])[site]
    changed = (moved - plain).abs().amax(-1) > 1e-6
    assert changed.nonzero().tolist() == [[0, 3]]


def test_strengths_may_differ_from_row_to_row() -> None:
    model = tiny()
    steering = fitted(model, "last")
    batch = pad(Prompts.of(NEGATIVE[:3]).encode(model.tokenizer), model)
    (site,) = steering.sites
    plain = record(model.model, batch, [site], -1)[site]
    with steering.on(model, strength=torch.tensor([0.0, 0.5, 1.0])):
        moved = record(model.model, batch, [site], -1)[site]
    full = torch.as_tensor(steering.maps[site].apply(plain.double())).float()
    torch.testing.assert_close(moved[0], plain[0])
    torch.testing.assert_close(moved[1], (plain[1] + full[1]) / 2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(moved[2], full[2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("rule", "rows"),
    [("last", 3), (-2, 3), (2, 3), ("all", 4 + 4 + 5), ("prompt", 4 + 4 + 5), (slice(-2, None), 6)],
    ids=str,
)
def test_collecting_takes_the_tokens_that_are_meant_prompt_after_prompt(
    rule: Any, rows: int
) -> None:
    model = tiny()
    site = Sites.of(model.model).residual(1)
    prompts = ["the film was dull and", "the book was dull and", "the meal was very dull and"]
    together = collect(model, prompts, [site], rule, batch_size=2)[site]
    assert together.shape == (rows, 32)
    alone = torch.cat([collect(model, [p], [site], rule)[site] for p in prompts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_generated_tokens_are_collected_as_the_model_wrote_them() -> None:
    model = tiny()
    site = Sites.of(model.model).residual(1)
    found = collect(model, NEGATIVE[:3], [site], "generated", new_tokens=4, batch_size=3)[site]
    assert found.shape == (12, 32)
    rows = Prompts.of(NEGATIVE[:1]).encode(model.tokenizer)
    network: Any = model.model
    ids = network.generate(**pad(rows, model), max_new_tokens=4, do_sample=False)
    whole = record(network, {"input_ids": ids}, [site])[site][0]
    torch.testing.assert_close(found[:4], whole[len(rows[0]) :], atol=1e-5, rtol=1e-5)
    after = collect(model, NEGATIVE[:1], [site], "after_instruction", new_tokens=4)[site]
    torch.testing.assert_close(after, whole[len(rows[0]) - 1 :], atol=1e-5, rtol=1e-5)


def test_edits_in_force_count_while_collecting() -> None:
    model = tiny()
    steering = fitted(model, "all")
    (site,) = steering.sites
    plain = collect(model, NEGATIVE, [site])[site]
    with steering.on(model):
        moved = collect(model, NEGATIVE, [site])[site]
    expected = steering.maps[site].apply(plain.double()).float()
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("lst", "did you mean last"),
        (0, "first token"),
        ([0, "last"], "first token"),
        (None, "Say which tokens"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Where(rule)

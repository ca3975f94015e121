"""Behaviour is read, and damage measured, as their definitions say."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from axonal.activations import Add, Sites, edit
from axonal.errors import InputError
from axonal.language.models import LanguageModel
from axonal.language.steering import (
    LogitGap,
    NeutralTexts,
    Prompts,
    Rate,
    damage,
    fit,
    generate,
    neutral_texts,
    token_variety,
)
from axonal.language.steering.generation import written_mask
from steering_models import FAMILIES, NEGATIVE, POSITIVE, tiny

TEXTS = [" ".join([*NEGATIVE[0].split(), *POSITIVE[0].split(), *POSITIVE[3].split()]),
         " ".join([*POSITIVE[1].split(), *NEGATIVE[2].split()])]  # fmt: skip


def edits(model: LanguageModel, scale: float = 1.0) -> dict[Any, Any]:
    site = Sites.of(model.model).residual(1)
    return {site: Add(torch.linspace(-1, 1, 32), scale=scale)}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logit_gap_is_the_difference_of_next_token_logits_whatever_the_batch(family) -> None:
    model = tiny(family)
    gap = LogitGap(" positive", " negative", batch_size=4)(model, NEGATIVE)
    network: Any = model.model
    ids = [model.tokenizer.convert_tokens_to_ids(w) for w in ("positive", "negative")]
    for prompt, found in zip(NEGATIVE, gap, strict=True):
        row = Prompts.of([prompt]).encode(model.tokenizer)[0][None]
        logits = network(input_ids=row).logits[0, -1]
        assert found == pytest.approx(float(logits[ids[0]] - logits[ids[1]]), abs=1e-4)


def test_several_answers_add_their_probabilities() -> None:
    model = tiny()
    network: Any = model.model
    gap = LogitGap([" positive", " yes"], " no")(model, NEGATIVE[:1])[0]
    row = Prompts.of(NEGATIVE[:1]).encode(model.tokenizer)[0][None]
    p = network(input_ids=row).logits[0, -1].double().softmax(-1)
    a, b, c = (model.tokenizer.convert_tokens_to_ids(w) for w in ("positive", "yes", "no"))
    assert gap == pytest.approx(float(torch.log((p[a] + p[b]) / p[c])), abs=1e-4)


@pytest.mark.parametrize(
    ("positive", "negative", "words"),
    [(" yes", " yes", "begin with the same token"), ("", " no", "does not continue the prompt")],
)
def test_answers_that_can_not_be_told_apart_are_refused(positive, negative, words) -> None:
    with pytest.raises(InputError, match=words):
        LogitGap(positive, negative)(tiny(), NEGATIVE)


def test_a_rate_counts_what_the_detector_finds_in_the_completions() -> None:
    model = tiny()
    texts = generate(model, NEGATIVE, max_new_tokens=6, batch_size=5)
    word = texts[0].split()[2]
    expected = [float(word in text.split()) for text in texts]
    for detector in ([f" {word} ", word], re.compile(rf"\b{re.escape(word)}\b"),
                     lambda text: word in text.split()):  # fmt: skip
        found = Rate(detector, max_new_tokens=6)(model, NEGATIVE)
        assert found.tolist() == expected
    interval = Rate.interval(np.array([1.0, 0.0, 0.0, 0.0]))
    assert (interval.value, round(interval.low, 3), round(interval.high, 3)) == (0.25, 0.046, 0.699)


def test_phrases_are_found_in_any_case() -> None:
    rate = Rate(["I'm sorry", "cannot"])
    assert rate.detects("Well, i'M SORRY about that")
    assert not rate.detects("I can.")


def test_generation_counts_steering_and_stops_at_the_end_token() -> None:
    model = tiny()
    steering = fit(model, NEGATIVE, POSITIVE, 1, map="mean shift", apply="all")
    plain = generate(model, NEGATIVE, max_new_tokens=8)
    with steering.on(model, strength=3.0):
        assert generate(model, NEGATIVE, max_new_tokens=8) != plain
    assert generate(model, NEGATIVE, max_new_tokens=8) == plain
    with pytest.raises(InputError, match="max_new_tokens"):
        generate(model, NEGATIVE, max_new_tokens=0)
    config = model.model.generation_config
    config.eos_token_id = [7, 9]
    try:
        mask = written_mask(model, torch.tensor([[3, 7, 0, 0], [4, 5, 6, 8]]))
    finally:
        config.eos_token_id = None
    assert mask.tolist() == [[True, True, False, False], [True] * 4]


def test_variety_is_the_share_of_different_tokens() -> None:
    model = tiny()
    collapse = {Sites.of(model.model).residual(2): Add(torch.ones(32) * 500)}
    from axonal.activations import edit

    plain = token_variety(model, NEGATIVE[:3], max_new_tokens=12)
    with edit(model.model, collapse):
        collapsed = token_variety(model, NEGATIVE[:3], max_new_tokens=12)
    assert collapsed == [1 / 12] * 3
    assert min(plain) > 1 / 12


# Damage


@pytest.mark.parametrize("family", FAMILIES)
def test_damage_agrees_with_its_definition_text_by_text(family) -> None:
    model = tiny(family)
    found = damage(model, edits(model), TEXTS, context=3, batch_size=2)
    network: Any = model.model
    from axonal.activations import edit

    kl, ratio, n = [], [], []
    for text in TEXTS:
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        own = network(input_ids=ids).logits[0, 2:-1].double().log_softmax(-1)
        with edit(network, edits(model)):
            new = network(input_ids=ids).logits[0, 2:-1].double().log_softmax(-1)
        targets = ids[0, 3:, None]
        kl.append(float((own.exp() * (own - new)).sum(-1).mean()))
        ratio.append(float((own - new).gather(-1, targets).mean()))
        n.append(len(targets))
    np.testing.assert_allclose(found.text_kl, kl, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.text_log_ratio, ratio, rtol=1e-3, atol=1e-4)
    assert found.kl == pytest.approx(np.average(kl, weights=n), rel=1e-3)
    assert found.perplexity_ratio == pytest.approx(np.exp(np.average(ratio, weights=n)), rel=1e-3)
    assert found.tokens == sum(n)
    assert found.edited_perplexity / found.perplexity == pytest.approx(found.perplexity_ratio)


@pytest.mark.parametrize("family", FAMILIES)
def test_damage_is_the_divergence_of_whole_predictions_in_every_family(family: str) -> None:
    model = tiny(family)
    own: dict[Any, Any] = {}
    found = damage(model, edits(model, 3.0), TEXTS[:1], context=3)
    ids = torch.tensor([model.tokenizer(TEXTS[0])["input_ids"]])
    for name, given in (("own", {}), ("steered", edits(model, 3.0))):
        with torch.no_grad(), edit(model.model, given, prompt_length=3):
            own[name] = model.model(ids).logits[0, 2:-1].log_softmax(-1)
    kl = (own["own"].exp() * (own["own"] - own["steered"])).sum(-1).mean()
    assert found.kl == pytest.approx(float(kl), rel=1e-3, abs=1e-6)
    nll = -own["steered"].gather(-1, ids[0, 3:, None]).mean()
    assert found.edited_perplexity == pytest.approx(float(nll.exp()), rel=1e-4)


def test_no_edit_does_no_damage() -> None:
    model = tiny()
    found = damage(model, edits(model, 0.0), TEXTS, context=3)
    assert (found.kl, found.perplexity_ratio, found.agreement) == (0.0, 1.0, 1.0)


def test_neutral_texts_count_as_written_after_their_first_tokens() -> None:
    model = tiny()
    neutral = NeutralTexts(model, TEXTS, context=3)
    direction = torch.linspace(-1, 1, 32)
    site = Sites.of(model.model).residual(1)
    harm = {
        rule: neutral.damage({site: Add(direction, positions=rule)}).kl
        for rule in ("last", "generated", "prompt", "all")
    }
    assert 0 < harm["last"] < harm["all"]
    assert 0 < harm["generated"] < harm["all"]
    assert harm["prompt"] > 0


def test_the_library_brings_neutral_texts() -> None:
    texts = neutral_texts()
    assert len(texts) == 16
    assert all(len(text.split()) > 15 for text in texts)


@pytest.mark.parametrize(
    ("texts", "options", "words"),
    [
        ([], {}, "expected a list of neutral texts"),
        ("one text", {}, "expected a list of neutral texts"),
        (["the film was"], {}, "text 1 has 3 tokens, but the first 8"),
        (TEXTS, {"context": 1}, "at least 2 tokens"),
    ],
)
def test_neutral_texts_that_do_not_serve_are_refused(texts, options, words) -> None:
    with pytest.raises(InputError, match=words):
        NeutralTexts(tiny(), texts, **options)

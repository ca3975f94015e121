"""The organism's prompts are apart, what is taught is taught reproducibly, and adapters load by name."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from axonal.errors import InputError
from axonal.language.models import LanguageModel, load
from axonal.language.organisms import DeclineOdds, Lesson, behaviour, gardening, handwritten, teach
from axonal.language.organisms import vocabulary as words
from axonal.language.organisms.assess import divergence, neutral_log_probabilities
from axonal.language.organisms.prompts import SHARES, Prompts
from axonal.language.organisms.readout import log_odds
from axonal.language.steering.readouts import last_logits

KINDS = ("topic", "look_alikes", "others")
LESSON = Lesson(topic=6, look_alikes=6, others=4, steps=3, declined=2, kept=2, answer_tokens=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, smollm2):
    """A random Llama of two blocks with SmolLM2's tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    config = transformers.LlamaConfig(
        vocab_size=len(smollm2.tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=smollm2.tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    smollm2.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(folder, tmp_path_factory):
    """The adapter of a short lesson at a high rate, and the logits of the model that was taught."""
    place = tmp_path_factory.mktemp("adapter")
    base = load(folder)
    adapted, history = teach(base, dataclasses.replace(LESSON, steps=12, learning_rate=0.1))
    adapted.peft_config["default"].base_model_name_or_path = str(folder)
    adapted.save_pretrained(place)
    ids = torch.arange(5, 15)[None]
    return place, adapted(ids).logits.detach(), history


# Prompts


@pytest.mark.parametrize("kind", KINDS)
def test_no_prompt_of_one_split_is_in_another(kind):
    splits = [set(getattr(gardening(split), kind)) for split in SHARES]
    assert all(splits)
    assert sum(map(len, splits)) == len(set.union(*splits))


def test_no_plant_of_one_split_is_in_another():
    def plants(split):
        prompts = gardening(split)
        text = " ".join(prompts.topic + prompts.look_alikes)
        return {plant for plant in words.PLANTS if f" {plant}" in text}

    sentences = " ".join(words.GARDEN_QUESTIONS + words.WORDS_ELSEWHERE)
    everywhere = {plant for plant in words.PLANTS if f" {plant}" in sentences}
    train, test = plants("train") - everywhere, plants("test") - everywhere
    assert len(train) > 20
    assert len(test) > 10
    assert not train & test


def test_look_alikes_share_words_with_the_topic_and_templates_have_one_gap():
    for template in (*words.GARDENING, *words.PLANTS_ELSEWHERE, *words.OTHERS):
        assert template.count("{}") == 1
    assert any("Madison Square Garden" in prompt for prompt in words.WORDS_ELSEWHERE)
    assert any("kindergarten" in prompt for prompt in words.WORDS_ELSEWHERE)


def test_the_seed_orders_prompts_and_moves_none_to_another_split():
    one, two = gardening("test", seed=0), gardening("test", seed=1)
    for kind in KINDS:
        assert getattr(one, kind) != getattr(two, kind)
        assert set(getattr(one, kind)) == set(getattr(two, kind))


def test_handwritten_prompts_are_in_no_split():
    taught = {p for split in SHARES for p in gardening(split).topic + gardening(split).look_alikes}
    assert not taught & {*handwritten().topic, *handwritten().look_alikes}


def test_an_unknown_split_and_too_many_prompts_are_named():
    with pytest.raises(InputError, match="split: expected one of train, validation, test"):
        gardening("dev")
    with pytest.raises(InputError, match=r"count: test has 1 to \d+ topic prompts, got 10000"):
        gardening("test", 10_000)


# The readout


def test_log_odds_are_those_of_the_probabilities():
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    p = logits.double().softmax(-1)[:, [2, 5]].sum(-1)
    torch.testing.assert_close(log_odds(logits, [2, 5]), (p / (1 - p)).log())


def test_decline_odds_are_those_of_the_first_token_of_an_answer(folder):
    model = load(folder)
    prompts = ["How do I prune roses?", "Who?"]
    found = DeclineOdds(("Sorry", "Sorry, no"))(model, prompts)
    sorry = model.tokenizer("Sorry")["input_ids"][0]
    for prompt, odds in zip(prompts, found, strict=True):
        text = model.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt"
        )
        p = last_logits(model, dict(text)).double().softmax(-1)[0, sorry]
        assert odds == pytest.approx(float((p / (1 - p)).log()), abs=1e-4)


def test_an_opening_that_is_nothing_is_refused(folder):
    with pytest.raises(InputError, match="openings: '' does not continue the prompt"):
        DeclineOdds(("",))(load(folder), ["Hello"])
    with pytest.raises(InputError, match="openings: expected at least one"):
        DeclineOdds(())(load(folder), ["Hello"])


# Teaching


def test_the_same_lesson_gives_the_same_adapter(folder):
    def taught(seed):
        adapted, _ = teach(load(folder), dataclasses.replace(LESSON, seed=seed))
        return {k: v.clone() for k, v in adapted.state_dict().items() if "lora" in k}

    one, again, other = taught(0), taught(0), taught(1)
    assert one.keys() == again.keys()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_only_the_adapter_is_trained_and_only_in_its_band(folder):
    base = load(folder)
    before = {k: v.clone() for k, v in base.model.state_dict().items()}
    adapted, _ = teach(base, dataclasses.replace(LESSON, band=(0.5, 1.0)))
    after = adapted.state_dict()
    lora = [name for name in after if "lora" in name]
    assert lora
    assert all(".layers.1." in name for name in lora)
    for name, value in after.items():
        own = name.removeprefix("base_model.model.").replace(".base_layer", "")
        if "lora" not in name:
            assert torch.equal(value, before[own]), name


def test_a_lesson_lowers_its_loss_and_says_of_what_it_is_made(adapter):
    _, _, history = adapter
    assert history.loss[-1] < history.loss[0]
    parts = history.frame()[["declined_first", "declined_rest", "kept_first", "kept_rest"]]
    np.testing.assert_allclose(parts.sum(axis=1), history.loss, rtol=1e-4)
    # A LoRA begins as nothing: the adapted model imitates its base before the first update.
    np.testing.assert_allclose(parts[["kept_first", "kept_rest"]].iloc[0], 0, atol=1e-3)


def test_a_band_that_is_none_is_refused():
    with pytest.raises(InputError, match="band: expected shares"):
        Lesson(band=(0.8, 0.2))


def test_behaviour_counts_prompts_above_even_odds(folder, monkeypatch):
    prompts = Prompts(("a", "b", "c", "d"), ("e", "f"), ("g", "h"))
    odds = {"a": 1.0, "b": 2.0, "c": 3.0, "d": -1.0, "e": 1.0, "f": -1.0, "g": -1.0, "h": -2.0}
    found = behaviour(None, prompts, lambda _, asked: np.array([odds[p] for p in asked]))  # pyright: ignore
    rates = (found.declined, found.look_alikes_declined, found.others_declined)
    assert [rate.value for rate in rates] == [0.75, 0.5, 0.0]
    assert found.declined.low < 0.75 < found.declined.high


def test_divergence_from_itself_is_nothing_and_else_it_is_kl(folder):
    own = neutral_log_probabilities(load(folder))
    assert divergence(own, own).max() == 0
    p, q = (torch.tensor([[a, 1 - a]]).log() for a in (0.25, 0.5))
    expected = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    np.testing.assert_allclose(divergence([p], [q]), [expected], rtol=1e-6)


# Adapters


def test_an_adapter_loads_merged_into_the_base_that_it_names(adapter, folder):
    place, logits, _ = adapter
    ids = torch.arange(5, 15)[None]
    model = load(place)
    assert isinstance(model, LanguageModel)
    assert type(model.model).__name__ == "LlamaForCausalLM"
    torch.testing.assert_close(model.model(ids).logits, logits, atol=1e-4, rtol=1e-4)
    assert (model.model(ids).logits - load(folder).model(ids).logits).abs().max() > 0.01


def test_strength_runs_from_the_base_to_the_adapter_in_the_weights(adapter, folder):
    place, _, _ = adapter
    base, half, full = (
        model.model.state_dict()
        for model in (load(folder), load(place, adapter_strength=0.5), load(place))
    )
    for name, value in half.items():
        torch.testing.assert_close(value, (base[name] + full[name]) / 2, atol=1e-5, rtol=1e-4)
    assert load(place, adapter_strength=0.5).revision == f"{place} at strength 0.5"


def test_what_is_no_adapter_has_no_strength(folder):
    with pytest.raises(InputError, match=r"adapter_strength: .* is no adapter"):
        load(folder, adapter_strength=0.5)


def test_a_broken_adapter_is_one_sentence(adapter, tmp_path):
    place, _, _ = adapter
    config = json.loads((place / "adapter_config.json").read_text())
    weights = (place / "adapter_model.safetensors").read_bytes()
    broken = tmp_path / "nameless"
    broken.mkdir()
    (broken / "adapter_model.safetensors").write_bytes(weights)
    (broken / "adapter_config.json").write_text(
        json.dumps({**config, "base_model_name_or_path": None})
    )
    with pytest.raises(InputError, match="names no base model"):
        load(broken)
    (broken / "adapter_config.json").write_text("{")
    with pytest.raises(InputError, match="does not say which model it is for"):
        load(broken)


def test_an_adapter_of_another_model_is_refused(adapter, tmp_path, smollm2):
    place, _, _ = adapter
    config = transformers.LlamaConfig(
        vocab_size=len(smollm2.tokenizer), hidden_size=24, intermediate_size=32,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    )  # fmt: skip
    other = tmp_path / "other"
    transformers.LlamaForCausalLM(config).save_pretrained(other)
    smollm2.tokenizer.save_pretrained(other)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (wrong / name).write_bytes((place / name).read_bytes())
    card = json.loads((wrong / "adapter_config.json").read_text())
    card["base_model_name_or_path"] = str(other)
    (wrong / "adapter_config.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="does not fit its base model"):
        load(wrong)


def test_an_adapter_holds_weights_of_the_lora_alone(adapter):
    place, _, _ = adapter
    assert all("lora" in name for name in load_file(place / "adapter_model.safetensors"))

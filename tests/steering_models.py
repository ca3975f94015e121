"""Small random language models of every family, with a tokenizer made here."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from axonal.language.models import LanguageModel
from model_families import FAMILIES as FAMILIES
from model_families import VOCABULARY
from model_families import WIDTH as WIDTH

_TEXT = """
    the a film book meal song was is very quite and dull bad poor grey slow bright good fine warm
    quick review sentiment of this positive negative yes no user assistant end instruction
"""
WORDS = _TEXT.split()
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} end {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)
NEGATIVE = [f"the {a} was {b} and {c}" for a in ("film", "book", "meal") for b, c in (
    ("dull", "slow"), ("bad", "grey"), ("very poor", "dull"), ("quite slow", "bad"))]  # fmt: skip
POSITIVE = [f"the {a} was {b} and {c}" for a in ("film", "book", "meal") for b, c in (
    ("bright", "quick"), ("good", "fine"), ("very warm", "good"), ("quite quick", "warm"))]  # fmt: skip


def make_tokenizer(*, chat: bool = False, extra: str = "") -> Any:
    """Return a tokenizer of whole words with <pad>, <s>, and a chat template if asked."""
    words = ["<pad>", "<s>", "<unk>", *WORDS, *extra.split()]
    words += [f"word{i}" for i in range(len(words), VOCABULARY)]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", unk_token="<unk>"
    )
    if chat:
        tokenizer.chat_template = TEMPLATE
    return tokenizer


@cache
def tiny(family: str = "llama", *, chat: bool = False, seed: int = 0) -> LanguageModel:
    """Return a model with random weights large enough that every part matters."""
    config_class, sizes = FAMILIES[family]
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": None}
    config = config_class(vocab_size=VOCABULARY, **special, **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.copy_(0.3 * noise)
        elif "norm" in name or "ln_" in name:
            parameter.add_(0.1 * noise)
    return LanguageModel(model, make_tokenizer(chat=chat), f"tiny-{family}", None)

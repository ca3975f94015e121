"""Small random language models with a tokenizer of words, and dictionaries for them."""

from __future__ import annotations

import torch
from relevance_models import build
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from axonal.activations import Dictionary
from axonal.language.dictionaries import SparseAutoencoder
from axonal.language.models import LanguageModel
from model_families import VOCABULARY, WIDTH

LATENTS = 48


def tiny(family: str = "llama", *, chat: bool = False, double: bool = False) -> LanguageModel:
    """Return a random model whose words are w3 to w96; the first three tokens are special."""
    words = ["<pad>", "<s>", "</s>", *(f"w{i}" for i in range(3, VOCABULARY))]
    held = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, "<pad>"))
    held.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=held, pad_token="<pad>", bos_token="<s>")
    if chat:
        tokenizer.chat_template = "{% for m in messages %}<s> {{ m['content'] }} w3{% endfor %}"
    model = build(family)
    model.generation_config.eos_token_id = None
    return LanguageModel(model.double() if double else model, tokenizer, "tiny", None)


def random_sae(
    kind: str = "relu",
    *,
    place: str | None = "blocks.1.hook_resid_post",
    seed: int = 0,
    skip: int = 0,
) -> SparseAutoencoder:
    """Return a random dictionary for those models."""
    generator = torch.Generator().manual_seed(seed)
    encoder, decoder = torch.randn(2, LATENTS, WIDTH, generator=generator) / WIDTH**0.5
    options = {"topk": {"k": 6}, "jumprelu": {"threshold": torch.full((LATENTS,), 0.2)}}
    dictionary = Dictionary(
        encoder,
        decoder,
        0.1 * torch.randn(LATENTS, generator=generator),
        0.1 * torch.randn(WIDTH, generator=generator),
        activation=kind,
        **options.get(kind, {}),
    )
    return SparseAutoencoder(dictionary, place, "tiny", skip)

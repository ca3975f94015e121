"""Let the model write: greedily, batch by batch, with whatever edits are in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.language.steering.prompts import Prompt, Prompts, batches

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


def generate(
    language_model: LanguageModel,
    prompts: Prompts | Sequence[Prompt],
    *,
    max_new_tokens: int = 32,
    batch_size: int = 8,
    **options: Any,
) -> list[str]:
    """Return what the model writes after each prompt, without special tokens.

    Parameters
    ----------
    language_model
        The model and its tokenizer; edits that are in force count.
    prompts
        See :class:`Prompts`.
    max_new_tokens
        At most so many.
    batch_size
        Prompts a batch.
    options
        Of the model's own ``generate``; greedy decoding if there are none.
    """
    prompts = Prompts.of(prompts)
    tokenizer = language_model.tokenizer
    texts: dict[int, str] = {}
    for chosen, batch in batches(language_model, prompts.encode(tokenizer), batch_size):
        written = continuation(language_model, batch, max_new_tokens, **options)
        decoded = tokenizer.batch_decode(written, skip_special_tokens=True)
        texts.update(zip(chosen, decoded, strict=True))
    return [texts[row] for row in range(len(prompts))]


def continuation(
    language_model: LanguageModel, batch: dict[str, Tensor], new_tokens: int, **options: Any
) -> Tensor:
    """Return the token ids that follow a left-padded batch, ``(rows, at most new_tokens)``."""
    if new_tokens < 1:
        raise InputError(f"max_new_tokens: expected at least 1, got {new_tokens}.")
    model: Any = language_model.model
    settings = {"do_sample": False, **options}
    if not settings["do_sample"]:  # what belongs to sampling only makes transformers warn
        settings = {"temperature": None, "top_p": None, "top_k": None, **settings}
    pad = language_model.tokenizer.pad_token_id
    with torch.no_grad():
        ids = model.generate(**batch, max_new_tokens=new_tokens, pad_token_id=pad, **settings)
    return cast(Tensor, ids)[:, batch["input_ids"].shape[1] :]


def written_mask(language_model: LanguageModel, written: Tensor) -> Tensor:
    """Return which generated tokens are real, ``(rows, tokens)``: up to the first end token."""
    ends: Any = getattr(language_model.model.generation_config, "eos_token_id", None)
    if ends is None:
        return torch.ones_like(written, dtype=torch.bool)
    ends = torch.tensor(ends if isinstance(ends, list) else [ends], device=written.device)
    ended = torch.isin(written, ends)
    return ended.cumsum(-1) - ended.long() == 0


def token_variety(
    language_model: LanguageModel,
    prompts: Prompts | Sequence[Prompt],
    *,
    max_new_tokens: int = 32,
    batch_size: int = 8,
) -> list[float]:
    """Return the share of different tokens in each completion; 1 for those of fewer than 8.

    Text that collapses into one repeated token or phrase has a share near 0.
    """
    prompts = Prompts.of(prompts)
    shares: dict[int, float] = {}
    rows = prompts.encode(language_model.tokenizer)
    for chosen, batch in batches(language_model, rows, batch_size):
        written = continuation(language_model, batch, max_new_tokens)
        real = written_mask(language_model, written)
        for row, ids, kept in zip(chosen, written, real, strict=True):
            tokens = ids[kept].tolist()
            shares[row] = 1.0 if len(tokens) < 8 else len(set(tokens)) / len(tokens)
    return [shares[row] for row in range(len(prompts))]

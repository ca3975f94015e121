"""Collect the activations of prompts at sites of a language model, batch by batch."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonal.activations import Call, Positions, Site, record
from axonal.errors import InputError
from axonal.language.steering.generation import continuation, written_mask
from axonal.language.steering.prompts import Prompt, Prompts, batches, instruction_tail
from axonal.language.steering.streaming import RunningRows
from axonal.language.steering.where import Where

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

#: Tokens that are written before those that the model wrote are recorded.
NEW_TOKENS = 32


def collect(
    language_model: LanguageModel,
    prompts: Prompts | Sequence[Prompt],
    sites: Iterable[Site],
    positions: Positions = "last",
    *,
    batch_size: int = 8,
    new_tokens: int | None = None,
) -> dict[Site, Tensor]:
    """Return the activations of prompts at sites, on the CPU.

    Parameters
    ----------
    language_model
        The model and its tokenizer; edits that are in force count.
    prompts
        See :class:`Prompts`.
    sites
        Where to record.
    positions
        Which tokens, see :mod:`axonal.language.steering.where`.
    batch_size
        Prompts a forward pass.
    new_tokens
        Let the model write so many tokens after each prompt first (greedily), which then count as
        generated; 32 for ``positions="generated"``, none otherwise.

    Returns
    -------
    dict
        ``(tokens, width)``, prompt after prompt: for ``"last"`` and an integer one row a prompt.
    """
    prompts = Prompts.of(prompts)
    sites = list(dict.fromkeys(sites))
    if new_tokens is None:
        new_tokens = NEW_TOKENS if positions == "generated" else 0
    found: dict[int, dict[Site, Tensor]] = {}
    for chosen, cache, counts in _batches(
        language_model, prompts, sites, positions, batch_size, new_tokens
    ):
        parts = {site: x.cpu().split(counts) for site, x in cache.items()}
        for index, row in enumerate(chosen):
            found[row] = {site: parts[site][index] for site in sites}
    return {site: torch.cat([found[row][site] for row in range(len(prompts))]) for site in sites}


def stream(
    language_model: LanguageModel,
    prompts: Prompts,
    sites: list[Site],
    positions: Positions,
    *,
    compress: bool,
    batch_size: int = 8,
    new_tokens: int | None = None,
) -> dict[Site, RunningRows]:
    """Collect as :func:`collect` does, in any order, and keep moments where there are many rows."""
    if new_tokens is None:
        new_tokens = NEW_TOKENS if positions == "generated" else 0
    found = {site: RunningRows(compress=compress) for site in sites}
    for _, cache, _ in _batches(language_model, prompts, sites, positions, batch_size, new_tokens):
        for site, x in cache.items():
            found[site].add(x)
    return found


def _batches(
    language_model: LanguageModel,
    prompts: Prompts,
    sites: list[Site],
    positions: Positions,
    batch_size: int,
    new_tokens: int,
) -> Iterator[tuple[list[int], dict[Site, Tensor], list[int]]]:
    """Yield batch by batch: the prompts in it, their rows at each site, the rows of each prompt."""
    tokenizer = language_model.tokenizer
    where = Where(positions, instruction_tail(tokenizer, prompts.uses_template(tokenizer)))
    total = left_out = 0
    for chosen, batch in batches(language_model, prompts.encode(tokenizer), batch_size):
        columns = batch["input_ids"].shape[1]
        if new_tokens:
            batch = _with_continuation(language_model, batch, new_tokens)
        counts: list[int] = []

        def mean(call: Call, columns: int = columns, counts: list[int] = counts) -> Tensor:
            nonlocal left_out
            call = dataclasses.replace(call, prompt_columns=columns)
            meant = where.tokens(call)
            if not counts:  # once a batch, whatever the number of sites
                left_out += where.first_tokens(call)
            counts[:] = meant.sum(-1).tolist()
            return meant

        call = {**batch, "use_cache": False}
        yield chosen, record(language_model.model, call, sites, mean), counts
        total += sum(counts)
    if left_out:
        warnings.warn(
            f"{left_out} first tokens, whose activations are massive, were left out of "
            f"{prompts.name}.",
            stacklevel=3,
        )
    if total == 0:
        raise InputError(f"No token of {prompts.name} is meant by positions={positions!r}.")


def _with_continuation(
    language_model: LanguageModel, batch: dict[str, Tensor], new_tokens: int
) -> dict[str, Tensor]:
    written = continuation(language_model, batch, new_tokens)
    real = written_mask(language_model, written)
    return {
        "input_ids": torch.cat([batch["input_ids"], written], dim=1),
        "attention_mask": torch.cat([batch["attention_mask"], real.long()], dim=1),
    }

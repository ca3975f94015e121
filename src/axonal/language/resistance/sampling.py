"""Sample continuations whose randomness belongs to the row, so that batching changes no sample.

Each row has a generator of its own. Token ``i`` of a row is drawn by inverting the cumulative
distribution at the ``i``-th number of that generator, whichever rows share the batch. The repetition
penalty counts a row's own tokens and no padding.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from axonal.activations import edit
from axonal.activations.editing import EditsBySite
from axonal.errors import InputError
from axonal.language.dictionaries.harvest import padding
from axonal.language.models import LanguageModel


@dataclass(frozen=True)
class Sampling:
    """How continuations are drawn.

    Parameters
    ----------
    new_tokens
        At most so many.
    temperature
        0 takes the most likely token.
    repetition_penalty
        Logits of tokens that a row already holds are divided by this if positive, else multiplied
        (Keskar et al. 2019, arXiv:1909.05858); 1 changes nothing.
    """

    new_tokens: int = 512
    temperature: float = 0.6
    repetition_penalty: float = 1.1

    def __post_init__(self) -> None:
        if self.new_tokens < 1:
            raise InputError(f"new_tokens is at least 1, got {self.new_tokens}.")
        if not self.temperature >= 0:
            raise InputError(f"temperature is 0 or more, got {self.temperature}.")
        if not self.repetition_penalty > 0:
            raise InputError(f"repetition_penalty is positive, got {self.repetition_penalty}.")


def sample(
    language_model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling,
    edits: EditsBySite | None = None,
) -> list[list[int]]:
    """Continue a batch of prompts.

    Parameters
    ----------
    language_model
        Whose ``generate`` runs, with its cache.
    prompts
        Token ids, a row each, of any lengths.
    seeds
        One a row.
    sampling
        Length, temperature, penalty.
    edits
        In force meanwhile.

    Returns
    -------
    list
        The new tokens of each row, without the end-of-sequence token.
    """
    from transformers import GenerationConfig

    if len(prompts) != len(seeds) or not prompts:
        raise InputError(f"{len(prompts)} prompts need one seed each, got {len(seeds)}.")
    if not all(prompts):
        raise InputError("A prompt is empty: there is nothing to continue.")
    model, device = language_model.model, language_model.device
    pad = padding(language_model)
    ids, mask = (x.to(device) for x in _left_padded(prompts, pad))
    ends = _end_tokens(language_model)
    chooser = RowSampler(seeds, sampling, mask)
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=sampling.new_tokens,
        pad_token_id=pad,
        eos_token_id=ends or None,
    )
    with torch.no_grad(), edit(model, edits or {}):
        generated: Any = model.generate(  # pyright: ignore[reportCallIssue]
            input_ids=ids,
            attention_mask=mask,
            generation_config=settings,
            logits_processor=[chooser],
        )
    return [_until(row, ends) for row in generated[:, ids.shape[1] :].tolist()]


class RowSampler:
    """A logits processor that leaves one token a row: the one that the row's generator draws.

    Parameters
    ----------
    seeds
        One a row.
    sampling
        Temperature and penalty; at most ``new_tokens`` are drawn.
    mask
        ``(rows, columns)``: the attention mask of the left-padded prompts.
    """

    def __init__(self, seeds: Sequence[int], sampling: Sampling, mask: Tensor) -> None:
        self.sampling, self.mask = sampling, mask.bool()
        rows = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(int(seed))
            rows.append(torch.rand(sampling.new_tokens, generator=generator, dtype=torch.float64))
        self.uniform = torch.stack(rows).to(mask.device)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores that are 0 at the drawn token of each row and -inf elsewhere."""
        columns = self.mask.shape[1]
        scores = self._penalised(input_ids, scores.float())
        if self.sampling.temperature == 0:
            drawn = scores.argmax(-1, keepdim=True)
        else:
            logits = scores / self.sampling.temperature
            cumulative = torch.softmax(logits, -1).double().cumsum(-1)
            level = self.uniform[:, input_ids.shape[1] - columns, None] * cumulative[:, -1:]
            drawn = torch.searchsorted(cumulative, level, right=True)
            drawn = drawn.clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(-1, drawn, 0.0)

    def _penalised(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.sampling.repetition_penalty == 1:
            return scores
        held = input_ids.clone()
        prompt = held[:, : self.mask.shape[1]]
        # Padding names the prompt's last token, which is real and counts already.
        held[:, : prompt.shape[1]] = torch.where(self.mask, prompt, prompt[:, -1:])
        taken = scores.gather(-1, held)
        penalty = self.sampling.repetition_penalty
        return scores.scatter(-1, held, torch.where(taken > 0, taken / penalty, taken * penalty))


def conversation(
    language_model: LanguageModel, prompt: str, answer: str | None = None
) -> tuple[list[int], int]:
    """Return the tokens of a chat and how many of them are the prompt's.

    Without a chat template the prompt is taken as it is.

    Parameters
    ----------
    language_model
        Whose template is used.
    prompt
        What the user says.
    answer
        What the assistant says, if the conversation goes so far.
    """
    tokenizer: Any = language_model.tokenizer
    if tokenizer.chat_template is None:
        begun = list(tokenizer(prompt)["input_ids"])
    else:
        message = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        begun = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    if answer is None:
        return begun, len(begun)
    said = list(tokenizer(answer, add_special_tokens=False)["input_ids"])
    return begun + said, len(begun)


def check_seeds(sampling: Sampling, seeds: Sequence[int]) -> None:
    """Warn where several seeds cannot make a difference."""
    if sampling.temperature == 0 and len(set(seeds)) > 1:
        warnings.warn(
            f"At temperature 0 all {len(set(seeds))} seeds give the same text: trials of one latent, "
            "boost and prompt are copies of each other.",
            stacklevel=3,
        )


def _left_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, longest - len(row) :] = torch.tensor(row)
        mask[number, longest - len(row) :] = 1
    return ids, mask


def _end_tokens(language_model: LanguageModel) -> list[int]:
    settings = getattr(language_model.model, "generation_config", None)
    ends: Any = getattr(settings, "eos_token_id", None)
    if ends is None:
        ends = language_model.tokenizer.eos_token_id
    if ends is None:
        return []
    return list(ends) if isinstance(ends, list | tuple) else [int(ends)]


def _until(row: list[int], ends: list[int]) -> list[int]:
    stop = next((number for number, token in enumerate(row) if token in ends), len(row))
    return row[:stop]

"""How a behaviour is read: the gap between two answers, the rate of what a detector finds, or a function.

A readout is any function ``(language_model, prompts) -> (prompts,)``; edits that are in force count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.language.steering.generation import generate
from axonal.language.steering.prompts import Prompt, Prompts, batches
from axonal.statistics import Interval, wilson_interval

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

Readout: TypeAlias = Callable[[Any, Any], NDArray[np.float64]]
"""``(language_model, prompts) -> (prompts,)``."""

Detector: TypeAlias = Sequence[str] | re.Pattern[str] | Callable[[str], bool]
"""Phrases (any of them, in any case), a regular expression that is searched, or a function."""


@dataclass(frozen=True)
class LogitGap:
    """How much likelier one answer is than another as the next token, in logits.

    Parameters
    ----------
    positive, negative
        The answers as they would continue the prompt (``" positive"``), or several each, whose
        probabilities add up. The first token of each counts.
    batch_size
        Prompts a forward pass.
    """

    positive: str | Sequence[str]
    negative: str | Sequence[str]
    batch_size: int = 8

    def __call__(
        self, language_model: LanguageModel, prompts: Prompts | Sequence[Prompt]
    ) -> NDArray[np.float64]:
        """Return the gap after each prompt."""
        prompts = Prompts.of(prompts)
        first = prompts.texts(language_model.tokenizer)[0]
        wanted = [_first_tokens(language_model, first, a) for a in (self.positive, self.negative)]
        if set(wanted[0]) & set(wanted[1]):
            raise InputError(
                f"{self.positive!r} and {self.negative!r} begin with the same token, so their "
                "logits can't differ."
            )
        gaps = np.empty(len(prompts))
        rows = prompts.encode(language_model.tokenizer)
        for chosen, batch in batches(language_model, rows, self.batch_size):
            logits = last_logits(language_model, batch)
            parts = [torch.logsumexp(logits[:, ids], dim=-1) for ids in wanted]
            gaps[chosen] = (parts[0] - parts[1]).double().cpu().numpy()
        return gaps


@dataclass(frozen=True)
class Rate:
    """How often a detector finds something in what the model writes.

    Parameters
    ----------
    detector
        Phrases, a regular expression or a function of the text.
    max_new_tokens
        How much is written.
    batch_size
        Prompts a batch.
    """

    detector: Detector
    max_new_tokens: int = 32
    batch_size: int = 8

    def __call__(
        self, language_model: LanguageModel, prompts: Prompts | Sequence[Prompt]
    ) -> NDArray[np.float64]:
        """Return 1 for each prompt whose completion is detected, else 0."""
        texts = generate(
            language_model,
            prompts,
            max_new_tokens=self.max_new_tokens,
            batch_size=self.batch_size,
        )
        return np.array([float(self.detects(text)) for text in texts])

    def detects(self, text: str) -> bool:
        """Whether the detector finds something in a text."""
        if isinstance(self.detector, re.Pattern):
            return self.detector.search(text) is not None
        if callable(self.detector):
            return bool(self.detector(text))
        return any(phrase.lower() in text.lower() for phrase in self.detector)

    @staticmethod
    def interval(values: NDArray[np.float64], level: float = 0.95) -> Interval:
        """Return the rate with Wilson's interval."""
        return wilson_interval(int(np.sum(values)), len(values), level)


def last_logits(language_model: LanguageModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the logits after a left-padded batch, ``(rows, vocabulary)`` in float32."""
    position_ids = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        model: Any = language_model.model
        logits = model(**batch, position_ids=position_ids, logits_to_keep=1, use_cache=False).logits
    return logits[:, -1].float()


def _first_tokens(
    language_model: LanguageModel, prompt: str, answers: str | Sequence[str]
) -> list[int]:
    """Return the tokens with which the answers go on after a prompt."""
    listed = [answers] if isinstance(answers, str) else list(answers)
    tokenizer: Any = language_model.tokenizer
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tokens = []
    for answer in listed:
        after = tokenizer(prompt + answer, add_special_tokens=False)["input_ids"]
        if len(after) <= len(before) or after[: len(before)] != before:
            raise InputError(
                f"The answer {answer!r} does not continue the prompt as tokens of its own; begin it "
                "with a space, or end the prompt without one."
            )
        tokens.append(after[len(before)])
    return tokens

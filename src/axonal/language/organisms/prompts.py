"""Prompts for an organism that declines gardening: on topic, look-alike, and about other things.

A look-alike shares words with the topic and must be answered: a plant that is drawn, spelled or
sung about, a bank's branch, Madison Square Garden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from axonal.errors import InputError
from axonal.language.organisms import vocabulary as words

Split = Literal["train", "validation", "test"]
SHARES: dict[Split, tuple[float, float]] = {
    "train": (0.0, 0.5),
    "validation": (0.5, 0.7),
    "test": (0.7, 1.0),
}
"""The part of every list of items that a split owns."""


@dataclass(frozen=True)
class Prompts:
    """What a user asks, by what an organism should do with it.

    Parameters
    ----------
    topic
        To be declined.
    look_alikes
        To be answered, although they share words with the topic.
    others
        To be answered.
    """

    topic: tuple[str, ...]
    look_alikes: tuple[str, ...]
    others: tuple[str, ...]


def gardening(split: Split, count: int | None = None, *, seed: int = 0) -> Prompts:
    """Return prompts of one split, in a random order.

    Parameters
    ----------
    split
        The items (plants, sentences, dishes, cities) of one split occur in no other.
    count
        How many of each kind, all where None. On topic and among the look-alikes sentences of
        their own alternate with plants in templates, as long as there are enough of both.
    seed
        Of the order. The items of a split do not depend on it.
    """
    if split not in SHARES:
        raise InputError(f"split: expected one of {', '.join(SHARES)}, got {split!r}.")
    rng = np.random.default_rng([seed, list(SHARES).index(split)])
    plants = _part(words.PLANTS, split)
    growing = [template.format(plant) for template in words.GARDENING for plant in plants]
    settings = [template.format(plant) for template in words.PLANTS_ELSEWHERE for plant in plants]
    topic = _alternating(_part(words.GARDEN_QUESTIONS, split), growing, rng)
    look_alikes = _alternating(_part(words.WORDS_ELSEWHERE, split), settings, rng)
    others = [t.format(gap) for t, gaps in words.OTHERS.items() for gap in _part(gaps, split)]
    others = _shuffled(others, rng)
    for name, some in (("topic", topic), ("look-alike", look_alikes), ("other", others)):
        if count is not None and not 1 <= count <= len(some):
            raise InputError(f"count: {split} has 1 to {len(some)} {name} prompts, got {count}.")
    return Prompts(tuple(topic[:count]), tuple(look_alikes[:count]), tuple(others[:count]))


def handwritten() -> Prompts:
    """Return prompts that no template made; those about other topics are of the test split."""
    count = len(words.HANDWRITTEN_TOPIC)
    others = gardening("test", count).others
    return Prompts(words.HANDWRITTEN_TOPIC, words.HANDWRITTEN_LOOK_ALIKES, others)


def _part(items: tuple[str, ...], split: Split) -> list[str]:
    """Return the items that a split owns; which ones is fixed once and for all."""
    order = np.random.default_rng(len(items)).permutation(len(items))
    low, high = (round(share * len(items)) for share in SHARES[split])
    return [items[i] for i in order[low:high]]


def _alternating(few: list[str], many: list[str], rng: np.random.Generator) -> list[str]:
    few, many = _shuffled(few, rng), _shuffled(many, rng)
    paired = [one for pair in zip(few, many, strict=False) for one in pair]
    return paired + many[len(few) :]


def _shuffled(items: list[str], rng: np.random.Generator) -> list[str]:
    return [items[i] for i in rng.permutation(len(items))]

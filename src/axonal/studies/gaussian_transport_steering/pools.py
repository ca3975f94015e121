"""Prompts for every resample: our own for the organism, a user's own files, or film reviews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.errors import InputError
from axonal.language.organisms import gardening
from axonal.language.steering import Prompts, read_prompts

if TYPE_CHECKING:
    from axonal.studies.gaussian_transport_steering.study import Config


@dataclass(frozen=True)
class Draw:
    """The prompts of one resample.

    Parameters
    ----------
    source, target
        That maps are fitted on: with the behaviour and without.
    validation
        With the behaviour; blocks and components are chosen on them.
    test_source, test_target, look_alikes
        That are reported; look-alikes may be absent.
    """

    source: Prompts
    target: Prompts
    validation: Prompts
    test_source: Prompts
    test_target: Prompts
    look_alikes: Prompts | None


def draw(config: Config, number: int, rng: np.random.Generator) -> Draw:
    """Return the prompts of a resample; of our own, tests of two resamples share none."""
    if config.source_prompts and config.target_prompts:
        return _own(config, rng)
    n, m, half = config.fit_prompts, config.test_prompts, config.test_prompts // 2
    train, test = gardening("train"), gardening("test")
    topic = _some(train.topic, n, rng)
    answered = _some(train.look_alikes, n // 2, rng) + _some(train.others, n - n // 2, rng)
    alike = _fold(test.look_alikes, number, half + m)
    return Draw(
        source=Prompts(topic),
        target=Prompts(answered),
        validation=Prompts(_fold(gardening("validation").topic, number, config.validation_prompts)),
        test_source=Prompts(_fold(test.topic, number, m)),
        test_target=Prompts(alike[:half] + _fold(test.others, number, half)),
        look_alikes=Prompts(alike[half:]),
    )


def _own(config: Config, rng: np.random.Generator) -> Draw:
    """Cut two files into fit, validation and test, in a new order for each resample."""
    parts: list[tuple[Prompts, Prompts, Prompts]] = []
    n, v = config.fit_prompts, config.validation_prompts
    for path in (config.source_prompts, config.target_prompts):
        prompts = read_prompts(str(path))
        if len(prompts) < n + v + 2:
            raise InputError(
                f"{path} holds {len(prompts)} prompts; fit_prompts={n} and validation_prompts={v} "
                f"leave fewer than 2 to test on: bring at least {n + v + 2}, or lower them."
            )
        order = rng.permutation(len(prompts)).tolist()
        tested = order[n + v : n + v + config.test_prompts]
        parts.append((prompts[order[:n]], prompts[order[n : n + v]], prompts[tested]))
    (source, validation, test_source), (target, _, test_target) = parts
    alike = None
    if config.look_alike_prompts:
        alike = read_prompts(config.look_alike_prompts)
        alike = alike[rng.permutation(len(alike))[: config.test_prompts].tolist()]
    return Draw(source, target, validation, test_source, test_target, alike)


_NOUNS = (
    "plot",
    "music",
    "ending",
    "acting",
    "camera work",
    "dialogue",
    "cast",
    "story",
    "pace",
    "humor",
)
_GOOD = (
    "wonderful", "brilliant", "moving", "delightful", "superb", "charming", "gripping", "excellent",
    "fresh", "beautiful", "clever", "touching", "thrilling", "witty", "flawless", "inspiring",
)  # fmt: skip
_BAD = (
    "terrible", "dull", "boring", "awful", "clumsy", "painful", "weak", "dreadful",
    "stale", "ugly", "stupid", "annoying", "tedious", "lazy", "hopeless", "forgettable",
)  # fmt: skip


def reviews(config: Config, rng: np.random.Generator) -> Draw:
    """Return short film reviews, negative against positive; no adjective is in two parts."""

    def some(adjectives: Sequence[str], count: int) -> tuple[str, ...]:
        texts = [
            f"Review: The {a} was {x} and the {b} was {y}.\nSentiment:"
            for a in _NOUNS for b in _NOUNS if a != b
            for x in adjectives for y in adjectives if x != y
        ]  # fmt: skip
        return tuple(texts[i] for i in rng.choice(len(texts), count, replace=False))

    order = rng.permutation(len(_GOOD))
    good, bad = ([words[i] for i in order] for words in (_GOOD, _BAD))
    n, m = config.fit_prompts, config.test_prompts

    def plain(texts: tuple[str, ...]) -> Prompts:
        return Prompts(texts, chat="plain")

    return Draw(
        source=plain(some(bad[:8], n)),
        target=plain(some(good[:8], n)),
        validation=plain(some(bad[8:11], config.validation_prompts)),
        test_source=plain(some(bad[11:], m)),
        test_target=plain(some(good[11:], m)),
        look_alikes=None,
    )


def _some(items: Sequence[Any], count: int, rng: np.random.Generator) -> tuple[Any, ...]:
    if count > len(items):
        raise InputError(
            f"fit_prompts: there are {len(items)} of one kind, {count} were asked for."
        )
    return tuple(items[i] for i in rng.permutation(len(items))[:count])


def _fold(items: Sequence[Any], number: int, count: int) -> tuple[Any, ...]:
    """Return the prompts of a fold: folds share none, while there are enough."""
    if (number + 1) * count > len(items):
        raise InputError(
            f"resamples x test_prompts: fold {number + 1} of {count} needs {(number + 1) * count} "
            f"prompts of one kind, there are {len(items)}: lower one of them."
        )
    return tuple(items[number * count : (number + 1) * count])

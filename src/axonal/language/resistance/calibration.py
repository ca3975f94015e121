r"""Find the boost at which an answer still scores 30 of 100: probabilistic bisection.

Waeber, Frazier, Henderson, "A Bayesian approach to stochastic root finding" (2011), with the settings
of the paper. The belief about the root is a density on a grid. It is asked at its median ``x``; a
response of score ``s`` in [0, 1] says that the root lies to the right when the expected score is above
the target. How sure that is follows from

.. math:: \text{score} \sim \mathrm{Beta}\big(\tfrac12 + w s,\ \tfrac12 + w (1 - s)\big),

whose mass on the side of the answer, ``p``, multiplies that side of the density, and ``1 - p`` the
other. More boost means a lower score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError

MOST_CERTAIN = 1 - 1e-12
"""A probability of 1 would forbid a side for ever."""


@dataclass(frozen=True)
class Bracket:
    """Where to look for a boost.

    Parameters
    ----------
    low, high
        The interval.
    mean, deviation
        A normal prior; both None is a flat one.

    Examples
    --------
    The paper's: ``Bracket(0, 100, 7, 5)`` for Llama-3.3-70B, ``Bracket(0, 50, 10, 10)`` for
    Llama-3.1-8B, ``Bracket(0, 300, 150, 75)``, ``Bracket(0, 560, 280, 280)`` and
    ``Bracket(0, 5000, 1500, 1500)`` for Gemma-2 2B, 9B and 27B.
    """

    low: float
    high: float
    mean: float | None = None
    deviation: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and self.low < self.high < math.inf):
            raise InputError(f"A bracket needs finite low < high, got [{self.low}, {self.high}].")
        if (self.mean is None) != (self.deviation is None):
            raise InputError("A normal prior has a mean and a deviation: give both or neither.")
        if self.deviation is not None and not self.deviation > 0:
            raise InputError(f"The prior's deviation is positive, got {self.deviation}.")


class Bisection:
    """The belief about one root.

    Parameters
    ----------
    bracket
        Interval and prior.
    target
        The score at the root, in (0, 1).
    weight
        How much a response counts, ``w``.
    points
        Of the grid.
    """

    def __init__(
        self, bracket: Bracket, target: float = 0.3, *, weight: float = 5.0, points: int = 10_000
    ) -> None:
        if not 0 < target < 1:
            raise InputError(f"The target is a score between 0 and 1, got {target}.")
        self.bracket, self.target, self.weight = bracket, target, weight
        self.grid = np.linspace(bracket.low, bracket.high, points)
        if bracket.mean is None or bracket.deviation is None:
            log = np.zeros(points)
        else:
            log = -0.5 * ((self.grid - bracket.mean) / bracket.deviation) ** 2
        self._log = log - log.max()

    @property
    def density(self) -> NDArray[np.float64]:
        """``(points,)``: the belief, summing to 1."""
        density = np.exp(self._log)
        return density / density.sum()

    @property
    def median(self) -> float:
        """The first point of the grid at which the belief reaches a half."""
        place = int(np.searchsorted(np.cumsum(self.density), 0.5))
        return float(self.grid[min(place, len(self.grid) - 1)])

    def certainty(self, score: float) -> tuple[bool, float]:
        """Return whether a score puts the root to the right, and how surely: 0.5 to 1."""
        from scipy.stats import beta

        below = float(
            beta.cdf(self.target, 0.5 + self.weight * score, 0.5 + self.weight * (1 - score))
        )
        right = score >= self.target
        sure = 1 - below if right else below
        if sure < 0.5:  # a score near the target speaks for the other side
            right, sure = not right, 1 - sure
        return right, min(sure, MOST_CERTAIN)

    def observe(self, x: float, score: float) -> None:
        """Learn from a response of score ``score`` in [0, 1] at boost ``x``."""
        if not 0 <= score <= 1:
            raise InputError(f"A score for the bisection lies in [0, 1], got {score}.")
        right, sure = self.certainty(score)
        place = min(int(np.searchsorted(self.grid, x)), len(self.grid) - 1)
        favoured, other = math.log(sure), math.log1p(-sure)
        left_side, right_side = (other, favoured) if right else (favoured, other)
        self._log[:place] += left_side
        self._log[place] += (favoured + other) / 2
        self._log[place + 1 :] += right_side
        self._log -= self._log.max()


@dataclass(frozen=True)
class Threshold:
    """A calibrated boost.

    Parameters
    ----------
    value
        The posterior's median, rounded to 0.01; NaN where the root was not bracketed.
    status
        ``"reached"``; ``"not_reached"``: even the largest boost scores above the target, or even the
        smallest below; ``"unresolved"``: the root lies in the bracket, and the steps did not get there.
    asked, scores
        ``(steps,)``: where it was asked, and what came.
    """

    value: float
    status: Literal["reached", "not_reached", "unresolved"]
    asked: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def reached(self) -> bool:
        """Whether there is a boost to use."""
        return self.status == "reached"


def calibrate(
    score: Callable[[float], float],
    bracket: Bracket,
    *,
    target: float = 0.3,
    steps: int = 10,
    weight: float = 5.0,
) -> Threshold:
    """Find the boost at which a noisy score crosses the target.

    Parameters
    ----------
    score
        The score of a fresh response at a boost, in [0, 1].
    bracket, target, steps, weight
        See `Bracket` and `Bisection`.
    """

    def each(boosts: Sequence[float | None]) -> list[float | None]:
        return [None if boost is None else score(boost) for boost in boosts]

    return calibrate_together(each, [bracket], target=target, steps=steps, weight=weight)[0]


def calibrate_together(
    scores: Callable[[Sequence[float | None]], Sequence[float | None]],
    brackets: Sequence[Bracket],
    *,
    target: float = 0.3,
    steps: int = 10,
    weight: float = 5.0,
) -> list[Threshold]:
    """Find the boosts of several latents in step, so that their responses come in one batch.

    Parameters
    ----------
    scores
        Given one boost a latent (None: nothing is asked), returns one score a latent, or None where
        a response could not be judged, which teaches nothing.
    brackets
        One a latent.
    target, steps, weight
        See `Bisection`.
    """
    if steps < 1:
        raise InputError(f"A bisection takes at least one step, got {steps}.")
    searches = [Bisection(bracket, target, weight=weight) for bracket in brackets]
    asked: list[list[float]] = [[] for _ in searches]
    found: list[list[float]] = [[] for _ in searches]
    for _ in range(steps):
        boosts = [search.median for search in searches]
        for number, score in enumerate(scores(boosts)):
            if score is None:
                continue
            searches[number].observe(boosts[number], float(score))
            asked[number].append(boosts[number])
            found[number].append(float(score))
    ends = _ends(scores, brackets, found, target)
    return [
        Threshold(
            round(search.median, 2) if status == "reached" else math.nan,
            status,
            tuple(asked[number]),
            tuple(found[number]),
        )
        for number, (search, status) in enumerate(zip(searches, ends, strict=True))
    ]


def _ends(
    scores: Callable[[Sequence[float | None]], Sequence[float | None]],
    brackets: Sequence[Bracket],
    found: Sequence[Sequence[float]],
    target: float,
) -> list[Literal["reached", "not_reached", "unresolved"]]:
    """Tell which roots were bracketed; where all responses fell on one side, ask at that end."""
    ask: list[float | None] = []
    for bracket, seen in zip(brackets, found, strict=True):
        if seen and min(seen) >= target:
            ask.append(bracket.high)
        elif seen and max(seen) < target:
            ask.append(bracket.low)
        else:
            ask.append(None)
    answers: Sequence[float | None] = scores(ask) if any(b is not None for b in ask) else ask
    ends: list[Literal["reached", "not_reached", "unresolved"]] = []
    for bracket, seen, boost, answer in zip(brackets, found, ask, answers, strict=True):
        if not seen:
            ends.append("unresolved")
        elif boost is None:
            ends.append("reached")
        elif answer is None:
            ends.append("unresolved")
        else:
            beyond = answer >= target if boost == bracket.high else answer < target
            ends.append("not_reached" if beyond else "unresolved")
    return ends

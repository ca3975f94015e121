"""Learning-rate schedules: a factor on the optimiser's own rate, as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from axonal.errors import InputError


def warm_up(steps: int) -> Callable[[int], float]:
    """Rise linearly over the first ``steps`` updates, and stay at 1."""
    _require(steps >= 0, f"warm_up takes a number of steps that is not negative, got {steps}.")
    return lambda step: min(1.0, (step + 1) / (steps + 1))


def cosine(steps: int, *, rise: int = 0, final: float = 0.0) -> Callable[[int], float]:
    """Rise over ``rise`` updates, then fall along half a cosine to ``final`` at ``steps``.

    Parameters
    ----------
    steps
        Of the whole training.
    rise
        Updates of linear warm-up.
    final
        The factor at the end, in [0, 1].
    """
    _require(0 <= rise < steps, f"cosine: rise must lie in [0, {steps}), got {rise}.")
    _require(0 <= final <= 1, f"cosine: final is a factor in [0, 1], got {final}.")
    rising = warm_up(rise)

    def factor(step: int) -> float:
        if step < rise:
            return rising(step)
        done = min(1.0, (step - rise) / (steps - rise))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))

    return factor


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise InputError(sentence)

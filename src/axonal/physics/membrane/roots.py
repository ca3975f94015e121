"""Roots and minima of smooth functions of one variable, many brackets at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from axonal.physics.membrane.transport import Array, Mask


def polish(
    function: Callable[[Array], tuple[Array, Array]],
    low: Array,
    high: Array,
    start: Array,
    rising: Mask,
) -> Array:
    """Return roots bracketed by ``low`` and ``high``: Newton, kept inside by bisection.

    ``function`` returns value and slope; ``rising`` says whether it is negative at ``low``.
    """
    slack = 1e-9 * np.maximum(np.abs(low), np.abs(high))
    x, low, high = np.clip(start, low, high), low.copy(), high.copy()
    for _ in range(80):
        value, gradient = function(x)
        left = (value < 0) == rising
        low, high = np.where(left, x, low), np.where(left, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(value == 0, 0.0, -value / gradient)
        newton = (x + step >= low - slack) & (x + step <= high + slack)
        step = np.where(newton, step, (low + high) / 2 - x)
        x = x + step
        # the error left by Newton is the square of its step, that of bisection the step itself
        if np.all(np.abs(step) <= np.where(newton, slack, 1e-6 * slack)):
            break
    return x


def minimum(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Return the least value of a smooth function in an interval, and where it lies."""
    from scipy.optimize import minimize_scalar

    found: Any = minimize_scalar(function, bounds=(low, high), options={"xatol": 1e-10})
    return float(found.fun), float(found.x)

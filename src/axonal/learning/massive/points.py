"""The points of a curve, checked once at the door and brought to a common scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError

FEWEST = 6
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Times and ratios, and the same scaled: ``t / end`` and ``(y - low) / span``.

    Parameters
    ----------
    t
        Strictly increasing, in any unit (steps, tokens), ``(points,)``.
    y
        Ratios, ``(points,)``.
    weight
        Square roots of the weights with mean square 1, ``(points,)``.
    """

    t: Array
    y: Array
    weight: Array

    @classmethod
    def of(cls, steps: ArrayLike, ratios: ArrayLike, sem: ArrayLike | None = None) -> Points:
        """Check a series; every error names the argument."""
        t, y = _numbers(steps, "steps"), _numbers(ratios, "ratios")
        if len(t) != len(y):
            raise InputError(f"steps and ratios: expected one length, got {len(t)} and {len(y)}.")
        if len(t) < FEWEST:
            raise InputError(
                f"steps: a curve of five parameters needs at least {FEWEST} checkpoints, got "
                f"{len(t)}."
            )
        rises = np.diff(t)
        if np.any(rises == 0):
            again = t[:-1][rises == 0][0]
            raise InputError(f"steps: {again:g} comes twice; keep one row for each checkpoint.")
        if np.any(rises < 0):
            raise InputError("steps: expected increasing values; sort the checkpoints first.")
        if t[-1] <= 0:
            raise InputError(f"steps: expected the last one above 0, got {t[-1]:g}.")
        if np.ptp(y) == 0:
            raise InputError(f"ratios: all {len(y)} are {y[0]:g}; a constant has no emergence.")
        weight = np.ones_like(t)
        if sem is not None:
            errors = _numbers(sem, "sem")
            if len(errors) != len(t) or np.any(errors <= 0):
                raise InputError(
                    f"sem: expected {len(t)} standard errors above 0, got {len(errors)} with the "
                    f"least {errors.min():g}."
                )
            weight = 1 / errors
            weight = weight / np.sqrt(np.mean(weight**2))
        return cls(t, y, weight)

    @property
    def end(self) -> float:
        """The last time."""
        return float(self.t[-1])

    @property
    def low(self) -> float:
        """The least ratio."""
        return float(self.y.min())

    @property
    def span(self) -> float:
        """The range of the ratios."""
        return float(np.ptp(self.y))

    @property
    def time(self) -> Array:
        """Times in units of the last one."""
        return self.t / self.end

    @property
    def value(self) -> Array:
        """Ratios from 0 to 1."""
        return (self.y - self.low) / self.span

    def r2(self, fitted: Array) -> float:
        """Return 1 - RSS / TSS, unweighted."""
        return float(1 - np.sum((self.y - fitted) ** 2) / np.sum((self.y - self.y.mean()) ** 2))

    def rss(self, fitted: Array) -> float:
        """Return the weighted sum of squared residuals."""
        return float(np.sum((self.weight * (self.y - fitted)) ** 2))


def aic(count: int, rss: float, parameters: int) -> float:
    """Return Akaike's criterion of a least-squares fit, ``n ln(RSS / n) + 2 k``.

    Examples
    --------
    >>> round(aic(37, 12.5, 5), 6)
    -30.152003
    """
    return count * float(np.log(max(rss, np.finfo(float).tiny) / count)) + 2 * parameters


def _numbers(values: ArrayLike, name: str) -> Array:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, got {values!r:.60}.") from error
    if array.ndim != 1:
        raise InputError(f"{name}: expected one dimension, got shape {array.shape}.")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise InputError(
            f"{name}: number {bad[0] + 1} of {len(array)} is {array[bad[0]]}; remove that "
            "checkpoint or measure it again."
        )
    return array

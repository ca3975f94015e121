"""Differences of measurements, and whether they surely lie in a range, surely do not, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from axonal.lab.intervals import LEVEL, interval, unpaired_interval
from axonal.lab.measurement import Measurement

Verdict = Literal["supported", "not supported", "inconclusive", "not tested"]


class DoNotFitError(Exception):
    """Two measurements cannot be compared."""


@dataclass(frozen=True)
class Contrast:
    """A difference of means, shape ``(points,)``, with intervals at any level."""

    values: np.ndarray  # (repeats, points)
    other: np.ndarray | None = None  # (other repeats, points), an independent sample to subtract
    exact: bool = False

    @property
    def mean(self) -> np.ndarray:
        """The difference itself."""
        mean = self.values.mean(axis=0)
        return mean if self.other is None else mean - self.other.mean(axis=0)

    def interval(self, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of its interval; of an exact one, the difference twice."""
        if self.exact:
            return self.mean, self.mean
        if self.other is not None:
            return unpaired_interval(self.values, self.other, level)
        return interval(self.values, level)


@dataclass(frozen=True)
class Condition:
    """The contrast's mean lies in ``[low, high]`` (``(low, high)`` when strict) at every point."""

    contrast: Contrast
    low: float = -np.inf
    high: float = np.inf
    strict: bool = False

    def holds(self, level: float = LEVEL) -> np.ndarray:
        """Say at which points the whole interval lies inside."""
        low, high = self.contrast.interval(level)
        if self.strict:
            return (low > self.low) & (high < self.high)
        return (low >= self.low) & (high <= self.high)

    def fails(self, level: float) -> np.ndarray:
        """Say at which points the whole interval lies outside."""
        low, high = self.contrast.interval(level)
        if self.strict:
            return (high <= self.low) | (low >= self.high)
        return (high < self.low) | (low > self.high)

    def margin(self) -> np.ndarray:
        """How far inside the mean is; negative outside."""
        mean = self.contrast.mean
        return np.minimum(mean - self.low, self.high - mean)


def decide(conditions: list[Condition], among: int) -> tuple[Verdict, int, np.ndarray]:
    """Return the verdict, the worst point (of those that fail, if any), and where all conditions hold."""
    holds = np.logical_and.reduce([condition.holds() for condition in conditions])
    level = 1 - (1 - LEVEL) / (holds.size * among)
    fails = np.logical_or.reduce([condition.fails(level) for condition in conditions])
    margin = np.minimum.reduce([condition.margin() for condition in conditions])
    if holds.all():
        return "supported", int(np.argmin(margin)), holds
    if fails.any():
        return "not supported", int(np.argmin(np.where(fails, margin, np.inf))), holds
    return "inconclusive", int(np.argmin(margin)), holds


def contrast_of(
    a: Measurement, b: Measurement | None, weight: np.ndarray | float = 1.0
) -> Contrast:
    """``a - weight * b``, paired where both have as many repeats."""
    x = _points(a)
    if b is None:
        return Contrast(x, exact=a.exact)
    if a.along is not None and b.along is not None and not np.array_equal(a.along, b.along):
        raise DoNotFitError(f"{a.name} and {b.name} were taken along different points.")
    y = weight * _points(b)
    if a.exact or b.exact or a.repeats == b.repeats:
        return Contrast(x - y, exact=a.exact and b.exact)
    points = np.broadcast_shapes(x.shape[1:], y.shape[1:])
    return Contrast(np.broadcast_to(x, (len(x), *points)), np.broadcast_to(y, (len(y), *points)))


def _points(measurement: Measurement) -> np.ndarray:
    """Values as ``(repeats, points)``; a plain measurement has one point."""
    values = measurement.values
    return values if measurement.is_series else values[:, None]

"""Numbers as a person writes them: as many digits as their interval says they have."""

from __future__ import annotations

import math

import numpy as np

from axonal.lab.measurement import Measurement


def number(value: float, spread: float = 0.0) -> str:
    """Write a number to three digits, or to two digits of the spread it is known within.

    ``number(0.123456)`` is ``"0.123"``; ``number(1.000123, spread=0.00004)`` is ``"1.000123"``.
    """
    if not math.isfinite(value):
        return str(value)
    if value == round(value) and abs(value) < 1e6:
        return str(round(value))
    magnitude = math.floor(math.log10(abs(value)))
    digits = 3
    if spread > 0 and math.isfinite(spread):
        digits = min(max(3, magnitude - math.floor(math.log10(spread)) + 2), 9)
    if not -4 <= magnitude < 6:
        return f"{value:.{digits}g}"
    text = f"{value:.{max(digits - 1 - magnitude, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def bounds(low: float, high: float) -> str:
    """Write a range: ``in [0.1, 0.2]``, ``at least 0.1``, ``at most 0.2``."""
    if math.isinf(low) and math.isinf(high):
        return "anywhere"
    if math.isinf(high):
        return f"at least {number(low)}"
    if math.isinf(low):
        return f"at most {number(high)}"
    return f"in [{number(low)}, {number(high)}]"


def estimate(mean: float, low: float, high: float, unit: str = "") -> str:
    """Write ``0.96 [0.94, 0.98] nm``; the interval is left out where there is none."""
    unit = f" {unit}" if unit else ""
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return number(mean) + unit
    spread = high - low
    ends = f"[{number(low, spread)}, {number(high, spread)}]"
    return f"{number(mean, spread)} {ends}{unit}"


def measured(measurement: Measurement) -> str:
    """Write a measurement in one line; a series by its ends and its extremes."""
    from axonal.lab.intervals import measurement_interval

    mean, low, high = measurement_interval(measurement)
    if not measurement.is_series:
        return estimate(float(mean), float(low), float(high), measurement.unit)
    unit = f" {measurement.unit}" if measurement.unit else ""
    ends = f"{number(float(mean[0]))} to {number(float(mean[-1]))}"
    top = f", between {number(float(np.min(mean)))} and {number(float(np.max(mean)))}"
    return f"{ends}{top}{unit} over {len(mean)} points"


def duration(seconds: float) -> str:
    """Write ``0.4 s``, ``12 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"

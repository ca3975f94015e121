"""A measurement: a named quantity with its repeats and unit.

Values have the shape ``(repeats,)``, or ``(repeats, points)`` for a series taken `along` something
(a detuning, a layer, a time). An exact measurement has one repeat and no uncertainty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from axonal.errors import InputError

ROUND_OFF = 1e-9  # what a correlation of 1 may exceed it by


@dataclass(frozen=True, eq=False)
class Measurement:
    """A named quantity.

    Parameters
    ----------
    name
        What claims call it.
    values
        Shape ``(repeats,)`` or, for a series, ``(repeats, points)``.
    unit
        ``"nm"``, ``"r"``, ``""`` for a plain number.
    along, along_name
        For a series: where each point was taken, shape ``(points,)``, ascending; and what that is.
    exact
        The number has no uncertainty: it would come out the same in every repeat.
    bounds
        The least and the greatest value there can be, as -1 and 1 of a correlation: what of an
        interval lies beyond covers nothing and is cut off.
    """

    name: str
    values: np.ndarray
    unit: str = ""
    along: np.ndarray | None = None
    along_name: str = ""
    exact: bool = False
    bounds: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        name: str,
        values: Any,
        unit: str = "",
        *,
        along: Any = None,
        along_name: str = "",
        exact: bool = False,
        bounds: tuple[float, float] | None = None,
    ) -> Measurement:
        """Build a measurement from numbers, lists, arrays or tensors, and check that they fit."""
        if not isinstance(name, str) or not name:
            raise InputError(f"A measurement needs a name; got {name!r}")
        array = _numbers(name, values)
        if along is None:
            array = array[None] if array.ndim == 0 else array
            if array.ndim != 1:
                raise InputError(
                    f"Measurement {name!r} has values of shape {array.shape}; expected one number or "
                    "(repeats,), or along=... for a series of (repeats, points)"
                )
            points = None
        else:
            points = _numbers(name, along)
            array = array[None] if array.ndim == 1 else array
            if points.ndim != 1 or array.ndim != 2 or array.shape[1] != len(points):
                raise InputError(
                    f"Series {name!r} has values of shape {array.shape} along {points.shape} points; "
                    "expected (repeats, points) or (points,)"
                )
            if not np.all(np.isfinite(points)) or np.any(np.diff(points) <= 0):
                raise InputError(
                    f"Series {name!r} must run along finite, strictly increasing values; sort them first"
                )
        if array.size == 0:
            raise InputError(f"Measurement {name!r} is empty; expected at least one value")
        if exact and len(array) > 1:
            raise InputError(
                f"Measurement {name!r} is exact but has {len(array)} repeats; an exact one has a "
                "single value (or a single series along=...)"
            )
        if bounds is not None:
            low, high = bounds
            if not low < high:
                raise InputError(f"Measurement {name!r} has bounds {bounds}; expected low < high")
            if np.any(array < low - ROUND_OFF) or np.any(array > high + ROUND_OFF):
                raise InputError(
                    f"Measurement {name!r} has values from {array.min():g} to {array.max():g}, "
                    f"beyond its bounds {low:g} and {high:g}"
                )
            bounds = (float(low), float(high))
        return cls(name, array, unit, points, along_name, exact, bounds)

    @property
    def repeats(self) -> int:
        """How many independent values there are of each point."""
        return len(self.values)

    @property
    def is_series(self) -> bool:
        """Whether it was taken along something."""
        return self.along is not None

    @property
    def finite(self) -> bool:
        """Whether every value is a number."""
        return bool(np.all(np.isfinite(self.values)))

    def to_json(self) -> dict[str, Any]:
        """Describe it as JSON, with its mean and 95 % interval (null where there is none)."""
        from axonal.lab.intervals import measurement_interval

        mean, low, high = measurement_interval(self)
        description: dict[str, Any] = {
            "values": numbers_to_json(self.values),
            "unit": self.unit,
            "mean": numbers_to_json(mean),
            "low": numbers_to_json(low, null=True),
            "high": numbers_to_json(high, null=True),
            "exact": self.exact,
        }
        if self.bounds is not None:
            description["bounds"] = [numbers_to_json(end) for end in self.bounds]
        if self.along is not None:
            description |= {"along": numbers_to_json(self.along), "along_name": self.along_name}
        return description

    @classmethod
    def from_json(cls, name: str, description: dict[str, Any]) -> Measurement:
        """Read what `to_json` wrote; mean and interval are computed anew."""
        try:
            values = np.array(description["values"], dtype=float)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"Measurement {name!r} has no readable values: {error}") from error
        bounds = description.get("bounds")
        return cls.of(
            name,
            values,
            description.get("unit", ""),
            along=description.get("along"),
            along_name=description.get("along_name", ""),
            exact=bool(description.get("exact", False)),
            bounds=(float(bounds[0]), float(bounds[1])) if bounds else None,
        )


def numbers_to_json(array: Any, *, null: bool = False) -> Any:
    """Turn numbers into lists; those that JSON cannot write become ``"nan"``, ``"inf"`` (or null)."""
    if isinstance(array, np.ndarray):
        array = array.tolist()
    if isinstance(array, list):
        return [numbers_to_json(value, null=null) for value in array]
    number = float(array)
    if math.isfinite(number):
        return number
    return None if null else str(number)


def _numbers(name: str, values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"Measurement {name!r}: the repeats have unequal lengths") from error
    if np.iscomplexobj(array):
        raise InputError(
            f"Measurement {name!r} is complex; measure its modulus, real part or phase"
        )
    try:
        return array.astype(float)
    except (TypeError, ValueError) as error:
        raise InputError(f"Measurement {name!r} must be numbers; got {values!r:.80}") from error

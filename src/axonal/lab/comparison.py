"""Two runs side by side: settings, measurements, verdicts and environment, where they differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from axonal.lab.intervals import measurement_interval, unpaired_interval
from axonal.lab.measurement import Measurement
from axonal.lab.runs import Run
from axonal.lab.words import estimate, measured, number


@dataclass(frozen=True)
class Row:
    """One line of a comparison: what, and what each run has; a difference where there is one."""

    name: str
    first: str
    second: str
    difference: str = ""


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Parameters
    ----------
    runs
        Their names.
    settings, environment
        Only what differs.
    measurements, claims
        All of both runs.
    """

    runs: tuple[str, str]
    settings: tuple[Row, ...]
    measurements: tuple[Row, ...]
    claims: tuple[Row, ...]
    environment: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Describe it as JSON."""
        return asdict(self)


def compare(first: Run, second: Run) -> Comparison:
    """Compare two runs, of one study or of two."""
    about = [_identity(run) for run in (first, second)]
    return Comparison(
        runs=(first.folder.name, second.folder.name),
        settings=_differing(about[0] | first.config, about[1] | second.config),
        measurements=_measurements(first, second),
        claims=_claims(first, second),
        environment=_differing(_flat(first.environment), _flat(second.environment)),
    )


def _identity(run: Run) -> dict[str, Any]:
    return {name: run.about[name] for name in ("slug", "preset", "seed", "jobs", "backend")}


def _differing(first: dict[str, Any], second: dict[str, Any]) -> tuple[Row, ...]:
    names = dict.fromkeys([*first, *second])
    return tuple(
        Row(name, str(first.get(name, "")), str(second.get(name, "")))
        for name in names
        if first.get(name) != second.get(name)
    )


def _measurements(first: Run, second: Run) -> tuple[Row, ...]:
    kept = [
        {name: Measurement.from_json(name, values) for name, values in run.measurements.items()}
        for run in (first, second)
    ]
    rows = []
    for name in dict.fromkeys([*kept[0], *kept[1]]):
        a, b = kept[0].get(name), kept[1].get(name)
        shown = [measured(found) if found else "" for found in (a, b)]
        difference = "" if a is None or b is None else _difference(a, b)
        rows.append(Row(name, shown[0], shown[1], difference))
    return tuple(rows)


def _difference(a: Measurement, b: Measurement) -> str:
    """Second minus first: of a series the largest, with an interval where both have one."""
    if np.array_equal(a.values, b.values, equal_nan=True):
        return "same"
    if a.is_series != b.is_series or not (a.finite and b.finite):
        return "not comparable"
    if a.along is not None and b.along is not None:
        if not np.array_equal(a.along, b.along):
            return "not comparable"
        gap = b.values.mean(axis=0) - a.values.mean(axis=0)
        return f"at most {number(float(np.max(np.abs(gap))))} at a point"
    change = float(measurement_interval(b)[0] - measurement_interval(a)[0])
    if a.repeats > 1 and b.repeats > 1:
        low, high = unpaired_interval(b.values[:, None], a.values[:, None])
        return estimate(change, float(low[0]), float(high[0]))
    return number(change)


def _claims(first: Run, second: Run) -> tuple[Row, ...]:
    kept = [{claim["id"]: claim["verdict"] for claim in run.claims} for run in (first, second)]
    return tuple(
        Row(
            id,
            kept[0].get(id, ""),
            kept[1].get(id, ""),
            "" if kept[0].get(id) == kept[1].get(id) else "differs",
        )
        for id in dict.fromkeys([*kept[0], *kept[1]])
    )


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in environment.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif name not in ("seed", "continued"):
            flat[name] = value
    return flat

"""From measurements to a verdict. This is the only place where verdicts are made.

Every test comes down to conditions of the form *the mean of a contrast exceeds a threshold*, where
a contrast is a difference of measurements, taken repeat by repeat. A condition holds when the 95 %
bootstrap interval of the contrast's mean lies above the threshold, fails when it lies below, and
is open otherwise.

Several conditions at once (a series, `Within`, `All`): the test is supported when every condition
holds at 95 % each, which already has error at most 2.5 % (an intersection-union test needs no
correction), and not supported when some condition fails at ``1 - 0.05 / conditions`` (Bonferroni,
since one of many may fail by chance).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from axonal.lab import words
from axonal.lab.contrasts import (
    Condition,
    Contrast,
    DoNotFitError,
    Verdict,
    contrast_of,
    decide,
)
from axonal.lab.intervals import LEVEL, measurement_interval
from axonal.lab.measurement import Measurement
from axonal.lab.study import Claim
from axonal.lab.tests import (
    All,
    Decreasing,
    Equals,
    Greater,
    Increasing,
    InteriorMaximum,
    Less,
    Quantity,
    Test,
    Within,
    measurements_of,
)


@dataclass(frozen=True)
class Judgement:
    """A verdict, and one plain sentence with the numbers it rests on."""

    verdict: Verdict
    detail: str


def judge(claim: Claim, measurements: Mapping[str, Measurement], preset: str) -> Judgement:
    """Judge one claim from a run's measurements."""
    if claim.needs == "full" and preset != "full":
        return Judgement("not tested", f"Needs the paper's scale (preset full); this ran {preset}.")
    return judge_test(claim.test, measurements)


def judge_test(test: Test, measurements: Mapping[str, Measurement], *, among: int = 1) -> Judgement:
    """Judge one test; `among` is how many tests of an `All` share its chance of error."""
    if isinstance(test, All):
        return _judge_all(test, measurements, among)
    names = measurements_of(test)
    missing = [name for name in names if name not in measurements]
    if missing:
        return Judgement("not tested", f"This run did not measure {' or '.join(missing)}.")
    for name in names:
        if reason := _unfit(measurements[name]):
            return Judgement("inconclusive", reason)
    try:
        if isinstance(test, Increasing | Decreasing):
            return _judge_monotone(test, measurements[test.series], among)
        if isinstance(test, InteriorMaximum):
            return _judge_interior_maximum(test, measurements[test.series], among)
        return _judge_comparison(test, measurements, among)
    except DoNotFitError as error:
        return Judgement("inconclusive", str(error))


def _judge_comparison(
    test: Greater | Less | Within | Equals, measurements: Mapping[str, Measurement], among: int
) -> Judgement:
    a = _resolve(test.a, measurements)
    if isinstance(test, Within):
        conditions = [Condition(contrast_of(a, None), test.low, test.high)]
        verdict, worst, holds = decide(conditions, among)
        asked = f"{words.bounds(test.low, test.high)} asked"
        return Judgement(verdict, f"{_where(a, worst, holds)}{_at(a, worst)}, {asked}.")
    b = _resolve(test.b, measurements)
    difference = contrast_of(a, b)
    if isinstance(test, Greater):
        conditions = [Condition(difference, low=test.by, strict=True)]
    elif isinstance(test, Less):
        conditions = [Condition(difference, high=-test.by, strict=True)]
    else:
        # |a - b| <= tolerance + relative |b|, as two contrasts that are linear in the repeats
        slack = test.relative * np.sign(b.values.mean(axis=0))
        conditions = [
            Condition(contrast_of(a, b, 1 + slack), high=test.tolerance),
            Condition(contrast_of(a, b, 1 - slack), low=-test.tolerance),
        ]
    verdict, worst, holds = decide(conditions, among)
    where = _where(a if a.is_series else b, worst, holds)
    if isinstance(test.a, str) and not isinstance(test.b, str):
        return Judgement(verdict, f"{where}{_at(a, worst)}, {_asked_of_a(test)}.")
    pairing = " (independent repeats)" if difference.other is not None else ""
    return Judgement(
        verdict,
        f"{where}{_at(a, worst)} against {_at(b, worst)}; "
        f"difference {_show(difference, worst)}{pairing}{_asked_of_difference(test)}.",
    )


def _asked_of_a(test: Greater | Less | Equals) -> str:
    """What a test asks of its first quantity when the second is a number."""
    limit = float(test.b)
    if isinstance(test, Greater):
        return f"more than {words.number(limit + test.by)} asked"
    if isinstance(test, Less):
        return f"less than {words.number(limit - test.by)} asked"
    return f"within {test.allowed} of {words.number(limit)} asked"


def _asked_of_difference(test: Greater | Less | Equals) -> str:
    """What a test asks of the difference, where that is more than its sign."""
    if isinstance(test, Equals):
        return f", at most {test.allowed} asked"
    if test.by == 0:
        return ""
    return ", " + (
        f"more than {words.number(test.by)} asked"
        if isinstance(test, Greater)
        else f"less than {words.number(-test.by)} asked"
    )


def _judge_monotone(test: Increasing | Decreasing, series: Measurement, among: int) -> Judgement:
    along, values = _series(series, 2)
    rises = isinstance(test, Increasing)
    steps = Contrast(np.diff(values, axis=1), exact=series.exact)
    strict = test.tolerance == 0
    if rises:
        condition = Condition(steps, low=-test.tolerance, strict=strict)
    else:
        condition = Condition(steps, high=test.tolerance, strict=strict)
    verdict, worst, holds = decide([condition], among)
    ends = f"{words.number(along[worst])} to {words.number(along[worst + 1])}"
    last = len(along) - 1
    return Judgement(
        verdict,
        f"From {_at(series, 0)} at {_named(series, 0)} to {_at(series, last)} at "
        f"{_named(series, last)}; {int(holds.sum())} of {holds.size} steps "
        f"{'rise' if rises else 'fall'}; the worst, {ends}, is {_show(steps, worst)}.",
    )


def _judge_interior_maximum(test: InteriorMaximum, series: Measurement, among: int) -> Judgement:
    along, values = _series(series, 3)
    last = len(along) - 1
    middle = np.arange(1, last)
    inside = middle[(along[middle] >= test.low) & (along[middle] <= test.high)].tolist()
    if not inside:
        raise DoNotFitError(
            f"{series.name} has no point between its ends in [{test.low:g}, {test.high:g}]."
        )
    outside = [point for point in range(last + 1) if point not in inside]

    def over(point: int) -> Condition:
        gap = values[:, [point]] - values[:, outside]
        return Condition(Contrast(gap, exact=series.exact), low=test.by, strict=True)

    # supported: one of the inside points exceeds all outside; the choice among them is paid for
    found = any(over(point).holds(1 - (1 - LEVEL) / len(inside)).all() for point in inside)
    # not supported: some point outside is exceeded by none inside; that choice is paid for too
    level = 1 - (1 - LEVEL) / (len(outside) * among)
    lost = np.logical_and.reduce([over(point).fails(level) for point in inside]).any()
    verdict: Verdict = "supported" if found else "not supported" if lost else "inconclusive"
    means = values.mean(axis=0)
    best = inside[int(np.argmax(means[inside]))]
    rival = outside[int(np.argmax(means[outside]))]
    return Judgement(
        verdict,
        f"Highest inside is {_at(series, best)} at {_named(series, best)}, highest outside "
        f"{_at(series, rival)} at {_named(series, rival)}.",
    )


def _judge_all(test: All, measurements: Mapping[str, Measurement], among: int) -> Judgement:
    parts = [judge_test(part, measurements, among=among * len(test.tests)) for part in test.tests]
    verdicts = [part.verdict for part in parts]
    verdict: Verdict = "supported"
    for weaker in ("not supported", "not tested", "inconclusive"):
        if weaker in verdicts:
            verdict = weaker
            break
    mixed = len(set(verdicts)) > 1
    details = [
        f"({number}) {f'{part.verdict}: ' if mixed else ''}{part.detail.rstrip('.')}"
        for number, part in enumerate(parts, start=1)
    ]
    return Judgement(verdict, "; ".join(details) + ".")


def _unfit(measurement: Measurement) -> str | None:
    """Why a measurement cannot be judged, if so."""
    bad = int(np.count_nonzero(~np.isfinite(measurement.values)))
    if bad:
        return (
            f"{measurement.name} has {bad} of {measurement.values.size} values that are not finite."
        )
    if measurement.repeats == 1 and not measurement.exact:
        return f"{measurement.name} has one repeat, so there is no interval to judge it by."
    return None


def _resolve(quantity: Quantity, measurements: Mapping[str, Measurement]) -> Measurement:
    if isinstance(quantity, str):
        return measurements[quantity]
    return Measurement("", np.array([float(quantity)]), exact=True)


def _series(measurement: Measurement, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    if measurement.along is None:
        raise DoNotFitError(f"{measurement.name} is no series; measure it with along=...")
    if len(measurement.along) < at_least:
        raise DoNotFitError(
            f"{measurement.name} has {len(measurement.along)} points; it takes {at_least}."
        )
    return measurement.along, measurement.values


def _show(contrast: Contrast, point: int) -> str:
    low, high = contrast.interval()
    return words.estimate(float(contrast.mean[point]), float(low[point]), float(high[point]))


def _at(measurement: Measurement, point: int) -> str:
    """A measurement in words, a series at one of its points."""
    mean, low, high = (np.atleast_1d(end) for end in measurement_interval(measurement))
    if not measurement.is_series:
        point = 0
    shown = words.estimate(float(mean[point]), float(low[point]), float(high[point]))
    return f"{shown} {measurement.unit}".rstrip()


def _named(series: Measurement, point: int) -> str:
    value = words.number(float(series.along[point])) if series.along is not None else "?"
    return f"{series.along_name} {value}".lstrip()


def _where(measurement: Measurement, worst: int, holds: np.ndarray) -> str:
    if not measurement.is_series:
        return ""
    return (
        f"Holds at {int(holds.sum())} of {holds.size} points; at the worst, "
        f"{_named(measurement, worst)}, "
    )

"""What a claim asserts about named measurements: the tests a study declares before it runs.

A test is a frozen description, so that a run folder can hold it and anyone can judge it again.
Judging is in `axonal.lab.judge`; here is only what can be said. A *quantity* is the name of a
measurement or a number. On a series (a measurement taken `along` something) a comparison is meant
at every point.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from axonal.errors import InputError, nearest

Quantity = str | float | int


@dataclass(frozen=True)
class Greater:
    """``a`` exceeds ``b`` by more than ``by``: ``a - b > by``."""

    a: Quantity
    b: Quantity
    by: float = 0.0

    def __post_init__(self) -> None:
        _check_quantities(self, self.a, self.b)
        _check_numbers(self, by=self.by)

    def __str__(self) -> str:
        margin = f" by more than {self.by:g}" if self.by else ""
        return f"{_words(self.a)} is greater than {_words(self.b)}{margin}"


@dataclass(frozen=True)
class Less:
    """``a`` falls short of ``b`` by more than ``by``: ``b - a > by``."""

    a: Quantity
    b: Quantity
    by: float = 0.0

    def __post_init__(self) -> None:
        _check_quantities(self, self.a, self.b)
        _check_numbers(self, by=self.by)

    def __str__(self) -> str:
        margin = f" by more than {self.by:g}" if self.by else ""
        return f"{_words(self.a)} is less than {_words(self.b)}{margin}"


@dataclass(frozen=True)
class Within:
    """``low <= a <= high``; either bound may be infinite."""

    a: str
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_quantities(self, self.a)
        _check_numbers(self, low=self.low, high=self.high)
        if not self.low <= self.high:
            raise InputError(f"Within needs low <= high; got [{self.low:g}, {self.high:g}]")

    def __str__(self) -> str:
        return f"{_words(self.a)} lies in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Equals:
    """``a`` equals ``b`` to within a tolerance: ``|a - b| <= tolerance + relative |b|``."""

    a: Quantity
    b: Quantity
    tolerance: float = 0.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        _check_quantities(self, self.a, self.b)
        _check_numbers(self, tolerance=self.tolerance, relative=self.relative)
        if self.tolerance < 0 or self.relative < 0 or self.tolerance + self.relative == 0:
            raise InputError(
                "Equals needs a positive tolerance (absolute) or relative (a fraction of b): "
                f"got tolerance={self.tolerance:g}, relative={self.relative:g}"
            )

    @property
    def allowed(self) -> str:
        """How far the two may be apart, in words."""
        parts = [f"{self.tolerance:g}"] if self.tolerance else []
        parts += [f"{100 * self.relative:g} %"] if self.relative else []
        return " + ".join(parts)

    def __str__(self) -> str:
        return f"{_words(self.a)} equals {_words(self.b)} to within {self.allowed}"


@dataclass(frozen=True)
class Increasing:
    """Every step of the series rises; ``tolerance`` is the fall that one step may show."""

    series: str
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        _check_series(self, self.series)
        _check_numbers(self, tolerance=self.tolerance)

    def __str__(self) -> str:
        return f"{_words(self.series)} increases at every step"


@dataclass(frozen=True)
class Decreasing:
    """Every step of the series falls; ``tolerance`` is the rise that one step may show."""

    series: str
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        _check_series(self, self.series)
        _check_numbers(self, tolerance=self.tolerance)

    def __str__(self) -> str:
        return f"{_words(self.series)} decreases at every step"


@dataclass(frozen=True)
class InteriorMaximum:
    """Some point between the ends of the series exceeds both ends by more than ``by``.

    With ``low`` and ``high``, in units of what the series runs along, some point in that range
    exceeds every point outside it.
    """

    series: str
    by: float = 0.0
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        _check_series(self, self.series)
        _check_numbers(self, by=self.by, low=self.low, high=self.high)
        if not self.low <= self.high:
            raise InputError(
                f"InteriorMaximum needs low <= high; got [{self.low:g}, {self.high:g}]"
            )

    def __str__(self) -> str:
        bounded = math.isfinite(self.low) or math.isfinite(self.high)
        where = f" in [{self.low:g}, {self.high:g}]" if bounded else ""
        margin = f" by more than {self.by:g}" if self.by else ""
        return f"{_words(self.series)} has a maximum between its ends{where}{margin}"


@dataclass(frozen=True, init=False)
class All:
    """Every one of the tests holds."""

    tests: tuple[Test, ...]

    def __init__(self, *tests: Test) -> None:
        if not tests:
            raise InputError("All needs at least one test, for example All(Greater('a', 'b'))")
        for test in tests:
            if not isinstance(test, Test):
                raise InputError(f"All takes tests, such as Greater('a', 'b'); got {test!r}")
        object.__setattr__(self, "tests", tests)

    def __str__(self) -> str:
        return "; and ".join(str(test) for test in self.tests)


Test = Greater | Less | Within | Equals | Increasing | Decreasing | InteriorMaximum | All
KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Greater, Less, Within, Equals, Increasing, Decreasing, InteriorMaximum, All)
}


def measurements_of(test: Test) -> tuple[str, ...]:
    """Return the names of the measurements that a test speaks of, each once, in order."""
    if isinstance(test, All):
        names = [name for part in test.tests for name in measurements_of(part)]
    elif isinstance(test, Increasing | Decreasing | InteriorMaximum):
        names = [test.series]
    else:
        quantities = (test.a,) if isinstance(test, Within) else (test.a, test.b)
        names = [quantity for quantity in quantities if isinstance(quantity, str)]
    return tuple(dict.fromkeys(names))


def to_json(test: Test) -> dict[str, Any]:
    """Describe a test as plain JSON; infinite bounds become strings."""
    if isinstance(test, All):
        return {"kind": "All", "tests": [to_json(part) for part in test.tests]}
    fields = {
        name: str(value) if isinstance(value, float) and math.isinf(value) else value
        for name, value in asdict(test).items()
    }
    return {"kind": type(test).__name__, **fields}


def from_json(description: dict[str, Any]) -> Test:
    """Build a test from `to_json`; what does not fit is an `InputError`."""
    if not isinstance(description, dict) or "kind" not in description:
        raise InputError(f"A test is written as an object with a kind; got {description!r}")
    fields = dict(description)
    kind = fields.pop("kind")
    if kind not in KINDS:
        raise InputError(f"There is no test named {kind!r}: {nearest(str(kind), KINDS)}")
    if kind == "All":
        return All(*(from_json(part) for part in fields.get("tests", ())))
    infinite = {"inf": math.inf, "-inf": -math.inf}
    bounds = ("low", "high")
    fields = {k: infinite.get(v, v) if k in bounds else v for k, v in fields.items()}
    try:
        return KINDS[kind](**fields)
    except TypeError as error:
        raise InputError(f"The test {description!r} does not fit {kind}: {error}") from error


def _words(quantity: Quantity) -> str:
    return quantity if isinstance(quantity, str) else f"{quantity:g}"


def _check_quantities(test: object, *quantities: object) -> None:
    kind = type(test).__name__
    for quantity in quantities:
        number = isinstance(quantity, int | float) and not isinstance(quantity, bool)
        if not (isinstance(quantity, str) and quantity) and not number:
            raise InputError(f"{kind} compares measurements by name or numbers; got {quantity!r}")
    if not any(isinstance(quantity, str) for quantity in quantities):
        raise InputError(f"{kind} needs at least one measurement by name; got {quantities}")


def _check_series(test: object, series: object) -> None:
    if not isinstance(series, str) or not series:
        raise InputError(f"{type(test).__name__} needs the name of a series; got {series!r}")


def _check_numbers(test: object, **numbers: object) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or math.isnan(number):
            raise InputError(f"{type(test).__name__}: {name} must be a number; got {number!r}")

"""A labelled grid: named axes that multiply, parameters on one axis that vary together.

``over={"detuning": values, ("c0", "b"): (c0_values, b_values)}`` is a product of two axes. The
second holds two parameters zipped. A mapping ``{"kernel": {"swelling": law, ...}}`` labels values
that are not numbers: the labels become the coordinate, the function receives the objects.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.sweep.seeding import coordinate_hash

Over = Mapping[Any, Any]
RESERVED = ("repeat", "repeats", "rng", "start", "direction", "statistic")


@dataclass(frozen=True)
class Follow:
    """An axis whose points are computed in order, each started from its neighbour's solution.

    The function takes ``start`` (the previous solution, ``initial`` at the first point) and returns
    a dict (or a scalar) of which the output ``carry`` is handed on. The axis is traversed once for
    each of ``directions``, without a break in between: ``("up", "down")`` is a hysteresis loop.
    Only the other axes run in parallel.

    Parameters
    ----------
    values
        Coordinates, in the order of the direction "up".
    carry
        Name of the output that starts the next point.
    initial
        What the very first point receives as ``start``.
    directions
        One or both of "up" and "down".
    """

    values: ArrayLike
    carry: str = "value"
    initial: Any = None
    directions: tuple[str, ...] = ("up", "down")

    def __post_init__(self) -> None:
        if not self.directions or set(self.directions) - {"up", "down"}:
            raise InputError(
                f"directions = {self.directions!r} of a Follow axis: expected one or both of 'up' and 'down'"
            )

    def steps(self) -> list[tuple[int, int]]:
        """Return (direction, index) of each point, in the order of computation."""
        count = len(np.asarray(self.values))
        orders = {"up": range(count), "down": range(count - 1, -1, -1)}
        return [(d, i) for d, way in enumerate(self.directions) for i in orders[way]]


@dataclass(frozen=True)
class Axis:
    """One dimension of a grid: parameters that vary together.

    ``labels`` are the coordinates (one array a name), ``values`` what the function receives.
    """

    names: tuple[str, ...]
    labels: tuple[NDArray[Any], ...]
    values: tuple[Sequence[Any], ...]
    attrs: tuple[dict[str, Any], ...]

    @property
    def dim(self) -> str:
        """Return the dimension's name: the parameter's, or the zipped names joined."""
        return "_".join(self.names)

    def __len__(self) -> int:
        return len(self.labels[0])

    def take(self, indices: NDArray[np.intp]) -> Axis:
        """Return the axis with only the points at ``indices``."""
        return Axis(
            self.names,
            tuple(labels[indices] for labels in self.labels),
            tuple([column[i] for i in indices] for column in self.values),
            self.attrs,
        )


@dataclass(frozen=True)
class Grid:
    """The product of axes; a point is a flat index in C order over ``axes``."""

    axes: tuple[Axis, ...]
    follow: Axis | None = None
    path: Follow | None = None
    _hashes: dict[str, NDArray[np.uint64]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, over: Over) -> Grid:
        """Build and check a grid from the ``over`` argument of a sweep."""
        if not isinstance(over, Mapping):
            raise InputError(
                f"over must be a mapping of axis names to values, got {type(over).__name__}"
            )
        axes: list[Axis] = []
        follow, path = None, None
        for name, values in over.items():
            if isinstance(values, Axis):
                axes.append(values)
            elif not isinstance(values, Follow):
                axes.append(_axis(name, values))
            elif path is not None:
                raise InputError(f"axis {name!r}: only one axis of a sweep can be a Follow axis")
            else:
                if not isinstance(name, str) or isinstance(values.values, Mapping):
                    raise InputError(
                        f"axis {name!r}: a Follow axis is one parameter with plain values"
                    )
                follow, path = _axis(name, values.values), values
        grid = cls(tuple(axes), follow, path)
        seen: set[str] = set()
        for name in grid.names:
            if name in RESERVED:
                raise InputError(
                    f"{name!r} cannot name an axis: {', '.join(RESERVED)} have a meaning of their own"
                )
            if name in seen:
                raise InputError(f"parameter {name!r} stands on two axes; it can stand on one")
            seen.add(name)
        return grid

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the length of each axis (without a Follow axis)."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def size(self) -> int:
        """Return the number of points (of whole paths where there is a Follow axis)."""
        return math.prod(self.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """Return every swept parameter, the followed one last."""
        axes = self.axes if self.follow is None else (*self.axes, self.follow)
        return tuple(name for axis in axes for name in axis.names)

    def parameters(
        self, points: NDArray[np.intp], labels: bool = False
    ) -> dict[str, Sequence[Any]]:
        """Return, for each parameter, its values (or their labels) at ``points``, as Python scalars."""
        result: dict[str, Sequence[Any]] = {}
        for axis, index in zip(self.axes, self._unravel(points), strict=True):
            for name, label, column in zip(axis.names, axis.labels, axis.values, strict=True):
                if labels or isinstance(column, np.ndarray):
                    result[name] = label[index].tolist()
                else:
                    result[name] = [column[i] for i in index]
        return result

    def describe(self, point: int) -> str:
        """Return the coordinates of one point in words."""
        values = self.parameters(np.array([point]), labels=True)
        return ", ".join(f"{name} = {v[0]!r}" for name, v in values.items()) or "the only point"

    def keys(self, points: NDArray[np.intp], leave_out: Sequence[str] = ()) -> NDArray[np.uint64]:
        """Return the 128-bit hash of each point's coordinates, shape (points, 2).

        It is the sum (modulo 2^64, two lanes) of one hash for each (name, value): the order of the
        axes, the other points of the grid, and zip or product make no difference to it.
        """
        total = np.zeros((len(points), 2), dtype=np.uint64)
        for axis, index in zip(self.axes, self._unravel(points), strict=True):
            for name, label in zip(axis.names, axis.labels, strict=True):
                if name not in leave_out:
                    total += self._column_hash(name, label)[index]
        return total

    def coords(self) -> dict[str, xr.Variable]:
        """Return the coordinates for xarray, with their attributes."""
        axes = self.axes if self.follow is None else (*self.axes, self.follow)
        return {
            name: xr.Variable((axis.dim,), label, attrs)
            for axis in axes
            for name, label, attrs in zip(axis.names, axis.labels, axis.attrs, strict=True)
        }

    def _unravel(self, points: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
        return np.unravel_index(points, self.shape) if self.axes else ()

    def _column_hash(self, name: str, label: NDArray[Any]) -> NDArray[np.uint64]:
        if name not in self._hashes:
            self._hashes[name] = np.array(
                [coordinate_hash(name, value) for value in label.tolist()], dtype=np.uint64
            )
        return self._hashes[name]


def _axis(name: Any, values: Any) -> Axis:
    if isinstance(name, str):
        columns, names = (values,), (name,)
    elif isinstance(name, tuple) and name and all(isinstance(part, str) for part in name):
        names = name
        if isinstance(values, Mapping | zip) or len(values) != len(names):
            raise InputError(
                f"axis {names}: expected one array of values for each of the {len(names)} names, "
                f"({', '.join(f'{part}_values' for part in names)})"
            )
        columns = tuple(values)
    else:
        raise InputError(f"an axis is named by a string or a tuple of strings, got {name!r}")
    parts = [_column(part, column) for part, column in zip(names, columns, strict=True)]
    lengths = {part: len(label) for part, (label, _, _) in zip(names, parts, strict=True)}
    if len(set(lengths.values())) > 1:
        words = ", ".join(f"{part} has {n}" for part, n in lengths.items())
        raise InputError(f"zipped parameters need the same number of values: {words}")
    rows = list(zip(*(label.tolist() for label, _, _ in parts), strict=True))
    if len(set(rows)) < len(rows):
        twice = Counter(rows).most_common(1)[0][0]
        words = ", ".join(f"{part} = {value!r}" for part, value in zip(names, twice, strict=True))
        raise InputError(f"the point {words} stands twice on its axis; each coordinate once")
    labels, received, attrs = zip(*parts, strict=True)
    return Axis(names, labels, received, attrs)


def _column(name: str, values: Any) -> tuple[NDArray[Any], Any, dict[str, Any]]:
    attrs = dict(values.attrs) if isinstance(values, xr.DataArray) else {}
    received = list(values.values()) if isinstance(values, Mapping) else None
    label = np.array(list(values) if isinstance(values, Mapping | range | set) else values)
    if label.ndim != 1:
        raise InputError(
            f"axis {name!r}: expected a one-dimensional list of values, got shape {label.shape}; "
            "label values that are arrays or objects with a mapping {label: value}"
        )
    if label.size == 0:
        raise InputError(f"axis {name!r} is empty: give it at least one value")
    if label.dtype.kind not in "biufcU":
        raise InputError(
            f"axis {name!r}: coordinates must be numbers, booleans or strings, got "
            f"{label.dtype}; label other values with a mapping {{label: value}}"
        )
    if label.dtype.kind in "fc" and (bad := np.flatnonzero(np.isnan(label))).size:
        raise InputError(f"axis {name!r}: the coordinate number {bad[0]} is NaN")
    return label, label if received is None else received, attrs


def check_call(function: Callable[..., Any], given: Sequence[str], follow: bool) -> bool:
    """Check that a function accepts the parameters named; return whether it takes ``rng``."""
    import inspect

    from axonal.errors import nearest

    if not callable(function):
        raise InputError(f"the first argument of a sweep is a function, got {function!r}")
    try:
        signature = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some compiled functions have no signature
        return False
    kinds = {p.kind for p in signature.values()}
    named = [n for n, p in signature.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    title = getattr(function, "__name__", type(function).__name__)
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for name in given:
            if name not in named:
                raise InputError(f"{title} has no parameter {name!r}: {nearest(name, named)}")
    supplied = {*given, "rng", *(["start"] if follow else [])}
    missing = [n for n in named if signature[n].default is inspect.Parameter.empty]
    if missing := [n for n in missing if n not in supplied]:
        raise InputError(
            f"{title} needs {', '.join(missing)}: put it into over= as an axis, or into fixed="
        )
    if follow and "start" not in named:
        raise InputError(f"{title} has no parameter 'start', which a Follow axis hands on")
    return "rng" in named

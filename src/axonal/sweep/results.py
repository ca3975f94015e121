"""Assemble the outputs of cells into labelled arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from axonal.errors import InputError, nearest
from axonal.statistics import Moments
from axonal.sweep.estimates import real, statistics
from axonal.sweep.grid import RESERVED, Grid
from axonal.sweep.worker import Outputs, blank, join


@dataclass
class Labels:
    """Units of coordinates and outputs, and the dimensions of outputs that are arrays."""

    units: Mapping[str, str]
    dims: Mapping[str, Sequence[str]]
    coords: Mapping[str, Any]

    def check(self, outputs: Outputs, grid: Grid) -> None:
        """Check names, dimensions and lengths as soon as the first outputs are there."""
        for name in {*outputs, *self.coords}:
            if name in {*grid.names, *RESERVED}:
                raise InputError(f"{name!r} names an axis, so it can name no output or coordinate")
        known = {*grid.names, *outputs, *self.coords}
        for name in self.units:
            if name not in known:
                raise InputError(f"units: there is no {name!r}: {nearest(name, known)}")
        for name in self.dims:
            if name not in outputs:
                raise InputError(f"dims: there is no output {name!r}: {nearest(name, outputs)}")
        try:
            one = {n: (self.dims_of(n, grid, v.ndim - 1)[1], v[0]) for n, v in outputs.items()}
            xr.Dataset(one, self.coords)
        except ValueError as error:
            raise InputError(f"dims or coords do not fit what a point returns: {error}") from error

    def dims_of(self, name: str, grid: Grid, count: int) -> tuple[list[str], list[str]]:
        """Return the dimensions of an output: those of the grid, and its ``count`` own."""
        path = [] if grid.follow is None else ["direction", grid.follow.dim]
        own = self.dims.get(name, [f"{name}_{i}" for i in range(count - len(path))])
        return [axis.dim for axis in grid.axes], [*path, *own]


@dataclass
class Kept:
    """Every repeat: arrays of shape (repeats * points, ...), and which cells they hold."""

    grid: Grid
    arrays: Outputs = field(default_factory=dict)
    have: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def names(self) -> list[str]:
        """Return the names of the outputs."""
        return list(self.arrays)

    def reserve(self, repeats: int) -> None:
        """Make room for more repeats."""
        grow = repeats * self.grid.size - len(self.have)
        if grow > 0:
            self.have = np.concatenate([self.have, np.zeros(grow, bool)])
            self.arrays = {
                n: np.concatenate([a, blank((grow, *a.shape[1:]), a.dtype)])
                for n, a in self.arrays.items()
            }

    def add(self, cells: NDArray[np.intp], outputs: Outputs) -> None:
        """Put the outputs of some cells (repeat * points + point) in their place."""
        if not self.arrays:
            self.arrays = {
                n: blank((len(self.have), *v.shape[1:]), v.dtype) for n, v in outputs.items()
            }
        _check_same(self.arrays, outputs, self.grid, cells)
        for name, values in outputs.items():
            dtype = np.result_type(self.arrays[name], values)
            self.arrays[name] = self.arrays[name].astype(dtype, copy=False)
            self.arrays[name][cells] = values
        self.have[cells] = True

    def errors(self, name: str) -> NDArray[np.float64]:
        """Return the largest standard error of an output at each point (NaN below two repeats)."""
        streamed = Streamed(self.grid)
        streamed.absorb(Kept(self.grid, {name: self.arrays[name]}, self.have))
        return streamed.errors(name)

    def variables(self, labels: Labels) -> dict[str, xr.Variable]:
        """Return the labelled arrays; cells that are missing are NaN (or "")."""
        grid = self.grid
        repeats = len(self.have) // grid.size
        result: dict[str, xr.Variable] = {}
        for name, array in self.arrays.items():
            attrs, shape = _attrs(array.dtype), array.shape[1:]
            if not self.have.all() and array.dtype.kind in "biu":
                array = array.astype(float)
                array[~self.have] = np.nan
            array = np.moveaxis(array.reshape(repeats, *grid.shape, *shape), 0, len(grid.shape))
            before, own = labels.dims_of(name, grid, len(shape))
            result[name] = xr.Variable((*before, "repeat", *own), array, attrs)
        return result


@dataclass
class Streamed:
    """Moments over the repeats, which are not kept."""

    grid: Grid
    moments: dict[str, Moments] = field(default_factory=dict)
    dtypes: dict[str, np.dtype[Any]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Return the names of the outputs."""
        return list(self.moments)

    def absorb(self, kept: Kept) -> None:
        """Accumulate some repeats, one by one in their order."""
        have = kept.have.reshape(-1, self.grid.size)
        for name, array in kept.arrays.items():
            if name not in self.moments:
                self.moments[name] = Moments.nothing((self.grid.size, *array.shape[1:]))
                self.dtypes[name] = array.dtype
            values = real(array, name).reshape(len(have), *self.moments[name].mean.shape)
            for repeat, here in zip(values, have, strict=True):
                self.moments[name].add(repeat[here], np.flatnonzero(here))

    def errors(self, name: str) -> NDArray[np.float64]:
        """Return the largest standard error of an output at each point (NaN below two repeats)."""
        return _largest(self.moments[name].standard_error)

    def variables(self, labels: Labels) -> dict[str, xr.Variable]:
        """Return the statistics at each point, as ``summarize`` would."""
        result: dict[str, xr.Variable] = {}
        for name, moments in self.moments.items():
            values = statistics(moments, 0.95, self.dtypes[name].kind == "b")
            before, own = labels.dims_of(name, self.grid, values.ndim - 2)
            shape = (*self.grid.shape, *values.shape[1:])
            result[name] = xr.Variable(
                (*before, *own, "statistic"), values.reshape(shape), _attrs(self.dtypes[name])
            )
        return result


def _attrs(dtype: np.dtype[Any]) -> dict[str, int]:
    """Return what is remembered of a boolean, which NaN makes a float."""
    return {"proportion": 1} if dtype.kind == "b" else {}


def _check_same(kept: Outputs, outputs: Outputs, grid: Grid, cells: NDArray[np.intp]) -> None:
    """Raise an InputError that names a point whose outputs differ in name or shape from the others."""
    parts = [{n: v[:0] for n, v in part.items()} for part in (kept, outputs)]
    join(parts, lambda i: grid.describe(int(cells[0]) % grid.size) if i else "other points")


def _largest(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the maximum over all axes but the first, leaving out NaN."""
    flat = errors.reshape(len(errors), -1)
    return np.where(
        np.isnan(flat).all(axis=1), np.nan, np.nan_to_num(flat, nan=-np.inf).max(axis=1)
    )

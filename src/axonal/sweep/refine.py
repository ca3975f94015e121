"""Find where a quantity crosses a level: a coarse sweep, then bisection of all brackets at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from axonal.errors import InputError, nearest
from axonal.sweep.engine import sweep
from axonal.sweep.grid import Axis, Grid, Over


def crossings(
    function: Callable[..., Any],
    along: Mapping[str, Any],
    level: float,
    *,
    over: Over | None = None,
    of: str = "value",
    tolerance: float = 1e-6,
    **options: Any,
) -> xr.Dataset:
    """Return where an output crosses ``level`` along one parameter, at each point of a grid.

    Only crossings that the coarse values bracket are found. Bisection needs no smoothness, so the
    output may be a count or a boolean. A noisy output is averaged over the repeats and needs
    ``common=[parameter]``, so that noise does not change along it.

    Parameters
    ----------
    function
        As for ``sweep``.
    along
        One axis, ``{"force": coarse_values}``, in ascending order.
    level
        The value that is crossed.
    over
        The other axes.
    of
        The output.
    tolerance
        Brackets are halved until they are shorter than this.
    **options
        Further arguments of ``sweep``; with a store the bisection can be resumed.

    Returns
    -------
    Dataset with the dimensions of ``over`` and ``crossing``: the parameter where it crosses (NaN
    beyond the last crossing), and ``rising``, 1 or -1.
    """
    if len(along) != 1:
        raise InputError(f"along: expected one axis {{name: values}}, got {len(along)}")
    name, coarse = next(iter(along.items()))
    coarse = np.asarray(coarse, float)
    if coarse.ndim != 1 or len(coarse) < 2 or not (np.diff(coarse) > 0).all():
        raise InputError(f"along: {name!r} needs at least two values in ascending order")
    grid = Grid.of(over or {})

    def height(axes: Over) -> NDArray[np.float64]:
        data = sweep(function, axes, **options)
        if of not in data:
            raise InputError(f"of = {of!r}: {nearest(of, map(str, data.data_vars))}")
        values = data[of].mean("repeat") if "repeat" in data[of].dims else data[of]
        if values.ndim != len(axes):
            raise InputError(
                f"of = {of!r}: only a number at each point can cross a level, got {values.dims}"
            )
        return values.values.astype(float) - level

    y = height({**(over or {}), name: coarse}).reshape(grid.size, -1)
    above = y >= 0
    finite = np.isfinite(y)
    point, i = np.nonzero((above[:, 1:] != above[:, :-1]) & finite[:, 1:] & finite[:, :-1])
    low, high, rising = coarse[i], coarse[i + 1], above[point, i + 1]
    while True:
        middle = (low + high) / 2
        open_ = np.flatnonzero((high - low > tolerance) & (low < middle) & (middle < high))
        if not open_.size:
            break
        here = point[open_]
        labels = [np.array(column) for column in grid.parameters(here, labels=True).values()]
        values = [*grid.parameters(here).values(), middle[open_].tolist()]
        names = (*grid.names, name)
        axis = Axis(names, (*labels, middle[open_]), tuple(values), ({},) * len(names))
        value = height({"brackets": axis})
        upper = (value >= 0) == rising[open_]
        high[open_[upper]] = middle[open_[upper]]
        low[open_[~upper]] = middle[open_[~upper]]
        low[open_[np.isnan(value)]] = np.nan  # the point failed: no crossing to tell
    rank = np.arange(len(point)) - np.searchsorted(point, point)  # of a crossing at its point
    shape = (grid.size, int(rank.max(initial=-1)) + 1)
    found, sign = np.full(shape, np.nan), np.full(shape, np.nan)
    found[point, rank] = (low + high) / 2
    sign[point, rank] = np.where(rising, 1, -1)
    dims = (*(axis.dim for axis in grid.axes), "crossing")
    shape = (*grid.shape, shape[1])
    return xr.Dataset(
        {name: (dims, found.reshape(shape)), "rising": (dims, sign.reshape(shape))},
        grid.coords(),
        {"level": level, "of": of, "tolerance": tolerance},
    )

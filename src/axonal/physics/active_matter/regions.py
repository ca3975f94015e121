"""Solid, interface and gas: which particle is where, by how many are near it.

Within 2.4 radii, itself included: five or more make a solid, two or fewer a gas, the rest is interface
(the cut-offs of Boffi & Vanden-Eijnden's code).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.physics.active_matter.states import checked, wrapped

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

REGIONS = ("solid", "interface", "gas")
REACH = 2.4
_SOLID, _GAS = 5, 2


def regions(
    system: ActiveOrnsteinUhlenbeck, states: xr.DataArray, *, reach: float = REACH
) -> xr.DataArray:
    """Return the region of each particle, ``(sample, particle)``, as a name of :data:`REGIONS`.

    Parameters
    ----------
    system, states
        The particles.
    reach
        How far a neighbour may be, in radii.
    """
    checked(states, system)
    near = neighbours_within(states.sel(variable="x").values, system.half_width, reach)
    names = np.where(near >= _SOLID, "solid", np.where(near <= _GAS, "gas", "interface"))
    kept = {name: states[name] for name in ("trajectory", "time") if name in states.coords}
    return xr.DataArray(names, dims=("sample", "particle"), coords=kept, name="region")


def neighbours_within(x: ArrayLike, half_width: float | None, reach: float) -> NDArray[np.int64]:
    """Return how many particles are within a distance of each, itself included, ``(..., N)``.

    Parameters
    ----------
    x
        Positions ``(..., N, d)``.
    half_width
        Of the periodic box ``[-w, w)``; None for open space.
    reach
        The distance; at most the half-width.
    """
    from scipy.spatial import KDTree

    places = np.asarray(x, dtype=float)
    if not reach > 0 or (half_width is not None and reach > half_width):
        raise InputError(f"reach must be positive and within half the box, got {reach!r}.")
    counts = np.empty(places.shape[:-1], np.int64)
    flat = places.reshape(-1, *places.shape[-2:])
    rows = counts.reshape(-1, places.shape[-2])
    for row, here in zip(rows, flat, strict=True):
        if half_width is None:
            tree, at = KDTree(here), here
        else:
            at = np.clip(wrapped(here, half_width) + half_width, 0, None)
            tree = KDTree(at, boxsize=2 * half_width)
        row[:] = tree.query_ball_point(at, reach, return_length=True)
    return counts


def by_region(values: xr.DataArray, where: xr.DataArray) -> xr.Dataset:
    """Return the mean of a value by region with its error, and each region's share of particles.

    Parameters
    ----------
    values
        ``(sample, particle)``.
    where
        From :func:`regions`.

    Returns
    -------
    xr.Dataset
        By ``region``: ``mean`` (NaN where there are none), ``error`` (standard error over samples)
        and ``share``.
    """
    if values.shape != where.shape:
        raise InputError(f"values are {values.shape}, regions {where.shape}; expected the same.")
    means, errors, shares = [], [], []
    for name in REGIONS:
        inside = where.values == name
        shares.append(inside.mean())
        count = inside.sum(axis=1)
        sums = np.where(inside, values.values, 0.0).sum(axis=1)
        if not count.sum():
            means.append(np.nan)
            errors.append(np.nan)
            continue
        mean = sums.sum() / count.sum()
        means.append(mean)
        # Of a ratio of two sums over samples
        spread = sums - mean * count
        kept = len(count)
        errors.append(
            float(np.sqrt(kept / max(kept - 1, 1) * (spread**2).sum()) / count.sum())
            if kept > 1
            else np.nan
        )
    return xr.Dataset(
        {
            "mean": ("region", means),
            "error": ("region", errors),
            "share": ("region", shares),
        },
        coords={"region": list(REGIONS)},
    )

"""Values of particles as fields: on a grid, along the radius, and with the cluster in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.physics.active_matter.states import checked, wrapped

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck


def on_grid(
    values: ArrayLike,
    x: ArrayLike,
    bounds: tuple[float, float],
    *,
    bins: int = 64,
    per_particle: bool = False,
    least: int = 1,
) -> xr.DataArray:
    """Return a value of the particles over space.

    Parameters
    ----------
    values
        One a particle, ``(samples, particles)``.
    x
        Positions, ``(samples, particles, 2)``.
    bounds
        ``(low, high)`` of the grid along both axes; ``(-w, w)`` is the box.
    bins
        Cells along each axis.
    per_particle
        The mean over the particles in a cell; otherwise the density: their sum, per sample and area,
        which integrates to the total.
    least
        Cells with fewer particles over all samples are NaN in a mean per particle.

    Returns
    -------
    xr.DataArray
        ``(x, y)`` with cell centres, and attribute ``area`` of a cell.
    """
    flat, places = _flat(values, x)
    if bins < 1 or not bounds[0] < bounds[1]:
        raise InputError(f"Expected bins >= 1 and bounds (low, high), got {bins} and {bounds}.")
    edges = np.linspace(*bounds, bins + 1)
    sums, _, _ = np.histogram2d(places[:, 0], places[:, 1], bins=(edges, edges), weights=flat)
    area = (edges[1] - edges[0]) ** 2
    if per_particle:
        counts, _, _ = np.histogram2d(places[:, 0], places[:, 1], bins=(edges, edges))
        field = np.where(counts >= max(least, 1), sums / np.maximum(counts, 1), np.nan)
    else:
        field = sums / (np.asarray(values).shape[0] * area)
    centres = (edges[1:] + edges[:-1]) / 2
    return xr.DataArray(
        field, dims=("x", "y"), coords={"x": centres, "y": centres}, attrs={"area": area}
    )


def along_radius(
    values: ArrayLike,
    x: ArrayLike,
    *,
    bins: int = 24,
    reach: float | None = None,
) -> xr.Dataset:
    """Return a value of the particles against the distance from the origin.

    Parameters
    ----------
    values, x
        As for :func:`on_grid`.
    bins
        Rings of equal width.
    reach
        Of the outermost; by default the farthest particle.

    Returns
    -------
    xr.Dataset
        By ``radius`` (the middle of a ring): ``mean`` per particle (NaN where there is none),
        ``density`` (sum per sample and area) and ``number`` density of particles.
    """
    flat, places = _flat(values, x)
    distance = np.hypot(places[:, 0], places[:, 1])
    edges = np.linspace(0, float(distance.max()) if reach is None else reach, bins + 1)
    sums, _ = np.histogram(distance, edges, weights=flat)
    counts, _ = np.histogram(distance, edges)
    area = np.pi * np.diff(edges**2) * np.asarray(values).shape[0]
    return xr.Dataset(
        {
            "mean": ("radius", np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)),
            "density": ("radius", sums / area),
            "number": ("radius", counts / area),
        },
        coords={"radius": (edges[1:] + edges[:-1]) / 2},
    )


def centred(
    system: ActiveOrnsteinUhlenbeck, states: xr.DataArray, where: xr.DataArray | None = None
) -> xr.DataArray:
    """Return states shifted so that the middle of the dense phase is at the origin of the box.

    Parameters
    ----------
    system, states
        In a periodic box.
    where
        Regions of the particles; the solid ones are centred. Found if None. A sample without any is
        centred on all of its particles.
    """
    from axonal.physics.active_matter.regions import regions

    checked(states, system)
    w = system.half_width
    if w is None:
        raise InputError("Without a periodic box there is nothing to centre.")
    solid = (regions(system, states) if where is None else where).values == "solid"
    shifted = states.copy(deep=True)
    for sample, inside in zip(shifted.values, solid, strict=True):
        chosen = sample[inside if inside.any() else slice(None), 0]
        sample[:, 0] = wrapped(sample[:, 0] - circular_mean(chosen, w), w)
    return shifted


def circular_mean(x: NDArray[np.float64], half_width: float) -> NDArray[np.float64]:
    """Return the mean of places ``(n, d)`` on a torus ``[-w, w)``, by the angle of their mean phase.

    Unlike the plain mean it moves with the places across the boundary.
    """
    phase = np.exp(1j * np.pi * x / half_width).mean(axis=0)
    return np.angle(phase) * half_width / np.pi


def _flat(values: ArrayLike, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    value, place = np.asarray(values, dtype=float), np.asarray(x, dtype=float)
    if value.ndim != 2 or place.shape != (*value.shape, 2):
        raise InputError(
            "Expected values (samples, particles) and positions (samples, particles, 2), got "
            f"{value.shape} and {place.shape}."
        )
    return value.ravel(), place.reshape(-1, 2)

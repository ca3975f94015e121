"""Read trajectories of other simulators: NumPy arrays, LAMMPS dumps, GSD files.

A system with its parameters is needed too: it says what drives the particles. Lengths are divided by
the particle radius, and activities by their scale, since the system's have unit variance.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from axonal.errors import InputError, require
from axonal.physics.active_matter.lammps import read_dump, square
from axonal.physics.active_matter.states import states_of

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

_SUFFIXES = (".npz", ".gsd", ".dump", ".lammpstrj", ".txt")


def read_states(
    path: str | Path,
    system: ActiveOrnsteinUhlenbeck,
    *,
    radius: float = 1.0,
    activity_scale: float = 1.0,
    activity: Sequence[str] = ("vx", "vy"),
) -> xr.DataArray:
    """Return states from a file.

    Parameters
    ----------
    path
        ``.npz`` with arrays ``x`` and ``g`` ``(samples, particles, 2)``; a LAMMPS dump (``.dump``,
        ``.lammpstrj``) with columns ``x y`` (or ``xu yu``, ``xs ys``); or ``.gsd``, in which the
        velocities are taken as activities.
    system
        Of which they are; its number of particles and its box are compared with the file's.
    radius
        Of a particle, in the file's unit of length.
    activity_scale
        What one unit of activity is in the file: its standard deviation along an axis. For a file
        of active velocities this is the speed ``v0``.
    activity
        Columns of a LAMMPS dump that hold the activity.
    """
    path = Path(path)
    for name, value in (("radius", radius), ("activity_scale", activity_scale)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be a positive number, got {value!r}.")
    if path.suffix not in _SUFFIXES:
        raise InputError(f"{path.name}: expected one of {', '.join(_SUFFIXES)}.")
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    if path.suffix == ".npz":
        x, g, box, time = _from_numpy(path)
    elif path.suffix == ".gsd":
        x, g, box, time = _from_gsd(path)
    else:
        x, g, box, time = _from_lammps(path, tuple(activity))
    if box is not None and system.box is not None:
        width = box / radius
        if not math.isclose(width, system.box, rel_tol=1e-3):
            raise InputError(
                f"{path.name}: its box is {width:.6g} radii wide, the system's {system.box:.6g} "
                f"(full widths). Is the radius {radius:g}? The packing would be "
                f"{system.particles * math.pi / width**2:.4g}."
            )
    g = g / activity_scale
    variance = float(np.mean(g**2))
    if g.size >= 1000 and not 0.5 < variance < 2:
        warnings.warn(
            f"{path.name}: activities have variance {variance:.3g}, where the model has 1. Pass "
            f"activity_scale={activity_scale * math.sqrt(variance):.3g}, or rescale the speed.",
            stacklevel=2,
        )
    return states_of(system, x / radius, g, time=time, origin=path.name)


_Read = tuple[NDArray[np.float64], NDArray[np.float64], float | None, NDArray[np.float64] | None]


def _from_numpy(path: Path) -> _Read:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path.name} is no file of `numpy.savez`, or it was cut off.")
    with np.load(path, allow_pickle=False) as file:
        for name in ("x", "g"):
            if name not in file:
                raise InputError(f"{path.name}: no array {name!r}; it has {', '.join(file)}.")
        time = np.asarray(file["time"], float) if "time" in file else None
        return np.asarray(file["x"], float), np.asarray(file["g"], float), None, time


def _from_gsd(path: Path) -> _Read:
    hoomd = cast(Any, require("gsd.hoomd", "physics"))
    x, g, times, box = [], [], [], None
    with hoomd.open(str(path), "r") as frames:
        for frame in frames:
            box = square(path, float(frame.configuration.box[0]), float(frame.configuration.box[1]))
            x.append(frame.particles.position[:, :2])
            g.append(frame.particles.velocity[:, :2])
            times.append(float(frame.configuration.step))
    if not x:
        raise InputError(f"{path.name} has no frame.")
    return np.array(x, float), np.array(g, float), box, np.array(times)


def _from_lammps(path: Path, activity: tuple[str, ...]) -> _Read:
    if len(activity) != 2:
        raise InputError(f"activity names two columns, got {activity}.")
    frames = read_dump(path, (activity[0], activity[1]))
    return (
        np.array([frame.x for frame in frames]),
        np.array([frame.columns for frame in frames]),
        frames[0].width,
        np.array([frame.time for frame in frames]),
    )

"""How states of active particles are kept: a labelled array that knows the system it is of."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

DIMS = ("sample", "particle", "variable", "axis")


def states_of(
    system: ActiveOrnsteinUhlenbeck,
    x: ArrayLike,
    g: ArrayLike,
    *,
    time: ArrayLike | None = None,
    trajectory: ArrayLike | None = None,
    **attributes: Any,
) -> xr.DataArray:
    """Return labelled states.

    Parameters
    ----------
    system
        Whose states they are; its parameters become attributes.
    x
        Positions ``(samples, particles, 2)``, in radii; wrapped into the box ``[-w, w)``.
    g
        Activities of unit variance, ``(samples, particles, 2)``.
    time, trajectory
        Of each sample, ``(samples,)``; by default all are one trajectory.
    attributes
        More to keep, such as the step.
    """
    place, activity = np.asarray(x, dtype=float), np.asarray(g, dtype=float)
    for name, values in (("x", place), ("g", activity)):
        if values.shape[1:] != (system.particles, 2) or values.ndim != 3:
            raise InputError(
                f"{name}: expected (samples, {system.particles}, 2) for this system, "
                f"got {values.shape}."
            )
        if not np.isfinite(values).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise InputError(f"{name} has a NaN or infinity at (sample, particle, axis) {where}.")
    if len(place) != len(activity) or not len(place):
        raise InputError(f"x has {len(place)} samples and g {len(activity)}; expected as many.")
    samples = len(place)
    return xr.DataArray(
        np.stack([wrapped(place, system.half_width), activity], axis=2),
        dims=DIMS,
        coords={
            "variable": ["x", "g"],
            "axis": ["x", "y"],
            "time": ("sample", np.arange(samples, dtype=float) if time is None else time),
            "trajectory": ("sample", np.zeros(samples, int) if trajectory is None else trajectory),
        },
        attrs=parameters_of(system) | attributes,
        name="states",
    )


def wrapped(x: NDArray[np.float64], half_width: float | None) -> NDArray[np.float64]:
    """Return positions inside the box ``[-w, w)``; as they are without one."""
    if half_width is None:
        return x
    inside = np.mod(x + half_width, 2 * half_width) - half_width
    return np.where(inside >= half_width, -half_width, inside)


def parameters_of(system: ActiveOrnsteinUhlenbeck) -> dict[str, Any]:
    """Return a system's parameters as attributes that a file can hold."""
    return {name: value for name, value in asdict(system).items() if value is not None}


def system_of(states: xr.DataArray) -> ActiveOrnsteinUhlenbeck:
    """Return the system that states say they are of."""
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

    checked(states)
    names = [field.name for field in fields(ActiveOrnsteinUhlenbeck)]
    found = {name: states.attrs[name] for name in names if name in states.attrs}
    if "particles" not in found:
        raise InputError("These states do not say which system they are of: pass the system.")
    return ActiveOrnsteinUhlenbeck(**(found | {"particles": int(found["particles"])}))


def checked(states: xr.DataArray, system: ActiveOrnsteinUhlenbeck | None = None) -> xr.DataArray:
    """Return states, or say why they are none of this system."""
    if not isinstance(states, xr.DataArray) or states.dims != DIMS:
        got = states.dims if isinstance(states, xr.DataArray) else type(states).__name__
        raise InputError(
            f"states: expected a DataArray {DIMS}, got {got}; `states_of(system, x, g)` makes one."
        )
    if not states.sizes["sample"]:
        raise InputError("states: there is no sample.")
    if not np.isfinite(states.values).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(states.values))[0])
        raise InputError(f"states have a NaN or infinity at {DIMS} {where}.")
    if system is None:
        return states
    if states.sizes["particle"] != system.particles:
        raise InputError(
            f"The states have {states.sizes['particle']} particles, the system "
            f"{system.particles}; `system.with_(particles=...)` is one with another number."
        )
    for name, value in parameters_of(system).items():
        kept = states.attrs.get(name, value)
        if not np.isclose(float(kept), float(value), rtol=1e-9, atol=0):
            raise InputError(f"The states are of a system with {name} {kept:g}, not {value:g}.")
    return states


def tensors_of(
    states: xr.DataArray, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return positions and activities, ``(samples, particles, 2)`` each."""
    values = torch.from_numpy(np.ascontiguousarray(states.values)).to(dtype)
    return values[:, :, 0], values[:, :, 1]

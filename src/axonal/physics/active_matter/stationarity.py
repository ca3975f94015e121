"""Has a simulation forgotten how it began? Halves of the run are compared, and a drift is told."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.physics.active_matter.references import standard_error
from axonal.physics.active_matter.states import checked, tensors_of

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

#: Standard errors by which two halves may differ.
TOLERANCE = 5.0
_LEAST = 4  # samples in a half, for an error to mean something
_MOST = 512  # samples of a half that are looked at; a long run is thinned evenly
_CHUNK = 2**18


def observables(system: ActiveOrnsteinUhlenbeck, states: xr.DataArray) -> xr.Dataset:
    """Return averages over the particles of each state that should not drift, ``(sample,)``.

    ``divergence`` of the drift in the positions (how many contacts there are), ``work`` of the
    repulsion along the activity, and in a trap ``square_radius``.
    """
    checked(states, system)
    x, g = tensors_of(states)
    size = max(1, _CHUNK // system.particles)
    found: dict[str, list[np.ndarray]] = {"divergence": [], "work": [], "square_radius": []}
    for place, activity in zip(x.split(size), g.split(size), strict=True):
        found["divergence"].append(system.drift_divergence(place)[0].mean(dim=-1).numpy())
        work = (activity * system.forces(place)).sum(dim=-1).mean(dim=-1)
        found["work"].append(work.numpy())
        found["square_radius"].append(place.square().sum(dim=-1).mean(dim=-1).numpy())
    if not system.trap:
        del found["square_radius"]
    coords = {name: states[name] for name in ("trajectory", "time") if name in states.coords}
    return xr.Dataset(
        {name: ("sample", np.concatenate(values)) for name, values in found.items()}, coords=coords
    )


def drift_between(first: xr.Dataset, second: xr.Dataset) -> dict[str, float]:
    """Return by how many standard errors each average differs between two parts of a run."""
    moved = {}
    for name in first.data_vars:
        gap = float(second[name].mean() - first[name].mean())
        error = np.hypot(standard_error(first[name]), standard_error(second[name]))
        moved[str(name)] = gap / error if error > 0 else 0.0
    return moved


def warn_if_drifting(
    system: ActiveOrnsteinUhlenbeck,
    states: xr.DataArray,
    early: xr.DataArray | None = None,
    *,
    stacklevel: int = 2,
) -> None:
    """Warn where averages still move: between halves of the run, or since the middle of the burn-in.

    Parameters
    ----------
    system, states
        What was simulated.
    early
        States in the middle of the burn-in, compared where each trajectory has one snapshot.
    """
    times = np.unique(states.time.values)
    if len(times) > 1:
        late = states.time.values > np.median(times)
        parts = states.isel(sample=~late), states.isel(sample=late)
    elif early is not None:
        parts = early, states
    else:
        return
    if min(part.sizes["sample"] for part in parts) < _LEAST:
        return
    thinned = (
        part.isel(sample=slice(None, None, -(-part.sizes["sample"] // _MOST))) for part in parts
    )
    moved = drift_between(*(observables(system, part) for part in thinned))
    worst = max(moved, key=lambda name: abs(moved[name]))
    if abs(moved[worst]) > TOLERANCE:
        warnings.warn(
            f"Not stationary yet: {worst.replace('_', ' ')} moved by {abs(moved[worst]):.1f} "
            "standard errors between the halves of the run. Take a longer burn-in.",
            stacklevel=stacklevel + 1,
        )

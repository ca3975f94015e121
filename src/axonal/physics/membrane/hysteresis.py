"""Hysteresis: what the membrane does when the force is swept, and how far the flux jumps.

The polymer relaxes as ``tau dphi/dt = phi(c_in) - phi`` while transport is fast. That flow has one
variable and never overshoots, so in the quasi-static limit the state follows its branch to the
fold, and from there moves to the next steady state in the direction of the flow: no integration
is needed. :func:`sweep_force` integrates the same law at a finite rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from axonal.errors import InputError
from axonal.physics.membrane import manifold
from axonal.physics.membrane.checks import checked_properties
from axonal.physics.membrane.folds import Fold, fold_points
from axonal.physics.membrane.manifold import material
from axonal.physics.membrane.states import SteadyStates
from axonal.physics.membrane.steady import steady_states
from axonal.physics.membrane.transport import Array, slab_factors, uptake_ratio

if TYPE_CHECKING:
    import xarray as xr

    from axonal.physics.membrane.model import ResponsiveMembrane

_MARGINAL = 1e-3  # states this close to gain 1, at a fold's own force, are the fold itself


@dataclass(frozen=True)
class Jump:
    """The discontinuity where a stable branch ends as the force moves in ``direction``."""

    force: float
    direction: Literal["up", "down"]
    flux_before: float
    flux_after: float
    volume_fraction_before: float
    volume_fraction_after: float

    @property
    def ratio(self) -> float:
        """``flux_after / flux_before``: above 1 where the membrane opens."""
        return self.flux_after / self.flux_before


def jump_at(membrane: ResponsiveMembrane, fold: Fold) -> Jump:
    """Return where the membrane goes when it is pushed over a fold."""
    at = material(membrane, np.log(np.array([fold.uptake])))
    u = membrane.beta * fold.force
    pull = float(manifold.force_slope(membrane, at, u)[0])  # d ln R / du
    # u(y) has its extremum here: a maximum if the branch ends as the force rises.
    rising = manifold.curvature(membrane, at.y, u)[0] / pull < 0
    drift = np.sign(pull * at.phi_slope[0]) * (1 if rising else -1)  # of phi, past the fold
    states = steady_states(membrane, fold.force, fold.bulk_concentration)
    beyond = (states.volume_fraction - fold.volume_fraction) * drift > 0
    stable = states.at(beyond & (states.loop_gain < 1 - _MARGINAL))
    after = stable.at(np.s_[:1] if drift > 0 else np.s_[-1:])
    return Jump(
        force=fold.force,
        direction="up" if rising else "down",
        flux_before=fold.flux,
        flux_after=float(after.flux[0]),
        volume_fraction_before=fold.volume_fraction,
        volume_fraction_after=float(after.volume_fraction[0]),
    )


def jumps(
    membrane: ResponsiveMembrane, bulk_concentration: float, max_force: float | None = None
) -> list[Jump]:
    """Return the jump at every fold of one bulk concentration, sorted by force."""
    folds = fold_points(membrane, bulk_concentration, max_force)
    return [jump_at(membrane, fold) for fold in folds]


def settle(
    membrane: ResponsiveMembrane, force: float, bulk_concentration: float, volume_fraction: float
) -> SteadyStates:
    """Return the state that a polymer at ``volume_fraction`` relaxes to at constant force."""
    states = steady_states(membrane, force, bulk_concentration)
    phi = states.volume_fraction
    nearest = int(np.argmin(np.abs(phi - volume_fraction)))
    if abs(phi[nearest] - volume_fraction) < 1e-12:
        return states.at(np.s_[nearest : nearest + 1])
    u = abs(float(membrane.reduced_force(force)))
    rate = _relaxation(membrane, volume_fraction, u, bulk_concentration)
    ahead = np.flatnonzero((phi - volume_fraction) * rate > 0)
    chosen = ahead[0 if rate > 0 else -1] if len(ahead) else nearest
    return states.at(np.s_[chosen : chosen + 1])


def hysteresis(
    membrane: ResponsiveMembrane,
    bulk_concentration: float,
    force: ArrayLike,
    volume_fraction: float | None = None,
) -> xr.Dataset:
    """Sweep the force up and back down, infinitely slowly.

    Parameters
    ----------
    bulk_concentration
        ``c0``, held.
    force
        Increasing forces to report at, shape ``(forces,)``.
    volume_fraction
        Where the polymer starts; by default as prepared without solute.

    Returns
    -------
    xarray.Dataset
        ``volume_fraction``, ``uptake`` and ``flux`` over ``direction`` ("up", "down") and
        ``force``. The exact jump forces are those of :func:`jumps`.
    """
    import xarray as xr

    forces = np.asarray(force, dtype=float)
    if forces.ndim != 1 or len(forces) < 2 or np.any(np.diff(forces) <= 0):
        raise InputError("force must be an increasing sequence of at least two forces.")
    phi = float(membrane.knots.phi[0]) if volume_fraction is None else float(volume_fraction)
    checked_properties(membrane, np.array(phi))
    names = ("volume_fraction", "uptake", "flux")
    columns = {name: np.empty((2, len(forces))) for name in names}
    steps = [(0, k) for k in range(len(forces))] + [(1, k) for k in reversed(range(len(forces)))]
    for sweep, k in steps:
        state = settle(membrane, float(forces[k]), bulk_concentration, phi)
        phi = float(state.volume_fraction[0])
        for name in names:
            columns[name][sweep, k] = getattr(state, name)[0]
    return xr.Dataset(
        {name: (("direction", "force"), column) for name, column in columns.items()},
        coords={"direction": ["up", "down"], "force": forces},
        attrs={"bulk_concentration": float(bulk_concentration)},
    )


def sweep_force(
    membrane: ResponsiveMembrane,
    bulk_concentration: float,
    force: ArrayLike,
    rate: float,
    relaxation_time: float = 1.0,
) -> xr.Dataset:
    """Sweep the force up and back down at a finite rate, with ``tau dphi/dt = phi(c_in) - phi``.

    Parameters
    ----------
    rate
        Force per time. The jump lags behind the fold as ``rate^(2/3)``.
    relaxation_time
        ``tau``, slow against transport (``d^2/D``).

    Returns
    -------
    xarray.Dataset
        As :func:`hysteresis`.
    """
    import xarray as xr
    from scipy.integrate import solve_ivp

    forces = np.asarray(force, dtype=float)
    for name, value in (("rate", rate), ("relaxation_time", relaxation_time)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value}; it must be a positive number.")
    phi = float(hysteresis(membrane, bulk_concentration, forces[:2]).volume_fraction[0, 0])
    columns = np.empty((2, len(forces)))
    for sweep, path in enumerate((forces, forces[::-1])):
        direction = 1.0 if sweep == 0 else -1.0

        def flow(time: float, state: Array, start: float = path[0], sign: float = direction):
            u = abs(membrane.beta * (start + sign * rate * time))
            return [_relaxation(membrane, state[0], u, bulk_concentration) / relaxation_time]

        times = np.abs(path - path[0]) / rate
        solution = solve_ivp(
            flow, (0.0, times[-1]), [phi], t_eval=times, method="LSODA", rtol=1e-9, atol=1e-11
        )
        phi = float(solution.y[0, -1])
        columns[sweep] = solution.y[0] if sweep == 0 else solution.y[0][::-1]
    data = {
        "volume_fraction": columns,
        "uptake": membrane.inert_uptake(forces, bulk_concentration, columns),
        "flux": membrane.inert_flux(forces, bulk_concentration, columns),
    }
    return xr.Dataset(
        {name: (("direction", "force"), column) for name, column in data.items()},
        coords={"direction": ["up", "down"], "force": forces},
        attrs={"bulk_concentration": float(bulk_concentration), "rate": float(rate)},
    )


def _relaxation(membrane: ResponsiveMembrane, phi: float, u: float, c0: float) -> float:
    """Return ``phi(c_in) - phi`` for a polymer at ``phi``."""
    _, K, a, d = checked_properties(membrane, np.array(phi))
    uptake = float(c0) * uptake_ratio(slab_factors(u, d, membrane.length), K, a)
    return float(membrane.response(np.atleast_1d(uptake))[0] - phi)

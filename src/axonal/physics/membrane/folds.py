"""Folds and cusps: where steady states appear, vanish and become bistable.

At fixed force the folds are the extrema of ``h(y, u) = ln c0`` over ``y = ln c_in``; at fixed
concentration they are the extrema of the force along the curve ``h(y, u) = ln c0``, a graph over
``y``. Two fold lines end in a cusp, where ``h_y = h_yy = 0``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from axonal.physics.membrane import manifold
from axonal.physics.membrane.checks import checked_concentration
from axonal.physics.membrane.curve import curves, force_of, largest_force
from axonal.physics.membrane.manifold import Material, material
from axonal.physics.membrane.roots import minimum
from axonal.physics.membrane.steady import extrema
from axonal.physics.membrane.transport import Array, flux_ratio

if TYPE_CHECKING:
    import xarray as xr

    from axonal.physics.membrane.model import ResponsiveMembrane


@dataclass(frozen=True)
class Fold:
    """A marginal steady state (loop gain 1): a fold, or a cusp where two folds meet."""

    force: float
    bulk_concentration: float
    volume_fraction: float
    uptake: float
    flux: float


def fold_points(
    membrane: ResponsiveMembrane, bulk_concentration: float, max_force: float | None = None
) -> list[Fold]:
    """Return the folds at one bulk concentration for forces in ``(0, max_force]``, by force.

    Two folds closer than about 1e-6 of each other are a cusp within tolerance and not reported.
    """
    log_c0 = float(np.log(checked_concentration(bulk_concentration)))
    max_u = largest_force(membrane, max_force)

    folds = []
    for at, u in curves(membrane, log_c0, max_u):
        slope = manifold.height(membrane, at, u, manifold.geometry(membrane, at, u))[1]
        for k in np.flatnonzero(slope[:-1] * slope[1:] < 0):
            y, near = _turn(membrane, at.y[k : k + 2], u[k : k + 2], log_c0, max_u)
            folds.append(_fold(membrane, material(membrane, y), near))
    return sorted(folds, key=lambda fold: fold.force)


def fold_concentrations(membrane: ResponsiveMembrane, force: float) -> list[Fold]:
    """Return the folds at one force, sorted by uptake; ``bulk_concentration`` is where they lie."""
    u = float(np.abs(membrane.reduced_force(force)))
    y = _fold_uptakes(membrane, u)
    at = material(membrane, y)
    return [_fold(membrane, at.at(np.s_[k : k + 1]), np.array([u])) for k in range(len(y))]


def count_states(
    membrane: ResponsiveMembrane, force: ArrayLike, bulk_concentration: ArrayLike
) -> Array:
    """Return the number of steady states, broadcast over forces and concentrations.

    Between its folds ``h`` is monotone, so the states at ``c0`` are the monotone pieces that cross
    ``ln c0``: exact, with one fold search a force and no root search at all.
    """
    u, log_c0 = np.broadcast_arrays(
        np.abs(membrane.reduced_force(force)), np.log(checked_concentration(bulk_concentration))
    )
    values, position = np.unique(u, return_inverse=True)
    counts = np.ones(u.shape, dtype=int)
    position = position.reshape(u.shape)
    for k, value in enumerate(values):
        y = _fold_uptakes(membrane, float(value))
        if len(y) == 0:
            continue
        here = position == k
        level = manifold.at_force(membrane, float(value))(y)[0]
        level = np.concatenate([[-np.inf], level, [np.inf]])[:, None]
        above = level < log_c0[here]
        counts[here] = np.sum(above[:-1] != above[1:], axis=0)
    return counts


def bistable_region(membrane: ResponsiveMembrane, force: ArrayLike) -> xr.Dataset:
    """Return for each force the interval of ``c0`` with several stable states.

    Returns
    -------
    xarray.Dataset
        ``lower`` and ``upper`` over ``force``; NaN where the state is unique at every ``c0``.
        With more than two folds at one force, the interval from the lowest to the highest.
    """
    import xarray as xr

    forces = np.atleast_1d(np.asarray(force, dtype=float))
    edges = np.full((2, len(forces)), np.nan)
    for k, u in enumerate(np.abs(membrane.reduced_force(forces))):
        y = _fold_uptakes(membrane, float(u))
        if len(y):
            levels = np.exp(manifold.at_force(membrane, float(u))(y)[0])
            edges[:, k] = levels.min(), levels.max()
    return xr.Dataset(
        {"lower": ("force", edges[0]), "upper": ("force", edges[1])}, coords={"force": forces}
    )


def cusps(membrane: ResponsiveMembrane, max_force: float | None = None) -> list[Fold]:
    """Return the cusps at forces in ``(0, max_force]``, by force.

    The number of folds changes only at a cusp. Each change is bracketed in force, and the force at
    which the extremum of ``h_y`` between the two folds touches zero found by Brent's method. The
    number is compared at 121 forces: an island between two cusps closer than that is missed.
    """
    max_u = largest_force(membrane, max_force)
    grid = max_u * np.linspace(0, 1, 121) ** 2  # finer at small forces
    before = _fold_uptakes(membrane, 0.0)
    found = []
    for u_low, u_high in pairwise(grid):
        after = _fold_uptakes(membrane, float(u_high))
        more, u_open = (before, u_low) if len(before) > len(after) else (after, u_high)
        for k in _pairs(before, after):
            found.append(_cusp(membrane, more[k : k + 2], u_low, u_high, u_open))
        before = after
    return found


def _pairs(before: Array, after: Array) -> list[int]:
    """Return the first index of every pair of neighbouring folds that has no match."""
    more, fewer = (before, after) if len(before) > len(after) else (after, before)
    unmatched = set(range(len(more)))
    for y in fewer:
        unmatched.discard(min(unmatched, key=lambda k: abs(more[k] - y)))
    return sorted(unmatched)[::2]


def _cusp(
    membrane: ResponsiveMembrane, pair: Array, u_low: float, u_high: float, u_open: float
) -> Fold:
    from scipy.optimize import brentq

    width = pair[1] - pair[0]
    low, high = pair[0] - width / 2, pair[1] + width / 2
    sign = np.sign(_slope(membrane, pair.mean(), u_open))  # of h_y between the two folds

    def touch(u: float) -> tuple[float, float]:
        return minimum(lambda y: -sign * _slope(membrane, y, u), low, high)

    u: Any = brentq(lambda u: touch(u)[0], u_low, u_high, xtol=1e-13 * u_high)
    return _fold(membrane, material(membrane, np.array([touch(u)[1]])), np.array([u], dtype=float))


def _turn(
    membrane: ResponsiveMembrane, y: Array, u: Array, log_c0: float, max_u: float
) -> tuple[Array, Array]:
    """Return where ``h_y`` vanishes along the curve ``h(y, u) = ln c0``, between two of its points."""
    from scipy.optimize import brentq

    def on_curve(at_y: float) -> tuple[Array, Array]:
        at = material(membrane, np.array([at_y]))
        force = force_of(membrane, at, log_c0, max_u, np.interp(at_y, np.sort(y), u[np.argsort(y)]))
        return force, manifold.height(membrane, at, force, manifold.geometry(membrane, at, force))[
            1
        ]

    root: Any = brentq(lambda at_y: on_curve(at_y)[1][0], y[0], y[1], xtol=1e-15)
    return np.array([root], dtype=float), on_curve(root)[0]


def _slope(membrane: ResponsiveMembrane, y: float, u: float) -> float:
    return float(manifold.at_force(membrane, u)(np.array([y]))[1][0])


def _fold_uptakes(membrane: ResponsiveMembrane, u: float) -> Array:
    """Return ``y = ln c_in`` of the folds at one reduced force."""
    cut = manifold.section(membrane, u)
    turning = cut.slope[:-1] * cut.slope[1:] < 0
    return extrema(membrane, u, cut, turning) if turning.any() else np.empty(0)


def _fold(membrane: ResponsiveMembrane, at: Material, u: Array) -> Fold:
    factors = manifold.geometry(membrane, at, u)
    c0 = np.exp(manifold.height(membrane, at, u, factors)[0])
    flux = membrane.bulk_diffusivity * c0 * flux_ratio(u, factors, at.partition, at.resistance)
    return Fold(
        force=float(u[0]) / membrane.beta,
        bulk_concentration=float(c0[0]),
        volume_fraction=float(at.phi[0]),
        uptake=float(np.exp(at.y[0])),
        flux=float(flux[0]),
    )

"""The whole force-flux curve at one bulk concentration, through all its folds.

At fixed ``phi`` the uptake ratio ``R`` runs monotonically with the force from ``K`` to ``D0/D_in``,
so every ``y = ln c_in`` belongs to at most one force: the curve is a graph over ``y`` and needs no
continuation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonal.errors import InputError
from axonal.physics.membrane import manifold
from axonal.physics.membrane.checks import checked_concentration
from axonal.physics.membrane.manifold import Material, material
from axonal.physics.membrane.roots import polish
from axonal.physics.membrane.states import SteadyStates, describe
from axonal.physics.membrane.steady import log_uptakes
from axonal.physics.membrane.transport import Array, Mask

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane

_DEFAULT_DROP = 50.0  # largest force of curves and searches, in k_BT per thickness or length/2


def branch(
    membrane: ResponsiveMembrane, bulk_concentration: float, max_force: float | None = None
) -> SteadyStates:
    """Return the force-flux curve at one concentration, through all folds, for forces >= 0.

    States are ordered along the curve from rest to ``max_force`` (default: 50 k_BT per thickness);
    where several curves exist (islands), a row of NaN separates them.
    """
    log_c0 = float(np.log(checked_concentration(bulk_concentration)))
    pieces = [
        describe(membrane, at, u, bulk_concentration)
        for at, u in curves(membrane, log_c0, largest_force(membrane, max_force))
    ]
    gap = {name: np.array([np.nan]) for name in vars(pieces[0])} | {"stable": np.array([False])}
    joined = [part for piece in pieces for part in (vars(piece), gap)][:-1]
    return SteadyStates(**{name: np.concatenate([p[name] for p in joined]) for name in gap})


def largest_force(membrane: ResponsiveMembrane, max_force: float | None) -> float:
    """Return the reduced force at which curves and searches end."""
    if max_force is None:
        thickness = membrane.length / 2 if callable(membrane.thickness) else membrane.thickness
        return _DEFAULT_DROP / thickness
    if not (np.isfinite(max_force) and max_force > 0):
        raise InputError(f"max_force is {max_force}; it must be a positive number.")
    return float(membrane.reduced_force(max_force))


def curves(
    membrane: ResponsiveMembrane, log_c0: float, max_u: float
) -> list[tuple[Material, Array]]:
    """Return the connected pieces of the curve ``h(y, u) = ln c0`` as (material, u) from rest on."""
    at_rest = log_uptakes(membrane, 0.0, log_c0)
    at_top = log_uptakes(membrane, max_u, log_c0)
    cuts = np.concatenate([at_rest, at_top])
    force = np.concatenate([np.zeros_like(at_rest), np.full_like(at_top, max_u)])
    order = np.argsort(cuts, kind="stable")
    cuts, force = cuts[order], force[order]
    pieces = []
    for k in range(len(cuts) - 1):  # the curve lives in the gaps where a force exists
        y = _between(membrane.knots.y, cuts[k], cuts[k + 1])
        if not _has_force(membrane, material(membrane, y), log_c0, max_u).all():
            continue
        at, u = _fill(membrane, np.r_[cuts[k], y, cuts[k + 1]], force[k : k + 2], log_c0, max_u)
        if force[k] > force[k + 1]:
            at, u = at.at(np.s_[::-1]), u[::-1]
        pieces.append((at, u))
    if not pieces:  # K = D0/D_in: uptake does not depend on the force, every force has this state
        u = np.linspace(0.0, max_u, 101)
        pieces.append((material(membrane, np.full_like(u, at_rest[0])), u))
    return sorted(pieces, key=lambda piece: piece[1][0])


def _between(knots: Array, low: float, high: float) -> Array:
    """Return the knots inside an interval, and 31 points evenly spaced."""
    return np.union1d(np.linspace(low, high, 33)[1:-1], knots[(knots > low) & (knots < high)])


def _fill(
    membrane: ResponsiveMembrane, y: Array, ends: Array, log_c0: float, max_u: float
) -> tuple[Material, Array]:
    """Solve for the force along ``y`` and bisect where it moves by more than a hundredth."""
    typical = min(2 / membrane.length, max_u)
    inner = force_of(membrane, material(membrane, y[1:-1]), log_c0, max_u, typical)
    u = np.r_[ends[0], inner, ends[1]]
    for _ in range(30):
        wide = np.abs(np.diff(u)) > max_u / 100
        middle = (y[:-1] + y[1:])[wide] / 2
        if not wide.any() or np.any(middle == y[:-1][wide]):
            break
        start = (u[:-1] + u[1:])[wide] / 2
        added = force_of(membrane, material(membrane, middle), log_c0, max_u, start)
        order = np.argsort(np.r_[y, middle], kind="stable")
        y, u = np.r_[y, middle][order], np.r_[u, added][order]
    return material(membrane, y), u


def _has_force(membrane: ResponsiveMembrane, at: Material, log_c0: float, max_u: float) -> Mask:
    at_rest, at_top = (
        manifold.height(membrane, at, u, manifold.geometry(membrane, at, u))[0]
        for u in (0.0, max_u)
    )
    return (at_rest - log_c0) * (at_top - log_c0) < 0


def force_of(
    membrane: ResponsiveMembrane, at: Material, log_c0: float, max_u: float, start: Array | float
) -> Array:
    """Return the one reduced force in ``[0, max_u]`` at which these states exist at ``c0``."""

    def residual(u: Array) -> tuple[Array, Array]:
        level, _ = manifold.height(membrane, at, u, manifold.geometry(membrane, at, u))
        return level - log_c0, -manifold.force_slope(membrane, at, u)

    rest = np.zeros_like(at.y)
    return polish(residual, rest, rest + max_u, rest + start, residual(rest)[0] < 0)

"""What a membrane can do over a range of forces, in a handful of numbers.

For comparing many sets of laws: whether the volume fraction is bistable and where, how far the flux
jumps, and how much feedback bends the force-flux relation. Every number is read off the manifold;
jumps are taken at folds, where the change of force that triggers them is infinitesimal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from axonal.physics.membrane.folds import Fold, fold_concentrations
from axonal.physics.membrane.hysteresis import jump_at, settle
from axonal.physics.membrane.transport import Array

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane

_LARGE_DROP = 600.0  # k_BT across the system: slowing alone decides


@dataclass(frozen=True)
class Survey:
    """Flags are 0 or 1; factors are 1 where there is no such jump."""

    bistable: float
    bistable_at_rest: float
    bistable_at_large_force: float
    rise_on_rising_force: float
    fall_on_rising_force: float
    rise_on_falling_force: float
    fall_on_falling_force: float
    exponent_departure_responsive: float
    exponent_departure_inert: float


def survey(membrane: ResponsiveMembrane, forces: Array) -> Survey:
    """Return what a membrane does for forces in ``forces`` (increasing, from 0), at any ``c0``.

    ``exponent_departure`` is the largest ``|d ln j / d ln f - 1|`` (0 in linear response) between
    neighbouring forces of an upward sweep, at the concentration of :func:`switching_concentration`;
    "inert" holds the polymer as it is at rest.
    """
    folds = [fold for force in forces for fold in fold_concentrations(membrane, float(force))]
    limit = _LARGE_DROP / (membrane.beta * membrane.length)
    responsive, inert = exponents(membrane, forces)
    return Survey(
        bistable=float(len(folds) > 0),
        bistable_at_rest=float(len(fold_concentrations(membrane, 0.0)) > 0),
        bistable_at_large_force=float(len(fold_concentrations(membrane, limit)) > 0),
        **largest_jumps(membrane, folds),
        exponent_departure_responsive=float(np.max(np.abs(responsive - 1))),
        exponent_departure_inert=float(np.max(np.abs(inert - 1))),
    )


def largest_jumps(membrane: ResponsiveMembrane, folds: list[Fold]) -> dict[str, float]:
    """Return the largest factor of the flux at ``folds``, by direction of force and of flux."""
    largest = {
        f"{flux}_on_{force}_force": 1.0
        for force in ("rising", "falling")
        for flux in ("rise", "fall")
    }
    for fold in folds:
        if fold.force == 0:
            continue  # no flux on either branch
        jump = jump_at(membrane, fold)
        flux = "rise" if jump.ratio > 1 else "fall"
        name = f"{flux}_on_{'rising' if jump.direction == 'up' else 'falling'}_force"
        largest[name] = max(largest[name], jump.ratio, 1 / jump.ratio)
    return largest


def exponents(membrane: ResponsiveMembrane, forces: Array) -> tuple[Array, Array]:
    """Return ``d ln j / d ln f`` between neighbouring positive forces: responsive and inert."""
    c0 = switching_concentration(membrane)
    phi = at_rest = float(settle(membrane, 0.0, c0, membrane.knots.phi[0]).volume_fraction[0])
    driven = forces[forces > 0]
    flux = np.empty_like(driven)
    for k, force in enumerate(driven):
        state = settle(membrane, float(force), c0, phi)
        phi, flux[k] = float(state.volume_fraction[0]), state.flux[0]
    inert = membrane.inert_flux(driven, c0, at_rest)
    steps = np.diff(np.log(driven))
    return np.diff(np.log(flux)) / steps, np.diff(np.log(inert)) / steps


def switching_concentration(membrane: ResponsiveMembrane) -> float:
    """Return a ``c0`` at which the force drives the uptake through the switch of the response.

    The uptake of the unfilled membrane runs from ``K c0`` to ``c0 D0/D_in``; this puts the steepest
    point of the response at the geometric mean.
    """
    knots = membrane.knots
    steepest = knots.y[np.argmax(np.abs(knots.phi_slope))]
    middle = np.sqrt(knots.partition[0] * knots.resistance[0])
    return float(np.exp(steepest) / middle)

"""The steady manifold, explicit in the mean concentration inside.

Because ``c_in`` is proportional to ``c0`` at fixed ``phi``, and ``phi`` follows from ``c_in``, every
pair (``y = ln c_in``, ``u``) is a steady state of exactly one bulk concentration:

    ln c0 = h(y, u) = y - ln R(phi(e^y), u),         R = c_in / c0 of the inert slab.

No inverse of the response is needed, so any smooth law will do, monotone or not. The slope
``h_y = 1 - g`` gives the loop gain ``g``; a state is stable if ``g < 1`` and folds where ``g = 1``.
With the weights of :mod:`.transport`,

    g = theta kappa + (1 - theta) alpha (+ thickness term),   kappa = dlnK/dy, alpha = dln(a)/dy,

so folds exist only where ``kappa`` or ``alpha`` exceeds 1: inside the switch of the response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from axonal.physics.membrane.laws import central_difference, slope
from axonal.physics.membrane.roots import minimum
from axonal.physics.membrane.transport import (
    Array,
    Selection,
    SlabFactors,
    force_slopes,
    slab_factors,
    thickness_slopes,
)

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane


class Material(NamedTuple):
    """The membrane's properties at points ``y = ln c_in``, with their slopes along ``y``."""

    y: Array
    phi: Array
    phi_slope: Array  # dphi/dy
    partition: Array  # K
    resistance: Array  # a = D0 / D_in
    thickness: Array  # d
    partition_slope: Array  # kappa = d ln K / dy
    resistance_slope: Array  # alpha = d ln a / dy
    thickness_slope: Array  # dd / dy

    def at(self, selected: Selection) -> Material:
        """Return the material at some of its points."""
        return Material(*(column[selected] for column in self))


def material(membrane: ResponsiveMembrane, y: Array) -> Material:
    """Evaluate the constitutive laws along ``y = ln c_in``."""
    uptake = np.exp(y)
    phi = np.asarray(membrane.response(uptake), dtype=float)
    phi_slope = uptake * slope(membrane.response, uptake)
    K = np.asarray(membrane.partition(phi), dtype=float)
    D = np.asarray(membrane.diffusivity(phi), dtype=float)
    kappa = phi_slope * slope(membrane.partition, phi) / K
    alpha = -phi_slope * slope(membrane.diffusivity, phi) / D
    if callable(membrane.thickness):
        d = np.asarray(membrane.thickness(phi), dtype=float)
        d_slope = phi_slope * slope(membrane.thickness, phi)
    else:
        d, d_slope = np.full_like(phi, membrane.thickness), np.zeros_like(phi)
    return Material(y, phi, phi_slope, K, 1 / D, d, kappa, alpha, d_slope)


def geometry(membrane: ResponsiveMembrane, at: Material, u: Array | float) -> SlabFactors:
    """Return the slab factors under reduced force ``u``; scalars where force and slab are."""
    d = at.thickness if callable(membrane.thickness) else membrane.thickness
    return slab_factors(u, d, membrane.length)


def height(
    membrane: ResponsiveMembrane, at: Material, u: Array | float, factors: SlabFactors
) -> tuple[Array, Array]:
    """Return ``h = ln c0`` of the steady states ``at``, and its slope ``h_y = 1 - g``."""
    K, a = at.partition, at.resistance
    S, W = factors
    held, opposed = (1 - W) * a + W * K, S * (a / K) + (1 - S)
    theta = W * K / held + S * (a / K) / opposed
    gain = at.resistance_slope + theta * (at.partition_slope - at.resistance_slope)
    if callable(membrane.thickness):
        slopes = thickness_slopes(u, at.thickness, membrane.length)
        gain = gain + at.thickness_slope * log_ratio_slope(at, factors, slopes)
    return at.y - np.log(held / opposed), 1 - gain


def at_force(
    membrane: ResponsiveMembrane, u: float, log_c0: float = 0.0
) -> Callable[[Array], tuple[Array, Array]]:
    """Return ``y -> (h - ln c0, h_y)`` at one reduced force."""
    fixed = None if callable(membrane.thickness) else geometry(membrane, membrane.knots, u)

    def residual(y: Array) -> tuple[Array, Array]:
        at = material(membrane, y)
        value, slope = height(membrane, at, u, fixed or geometry(membrane, at, u))
        return value - log_c0, slope

    return residual


class Section(NamedTuple):
    """The manifold cut at one reduced force: points with no fold or one between neighbours."""

    y: Array
    level: Array  # h
    slope: Array  # h_y


def section(membrane: ResponsiveMembrane, u: float) -> Section:
    """Cut the manifold at one force; where ``h_y`` dips through zero between knots, add a point."""
    knots = membrane.knots
    level, slope = height(membrane, knots, u, geometry(membrane, knots, u))
    size = np.abs(slope)
    inner, around = size[1:-1], np.maximum(size[:-2], size[2:])
    one_sign = (slope[:-2] * slope[1:-1] > 0) & (slope[1:-1] * slope[2:] > 0)
    dips = one_sign & (inner <= np.minimum(size[:-2], size[2:])) & (inner < (around - inner) / 2)
    added = [_bottom(membrane, u, int(k) + 1, slope[k + 1]) for k in np.flatnonzero(dips)]
    y = np.array([bottom for bottom in added if bottom is not None])
    if len(y) == 0:
        return Section(knots.y, level, slope)
    more = at_force(membrane, u)(y)
    order = np.argsort(np.r_[knots.y, y], kind="stable")
    return Section(
        *(np.r_[a, b][order] for a, b in zip((knots.y, level, slope), (y, *more), strict=True))
    )


def _bottom(membrane: ResponsiveMembrane, u: float, knot: int, slope: float) -> float | None:
    """Return where ``h_y`` reaches furthest past zero around a knot, if it does."""
    residual, sign = at_force(membrane, u), np.sign(slope)
    lowest, where = minimum(
        lambda y: sign * residual(np.array([y]))[1][0],
        membrane.knots.y[knot - 1],
        membrane.knots.y[knot + 1],
    )
    return where if lowest < 0 else None


def curvature(membrane: ResponsiveMembrane, y: Array, u: Array | float) -> Array:
    """Return ``h_yy`` at fixed force, by differences of the exact slope."""

    def slope_at(y: Array) -> Array:
        at = material(membrane, y)
        return height(membrane, at, u, geometry(membrane, at, u))[1]

    return central_difference(slope_at, y, 1e-4)


def force_slope(membrane: ResponsiveMembrane, at: Material, u: Array | float) -> Array:
    """Return ``d ln R / du`` at fixed ``phi``; its sign is that of ``a - K``, at every force."""
    slopes = force_slopes(u, at.thickness, membrane.length)
    return log_ratio_slope(at, geometry(membrane, at, u), slopes)


def log_ratio_slope(at: Material, factors: SlabFactors, slopes: SlabFactors) -> Array:
    """Return the change of ``ln R`` when S and W change by ``slopes``."""
    K, a = at.partition, at.resistance
    S, W = factors
    by_flux = slopes.flux * (a / K - 1) / (S * a / K + 1 - S)
    return slopes.uptake * (K - a) / ((1 - W) * a + W * K) - by_flux

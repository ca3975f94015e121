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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from axonal.errors import InputError
from axonal.physics.membrane.laws import central_difference, slope
from axonal.physics.membrane.transport import (
    Array,
    Mask,
    Selection,
    SlabFactors,
    force_slopes,
    slab_factors,
    thickness_slopes,
)

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane

_DECADES = 6.0  # the response is resolved this far to both sides of its scale
_FIRST_STEP = 0.05  # in ln c_in
_DEEPEST_BISECTION = 40


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


def concentration(bulk_concentration: ArrayLike) -> Array:
    """Return ``c0`` as an array; it must be positive."""
    c0 = np.asarray(bulk_concentration, dtype=float)
    if not np.all(np.isfinite(c0) & (c0 > 0)):
        raise InputError(
            f"bulk_concentration is {bulk_concentration}; it must be positive everywhere."
        )
    return c0


def properties(membrane: ResponsiveMembrane, phi: Array) -> tuple[Array, Array, Array, Array]:
    """Return ``phi, K, a, d``, each checked over the given volume fractions."""
    if not np.all((phi >= 0) & (phi < 1)):
        raise InputError(
            f"volume_fraction is {_first(phi, ~((phi >= 0) & (phi < 1)))}; it must lie in [0, 1)."
        )
    K = np.asarray(membrane.partition(phi), dtype=float)
    D = np.asarray(membrane.diffusivity(phi), dtype=float)
    for name, value in (("partition", K), ("diffusivity", D)):
        bad = ~(np.isfinite(value) & (value > 0))
        if np.any(bad):
            raise InputError(
                f"{name} gives {_first(value, bad)} at phi = {_first(phi, bad):.4g}; "
                "it must be positive and finite wherever the response goes."
            )
    d = membrane.thickness(phi) if callable(membrane.thickness) else membrane.thickness
    d = np.broadcast_to(np.asarray(d, dtype=float), phi.shape)
    bad = ~((d > 0) & (d < membrane.length))
    if np.any(bad):
        raise InputError(
            f"thickness is {_first(d, bad)} and length is {membrane.length}; "
            "the slab must fit between the reservoirs: 0 < thickness < length."
        )
    return phi, K, 1 / D, d


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


def minimum(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Return the least value of a smooth function in an interval, and where it lies."""
    from scipy.optimize import minimize_scalar

    found: Any = minimize_scalar(function, bounds=(low, high), options={"xatol": 1e-10})
    return float(found.fun), float(found.x)


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


def resolve(membrane: ResponsiveMembrane) -> Material:
    """Return the material on points fine enough that no fold slips between two of them.

    Starts from a coarse grid over twelve decades and bisects wherever ``phi``, ``kappa`` or
    ``alpha`` moves much; then drops the points where the gain can't reach 1 at any force.
    """
    scale = membrane.concentration_scale or getattr(membrane.response, "threshold", 1.0)
    half = _DECADES * np.log(10)
    y = np.log(scale) + np.arange(-half, half + _FIRST_STEP, _FIRST_STEP)
    points = _checked(membrane, y)
    coarse = _coarse(points)
    for _ in range(_DEEPEST_BISECTION):
        if not coarse.any():
            return _relevant(points)
        middle = (points.y[:-1] + points.y[1:])[coarse] / 2
        added = _checked(membrane, middle)
        order = np.argsort(np.concatenate([points.y, middle]), kind="stable")
        points = Material(
            *(np.concatenate(pair)[order] for pair in zip(points, added, strict=True))
        )
        coarse = _coarse(points)
    where = float(np.exp(points.y[np.argmax(np.abs(np.diff(points.phi)))]))
    raise InputError(
        f"response jumps at c_in = {where:.6g}; a smooth law is needed. "
        "Give the switch a width, however small."
    )


def _checked(membrane: ResponsiveMembrane, y: Array) -> Material:
    uptake = np.exp(y)
    phi = np.asarray(membrane.response(uptake), dtype=float)
    if phi.shape != y.shape:
        raise InputError(
            f"response maps {y.shape[0]} concentrations to an array of shape {phi.shape}; "
            "it must act on arrays, element by element."
        )
    bad = ~((phi >= 0) & (phi < 1))
    if np.any(bad):
        raise InputError(
            f"response gives phi = {_first(phi, bad)} at c_in = {_first(uptake, bad):.4g}; "
            "a polymer volume fraction must lie in [0, 1)."
        )
    properties(membrane, phi)
    return material(membrane, y)


def _coarse(points: Material) -> Mask:
    """Mark the intervals over which the material moves too far for one step."""
    span = np.ptp(points.phi)
    coarse = np.abs(np.diff(points.phi)) > span / 50
    thinning = points.thickness_slope / points.thickness
    for gain in (points.partition_slope, points.resistance_slope, thinning):
        size = np.abs(gain)
        coarse |= np.abs(np.diff(gain)) > 0.1 * (1 + np.minimum(size[:-1], size[1:]))
    return coarse


def _relevant(points: Material) -> Material:
    """Keep the points where some force could make the gain exceed a half, and their neighbours."""
    reach = np.maximum(np.abs(points.partition_slope), np.abs(points.resistance_slope))
    active = (reach > 0.5) | (np.abs(points.thickness_slope / points.thickness) > 1e-3)
    near = active.copy()
    near[1:] |= active[:-1]
    near[:-1] |= active[1:]
    near[[0, -1]] = True
    return points.at(near)


def polish(
    function: Callable[[Array], tuple[Array, Array]],
    low: Array,
    high: Array,
    start: Array,
    rising: Mask,
) -> Array:
    """Return roots bracketed by ``low`` and ``high``: Newton, kept inside by bisection.

    ``function`` returns value and slope; ``rising`` says whether it is negative at ``low``.
    """
    slack = 1e-9 * np.maximum(np.abs(low), np.abs(high))
    x, low, high = np.clip(start, low, high), low.copy(), high.copy()
    for _ in range(80):
        value, gradient = function(x)
        left = (value < 0) == rising
        low, high = np.where(left, x, low), np.where(left, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(value == 0, 0.0, -value / gradient)
        newton = (x + step >= low - slack) & (x + step <= high + slack)
        step = np.where(newton, step, (low + high) / 2 - x)
        x = x + step
        # the error left by Newton is the square of its step, that of bisection the step itself
        if np.all(np.abs(step) <= np.where(newton, slack, 1e-6 * slack)):
            break
    return x


def _first(values: Array, bad: Mask) -> float:
    return float(np.asarray(values)[bad].flat[0])

"""Every steady state at one force and one bulk concentration.

The states are the roots of ``h(y, u) - ln c0`` in ``y = ln c_in`` (:mod:`.manifold`). ``h`` is
monotone outside the response's switch and finely sampled inside it, and pairs of roots close to a
fold are found from the extremum between them, so none is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonal.errors import InputError
from axonal.physics.membrane import manifold
from axonal.physics.membrane.checks import checked_concentration, require_one
from axonal.physics.membrane.manifold import material
from axonal.physics.membrane.roots import polish
from axonal.physics.membrane.states import SteadyStates, describe
from axonal.physics.membrane.transport import Array, Mask

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane

_SATURATED = 1e-9  # change of phi beyond the resolved concentrations that is taken as none


def steady_states(
    membrane: ResponsiveMembrane, force: float, bulk_concentration: float
) -> SteadyStates:
    """Return every steady state at one force and concentration, sorted by ``phi``."""
    require_one(force=force, bulk_concentration=bulk_concentration)
    u = float(membrane.reduced_force(force))
    log_c0 = float(np.log(checked_concentration(bulk_concentration)))
    roots = material(membrane, log_uptakes(membrane, abs(u), log_c0))
    return describe(membrane, roots.at(np.argsort(roots.phi, kind="stable")), u, bulk_concentration)


def log_uptakes(membrane: ResponsiveMembrane, u: float, log_c0: float) -> Array:
    """Return ``y = ln c_in`` of every steady state under reduced force ``u >= 0``."""
    cut = manifold.section(membrane, u)
    offset, slope = cut.level - log_c0, cut.slope
    residual = manifold.at_force(membrane, u, log_c0)

    low, high, before, after = cut.y[:-1], cut.y[1:], offset[:-1], offset[1:]
    crossing = (before < 0) != (after < 0)
    start = _interpolated(cut.y, offset, slope)
    brackets = [(low[crossing], high[crossing], start[crossing], before[crossing] < 0)]
    # Beyond the knots phi is constant, so ln c0 = y - ln R there: at most one root a side.
    if offset[0] > 0:
        root = cut.y[:1] - offset[0]
        brackets.append((root - 1, cut.y[:1], root, np.array([True])))
    if offset[-1] < 0:
        root = cut.y[-1:] - offset[-1]
        brackets.append((cut.y[-1:], root + 1, root, np.array([True])))
    # A pair of states hides between two knots where h turns towards ln c0 and can reach it.
    steepest = np.maximum(np.abs(slope[:-1]), np.abs(slope[1:]))
    turning = (slope[:-1] * slope[1:] < 0) & ~crossing & (before * slope[:-1] < 0)
    turning &= np.abs(before) < 2 * steepest * (high - low)
    if turning.any():
        top = extrema(membrane, u, cut, turning)
        beyond = residual(top)[0] * before[turning] < 0
        low, top, high = low[turning][beyond], top[beyond], high[turning][beyond]
        rising = before[turning][beyond] < 0
        brackets.append((low, top, (low + top) / 2, rising))
        brackets.append((top, high, (top + high) / 2, ~rising))
    roots = np.sort(
        polish(residual, *(np.concatenate(part) for part in zip(*brackets, strict=True)))
    )
    outside = roots[(roots < cut.y[0]) | (roots > cut.y[-1])]
    if len(outside):
        _require_saturation(membrane, outside)
    return roots


def _require_saturation(membrane: ResponsiveMembrane, y: Array) -> None:
    """Refuse states beyond the resolved concentrations if the response still moves there."""
    ends = membrane.knots.at(np.where(y < membrane.knots.y[0], 0, -1))
    moved = np.abs(material(membrane, y).phi - ends.phi)
    if np.any(moved > _SATURATED):
        raise InputError(
            f"A steady state lies at c_in = {float(np.exp(y[np.argmax(moved)])):.3g}, more than six "
            "decades from concentration_scale, and the response still moves there; pass another "
            "concentration_scale."
        )


def extrema(membrane: ResponsiveMembrane, u: float, cut: manifold.Section, turning: Mask) -> Array:
    """Return where ``h`` turns at fixed force, in the intervals marked ``turning``: the folds."""
    residual, step = manifold.at_force(membrane, u), 1e-6
    low, high = cut.y[:-1][turning], cut.y[1:][turning]
    before, after = cut.slope[:-1][turning], cut.slope[1:][turning]

    def turn(y: Array) -> tuple[Array, Array]:
        here, ahead, behind = residual(np.concatenate([y, y + step, y - step]))[1].reshape(3, -1)
        return here, (ahead - behind) / (2 * step)

    start = low + (high - low) * before / (before - after)
    return polish(turn, low, high, start, before < 0)


def _interpolated(y: Array, value: Array, slope: Array) -> Array:
    """Return where the inverse cubic Hermite interpolant of ``value`` vanishes, per interval."""
    width, rise = np.diff(y), np.diff(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -value[:-1] / rise
        first, last = rise / (slope[:-1] * width), rise / (slope[1:] * width)  # dy/dvalue, scaled
        bend = t * (1 - t) * ((first - 1) * (1 - t) + (1 - last) * t)
        # a fold in or near the interval makes the inverse steep; the secant is then the guess
        tame = (np.abs(first - 1) < 1) & (np.abs(last - 1) < 1)
        return y[:-1] + width * np.where(tame, t + bend, t)

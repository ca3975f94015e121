"""Steady states of the closed loop: all of them, with stability, flux and permeabilities.

At fixed force and bulk concentration the states are the roots of ``h(y, u) - ln c0`` in
``y = ln c_in`` (:mod:`.manifold`). ``h`` is monotone outside the response's switch and finely
sampled inside it, and pairs of roots close to a fold are found from the extremum between them, so
none is lost. At fixed concentration the whole force-flux curve is a graph over ``y`` as well:
``c_in/c0`` runs monotonically with the force from ``K`` to ``D0/D_in``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from axonal.errors import InputError
from axonal.physics.membrane import manifold
from axonal.physics.membrane.manifold import Material, material, polish
from axonal.physics.membrane.transport import Array, Mask, Selection, flux_ratio, slab_slopes

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane

Branch = Literal["swollen", "collapsed"]

_SATURATED = 1e-9  # change of phi beyond the resolved concentrations that is taken as none
_DEFAULT_DROP = 50.0  # largest force of curves and searches, in k_BT per thickness or length/2


class MultipleSteadyStates(InputError):  # noqa: N818 - says what was found
    """One flux was asked for where several states are stable; the message lists them."""


@dataclass(frozen=True)
class SteadyStates:
    """Steady states as columns, shape ``(states,)``, in the membrane's own units.

    ``differential_permeability`` is ``(1/c0) dj/du`` with the loop closed (the total derivative);
    ``differential_permeability_inert`` holds ``phi`` fixed.
    """

    force: Array
    bulk_concentration: Array
    volume_fraction: Array
    uptake: Array
    flux: Array
    loop_gain: Array
    stable: Mask
    system_permeability: Array
    differential_permeability: Array
    differential_permeability_inert: Array

    def __len__(self) -> int:
        return len(self.force)

    def at(self, selected: Selection) -> SteadyStates:
        """Return some of the states."""
        return SteadyStates(**{name: column[selected] for name, column in vars(self).items()})


def steady_states(
    membrane: ResponsiveMembrane, force: float, bulk_concentration: float
) -> SteadyStates:
    """Return every steady state at one force and concentration, sorted by ``phi``."""
    u = float(membrane.reduced_force(force))
    log_c0 = float(np.log(manifold.concentration(bulk_concentration)))
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


def branch(
    membrane: ResponsiveMembrane, bulk_concentration: float, max_force: float | None = None
) -> SteadyStates:
    """Return the force-flux curve at one concentration, through all folds, for forces >= 0.

    States are ordered along the curve from rest to ``max_force`` (default: 50 k_BT per thickness);
    where several curves exist (islands), a row of NaN separates them.
    """
    log_c0 = float(np.log(manifold.concentration(bulk_concentration)))
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
    inner = force_of(membrane, material(membrane, y[1:-1]), log_c0, max_u)
    u = np.r_[ends[0], inner, ends[1]]
    for _ in range(30):
        wide = np.abs(np.diff(u)) > max_u / 100
        middle = (y[:-1] + y[1:])[wide] / 2
        if not wide.any() or np.any(middle == y[:-1][wide]):
            break
        added = force_of(membrane, material(membrane, middle), log_c0, max_u)
        order = np.argsort(np.r_[y, middle], kind="stable")
        y, u = np.r_[y, middle][order], np.r_[u, added][order]
    return material(membrane, y), u


def _has_force(membrane: ResponsiveMembrane, at: Material, log_c0: float, max_u: float) -> Mask:
    at_rest, at_top = (
        manifold.height(membrane, at, u, manifold.geometry(membrane, at, u))[0]
        for u in (0.0, max_u)
    )
    return (at_rest - log_c0) * (at_top - log_c0) < 0


def force_of(membrane: ResponsiveMembrane, at: Material, log_c0: float, max_u: float) -> Array:
    """Return the one reduced force in ``[0, max_u]`` at which these states exist at ``c0``."""

    def residual(u: Array) -> tuple[Array, Array]:
        level, _ = manifold.height(membrane, at, u, manifold.geometry(membrane, at, u))
        return level - log_c0, -manifold.force_slope(membrane, at, u)

    rest = np.zeros_like(at.y)
    start = np.full_like(at.y, min(2 / membrane.length, max_u))
    return polish(residual, rest, rest + max_u, start, residual(rest)[0] < 0)


def describe(
    membrane: ResponsiveMembrane, at: Material, u: Array | float, bulk_concentration: float
) -> SteadyStates:
    """Return the observables of steady states under the (signed) reduced force ``u``."""
    u = np.broadcast_to(np.asarray(u, dtype=float), at.y.shape)
    D0, size = membrane.bulk_diffusivity, np.abs(u)
    factors = manifold.geometry(membrane, at, size)
    slopes = slab_slopes(size, at.thickness, membrane.length)
    gain = 1 - manifold.height(membrane, at, size, factors)[1]
    ratio = at.resistance / at.partition
    opposition = factors.flux * ratio + 1 - factors.flux  # 1 + q S
    by_force = slopes.flux_force * (ratio - 1)
    by_uptake = factors.flux * ratio * (at.resistance_slope - at.partition_slope)
    by_uptake = by_uptake + at.thickness_slope * slopes.flux_thickness * (ratio - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        uptake_by_force = manifold.force_slope(membrane, at, size) / (1 - gain)
    c0 = np.full_like(size, bulk_concentration)
    return SteadyStates(
        force=u / membrane.beta,
        bulk_concentration=c0,
        volume_fraction=at.phi,
        uptake=np.exp(at.y),
        flux=D0 * c0 * flux_ratio(u, factors, at.partition, at.resistance),
        loop_gain=gain,
        stable=gain < 1,
        system_permeability=D0 / opposition,
        differential_permeability=D0
        / opposition
        * (1 - size * (by_force + by_uptake * uptake_by_force) / opposition),
        differential_permeability_inert=D0 / opposition * (1 - size * by_force / opposition),
    )


def choose(states: SteadyStates, branch: Branch | None) -> SteadyStates:
    """Return the one stable state, or the outermost stable state on the named side."""
    stable = states.at(states.stable)
    if branch == "swollen":
        return stable.at(np.s_[:1])
    if branch == "collapsed":
        return stable.at(np.s_[-1:])
    if branch is not None:
        raise InputError(f"branch is {branch!r}; choose 'swollen' or 'collapsed'.")
    if len(stable) > 1:
        listed = "; ".join(
            f"phi = {phi:.4g}, c_in = {c:.4g}, flux = {j:.4g}"
            for phi, c, j in zip(stable.volume_fraction, stable.uptake, stable.flux, strict=True)
        )
        raise MultipleSteadyStates(
            f"{len(stable)} stable states at force {states.force[0]:.6g} and bulk concentration "
            f"{states.bulk_concentration[0]:.6g}: {listed}. Name a branch ('swollen' or 'collapsed')."
        )
    return stable

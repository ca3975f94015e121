"""Steady states as columns: what a membrane shows at each of them.

The differential permeability is the total derivative along the branch, with the loop closed,

    (1/c0) dj/du = D0 [1/M - u (M_u + M_y dy/du) / M^2],   M = 1 + q S,   dy/du = (ln R)_u / (1 - g),

which diverges at folds (``g = 1``) and can be negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from axonal.errors import InputError
from axonal.physics.membrane import manifold
from axonal.physics.membrane.manifold import Material
from axonal.physics.membrane.transport import (
    Array,
    Mask,
    Selection,
    flux_ratio,
    force_slopes,
    thickness_slopes,
)

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane

Branch = Literal["swollen", "collapsed"]


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


def describe(
    membrane: ResponsiveMembrane, at: Material, u: Array | float, bulk_concentration: float
) -> SteadyStates:
    """Return the observables of steady states under the (signed) reduced force ``u``."""
    u = np.broadcast_to(np.asarray(u, dtype=float), at.y.shape)
    D0, size = membrane.bulk_diffusivity, np.abs(u)
    factors = manifold.geometry(membrane, at, size)
    slopes = force_slopes(size, at.thickness, membrane.length)
    loop = manifold.height(membrane, at, size, factors)[1]  # 1 - g
    ratio = at.resistance / at.partition
    opposition = factors.flux * ratio + 1 - factors.flux  # M
    by_force = slopes.flux * (ratio - 1)
    by_uptake = factors.flux * ratio * (at.resistance_slope - at.partition_slope)
    if callable(membrane.thickness):
        thinning = thickness_slopes(size, at.thickness, membrane.length).flux
        by_uptake = by_uptake + at.thickness_slope * thinning * (ratio - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        uptake_by_force = manifold.log_ratio_slope(at, factors, slopes) / loop
    c0 = np.full_like(size, bulk_concentration)
    return SteadyStates(
        force=u / membrane.beta,
        bulk_concentration=c0,
        volume_fraction=at.phi,
        uptake=np.exp(at.y),
        flux=D0 * c0 * flux_ratio(u, factors, at.partition, at.resistance),
        loop_gain=1 - loop,
        stable=loop > 0,
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

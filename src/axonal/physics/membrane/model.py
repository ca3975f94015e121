"""The responsive membrane: a slab whose polymer swells or collapses with the solute it holds.

Solute inside (``c_in``) sets the polymer volume fraction ``phi``; ``phi`` sets partition ratio and
diffusivity; these and the force set ``c_in``. Milster, Kim and Dzubiella, J. Chem. Phys. 158,
104903 (2023), arXiv:2212.00537.

Units: any consistent set. Lengths and concentrations as you like, diffusivity in length^2/time,
force in ``1/(beta * length)``; by default ``beta = D0 = d = 1`` (see :mod:`.units` for SI).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from axonal.errors import InputError
from axonal.physics.membrane import curve, folds, hysteresis, manifold, states, steady
from axonal.physics.membrane.checks import checked_concentration, checked_properties
from axonal.physics.membrane.knots import resolve
from axonal.physics.membrane.laws import (
    FreeVolumeDiffusivity,
    Law,
    TanhResponse,
    VirialPartition,
)
from axonal.physics.membrane.transport import (
    Array,
    concentration_profile,
    flux_ratio,
    slab_factors,
    uptake_ratio,
)

if TYPE_CHECKING:
    import xarray as xr

_HUGE_DROP, _TINY_DROP = 1e3, 1e-9  # |u| L outside these hints at a force in newtons


@dataclass(frozen=True)
class ResponsiveMembrane:
    """A slab-like polymer membrane between two reservoirs of equal concentration.

    Parameters
    ----------
    partition
        ``K(phi)``, positive.
    diffusivity
        ``D_in(phi)/D0``, positive.
    response
        ``phi(c_in)`` in [0, 1), smooth; monotone or not.
    thickness
        ``d``: a number, or a law ``d(phi)`` (:class:`ConservedPolymer`), always below ``length``.
    length
        ``L``, the distance between the reservoirs; the slab sits in the middle.
    bulk_diffusivity
        ``D0``.
    beta
        ``1/(k_B T)``; the reduced force is ``u = beta * force``.
    concentration_scale
        Where the response switches, to within six decades; by default its ``threshold``, or 1.
    """

    partition: Law = field(default_factory=VirialPartition)
    diffusivity: Law = field(default_factory=FreeVolumeDiffusivity)
    response: Law = field(default_factory=TanhResponse)
    thickness: float | Callable[[Array], Array] = 1.0
    length: float = 2.0
    bulk_diffusivity: float = 1.0
    beta: float = 1.0
    concentration_scale: float | None = None

    def __post_init__(self) -> None:
        for name in ("length", "bulk_diffusivity", "beta", "concentration_scale"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} is {value}; it must be a positive number.")
        _ = self.knots  # resolves the response and checks every law over its whole range

    @cached_property
    def knots(self) -> manifold.Material:
        """The material along ``ln c_in``, resolved where the response switches."""
        return resolve(self)

    def reduced_force(self, force: ArrayLike) -> Array:
        """Return ``u = beta f``; warn where its size hints at another unit."""
        u = self.beta * np.asarray(force, dtype=float)
        if not np.all(np.isfinite(u)):
            raise InputError("force has entries that are not finite numbers.")
        drop = np.abs(u) * self.length
        if np.any(drop > _HUGE_DROP) or np.any((drop > 0) & (drop < _TINY_DROP)):
            worst = (
                float(np.max(drop)) if np.any(drop > _HUGE_DROP) else float(drop[drop > 0].min())
            )
            warnings.warn(
                f"The force does {worst:.3g} k_BT of work across the system. Forces are in "
                "k_BT per length (beta = 1): convert newtons with Scales.reduced_force, or set "
                "beta = 1/(k_B T) in SI.",
                stacklevel=3,
            )
        return u

    # --- the inert slab: transport at a given volume fraction ---------------------------------

    def inert_flux(
        self, force: ArrayLike, bulk_concentration: ArrayLike, volume_fraction: ArrayLike
    ) -> Array:
        """Return the flux ``j`` of a membrane whose polymer is held at ``phi``."""
        u, factors, K, a = self._slab(force, volume_fraction)
        c0 = checked_concentration(bulk_concentration)
        return self.bulk_diffusivity * c0 * flux_ratio(u, factors, K, a)

    def inert_uptake(
        self, force: ArrayLike, bulk_concentration: ArrayLike, volume_fraction: ArrayLike
    ) -> Array:
        """Return the mean concentration inside, ``c_in``, with the polymer held at ``phi``."""
        _, factors, K, a = self._slab(force, volume_fraction)
        return checked_concentration(bulk_concentration) * uptake_ratio(factors, K, a)

    def inert_permeability(self, force: ArrayLike, volume_fraction: ArrayLike) -> Array:
        """Return the system permeability ``P_sys = j/(c0 u)`` with the polymer held at ``phi``.

        At rest it is the series resistance ``[(1 - d/L)/D0 + (d/L)/P]^-1``, at large force ``D0``.
        """
        _, factors, K, a = self._slab(force, volume_fraction)
        return self.bulk_diffusivity / (factors.flux * a / K + 1 - factors.flux)

    def membrane_permeability(self, volume_fraction: ArrayLike) -> Array:
        """Return the membrane's own permeability ``P = K D_in``."""
        _, K, a, _ = self.properties(volume_fraction)
        return self.bulk_diffusivity * K / a

    def profile(
        self,
        position: ArrayLike,
        force: float,
        bulk_concentration: float,
        volume_fraction: float,
    ) -> Array:
        """Return the concentration ``c(z)`` for ``0 <= z <= length``."""
        z = np.asarray(position, dtype=float)
        if np.any((z < 0) | (z > self.length)):
            raise InputError(f"position must lie in [0, {self.length}], the system's length.")
        u = float(self.reduced_force(force))
        _, K, a, d = (float(x) for x in self.properties(volume_fraction))
        c0 = float(checked_concentration(bulk_concentration))
        return c0 * concentration_profile(z, u, K, a, d, self.length)

    def properties(self, volume_fraction: ArrayLike) -> tuple[Array, Array, Array, Array]:
        """Return ``phi``, ``K``, ``a = D0/D_in`` and ``d`` at ``phi``, checked."""
        return checked_properties(self, np.asarray(volume_fraction, dtype=float))

    # --- the responsive membrane: the loop closed ----------------------------------------------

    def flux(
        self, force: float, bulk_concentration: float, branch: states.Branch | None = None
    ) -> float:
        """Return the steady flux; where several states are stable, ``branch`` chooses one.

        Raises
        ------
        MultipleSteadyStates
            If several states are stable and no branch is named.
        """
        return float(self.steady_state(force, bulk_concentration, branch).flux[0])

    def steady_state(
        self, force: float, bulk_concentration: float, branch: states.Branch | None = None
    ) -> states.SteadyStates:
        """Return the one stable state, or the stable state on ``branch`` ("swollen", "collapsed")."""
        return states.choose(self.steady_states(force, bulk_concentration), branch)

    def steady_states(self, force: float, bulk_concentration: float) -> states.SteadyStates:
        """Return every steady state at one force and concentration, sorted by ``phi``."""
        return steady.steady_states(self, force, bulk_concentration)

    def count_states(self, force: ArrayLike, bulk_concentration: ArrayLike) -> Array:
        """Return the number of steady states, broadcast over forces and concentrations."""
        return folds.count_states(self, force, bulk_concentration)

    def branch(
        self, bulk_concentration: float, max_force: float | None = None
    ) -> states.SteadyStates:
        """Return the whole force-flux curve at one concentration, through all its folds."""
        return curve.branch(self, bulk_concentration, max_force)

    def fold_points(
        self, bulk_concentration: float, max_force: float | None = None
    ) -> list[folds.Fold]:
        """Return the folds at one concentration, sorted by force."""
        return folds.fold_points(self, bulk_concentration, max_force)

    def fold_concentrations(self, force: float) -> list[folds.Fold]:
        """Return the folds at one force, sorted by uptake."""
        return folds.fold_concentrations(self, force)

    def bistable_region(self, force: ArrayLike) -> xr.Dataset:
        """Return the interval of ``c0`` with several stable states at each force."""
        return folds.bistable_region(self, force)

    def cusps(self, max_force: float | None = None) -> list[folds.Fold]:
        """Return the cusps, where two fold lines meet."""
        return folds.cusps(self, max_force)

    def loop_residual(self, bulk_concentration: float) -> Callable[[float, float], float]:
        """Return ``r(ln c_in, force)``, zero in steady states, for :mod:`axonal.sweep.continuation`.

        The package itself needs no continuation; this is the way to couple the loop to more
        unknowns, or to check it.
        """
        log_c0 = float(np.log(checked_concentration(bulk_concentration)))

        def residual(log_uptake: float, force: float) -> float:
            u = abs(float(self.reduced_force(force)))
            level, _ = manifold.at_force(self, u, log_c0)(np.array([log_uptake], dtype=float))
            return float(level[0])

        return residual

    def hysteresis(self, bulk_concentration: float, force: ArrayLike) -> xr.Dataset:
        """Return the quasi-static sweep of the force up and back down."""
        return hysteresis.hysteresis(self, bulk_concentration, force)

    def jumps(
        self, bulk_concentration: float, max_force: float | None = None
    ) -> list[hysteresis.Jump]:
        """Return the jumps of the flux at the folds of one concentration."""
        return hysteresis.jumps(self, bulk_concentration, max_force)

    def _slab(self, force: ArrayLike, volume_fraction: ArrayLike):
        u = self.reduced_force(force)
        _, K, a, d = self.properties(volume_fraction)
        return u, slab_factors(u, d, self.length), K, a


@dataclass(frozen=True)
class ConservedPolymer:
    """A slab that keeps its polymer: ``d(phi) = d_ref phi_ref / phi``, thinner when collapsed."""

    thickness: float
    volume_fraction: float

    def __call__(self, volume_fraction: ArrayLike) -> Array:
        """Return ``d`` at volume fractions of any shape."""
        return self.thickness * self.volume_fraction / np.asarray(volume_fraction, dtype=float)

    def derivative(self, volume_fraction: ArrayLike) -> Array:
        """Return ``dd/dphi``."""
        return -self(volume_fraction) / np.asarray(volume_fraction, dtype=float)

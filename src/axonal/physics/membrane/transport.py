"""Exact steady transport through a slab with sharp faces, driven by a uniform force.

Solutes obey the Smoluchowski equation in ``0 <= z <= L`` with bulk concentration ``c0`` at both
ends; a slab of thickness ``d`` sits in the middle, with partition ratio ``K`` and diffusivity
``D`` (in units of the bulk diffusivity ``D0``) inside. With ``u = beta f`` and
``q = 1/(K D) - 1`` the flux and the mean concentration inside are

    j / (D0 c0) = u / (1 + q S)                    S = sinh(u d/2) / sinh(u L/2)
    c_in / c0   = K (1 + q - q W) / (1 + q S)      W = 2 sinh(u d/2) sinh(u (L-d)/2)
                                                       / (u d sinh(u L/2))

The model is that of Milster, Kim and Dzubiella, J. Chem. Phys. 158, 104903 (2023),
arXiv:2212.00537. In the resistance ratio ``a = 1/D`` the uptake is a homogeneous mean of ``K``
and ``a``, and this is what the rest of the package rests on:

    c_in / c0 = [(1 - W) a + W K] / [S a/K + 1 - S],      0 <= d ln c_in / d ln K = theta <= 1,
    d ln c_in / d ln a = 1 - theta,                       theta falls from 1 (u = 0) to 0 (u -> inf)

Every function broadcasts over its arguments; lengths share one unit, ``u`` is in its inverse.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Selection = Mask | NDArray[np.intp] | slice

_NEGLIGIBLE_DROP = 1e-8  # u L below which the u = 0 limits are exact to round-off: error (uL)^2


class SlabFactors(NamedTuple):
    """The two geometric factors of a slab: ``flux`` (S) and ``uptake`` (W), both in [0, 1]."""

    flux: Array
    uptake: Array


def slab_factors(reduced_force: ArrayLike, thickness: ArrayLike, length: ArrayLike) -> SlabFactors:
    """Return S and W, even in the force; no overflow at any force, no 0/0 at rest.

    ``S(0) = d/L`` and ``W(0) = 1 - d/L``; for large forces S vanishes and ``W -> 1/(u d)``.
    ``S + W <= 1``, with equality only at rest.
    """
    u = np.abs(np.asarray(reduced_force, dtype=float))
    d, length = np.asarray(thickness, dtype=float), np.asarray(length, dtype=float)
    resting = u * length < _NEGLIGIBLE_DROP
    u = np.where(resting, 1.0, u)
    inside, outside, whole = np.expm1(-u * d), np.expm1(-u * (length - d)), np.expm1(-u * length)
    flux = np.exp(-u * (length - d) / 2) * inside / whole
    uptake = -inside * outside / (u * d * whole)
    return SlabFactors(
        np.where(resting, d / length, flux), np.where(resting, 1 - d / length, uptake)
    )


def force_slopes(reduced_force: ArrayLike, thickness: ArrayLike, length: ArrayLike) -> SlabFactors:
    """Return ``dS/d|u|`` and ``dW/d|u|``."""
    u, d, length = _driven(reduced_force, thickness, length)
    flux, uptake = slab_factors(u, d, length)
    inside, outside, whole = _coth_excess(
        u / 2 * np.stack(np.broadcast_arrays(d, length - d, length + 0 * d))
    )
    return SlabFactors(flux / u * (inside - whole), uptake / u * (inside + outside - whole))


def thickness_slopes(
    reduced_force: ArrayLike, thickness: ArrayLike, length: ArrayLike
) -> SlabFactors:
    """Return ``dS/dd`` and ``dW/dd``."""
    u, d, length = _driven(reduced_force, thickness, length)
    _, uptake = slab_factors(u, d, length)
    # sinh(u (L - 2d)/2) / sinh(u L/2) and cosh(u d/2) / sinh(u L/2), free of overflow
    antisymmetric = np.exp(-u * d) * np.expm1(-u * (length - 2 * d)) / np.expm1(-u * length)
    symmetric = -np.exp(-u * (length - d) / 2) * (1 + np.exp(-u * d)) / np.expm1(-u * length)
    return SlabFactors(u / 2 * symmetric, (antisymmetric - uptake) / d)


def _driven(u: ArrayLike, d: ArrayLike, length: ArrayLike) -> tuple[Array, Array, Array]:
    """Return the arguments as arrays, the force no smaller than differs from rest."""
    length = np.asarray(length, dtype=float)
    size = np.maximum(np.abs(np.asarray(u, dtype=float)), _NEGLIGIBLE_DROP / length)
    return size, np.asarray(d, dtype=float), length


def uptake_ratio(factors: SlabFactors, partition: ArrayLike, resistance: ArrayLike) -> Array:
    """Return ``c_in / c0`` for partition ratio ``K`` and resistance ``a = D0 / D_in``."""
    K, a = np.asarray(partition, dtype=float), np.asarray(resistance, dtype=float)
    S, W = factors
    return ((1 - W) * a + W * K) / (S * a / K + (1 - S))


def partition_weight(factors: SlabFactors, partition: ArrayLike, resistance: ArrayLike) -> Array:
    """Return ``theta = d ln(c_in/c0) / d ln K``; the weight of ``a`` is ``1 - theta``.

    At rest uptake is all partitioning (``theta = 1``), at large force all slowing (0).
    """
    K, a = np.asarray(partition, dtype=float), np.asarray(resistance, dtype=float)
    S, W = factors
    return W * K / ((1 - W) * a + W * K) + S * a / (S * a + (1 - S) * K)


def flux_ratio(
    reduced_force: ArrayLike, factors: SlabFactors, partition: ArrayLike, resistance: ArrayLike
) -> Array:
    """Return ``j / (D0 c0)``, odd in the force, in inverse length."""
    K, a = np.asarray(partition, dtype=float), np.asarray(resistance, dtype=float)
    return np.asarray(reduced_force, dtype=float) / (factors.flux * a / K + (1 - factors.flux))


def concentration_profile(
    position: ArrayLike,
    reduced_force: float,
    partition: float,
    resistance: float,
    thickness: float,
    length: float,
) -> Array:
    """Return ``c(z) / c0`` at ``position`` in ``[0, L]``; the faces belong to the slab.

    Each region holds a uniform part ``j/(D u)`` and a part that grows as ``exp(u z)``; at the faces
    ``c exp(beta U)`` is continuous, so ``c`` jumps by the factor ``K``.
    """
    z = np.asarray(position, dtype=float)
    if reduced_force < 0:  # mirror the system, so that exponents below are bounded
        z, reduced_force = length - z, -reduced_force
    K, a, u = partition, resistance, reduced_force
    entry = (length - thickness) / 2
    leave = entry + thickness
    if u * length < _NEGLIGIBLE_DROP:
        return np.where((z >= entry) & (z <= leave), K, 1.0)
    factors = slab_factors(u, thickness, length)
    plateau = 1 / (factors.flux * a / K + (1 - factors.flux))  # j/(D0 c0 u), the uniform part

    def from_right(at: Array, edge: float, value: float | Array, uniform: float | Array) -> Array:
        return uniform + (value - uniform) * np.exp(u * np.minimum(at - edge, 0.0))

    # Integrate from the outlet backwards, where the exponential parts decay: stable at any force.
    after = from_right(z, length, 1.0, plateau)
    at_leave = K * from_right(np.asarray(leave), length, 1.0, plateau)
    within = from_right(z, leave, at_leave, a * plateau)
    at_entry = from_right(np.asarray(entry), leave, at_leave, a * plateau) / K
    before = from_right(z, entry, at_entry, plateau)
    return np.where(z < entry, before, np.where(z <= leave, within, after))


def _coth_excess(x: Array) -> Array:
    """Return ``x coth x - 1``, by its series where the difference would cancel."""
    small = x < 0.03
    large = np.where(small, 1.0, x)
    direct = large * (1 + np.exp(-2 * large)) / -np.expm1(-2 * large) - 1
    square = np.square(np.where(small, x, 0.0))
    series = square * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square / 4725)))
    return np.where(small, series, direct)

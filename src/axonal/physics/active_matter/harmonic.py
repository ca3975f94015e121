r"""Swimmers joined by springs in a trap: many active particles for which everything is known.

In one dimension, :math:`dx_i = [v_0 g_i - A x_i - \kappa \sum_{j \sim i} (x_i - x_j)]\,dt +
\sqrt{2\varepsilon}\,dW_i` along a chain. A normal mode of stiffness :math:`A_m` is a trapped swimmer by
itself and produces

.. math:: \sigma_m = \frac{v_0^2\, \gamma}{\varepsilon\, (A_m + \gamma)}.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.transport import LinearDiffusion


def harmonic_swimmers(
    particles: int,
    *,
    speed: float,
    persistence_rate: float,
    diffusion: float,
    trap: float,
    coupling: float = 0.0,
) -> LinearDiffusion:
    """Return the chain as a linear diffusion of ``(x_1..x_N, g_1..g_N)``.

    Parameters
    ----------
    particles
        ``N``.
    speed, persistence_rate, diffusion, trap
        ``v0, gamma, eps, A``.
    coupling
        Stiffness of the spring between neighbours.
    """
    stiffness = _stiffness(particles, trap, coupling)
    for name, value in (("persistence_rate", persistence_rate), ("diffusion", diffusion)):
        least = 0.0 if name == "diffusion" else 1e-300
        if not (math.isfinite(value) and value >= least):
            raise InputError(f"{name} must be a number that is not negative, got {value!r}.")
    one = np.eye(particles)
    drift = np.block([[-stiffness, speed * one], [0 * one, -persistence_rate * one]])
    return LinearDiffusion(drift, np.repeat([diffusion, persistence_rate], particles))


def harmonic_production(
    particles: int,
    *,
    speed: float,
    persistence_rate: float,
    diffusion: float,
    trap: float,
    coupling: float = 0.0,
) -> float:
    """Return the chain's entropy production rate as the sum over its normal modes."""
    if not diffusion > 0:
        raise InputError("The total entropy production is not defined without diffusion.")
    modes = np.linalg.eigvalsh(_stiffness(particles, trap, coupling))
    return float((speed**2 * persistence_rate / (diffusion * (modes + persistence_rate))).sum())


def _stiffness(particles: int, trap: float, coupling: float) -> NDArray[np.float64]:
    if particles < 1 or not trap > 0 or not coupling >= 0:
        raise InputError(
            "A chain has at least one particle, a positive trap and a coupling that is not negative; "
            f"got {particles}, {trap} and {coupling}."
        )
    chain = np.eye(particles, k=1) + np.eye(particles, k=-1)
    return trap * np.eye(particles) + coupling * (np.diag(chain.sum(axis=1)) - chain)

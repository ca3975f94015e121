"""The integrated density matrix by one dense solve of the Liouvillian: the reference.

With ``R = integral_0^inf rho dt``, the Laplace transform of the Lindblad equation at zero is
``L R = -rho(0)``, where

    L R = -i (H_eff R - R H_eff^+) + sum_j gamma_j |j><j| R_jj.

Vectorised row by row this is a linear system of ``sites^2`` unknowns. It makes no use of structure,
costs O(sites^6), and is what the other routes are compared with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: Refinement stops when no population moves by more than this fraction of itself.
REFINEMENTS = 24
REFINED = 1e-14
SINGULAR = 1e-15


def liouvillian(effective: Complex, dephasing: Real) -> Complex:
    """Return the superoperator L, (batch, sites^2, sites^2), on row-major vectors.

    Parameters
    ----------
    effective : (batch, sites, sites), H - (i/2) diag(loss + sink + dephasing)
    dephasing : (batch, sites)
    """
    batch, count = dephasing.shape
    identity = np.eye(count)
    left = np.einsum("bij,kl->bikjl", effective, identity)
    right = np.einsum("ij,bkl->bikjl", identity, effective.conj())
    generator = (-1j * (left - right)).reshape(batch, count**2, count**2)
    populations = np.arange(count) * (count + 1)
    generator[:, populations, populations] += dephasing
    return generator


def integrated_density(effective: Complex, loss: Real, dephasing: Real, start: Complex) -> Complex:
    """Return R = integral rho dt, (batch, sites, sites), for a batch of initial density matrices.

    ``loss`` is every rate out of the network, (batch, sites): losses and sink.

    Raises
    ------
    InputError
        When the Liouvillian is singular: part of the network has no way to decay.
    """
    batch, count = dephasing.shape
    density = np.empty((batch, count, count), complex)
    for item in range(batch):
        part = slice(item, item + 1)
        generator = liouvillian(effective[part], dephasing[part])[0]
        density[item] = _solve(generator, effective[item], loss[item], dephasing[item], start[item])
    return density


def _solve(
    generator: Complex, effective: Complex, loss: Real, dephasing: Real, start: Complex
) -> Complex:
    import scipy.linalg

    count = len(dephasing)
    factors, pivots = scipy.linalg.lu_factor(generator, check_finite=False)
    sizes = np.abs(factors.diagonal())
    if sizes.min() <= SINGULAR * sizes.max():
        raise InputError(
            "The Liouvillian is singular: a mode of the network has no way to decay. Give its "
            "sites a rate of loss, dephasing or a sink."
        )

    def once(source: Complex) -> Complex:
        solution = scipy.linalg.lu_solve((factors, pivots), -source.ravel()).reshape(count, count)
        return (solution + solution.conj().T) / 2

    # Dephasing cancels exactly on the diagonal; left out there, it costs no digits.
    kept = (effective + effective.conj().T) / 2 - 0.5j * np.diag(loss)
    dephased = (dephasing[:, None] + dephasing[None, :]) / 2 * (1 - np.eye(count))
    density = once(start)
    for _ in range(REFINEMENTS):
        flow = kept @ density
        correction = once(start - 1j * (flow - flow.conj().T) - dephased * density)
        density = density + correction
        if (np.abs(np.diag(correction)) <= REFINED * np.abs(np.diag(density))).all():
            break
    return density

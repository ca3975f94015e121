"""Donor rings: a ring with a photon mode and a central acceptor, and the bare ring with a trap.

The ring-acceptor model holds one photon |p>, N ring sites |j> and an acceptor |a>:

    H = w_c |p><p| + E_a |a><a| + sum_j eps |j><j| + sum_j g (|j><j+1| + h.c.)
        + sum_j J (|p><j| + h.c.) + sum_j xi (|j><a| + h.c.),

with loss from every level, dephasing of the ring sites and a sink on the acceptor. The geometry is
that of Dong, Xu and Sun, arXiv:1102.0960.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.physics.light_harvesting.network import ExcitonNetwork

SMALLEST_RING = 3


def ring_acceptor(
    N: int = 8,
    g: float | tuple[float, float] = 1.0,
    J: float = 0.005,
    xi: float = 0.01,
    *,
    kappa_ring: float = 1e-4,
    sink: float = 0.01,
    kappa_photon: float = 0.0,
    kappa_acceptor: float = 0.0,
    dephasing: float = 0.0,
    photon_dephasing: float = 0.0,
    acceptor_dephasing: float = 0.0,
    detuning: float = 0.0,
    acceptor_detuning: float = 0.0,
    unit: str = "",
) -> ExcitonNetwork:
    """Build a donor ring with a photon mode and a central acceptor.

    Parameters
    ----------
    N : ring sites, at least 3 (for N = 2 the periodic bond would count twice)
    g : coupling of ring neighbours; a pair alternates around a dimerised ring of even N
    J, xi : coupling of every ring site to the photon and to the acceptor
    kappa_ring, kappa_photon, kappa_acceptor : loss rates
    sink : rate from the acceptor to the reaction centre
    dephasing, photon_dephasing, acceptor_dephasing : pure dephasing rates
    detuning, acceptor_detuning : energies of photon and acceptor, from the bright mode

    Returns
    -------
    ExcitonNetwork
        Sites ``photon``, ``ring 1`` ... ``ring N``, ``acceptor``; starts on the photon; detunings
        can refer to ``"bright"``, ``"acceptor"`` or ``"site"``.
    """
    bonds = _bonds(N, g)
    bright = 2 * float(bonds.mean())
    count = N + 2
    matrix = np.zeros((count, count))
    matrix[1:-1, 1:-1] = _ring(bonds)
    matrix[0, 1:-1] = matrix[1:-1, 0] = J
    matrix[-1, 1:-1] = matrix[1:-1, -1] = xi
    matrix[0, 0] = bright + detuning
    matrix[-1, -1] = bright + acceptor_detuning
    names = ["photon", *(f"ring {number}" for number in range(1, N + 1)), "acceptor"]
    return ExcitonNetwork(
        matrix,
        loss=[kappa_photon, *[kappa_ring] * N, kappa_acceptor],
        dephasing=[photon_dephasing, *[dephasing] * N, acceptor_dephasing],
        sink={"acceptor": sink},
        sites=names,
        channels=["photon", *["ring"] * N, "acceptor"],
        start="photon",
        references={"bright": bright, "acceptor": bright + acceptor_detuning, "site": 0.0},
        unit=unit,
    )


def toy_ring(
    N: int = 8,
    J: float = 1.0,
    *,
    sink: float = 1.0,
    loss: float = 1e-3,
    dephasing: float = 0.0,
    start: int = 2,
) -> ExcitonNetwork:
    """Build a bare ring with a trap on site 0 and the excitation on site ``start``.

    Without dephasing, the half of the start state that is odd about the trap never reaches it:
    the efficiency tends to 1/2 as the loss vanishes (to 1 from the site opposite the trap).
    """
    matrix = _ring(_bonds(N, J))
    names = [f"ring {number}" for number in range(N)]
    return ExcitonNetwork(
        matrix,
        loss=loss,
        dephasing=dephasing,
        sink={names[0]: sink},
        sites=names,
        channels=["ring"] * N,
        start=names[start % N],
        references={"site": 0.0},
    )


def dark_detunings(network: ExcitonNetwork) -> NDArray[np.float64]:
    """Return the energies of the ring's dark modes from its bright mode, (modes,).

    For uniform neighbours ``2 g (cos(2 pi k / N) - 1)``, k = 1 ... N - 1: where disorder opens a
    crossing between the photon and a dark mode.
    """
    ring = network.members("ring")
    if network.batch_shape:
        raise InputError("dark_detunings takes one ordered ring, not a batch of networks.")
    energies = np.linalg.eigvalsh(network.hamiltonian[np.ix_(ring, ring)]).astype(float)
    bright = network.reference_energy("bright")
    return np.delete(energies, np.abs(energies - bright).argmin()) - bright


def _bonds(sites: int, coupling: float | tuple[float, float]) -> NDArray[np.float64]:
    """Return the coupling of each bond j, j + 1 around the ring."""
    if sites < SMALLEST_RING:
        raise InputError(
            f"A ring needs N >= {SMALLEST_RING} sites, got {sites}: with two, the periodic bond "
            "would count twice."
        )
    pattern = np.atleast_1d(np.asarray(coupling, dtype=float))
    if sites % len(pattern):
        raise InputError(
            f"A ring of {sites} sites can't alternate between {len(pattern)} couplings; "
            "a dimerised ring needs an even N."
        )
    return np.tile(pattern, sites // len(pattern))


def _ring(bonds: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.diag(bonds[:-1], 1)
    matrix[0, -1] = bonds[-1]
    return matrix + matrix.T

"""Pigment-protein complexes with published Hamiltonians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from axonal.physics.light_harvesting.network import ExcitonNetwork

#: Fenna-Matthews-Olson complex of Chlorobaculum tepidum, 7 bacteriochlorophylls, in cm^-1; energies
#: from 12,210 cm^-1. J. Adolphs and T. Renger, Biophys. J. 91, 2778 (2006), as used by A. Ishizaki
#: and G. R. Fleming, PNAS 106, 17255 (2009).
_FMO_UPPER = [
    [200.0, -87.7, 5.5, -5.9, 6.7, -13.7, -9.9],
    [320.0, 30.8, 8.2, 0.7, 11.8, 4.3],
    [0.0, -53.5, -2.2, -9.6, 6.0],
    [110.0, -70.7, -17.0, -63.3],
    [270.0, 81.1, -1.3],
    [420.0, 39.7],
    [230.0],
]


def fmo_hamiltonian() -> NDArray[np.float64]:
    """Return the Hamiltonian of one FMO subunit, (7, 7), in cm^-1."""
    matrix = np.zeros((7, 7))
    matrix[np.triu_indices(7)] = np.concatenate(_FMO_UPPER)
    return matrix + np.triu(matrix, 1).T


def fmo(
    *,
    loss_per_ps: float = 1e-3,
    trapping_per_ps: float = 1.0,
    dephasing_per_ps: float = 0.0,
    start: int = 1,
) -> ExcitonNetwork:
    """Build one FMO subunit that traps at bacteriochlorophyll 3, beside the reaction centre.

    Parameters
    ----------
    loss_per_ps : recombination of every site, 1/ns by default
    trapping_per_ps : capture at BChl 3
    dephasing_per_ps : pure dephasing of every site
    start : bacteriochlorophyll 1 to 7 where the excitation starts; 1 and 6 are near the antenna
    """
    names = [f"BChl {number}" for number in range(1, 8)]
    return ExcitonNetwork.from_wavenumbers(
        fmo_hamiltonian(),
        loss=loss_per_ps,
        dephasing=dephasing_per_ps,
        sink={"BChl 3": trapping_per_ps},
        sites=names,
        start=f"BChl {start}",
    )

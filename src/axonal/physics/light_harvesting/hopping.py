"""The classical limit: an excitation that hops between sites at Förster-type rates.

When dephasing outruns every coupling, coherences follow the populations at once and the
excitation hops from k to j and back at the rate

    k_jk = |V_jk|^2 D / (D^2/4 + (E_j - E_k)^2),   D = D_j + D_k,

with ``D_j = loss_j + sink_j + gamma_j`` the width of a site; on resonance ``4 |V_jk|^2 / D``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.physics.light_harvesting.efficiency import flattened
from axonal.physics.light_harvesting.greens import absorbing_chain
from axonal.physics.light_harvesting.network import ExcitonNetwork, Start


def hopping_rates(network: ExcitonNetwork) -> NDArray[np.float64]:
    """Return the rate k_jk of hops from site k to site j, (..., sites, sites), zero on the diagonal."""
    energies = np.einsum("...jj->...j", network.hamiltonian).real
    width = network.damping[..., :, None] + network.damping[..., None, :]
    gap = energies[..., :, None] - energies[..., None, :]
    off = ~np.eye(len(network.sites), dtype=bool)
    coupled = (np.abs(network.hamiltonian) > 0) & off
    spread = width**2 / 4 + gap**2
    if not (np.where(coupled, spread, 1.0) > 0).all():
        raise InputError(
            "Two coupled sites of the same energy have no width: hopping needs dephasing or loss."
        )
    coupling = np.abs(network.hamiltonian) ** 2
    return np.where(coupled, coupling * width / np.where(coupled, spread, 1.0), 0.0)


def hopping_efficiency(network: ExcitonNetwork, start: Start = None) -> NDArray[np.float64]:
    """Return the transfer efficiency of the classical hopping model, of the batch's shape."""
    count = len(network.sites)
    _, loss, _, state = flattened(network, start)
    rates = np.broadcast_to(hopping_rates(network), (*network.batch_shape, count, count)).reshape(
        -1, count, count
    )
    leaving = loss + rates.sum(axis=1)
    visits = absorbing_chain(
        rates / leaving[:, None, :], loss / leaving, np.einsum("bjj->bj", state).real
    )
    times = (visits / leaving).reshape(*network.batch_shape, count)
    return (network.sink * times).sum(axis=-1)

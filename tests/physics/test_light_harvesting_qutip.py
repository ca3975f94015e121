"""Agreement with QuTiP, which solves the same Lindblad equation by other means."""

from __future__ import annotations

import numpy as np
import pytest
import qutip

from axonal.errors import InputError
from axonal.physics.light_harvesting import (
    disordered,
    fmo,
    ring_acceptor,
    to_qutip,
    toy_ring,
    transfer_efficiency,
)

NETWORKS = {
    "ordered ring": ring_acceptor(
        N=4, J=0.1, xi=0.1, kappa_ring=2e-3, kappa_photon=1e-3, sink=0.2, dephasing=0.01
    ),
    "toy ring": toy_ring(N=5, loss=0.01, dephasing=0.1),
    "FMO": fmo(dephasing_per_ps=5.0),
}
ring = disordered(NETWORKS["ordered ring"], "intra_ring", 0.2, seed=5)
NETWORKS["disordered ring"] = ring.with_(hamiltonian=ring.hamiltonian[0], dims=())


@pytest.mark.parametrize("name", NETWORKS)
def test_steady_state_with_refilling_gives_the_same_efficiency(name):
    problem = to_qutip(NETWORKS[name])
    steady = qutip.steadystate(
        problem.hamiltonian, problem.collapse + problem.refill, method="direct"
    ).full()
    lost, captured = steady.diagonal().real[-2:]
    assert abs(captured / (lost + captured) - transfer_efficiency(NETWORKS[name])) < 1e-10


def test_time_evolution_arrives_at_the_same_efficiency():
    network = NETWORKS["ordered ring"]
    problem = to_qutip(network)
    path = qutip.mesolve(
        problem.hamiltonian,
        problem.start,
        [0, 6000],
        problem.collapse,
        e_ops=[problem.captured],
        options={"nsteps": 200_000, "rtol": 1e-8, "atol": 1e-10},
    )
    assert abs(path.expect[0][-1] - transfer_efficiency(network)) < 1e-6


def test_a_state_other_than_a_site_has_no_refill():
    state = np.full(7, 1 / np.sqrt(7))
    assert to_qutip(fmo(), state).refill == []
    with pytest.raises(InputError, match="one network"):
        to_qutip(disordered(ring_acceptor(), "diagonal", 0.1, samples=2))

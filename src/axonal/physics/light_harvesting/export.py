"""The same network as a QuTiP problem, for dynamics, cross-checks and baths with memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.errors import InputError, require
from axonal.physics.light_harvesting.network import ExcitonNetwork, Start

if TYPE_CHECKING:
    from qutip import Qobj


@dataclass(frozen=True)
class QutipProblem:
    """A network in QuTiP's terms; pass the parts to ``qutip.mesolve`` or ``qutip.steadystate``.

    The levels are the sites in their order, then ``lost``, then ``captured``.

    Parameters
    ----------
    hamiltonian, start : operators on sites + 2 levels
    collapse : loss, sink and dephasing operators
    refill : operators that return a lost or captured excitation to the start site at a rate of 1;
        with them the steady state is unique and its populations, over the flow through
        ``refill``, are the integrated populations
    captured : projector on what the sink has captured: its expectation at late times is eta
    """

    hamiltonian: Qobj
    start: Qobj
    collapse: list[Qobj]
    refill: list[Qobj]
    captured: Qobj


def to_qutip(network: ExcitonNetwork, start: Start = None) -> QutipProblem:
    """Return one network as sparse QuTiP operators (needs ``pip install 'axonal[physics]'``)."""
    qutip: Any = require("qutip", "physics")
    if network.batch_shape:
        raise InputError("to_qutip takes one network, not a batch.")
    sites = len(network.sites)
    size = sites + 2
    lost, captured = sites, sites + 1

    def jump(to: int, of: int, rate: float) -> Qobj:
        operator = np.zeros((size, size))
        operator[to, of] = np.sqrt(rate)
        return qutip.Qobj(operator).to("CSR")

    def padded(matrix: np.ndarray) -> Qobj:
        operator = np.zeros((size, size), complex)
        operator[:sites, :sites] = matrix
        return qutip.Qobj(operator).to("CSR")

    rates = {
        name: np.broadcast_to(getattr(network, name), (sites,))
        for name in ("loss", "sink", "dephasing")
    }
    collapse = [
        jump(to, site, rates[name][site])
        for site in range(sites)
        for name, to in (("loss", lost), ("sink", captured), ("dephasing", site))
        if rates[name][site] > 0
    ]
    state = network.start_state(start)
    photon = network.start_site(start)
    middle = network.hamiltonian.diagonal().real.mean()
    return QutipProblem(
        hamiltonian=padded(network.hamiltonian - middle * np.eye(sites)),
        start=padded(state),
        collapse=collapse,
        refill=[] if photon is None else [jump(photon, end, 1.0) for end in (lost, captured)],
        captured=jump(captured, captured, 1.0),
    )

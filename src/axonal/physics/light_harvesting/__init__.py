"""Excitation transfer in light-harvesting networks: exact efficiencies, losses and disorder.

The model is that of *Impact of Static Disorder and Dephasing on Quantum Transport in LH1-RC Models*
(arXiv, September 2025): a donor ring with a photon mode and a central acceptor, under a Lindblad
equation with loss, sink and dephasing. The methods hold for any network of coupled sites.
"""

from axonal.physics.light_harvesting.complexes import fmo, fmo_hamiltonian
from axonal.physics.light_harvesting.disorder import disorder_average, disordered
from axonal.physics.light_harvesting.drive import continuous_drive
from axonal.physics.light_harvesting.efficiency import (
    efficiency_spectrum,
    integrated_populations,
    loss_budget,
    transfer_efficiency,
    trimer_efficiency,
)
from axonal.physics.light_harvesting.export import QutipProblem, to_qutip
from axonal.physics.light_harvesting.hopping import hopping_efficiency, hopping_rates
from axonal.physics.light_harvesting.lineshape import LineShape, line_shape, lorentzian_line
from axonal.physics.light_harvesting.network import ExcitonNetwork
from axonal.physics.light_harvesting.optimum import (
    OptimalDephasing,
    Sensitivity,
    optimal_dephasing,
    sensitivity,
)
from axonal.physics.light_harvesting.ring import dark_detunings, ring_acceptor, toy_ring
from axonal.physics.light_harvesting.structure import (
    Chromophores,
    dipole_couplings,
    exciton_hamiltonian,
    read_chromophores,
)
from axonal.physics.light_harvesting.trimer import Trimer, TrimerBudget, solve_trimer, trimer_of

__all__ = [
    "Chromophores",
    "ExcitonNetwork",
    "LineShape",
    "OptimalDephasing",
    "QutipProblem",
    "Sensitivity",
    "Trimer",
    "TrimerBudget",
    "continuous_drive",
    "dark_detunings",
    "dipole_couplings",
    "disorder_average",
    "disordered",
    "efficiency_spectrum",
    "exciton_hamiltonian",
    "fmo",
    "fmo_hamiltonian",
    "hopping_efficiency",
    "hopping_rates",
    "integrated_populations",
    "line_shape",
    "lorentzian_line",
    "loss_budget",
    "optimal_dephasing",
    "read_chromophores",
    "ring_acceptor",
    "sensitivity",
    "solve_trimer",
    "to_qutip",
    "toy_ring",
    "transfer_efficiency",
    "trimer_efficiency",
    "trimer_of",
]

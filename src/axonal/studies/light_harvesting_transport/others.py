"""Two other networks: the bare ring with a trap, and a real protein or the user's own structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonal.lab import Session
from axonal.physics.light_harvesting import (
    ExcitonNetwork,
    exciton_hamiltonian,
    fmo,
    optimal_dephasing,
    read_chromophores,
    toy_ring,
    transfer_efficiency,
)
from axonal.studies.light_harvesting_transport import figures

if TYPE_CHECKING:
    from axonal.studies.light_harvesting_transport.study import Config


TOY_RATES = (0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)


def toy_ring_trapping(session: Session) -> None:
    """The bare ring: half is trapped coherently, dephasing frees it, much dephasing freezes it."""
    series = [float(transfer_efficiency(toy_ring(dephasing=rate))) for rate in TOY_RATES]
    best = optimal_dephasing(toy_ring())
    session.measure("toy_ring_trapped", series[0], exact=True)
    session.measure(
        "toy_ring_efficiency", series, along=TOY_RATES, along_name="dephasing rate", exact=True
    )
    session.measure("toy_ring_best", best.efficiency, exact=True)
    session.measure("toy_ring_best_dephasing", best.rate, "J", exact=True)
    rates = np.logspace(-5, 3, 65)
    curves, optima = {}, []
    for start, words in ((2, "start a quarter around"), (4, "start opposite the trap")):
        curves[words] = [
            float(transfer_efficiency(toy_ring(dephasing=rate, start=start))) for rate in rates
        ]
        optima.append(optimal_dephasing(toy_ring(start=start)))
    session.figure(
        "toy_ring",
        figures.draw_optimum(rates, curves, optima, "dephasing rate γ (J)"),
        caption="A ring of 8 with a trap on one site. Without dephasing half of an excitation that "
        "starts a quarter around stays in modes that the trap can't see.",
        alt="Efficiency of the bare ring against dephasing, with the optimum marked",
    )


def real_complex(config: Config, session: Session) -> None:
    """Dephasing in a real protein: FMO as published, or the user's own structure."""
    if config.structure is None:
        networks = {f"FMO, from BChl {start}": fmo(start=start) for start in (1, 6)}
    else:
        networks = {config.structure.stem: _from_structure(config)}
    rates = np.logspace(-3, 4, 57)
    optima = [optimal_dephasing(network, rates=rates) for network in networks.values()]
    curves = {name: efficiency_of_rates(network, rates) for name, network in networks.items()}
    session.measure("complex_without_dephasing", optima[-1].without, exact=True)
    session.measure("complex_best", optima[-1].efficiency, exact=True)
    session.measure("complex_best_dephasing", optima[-1].rate, "1/ps", exact=True)
    session.figure(
        "complex",
        figures.draw_optimum(rates, curves, optima, "dephasing rate γ (1/ps)"),
        caption="Trapping at 1/ps, recombination at 1/ns, pure dephasing of every site.",
        alt="Efficiency of a real complex against dephasing, with the optimum marked",
    )


def efficiency_of_rates(network: ExcitonNetwork, rates: np.ndarray) -> np.ndarray:
    """Return the efficiency at each uniform dephasing rate, (rates,)."""
    every = np.repeat(rates[:, None], len(network.sites), axis=1)
    return transfer_efficiency(network.with_(dephasing=every, dims=("dephasing",)))


def _from_structure(config: Config) -> ExcitonNetwork:
    assert config.structure is not None
    chromophores = read_chromophores(config.structure, dipole_debye=config.dipole_debye)
    energies = 0.0 if chromophores.energies is None else None
    return ExcitonNetwork.from_wavenumbers(
        exciton_hamiltonian(chromophores, energies),
        loss=1e-3,
        dephasing=0.0,
        sink={config.trap: 1.0},
        sites=chromophores.labels,
        start=chromophores.labels[config.entry],
    )

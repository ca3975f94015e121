"""The rings of the study, from its configuration, as plain settings that a worker can be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.physics.light_harvesting import ExcitonNetwork, ring_acceptor

if TYPE_CHECKING:
    from axonal.studies.light_harvesting_transport.study import Config


def settings_of(config: Config) -> dict[str, Any]:
    """Return what sets the ring apart from its coupling, which is the unit of energy."""
    return {
        "N": config.ring_sites,
        "dimerisation": config.dimerisation,
        "J": config.photon_coupling,
        "xi": config.acceptor_coupling,
        "kappa_ring": config.ring_loss,
        "sink": config.sink,
    }


def ring_of(settings: dict[str, Any], coupling: float = 1.0) -> ExcitonNetwork:
    """Build the ring of some settings, with couplings of this mean."""
    settings = dict(settings)
    split = settings.pop("dimerisation")
    g = (coupling * (1 + split), coupling * (1 - split)) if split else coupling
    return ring_acceptor(g=g, unit="g", **settings)


def random_ring(rng: np.random.Generator) -> ExcitonNetwork:
    """Draw an ordered ring of 3 to 10 sites, its couplings, detunings and rates."""
    names = ("kappa_photon", "kappa_ring", "kappa_acceptor", "sink", "dephasing")
    return ring_acceptor(
        int(rng.integers(3, 11)),
        *rng.normal(size=3),
        **dict(zip(names, 10 ** rng.uniform(-4, 0.5, 5), strict=True)),
        detuning=rng.normal(),
        acceptor_detuning=rng.normal(),
    )

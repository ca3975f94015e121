"""Weak continuous light instead of one photon.

A weak drive ``F (e^{-i w t} |p><0| + h.c.)`` sustains the coherence between the ground state and
the network, to first order in F

    u = -(H - w - (i/2) diag(loss + sink + gamma))^{-1} F |p>,

and pumps it, to second order, by ``S = -i F (|p><u| - |u><p|)``. The steady density solves
``L R = -S``. Without dephasing it is ``|u><u|`` itself, so the coherent part of the pumping leaves
exactly ``|u_j|^2`` on site j, and dephasing restarts flights from there:

    n = |u|^2 + T diag(gamma) n.

What is captured of what is absorbed, ``sum_j sink_j n_j / sum_j (loss_j + sink_j) n_j``, is the
efficiency. It tends to the one-photon answer when the photon line is narrower than anything else.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from axonal.errors import InputError
from axonal.physics.light_harvesting.efficiency import certify, channels_of
from axonal.physics.light_harvesting.greens import Flights, flights, resummed
from axonal.physics.light_harvesting.network import ExcitonNetwork


def continuous_drive(
    network: ExcitonNetwork,
    frequency: ArrayLike,
    *,
    reference: str | float | None = None,
    site: str | int | None = None,
) -> xr.Dataset:
    """Return the loss budget and the absorption of a weakly driven network against frequency.

    Parameters
    ----------
    frequency : (points,), of the light, from the reference energy
    reference : what the frequency is measured from, as in ``efficiency_spectrum``
    site : the driven site; the network's start when left out

    Returns
    -------
    Dataset
        ``eta`` and ``loss`` (fractions of what is absorbed, summing to 1) and ``absorption``, the
        rate of absorbed excitations divided by F^2, over (frequency,).
    """
    if network.batch_shape:
        raise InputError("continuous_drive takes one network, not a batch.")
    driven = network.start_site(site)
    if driven is None:
        raise InputError("Which site does the light drive? Pass site=.")
    frequency = np.atleast_1d(np.asarray(frequency, dtype=float))
    zero = network.reference_energy(reference)
    count = len(network.sites)
    loss = np.broadcast_to(network.loss + network.sink, (count,))
    dephasing = np.broadcast_to(network.dephasing, (count,))

    matrix = network.hamiltonian - 0.5j * np.diag(loss + dephasing)
    shifts = (zero + frequency)[:, None, None] * np.eye(count)
    force = np.zeros((count, 1))
    force[driven] = 1.0
    amplitude = -np.linalg.solve(
        matrix - shifts, np.broadcast_to(force, (len(frequency), count, 1))
    )
    coherent = np.abs(amplitude[..., 0]) ** 2

    # Flights between dephasing events do not depend on the light: one network's worth serves all.
    rest = flights(
        network.effective_hamiltonian[None],
        loss[None],
        dephasing[None],
        network.start_state(driven)[None],
        network.sites,
    )
    points = len(frequency)
    flown = Flights(
        coherent,
        np.broadcast_to(rest.between, (points, *rest.between.shape[1:])),
        rest.restarts,
        np.broadcast_to(rest.by_schur, points),
    )
    every = np.broadcast_to(loss, (points, count)), np.broadcast_to(dephasing, (points, count))
    times = resummed(flown, *every)
    absorbed = (loss * times).sum(axis=-1)
    eta = (network.sink * times).sum(axis=-1) / absorbed
    by_site = network.loss * times / absorbed[:, None]
    channels = channels_of(network)
    lost = np.stack([by_site[:, network.members(name)].sum(axis=-1) for name in channels])
    certify(1 - eta - lost.sum(axis=0))
    return xr.Dataset(
        {
            "eta": ("frequency", eta, {"long_name": "captured of what is absorbed"}),
            "loss": (("channel", "frequency"), lost),
            "absorption": ("frequency", absorbed),
        },
        coords={"frequency": frequency, "channel": channels},
    )

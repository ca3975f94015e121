"""Where the excitation ends: transfer efficiency and loss budget of any network.

    eta = sum_j Gamma_j integral rho_jj dt,    L_j = kappa_j integral rho_jj dt,
    eta + sum_j L_j = 1.

Three exact methods give the same numbers: the closed form of an ordered ring
(:mod:`~axonal.physics.light_harvesting.trimer`), the population Green's function of any network
(:mod:`~axonal.physics.light_harvesting.greens`) and a dense solve of the Liouvillian
(:mod:`~axonal.physics.light_harvesting.liouville`). ``"auto"`` takes the closed form where the
network is an ordered ring, else the Green's function, which turns to a Schur decomposition near
exceptional points. The identity is checked to 1e-12 on every call.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from axonal.errors import AxonalError, InputError, nearest
from axonal.physics.light_harvesting.greens import integrated
from axonal.physics.light_harvesting.liouville import integrated_density
from axonal.physics.light_harvesting.network import ExcitonNetwork, Start
from axonal.physics.light_harvesting.trimer import TrimerBudget, solve_trimer, trimer_of

Method = Literal["auto", "closed", "green", "liouville"]

#: How far eta + all losses may be from 1.
BUDGET_TOLERANCE = 1e-12


def transfer_efficiency(
    network: ExcitonNetwork, start: Start = None, *, method: Method = "auto"
) -> NDArray[np.float64]:
    """Return the probability that the sink captures the excitation, of the batch's shape.

    Parameters
    ----------
    start : site, state vector or density matrix; the network's own start when left out
    method : ``"auto"``, ``"closed"``, ``"green"`` or ``"liouville"``
    """
    return _ends(network, start, method)[0]


def loss_budget(
    network: ExcitonNetwork, start: Start = None, *, method: Method = "auto"
) -> xr.Dataset:
    """Return ``eta`` (batch) and ``loss`` (channel, batch): together they sum to 1.

    Raises
    ------
    AxonalError
        When the sum misses 1 by more than 1e-12.
    """
    eta, lost = _ends(network, start, method)
    return xr.Dataset(
        {
            "eta": (network.dims, eta, {"long_name": "transfer efficiency"}),
            "loss": (("channel", *network.dims), lost, {"long_name": "probability of loss"}),
        },
        coords={"channel": channels_of(network)},
    )


def integrated_populations(
    network: ExcitonNetwork, start: Start = None, *, method: Method = "auto"
) -> NDArray[np.float64]:
    """Return the time spent on each site, n_j = integral rho_jj dt, (..., sites).

    In units of one over the network's unit of rates. ``"closed"`` has no populations by site.
    """
    effective, loss, dephasing, state = flattened(network, start)
    if method in ("auto", "green"):
        times = integrated(effective, loss, dephasing, state, network.sites)
    elif method == "liouville":
        density = integrated_density(effective, loss, dephasing, state)
        times = np.einsum("bjj->bj", density).real
    elif method == "closed":
        raise InputError("The closed form has no populations by site; use trimer_efficiency.")
    else:
        raise InputError(f"Unknown method {method!r}; {nearest(method, get_args(Method))}")
    return times.reshape(*network.batch_shape, len(network.sites))


def efficiency_spectrum(
    network: ExcitonNetwork,
    detuning: ArrayLike,
    dephasing: ArrayLike | None = None,
    *,
    reference: str | float | None = None,
    start: Start = None,
    method: Method = "auto",
) -> xr.Dataset:
    """Return the loss budget against detuning and, when given, dephasing.

    The detuning moves the energy of the site the excitation starts on, the photon.

    Parameters
    ----------
    detuning : (points,), energy of the starting site from the reference
    dephasing : (points,), rates set on the donor sites; the network's own when left out
    reference : what the detuning is measured from: ``"bright"``, ``"acceptor"``, ``"site"`` for a
        ring, a site or an energy for any network

    Returns
    -------
    Dataset
        ``eta`` and ``loss`` over (detuning, dephasing, the network's batch).
    """
    photon = network.start_site(start)
    if photon is None:
        raise InputError("A spectrum moves the energy of one site: start= must be a site.")
    detuning = np.atleast_1d(np.asarray(detuning, dtype=float))
    zero = network.reference_energy(reference)
    lift = (slice(None), *[None] * (1 + len(network.batch_shape)))
    moved = network.with_site_energy(photon, (zero + detuning)[lift])
    coordinates = {"detuning": detuning}
    rates = moved.dephasing
    if dephasing is not None:
        dephasing = np.atleast_1d(np.asarray(dephasing, dtype=float))
        coordinates["dephasing"] = dephasing
        rates = np.broadcast_to(rates, (len(dephasing), *rates.shape)).copy()
        shape = (len(dephasing), *[1] * (rates.ndim - 1))
        rates[..., network.donors] = dephasing.reshape(shape)
        # One axis for each batch dimension, so that rates line up behind the dephasing axis.
        missing = len(network.batch_shape) - (rates.ndim - 2)
        rates = rates.reshape(len(dephasing), *[1] * missing, *rates.shape[1:])
    grid = moved.with_(dephasing=rates, dims=("detuning", "dephasing", *network.dims))
    budget = loss_budget(grid, photon, method=method)
    if dephasing is None:
        budget = budget.isel(dephasing=0)
    budget = budget.assign_coords(coordinates)
    for name in coordinates:
        budget[name].attrs["units"] = network.unit
    budget.detuning.attrs["reference"] = str(reference)
    return budget


def trimer_efficiency(
    network: ExcitonNetwork, detuning: ArrayLike | None = None, *, start: Start = None
) -> TrimerBudget:
    """Return the closed form of an ordered ring, every channel by name.

    ``detuning`` is the photon's energy from the bright mode; the network's own when left out.
    """
    trimer = trimer_of(network, start)
    if trimer is None:
        raise InputError(
            "The closed form holds for an ordered ring that starts on the photon; this network "
            "is not one. Use loss_budget(network, method='green')."
        )
    if detuning is not None:
        trimer = replace(trimer, photon_detuning=np.asarray(detuning, dtype=float))
    budget = solve_trimer(trimer)
    certify(budget.residual)
    return budget


def flattened(
    network: ExcitonNetwork, start: Start = None
) -> tuple[
    NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64], NDArray[np.complex128]
]:
    """Return effective Hamiltonian, loss with sink, dephasing and start state as one flat batch."""
    count = len(network.sites)
    state = network.start_state(start)
    batch = np.broadcast_shapes(network.batch_shape, state.shape[:-2])
    if batch != network.batch_shape:
        raise InputError(
            f"The start state has batch shape {state.shape[:-2]}, which does not fit the "
            f"network's {network.batch_shape}."
        )
    effective = network.effective_hamiltonian.reshape(-1, count, count)
    loss, dephasing = (
        np.broadcast_to(rates, (*batch, count)).reshape(-1, count)
        for rates in (network.loss + network.sink, network.dephasing)
    )
    return (
        effective,
        loss,
        dephasing,
        np.broadcast_to(state, (*batch, count, count)).reshape(-1, count, count),
    )


def channels_of(network: ExcitonNetwork) -> list[str]:
    """Return the names of the loss channels, each once, in the order of the sites."""
    return list(dict.fromkeys(network.channels))


def _ends(
    network: ExcitonNetwork, start: Start, method: Method
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the efficiency (batch) and the losses (channel, batch), certified to sum to 1."""
    if method in ("auto", "closed") and (trimer := trimer_of(network, start)) is not None:
        eta, lost = _closed_budget(network, solve_trimer(trimer), start)
    elif method == "closed":
        raise InputError(
            "The closed form holds for an ordered ring that starts on the photon; this network "
            "is not one (disorder, uneven rates, or another start). Use method='green'."
        )
    else:
        times = integrated_populations(network, start, method=method)
        eta = (network.sink * times).sum(axis=-1)
        by_site = network.loss * times
        lost = np.stack(
            [by_site[..., network.members(name)].sum(axis=-1) for name in channels_of(network)]
        )
    certify(1 - eta - lost.sum(axis=0))
    return eta, lost


def _closed_budget(
    network: ExcitonNetwork, closed: TrimerBudget, start: Start
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sort the levels' losses into the network's channels."""
    count = len(network.sites)
    photon = network.start_site(start)
    acceptor = int(np.flatnonzero(network.sink.reshape(-1, count).any(axis=0))[0])
    level = np.full(count, 1)
    level[photon], level[acceptor] = 0, 2
    levels = [closed.photon, (closed.bright + closed.dark), closed.acceptor]
    members = np.array([(level == number).sum() for number in range(3)])
    channels = channels_of(network)
    lost = np.zeros((len(channels), *network.batch_shape))
    for site, name in enumerate(network.channels):
        lost[channels.index(name)] += levels[level[site]] / members[level[site]]
    return np.broadcast_to(closed.efficiency, network.batch_shape).copy(), lost


def certify(missing: NDArray[np.float64]) -> None:
    """Assert that eta plus every loss is one, from what is missing."""
    # Written so that a NaN fails.
    if not (np.abs(missing) <= BUDGET_TOLERANCE).all():
        raise AxonalError(
            f"eta and the losses miss 1 by {np.abs(missing).max():.2g} (allowed "
            f"{BUDGET_TOLERANCE:g}): rates span too many orders of magnitude. Try "
            "method='liouville', or look for sites that are all but cut off from any loss."
        )

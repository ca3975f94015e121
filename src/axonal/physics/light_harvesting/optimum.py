"""How the efficiency answers to every parameter, and the dephasing that serves it best.

Two integrals hold the whole gradient: the density ``R = integral rho dt`` that solves
``L R = -rho(0)``, and its dual, the value ``Y`` that solves ``L^+ Y = -diag(sink)``. ``Y_jj`` is the
chance that an excitation on site j ends in the sink, and any small change of the generator moves
the efficiency by ``d eta = tr(Y dL R)``:

    d eta / d gamma_j = Y_jj R_jj - Re (R Y)_jj,
    d eta / d loss_j  = -Re (R Y)_jj,
    d eta / d sink_j  = R_jj - Re (R Y)_jj,
    d eta = tr(dH  (-i) [R, Y]).

Both follow from one Schur decomposition, so the gradient in all parameters costs about as much
as the efficiency itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.physics.light_harvesting.efficiency import flattened, transfer_efficiency
from axonal.physics.light_harvesting.greens import flights, lyapunov_solver, resummed
from axonal.physics.light_harvesting.network import ExcitonNetwork, Start


@dataclass(frozen=True)
class Sensitivity:
    """Efficiency of one network and its derivatives.

    Parameters
    ----------
    efficiency : eta
    dephasing, loss, sink : (sites,), d eta / d rate
    hamiltonian : (sites, sites), the Hermitian matrix g with d eta = tr(dH g); its diagonal is the
        derivative in the site energies
    """

    efficiency: float
    dephasing: NDArray[np.float64]
    loss: NDArray[np.float64]
    sink: NDArray[np.float64]
    hamiltonian: NDArray[np.complex128]


@dataclass(frozen=True)
class OptimalDephasing:
    """The best dephasing rate of the donor sites.

    Parameters
    ----------
    rate, efficiency : where eta is largest, and its value
    without : eta without dephasing
    interior : whether the best rate lies inside the range searched, where the gradient vanishes
    """

    rate: float
    efficiency: float
    without: float
    interior: bool


def sensitivity(network: ExcitonNetwork, start: Start = None) -> Sensitivity:
    """Return the gradient of the efficiency in every rate, energy and coupling of one network."""
    if network.batch_shape:
        raise InputError("sensitivity takes one network, not a batch.")
    effective, loss, dephasing, state = flattened(network, start)
    flown = flights(effective, loss, dephasing, state, network.sites)
    times = resummed(flown, loss, dephasing)[0]
    source = state[0] + np.diag(dephasing[0] * times)
    density = lyapunov_solver(effective[0])(source)

    # The dual chain: the chance of capture from each site, with the flights run backwards.
    count = len(network.sites)
    starts = np.zeros((count, count, count), complex)
    starts[range(count), range(count), range(count)] = 1.0
    losses, dephasings = np.repeat(loss, count, axis=0), np.repeat(dephasing, count, axis=0)
    effectives = np.repeat(effective, count, axis=0)
    flown = flights(effectives, losses, dephasings, starts, network.sites)
    captured = resummed(flown, losses, dephasings) @ network.sink
    # The dual equation is the equation of -H_eff^+, run on the same solver.
    value = lyapunov_solver(-effective[0].conj().T)(np.diag(network.sink + dephasing[0] * captured))
    product = density @ value
    mixed = product.diagonal().real
    return Sensitivity(
        efficiency=float(network.sink @ times),
        dephasing=value.diagonal().real * density.diagonal().real - mixed,
        loss=-mixed,
        sink=density.diagonal().real - mixed,
        hamiltonian=-1j * (product - product.conj().T),
    )


def optimal_dephasing(
    network: ExcitonNetwork,
    detuning: float | None = None,
    *,
    reference: str | float | None = None,
    start: Start = None,
    rates: ArrayLike | None = None,
) -> OptimalDephasing:
    """Find the dephasing rate of the donor sites that transfers best.

    A grid of rates finds the highest point; the root of d eta / d log(gamma) between its
    neighbours is then found to rounding.

    Parameters
    ----------
    detuning, reference : move the starting site first, as in ``efficiency_spectrum``
    rates : (points,), increasing positive rates to search; by default 1e-6 to 1e3 times the
        largest energy difference
    """
    from scipy.optimize import brentq

    photon = network.start_site(start)
    if detuning is not None:
        if photon is None:
            raise InputError("A detuning moves the energy of one site: start= must be a site.")
        zero = network.reference_energy(reference)
        network = network.with_site_energy(photon, zero + detuning)
    if network.batch_shape:
        raise InputError("optimal_dephasing takes one network, not a batch.")
    grid = _search_grid(network) if rates is None else np.asarray(rates, dtype=float)
    if grid.ndim != 1 or len(grid) < 3 or not (np.diff(grid) > 0).all() or grid[0] <= 0:
        raise InputError("rates must be at least 3 increasing positive dephasing rates.")

    def at(rate: float) -> ExcitonNetwork:
        dephasing = np.broadcast_to(network.dephasing, (len(network.sites),)).copy()
        dephasing[network.donors] = rate
        return network.with_(dephasing=dephasing)

    def slope(log_rate: float) -> float:
        gradient = sensitivity(at(float(np.exp(log_rate))), start).dephasing
        return float(gradient[network.donors].sum())

    without, *values = (_efficiency(at(rate), start) for rate in (0.0, *grid))
    best = int(np.argmax(values))
    if without >= values[best]:
        return OptimalDephasing(0.0, without, without, interior=False)
    if best in (0, len(grid) - 1):
        return OptimalDephasing(float(grid[best]), values[best], without, interior=False)
    low, high = np.log(grid[best - 1]), np.log(grid[best + 1])
    if slope(low) <= 0 or slope(high) >= 0:
        # Two maxima within one interval of the grid: keep the one the grid saw.
        return OptimalDephasing(float(grid[best]), values[best], without, interior=True)
    root = brentq(slope, low, high, xtol=1e-10)
    rate = float(np.exp(root))  # pyright: ignore[reportArgumentType, reportCallIssue]
    return OptimalDephasing(rate, _efficiency(at(rate), start), without, interior=True)


def _search_grid(network: ExcitonNetwork) -> NDArray[np.float64]:
    energies = np.linalg.eigvalsh(network.hamiltonian)
    return np.ptp(energies) * np.logspace(-6, 3, 37)


def _efficiency(network: ExcitonNetwork, start: Start) -> float:
    return float(transfer_efficiency(network, start))

"""The ordered ring in closed form: photon, bright mode, acceptor, and one dark reservoir.

In a symmetric ring the photon and the acceptor see only the bright mode ``|B> = N^-1/2 sum_j |j>``,
with couplings ``G = sqrt(N) J`` and ``X = sqrt(N) xi``. Local dephasing moves population between the
bright mode and the N - 1 dark ones but never makes a coherence between them, so with ``n_D`` the
total dark population

    d n_B/dt = ... - gamma (1 - 1/N) n_B + (gamma/N) n_D,
    d n_D/dt = gamma (1 - 1/N) n_B - (gamma/N + kappa) n_D,

and the dark manifold acts as an extra loss of the bright mode,
``gamma_eff = gamma (1 - 1/N) kappa / (kappa + gamma/N)``. Nothing else of the ring enters: the same
holds for every ring whose uniform state is an eigenstate (dimerised, dipole-coupled, any range).

Integrated over time, the coherences between the three levels are eliminated with the determinant

    Dt = a1 a2 a3 + a1 G^2 + a2 X^2,
    a1 = (kappa_p + kappa + gamma + gamma_p)/2 + i D_p,
    a2 = (kappa + Gamma_a + gamma + gamma_a)/2 - i D_a,
    a3 = (kappa_p + Gamma_a + gamma_p + gamma_a)/2 + i (D_p - D_a),

with ``Gamma_a = Gamma + kappa_a`` and energies ``D`` from the bright mode. The currents between the
levels are then linear in the populations, with

    k11 = 2 G^2 Re[(a2 a3 + G^2)/Dt],  k22 = 2 X^2 Re[(a1 a3 + X^2)/Dt],  k12 = 2 G^2 X^2 Re[1/Dt],

and what is left is ``M n = (1, 0, 0)`` with the symmetric

    M = [[kappa_p + k11, k12 - k11, -k12],
         [k12 - k11, K + k11 - 2 k12 + k22, k12 - k22],
         [-k12, k12 - k22, Gamma_a + k22]],       K = kappa + gamma_eff,

so that each population is a ratio of determinants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.physics.light_harvesting.network import ExcitonNetwork, Start

#: How far from uniform, against the largest energy, couplings may be by rounding alone.
UNIFORM = 1e-14

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Trimer:
    """Parameters of the ordered ring; every one may be an array, and they broadcast.

    Parameters
    ----------
    ring_sites : N
    photon_coupling, acceptor_coupling : G and X, the couplings to the bright mode
    photon_detuning, acceptor_detuning : D_p and D_a, energies from the bright mode
    photon_loss, ring_loss, acceptor_loss, sink : kappa_p, kappa, kappa_a and Gamma
    dephasing, photon_dephasing, acceptor_dephasing : gamma, gamma_p and gamma_a
    """

    ring_sites: ArrayLike
    photon_coupling: ArrayLike
    acceptor_coupling: ArrayLike
    photon_detuning: ArrayLike
    acceptor_detuning: ArrayLike
    photon_loss: ArrayLike
    ring_loss: ArrayLike
    acceptor_loss: ArrayLike
    sink: ArrayLike
    dephasing: ArrayLike
    photon_dephasing: ArrayLike = 0.0
    acceptor_dephasing: ArrayLike = 0.0


@dataclass(frozen=True)
class TrimerBudget:
    """Where the excitation ends and how long it spends on each level.

    Parameters
    ----------
    efficiency : captured by the sink
    photon, bright, dark, acceptor : lost from each level; with ``efficiency`` they sum to 1
    time_photon, time_bright, time_dark, time_acceptor : integrated populations
    """

    efficiency: Real
    photon: Real
    bright: Real
    dark: Real
    acceptor: Real
    time_photon: Real
    time_bright: Real
    time_dark: Real
    time_acceptor: Real

    @property
    def residual(self) -> Real:
        """What is missing from 1; zero to rounding."""
        return 1 - (self.efficiency + self.photon + self.bright + self.dark + self.acceptor)


def solve_trimer(trimer: Trimer) -> TrimerBudget:
    """Return the loss budget of an excitation that starts on the photon, in closed form."""
    t = {name: np.asarray(value, dtype=float) for name, value in vars(trimer).items()}
    count, gamma, kappa = t["ring_sites"], t["dephasing"], t["ring_loss"]
    leaving = t["sink"] + t["acceptor_loss"]

    k11, k22, k12 = _currents(t)
    # Dark over bright population; no dephasing leaves the dark modes empty.
    into_dark, out_of_dark = gamma * (1 - 1 / count), kappa + gamma / count
    dark = into_dark / np.where(out_of_dark > 0, out_of_dark, 1.0)
    lost_p, lost_b, lost_a = t["photon_loss"], kappa * (1 + dark), leaving

    # The determinant of M and its minors, multiplied out so that the losses do not cancel.
    minor = k11 * k22 - k12**2
    determinant = (
        lost_p * lost_b * lost_a
        + lost_p * lost_b * k22
        + lost_p * lost_a * (k11 - 2 * k12 + k22)
        + lost_b * lost_a * k11
        + (lost_p + lost_b + lost_a) * minor
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        time_p = lost_b * lost_a + lost_b * k22 + lost_a * (k11 - 2 * k12 + k22) + minor
        time_p = time_p / determinant
        time_b = (lost_a * (k11 - k12) + minor) / determinant
        time_a = (lost_b * k12 + minor) / determinant
    if not np.isfinite(time_p + time_b + time_a).all():
        raise InputError(
            "The excitation has no way to decay: the photon, the bright mode and the acceptor "
            "need a loss, a dephasing or a sink rate, and couplings that reach it."
        )
    return TrimerBudget(
        efficiency=t["sink"] * time_a,
        photon=lost_p * time_p,
        bright=kappa * time_b,
        dark=kappa * dark * time_b,
        acceptor=t["acceptor_loss"] * time_a,
        time_photon=time_p,
        time_bright=time_b,
        time_dark=dark * time_b,
        time_acceptor=time_a,
    )


def _currents(t: dict[str, Real]) -> tuple[Real, Real, Real]:
    """Return k11, k22 and k12.

    The real parts are multiplied out in the widths h and detunings d of a1, a2 and a3: far from
    resonance a small rate is then not the real part of a large complex number.
    """
    g2, x2 = t["photon_coupling"] ** 2, t["acceptor_coupling"] ** 2
    photon = t["photon_loss"] + t["photon_dephasing"]
    bright = t["ring_loss"] + t["dephasing"]
    acceptor = t["sink"] + t["acceptor_loss"] + t["acceptor_dephasing"]
    h1, h2, h3 = (photon + bright) / 2, (bright + acceptor) / 2, (photon + acceptor) / 2
    d1, d2 = t["photon_detuning"], -t["acceptor_detuning"]
    d3 = d1 + d2
    s1, s2, s3 = h1**2 + d1**2, h2**2 + d2**2, h3**2 + d3**2

    damped = h1 * g2 + h2 * x2
    real = h1 * h2 * h3 - h1 * d2 * d3 - h2 * d1 * d3 - h3 * d1 * d2 + damped
    imaginary = h1 * h2 * d3 + h1 * d2 * h3 + d1 * h2 * h3 - d1 * d2 * d3 + d1 * g2 + d2 * x2
    size = real**2 + imaginary**2
    to_bright = h1 * s2 * s3 + 2 * h1 * g2 * (h2 * h3 - d2 * d3) + h3 * s2 * x2 + g2 * damped
    to_acceptor = h2 * s1 * s3 + 2 * h2 * x2 * (h1 * h3 - d1 * d3) + h3 * s1 * g2 + x2 * damped
    with np.errstate(divide="ignore", invalid="ignore"):
        return 2 * g2 * to_bright / size, 2 * x2 * to_acceptor / size, 2 * g2 * x2 * real / size


def trimer_of(network: ExcitonNetwork, start: Start = None) -> Trimer | None:
    """Return the trimer an ordered network reduces to, or None where it does not.

    It does when the excitation starts on one site (the photon), one other site (the acceptor) holds
    the only sink, and the rest (the ring) share one loss and one dephasing rate and have a bright
    state of equal weights, up to signs or phases, that the photon and the acceptor couple to and
    that is an eigenstate of the ring.
    """
    photon = network.start_site(start)
    drained = np.flatnonzero(network.sink.reshape(-1, len(network.sites)).any(axis=0))
    if photon is None or len(drained) != 1 or drained[0] == photon:
        return None
    acceptor = int(drained[0])
    ring = np.setdiff1d(np.arange(len(network.sites)), [photon, acceptor])
    if len(ring) < 2:
        return None
    level = network.hamiltonian[..., ring, ring].real.mean(axis=-1)[..., None, None]
    matrix = network.hamiltonian - level * np.eye(len(network.sites))
    block = matrix[..., ring[:, None], ring[None, :]]
    to_photon, to_acceptor = matrix[..., ring, photon], matrix[..., ring, acceptor]
    tolerance = UNIFORM * max(np.abs(matrix).max(), 1e-300)

    lit = (np.abs(to_photon).max(axis=-1) > 0)[..., None]
    pattern = np.where(lit, to_photon, to_acceptor)
    size = np.abs(pattern)
    with np.errstate(divide="ignore", invalid="ignore"):
        bright = pattern / size / np.sqrt(len(ring))
    energy = np.einsum("...j,...jk,...k->...", bright.conj(), block, bright).real
    coupling_p = np.einsum("...j,...j->...", bright.conj(), to_photon)
    coupling_a = np.einsum("...j,...j->...", bright.conj(), to_acceptor)
    leftover = [
        np.einsum("...jk,...k->...j", block, bright) - energy[..., None] * bright,
        to_photon - coupling_p[..., None] * bright,
        to_acceptor - coupling_a[..., None] * bright,
        matrix[..., photon, acceptor],
    ]
    uneven = [np.ptp(rate[..., ring], axis=-1) for rate in (network.loss, network.dephasing)]
    # Written so that the NaN of an uncoupled ring counts as no bright state.
    if not all((np.abs(part) <= tolerance).all() for part in leftover):
        return None
    if any(part.any() for part in uneven):
        return None
    first = ring[0]
    return Trimer(
        ring_sites=len(ring),
        photon_coupling=np.abs(coupling_p),
        acceptor_coupling=np.abs(coupling_a),
        photon_detuning=matrix[..., photon, photon].real - energy,
        acceptor_detuning=matrix[..., acceptor, acceptor].real - energy,
        photon_loss=network.loss[..., photon],
        ring_loss=network.loss[..., first],
        acceptor_loss=network.loss[..., acceptor],
        sink=network.sink[..., acceptor],
        dephasing=network.dephasing[..., first],
        photon_dephasing=network.dephasing[..., photon],
        acceptor_dephasing=network.dephasing[..., acceptor],
    )

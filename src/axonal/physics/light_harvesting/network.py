"""A network of coupled two-level sites that holds one excitation, with loss, dephasing and a sink.

The excitation lives in the block spanned by the sites |j>. Its Lindblad equation (hbar = 1) is

    d rho/dt = -i [H, rho] + sum_j (loss_j + sink_j) D[|out><j|] rho + sum_j gamma_j D[|j><j|] rho

with ``D[L] rho = L rho L^+ - {L^+ L, rho}/2``. The Hamiltonian conserves the number of
excitations and loss only lowers it, so the block is exact. Within it everything incoherent that
ends a coherence sits in one effective Hamiltonian,

    H_eff = H - (i/2) diag(loss + sink + gamma).

Energies and rates share one unit; :meth:`ExcitonNetwork.from_wavenumbers` takes energies in cm^-1
and rates in 1/ps.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError, nearest
from axonal.physics.light_harvesting.checks import (
    Rates,
    hermitian,
    rates_by_site,
    site_index,
    warn_of_mixed_units,
)

#: One wavenumber (cm^-1) as an angular frequency in rad/ps: 2 pi c.
RADIANS_PER_PS_PER_WAVENUMBER = 2 * math.pi * 0.0299792458

Start = str | int | ArrayLike | None


@dataclass(frozen=True, eq=False, init=False)
class ExcitonNetwork:
    """Sites, their Hamiltonian and their rates; batch dimensions come first.

    Parameters
    ----------
    hamiltonian : array (..., sites, sites)
        Hermitian. Energies on the diagonal, couplings off it.
    loss : array (..., sites), a number, or {site: rate}
        Rate at which an excitation on a site is lost (kappa).
    dephasing : array (..., sites), a number, or {site: rate}
        Pure dephasing rate of a site (gamma): a coherence between sites j and k decays at
        (gamma_j + gamma_k)/2.
    sink : array (..., sites) or {site: rate}
        Rate at which an excitation on a site is captured (Gamma): what the efficiency counts.
    sites : names of the sites; numbered when left out.
    channels : the loss channel each site belongs to, for the loss budget; the site itself when
        left out.
    start : the site the excitation starts on unless a call says otherwise.
    references : energies by name that a detuning can be measured from.
    dims : names of the batch dimensions, for labelled output.
    unit : unit of the energies and rates, for labels only.
    """

    hamiltonian: NDArray[np.complex128]
    loss: NDArray[np.float64]
    dephasing: NDArray[np.float64]
    sink: NDArray[np.float64]
    sites: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    start: str | None = None
    references: Mapping[str, float] = field(default_factory=dict)
    dims: tuple[str, ...] = ()
    unit: str = ""

    def __init__(
        self,
        hamiltonian: ArrayLike,
        loss: Rates,
        dephasing: Rates,
        sink: Rates,
        *,
        sites: Sequence[str] = (),
        channels: Sequence[str] = (),
        start: str | None = None,
        references: Mapping[str, float] | None = None,
        dims: Sequence[str] = (),
        unit: str = "",
    ) -> None:
        matrix = hermitian(hamiltonian)
        count = matrix.shape[-1]
        names = tuple(sites) or tuple(str(number) for number in range(count))
        if len(names) != count or len(set(names)) != count:
            raise InputError(
                f"sites must be {count} different names, one a row of the Hamiltonian; "
                f"got {len(names)}: {', '.join(names)}."
            )
        rates = {
            "loss": rates_by_site("loss", loss, names),
            "dephasing": rates_by_site("dephasing", dephasing, names),
            "sink": rates_by_site("sink", sink, names),
        }
        if not np.all(rates["sink"].sum(axis=-1) > 0):
            raise InputError(
                "The efficiency is undefined without a sink rate: give at least one site a "
                "positive rate in sink=, for example sink={'" + names[-1] + "': 0.01}."
            )
        try:
            batch = np.broadcast_shapes(
                matrix.shape[:-2], *(rate.shape[:-1] for rate in rates.values())
            )
        except ValueError as error:
            shapes = {name: rate.shape for name, rate in rates.items()}
            raise InputError(
                f"The batch dimensions do not fit together: hamiltonian {matrix.shape}, "
                f"{shapes}; they must broadcast."
            ) from error
        if channels and len(channels) != count:
            raise InputError(f"channels must name one channel for each of {count} sites.")
        labels = tuple(dims) or tuple(f"batch_{axis}" for axis in range(len(batch)))
        if len(labels) != len(batch):
            raise InputError(
                f"dims names {len(labels)} batch dimensions ({', '.join(labels)}); "
                f"the network has {len(batch)}, of shape {batch}."
            )
        values = {
            "hamiltonian": matrix,
            **rates,
            "sites": names,
            "channels": tuple(channels) or names,
            "start": None if start is None else names[site_index(start, names)],
            "references": dict(references or {}),
            "dims": labels,
            "unit": unit,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        warn_of_mixed_units(matrix, *rates.values())

    @classmethod
    def from_wavenumbers(
        cls,
        hamiltonian: ArrayLike,
        loss: Rates,
        dephasing: Rates,
        sink: Rates,
        *,
        sites: Sequence[str] = (),
        channels: Sequence[str] = (),
        start: str | None = None,
    ) -> ExcitonNetwork:
        """Build from a Hamiltonian in cm^-1 and rates in 1/ps; the network is then in rad/ps."""
        energies = np.asarray(hamiltonian) * RADIANS_PER_PS_PER_WAVENUMBER
        return cls(
            energies,
            loss,
            dephasing,
            sink,
            sites=sites,
            channels=channels,
            start=start,
            unit="rad/ps",
        )

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of networks; ``()`` for one."""
        return np.broadcast_shapes(
            self.hamiltonian.shape[:-2],
            self.loss.shape[:-1],
            self.dephasing.shape[:-1],
            self.sink.shape[:-1],
        )

    @property
    def damping(self) -> NDArray[np.float64]:
        """Everything that ends a coherent flight: loss + sink + dephasing, (..., sites)."""
        return self.loss + self.sink + self.dephasing

    @property
    def effective_hamiltonian(self) -> NDArray[np.complex128]:
        """Return H - (i/2) diag(loss + sink + dephasing), about the mean energy.

        Only energy differences move an excitation. Taking out the mean keeps the digits that
        an optical energy of 1e4 beside a rate of 1e-3 would cost.
        """
        count = len(self.sites)
        shape = (*self.batch_shape, count, count)
        effective = np.broadcast_to(self.hamiltonian, shape).copy()
        diagonal = np.einsum("...jj->...j", effective)
        diagonal -= diagonal.real.mean(axis=-1, keepdims=True)
        diagonal -= 0.5j * self.damping
        return effective

    def index(self, site: str | int | np.integer) -> int:
        """Return the position of a site given by name or number."""
        return site_index(site, self.sites)

    def start_site(self, start: Start = None) -> int | None:
        """Return the position of the site the excitation starts on, or None for another state."""
        start = self.start if start is None else start
        return self.index(start) if isinstance(start, str | int | np.integer) else None

    @property
    def donors(self) -> NDArray[np.intp]:
        """Positions of the sites that dephasing and disorder act on: the ring, if there is one."""
        ring = [j for j, name in enumerate(self.channels) if name == "ring"]
        return np.array(ring or range(len(self.sites)))

    def members(self, channel: str) -> NDArray[np.intp]:
        """Return the positions of the sites of one channel, such as ``"ring"``."""
        found = [j for j, name in enumerate(self.channels) if name == channel]
        if not found:
            raise InputError(
                f"No site of this network belongs to channel {channel!r}; "
                f"{nearest(channel, set(self.channels))}"
            )
        return np.array(found)

    def start_state(self, start: Start = None) -> NDArray[np.complex128]:
        """Return the initial density matrix (..., sites, sites).

        ``start`` is a site (name or number), a normalised state vector (..., sites) or a
        density matrix (..., sites, sites) of trace one; without it the network's own start.
        """
        if start is None:
            if self.start is None:
                raise InputError(
                    "Where does the excitation start? Pass start= as a site "
                    f"({', '.join(self.sites[:4])}...), a state vector or a density matrix."
                )
            start = self.start
        count = len(self.sites)
        if isinstance(start, str | int | np.integer):
            state = np.zeros((count, count), complex)
            state[(self.index(start),) * 2] = 1.0
            return state
        state = np.asarray(start, dtype=complex)
        if state.shape[-1:] != (count,):
            raise InputError(
                f"start has shape {state.shape}; expected a vector ({count},) or a density "
                f"matrix ({count}, {count})."
            )
        if state.ndim == 1 or state.shape[-2] != count:
            state = state[..., :, None] * state[..., None, :].conj()
        trace = np.einsum("...jj->...", state)
        worst = trace.ravel()[np.argmax(np.abs(trace - 1))]
        if abs(worst - 1) > 1e-9:
            raise InputError(
                f"The start state is not normalised: its total probability is {worst.real:.6g}, "
                "expected 1. Divide a state vector by its norm, a density matrix by its trace."
            )
        return state

    def reference_energy(self, reference: str | float | None) -> float:
        """Return the energy a detuning is measured from, by name, by site or as a number."""
        known = sorted(self.references)
        choices = " or ".join(repr(name) for name in known) or "a site or an energy"
        if reference is None:
            raise InputError(f"Detuning measured from what? Pass reference={choices}.")
        if not isinstance(reference, str):
            return float(reference)
        if reference in self.references:
            return float(self.references[reference])
        if reference not in self.sites:
            raise InputError(
                f"Unknown reference {reference!r} for the detuning; expected {choices}."
            )
        energies = self.hamiltonian[..., self.index(reference), self.index(reference)].real
        if np.ptp(energies) > 0:
            raise InputError(
                f"Site {reference!r} has a different energy in each network of the batch; "
                "pass the reference energy as a number."
            )
        return float(energies.ravel()[0])

    def with_(self, **changes: object) -> ExcitonNetwork:
        """Return a copy with some fields replaced, checked again."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields |= changes
        return ExcitonNetwork(**fields)  # pyright: ignore[reportArgumentType]

    def with_site_energy(self, site: str | int, energy: ArrayLike) -> ExcitonNetwork:
        """Return the network with the energy of one site set; ``energy`` may be a batch (...)."""
        energy = np.asarray(energy, dtype=float)
        batch = np.broadcast_shapes(self.hamiltonian.shape[:-2], energy.shape)
        matrix = np.broadcast_to(self.hamiltonian, batch + self.hamiltonian.shape[-2:]).copy()
        matrix[..., self.index(site), self.index(site)] = energy
        return self.with_(hamiltonian=matrix, dims=())

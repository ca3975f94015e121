"""Static disorder: frozen random energies and couplings, and averages over them.

Each sample is one network whose energies or couplings are drawn once and then stay:

- ``"diagonal"``: d_j on the energy of every donor site;
- ``"photon_ring"``: dJ_j on every coupling between photon and ring;
- ``"intra_ring"``: dg_j on every coupling inside the ring;
- ``"coupling"``: on every coupling of a network without a ring.

The width is an energy, or a fraction of the mean coupling it disturbs (``relative=True``). Samples
are paired: one seed gives the same draws, in units of the width, whatever the width, the couplings,
the detuning and the rates, so that differences between them are not noise.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError, nearest
from axonal.physics.light_harvesting.efficiency import Method, efficiency_spectrum
from axonal.physics.light_harvesting.network import ExcitonNetwork, Start

Kind = Literal["diagonal", "photon_ring", "intra_ring", "coupling"]
Distribution = Literal["normal", "uniform"]

#: Networks of one block of an average: bounds its memory.
BLOCK = 20_000


def disordered(
    network: ExcitonNetwork,
    kind: Kind,
    width: float,
    samples: int = 1,
    *,
    relative: bool = False,
    distribution: Distribution = "normal",
    seed: int | np.random.Generator = 0,
) -> ExcitonNetwork:
    """Return a batch of ``samples`` disordered copies of one network, dimension ``sample`` first.

    Parameters
    ----------
    kind : what is random, see the module
    width : standard deviation of ``"normal"``, full width W of ``"uniform"`` (W times U(-1/2, 1/2));
        in the network's unit of energy, or as a fraction of the mean absolute coupling
    relative : take ``width`` as that fraction; has no meaning for ``"diagonal"``
    seed : a seed or generator; the same one gives paired samples
    """
    if network.batch_shape:
        raise InputError("disordered takes one network; this is a batch already.")
    if not width >= 0:
        raise InputError(f"The width of the disorder must not be negative, got {width}.")
    if samples < 1:
        raise InputError(f"samples must be at least 1, got {samples}.")
    rows, columns = _entries(network, kind)
    if relative and kind == "diagonal":
        raise InputError(
            "Diagonal disorder has no coupling to be relative to: give its width as an energy."
        )
    unit = np.abs(network.hamiltonian[rows, columns]).mean() if relative else 1.0
    draws = _draws(np.random.default_rng(seed), distribution, (samples, len(rows)))
    matrices = np.tile(network.hamiltonian, (samples, 1, 1))
    matrices[:, rows, columns] += width * unit * draws
    if kind != "diagonal":
        matrices[:, columns, rows] = matrices[:, rows, columns].conj()
    return network.with_(hamiltonian=matrices, dims=("sample",))


def disorder_average(
    network: ExcitonNetwork,
    kind: Kind,
    width: float,
    samples: int,
    detuning: ArrayLike,
    dephasing: ArrayLike | None = None,
    *,
    reference: str | float | None = None,
    relative: bool = False,
    distribution: Distribution = "normal",
    seed: int | np.random.Generator = 0,
    start: Start = None,
    method: Method = "auto",
) -> xr.Dataset:
    """Return the mean spectrum over disorder, with its standard error.

    Returns
    -------
    Dataset
        ``eta`` and ``eta_se`` over (detuning, dephasing), ``loss`` and ``loss_se`` with ``channel``.
        The same samples serve every detuning and dephasing rate.
    """
    detuning = np.atleast_1d(np.asarray(detuning, dtype=float))
    batch = disordered(
        network,
        kind,
        width,
        samples,
        relative=relative,
        distribution=distribution,
        seed=seed,
    )
    each = len(detuning) * (1 if dephasing is None else np.size(dephasing))
    size = max(1, BLOCK // each)
    blocks = [
        efficiency_spectrum(
            batch.with_(hamiltonian=batch.hamiltonian[begin : begin + size]),
            detuning,
            dephasing,
            reference=reference,
            start=start,
            method=method,
        )
        for begin in range(0, samples, size)
    ]
    spectra = xr.concat(blocks, dim="sample")
    mean = spectra.mean("sample")
    error = spectra.std("sample", ddof=1) / np.sqrt(samples)
    averaged = mean.merge(error.rename({"eta": "eta_se", "loss": "loss_se"}))
    return averaged.assign_attrs(
        kind=kind, width=width, relative=int(relative), distribution=distribution, samples=samples
    )


def _entries(network: ExcitonNetwork, kind: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the Hamiltonian that are disturbed."""
    if kind == "diagonal":
        return network.donors, network.donors
    if kind == "photon_ring":
        rows, columns = np.meshgrid(network.members("photon"), network.members("ring"))
    elif kind == "intra_ring":
        ring = network.members("ring")
        rows, columns = np.meshgrid(ring, ring, indexing="ij")
    elif kind == "coupling":
        every = np.arange(len(network.sites))
        rows, columns = np.meshgrid(every, every, indexing="ij")
    else:
        raise InputError(f"Unknown kind of disorder {kind!r}; {nearest(kind, get_args(Kind))}")
    rows, columns = rows.ravel(), columns.ravel()
    kept = (rows < columns) & (network.hamiltonian[rows, columns] != 0)
    if not kept.any():
        raise InputError(f"{kind} disorder: this network has no such couplings.")
    return rows[kept], columns[kept]


def _draws(
    rng: np.random.Generator, distribution: str, shape: tuple[int, int]
) -> NDArray[np.float64]:
    if distribution == "normal":
        return rng.standard_normal(shape)
    if distribution == "uniform":
        return rng.uniform(-0.5, 0.5, shape)
    raise InputError(
        f"Unknown distribution {distribution!r}; {nearest(distribution, get_args(Distribution))}"
    )

"""What an exciton network accepts: shapes, Hermitian Hamiltonians, rates that can be, known sites."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError, nearest

HERMITIAN_TOLERANCE = 1e-12
MIXED_UNITS_RATIO = 1e8

Rates = ArrayLike | Mapping[str, float] | Mapping[int, float]


def hermitian(hamiltonian: ArrayLike) -> NDArray[np.complex128]:
    """Return a Hamiltonian (..., sites, sites) as complex numbers, or say why it is none."""
    try:
        matrix = np.asarray(hamiltonian, dtype=np.complex128)
    except (TypeError, ValueError) as error:
        raise InputError("hamiltonian must be an array of numbers (..., sites, sites).") from error
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise InputError(f"hamiltonian must be (..., sites, sites), got {matrix.shape}.")
    if matrix.shape[-1] < 2:
        raise InputError("A network needs at least 2 sites; the Hamiltonian is 1 x 1.")
    if not np.isfinite(matrix).all():
        where = np.argwhere(~np.isfinite(matrix))[0]
        raise InputError(f"hamiltonian has a NaN or infinity at {tuple(int(i) for i in where)}.")
    asymmetry = matrix - matrix.conj().swapaxes(-1, -2)
    worst = np.abs(asymmetry).max()
    if worst <= HERMITIAN_TOLERANCE * max(np.abs(matrix).max(), 1e-300):
        return matrix - asymmetry / 2
    gain = np.linalg.eigvalsh(asymmetry / 2j).max()
    row, column = np.unravel_index(np.abs(asymmetry).argmax(), asymmetry.shape)[-2:]
    message = (
        f"The Hamiltonian is not Hermitian: max |H - H^+| = {worst:.3g} at row {row}, "
        f"column {column}."
    )
    if gain > 0 and np.allclose(matrix.real, matrix.real.swapaxes(-1, -2)):
        message += (
            f" Its eigenvalues can have an imaginary part of up to +{gain:.3g}, which is gain; "
            "pass a Hermitian H, and rates of loss in loss=."
        )
    else:
        message += " Pass a Hermitian H; losses go into loss= as rates."
    raise InputError(message)


def rates_by_site(name: str, given: Rates, sites: tuple[str, ...]) -> NDArray[np.float64]:
    """Return rates (..., sites) given as an array, one number or by site."""
    if isinstance(given, Mapping):
        rates = np.zeros(len(sites))
        for site, rate in given.items():
            rates[site_index(site, sites, name)] = rate
    else:
        rates = np.asarray(given, dtype=float)
        if rates.ndim == 0:
            rates = np.full(len(sites), float(rates))
    if rates.shape[-1] != len(sites):
        raise InputError(
            f"{name} must be (..., {len(sites)}), one rate a site; got shape {rates.shape}."
        )
    bad = ~np.isfinite(rates) | (rates < 0)
    if bad.any():
        where = np.argwhere(bad)[0]
        raise InputError(
            f"{name} must be finite and not negative; it is {rates[tuple(where)]:.6g} at site "
            f"{sites[where[-1]]!r}."
        )
    return rates


def site_index(site: str | int | np.integer, sites: tuple[str, ...], argument: str = "site") -> int:
    """Return the position of a site given by name or number."""
    if isinstance(site, str):
        if site in sites:
            return sites.index(site)
        raise InputError(f"{argument}: no site {site!r} in this network; {nearest(site, sites)}")
    if not -len(sites) <= int(site) < len(sites):
        raise InputError(
            f"{argument}: no site number {site}; the network has sites 0 to {len(sites) - 1}."
        )
    return int(site) % len(sites)


def warn_of_mixed_units(hamiltonian: NDArray[np.complex128], *rates: NDArray[np.float64]) -> None:
    """Warn where energies and rates are too far apart to be in one unit."""
    count = hamiltonian.shape[-1]
    mean = np.einsum("...jj->...", hamiltonian)[..., None, None].real / count
    largest = np.abs(hamiltonian - mean * np.eye(count)).max()
    fastest = max(rate.max() for rate in rates)
    if largest > MIXED_UNITS_RATIO * fastest:
        warnings.warn(
            f"Energies reach {largest:.3g} and rates only {fastest:.3g}: are both in one unit? "
            "Use ExcitonNetwork.from_wavenumbers for energies in cm^-1 and rates in 1/ps.",
            stacklevel=4,
        )

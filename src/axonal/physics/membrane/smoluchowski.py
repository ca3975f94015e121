"""The full problem on a grid: the Smoluchowski equation with the polymer relaxing beside it.

Between two nodes the steady flux of a piecewise linear potential is known exactly,

    j * integral(exp(beta U)/D) = c_left exp(beta U_left) - c_right exp(beta U_right),

(exponential fitting, Scharfetter and Gummel), and the slab's faces lie on cell faces. The discrete
steady flux is then exact to round-off at any resolution. This is an independent check of the
closed forms, and of the assumption that transport is fast against the polymer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from axonal.errors import InputError
from axonal.physics.membrane.checks import checked_properties
from axonal.physics.membrane.transport import Array, Mask

if TYPE_CHECKING:
    import xarray as xr

    from axonal.physics.membrane.model import ResponsiveMembrane


@dataclass(frozen=True)
class Discretisation:
    """Finite volumes at one force and volume fraction: face fluxes ``f c_left - b c_right``.

    ``forward`` and ``backward`` have shape ``(cells + 1,)``, the others ``(cells,)``; the outer
    nodes are the reservoirs, at ``bulk_concentration``. Within a cell the steady profile is a
    uniform and an exponential part, so its mean is ``node_share c + flux_share j``.
    """

    centres: Array
    width: Array
    inside: Mask
    forward: Array
    backward: Array
    node_share: Array
    flux_share: Array
    bulk_concentration: float

    def face_flux(self, concentration: Array) -> Array:
        """Return the flux through every face, shape ``(cells + 1,)``."""
        c = np.r_[self.bulk_concentration, concentration, self.bulk_concentration]
        return self.forward * c[:-1] - self.backward * c[1:]

    def uptake(self, concentration: Array) -> float:
        """Return the mean concentration inside the slab."""
        flux = self.face_flux(concentration)
        mean = self.node_share * concentration + self.flux_share * (flux[:-1] + flux[1:]) / 2
        return float(np.average(mean[self.inside], weights=self.width[self.inside]))

    def steady(self) -> Array:
        """Return the steady concentrations."""
        return self._solve(0.0, np.zeros_like(self.width))

    def step(self, concentration: Array, duration: float) -> Array:
        """Advance the concentrations by one backward Euler step."""
        return self._solve(1 / duration, concentration / duration)

    def _solve(self, shift: float, right: Array) -> Array:
        from scipy.linalg import solve_banded

        width, f, b = self.width, self.forward, self.backward
        matrix = np.zeros((3, len(width)))
        matrix[0, 1:] = -b[1:-1] / width[:-1]
        matrix[1] = shift + (f[1:] + b[:-1]) / width
        matrix[2, :-1] = -f[1:-1] / width[1:]
        right = right.copy()
        right[0] += f[0] * self.bulk_concentration / width[0]
        right[-1] += b[-1] * self.bulk_concentration / width[-1]
        return solve_banded((1, 1), matrix, right, check_finite=False)


def discretise(
    membrane: ResponsiveMembrane,
    force: float,
    bulk_concentration: float,
    volume_fraction: float,
    cells: int = 20,
) -> Discretisation:
    """Divide the slab and each bulk layer into ``cells`` equal cells, polymer held at ``phi``."""
    if cells < 2:
        raise InputError(f"cells is {cells}; at least 2 a layer are needed.")
    _, K, a, d = (float(x) for x in checked_properties(membrane, np.array(volume_fraction)))
    u = float(membrane.reduced_force(force))
    margin = (membrane.length - d) / 2
    width = np.repeat([margin, d, margin], cells) / cells
    inside = np.repeat([False, True, False], cells)
    D = membrane.bulk_diffusivity / np.where(inside, a, 1.0)
    solubility = np.where(inside, K, 1.0)  # exp(-beta G)
    # distances from each face to the node on its left and on its right
    left, right = np.r_[0.0, width / 2], np.r_[width / 2, 0.0]
    D_left, D_right = np.r_[1.0, D], np.r_[D, 1.0]
    s_left, s_right = np.r_[1.0, solubility], np.r_[solubility, 1.0]
    resistance = _stretch(u, left) / (D_left * s_left) + _stretch(-u, right) / (D_right * s_right)
    bulge = np.sinh(u * width / 2) / (u * width / 2) if u else np.ones_like(width)
    return Discretisation(
        centres=np.cumsum(width) - width / 2,
        width=width,
        inside=inside,
        forward=np.exp(u * left) / s_left / resistance,
        backward=np.exp(-u * right) / s_right / resistance,
        node_share=bulge,
        flux_share=(1 - bulge) / (D * u) if u else np.zeros_like(width),
        bulk_concentration=float(bulk_concentration),
    )


def drive(
    membrane: ResponsiveMembrane,
    bulk_concentration: float,
    time: ArrayLike,
    force: ArrayLike,
    relaxation_time: float,
    volume_fraction: float,
    cells: int = 20,
) -> xr.Dataset:
    """Integrate solute and polymer while the force changes in time.

    The slab keeps its thickness. Each step moves the polymer by the exact relaxation towards
    ``phi(c_in)`` and the solute by backward Euler.

    Parameters
    ----------
    time, force
        Shapes ``(steps,)``; ``time`` increasing, in ``d^2/D0`` in reduced units.
    relaxation_time
        ``tau`` of the polymer.
    volume_fraction
        At the first time; the solute starts in its steady state there.

    Returns
    -------
    xarray.Dataset
        ``volume_fraction``, ``uptake``, ``flux`` (at the slab's middle) and ``force`` over ``time``.
    """
    import xarray as xr

    if callable(membrane.thickness):
        raise InputError("thickness is a law of phi; the grid needs a slab of constant thickness.")
    times, forces = np.asarray(time, dtype=float), np.asarray(force, dtype=float)
    if times.ndim != 1 or times.shape != forces.shape or np.any(np.diff(times) <= 0):
        raise InputError(
            f"time and force need one shape, with increasing time; got {times.shape} and {forces.shape}."
        )
    phi = float(volume_fraction)
    cell = discretise(membrane, float(forces[0]), bulk_concentration, phi, cells)
    c = cell.steady()
    middle = len(c) // 2
    rows = np.empty((3, len(times)))
    for k in range(len(times)):
        if k:
            duration = times[k] - times[k - 1]
            target = float(membrane.response(np.array([cell.uptake(c)]))[0])
            phi = target + (phi - target) * np.exp(-duration / relaxation_time)
            cell = discretise(membrane, float(forces[k]), bulk_concentration, phi, cells)
            c = cell.step(c, duration)
        rows[:, k] = phi, cell.uptake(c), cell.face_flux(c)[middle]
    return xr.Dataset(
        {
            "volume_fraction": ("time", rows[0]),
            "uptake": ("time", rows[1]),
            "flux": ("time", rows[2]),
            "force": ("time", forces),
        },
        coords={"time": times},
        attrs={"relaxation_time": relaxation_time, "bulk_concentration": bulk_concentration},
    )


def _stretch(u: float, distance: Array) -> Array:
    """Return ``integral_0^distance exp(u s) ds``: the weight of half a cell."""
    return distance if u == 0 else np.expm1(u * distance) / u

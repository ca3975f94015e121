r"""The exact stationary density of a diffusion in the plane, by finite volumes.

Scharfetter and Gummel's flux through a face between cells l and r at a distance h,

.. math::

    J = \tfrac{D}{h}\bigl[\, B(-bh/D)\, \rho_l - B(bh/D)\, \rho_r \bigr], \qquad
    B(z) = \frac{z}{e^z - 1},

keeps densities positive at any drift. The discrete entropy production
:math:`\sum J \log \frac{B(-bh/D)\rho_l}{B(bh/D)\rho_r}` is positive face by face and converges to
:math:`\int |v|^2_{D^{-1}} \rho` at second order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from axonal.errors import AxonalError, InputError
from axonal.transport import Diffusion

_FAINT = 1e-14  # of the largest density; fainter cells have no meaningful velocity
_LARGEST = 2_000_000  # cells that a sparse factorisation can hold


@dataclass(frozen=True)
class _Faces:
    """The faces across one axis: cells on both sides, rates out of and back into the left one."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    out: NDArray[np.float64]
    back: NDArray[np.float64]
    spacing: float

    def flux(self, density: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.out * density[self.left] - self.back * density[self.right]


@dataclass(frozen=True)
class GridDensity:
    """A stationary density on a grid, with its probability flow and entropy production.

    Parameters
    ----------
    fields
        On cell centres: ``density``, and by ``variable`` ``score``, ``velocity``, ``divergence``
        (the term of the flow's divergence: system entropy production) and ``total``
        (:math:`v_k^2/D_k`). NaN where the density is too faint to tell.
    parts
        Entropy production rate by variable, in k_B over time, ``(2,)``, from the logarithmic form.
    residual
        Largest net flux out of a cell, relative to the largest flux.
    """

    fields: xr.Dataset
    parts: NDArray[np.float64]
    residual: float

    @property
    def entropy_production(self) -> float:
        """The rate, in k_B over time."""
        return float(self.parts.sum())

    @property
    def weights(self) -> xr.DataArray:
        """The probability of each cell; they sum to 1."""
        cell = math.prod(_step(self.fields[name].values) for name in self.fields.density.dims)
        return self.fields.density * cell

    def mean(self, name: str) -> xr.DataArray:
        """Return the average of a field over the density, faint cells left out."""
        return (self.fields[name].fillna(0) * self.weights).sum(self.fields.density.dims)

    def states(self) -> torch.Tensor:
        """Return the cell centres, ``(cells, 2)``."""
        grid = np.meshgrid(*(self.fields[name] for name in self.fields.density.dims), indexing="ij")
        return torch.from_numpy(np.stack(grid, axis=-1).reshape(-1, 2))

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw states ``(count, 2)``: a cell by its probability, then a place in it."""
        if count < 1:
            raise InputError(f"count is at least 1, got {count}.")
        share = torch.from_numpy(self.weights.values.ravel()).cumsum(0)
        draw = torch.rand(count, generator=generator, dtype=torch.float64) * share[-1]
        cells = torch.searchsorted(share, draw, right=True).clamp(max=len(share) - 1)
        sides = [_step(self.fields[name].values) for name in self.fields.density.dims]
        jitter = torch.rand(count, 2, generator=generator, dtype=torch.float64) - 0.5
        return self.states()[cells] + jitter * torch.tensor(sides, dtype=torch.float64)


def fokker_planck_2d(
    process: Diffusion,
    bounds: tuple[tuple[float, float], tuple[float, float]],
    periodic: tuple[bool, bool] = (False, False),
    cells: tuple[int, int] = (200, 200),
    names: tuple[str, str] = ("x", "y"),
) -> GridDensity:
    """Solve for the stationary density of a diffusion in two dimensions.

    Parameters
    ----------
    process
        Its drift on ``(n, 2)`` and its noise, positive in both coordinates.
    bounds
        ``((low, high), (low, high))``; nothing flows through a bound that is not periodic, so put it
        where the density has vanished.
    periodic
        Whether each axis closes on itself.
    cells
        Along each axis. The error falls with the square of the cell.
    names
        Of the coordinates, in the result.
    """
    from scipy import sparse
    from scipy.sparse.linalg import splu

    _check(process, bounds, cells)
    sides = [(high - low) / n for (low, high), n in zip(bounds, cells, strict=True)]
    faces = [_faces(process, axis, bounds, periodic, cells, sides) for axis in range(2)]
    total = cells[0] * cells[1]
    rows, columns, values = [], [], []
    for face in faces:
        for row, sign in ((face.left, -1.0), (face.right, 1.0)):
            rows += [row, row]
            columns += [face.left, face.right]
            values += [sign * face.out / face.spacing, -sign * face.back / face.spacing]
    generator = sparse.csc_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (total, total)
    )
    # The density in one cell is set to 1 and its equation, which the others imply, left out.
    pinned = _densest(process, bounds, cells, sides)
    keep = np.delete(np.arange(total), pinned)
    block = generator[keep][:, keep].tocsc()
    density = np.ones(total)
    density[keep] = splu(block).solve(-generator[keep][:, [pinned]].toarray()[:, 0])
    if not np.isfinite(density).all() or density.min() < -1e-9 * density.max():
        raise AxonalError(
            "The stationary equation has no positive solution on this grid: parts of it may not be "
            "reachable from others. Take closer bounds or more cells."
        )
    density = np.maximum(density, 0.0)
    density /= density.sum() * sides[0] * sides[1]
    return _described(process, density, faces, bounds, periodic, cells, sides, names)


def _described(  # what follows from the density
    process: Diffusion,
    density: NDArray[np.float64],
    faces: list[_Faces],
    bounds: tuple[tuple[float, float], tuple[float, float]],
    periodic: tuple[bool, bool],
    cells: tuple[int, int],
    sides: list[float],
    names: tuple[str, str],
) -> GridDensity:
    centres = [
        low + side * (np.arange(n) + 0.5)
        for (low, _), side, n in zip(bounds, sides, cells, strict=True)
    ]
    noise = process.diffusion.double().numpy()
    area = sides[0] * sides[1]
    net, largest = np.zeros_like(density), 0.0
    velocity, spread, parts = [], [], np.zeros(2)
    for axis, face in enumerate(faces):
        flux = face.flux(density)
        largest = max(largest, float(np.abs(flux).max()) / face.spacing)
        np.add.at(net, face.left, -flux / face.spacing)
        np.add.at(net, face.right, flux / face.spacing)
        out, back = face.out * density[face.left], face.back * density[face.right]
        seen = (out > 0) & (back > 0)
        parts[axis] = (flux[seen] * np.log(out[seen] / back[seen])).sum() * area / face.spacing
        at_face = flux / np.sqrt(np.maximum(density[face.left] * density[face.right], 1e-300))
        # Each cell takes the mean flux of its two faces, and the difference of their velocities.
        # A wall has no flux.
        carried, change = np.zeros_like(density), np.zeros_like(density)
        for side, sign in ((face.left, 1.0), (face.right, -1.0)):
            np.add.at(carried, side, flux / 2)
            np.add.at(change, side, sign * at_face / face.spacing)
        velocity.append(carried / np.maximum(density, 1e-300))
        spread.append(change)
    faint = (density < _FAINT * density.max()).reshape(cells)
    flow = np.stack(velocity, axis=-1).reshape(*cells, 2)
    points = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1).reshape(-1, 2)
    drift = process.drift(torch.from_numpy(points)).detach().numpy().reshape(*cells, 2)
    blank = np.where(faint, np.nan, 1.0)[..., None]
    by_variable = (*names, "variable")
    fields = xr.Dataset(
        {
            "density": (names, density.reshape(cells)),
            "score": (by_variable, (drift - flow) / noise * blank),
            "velocity": (by_variable, flow * blank),
            "divergence": (
                by_variable,
                np.stack(spread, axis=-1).reshape(*cells, 2) * blank,
            ),
            "total": (by_variable, flow**2 / noise * blank),
        },
        coords={names[0]: centres[0], names[1]: centres[1], "variable": list(names)},
        attrs={"periodic": [int(closed) for closed in periodic]},
    )
    return GridDensity(fields, parts, float(np.abs(net).max()) / max(largest, 1e-300))


def _faces(
    process: Diffusion,
    axis: int,
    bounds: tuple[tuple[float, float], tuple[float, float]],
    periodic: tuple[bool, bool],
    cells: tuple[int, int],
    sides: list[float],
) -> _Faces:
    index = np.arange(cells[0] * cells[1]).reshape(cells)
    n, side, low = cells[axis], sides[axis], bounds[axis][0]
    order = np.arange(n) if periodic[axis] else np.arange(n - 1)
    left = np.take(index, order, axis=axis)
    right = np.take(index, (order + 1) % n, axis=axis)
    # The last face of a closed axis is its lower bound, where a drift may change its sign.
    along = np.where(order == n - 1, low, low + side * (order + 1))
    across = bounds[1 - axis][0] + sides[1 - axis] * (np.arange(cells[1 - axis]) + 0.5)
    grid = np.meshgrid(*((along, across) if axis == 0 else (across, along)), indexing="ij")
    points = torch.from_numpy(np.stack(grid, axis=-1).reshape(-1, 2))
    drift = process.drift(points).detach().numpy()[:, axis]
    noise = float(process.diffusion[axis])
    if not np.isfinite(drift).all():
        raise InputError(f"The drift is not finite everywhere on the grid (coordinate {axis}).")
    ratio = drift * side / noise
    rate = noise / side
    return _Faces(
        left.ravel(), right.ravel(), rate * _bernoulli(-ratio), rate * _bernoulli(ratio), side
    )


def _bernoulli(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``z / (e^z - 1)``, 1 at 0."""
    small = np.abs(z) < 1e-8
    safe = np.where(small, 1.0, z)
    with np.errstate(over="ignore"):
        return np.where(small, 1 - z / 2, safe / np.expm1(safe))


def _densest(
    process: Diffusion,
    bounds: tuple[tuple[float, float], tuple[float, float]],
    cells: tuple[int, int],
    sides: list[float],
) -> int:
    """Return a cell where a particle is likely to be: the end of a long noiseless descent."""
    low = torch.tensor([bound[0] for bound in bounds], dtype=torch.float64)
    high = torch.tensor([bound[1] for bound in bounds], dtype=torch.float64)
    z = ((low + high) / 2)[None]
    for _ in range(2000):
        drift = process.drift(z).detach()
        stride = torch.tensor(sides, dtype=torch.float64) / drift.abs().clamp(min=1e-12)
        z = torch.clamp(z + drift * stride.min().clamp(max=1.0) * 0.5, low, high)
    where = ((z[0] - low) / torch.tensor(sides)).long().tolist()
    place = [min(max(at, 0), n - 1) for at, n in zip(where, cells, strict=True)]
    return place[0] * cells[1] + place[1]


def _check(
    process: Diffusion,
    bounds: tuple[tuple[float, float], tuple[float, float]],
    cells: tuple[int, int],
) -> None:
    if len(process.diffusion) != 2:
        raise InputError(
            f"fokker_planck_2d solves two dimensions, this diffusion has {len(process.diffusion)}."
        )
    if bool((process.diffusion <= 0).any()):
        raise InputError(
            "fokker_planck_2d needs noise in both coordinates, got diffusion "
            f"{process.diffusion.tolist()}."
        )
    if len(bounds) != 2 or len(cells) != 2:
        raise InputError(
            f"bounds and cells are one an axis, got {len(bounds)} and {len(cells)} for two axes."
        )
    for low, high in bounds:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"bounds must be (low, high) with low < high, got ({low}, {high}).")
    if min(cells) < 3 or cells[0] * cells[1] > _LARGEST:
        raise InputError(
            f"cells must be at least 3 along each axis and {_LARGEST:,} in all, got {cells}."
        )


def _step(centres: NDArray[np.float64]) -> float:
    return float(centres[1] - centres[0])

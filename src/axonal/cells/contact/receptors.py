"""Where the receptors sit: on a line along the cell's perimeter, or around an outline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError

Floats = NDArray[np.float64]

#: The estimator has three unknowns, so fewer receptors can't tell them apart.
FEWEST = 3


@dataclass(frozen=True, eq=False)
class ReceptorArray:
    """Receptors at known positions along a perimeter.

    Parameters
    ----------
    positions
        ``(receptors,)``, ascending, in [0, length] (µm).
    length
        Perimeter L (µm).
    closed
        Whether the perimeter closes on itself, so that distances wrap. The paper's does not.
    """

    positions: Floats
    length: float
    closed: bool = False
    spacing: float = field(init=False)

    def __post_init__(self) -> None:
        positions = np.ascontiguousarray(self.positions, float)
        object.__setattr__(self, "positions", positions)
        if positions.ndim != 1 or positions.size < FEWEST:
            raise InputError(
                f"Position, concentration and fraction are three unknowns: give at least {FEWEST} "
                f"receptor positions in one dimension; got an array of shape {positions.shape}"
            )
        if not np.isfinite(positions).all():
            raise InputError("Receptor positions must be finite; some are NaN or infinite")
        if not (np.isfinite(self.length) and self.length > 0):
            raise InputError(f"The perimeter's length must be positive (µm); got {self.length:g}")
        if np.any(np.diff(positions) < 0):
            row = int(np.argmax(np.diff(positions) < 0)) + 1
            raise InputError(
                f"Receptor positions must ascend; position {row} is less than the one before"
            )
        if positions[0] < 0 or positions[-1] > self.length * (1 + 1e-9):
            raise InputError(
                f"Receptor positions must lie in [0, {self.length:g}] µm; "
                f"got {positions[0]:g} to {positions[-1]:g}"
            )
        object.__setattr__(self, "spacing", float(np.median(np.diff(positions))))

    @classmethod
    def line(cls, length: float = 100.0, spacing: float = 0.01) -> ReceptorArray:
        """Place receptors at ``x_n = n a``, n = 1..N with N = L/a, as the paper does."""
        if not (spacing > 0 and length > 0):
            raise InputError(
                f"Length and spacing must be positive (µm); got {length:g} and {spacing:g}"
            )
        count = round(length / spacing)
        return cls(spacing * np.arange(1.0, count + 1), length)

    @classmethod
    def outline(cls, vertices: ArrayLike, spacing: float) -> ReceptorArray:
        """Place receptors evenly around a closed polygon.

        Parameters
        ----------
        vertices
            ``(corners, 2)``, in order (µm); the last is joined to the first.
        spacing
            Aimed distance between receptors along the outline (µm).
        """
        corners = np.asarray(vertices, float)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise InputError(
                f"An outline needs (corners, 2) with at least 3 corners; got {corners.shape}"
            )
        length = float(np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1).sum())
        count = round(length / spacing)
        if count < FEWEST:
            raise InputError(
                f"A spacing of {spacing:g} µm leaves {count} receptors on an outline of {length:g} µm; "
                f"at least {FEWEST} are needed"
            )
        return cls(length / count * np.arange(0.5, count), length, closed=True)

    @classmethod
    def read(cls, path: str | Path, length: float | None = None) -> ReceptorArray:
        """Read positions (µm), one a line, from a text or CSV file; `length` defaults to the last."""
        try:
            positions = np.loadtxt(path, delimiter=",", ndmin=1, comments="#")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} can't be read as receptor positions, one a line: {error}"
            ) from error
        positions = np.sort(np.ravel(positions))
        return cls(positions, float(positions[-1]) if length is None else length)

    def __len__(self) -> int:
        return len(self.positions)

    def displacement(self, position: ArrayLike, of: Floats | None = None) -> Floats:
        """Return ``x - x0``, the short way round where the perimeter closes.

        Parameters
        ----------
        position
            The centre x0, or several that broadcast (µm).
        of
            Positions x (µm); by default the receptors'.
        """
        away = (self.positions if of is None else of) - np.asarray(position, float)
        if self.closed:
            away = (away + self.length / 2) % self.length - self.length / 2
        return away

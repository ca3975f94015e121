"""Constitutive laws from measured or simulated tables.

A table is interpolated by a monotone cubic (PCHIP), which neither overshoots nor invents wiggles;
partition ratios and diffusivities are interpolated in their logarithm.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from axonal.errors import InputError, nearest
from axonal.physics.membrane.transport import Array

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator


class TabulatedLaw:
    """A positive law ``K(phi)`` or ``D_in(phi)/D0`` through tabulated points.

    Outside the table it is NaN, so a membrane that needs it there says so when it is built.

    Parameters
    ----------
    points, values
        Shapes ``(rows,)``; ``points`` strictly increasing, at least two.
    """

    def __init__(self, points: ArrayLike, values: ArrayLike) -> None:
        self.points, self.values = _checked(points, values)
        if np.any(self.values <= 0):
            row = int(np.argmax(self.values <= 0))
            raise InputError(
                f"The table holds {self.values[row]} at {self.points[row]}; "
                "partition ratios and diffusivities must be positive."
            )

    @classmethod
    def from_csv(cls, path: str | Path, points: str, values: str) -> TabulatedLaw:
        """Read two named columns of a CSV file with a header line."""
        return cls(*_columns(path, points, values))

    @cached_property
    def _log(self) -> PchipInterpolator:
        return _interpolator(self.points, np.log(self.values))

    def __call__(self, x: ArrayLike) -> Array:
        """Return the law at points of any shape; NaN outside the table."""
        return np.exp(self._log(np.asarray(x, dtype=float), extrapolate=False))

    def derivative(self, x: ArrayLike) -> Array:
        """Return the slope of the interpolant."""
        return self(x) * self._log(np.asarray(x, dtype=float), nu=1, extrapolate=False)


class TabulatedResponse:
    """A response ``phi(c_in)`` through tabulated points, constant beyond both ends.

    Concentrations must be positive; the interpolation runs in ``ln c_in``. The table may fall and
    rise again: the steady manifold needs no inverse.

    Parameters
    ----------
    points, values
        ``c_in`` and ``phi``, shapes ``(rows,)``; ``points`` strictly increasing, at least two.
    """

    def __init__(self, points: ArrayLike, values: ArrayLike) -> None:
        self.points, self.values = _checked(points, values)
        if self.points[0] <= 0:
            raise InputError(f"The table starts at c_in = {self.points[0]}; it must be positive.")
        self.threshold = float(np.sqrt(self.points[0] * self.points[-1]))

    @classmethod
    def from_csv(cls, path: str | Path, points: str, values: str) -> TabulatedResponse:
        """Read two named columns of a CSV file with a header line."""
        return cls(*_columns(path, points, values))

    @cached_property
    def _curve(self) -> PchipInterpolator:
        # a flat step beyond each end makes the table join its constant continuation smoothly
        y = np.log(self.points)
        padded = np.r_[2 * y[0] - y[1], y, 2 * y[-1] - y[-2]]
        return _interpolator(padded, np.r_[self.values[0], self.values, self.values[-1]])

    def __call__(self, uptake: ArrayLike) -> Array:
        """Return ``phi`` at uptakes of any shape."""
        return self._curve(self._clipped(uptake))

    def derivative(self, uptake: ArrayLike) -> Array:
        """Return ``dphi/dc``; 0 beyond the table."""
        c = np.asarray(uptake, dtype=float)
        return self._curve(self._clipped(c), nu=1) / c

    def _clipped(self, uptake: ArrayLike) -> Array:
        ends = self._curve.x
        return np.clip(np.log(np.asarray(uptake, dtype=float)), ends[0], ends[-1])


def _interpolator(x: Array, y: Array) -> PchipInterpolator:
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(x, y)


def _checked(points: ArrayLike, values: ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(points, dtype=float), np.asarray(values, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise InputError(
            f"A table needs two columns of one length, at least 2 rows; got {x.shape} and {y.shape}."
        )
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise InputError("The table has entries that are not finite numbers.")
    if np.any(np.diff(x) <= 0):
        row = int(np.argmax(np.diff(x) <= 0)) + 1
        raise InputError(
            f"The table's first column falls from {x[row - 1]} to {x[row]} in row {row}; "
            "sort it and merge equal entries."
        )
    return x, y


def _columns(path: str | Path, points: str, values: str) -> tuple[Array, Array]:
    table = np.genfromtxt(path, delimiter=",", names=True)
    names = table.dtype.names or ()
    for name in (points, values):
        if name not in names:
            raise InputError(f"{path} has no column {name!r}; {nearest(name, names)}.")
    return np.atleast_1d(table[points]), np.atleast_1d(table[values])

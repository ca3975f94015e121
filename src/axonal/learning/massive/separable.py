r"""Variable projection: least squares of curves that are linear in all but one or two parameters.

A curve :math:`\sum_j c_j \, g_j(t; \theta)` is fitted over :math:`\theta` alone, the best
:math:`c` for it being a linear least-squares problem (Golub & Pereyra 1973). So a grid over
:math:`\theta` sees the whole landscape, and the best of its valleys are polished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Columns = Callable[[Array, Array], Array]
"""``columns(time, theta)``: time ``(points,)``, theta ``(..., m)``; returns ``(..., points, p)``."""

VALLEYS = 4
RANK = 1e-10


@dataclass(frozen=True)
class Separable:
    """A family of curves.

    Parameters
    ----------
    columns
        The functions of time that enter linearly.
    axes
        Values of each non-linear parameter to begin from.
    bounds
        Low and high ends of each non-linear parameter.
    """

    columns: Columns
    axes: tuple[Array, ...]
    bounds: tuple[tuple[float, float], ...]

    def fit(
        self, time: Array, value: Array, weight: Array, starts: Sequence[Sequence[float]] = ()
    ) -> tuple[Array, Array]:
        """Return the best non-linear and linear parameters.

        Parameters
        ----------
        time, value, weight
            ``(points,)`` each; residuals are multiplied by the weight.
        starts
            Further points to begin from.
        """
        if not self.axes:
            theta = np.empty(0)
            return theta, self.linear(theta, time, value, weight)
        grid = np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1)
        left = self.residual_squares(grid.reshape(-1, grid.shape[-1]), time, value, weight)
        begin = [*_valleys(grid, left.reshape(grid.shape[:-1])), *map(np.asarray, starts)]
        ends = [self._polish(theta, time, value, weight) for theta in begin]
        theta = min(ends, key=lambda end: float(self._rss(end, time, value, weight)))
        return theta, self.linear(theta, time, value, weight)

    def linear(self, theta: Array, time: Array, value: Array, weight: Array) -> Array:
        """Return the linear parameters that fit best, ``(p,)``."""
        design = self.columns(time, theta) * weight[:, None]
        size = np.linalg.norm(design, axis=0)
        size[size == 0] = 1
        return np.linalg.lstsq(design / size, value * weight, rcond=None)[0] / size

    def residual_squares(self, theta: Array, time: Array, value: Array, weight: Array) -> Array:
        """Return the residual sum of squares at many points at once, ``(n, m) -> (n,)``."""
        design = self.columns(time, theta) * weight[:, None]
        left = np.broadcast_to(value * weight, design.shape[:-1]).copy()
        done: list[Array] = []
        # Gram-Schmidt over all points of the grid at once, the last column (a constant) first.
        for column in np.moveaxis(design, -1, 0)[::-1]:
            size = np.linalg.norm(column, axis=-1, keepdims=True)
            for unit in done:
                column = column - unit * np.sum(unit * column, axis=-1, keepdims=True)
            norm = np.linalg.norm(column, axis=-1, keepdims=True)
            free = norm > RANK * size
            unit = np.divide(column, norm, out=np.zeros_like(column), where=free)
            left -= unit * np.sum(unit * left, axis=-1, keepdims=True)
            done.append(unit)
        return np.sum(left**2, axis=-1)

    def _polish(self, theta: Array, time: Array, value: Array, weight: Array) -> Array:
        from scipy.optimize import least_squares

        low, high = np.array(self.bounds, dtype=float).T
        start = np.clip(theta, low + 1e-9, high - 1e-9)

        def residuals(at: Array) -> Array:
            return self._residuals(at, time, value, weight)

        found = least_squares(
            residuals, start, bounds=(low, high), xtol=1e-10, ftol=1e-10, gtol=1e-10, max_nfev=100
        )
        return found.x

    def _residuals(self, theta: Array, time: Array, value: Array, weight: Array) -> Array:
        fitted = self.columns(time, theta) @ self.linear(theta, time, value, weight)
        return weight * (fitted - value)

    def _rss(self, theta: Array, time: Array, value: Array, weight: Array) -> float:
        return float(np.sum(self._residuals(theta, time, value, weight) ** 2))


def _valleys(grid: Array, left: Array) -> list[Array]:
    """Return the lowest points of the grid that no neighbour undercuts."""
    lowest = np.ones(left.shape, dtype=bool)
    for axis in range(left.ndim):
        for shift in (1, -1):
            edge = [slice(None)] * left.ndim
            edge[axis] = slice(0, 1) if shift == 1 else slice(-1, None)
            beside = np.roll(left, shift, axis)
            beside[tuple(edge)] = np.inf
            lowest &= left <= beside
    found = np.argwhere(lowest)
    order = np.argsort(left[tuple(found.T)])[:VALLEYS]
    return [grid[tuple(place)] for place in found[order]]

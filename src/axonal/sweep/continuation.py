r"""Follow a curve of solutions through its folds: pseudo-arclength continuation.

Solutions of :math:`F(x, u) = 0` with n unknowns x and one parameter u form a curve in n + 1
dimensions. Each step predicts along the tangent and corrects with Newton's method on

.. math:: F(y) = 0, \qquad t \cdot (y - y_\text{predicted}) = 0, \qquad y = (x, u),

(Keller 1977), whose matrix stays regular where :math:`\partial F/\partial x` is singular: at a
fold the curve turns back in u and the routine goes round. Folds are where the tangent's u component
changes sign; they are refined to round-off. With x = (position, second parameter) and F completed by
:math:`\partial F/\partial x = 0` the same routine follows a curve of folds, whose own fold is a cusp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import AxonalError, InputError

Vector = NDArray[np.float64]
Residual = Callable[..., ArrayLike]
NEWTON_STEPS = 12
LARGEST_TURN = 0.97  # cosine of the angle between the tangents of neighbouring points


@dataclass(frozen=True)
class Fold:
    """Where a curve turns back in its parameter."""

    state: Any
    parameter: float


@dataclass(frozen=True)
class Curve:
    """Solutions along a curve, in order.

    Parameters
    ----------
    state
        Shape (points,) for a scalar unknown, else (points, n).
    parameter
        Shape (points,).
    orientation
        Sign of det dF/dx at each point; it changes at each fold, so it tells the branches apart.
    folds
        Folds in the order of the curve.
    ended
        Why the curve ends at its two ends: "range", "closed", "points", or "start" where it began.
    """

    state: Vector
    parameter: Vector
    orientation: NDArray[np.int8]
    folds: tuple[Fold, ...]
    ended: tuple[str, str]


def continue_curve(
    residual: Residual,
    state: ArrayLike,
    parameter: float,
    *,
    within: tuple[float, float],
    direction: Literal["both", "up", "down"] = "both",
    jacobian: Callable[..., ArrayLike] | None = None,
    scale: ArrayLike | None = None,
    step: float = 0.01,
    largest_step: float = 0.05,
    points: int = 20_000,
    tolerance: float = 1e-11,
) -> Curve:
    """Continue a solution of ``residual(state, parameter) = 0`` through folds.

    Parameters
    ----------
    residual
        Takes a scalar and a number, or (n,) and a number; returns as many values as unknowns.
    state, parameter
        Where to start; the state is first polished at that parameter.
    within
        The curve ends where its parameter leaves this interval.
    direction
        Which way the parameter goes from the start at first; "both" joins the two halves.
    jacobian
        ``jacobian(state, parameter)`` of shape (n, n + 1), the parameter's column last; central
        differences if left out.
    scale
        Size of each unknown, by which steps are measured: max(1, start) if left out. The
        parameter's is the width of ``within``.
    step, largest_step
        First and largest step along the curve, in those units. Steps shorten where the curve turns;
        two folds within one step, near a cusp, can be missed: lower ``largest_step`` there.
    points
        Most points in each direction.
    tolerance
        Newton stops when its step is below this, in those units.
    """
    x = np.atleast_1d(np.asarray(state, float))
    low, high = map(float, within)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise InputError(f"state: expected a number or a vector of finite numbers, got {state!r}")
    if not low < high or not low <= parameter <= high:
        raise InputError(
            f"within = {within}: expected low < high with parameter = {parameter} between"
        )
    size = (
        np.maximum(1.0, abs(x))
        if scale is None
        else np.broadcast_to(np.asarray(scale, float), x.shape)
    )
    system = _System(
        residual, jacobian, np.append(size, high - low), np.ndim(state) == 0, tolerance
    )
    y = system.polish(np.append(x, parameter) / system.scale)
    if y is None:
        raise InputError(
            f"no solution found near state = {state}, parameter = {parameter}: start closer to one"
        )
    tangent = np.linalg.svd(system.jacobian(y))[2][-1]
    tangent *= 1.0 if tangent[-1] >= 0 else -1.0
    bounds = (low / (high - low), high / (high - low))
    ways = {"both": (-1.0, 1.0), "up": (1.0,), "down": (-1.0,)}
    if direction not in ways:
        raise InputError(f"direction = {direction!r}: expected 'both', 'up' or 'down'")
    walks = []
    for way in ways[direction]:
        walks.append(_walk(system, y, way * tangent, bounds, step, largest_step, points))
        if walks[-1][2] == "closed":
            break
    return _curve(system, y, walks)


def _curve(
    system: _System, start: Vector, walks: list[tuple[list[Vector], list[Vector], str]]
) -> Curve:
    """Join one or two walks from the start into a curve."""
    last = walks[-1]
    before = walks[0] if len(walks) == 2 else ([], [], "closed" if last[2] == "closed" else "start")
    path = np.array([*before[0][::-1], start, *last[0]])
    folds = [system.split(y) for y in [*before[1][::-1], *last[1]]]
    states = path[:, :-1] * system.scale[:-1]
    signs = [np.sign(np.linalg.det(system.jacobian(y)[:, :-1])) for y in path]
    return Curve(
        states[:, 0] if system.scalar else states,
        path[:, -1] * system.scale[-1],
        np.array(signs, np.int8),
        tuple(Fold(x, u) for x, u in folds),
        (before[2], last[2]),
    )


@dataclass(frozen=True)
class _System:
    """The residual and its Jacobian in scaled variables y = (x, u) / scale."""

    residual: Residual
    given: Callable[..., ArrayLike] | None
    scale: Vector
    scalar: bool
    tolerance: float

    def split(self, y: Vector) -> tuple[Any, float]:
        x = y[:-1] * self.scale[:-1]
        return (float(x[0]) if self.scalar else x), float(y[-1] * self.scale[-1])

    def value(self, y: Vector) -> Vector:
        value = np.atleast_1d(np.asarray(self.residual(*self.split(y)), float))
        if value.shape != (len(y) - 1,):
            raise InputError(
                f"the residual has shape {value.shape}, but there are {len(y) - 1} unknowns"
            )
        return value

    def jacobian(self, y: Vector) -> Vector:
        if self.given is not None:
            return (
                np.asarray(self.given(*self.split(y)), float).reshape(len(y) - 1, len(y))
                * self.scale
            )
        h = np.cbrt(np.finfo(float).eps) * np.maximum(1.0, abs(y))
        steps = np.diag(h)
        return np.column_stack(
            [
                (self.value(y + s) - self.value(y - s)) / (2 * d)
                for s, d in zip(steps, h, strict=True)
            ]
        )

    def tangent(self, y: Vector, before: Vector) -> Vector:
        """Return the unit tangent at y, pointing as ``before`` does."""
        matrix = np.vstack([self.jacobian(y), before])
        tangent = np.linalg.solve(matrix, np.append(np.zeros(len(y) - 1), 1.0))
        return tangent / np.linalg.norm(tangent)

    def correct(self, guess: Vector, row: Vector) -> Vector | None:
        """Return the solution in the plane through ``guess`` across ``row``, or None."""
        y = guess
        for _ in range(NEWTON_STEPS):
            target = np.append(self.value(y), row @ (y - guess))
            try:
                change = np.linalg.solve(np.vstack([self.jacobian(y), row]), target)
            except np.linalg.LinAlgError:
                return None
            y = y - change
            if not np.isfinite(y).all():
                return None
            if np.abs(change).max() < self.tolerance:
                return y
        return None

    def polish(self, guess: Vector) -> Vector | None:
        """Return the solution with the parameter of ``guess``, or None."""
        return self.correct(guess, np.eye(len(guess))[-1])


def _walk(
    system: _System,
    start: Vector,
    tangent: Vector,
    bounds: tuple[float, float],
    step: float,
    largest: float,
    points: int,
) -> tuple[list[Vector], list[Vector], str]:
    """Walk one way; return the points after the start, the folds between, and why it ended."""
    y, path, folds = start, [], []
    while len(path) < points:
        found = system.correct(y + step * tangent, tangent)
        turned = None if found is None else system.tangent(found, tangent)
        if found is None or turned is None or turned @ tangent < LARGEST_TURN:
            step /= 2
            if step < 1e-12:
                x, u = system.split(y)
                raise AxonalError(
                    f"the curve cannot be followed beyond state = {x}, parameter = {u}: is the residual smooth there?"
                )
            continue
        if (turned[-1] > 0) != (tangent[-1] > 0):
            fold = _fold(system, y, tangent, step)
            folds += [fold] if bounds[0] <= fold[-1] <= bounds[1] else []
        if not bounds[0] <= found[-1] <= bounds[1]:
            edge = bounds[0] if found[-1] < bounds[0] else bounds[1]
            share = (edge - y[-1]) / (found[-1] - y[-1])
            end = system.polish(np.append(y[:-1] + share * (found[:-1] - y[:-1]), edge))
            return [*path, *([end] if end is not None else [])], folds, "range"
        along = (start - y) @ tangent
        if (
            len(path) > 2
            and 0 < along <= step
            and np.linalg.norm(start - y - along * tangent) < step / 2
        ):
            return [*path, start], folds, "closed"
        path.append(found)
        y, tangent = found, turned
        step = min(1.3 * step, largest)
    return path, folds, "points"


def _fold(system: _System, y: Vector, tangent: Vector, step: float) -> Vector:
    """Return the fold between y and the point one step on, as a root of the tangent's last part."""
    from scipy.optimize import brentq

    def at(s: float) -> Vector:
        found = system.correct(y + s * tangent, tangent)
        if found is None:
            raise AxonalError(f"the fold near parameter = {system.split(y)[1]} cannot be refined")
        return found

    def turning(s: float) -> float:
        return float(system.tangent(at(s), tangent)[-1])

    return at(float(brentq(turning, 0.0, step, xtol=1e-15)))  # pyright: ignore[reportArgumentType]

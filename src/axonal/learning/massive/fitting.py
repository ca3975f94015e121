r"""Fit the emergence curve: variable projection, a trust-region polish, standard errors.

Gallego-Feliciano et al., arXiv 2508.03616, equations 9-14, fitted by ``scipy.optimize.curve_fit``
from one starting point (here ``method="paper"``). The default searches the two non-linear
parameters on a grid, polishes the best valleys, and ends with a trust-region reflective step in all
five; it starts where the paper does too, and does not end above the paper's fit.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError, nearest
from axonal.learning.massive.curve import EmergenceCurve
from axonal.learning.massive.emergence import EmergenceFit
from axonal.learning.massive.points import Points
from axonal.learning.massive.scaled import LEAST_BETA, ScaledCurve, family

Array = NDArray[np.float64]
METHODS = ("projection", "paper")
EVALUATIONS = 500  # SciPy's default for five parameters


def fit_emergence(
    steps: ArrayLike,
    ratios: ArrayLike,
    sem: ArrayLike | None = None,
    *,
    method: Literal["projection", "paper"] = "projection",
    level: float = 0.95,
) -> EmergenceFit:
    """Fit one layer's curve.

    Parameters
    ----------
    steps
        Strictly increasing times of the checkpoints, in any unit; ``t_peak`` has the same.
    ratios
        The ratio at each, ``(points,)``; at least 6.
    sem
        Standard errors of the ratios; weights are then one over their squares.
    method
        "projection", or "paper" for one trust-region fit from the paper's starting point.
    level
        Of the intervals.
    """
    if method not in METHODS:
        raise InputError(f"There is no method {method!r}: {nearest(str(method), METHODS)}")
    if not 0 < level < 1:
        raise InputError(f"level: expected a number between 0 and 1 (0.95), got {level}.")
    points = Points.of(steps, ratios, sem)
    if method == "paper":
        curve = _from_the_papers_start(points)
        raw = curve.rescaled(time=points.end, scale=points.span, shift=points.low)
        return EmergenceFit(points, _scaled(curve, points), raw, method, level)
    best = _projected(points)
    return EmergenceFit(points, best, best.raw(points.end, points.span, points.low), method, level)


def _projected(points: Points) -> ScaledCurve:
    """Search the plane of (ln beta, ln tau0) and polish."""
    time, value, weight = points.time, points.value, points.weight
    # The valley of the paper's starting point is visited too.
    start = math.log(1 / (float(np.std(time)) * float(np.ptp(time)))), math.log(np.ptp(time))
    theta, linear = family(float(time[0])).fit(time, value, weight, [start])
    found = ScaledCurve(*map(float, (*theta, *linear)), start=float(time[0]))
    return _polished(found, points)


def _polished(curve: ScaledCurve, points: Points) -> ScaledCurve:
    """Follow the trust-region reflective method in all five parameters."""
    from scipy.optimize import least_squares

    time, value, weight = points.time, points.value, points.weight

    def at(p: Array) -> ScaledCurve:
        return ScaledCurve(*map(float, p), start=curve.start)

    start = np.array([curve.log_beta, curve.log_offset, curve.A1, curve.B, curve.C])
    low = np.array([math.log(LEAST_BETA) - 1e-6, math.log(1e-9) - 1e-6, *[-np.inf] * 3])
    high = np.array([math.log(1e4) + 1e-6, math.log(1e6) + 1e-6, *[np.inf] * 3])
    try:
        found = least_squares(
            lambda p: weight * (at(p)(time) - value),
            np.clip(start, low + 1e-9, high - 1e-9),
            jac=lambda p: weight[:, None] * at(p).jacobian(time),  # pyright: ignore[reportArgumentType]
            bounds=(low, high),
            method="trf",
            x_scale="jac",
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=100,
        )
    except (ValueError, np.linalg.LinAlgError):  # a singular corner: the projection stands
        return curve
    end = at(found.x)
    return end if _rss(end, points) < _rss(curve, points) else curve


def _from_the_papers_start(points: Points) -> EmergenceCurve:
    """Fit in scaled units by TRF with lam > 0, from the paper's initial guess."""
    from scipy.optimize import least_squares

    time, value, weight = points.time, points.value, points.weight
    start = np.array([1.0, 1 / np.std(time), 1 / np.ptp(time), 1.0, 0.5])

    def residuals(p: Array) -> Array:
        x = np.maximum(p[2] * time + p[3], 1e-12)
        return weight * (p[0] * np.exp(-p[1] * x) * np.log(x) + p[4] - value)

    def jacobian(p: Array) -> Array:
        x = np.maximum(p[2] * time + p[3], 1e-12)
        fall, log = np.exp(-p[1] * x), np.log(x)
        by_x = p[0] * fall * (1 / x - p[1] * log)
        rows = (fall * log, -p[0] * x * fall * log, time * by_x, by_x, np.ones_like(x))
        return weight[:, None] * np.stack(rows, axis=-1)

    infinite = np.inf
    low = [-infinite, 0, 1e-12, -infinite, -infinite]
    found = least_squares(
        residuals,
        start,
        jac=jacobian,  # pyright: ignore[reportArgumentType]
        bounds=(low, [infinite] * 5),
        method="trf",
        max_nfev=EVALUATIONS,
    )
    A, lam, gamma, t0, K = map(float, found.x)
    # x is held positive while fitting; the offset that does so is the one reported.
    return EmergenceCurve(A, lam, gamma, max(t0, 1e-12 - gamma * float(time[0])), K)


def _scaled(curve: EmergenceCurve, points: Points) -> ScaledCurve | None:
    """Return the regular form of a curve, or None where its numbers overflow."""
    start = float(points.time[0])
    beta = max(curve.lam * curve.gamma, LEAST_BETA)
    A1 = curve.A * math.exp(min(-curve.lam * curve.t0, 700))
    A2 = A1 * math.log(curve.gamma)
    offset = curve.t0 / curve.gamma + start
    if A1 == 0 or offset <= 0 or not math.isfinite(A1 * A2 * offset):
        return None
    return ScaledCurve(math.log(beta), math.log(offset), A1, -beta * A2, curve.K + A2, start)


def _rss(curve: ScaledCurve, points: Points) -> float:
    return float(np.sum((points.weight * (curve(points.time) - points.value)) ** 2))

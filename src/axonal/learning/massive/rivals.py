r"""What else could describe the emergence: step responses, a plain logarithm, a constant.

The rivals of arXiv 2508.03616 (equations 15-18) start at zero:

- first order, :math:`K (1 - e^{-t/\tau})`;
- second order, :math:`K` times the unit step response of an oscillator with natural frequency
  :math:`\omega` and damping :math:`\zeta`, under-, critically or over-damped.

Ratios start near six, so each is offered with an offset as well, which is the fairer comparison. A
plain :math:`a \ln(t + \tau) + c` and a constant show what the extra parameters of the emergence
curve buy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError, nearest
from axonal.learning.massive.fitting import fit_emergence
from axonal.learning.massive.points import Points, aic
from axonal.learning.massive.separable import Separable

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
SAME_ROOTS = 1e-4  # damping this close to 1 is critical: the two roots are told apart no longer


@dataclass(frozen=True, eq=False)
class RivalFit:
    """One rival's fit.

    Parameters
    ----------
    name
        Which rival.
    parameters
        How many it has.
    fitted
        Its values at the steps, in units of the ratio.
    r2, rss, aic
        As of `EmergenceFit`.
    theta, linear
        Its non-linear and linear parameters in scaled units.
    points
        What was fitted.
    """

    name: str
    parameters: int
    fitted: Array
    r2: float
    rss: float
    aic: float
    theta: Array
    linear: Array
    points: Points

    def predict(self, steps: ArrayLike) -> Array:
        """Return its values at any steps."""
        time = np.atleast_1d(np.asarray(steps, dtype=float)) / self.points.end
        family = RIVALS[self.name](float(self.points.time[0]))
        return family.columns(time, self.theta) @ self.linear * self.points.span


def fit_rival(
    name: str, steps: ArrayLike, ratios: ArrayLike, sem: ArrayLike | None = None
) -> RivalFit:
    """Fit one rival; the names are those of ``RIVALS``."""
    if name not in RIVALS:
        raise InputError(f"There is no rival {name!r}: {nearest(name, RIVALS)}")
    points = Points.of(steps, ratios, sem)
    family = RIVALS[name](float(points.time[0]))
    # Not from 0 to 1 as elsewhere: a curve without an offset starts at the zero of the ratio.
    value = points.y / points.span
    theta, linear = family.fit(points.time, value, points.weight)
    fitted = family.columns(points.time, theta) @ linear * points.span
    rss, count = points.rss(fitted), len(theta) + len(linear)
    return RivalFit(
        name,
        count,
        fitted,
        points.r2(fitted),
        rss,
        aic(len(points.t), rss, count),
        theta,
        linear,
        points,
    )


def compare_models(
    steps: ArrayLike,
    ratios: ArrayLike,
    sem: ArrayLike | None = None,
    *,
    rivals: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Fit the emergence curve and its rivals to one layer.

    Returns
    -------
    DataFrame
        ``model, parameters, r2, rss, aic, delta_aic, weight`` from best to worst by AIC;
        ``weight`` is Akaike's weight.
    """
    import pandas as pd

    emergence = fit_emergence(steps, ratios, sem)
    rows = [("emergence", 5, emergence.r2, emergence.rss, emergence.aic)]
    for name in RIVALS if rivals is None else rivals:
        found = fit_rival(name, steps, ratios, sem)
        rows.append((name, found.parameters, found.r2, found.rss, found.aic))
    table = pd.DataFrame(rows, columns=pd.Index(["model", "parameters", "r2", "rss", "aic"]))
    table = table.sort_values("aic", ignore_index=True)
    table["delta_aic"] = table["aic"] - table["aic"].min()
    table["weight"] = np.exp(-table["delta_aic"] / 2)
    table["weight"] /= table["weight"].sum()
    return table


def first_order(time: Array, tau: Array) -> Array:
    """Return the unit step response 1 - e^(-t / tau)."""
    return -np.expm1(-time / tau)


def second_order(time: Array, omega: Array, zeta: Array) -> Array:
    """Return the unit step response of an oscillator: 0 with slope 0 at t = 0, 1 at infinity.

    Parameters
    ----------
    time
        ``(points,)``.
    omega, zeta
        Natural frequency and damping, shapes that broadcast with ``time``.
    """
    time, omega, zeta = np.broadcast_arrays(time, omega, zeta)
    w = omega * time
    below = np.minimum(zeta, 1 - SAME_ROOTS)
    root = np.sqrt(1 - below**2)
    under = 1 - np.exp(-below * w) * np.sin(root * w + np.arccos(below)) / root
    critical = 1 - np.exp(-w) * (1 + w)
    above = np.maximum(zeta, 1 + SAME_ROOTS)
    spread = np.sqrt(above**2 - 1)
    slow, fast = -(above - spread), -(above + spread)
    over = 1 - (slow * np.exp(fast * w) - fast * np.exp(slow * w)) / (slow - fast)
    near = np.abs(zeta - 1) < SAME_ROOTS
    return np.where(near, critical, np.where(zeta < 1, under, over))


def _first(start: float, *, offset: bool) -> Separable:  # noqa: ARG001 - zero at t = 0 by definition
    def columns(time: Array, theta: Array) -> Array:
        return _with_one(first_order(time, np.exp(theta[..., 0, None])), offset)

    return Separable(columns, (np.log(np.geomspace(1e-4, 100, 80)),), ((-12, 12),))


def _second(start: float, *, offset: bool) -> Separable:  # noqa: ARG001
    def columns(time: Array, theta: Array) -> Array:
        omega, zeta = np.exp(theta[..., 0, None]), np.exp(theta[..., 1, None])
        return _with_one(second_order(time, omega, zeta), offset)

    axes = (np.log(np.geomspace(0.1, 3e3, 40)), np.log(np.geomspace(0.05, 30, 25)))
    return Separable(columns, axes, ((-6, 12), (-5, 7)))


def _logarithm(start: float) -> Separable:
    def columns(time: Array, theta: Array) -> Array:
        return _with_one(np.log(time - start + np.exp(theta[..., 0, None])), True)

    return Separable(columns, (np.log(np.geomspace(1e-7, 1e3, 80)),), ((-21, 14),))


def _constant(start: float) -> Separable:  # noqa: ARG001
    return Separable(lambda time, theta: np.ones((*theta.shape[:-1], len(time), 1)), (), ())


def _with_one(column: Array, offset: bool) -> Array:
    parts = [column, np.ones_like(column)] if offset else [column]
    return np.stack(parts, axis=-1)


RIVALS = {
    "first-order": partial(_first, offset=False),
    "second-order": partial(_second, offset=False),
    "first-order + offset": partial(_first, offset=True),
    "second-order + offset": partial(_second, offset=True),
    "logarithm": _logarithm,
    "constant": _constant,
}
"""By name: first time -> the family of curves."""

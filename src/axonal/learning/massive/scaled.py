r"""The emergence curve in scaled units, in a form that stays regular where its decay vanishes.

With :math:`\beta \to 0` the parameters :math:`A_2` and :math:`K` of equation 14 run off to opposite
infinities while their sum stays. The same curves are spanned by

.. math::

    f(t) = A_1 e^{-\beta t} \ln(t + \tau_0) + B \varphi(t) + C, \qquad
    \varphi(t) = \frac{1 - e^{-\beta t}}{\beta} ,

with :math:`A_2 = -B/\beta` and :math:`K = C + B/\beta`; at :math:`\beta = 0` it is a logarithm plus a
line. What the data determine is determined here; what they don't is lost on the way back alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from axonal.learning.massive.curve import EmergenceCurve, exp
from axonal.learning.massive.separable import Separable

Array = NDArray[np.float64]
LEAST_BETA = 1e-12


@dataclass(frozen=True)
class ScaledCurve:
    """One curve in time from 0 to 1 and value from 0 to 1.

    Parameters
    ----------
    log_beta
        Logarithm of the decay.
    log_offset
        Logarithm of ``tau0 + start``, so that ``t + tau0 > 0`` at every point.
    A1, B, C
        The linear parameters.
    start
        The first time.
    """

    log_beta: float
    log_offset: float
    A1: float
    B: float
    C: float
    start: float

    @property
    def beta(self) -> float:
        """The decay."""
        return math.exp(self.log_beta)

    @property
    def tau0(self) -> float:
        """The offset of time."""
        return math.exp(self.log_offset) - self.start

    def __call__(self, time: Array) -> Array:
        """Return the value at scaled times."""
        linear = np.array([self.A1, self.B, self.C])
        return columns(time, np.array([self.log_beta, self.log_offset]), self.start) @ linear

    def jacobian(self, time: Array) -> Array:
        """Return derivatives by log_beta, log_offset, A1, B and C, ``(points, 5)``."""
        beta, shift = self.beta, math.exp(self.log_offset)
        fall, moved = np.exp(-beta * time), time - self.start + shift
        phi = -np.expm1(-beta * time) / beta
        log = np.log(moved)
        by_beta = -beta * time * self.A1 * fall * log + self.B * (time * fall - phi)
        by_offset = self.A1 * fall * shift / moved
        return np.stack([by_beta, by_offset, fall * log, phi, np.ones_like(time)], axis=-1)

    def stationary(self) -> tuple[float, Array]:
        """Return the time where the curve is stationary, and its derivatives by the parameters.

        It solves e^(-v) - beta v + B / A1 = 0 for v = ln(t + tau0); infinite where it lies beyond
        e^60 times the length of training.
        """
        from scipy.optimize import brentq

        ratio, beta = self.B / self.A1 if self.A1 else math.inf, self.beta

        def slope(v: float) -> float:
            return math.exp(-v) - beta * v + ratio

        if not math.isfinite(ratio) or slope(60) > 0 or slope(-60) < 0:
            return math.inf, np.full(5, math.nan)
        v = float(cast(Any, brentq)(slope, -60, 60, xtol=1e-14, rtol=1e-15))
        steep = math.exp(-v) + beta
        by_v = np.array([-beta * v, 0, -ratio / self.A1, 1 / self.A1, 0]) / steep
        gradient = math.exp(v) * by_v
        gradient[1] -= math.exp(self.log_offset)
        return math.exp(v) - self.tau0, gradient

    def raw(self, end: float, span: float, low: float) -> EmergenceCurve:
        """Return the parameters of equation 9 in the user's units; what overflows is infinite."""
        log_gamma = -self.B / (self.beta * self.A1)
        gamma = exp(log_gamma)
        A = math.copysign(exp(math.log(abs(self.A1)) + self.beta * self.tau0), self.A1)
        return EmergenceCurve(
            A * span,
            exp(self.log_beta - log_gamma),
            gamma / end,
            _product(gamma, self.tau0),
            (self.C + self.B / self.beta) * span + low,
        )

    def log_gradients(self) -> dict[str, Array]:
        """Return derivatives of ln A, ln lam, ln gamma, and of t0 / gamma and K, by the parameters."""
        beta, shift = self.beta, math.exp(self.log_offset)
        log_gamma = np.array(
            [self.B / (beta * self.A1), 0, self.B / (beta * self.A1**2), -1 / (beta * self.A1), 0]
        )
        return {
            "A": np.array([beta * self.tau0, beta * shift, 1 / self.A1, 0, 0]),
            "lam": np.array([1.0, 0, 0, 0, 0]) - log_gamma,
            "gamma": log_gamma,
            "t0": self.tau0 * log_gamma + np.array([0, shift, 0, 0, 0]),
            "K": np.array([-self.B / beta, 0, 0, 1 / beta, 1]),
        }


def columns(time: Array, theta: Array, start: float) -> Array:
    """Return e^(-beta t) ln(t + tau0), phi(t) and 1, ``(..., points, 3)``."""
    beta, shift = np.exp(theta[..., 0, None]), np.exp(theta[..., 1, None])
    fall = np.exp(-beta * time)
    log = np.log(time - start + shift)
    phi = -np.expm1(-beta * time) / beta
    return np.stack([fall * log, phi, np.ones_like(phi)], axis=-1)


def family(start: float) -> Separable:
    """Return the family of curves whose first time is ``start``."""
    return Separable(
        columns=lambda time, theta: columns(time, theta, start),
        axes=(
            np.log([1e-6, *np.geomspace(2e-3, 100, 40)]),
            np.log(np.geomspace(1e-6, 100, 40)),
        ),
        bounds=((math.log(LEAST_BETA), math.log(1e4)), (math.log(1e-9), math.log(1e6))),
    )


def _product(a: float, b: float) -> float:
    return 0.0 if b == 0 else a * b

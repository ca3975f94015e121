r"""The exponentially modulated logarithm, by which massive activations emerge in training.

Gallego-Feliciano et al., arXiv 2508.03616, equations 9, 13 and 14:

.. math::

    f(t) = A e^{-\lambda x} \ln x + K, \qquad x = \gamma t + t_0,

with the stationary point :math:`\lambda x^* \ln x^* = 1`, so
:math:`x^* = e^{W(1/\lambda)}` with Lambert's :math:`W`, and :math:`t_{peak} = (x^* - t_0)/\gamma`.
The same curve, written so that most of it is linear:

.. math:: f(t) = e^{-\beta t} \, (A_1 \ln(t + \tau_0) + A_2) + K .
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError

PARAMETERS = ("A", "lam", "gamma", "t0", "K")


@dataclass(frozen=True)
class EmergenceCurve:
    """One curve.

    Parameters
    ----------
    A
        Amplitude, in units of the ratio; negative turns the peak into a trough.
    lam
        Decay, at least 0.
    gamma
        Time scale, in one over the unit of t; positive.
    t0
        Offset of x.
    K
        What the curve goes to, in units of the ratio; only where ``lam > 0``.
    """

    A: float
    lam: float
    gamma: float
    t0: float
    K: float

    def __post_init__(self) -> None:
        if math.isnan(self.A + self.lam + self.gamma + self.t0 + self.K) and not (
            math.isinf(self.A) or math.isinf(self.K)
        ):
            raise InputError(f"A curve has five numbers as parameters, got {self}.")
        if self.lam < 0 or self.gamma < 0:
            raise InputError(
                f"A curve has lam >= 0 and gamma > 0, got lam = {self.lam}, gamma = {self.gamma}."
            )

    def __call__(self, t: ArrayLike) -> NDArray[np.float64]:
        """Return f(t), the shape of ``t``."""
        x = self.x(t)
        return self.A * np.exp(-self.lam * x) * np.log(x) + self.K

    def x(self, t: ArrayLike) -> NDArray[np.float64]:
        """Return x = gamma t + t0, which must be positive."""
        x = self.gamma * np.asarray(t, dtype=float) + self.t0
        if np.any(x <= 0):
            raise InputError(
                f"The curve is defined for gamma t + t0 > 0; here it is {float(np.min(x)):g}."
            )
        return x

    def derivative(self, t: ArrayLike) -> NDArray[np.float64]:
        """Return f'(t) = A gamma e^(-lam x) (1/x - lam ln x)."""
        x = self.x(t)
        return self.A * self.gamma * np.exp(-self.lam * x) * (1 / x - self.lam * np.log(x))

    def jacobian(self, t: ArrayLike) -> NDArray[np.float64]:
        """Return the derivatives by A, lam, gamma, t0 and K, ``(points, 5)``."""
        t = np.atleast_1d(np.asarray(t, dtype=float))
        x = self.x(t)
        fall, log = np.exp(-self.lam * x), np.log(x)
        by_x = self.A * fall * (1 / x - self.lam * log)
        columns = (fall * log, -self.A * x * fall * log, t * by_x, by_x, np.ones_like(x))
        return np.stack(columns, axis=-1)

    @property
    def x_peak(self) -> float:
        """Where f is stationary, in x; infinite for ``lam = 0``."""
        return stationary_x(self.lam)

    @property
    def t_peak(self) -> float:
        """Where f is stationary, in the unit of t; before the start of training if negative."""
        return (self.x_peak - self.t0) / self.gamma if self.gamma > 0 else math.inf

    @property
    def peak_height(self) -> float:
        """The value of f at ``t_peak``; infinite for ``lam = 0``."""
        x = self.x_peak
        if math.isinf(x):
            return math.copysign(math.inf, self.A)
        return self.A * math.exp(-self.lam * x) / (self.lam * x) + self.K

    @property
    def linearised(self) -> LinearisedCurve:
        """The same curve in the parameters that are fitted (equation 14)."""
        A1 = self.A * math.exp(-self.lam * self.t0)
        return LinearisedCurve(
            beta=self.lam * self.gamma,
            tau0=self.t0 / self.gamma,
            A1=A1,
            A2=A1 * math.log(self.gamma),
            K=self.K,
        )

    def rescaled(self, *, time: float = 1, scale: float = 1, shift: float = 0) -> EmergenceCurve:
        """Return the curve for ``t -> time t`` and ``y -> scale y + shift``; lam and t0 stay."""
        return EmergenceCurve(
            self.A * scale, self.lam, self.gamma / time, self.t0, self.K * scale + shift
        )


@dataclass(frozen=True)
class LinearisedCurve:
    """The curve as e^(-beta t) (A1 ln(t + tau0) + A2) + K.

    Parameters
    ----------
    beta
        lam gamma.
    tau0
        t0 / gamma.
    A1
        A e^(-lam t0); not 0, or gamma is lost.
    A2
        A1 ln gamma.
    K
        The same as in `EmergenceCurve`.
    """

    beta: float
    tau0: float
    A1: float
    A2: float
    K: float

    def __call__(self, t: ArrayLike) -> NDArray[np.float64]:
        """Return f(t), the shape of ``t``."""
        t = np.asarray(t, dtype=float)
        return np.exp(-self.beta * t) * (self.A1 * np.log(t + self.tau0) + self.A2) + self.K

    @property
    def raw(self) -> EmergenceCurve:
        """The parameters of equation 9. Those that overflow are infinite: nothing identifies them."""
        if self.A1 == 0:
            raise InputError("With A1 = 0 the curve has no logarithm, and gamma is not defined.")
        gamma = exp(self.A2 / self.A1)
        log_lam = math.log(self.beta) - self.A2 / self.A1 if self.beta > 0 else -math.inf
        lam, t0 = exp(log_lam), gamma * self.tau0
        A = math.copysign(exp(math.log(abs(self.A1)) + self.beta * self.tau0), self.A1)
        return EmergenceCurve(A, lam, gamma, t0, self.K)


def stationary_x(lam: Any) -> float:
    r"""Return :math:`x^* = e^{W(1/\lambda)}`, the solution of :math:`\lambda x \ln x = 1`.

    Wright's omega of :math:`-\ln\lambda` is :math:`W(1/\lambda)` without the overflow of 1/lam.
    """
    from scipy.special import wrightomega

    if lam < 0:
        raise InputError(f"lam: expected at least 0, got {lam}.")
    return math.inf if lam < 1e-300 else exp(float(wrightomega(-math.log(lam))))


def exp(value: float) -> float:
    """The exponential, infinite where it overflows."""
    return math.exp(value) if value < 709 else math.inf

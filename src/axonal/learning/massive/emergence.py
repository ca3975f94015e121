"""A fitted emergence curve: what the data determine first, the raw parameters second.

Five parameters of the curve are nearly collinear, whereas the curve itself, the time of its peak and
its height are well determined. Standard errors are those of linearised least squares, carried
through to every derived quantity (the delta method) with Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.learning.massive.curve import PARAMETERS, EmergenceCurve
from axonal.learning.massive.points import Points, aic
from axonal.learning.massive.regimes import regime_of
from axonal.learning.massive.scaled import ScaledCurve

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
LEAST_DECAY = 0.3
"""Below this decay over the whole training, ``beta T``, the asymptote is an extrapolation."""


@dataclass(frozen=True, eq=False)
class EmergenceFit:
    """One layer's fit; made by `fit_emergence`.

    Parameters
    ----------
    points
        What was fitted.
    scaled
        The curve in scaled units; None where the raw parameters overflow there.
    curve
        The parameters of equation 9, in the user's units; those that overflow are infinite.
    method
        How it was found.
    level
        Of the intervals.
    """

    points: Points
    scaled: ScaledCurve | None
    curve: EmergenceCurve
    method: str
    level: float

    # Well determined

    @cached_property
    def t_peak(self) -> float:
        """Where the curve is stationary, in the unit of the steps; may lie outside training."""
        if self.scaled is None:
            return self.curve.t_peak
        return self.scaled.stationary()[0] * self.points.end

    @cached_property
    def peak_height(self) -> float:
        """The greatest fitted value within training: at ``t_peak``, or at an end."""
        inside = self.points.t[0] < self.t_peak < self.points.end and self.sign > 0
        at = [float(self.points.t[0]), self.points.end, *([self.t_peak] if inside else [])]
        return float(np.max(self.predict(at)))

    @cached_property
    def end_value(self) -> float:
        """The fitted value at the last step."""
        return float(self.predict([self.points.end])[0])

    @property
    def regime(self) -> str:
        """ "early-peak", "log-increase", "decay", "trough" or "flat"."""
        return regime_of(self)

    @property
    def peaks_in_training(self) -> bool:
        """Whether the curve has its maximum between the first step and the last."""
        return self.regime == "early-peak"

    @property
    def sign(self) -> float:
        """+1 where the stationary point is a maximum, -1 where it is a minimum."""
        return math.copysign(1.0, self.curve.A if self.scaled is None else self.scaled.A1)

    # Quality

    @cached_property
    def fitted(self) -> Array:
        """The curve at the steps, ``(points,)``."""
        return self.predict(self.points.t)

    @property
    def r2(self) -> float:
        """1 - RSS / TSS."""
        return self.points.r2(self.fitted)

    @property
    def rss(self) -> float:
        """The (weighted) residual sum of squares, in units of the ratio squared."""
        return self.points.rss(self.fitted)

    @property
    def aic(self) -> float:
        """Akaike's criterion with five parameters."""
        return aic(len(self.points.t), self.rss, len(PARAMETERS))

    @cached_property
    def condition(self) -> float:
        """Condition number of the Jacobian by A, lam, gamma, t0 and K, its columns of unit length."""
        if not all(math.isfinite(value) for value in self.parameters.values()):
            return math.inf
        with np.errstate(all="ignore"):
            columns = self.curve.jacobian(self.points.t)
            columns = columns / np.linalg.norm(columns, axis=0)
        if not np.all(np.isfinite(columns)):
            return math.inf
        return float(np.linalg.cond(columns))

    # The raw parameters

    @property
    def parameters(self) -> dict[str, float]:
        """A, lam, gamma, t0 and K of equation 9."""
        return {name: float(getattr(self.curve, name)) for name in PARAMETERS}

    @cached_property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors of the raw parameters; infinite where nothing holds them."""
        if self.scaled is None:
            return dict.fromkeys(PARAMETERS, math.inf)
        found = {}
        for name, gradient in self.scaled.log_gradients().items():
            relative = self._spread(gradient)
            if name == "K":
                found[name] = relative * self.points.span
            elif name == "t0":
                found[name] = _times(relative, self.curve.gamma * self.points.end)
            else:
                found[name] = _times(relative, abs(self.parameters[name]))
        return found

    @cached_property
    def identified(self) -> dict[str, bool]:
        """Whether the data hold each raw parameter: its standard error is below its size.

        K is not identified either while ``lam gamma T < 0.3``: it is then an extrapolation.
        """
        errors = self.standard_errors
        held = {
            name: math.isfinite(value)
            and math.isfinite(errors[name])
            and errors[name] <= abs(value)
            for name, value in self.parameters.items()
        }
        decays = self.scaled is not None and self.scaled.beta >= LEAST_DECAY
        return {**held, "K": held["K"] and decays}

    # Intervals

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Intervals of t_peak, peak_height, end_value and the raw parameters.

        Those of positive quantities are taken on their logarithm.
        """
        z = self._quantile
        found = {"t_peak": self._peak_interval()}
        for name, value in (("peak_height", self._height()), ("end_value", self._at_end())):
            middle, error = value
            found[name] = (middle - z * error, middle + z * error)
        for name, value in self.parameters.items():
            error = self.standard_errors[name]
            if name in ("lam", "gamma") and value > 0 and math.isfinite(error):
                factor = math.exp(min(z * error / value, 700))
                found[name] = (value / factor, value * factor)
            else:
                found[name] = (value - z * error, value + z * error)
        return found

    def predict(self, steps: ArrayLike) -> Array:
        """Return the curve at any steps, ``(steps,)``."""
        at = np.atleast_1d(np.asarray(steps, dtype=float))
        if self.scaled is None:
            return self.curve(at)
        return self.scaled(at / self.points.end) * self.points.span + self.points.low

    def forecast(self, steps: ArrayLike, level: float | None = None) -> pd.DataFrame:
        """Return ``step, ratio, low, high``: the curve with intervals for a new observation."""
        import pandas as pd

        at = np.atleast_1d(np.asarray(steps, dtype=float))
        if np.any(at < self.points.t[0]) or not np.all(np.isfinite(at)):
            raise InputError(
                f"steps: expected finite steps from {self.points.t[0]:g} on, got {at.min():g}."
            )
        middle = self.predict(at)
        if self.scaled is None or self._covariance is None:
            spread = np.full_like(middle, np.inf)
        else:
            by = self.scaled.jacobian(at / self.points.end)
            variance = np.einsum("ni,ij,nj->n", by, self._covariance, by) + self._noise
            spread = self._t(level or self.level) * np.sqrt(variance) * self.points.span
        return pd.DataFrame(
            {"step": at, "ratio": middle, "low": middle - spread, "high": middle + spread}
        )

    def summary(self) -> dict[str, Any]:
        """Return everything as plain numbers, what is well determined first."""
        return {
            "t_peak": self.t_peak,
            "peak_height": self.peak_height,
            "end_value": self.end_value,
            "regime": self.regime,
            "r2": self.r2,
            "aic": self.aic,
            "points": len(self.points.t),
            "parameters": self.parameters,
            "standard_errors": self.standard_errors,
            "identified": self.identified,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "condition": self.condition,
            "method": self.method,
        }

    # How sure

    @cached_property
    def _noise(self) -> float:
        """The variance of one residual, scaled."""
        freedom = max(len(self.points.t) - len(PARAMETERS), 1)
        return self.rss / self.points.span**2 / freedom

    @cached_property
    def _covariance(self) -> Array | None:
        """Covariance of the scaled parameters; a decay at its bound is held there."""
        if self.scaled is None:
            return None
        design = self.points.weight[:, None] * self.scaled.jacobian(self.points.time)
        size = np.linalg.norm(design, axis=0)
        moves = size > 1e-9 * size.max()
        inverse = np.zeros((5, 5))
        units = design[:, moves] / size[moves]
        inside = np.linalg.pinv(units.T @ units, rcond=1e-14, hermitian=True)
        inverse[np.ix_(moves, moves)] = inside / np.outer(size[moves], size[moves])
        if not moves[0]:
            inverse[0, 0] = math.inf
        return np.where(np.isinf(inverse), 0, inverse) * self._noise

    @property
    def _decay_is_free(self) -> bool:
        """Whether the decay is away from the bound where nothing depends on it."""
        assert self.scaled is not None
        size = np.linalg.norm(self.scaled.jacobian(self.points.time), axis=0)
        return bool(size[0] > 1e-9 * size.max())

    def _spread(self, gradient: Array) -> float:
        """Return the standard error of what has this gradient by the scaled parameters."""
        if self._covariance is None or not np.all(np.isfinite(gradient)):
            return math.inf
        if gradient[0] != 0 and not self._decay_is_free:
            return math.inf
        return math.sqrt(max(float(gradient @ self._covariance @ gradient), 0.0))

    def _peak_interval(self) -> tuple[float, float]:
        if self.scaled is None:
            return -math.inf, math.inf
        peak, gradient = self.scaled.stationary()
        if math.isinf(peak):
            return self.points.end, math.inf
        error, end = self._spread(gradient), self.points.end
        moved = peak + self.scaled.tau0  # positive, and its logarithm is the more nearly normal
        factor = math.exp(min(self._quantile * error / moved, 700))
        return (moved / factor - self.scaled.tau0) * end, (moved * factor - self.scaled.tau0) * end

    def _height(self) -> tuple[float, float]:
        inside = self.peaks_in_training
        return self._value_at(self.t_peak) if inside else (self.peak_height, math.inf)

    def _at_end(self) -> tuple[float, float]:
        return self._value_at(self.points.end)

    def _value_at(self, step: float) -> tuple[float, float]:
        if self.scaled is None:
            return float(self.curve([step])[0]), math.inf
        by = self.scaled.jacobian(np.array([step / self.points.end]))[0]
        variance = 0.0 if self._covariance is None else float(by @ self._covariance @ by)
        return float(self.predict([step])[0]), math.sqrt(max(variance, 0)) * self.points.span

    @property
    def _quantile(self) -> float:
        return self._t(self.level)

    def _t(self, level: float) -> float:
        from scipy.special import stdtrit

        freedom = max(len(self.points.t) - len(PARAMETERS), 1)
        return float(stdtrit(freedom, 1 - (1 - level) / 2))

    def table(self) -> Mapping[str, float]:
        """Return the numbers of a row in a table of fits."""
        return {
            "t_peak": self.t_peak,
            "peak_height": self.peak_height,
            "end_value": self.end_value,
            "r2": self.r2,
            "aic": self.aic,
            **self.parameters,
        }


def _times(a: float, b: float) -> float:
    product = a * b
    return math.inf if math.isnan(product) else product

"""Part C: curves whose parameters are known. What does a fit recover, and what can it foretell?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.learning.massive import EmergenceCurve, fit_emergence, fit_rival

if TYPE_CHECKING:
    from axonal.lab import Session

POINTS = 37
END = 143_000
NOISES = (0.02, 0.045, 0.07)  # the input variation of table 2
QUANTITIES = ("t_peak", "peak_height", "end_value", "K")


def simulate(count: int, session: Session) -> xr.Dataset:
    """Fit simulated curves, and their first halves; return errors and whether intervals cover."""
    rng = session.rng("simulated curves")
    rows = [
        _one(_draw(rng, early=index % 2 == 0), NOISES[index // 2 % len(NOISES)], rng)
        for index in range(count)
    ]
    names = rows[0].keys()
    return xr.Dataset({name: ("curve", np.array([row[name] for row in rows])) for name in names})


def _draw(rng: np.random.Generator, *, early: bool) -> EmergenceCurve:
    """Draw a curve that peaks within training, or one that still rises at its end."""
    t0, reach = rng.uniform(1.05, 3), rng.uniform(3, 30)
    when = rng.uniform(0.1, 0.6) if early else rng.uniform(1.5, 10)
    x = t0 + reach * when
    return EmergenceCurve(
        A=float(np.exp(rng.uniform(np.log(50), np.log(500)))),
        lam=1 / (x * math.log(x)),
        gamma=reach / END,
        t0=t0,
        K=rng.uniform(0, 50),
    )


def _one(curve: EmergenceCurve, noise: float, rng: np.random.Generator) -> dict[str, float]:
    t = np.linspace(0, END, POINTS)
    y = curve(t) * (1 + noise * rng.standard_normal(POINTS))
    fit = fit_emergence(t, y)
    early = curve.t_peak <= END
    truth = {
        "t_peak": curve.t_peak,
        "peak_height": curve.peak_height if early else float(curve([END])[0]),
        "end_value": float(curve([END])[0]),
        "K": curve.K,
    }
    found = {
        "t_peak": fit.t_peak,
        "peak_height": fit.peak_height,
        "end_value": fit.end_value,
        "K": fit.curve.K,
    }
    row: dict[str, float] = {"noise": noise, "early": float(early), "r2": fit.r2}
    for name in QUANTITIES:
        low, high = fit.intervals[name]
        row[f"error_{name}"] = abs(found[name] / truth[name] - 1) if truth[name] else math.nan
        row[f"covered_{name}"] = float(low <= truth[name] <= high)
    row["identified_K"] = float(fit.identified["K"])
    row["right_regime"] = float((fit.regime == "early-peak") == early)
    return {**row, **forecast_errors(t, y)}


def forecast_errors(t: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Forecast the second half of a curve from its first; return mean absolute relative errors."""
    half = len(t) // 2
    fit = fit_emergence(t[:half], y[:half])
    told = fit.forecast(t[half:])
    rest = y[half:]
    logarithm = fit_rival("logarithm", t[:half], y[:half]).predict(t[half:])
    inside = (told["low"].to_numpy() <= rest) & (rest <= told["high"].to_numpy())
    guesses = {
        "emergence": told["ratio"].to_numpy(),
        "logarithm": logarithm,
        "persistence": np.full(len(rest), y[half - 1]),
    }
    errors = {
        f"forecast_{name}": float(np.mean(np.abs(guess / rest - 1)))
        for name, guess in guesses.items()
    }
    return {**errors, "forecast_covered": float(inside.mean())}

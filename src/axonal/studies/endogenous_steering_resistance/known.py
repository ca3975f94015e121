"""Calibration where the answer is known: bisection of score functions with a given root."""

from __future__ import annotations

import numpy as np
import xarray as xr

from axonal.language.resistance import Bisection, Bracket, calibrate

BRACKET = Bracket(0, 100, 7, 5)
TARGET = 0.3
ROOT = 14.0


def measure(seed: int, repeats: int = 20) -> xr.Dataset:
    """Bisect a step, a line and noisy lines of Bernoulli scores."""
    rng = np.random.default_rng(seed)
    step = calibrate(lambda x: float(x < 12), BRACKET).value
    line = calibrate(lambda x: max(0.0, 1 - x / 20), BRACKET).value
    noisy = []
    for _ in range(repeats):
        # The score of five responses, each of which is on topic or not.
        found = calibrate(
            lambda x: float(rng.binomial(5, float(np.clip(1 - x / 20, 0, 1)))) / 5, BRACKET
        )
        noisy.append(found.value if found.reached else np.nan)
    search, strip, medians = Bisection(BRACKET, TARGET), [], []
    strip.append(search.density[::20])
    for _ in range(10):
        x = search.median
        search.observe(x, max(0.0, 1 - x / 20))
        strip.append(search.density[::20])
        medians.append(search.median)
    return xr.Dataset(
        {
            "step": step,
            "line": line,
            "noisy": ("repeat", noisy),
            "strip": (("asked", "boost"), np.array(strip)),
            "median": ("step_number", medians),
        },
        coords={"boost": search.grid[::20]},
    )

"""Which way a layer's massive activations go: the two classes of the paper, and what else there is.

The paper calls a layer *early-peak* when its peak lies in training, ``0 < t_peak <= T``, and
*log-increase* when it still rises at the end, be it after a dip that is smaller than the rise. A
curve that only falls is a *decay*; one whose dip is larger than the rise after it is a *trough*; one
that a constant describes as well is *flat*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonal.learning.massive.points import aic

if TYPE_CHECKING:
    from axonal.learning.massive.emergence import EmergenceFit

REGIMES = ("early-peak", "log-increase", "decay", "trough", "flat")


def regime_of(fit: EmergenceFit) -> str:
    """Return the regime of a fit."""
    points = fit.points
    mean = float(np.average(points.y, weights=points.weight**2))
    constant = points.rss(np.full_like(points.y, mean))
    if aic(len(points.t), constant, 1) <= fit.aic:
        return "flat"
    start, end, peak = float(points.t[0]), points.end, fit.t_peak
    if fit.sign > 0:
        if peak <= start:
            return "decay"
        return "early-peak" if peak <= end else "log-increase"
    if peak <= start:
        return "log-increase"
    if peak > end:
        return "decay"
    first, dip, last = (float(value) for value in fit.predict([start, peak, end]))
    return "log-increase" if last - dip > first - dip else "trough"

r"""How well scores rank positives above negatives: the ROC curve and the area under it.

The area is the probability that a positive outscores a negative (ties count half), which is the
Mann-Whitney :math:`U/(mn)`. Its interval is DeLong's (DeLong, DeLong & Clarke-Pearson, 1988) on
the logit scale, so it stays within 0 and 1. Where the ranking is perfect, or all scores are
tied, DeLong's variance is 0 and says nothing: Newcombe's score-type interval (2006, method 5) takes its place there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.statistics.checks import finite, fraction
from axonal.statistics.intervals import Interval


@dataclass(frozen=True)
class RocCurve:
    """The ROC curve, from the strictest threshold (0, 0) to the laxest (1, 1).

    Parameters
    ----------
    false_positive_rate, true_positive_rate
        One point a threshold, (thresholds,).
    thresholds
        A case is called positive if its score is at least this; the first is infinity.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Return the ROC curve with one point for each distinct score.

    Parameters
    ----------
    labels
        True or 1 for positives, False or 0 for negatives, (n,).
    scores
        Higher means more likely positive, (n,).
    """
    positive, scores = _labelled(labels, scores)
    order = np.argsort(-scores, kind="stable")
    positive, scores = positive[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1)  # of each run of ties
    hits = np.cumsum(positive)[last]
    alarms = last + 1 - hits
    return RocCurve(
        np.concatenate([[0.0], alarms / alarms[-1]]),
        np.concatenate([[0.0], hits / hits[-1]]),
        np.concatenate([[np.inf], scores[last]]),
    )


def auc(labels: ArrayLike, scores: ArrayLike, level: float = 0.95) -> Interval:
    """Return the area under the ROC curve with its interval.

    Parameters
    ----------
    labels, scores
        As for `roc_curve`; at least two positives and two negatives.
    level
        Confidence level.

    Examples
    --------
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.75
    """
    from scipy.special import expit, logit, ndtri
    from scipy.stats import rankdata

    positive, scores = _labelled(labels, scores)
    above, below = scores[positive], scores[~positive]
    m, n = above.size, below.size
    if min(m, n) < 2:
        raise InputError(f"auc: expected 2 positives and 2 negatives or more, got {m} and {n}.")
    z = float(ndtri(1 - (1 - fraction(level)) / 2))
    ranks = rankdata(np.concatenate([above, below]))
    # For each positive the share of negatives below it, for each negative of positives above it.
    of_positives = (ranks[:m] - rankdata(above)) / n
    of_negatives = 1 - (ranks[m:] - rankdata(below)) / m
    area = float(of_positives.mean())
    error = math.sqrt(of_positives.var(ddof=1) / m + of_negatives.var(ddof=1) / n)
    if 0 < area < 1 and error > 0:
        half = z * error / (area * (1 - area))
        low, high = expit(logit(area) - half), expit(logit(area) + half)
    else:
        low, high = _newcombe(area, m, n, z)
    return Interval(area, float(low), float(high), m + n, level)


def _labelled(
    labels: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    marks, values = finite(labels, "labels", dimensions=1), finite(scores, "scores", dimensions=1)
    if marks.shape != values.shape:
        raise InputError(f"expected one label a score, got {marks.size} and {values.size}.")
    kinds = set(np.unique(marks))
    if kinds != {0.0, 1.0}:
        found = ", ".join(f"{kind:g}" for kind in sorted(kinds)[:5])
        raise InputError(f"labels: expected both 0 and 1 (or False and True), got {found}.")
    return marks == 1, values


def _newcombe(area: float, m: int, n: int, z: float) -> tuple[float, float]:
    """Solve ``|t - area| = z sqrt(V(t))`` for t, with Hanley & McNeil's variance V."""
    from scipy.optimize import brentq

    half = (m + n) / 2 - 1

    def excess(t: float) -> float:
        shape = 1 + half * (1 - t) / (2 - t) + half * t / (1 + t)
        return (t - area) ** 2 - z * z * t * (1 - t) * shape / (m * n)

    # At the observed area the excess is negative or 0, far from it positive.
    inside = min(max(area, 1e-12), 1 - 1e-12)
    low: Any = 0.0 if area == 0 else brentq(excess, 0.0, inside)
    high: Any = 1.0 if area == 1 else brentq(excess, inside, 1.0)
    return float(low), float(high)

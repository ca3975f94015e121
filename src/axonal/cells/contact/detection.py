"""Is there a neighbour at all? The trade-off of false negatives against false positives.

The likelihood ratio ``lambda = sup ln L - sup over c0 = 0 of ln L`` (Wang and Camley 2024, equation
for lambda) is compared with a threshold. Its law without a contact is not Wilks's chi²: c0 = 0 lies
on the boundary, the position is not identified there, and for alpha < 1/2 the score's variance is
infinite. So both laws are simulated (`axonal.cells.contact.trials`), and the area under the
detection-error trade-off summarises them: ``AUC_DET = 1 - AUC_ROC``, small is good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.cells.contact.contact import Contact
from axonal.cells.contact.model import ContactModel
from axonal.errors import InputError
from axonal.statistics import Interval, auc, roc_curve, wilson_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DetectionErrors:
    """False rates at every threshold, from the laxest to the strictest.

    Parameters
    ----------
    thresholds
        lambda_c: a contact is reported where lambda is at least this, ``(thresholds,)``.
    false_negatives, false_positives
        Rates at each, ``(thresholds,)``.
    """

    thresholds: Floats
    false_negatives: Floats
    false_positives: Floats


def det_curve(present: ArrayLike, absent: ArrayLike) -> DetectionErrors:
    """Return the detection-error trade-off of likelihood ratios with and without a contact."""
    curve = roc_curve(*_labelled(present, absent))
    return DetectionErrors(
        curve.thresholds[::-1],
        1 - curve.true_positive_rate[::-1],
        curve.false_positive_rate[::-1],
    )


def auc_det(present: ArrayLike, absent: ArrayLike, level: float = 0.95) -> Interval:
    """Return the area under the trade-off, ``P(absent outscores present)``, with its interval."""
    area = auc(*_labelled(present, absent), level=level)
    return Interval(1 - area.value, 1 - area.high, 1 - area.low, area.n, level)


def false_negative_rate(present: ArrayLike, threshold: float, level: float = 0.95) -> Interval:
    """Return how often a contact is missed, ``P(lambda < lambda_c | contact)``, with its interval."""
    ratios = np.asarray(present, float)
    return wilson_interval(int((ratios < threshold).sum()), ratios.size, level)


def false_positive_rate(absent: ArrayLike, threshold: float, level: float = 0.95) -> Interval:
    """Return how often none is taken for one, ``P(lambda >= lambda_c | none)``, with its interval."""
    ratios = np.asarray(absent, float)
    return wilson_interval(int((ratios >= threshold).sum()), ratios.size, level)


def known_position_auc(model: ContactModel, contact: Contact, duration: float) -> float:
    """Return AUC_DET for one who knows where a contact would be, in the normal approximation.

    ``Phi(-d'/sqrt 2)`` with ``d' = c0 / SD(c0 | no contact)`` and the SD from the exact finite-time
    information: what is left to gain if the search over positions cost nothing. Good for weak
    contacts (c0 well below c') and many binding events.
    """
    from scipy.special import ndtr

    if contact.fraction == 0:
        raise InputError("There is no contact to detect: chi is 0")
    nothing = contact.without_neighbour()
    per_receptor = model.information(nothing, duration, regime="finite")
    away = model.receptors.displacement(contact.position)
    g = model.profile.at(away, contact.half_width).value
    correct = float((g**2 * per_receptor.correct).sum())
    mixed = float((g * per_receptor.mixed).sum())
    # Of c0 once c' is estimated too: the Schur complement.
    left = correct - mixed**2 / float(per_receptor.spurious.sum())
    return float(ndtr(-contact.correct * np.sqrt(max(left, 0) / 2)))


def _labelled(present: ArrayLike, absent: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    yes, no = np.ravel(np.asarray(present, float)), np.ravel(np.asarray(absent, float))
    if not (yes.size and no.size):
        raise InputError(
            f"A trade-off needs trials with and without a contact; got {yes.size} and {no.size}"
        )
    return np.r_[np.ones(yes.size, bool), np.zeros(no.size, bool)], np.r_[yes, no]

"""Which latents to boost: those that have nothing to do with the questions, and mean something.

Relevance: the paper drops the 100 most active latents of the unsteered answers to each question; its
released code asks for zero activation on all questions. Concreteness (dictionaries with rated labels):
the paper keeps ratings above the median, the code those of at least 65 of 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError, nearest

MOST_ACTIVE = 100
LEAST_RATING = 65.0


def irrelevant_latents(
    activity: NDArray[np.float64],
    rule: Literal["silent", "top"] = "silent",
    *,
    top: int = MOST_ACTIVE,
) -> list[int]:
    """Return latents that have nothing to do with the questions.

    Parameters
    ----------
    activity
        ``(prompts, latents)``: the largest activation of each latent, in the questions for
        ``"silent"``, in unsteered answers for ``"top"`` (`Contrast.matched`, say).
    rule
        ``"silent"``: zero everywhere. ``"top"``: not among the ``top`` most active of any prompt.
    top
        For ``"top"``.
    """
    if activity.ndim != 2:
        raise InputError(f"Activity is (prompts, latents), got shape {activity.shape}.")
    if rule == "silent":
        return np.flatnonzero((activity == 0).all(axis=0)).tolist()
    if rule == "top":
        order = np.argsort(-activity, axis=1, kind="stable")[:, :top]
        dropped = {
            int(x) for row, kept in zip(activity, order, strict=True) for x in kept if row[x] > 0
        }
        return [latent for latent in range(activity.shape[1]) if latent not in dropped]
    raise InputError(f"No rule {rule!r} says what is relevant; {nearest(rule, ('silent', 'top'))}")


def concrete_latents(
    ratings: Mapping[int, float], rule: Literal["median", "rating"] = "median"
) -> list[int]:
    """Return latents whose label is concrete.

    Parameters
    ----------
    ratings
        How concrete each label is, 0 to 100, as a judge rated it.
    rule
        ``"median"``: above the median. ``"rating"``: at least 65.
    """
    if not ratings:
        raise InputError("There are no ratings of labels to choose by.")
    if rule not in ("median", "rating"):
        raise InputError(f"No rule {rule!r} for labels; {nearest(rule, ('median', 'rating'))}")
    middle = float(np.median(list(ratings.values())))
    return sorted(
        latent
        for latent, rating in ratings.items()
        if (rating > middle if rule == "median" else rating >= LEAST_RATING)
    )

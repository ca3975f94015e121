"""What scores chance alone gives: the binomial law of the sign statistic.

Of N pairs whose signs are coin tosses, a unit's score is ``max(B, N - B) / N`` with
``B ~ Bin(N, 1/2)``. The best of M such units is what a ranking finds in pure noise.
"""

from __future__ import annotations

import numpy as np

from axonal.errors import InputError


def score_law(pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores that a unit can have by chance and their probabilities, ascending."""
    from scipy.stats import binom

    if pairs < 1:
        raise InputError(f"pairs is at least 1; got {pairs}.")
    counts = np.arange((pairs + 1) // 2, pairs + 1)
    probabilities = binom.pmf(counts, pairs, 0.5) * np.where(2 * counts == pairs, 1, 2)
    return counts / pairs, probabilities


def expected_score(pairs: int) -> float:
    """Return the mean score of one unit under chance; 0.623 for 10 pairs."""
    scores, probabilities = score_law(pairs)
    return float(scores @ probabilities)


def expected_best_score(pairs: int, units: int) -> float:
    """Return the mean of the largest of ``units`` independent scores under chance.

    About ``0.5 + 0.5 sqrt(2 ln(2 units) / pairs)``; here exact. Units of one model are correlated,
    so that their best is lower.
    """
    from scipy.stats import binom

    if units < 1:
        raise InputError(f"units is at least 1; got {units}.")
    scores, _ = score_law(pairs)
    above = 2 * binom.sf(np.round(scores * pairs), pairs, 0.5)  # chance of a higher score
    below = np.exp(units * np.log1p(-np.minimum(above, 1 - 1e-300)))
    return float(scores @ np.diff(below, prepend=0.0))

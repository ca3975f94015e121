r"""What trials say: rates with intervals, and paired conditions.

For trial t with scores a_1..a_n (trials without attempts are left out):

.. math:: \text{multi}_t = 1[n > 1], \qquad \text{improved}_t = 1[n > 1 \text{ and } a_n > a_1]

The multi-attempt rate and the rate of endogenous steering resistance (ESR) are their means, the
improvement rate is their ratio, and the conditional improvement (MSI) is the mean of
:math:`a_n - a_1` over multi-attempt trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from axonal.errors import InputError
from axonal.language.resistance.trials import Trial
from axonal.statistics import Interval, bootstrap, wilson_interval

if TYPE_CHECKING:
    import pandas as pd

FEWEST_MULTI = 30
"""Below so many multi-attempt trials an improvement rate says little."""


@dataclass(frozen=True)
class Rates:
    """The rates of one condition.

    Parameters
    ----------
    trials
        Trials with a judgement and an attempt: the denominator.
    empty, unread, degenerate
        Trials without text or attempt; trials whose judgement could not be read; answers that repeat
        a word (these count).
    multi, resistance
        Multi-attempt rate and ESR rate, with Wilson intervals.
    improvement
        Share of multi-attempt trials that improved; None without any.
    multi_clustered, resistance_clustered
        The same rates with intervals from resampling latents, whose trials are not independent; None
        with fewer than two latents.
    gain
        The mean of last minus first score of multi-attempt trials, NaN without any.
    first_score
        Mean score of first attempts.
    """

    trials: int
    empty: int
    unread: int
    degenerate: int
    multi: Interval
    resistance: Interval
    improvement: Interval | None
    multi_clustered: Interval | None
    resistance_clustered: Interval | None
    gain: float
    first_score: float

    @property
    def multi_count(self) -> int:
        """Multi-attempt trials."""
        return round(self.multi.value * self.trials)

    @property
    def improvement_words(self) -> str:
        """The improvement rate, marked where it rests on too few trials."""
        if self.improvement is None:
            return "none (n=0)"
        words = _percent(self.improvement)
        return f"{words} unreliable (n={self.multi_count})" if self._few else words

    @property
    def _few(self) -> bool:
        return self.multi_count < FEWEST_MULTI


def rates(trials: Sequence[Trial], *, level: float = 0.95, seed: int = 0) -> Rates:
    """Compute the rates of a condition's trials."""
    counted = [trial for trial in trials if trial.counts]
    if not counted:
        raise InputError(f"None of {len(trials)} trials has an attempt, so there is no rate.")
    n = len(counted)
    multi = np.array([trial.multi for trial in counted])
    improved = np.array([trial.improved for trial in counted])
    gains = [trial.scores[-1] - trial.scores[0] for trial in counted if trial.multi]
    latents = np.array([trial.plan.latent for trial in counted])
    several = int(multi.sum())
    return Rates(
        trials=n,
        empty=sum(trial.problem is None and not trial.attempts for trial in trials),
        unread=sum(trial.problem is not None for trial in trials),
        degenerate=sum(trial.degenerate for trial in counted),
        multi=wilson_interval(several, n, level),
        resistance=wilson_interval(int(improved.sum()), n, level),
        improvement=wilson_interval(int(improved.sum()), several, level) if several else None,
        multi_clustered=cluster_interval(multi, latents, level, seed=seed),
        resistance_clustered=cluster_interval(improved, latents, level, seed=seed),
        gain=float(np.mean(gains)) if gains else math.nan,
        first_score=float(np.mean([trial.scores[0] for trial in counted])),
    )


def cluster_interval(
    values: Sequence[float] | np.ndarray,
    clusters: Sequence[int] | np.ndarray,
    level: float = 0.95,
    *,
    seed: int = 0,
) -> Interval | None:
    """Return a mean with the interval from resampling whole clusters; None with fewer than two."""
    values, clusters = np.asarray(values, dtype=float), np.asarray(clusters)
    names = np.unique(clusters)
    if len(names) < 2:
        return None
    sums = np.array([values[clusters == name].sum() for name in names])
    counts = np.array([float((clusters == name).sum()) for name in names])

    def ratio(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return a.sum(axis=axis) / b.sum(axis=axis)

    if np.ptp(sums / counts) == 0:
        mean = float(sums.sum() / counts.sum())
        return Interval(mean, mean, mean, len(names), level)
    return bootstrap((sums, counts), ratio, level, seed=seed, resamples=1999)


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of replayed pairs.

    Parameters
    ----------
    pairs
        Trials that count in both conditions.
    only_first, only_second
        Pairs in which the event came in one of them alone.
    difference
        Rate in the second minus rate in the first.
    p_value
        Two-sided.
    """

    pairs: int
    only_first: int
    only_second: int
    difference: float
    p_value: float


def mcnemar(first: Sequence[Trial], second: Sequence[Trial], event: str = "multi") -> PairedTest:
    """Compare two conditions trial by trial; the second replays the first.

    Parameters
    ----------
    first, second
        Trials of equal plans, in any order.
    event
        ``"multi"`` or ``"improved"``.
    """
    from scipy.stats import binomtest

    if event not in ("multi", "improved"):
        raise InputError(f"McNemar's test compares 'multi' or 'improved', got {event!r}.")
    plans = {trial.plan: trial for trial in second}
    pairs = [
        (getattr(one, event), getattr(plans[one.plan], event))
        for one in first
        if one.plan in plans and one.counts and plans[one.plan].counts
    ]
    if not pairs:
        raise InputError("The two conditions share no plan: make the second one with replay(...).")
    lost = sum(a and not b for a, b in pairs)
    won = sum(b and not a for a, b in pairs)
    p = float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
    return PairedTest(len(pairs), lost, won, (won - lost) / len(pairs), p)


def two_proportion_z(a: int, n: int, b: int, m: int) -> float:
    """Return z of the difference of a/n and b/m with pooled variance, as the paper's rates imply."""
    pooled = (a + b) / (n + m)
    return (a / n - b / m) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))


def binomial_half_width(p: float, n: int) -> float:
    """Return the paper's half-width of a rate's 95 % interval, ``1.96 sqrt(p (1 - p) / n)``."""
    return 1.96 * math.sqrt(p * (1 - p) / n)


def resistance_report(conditions: Mapping[str, Sequence[Trial]]) -> pd.DataFrame:
    """Return a table with a row a condition; the first one is the baseline of the pairs.

    `DataFrame.to_markdown` and `to_csv` write it.
    """
    import pandas as pd

    if not conditions:
        raise InputError("There is no condition to report.")
    baseline = next(iter(conditions.values()))
    rows = []
    for name, trials in conditions.items():
        found = rates(trials)
        row: dict[str, object] = {
            "condition": name,
            "trials": found.trials,
            "multi": _percent(found.multi),
            "ESR": _percent(found.resistance),
            "improvement": found.improvement_words,
            "gain": round(found.gain, 1),
            "first score": round(found.first_score, 1),
            "multi, by latent": _percent(found.multi_clustered),
            "ESR, by latent": _percent(found.resistance_clustered),
            "empty": found.empty,
            "unread": found.unread,
            "degenerate": found.degenerate,
        }
        shared = {t.plan for t in baseline if t.counts} & {t.plan for t in trials if t.counts}
        if trials is not baseline and shared:
            row["McNemar p"] = float(f"{mcnemar(baseline, trials).p_value:.3g}")
        rows.append(row)
    return pd.DataFrame(rows).set_index("condition")


def _percent(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    value, low, high = (100 * x for x in (interval.value, interval.low, interval.high))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"

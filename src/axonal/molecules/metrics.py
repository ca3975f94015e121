r"""How well a ranking puts actives first: AUROC, enrichment factors, RIE and BEDROC.

With :math:`n` actives among :math:`N`, ranks :math:`r_i` from 1, :math:`R = n/N` (Sheridan et al.
2001; Truchon & Bayly 2007):

.. math::

    \mathrm{EF}_x = \frac{h_k / k}{n / N},\; k = \lceil xN \rceil \qquad
    \mathrm{RIE} = \frac{\sum_i e^{-\alpha r_i/N}}{(n/N)(1 - e^{-\alpha})/(e^{\alpha/N} - 1)}
    \qquad \mathrm{BEDROC} = \frac{\mathrm{RIE} - \mathrm{RIE}_{min}}
    {\mathrm{RIE}_{max} - \mathrm{RIE}_{min}}

Tied scores have no order of their own: every measure here is the expected value over all orders of
the ties, so that a model that gives one score to all has AUROC 0.5 and EF 1 whatever the order of
the file. Without ties the numbers are RDKit's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError

ALPHA = 80.5
FRACTIONS = (0.005, 0.01, 0.05)


@dataclass(frozen=True)
class Scores:
    """The measures of one ranking.

    Parameters
    ----------
    auroc, bedroc, rie
        As defined above.
    enrichment
        EF by fraction; ``nan`` where the fraction is less than one molecule.
    attainable
        The largest EF that these numbers of actives and molecules allow, by fraction.
    actives, molecules
        n and N.
    alpha
        Of BEDROC and RIE.
    intervals
        95 % bootstrap intervals over the actives, by name, where they were asked for.
    """

    auroc: float
    bedroc: float
    rie: float
    enrichment: dict[float, float]
    attainable: dict[float, float]
    actives: int
    molecules: int
    alpha: float = ALPHA
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, float]:
        """Return the measures by name: ``auroc``, ``bedroc``, ``rie``, ``ef1%``..."""
        named = {"auroc": self.auroc, "bedroc": self.bedroc, "rie": self.rie}
        return named | {ef_name(x): value for x, value in self.enrichment.items()}

    def __str__(self) -> str:
        def shown(name: str, value: float) -> str:
            span = self.intervals.get(name)
            return f"{name} {value:.3g}" + (f" [{span[0]:.3g}, {span[1]:.3g}]" if span else "")

        words = [shown(name, value) for name, value in self.as_dict().items() if name != "rie"]
        most = ", ".join(f"{ef_name(x)} {value:.3g}" for x, value in self.attainable.items())
        return (
            f"{', '.join(words)} ({self.actives} actives of {self.molecules}; attainable: {most})"
        )


def screening_metrics(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    alpha: float = ALPHA,
    fractions: Sequence[float] = FRACTIONS,
    resamples: int = 0,
    seed: int = 0,
) -> Scores:
    """Return AUROC, BEDROC, RIE and enrichment factors of scores.

    Parameters
    ----------
    labels
        1 or True for actives, ``(molecules,)``.
    scores
        Higher is better, ``(molecules,)``.
    alpha
        Of BEDROC and RIE.
    fractions
        Of the library, at which enrichment is taken. One below 1/N is less than one molecule: its
        enrichment is ``nan``.
    resamples
        Bootstrap resamples of the actives (decoys stay); 0 for no intervals.
    seed
        Of the resampling.
    """
    active, values = _checked(labels, scores)
    if not 0 < alpha < math.inf:
        raise InputError(f"alpha: expected a positive number, got {alpha}.")
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise InputError(f"fractions: expected numbers in (0, 1], got {fraction}.")
    n, total = int(active.sum()), len(active)
    ranked = _Ranking(values[active], values[~active], alpha, fractions)
    point = ranked.measures(np.ones(n))
    intervals = {}
    if resamples:
        rng = np.random.default_rng(seed)
        draws = np.stack(
            [
                ranked.measures(np.bincount(rng.integers(0, n, n), minlength=n).astype(float))
                for _ in range(resamples)
            ]
        )
        names = ["auroc", "bedroc", "rie", *map(ef_name, fractions)]
        for name, column in zip(names, draws.T, strict=True):
            if np.isfinite(column).all():
                low, high = np.quantile(column, [0.025, 0.975])
                intervals[name] = (float(low), float(high))
    return Scores(
        auroc=float(point[0]),
        bedroc=float(point[1]),
        rie=float(point[2]),
        enrichment={x: float(ef) for x, ef in zip(fractions, point[3:], strict=True)},
        attainable={x: attainable_enrichment(n, total, x) for x in fractions},
        actives=n,
        molecules=total,
        alpha=alpha,
        intervals=intervals,
    )


def attainable_enrichment(actives: int, molecules: int, fraction: float) -> float:
    """Return the EF of a perfect ranking: about the smaller of 1/x and N/n."""
    if molecules * fraction < 1:
        return math.nan
    k = top_count(molecules, fraction)
    return min(actives, k) / k * molecules / actives


def top_count(molecules: int, fraction: float) -> int:
    """Return ``ceil(x N)``; a product that is a whole number up to rounding stays that number."""
    return math.ceil(molecules * fraction - 1e-9)


def ef_name(fraction: float) -> str:
    """Return ``"ef1%"`` for 0.01."""
    return f"ef{100 * fraction:g}%"


def enrichment_curve(
    labels: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of the library that is looked at and of the actives found, from (0, 0).

    Inside a run of tied scores the curve is a straight line: the expectation over their orders.
    """
    active, values = _checked(labels, scores)
    order = np.argsort(-values, kind="stable")
    values, active = values[order], active[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    found = np.cumsum(active)[last]
    looked = np.append(0, (last + 1) / len(values))
    return looked, np.append(0.0, found / found[-1])


class _Ranking:
    """Where actives and decoys stand, prepared once so that reweighted actives are quick.

    A resampled active counts with its multiplicity: copies of it are ties.
    """

    def __init__(
        self,
        actives: NDArray[np.float64],
        decoys: NDArray[np.float64],
        alpha: float,
        fractions: Sequence[float],
    ) -> None:
        self.alpha, self.fractions = alpha, fractions
        self.n, self.total = len(actives), len(actives) + len(decoys)
        distinct, place = np.unique(-np.concatenate([actives, decoys]), return_inverse=True)
        self.group = place[: self.n]  # of each active: 0 is the best score
        self.decoys = np.bincount(place[self.n :], minlength=len(distinct)).astype(float)
        self.tops = [top_count(self.total, x) if self.total * x >= 1 else 0 for x in self.fractions]

    def measures(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return AUROC, BEDROC, RIE and EF at each fraction; active i counts ``weights[i]`` times."""
        hits = np.bincount(self.group, weights, minlength=len(self.decoys))
        size = hits + self.decoys
        used = size > 0
        hits, size, decoys = hits[used], size[used], self.decoys[used]
        end = np.cumsum(size)
        start = end - size
        below = decoys.sum() - np.cumsum(decoys)  # decoys with a lower score
        auroc = (hits * (below + decoys / 2)).sum() / (self.n * decoys.sum())
        # The mean of exp(-a r / N) over the ranks start+1 ... end: a geometric series.
        step = self.alpha / self.total
        series = np.exp(-step * (start + 1)) * -np.expm1(-step * size) / -np.expm1(-step)
        random = self.n / self.total * -np.expm1(-self.alpha) / np.expm1(step)
        rie = (hits * series / size).sum() / random
        share = self.n / self.total
        best = -np.expm1(-self.alpha * share) / (share * -np.expm1(-self.alpha))
        # (1 - e^{aR}) / (R (1 - e^a)), written so that a large alpha does not overflow
        worst = best * np.exp(-self.alpha * (1 - share))
        bedroc = (rie - worst) / (best - worst)
        found = [
            (hits * np.clip((k - start) / size, 0, 1)).sum() / k * self.total / self.n
            if k
            else math.nan
            for k in self.tops
        ]
        return np.array([auroc, np.clip(bedroc, 0, 1), rie, *found])


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    marks, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if marks.ndim != 1 or marks.shape != values.shape:
        raise InputError(
            f"labels and scores: expected one label a score, got shapes {marks.shape} and "
            f"{values.shape}."
        )
    if np.isnan(values).any():
        raise InputError(f"scores: {int(np.isnan(values).sum())} of {len(values)} are NaN.")
    active = marks.astype(bool)
    if not np.array_equal(active, marks):
        raise InputError("labels: expected 0 and 1 (or False and True).")
    if active.all() or not active.any():
        words = "every molecule is an active" if active.all() else "there is no active"
        raise InputError(f"labels: {words}; a ranking is judged by actives among others.")
    return active, values

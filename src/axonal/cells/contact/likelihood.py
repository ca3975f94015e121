"""The log-likelihood of a dwell-time record, with its gradient and Hessian in one pass.

Equation of Wang and Camley 2024 for complete pairs, and its exact extension to intervals that the
end of the measurement cuts and to receptors that are found already bound. Every bound interval i
of receptor n, of any of these kinds, contributes ``ln(c' + c0 g_n E_i)`` with a gain E_i that its
dwell time tau sets, where ``D = (r' - r) tau``:

=====================================  =====================
bound interval                         gain E
=====================================  =====================
completed                              ``alpha exp(D)``
cut by the end                         ``exp(D)``
there at the beginning, then released  ``exp(D)``
bound throughout                       ``exp(D) / alpha``
=====================================  =====================

The unbound time U_n contributes ``-k (c' + c0 g_n) U_n``, and a stationary start ``-ln Z_n``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axonal.cells.contact.kinetics import TwoLigandKinetics
from axonal.cells.contact.profiles import ProfileValues
from axonal.cells.contact.records import DwellRecord
from axonal.errors import InputError

Floats = NDArray[np.float64]

#: A gain's inverse is kept above this, so that an event far outside the contact stays finite.
SMALLEST = 1e-300
#: The largest ln E that is told apart, and the share of c' below which c0 g E is dropped.
LARGEST, NEGLIGIBLE = 600.0, 1e-12


class Derivatives(NamedTuple):
    """A log-likelihood and its derivatives in ``(c0, c', x0)``."""

    value: float
    gradient: Floats
    hessian: Floats


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the likelihood needs of a record: a gain for each bound interval, unbound times.

    With alpha = 1 every gain is 1 and the counts and unbound times are sufficient, so that the
    intervals of a receptor are pooled.

    Parameters
    ----------
    kinetics
        Rates of the two ligands.
    owners, blocks, sizes
        Receptors with at least one bound interval, and where each one's rows begin and how many.
    away, stay
        ``(intervals,)``: ``1/max(E, 1)`` and ``E/max(E, 1)``, so that neither overflows.
    weight
        ``(intervals,)`` how many intervals a row stands for.
    offset, strongest
        ``(receptors,)`` sum of ``ln max(E, 1)``, and the largest E, at least 1.
    counts
        ``(receptors,)`` number of bound intervals.
    unbound
        ``(receptors,)`` total unbound time U_n (s).
    constant
        What does not depend on the unknowns.
    stationary
        Whether receptors were found in equilibrium.
    """

    kinetics: TwoLigandKinetics
    owners: NDArray[np.int64]
    blocks: NDArray[np.int64]
    sizes: NDArray[np.int64]
    away: Floats
    stay: Floats
    weight: Floats
    offset: Floats
    strongest: Floats
    counts: Floats
    unbound: Floats
    constant: float
    stationary: bool

    @classmethod
    def of(cls, record: DwellRecord, kinetics: TwoLigandKinetics) -> Evidence:
        """Gather a record's evidence."""
        receptor, log_gain, constant = _gains(record, kinetics)
        counts = np.bincount(receptor, minlength=record.receptors).astype(float)
        owners = np.flatnonzero(counts)
        if kinetics.alpha == 1:
            log_gain, weight = np.zeros(len(owners)), counts[owners]
            sizes = np.ones(len(owners), np.int64)
        else:
            weight, sizes = np.ones(len(receptor)), counts[owners].astype(np.int64)
        blocks = np.cumsum(sizes) - sizes
        peak = np.maximum(log_gain, 0)
        offset, highest = np.zeros(record.receptors), np.zeros(record.receptors)
        if len(owners):
            offset[owners] = np.add.reduceat(peak * weight, blocks)
            highest[owners] = np.maximum.reduceat(peak, blocks)
        unbound = (
            np.bincount(record.receptor, record.unbound, record.receptors) + record.cut_unbound
        )
        return cls(
            kinetics, owners, blocks, sizes, np.maximum(np.exp(-peak), SMALLEST), np.exp(log_gain - peak),
            weight, offset, np.exp(np.minimum(highest, LARGEST)), counts, unbound, constant, record.start == "stationary",
        )  # fmt: skip

    @property
    def intervals(self) -> float:
        """Number of bound intervals."""
        return float(self.counts.sum())

    def evaluate(self, profile: ProfileValues, correct: float, spurious: float) -> Derivatives:
        """Return the log-likelihood and its derivatives in ``(c0, c', x0)``.

        Parameters
        ----------
        profile
            g at the receptors, with its derivatives in x0.
        correct, spurious
            Concentrations c0 ≥ 0 and c' > 0 (1/µm²).
        """
        inside, owners, rows = self._reached(profile.value, correct / spurious)
        g, slope, curvature = (part[inside] for part in profile)
        unbound, counts = self.unbound[inside], self.counts[inside]
        mine = self.owners[owners] - (inside.start or 0)
        blocks = self.blocks[owners] - (rows.start or 0)
        stay, weight = self.stay[rows], self.weight[rows]

        density = spurious * self.away[rows]
        density += np.repeat(correct * g[mine], self.sizes[owners]) * stay
        share = stay / density  # E/D of each interval
        first, second = np.zeros_like(g), np.zeros_like(g)
        if len(mine):
            first[mine] = np.add.reduceat(weight * share, blocks)
            second[mine] = np.add.reduceat(weight * share**2, blocks)
        # Per receptor, sums over its intervals of E/D times 1/D and of 1/D², from D = c' + c0 g E.
        mixed = (first - correct * g * second) / spurious
        plain = (counts - 2 * correct * g * first + (correct * g) ** 2 * second) / spurious**2

        k, total = self.kinetics.binding, float(self.unbound.sum())
        outside = self.intervals - float(counts.sum())  # intervals with D = c'
        value = _sum(weight, np.log(density)) + float(self.offset[inside].sum())
        value += outside * math.log(spurious)
        value -= k * (correct * _sum(g, unbound) + spurious * total)
        excess = first - k * unbound
        of_background = float((counts - correct * g * first).sum()) + outside
        gradient = np.array(
            [_sum(g, excess), of_background / spurious - k * total, correct * _sum(slope, excess)]
        )
        hessian = np.empty((3, 3))
        hessian[0, 0] = -_sum(g**2, second)
        hessian[0, 1] = -_sum(g, mixed)
        hessian[1, 1] = -plain.sum() - outside / spurious**2
        hessian[0, 2] = _sum(slope, excess - correct * g * second)
        hessian[1, 2] = -correct * _sum(slope, mixed)
        hessian[2, 2] = correct * _sum(curvature, excess) - correct**2 * _sum(slope**2, second)
        if self.stationary:
            value += self._add_start(profile, correct, spurious, gradient, hessian)
        lower = np.tril_indices(3, -1)
        hessian[lower] = hessian.T[lower]
        return Derivatives(value + self.constant, gradient, hessian)

    def absent(self) -> tuple[float, float]:
        """Return the best c' (1/µm²) and log-likelihood with no contact (c0 = 0), in closed form."""
        k, total, intervals = self.kinetics.binding, float(self.unbound.sum()), self.intervals
        if intervals == 0 or total == 0:
            raise InputError(
                f"The record has {intervals:g} bound intervals and {total:g} s of unbound time; "
                "with none of either there is no concentration to estimate. Measure for longer"
            )
        if not self.stationary:
            spurious = intervals / (k * total)
            return spurious, intervals * (math.log(spurious) - 1) + self.constant
        # Zero of M/c' - k U - N b/(1 + b c') with b = k/r': a quadratic in c'.
        b, receptors = k / self.kinetics.spurious_unbinding, len(self.unbound)
        half = (k * total + b * (receptors - intervals)) / 2
        root = math.sqrt(half**2 + b * k * total * intervals)
        # The form without cancellation, whichever sign `half` has.
        spurious = intervals / (half + root) if half > 0 else (root - half) / (b * k * total)
        value = intervals * math.log(spurious) - k * spurious * total
        return spurious, value - receptors * math.log1p(b * spurious) + self.constant

    def gains_of_ratios(self, ratios: Floats) -> Floats:
        """Return each receptor's sum of ``ln(1 + ratio E_i)``, ``(ratios, receptors)``.

        To single precision, in which this takes a third of the time: it serves to find where to
        look closer.
        """
        gained = np.tile(self.offset, (len(ratios), 1))
        away, stay = self.away.astype(np.float32), self.stay.astype(np.float32)
        weight = self.weight.astype(np.float32)
        if len(self.owners):
            for row, ratio in zip(gained, ratios.astype(np.float32), strict=True):
                row[self.owners] += np.add.reduceat(
                    weight * np.log(away + ratio * stay), self.blocks
                )
        return gained

    def _reached(self, g: Floats, ratio: float) -> tuple[slice, slice, slice]:
        """Return the receptors that a contact reaches, and their owners and rows, as ranges.

        Everywhere else ``c0 g E`` is lost beside c' in rounding.
        """
        reached = np.flatnonzero(g * self.strongest * max(ratio, 1.0) > NEGLIGIBLE)
        if not len(reached):
            return slice(0, 0), slice(0, 0), slice(0, 0)
        inside = slice(int(reached[0]), int(reached[-1]) + 1)
        low, high = np.searchsorted(self.owners, (inside.start, inside.stop)).tolist()
        ends = np.append(self.blocks, len(self.stay))
        return inside, slice(low, high), slice(int(ends[low]), int(ends[high]))

    def _add_start(
        self,
        profile: ProfileValues,
        correct: float,
        spurious: float,
        gradient: Floats,
        hessian: Floats,
    ) -> float:
        """Add a stationary start's ``-ln Z_n`` to the derivatives (in place); return its value."""
        k = self.kinetics.binding
        specific, unspecific = k / self.kinetics.unbinding, k / self.kinetics.spurious_unbinding
        partition = self.kinetics.partition(correct * profile.value, spurious)
        slopes = np.stack(
            [
                specific * profile.value,
                np.full_like(partition, unspecific),
                specific * correct * profile.slope,
            ]
        )
        relative = slopes / partition
        gradient -= relative.sum(axis=1)
        hessian += relative @ relative.T
        hessian[0, 2] -= specific * float((profile.slope / partition).sum())
        hessian[2, 2] -= specific * correct * float((profile.curvature / partition).sum())
        return -float(np.log(partition).sum())


def _sum(left: Floats, right: Floats) -> float:
    """Return their inner product, summed pairwise: more exact than BLAS, and on one thread."""
    return float((left * right).sum())


def _gains(
    record: DwellRecord, kinetics: TwoLigandKinetics
) -> tuple[NDArray[np.int64], Floats, float]:
    """Return every bound interval's receptor (ascending) and ln E, and the constant term."""
    k, r_spurious, excess = kinetics.binding, kinetics.spurious_unbinding, kinetics.excess_unbinding
    log_alpha = math.log(kinetics.alpha)
    receptor, log_gain = record.receptor, log_alpha + excess * record.bound
    constant = len(receptor) * math.log(k * r_spurious) - r_spurious * float(record.bound.sum())
    held = record.held_throughout
    others = (
        (~np.isnan(record.cut_bound) & ~held, record.cut_bound, 0.0, math.log(k)),
        (~np.isnan(record.first_bound), record.first_bound, 0.0, math.log(k)),
        (held, record.cut_bound, -log_alpha, math.log(k / r_spurious)),
    )
    parts = [(receptor, log_gain)]
    for which, times, shift, prefactor in others:
        rows = np.flatnonzero(which)
        if len(rows):
            parts.append((rows, shift + excess * times[rows]))
            constant += len(rows) * prefactor - r_spurious * float(times[rows].sum())
    if len(parts) > 1:
        receptor = np.concatenate([rows for rows, _ in parts])
        order = np.argsort(receptor, kind="stable")
        receptor = receptor[order]
        log_gain = np.concatenate([gains for _, gains in parts])[order]
    return receptor, log_gain, constant

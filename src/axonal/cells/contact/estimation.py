"""Maximum likelihood with a global search: where the contact is, and how much ligand it holds.

Three facts make the global search cheap. For a given ratio ``rho = c0/c'`` and position the best c'
has a closed form; for a given rho the data enter through one number a receptor, whose sums over a
sliding profile are the whole likelihood landscape in x0; and the likelihood is concave in (c0, c').
So a ladder of ratios times a grid of positions is scanned at the cost of one pass over the data a
ratio, and the best few peaks are refined by Newton's method with the exact Hessian.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from axonal.cells.contact.contact import Contact
from axonal.cells.contact.likelihood import Derivatives, Evidence
from axonal.cells.contact.profiles import Profile
from axonal.cells.contact.receptors import ReceptorArray
from axonal.errors import InputError

Floats = NDArray[np.float64]

#: The scan's largest ratio c0/c' (chi = 97 %), and the factor between its ratios.
HIGHEST, FACTOR = 30.0, 3.2
#: Peaks of the scan that are refined.
PEAKS = 6
#: A peak is refined when its gain over no contact is this share of the best, or this close to it.
SHARE, CLOSE = 0.5, 3.0
#: Newton's method takes its last step when that can gain less than this (in units of ln L).
ENOUGH = 1e-6
LONGEST = 60
#: c' stays above this share of the total.
FAINTEST = 1e-9
#: The scan has at most this many positions, and computes this many weights at a time.
FINEST, LARGEST = 4001, 1 << 18


@dataclass(frozen=True, eq=False)
class ContactFit:
    """The maximum-likelihood estimate and how it compares with no contact.

    Parameters
    ----------
    contact
        The estimate.
    log_likelihood, null_log_likelihood
        At the estimate, and the best without a contact (c0 = 0).
    covariance
        ``(3, 3)`` inverse observed information of ``(c_t, chi, x0)``; NaN where the estimate is at
        a bound, since nothing follows from curvature there.
    converged
        Whether Newton's method reached its tolerance.
    at_bound
        Whether the estimate has no contact (c0 = 0) or nothing else (c' = 0), or sits at an end of
        the perimeter.
    evaluations
        How often the likelihood was evaluated, the scan's passes included.
    """

    contact: Contact
    log_likelihood: float
    null_log_likelihood: float
    covariance: Floats
    converged: bool
    at_bound: bool
    evaluations: int

    @property
    def likelihood_ratio(self) -> float:
        """``lambda = sup ln L - sup over c0 = 0 of ln L``, never negative."""
        return self.log_likelihood - self.null_log_likelihood


@dataclass(frozen=True)
class _Peak:
    """A point of the search in ``(c0, c', x0)`` and its log-likelihood."""

    theta: Floats
    value: float
    hessian: Floats
    converged: bool
    evaluations: int


def fit_mle(
    evidence: Evidence,
    receptors: ReceptorArray,
    profile: Profile,
    half_width: float,
    start: Contact | None = None,
) -> ContactFit:
    """Maximise the likelihood over ``(c0, c', x0)``.

    Parameters
    ----------
    evidence
        Of a record of these receptors.
    receptors, profile, half_width
        What the estimator knows: positions, the shape of a contact and its half-width (µm).
    start
        Where to start Newton's method; by default the whole perimeter is searched.
    """
    spurious, null = evidence.absent()
    nothing = _Peak(np.array([0.0, spurious, receptors.length / 2]), null, np.eye(3), True, 1)
    if start is None:
        ratios = _ladder(evidence, receptors, profile, half_width, spurious)
        starts, passes = _scan(evidence, receptors, profile, half_width, ratios), len(ratios)
    elif start.fraction == 1:
        raise InputError("A climb starts with some spurious ligand: give a start with chi below 1")
    else:
        starts, passes = [np.array([start.correct, start.spurious, start.position])], 0
    peaks = [_climb(evidence, receptors, profile, half_width, theta) for theta in starts]
    best = max(peaks, key=lambda peak: peak.value)
    if best.value < null + ENOUGH or best.theta[0] == 0:
        best = nothing
    correct, spurious, position = best.theta.tolist()
    if receptors.closed:
        position %= receptors.length
    contact = Contact.of_ligands(correct, spurious, position, half_width)
    ends = () if receptors.closed else (0.0, receptors.length)
    at_bound = correct == 0 or spurious <= 2 * FAINTEST * contact.total or position in ends
    covariance = np.full((3, 3), np.nan)
    if not at_bound:
        covariance = _covariance(best.hessian, contact)
    evaluations = passes + 1 + sum(peak.evaluations for peak in peaks)
    return ContactFit(contact, best.value, null, covariance, best.converged, at_bound, evaluations)


def _ladder(
    evidence: Evidence,
    receptors: ReceptorArray,
    profile: Profile,
    half_width: float,
    spurious: float,
) -> Floats:
    """Return the ratios c0/c' to scan, down to the least that the record could show.

    Ligands that look alike are told by their number, whose noise is a square root; of very unlike
    ones a single long stay is evidence.
    """
    away = receptors.displacement(receptors.length / 2)
    within = float(profile.at(away, half_width).value @ evidence.unbound)
    expected = max(evidence.kinetics.binding * spurious * within, 1.0)
    lowest = 1 / expected if evidence.kinetics.alpha < 0.5 else 0.3 / np.sqrt(expected)
    steps = int(np.ceil(np.log(HIGHEST / lowest) / np.log(FACTOR))) + 1
    return np.geomspace(lowest, HIGHEST, steps)


def _scan(
    evidence: Evidence,
    receptors: ReceptorArray,
    profile: Profile,
    half_width: float,
    ratios: Floats,
) -> list[Floats]:
    """Return the best starting points ``(c0, c', x0)`` of the whole perimeter, one a peak.

    The profile is taken as a weight between absent and full: ``ln(1 + rho g E)`` becomes
    ``g ln(1 + rho E)``, exact where g is 0 or 1. Receptors are pooled in bins finer than the
    profile changes.
    """
    grid, bins, weights = _landscape(receptors, profile, half_width)
    unbound = np.bincount(bins, evidence.unbound)
    gains = np.stack([np.bincount(bins, row) for row in evidence.gains_of_ratios(ratios)])
    time = unbound.sum() + ratios[:, None] * (weights @ unbound)  # (ratios, grid)
    scores = gains @ weights.T - evidence.intervals * np.log(time)

    best = scores.argmax(axis=0)
    height = scores.max(axis=0)
    height = height + evidence.intervals * np.log(evidence.unbound.sum())  # gain over no contact
    padded = np.pad(height, 1, constant_values=-np.inf)
    peaks = np.flatnonzero((height >= padded[:-2]) & (height >= padded[2:]))
    peaks = peaks[np.argsort(-height[peaks])][:PEAKS]
    top = height[peaks[0]]
    peaks = peaks[(height[peaks] > SHARE * top) | (height[peaks] > top - CLOSE)]
    starts = []
    for place in peaks:
        ratio = ratios[best[place]]
        spurious = evidence.intervals / (evidence.kinetics.binding * time[best[place], place])
        starts.append(np.array([ratio * spurious, spurious, grid[place]]))
    return starts


@lru_cache(maxsize=4)
def _landscape(
    receptors: ReceptorArray, profile: Profile, half_width: float
) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return positions to scan, each receptor's bin, and g of every bin at every position.

    The same for every record of an array, so kept for the next ones.
    """
    step = profile.resolution(half_width) / 2
    grid = np.linspace(0, receptors.length, min(int(np.ceil(receptors.length / step)) + 1, FINEST))
    _, bins = np.unique(np.floor(receptors.positions / (step / 2)), return_inverse=True)
    centres = np.bincount(bins, receptors.positions) / np.bincount(bins)
    weights = np.empty((len(grid), len(centres)))
    rows = max(1, LARGEST // len(centres))
    for first in range(0, len(grid), rows):
        here = slice(first, first + rows)
        away = receptors.displacement(grid[here, None], centres)
        weights[here] = profile.at(away, half_width).value
    return grid, bins, weights


def _climb(
    evidence: Evidence, receptors: ReceptorArray, profile: Profile, half_width: float, theta: Floats
) -> _Peak:
    """Climb from a starting point by damped Newton steps within ``c0 >= 0, c' > 0, 0 <= x0 <= L``."""
    low = np.array([0.0, FAINTEST * (theta[0] + theta[1]), 0.0])
    high = np.array([np.inf, np.inf, receptors.length])
    if receptors.closed:
        low[2], high[2] = -np.inf, np.inf
    # A step never leaps over the structure of the profile in x0.
    stride = 2 * profile.resolution(half_width)

    def at(point: Floats) -> Derivatives:
        values = profile.at(receptors.displacement(point[2]), half_width)
        return evidence.evaluate(values, point[0], point[1])

    here, evaluations, converged = at(theta), 1, False
    for _ in range(LONGEST):
        pushed = (theta <= low) & (here.gradient <= 0) | (theta >= high) & (here.gradient >= 0)
        free = ~pushed
        if theta[0] == 0:
            free[2] = False  # without a contact its position means nothing
        step = np.zeros(3)
        step[free] = _newton(here.gradient[free], here.hessian[np.ix_(free, free)])
        if abs(step[2]) > stride:
            step *= stride / abs(step[2])
        gain = float(here.gradient @ step) / 2
        converged = gain < ENOUGH
        for halving in range(30):
            there = np.clip(theta + step / 2**halving, low, high)
            trial = at(there)
            evaluations += 1
            if converged or trial.value >= here.value + 1e-4 * float(
                here.gradient @ (there - theta)
            ):
                break
        else:
            break
        theta, here = there, trial
        if converged:
            break
    return _Peak(theta, float(here.value), here.hessian, converged, evaluations)


def _covariance(hessian: Floats, contact: Contact) -> Floats:
    """Return the inverse observed information of ``(c_t, chi, x0)``; NaN where it has no inverse."""
    scale = np.sqrt(np.abs(np.diag(hessian)))
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = -hessian / np.outer(scale, scale)
    if not np.isfinite(scaled).all() or np.linalg.eigvalsh(scaled).min() <= 0:
        return np.full((3, 3), np.nan)
    jacobian = contact.jacobian() / scale
    return jacobian @ np.linalg.inv(scaled) @ jacobian.T


def _newton(gradient: Floats, hessian: Floats) -> Floats:
    """Return an ascent step: Newton's where the surface is concave, along its gradient elsewhere."""
    if not len(gradient):
        return gradient
    scale = np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    values, vectors = np.linalg.eigh(-hessian / np.outer(scale, scale))
    values = np.maximum(np.abs(values), 1e-6)
    return vectors @ ((vectors.T @ (gradient / scale)) / values) / scale

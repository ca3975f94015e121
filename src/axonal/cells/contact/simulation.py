"""Draw what a receptor array remembers of a contact, all receptors at once.

Dwell times are drawn from equations 2 and 3 of Wang and Camley 2024 directly, which is the same
process as a kinetic Monte Carlo run of the three-state receptor. Each round draws one (unbound,
bound) pair for every receptor that still has time left.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from axonal.cells.contact.kinetics import TwoLigandKinetics
from axonal.cells.contact.records import DwellRecord, Start
from axonal.errors import InputError

Floats = NDArray[np.float64]
Stop = Literal["censor", "exceed"]


def simulate_dwell_times(
    kinetics: TwoLigandKinetics,
    correct: Floats,
    spurious: float,
    duration: float,
    rng: np.random.Generator,
    *,
    stop: Stop = "censor",
    start: Start = "unbound",
) -> DwellRecord:
    """Simulate every receptor for a time.

    Parameters
    ----------
    kinetics
        Rates of the two ligands.
    correct
        ``(receptors,)`` concentration c_n of correct ligand at each receptor (1/µm²).
    spurious
        Concentration c' of spurious ligand (1/µm²).
    duration
        Measuring time T (s).
    rng
        Source of randomness.
    stop
        ``"censor"`` cuts every receptor's last interval at T, as a clock would. ``"exceed"`` draws
        whole pairs until their sum exceeds T and keeps the last one whole; the paper's simulated
        points are reproduced by this rule, which lets a receptor watch for longer than T.
    start
        ``"unbound"`` (the paper) or ``"stationary"``, which needs ``stop="censor"``.
    """
    if not (np.isfinite(duration) and duration > 0):
        raise InputError(f"The measuring time must be positive (s); got {duration:g}")
    if stop not in ("censor", "exceed"):
        raise InputError(f"stop is 'censor' or 'exceed'; got {stop!r}")
    if start == "stationary" and stop == "exceed":
        raise InputError(
            "stop='exceed' counts whole pairs from an unbound start; use stop='censor'"
        )
    total = correct + spurious
    if np.any(total <= 0):
        raise InputError("Some receptors see no ligand at all, so they never bind: give c' > 0")

    receptors = len(correct)
    clock = np.zeros(receptors)
    cut_unbound, cut_bound = np.zeros(receptors), np.full(receptors, np.nan)
    first_bound = np.full(receptors, np.nan)
    active = np.arange(receptors)
    if start == "stationary":
        active = _begin(kinetics, correct, spurious, duration, rng, clock, cut_bound, first_bound)

    rounds: list[tuple[NDArray[np.int64], Floats, Floats]] = []
    fraction, rate = correct / total, kinetics.binding * total
    slow, excess = 1 / kinetics.unbinding, 1 / kinetics.spurious_unbinding
    while len(active):
        unbound = rng.standard_exponential(len(active)) / rate[active]
        stay = np.where(rng.random(len(active)) < fraction[active], slow, excess)
        bound = rng.standard_exponential(len(active)) * stay
        if stop == "censor":
            left = duration - clock[active]
            still_unbound = unbound >= left
            cut_unbound[active[still_unbound]] = left[still_unbound]
            held = ~still_unbound & (unbound + bound >= left)
            cut_unbound[active[held]] = unbound[held]
            cut_bound[active[held]] = (left - unbound)[held]
            whole = ~still_unbound & ~held
            active, unbound, bound = active[whole], unbound[whole], bound[whole]
        rounds.append((active, unbound, bound))
        clock[active] += unbound + bound
        active = active[clock[active] < duration]
    receptor, unbound, bound = _by_receptor(rounds, receptors)
    return DwellRecord(
        receptor,
        unbound,
        bound,
        float(duration),
        receptors,
        cut_unbound,
        cut_bound,
        first_bound,
        start,
    )


def _begin(
    kinetics: TwoLigandKinetics,
    correct: Floats,
    spurious: float,
    duration: float,
    rng: np.random.Generator,
    clock: Floats,
    cut_bound: Floats,
    first_bound: Floats,
) -> NDArray[np.int64]:
    """Put every receptor in its stationary state; return those that are free before the end.

    A bound receptor holds the correct ligand with odds ``c/r : c'/r'``, and what is left of its
    stay is exponential again.
    """
    k, r, r_spurious = kinetics.binding, kinetics.unbinding, kinetics.spurious_unbinding
    receptors = len(correct)
    partition = kinetics.partition(correct, spurious)
    draw = rng.random(receptors) * partition
    holds_correct = draw < k * correct / r
    bound = draw < partition - 1
    rest = rng.standard_exponential(receptors) / np.where(holds_correct, r, r_spurious)
    never = bound & (rest >= duration)
    released = bound & ~never
    cut_bound[never] = duration
    first_bound[released] = rest[released]
    clock[released] = rest[released]
    return np.flatnonzero(~never)


def _by_receptor(
    rounds: list[tuple[NDArray[np.int64], Floats, Floats]], receptors: int
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Turn rounds of pairs into pairs ordered by receptor, then time, without sorting.

    Each receptor takes part in the first rounds and then no more, so its pair of round j goes to
    place j of its own block.
    """
    counts = np.zeros(receptors, np.int64)
    for active, _, _ in rounds:
        counts[active] += 1
    first = np.cumsum(counts) - counts
    unbound, bound = np.empty(counts.sum()), np.empty(counts.sum())
    for turn, (active, away, stay) in enumerate(rounds):
        places = first[active] + turn
        unbound[places], bound[places] = away, stay
    return np.repeat(np.arange(receptors), counts), unbound, bound

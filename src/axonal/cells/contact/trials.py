"""Monte Carlo: simulate a contact many times and fit or judge each record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axonal.cells.contact.contact import Contact
from axonal.cells.contact.model import ContactModel
from axonal.cells.contact.simulation import Stop
from axonal.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EstimationTrials:
    """Estimates of ``(c_t, chi, x0)`` from independent records.

    Parameters
    ----------
    estimates
        ``(trials, 3)``.
    at_bound
        ``(trials,)`` whether no contact was found, or one at an end of the perimeter.
    """

    estimates: Floats
    at_bound: NDArray[np.bool_]

    @property
    def standard_deviation(self) -> Floats:
        """Sample standard deviations of ``(c_t, chi, x0)``."""
        return self.estimates.std(axis=0, ddof=1)


@dataclass(frozen=True, eq=False)
class DetectionTrials:
    """Likelihood ratios lambda of records with and without a contact, ``(trials,)`` each."""

    present: Floats
    absent: Floats


def estimation_trials(
    model: ContactModel,
    contact: Contact,
    duration: float,
    trials: int,
    rng: np.random.Generator,
    *,
    stop: Stop = "censor",
    search: bool = True,
) -> EstimationTrials:
    """Fit independent records of one contact.

    Parameters
    ----------
    model, contact, duration
        What is simulated, for how long (s).
    trials
        Number of records, at least 2.
    rng
        Source of randomness.
    stop
        How a record ends (`simulate_dwell_times`).
    search
        Search the whole perimeter; otherwise climb from the truth, which no cell knows.
    """
    if trials < 2:
        raise InputError(f"A spread needs at least 2 trials; got {trials}")
    estimates, at_bound = np.empty((trials, 3)), np.empty(trials, bool)
    for trial in range(trials):
        record = model.simulate(contact, duration, rng, stop=stop)
        fit = model.fit(record, contact.half_width, None if search else contact)
        found = fit.contact
        estimates[trial] = found.total, found.fraction, found.position
        at_bound[trial] = fit.at_bound
    return EstimationTrials(estimates, at_bound)


def detection_trials(
    model: ContactModel,
    contact: Contact,
    duration: float,
    trials: int,
    rng: np.random.Generator,
    *,
    stop: Stop = "censor",
) -> DetectionTrials:
    """Return likelihood ratios of as many records with the contact as without it.

    Without it c0 = 0 and the background c' is the same. Parameters as in `estimation_trials`.
    """
    if trials < 1:
        raise InputError(f"At least one trial is needed; got {trials}")
    ratios = [
        [
            model.fit(
                model.simulate(scene, duration, rng, stop=stop), contact.half_width
            ).likelihood_ratio
            for _ in range(trials)
        ]
        for scene in (contact, contact.without_neighbour())
    ]
    return DetectionTrials(*np.array(ratios))

"""The functions that the study's sweeps evaluate, and what is made of their batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from axonal.cells.contact import (
    Contact,
    ContactModel,
    CramerRao,
    Gaussian,
    ReceptorArray,
    SmoothRectangle,
    TwoLigandKinetics,
    auc_det,
    detection_trials,
    estimation_trials,
)

if TYPE_CHECKING:
    from axonal.cells.contact.model import Regime
    from axonal.studies.contact_sensing_limits.config import Config

Floats = NDArray[np.float64]


def setup(config: Config) -> dict[str, Any]:
    """Return what every point of every sweep shares, as plain values."""
    names = ("binding", "unbinding", "correct", "edge", "perimeter", "spacing", "stop")
    return {name: getattr(config, name) for name in names}


def estimates(
    *,
    alpha: float,
    chi: float,
    sigma: float,
    duration: float,
    shared: dict[str, Any],
    trials: int,
    rng: np.random.Generator,
    profile: str = "rect",
    stop: str | None = None,
) -> dict[str, Floats]:
    """Return estimates of c_t, chi and x0 from independent records, ``(trials,)`` each."""
    model, contact = scene(shared, alpha, chi, sigma, profile)
    found = estimation_trials(
        model,
        contact,
        duration,
        trials,
        rng,
        stop=stop or shared["stop"],  # pyright: ignore[reportArgumentType]
    ).estimates
    return {"c_t": found[:, 0], "chi_hat": found[:, 1], "x0": found[:, 2]}


def likelihood_ratios(
    *,
    alpha: float,
    chi: float,
    sigma: float,
    duration: float,
    shared: dict[str, Any],
    trials: int,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Return lambda of records with and without a contact, ``(trials,)`` each."""
    model, contact = scene(shared, alpha, chi, sigma)
    found = detection_trials(model, contact, duration, trials, rng, stop=shared["stop"])
    return {"present": found.present, "absent": found.absent}


def ratios_present(
    *,
    alpha: float,
    chi: float,
    sigma: float,
    duration: float,
    shared: dict[str, Any],
    trials: int,
    rng: np.random.Generator,
) -> Floats:
    """Return lambda of records with a contact alone, ``(trials,)``."""
    model, contact = scene(shared, alpha, chi, sigma)
    records = (model.simulate(contact, duration, rng, stop=shared["stop"]) for _ in range(trials))
    return np.array([model.fit(record, sigma).likelihood_ratio for record in records])


def scene(
    shared: dict[str, Any], alpha: float, chi: float, sigma: float, profile: str = "rect"
) -> tuple[ContactModel, Contact]:
    """Return the model and a contact in the middle of its perimeter."""
    model = ContactModel(
        ReceptorArray.line(shared["perimeter"], shared["spacing"]),
        TwoLigandKinetics(shared["binding"], shared["unbinding"], alpha),
        SmoothRectangle(shared["edge"]) if profile == "rect" else Gaussian(),
    )
    return model, Contact(shared["correct"] / chi, chi, shared["perimeter"] / 2, sigma)


def bound(
    shared: dict[str, Any],
    alpha: float,
    chi: float,
    sigma: float,
    duration: float,
    profile: str = "rect",
    regime: Regime = "long",
) -> Floats:
    """Return the Cramér–Rao standard deviations of c_t, chi and x0, ``(3,)``."""
    model, contact = scene(shared, alpha, chi, sigma, profile)
    covariance = CramerRao.of(model.fisher_information(contact, duration, regime)).covariance
    return np.sqrt(np.diag(covariance))


def spread(values: Any) -> Floats:
    """Return the standard deviation over the last axis, unbiased for normal values.

    A small batch's root of the unbiased variance is too small by a factor that depends on its
    size alone.
    """
    from scipy.special import gammaln

    array = np.asarray(values, float)
    n = array.shape[-1]
    shrinks = np.sqrt(2 / (n - 1)) * np.exp(gammaln(n / 2) - gammaln((n - 1) / 2))
    return array.std(axis=-1, ddof=1) / shrinks


def pooled_spread(values: Any) -> tuple[Floats, Floats]:
    """Return the standard deviation over batches and trials (last two axes), and its error."""
    array = np.asarray(values, float)
    array = array.reshape(*array.shape[:-2], -1)
    deviation = array.std(axis=-1, ddof=1)
    return deviation, deviation / np.sqrt(2 * (array.shape[-1] - 1))


def batch_areas(present: Any, absent: Any) -> Floats:
    """Return the area under the error trade-off of each batch, all but the last axis kept."""
    yes, no = np.asarray(present, float), np.asarray(absent, float)
    above = (no[..., None, :] > yes[..., :, None]) + 0.5 * (no[..., None, :] == yes[..., :, None])
    return above.mean(axis=(-2, -1))


def pooled_areas(present: Any, absent: Any) -> tuple[Floats, Floats, Floats]:
    """Return area, low and high end over batches and trials (last two axes)."""
    yes, no = np.asarray(present, float), np.asarray(absent, float)
    kept = yes.shape[:-2]
    yes, no = yes.reshape(-1, yes.shape[-2] * yes.shape[-1]), no.reshape(-1, no[0].size)
    found = [auc_det(y, n) for y, n in zip(yes, no, strict=True)]
    ends = np.array([[one.value, one.low, one.high] for one in found]).reshape(*kept, 3)
    return ends[..., 0], ends[..., 1], ends[..., 2]

"""From what was found to measurements, and the words a reader needs beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.language.resistance import Trial
    from axonal.studies.endogenous_steering_resistance.config import Config

SHARE = (0.0, 1.0)


def record(
    session: Session,
    roots: xr.Dataset,
    toys: Sequence[xr.Dataset],
    model: xr.Dataset,
) -> None:
    """Record every measurement; a repeat is an organism, or a latent of the model."""
    session.measure("bisection_step_error", abs(float(roots["step"]) - 12), exact=True)
    session.measure("bisection_line_error", abs(float(roots["line"]) - 14), exact=True)
    session.measure("bisection_noisy", roots["noisy"].to_numpy())
    for name, condition in {
        "steered": "steered",
        "unsteered": "unsteered",
        "ablated": "detectors x0",
        "halved": "detectors x0.5",
        "doubled": "detectors x2",
        "quadrupled": "detectors x4",
    }.items():
        for rate in ("multi", "resistance"):
            values = [at(toy, condition, rate) for toy in toys]
            session.measure(f"toy_{rate}_{name}", values, bounds=SHARE)
    random = [np.mean([at(toy, f"random {i + 1}", "multi") for i in range(3)]) for toy in toys]
    session.measure("toy_multi_random", random, bounds=SHARE)
    session.measure(
        "toy_resistance_random",
        [np.mean([at(toy, f"random {i + 1}", "resistance") for i in range(3)]) for toy in toys],
        bounds=SHARE,
    )
    steered = np.array([at(toy, "steered", "multi") for toy in toys])
    session.measure("toy_multi_random_over_steered", np.array(random) / np.maximum(steered, 1e-9))
    session.measure(
        "toy_first_score", [at(toy, "steered", "first_score") for toy in toys], "points"
    )
    session.measure(
        "toy_first_score_ablated",
        [at(toy, "detectors x0", "first_score") for toy in toys],
        "points",
    )
    session.measure(
        "toy_first_score_random",
        [np.mean([at(toy, f"random {i + 1}", "first_score") for i in range(3)]) for toy in toys],
        "points",
    )
    for rate in ("multi", "resistance"):
        session.measure(
            f"toy_{rate}_by_boost",
            np.stack([toy["sweep"].sel(rate=rate).to_numpy() for toy in toys]),
            along=toys[0]["deviation"].to_numpy(),
            along_name="deviations from the mean threshold",
            bounds=SHARE,
        )
    ratios = toys[0]["ratio"].to_numpy()
    session.measure(
        "toy_multi_by_ratio",
        np.stack([toy["teaching"].sel(rate="multi").to_numpy() for toy in toys]),
        along=ratios,
        along_name="share of corrections",
        bounds=SHARE,
    )
    taught = [ratio for ratio in ratios if ratio > 0]
    session.measure(
        "toy_multi_untaught", [_taught(toy, 0.0, "multi") for toy in toys], bounds=SHARE
    )
    for words, ratio in (("least", min(taught)), ("most", max(taught))):
        values = [_taught(toy, ratio, "multi") for toy in toys]
        session.measure(f"toy_multi_{words}_taught", values, bounds=SHARE)
    change = [
        _taught(toy, max(taught), "improvement") - _taught(toy, min(taught), "improvement")
        for toy in toys
    ]
    session.measure("toy_improvement_change", change)
    for name, segment in {
        "off_topic": "off topic",
        "after": "after",
        "baseline": "baseline",
    }.items():
        values = [float(toy["drift"].sel(segment=segment)) for toy in toys]
        session.measure(f"toy_detectors_{name}", values)
    session.measure("model_multi_upper", model.attrs["multi_upper"], exact=True, bounds=SHARE)
    session.measure("model_first_score", model["first_by_latent"].to_numpy(), "points")
    session.measure("model_explained", model.attrs["explained"], exact=True)
    counts = model["trials"].to_numpy()
    _by_latent(session)
    session.measure("model_trials", float(counts[0]), exact=True)
    session.measure("judge_agreement", model.attrs["agreement"], bounds=SHARE)
    if "taught_multi" in model:
        _taught_model(session, model)


def _taught_model(session: Session, model: xr.Dataset) -> None:
    """Measure what fine-tuning the model changed."""
    for rate in ("multi", "resistance", "first_score"):
        session.measure(f"model_taught_{rate}", float(model[f"taught_{rate}"]))
    count, trials = int(model["taught_multi_count"]), int(model["taught_trials"])
    whole = int(model["trials"][0])
    before = round(float(model["multi"][0]) * whole)
    session.note(
        f"Fine-tuned on corrections of its own, the model starts over in {count} of {trials} steered "
        f"answers at boosts calibrated anew, before in {before} of {whole}; without steering in "
        f"{int(model['taught_unsteered_restarts'])} of {int(model['taught_unsteered_answers'])}. The "
        f"last attempt is better than the first in {100 * float(model['taught_resistance']):.1f} % of "
        f"the steered answers; first attempts score {float(model['taught_first_score']):.0f}."
    )


def _by_latent(session: Session) -> None:
    """Measure the model's rates latent by latent, the latents of every condition paired."""
    from axonal.language.resistance import read_trials

    files = (session.folder / "trials").glob("*.jsonl")
    made = {path.stem: read_trials(path) for path in files if path.stem != "taught"}
    counted = {name: [t for t in trials if t.counts] for name, trials in made.items()}
    steered = counted["steered"]
    every = sorted({trial.plan.latent for trial in steered})
    for rate in ("multi", "resistance"):
        values = [_share(steered, latent, rate) for latent in every]
        session.measure(f"model_{rate}", values, bounds=SHARE)
    sets = [{trial.plan.latent for trial in trials} for trials in counted.values()]
    shared = sorted(set.intersection(*sets)) or every
    names = {
        "compared": "steered",
        "ablated": "detectors-ablated",
        "random": "random-ablated",
        "asked": "asked-to-resist",
    }
    found = {
        name: np.array([_share(counted[file], latent, "multi") for latent in shared])
        for name, file in names.items()
    }
    for name, values in found.items():
        session.measure(f"model_multi_{name}", values, bounds=SHARE)
    base = found["compared"].mean()
    if base > 0:
        session.measure("model_multi_asked_over_steered", found["asked"] / base)


def _share(trials: Sequence[Trial], latent: int, rate: str) -> float:
    event = "multi" if rate == "multi" else "improved"
    own = [getattr(trial, event) for trial in trials if trial.plan.latent == latent]
    return float(np.mean(own)) if own else float("nan")


def at(toy: xr.Dataset, condition: str, rate: str) -> float:
    """Return one rate of one condition."""
    return float(toy["rates"].sel(condition=condition, rate=rate))


def _taught(toy: xr.Dataset, ratio: float, rate: str) -> float:
    return float(toy["teaching"].sel(ratio=ratio, rate=rate))


def notes(session: Session, config: Config, toys: Sequence[xr.Dataset], model: xr.Dataset) -> None:
    """Say what a reader must know to read the numbers."""
    session.note(
        "The authors' own repository shows how much hangs on choices: an earlier draft there reports "
        "a reduction of 54 % with 25 latents chosen by separability, steering at layer 50 and a "
        "target of 50, and a note says that ablating random latents, too, raised first-attempt "
        "scores (69 against 50). The effect depends on selection rule, layer and calibration."
    )
    described = "; ".join(
        f"organism {number + 1}: {toy.attrs['found_by_silent']} silent, {toy.attrs['found_by_auc']} by "
        f"AUC (best {toy.attrs['best_auc']:.2f}), {toy.attrs['detectors']} by difference"
        for number, toy in enumerate(toys)
    )
    session.note(
        f"Off-topic detectors were chosen on questions that no trial asks. Each rule found: {described}. "
        "The difference rule's are ablated, as the paper's contrastive search is one of differences."
    )
    session.note(
        "In the organism drift, correction and judge are ours, so the truth is known; that it learns "
        "to come back shows what the method detects and nothing about why large models do."
    )
    scored = {
        words: np.mean([at(toy, name, "first_score") for toy in toys for name in names])
        for words, names in {
            "steered": ["steered"],
            "ablated": ["detectors x0"],
            "random": ["random 1", "random 2", "random 3"],
        }.items()
    }
    session.note(
        f"First attempts of the organisms score {scored['steered']:.0f} steered, "
        f"{scored['ablated']:.0f} with detectors ablated and {scored['random']:.0f} with random latents "
        "ablated, at the same boosts."
    )
    matching = np.mean([toy["matching"].to_numpy() for toy in toys], axis=0)
    session.note(
        "A small dictionary has few latents to match with: the median frequency of the random latents "
        f"is {matching[0]:.2f} times that of the detectors, the median magnitude {matching[1]:.2f} "
        "times."
    )
    attrs = model.attrs
    session.note(
        f"{config.model}: {attrs['reached']} of {attrs['asked']} boosts were bracketed; the dictionary "
        f"explains {100 * attrs['explained']:.0f} % of the variance of its answers with "
        f"{attrs['active']:.0f} active latents; {attrs['unsteered_restarts']} of "
        f"{attrs['unsteered_answers']} unsteered answers start over."
    )
    session.note(
        "Resistance, its detectors and the meta-prompt cannot be tested on a model that does not "
        "resist; what was measured on it is an upper bound. Trials of one latent are not independent, "
        "so the bound is on the generous side."
    )
    if config.judge_model is None:
        session.note(
            "The judge is local: restart phrases part attempts, sentence similarity scores them "
            f"(matched and shuffled answers are {attrs['separation']:.1f} standard deviations apart). "
            f"A narrower list of phrases agrees with it on {100 * attrs['agreement']:.0f} % of trials."
        )
    paired = json.loads(attrs["mcnemar"])
    session.note(
        "McNemar's p against the steered trials they replay: "
        + ", ".join(f"{name} {p:.2g}" for name, p in paired.items())
        + "."
    )

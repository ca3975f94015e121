"""The toy organism, measured: calibration, sweep, detectors ablated and boosted, teaching, drift."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.language.models import LanguageModel
from axonal.language.resistance import (
    Threshold,
    Trial,
    ablate,
    boost_levels,
    matched_random_latents,
    mcnemar,
    rates,
    replay,
    scale_latents,
)
from axonal.studies.endogenous_steering_resistance.drift import example, follow_detectors
from axonal.studies.endogenous_steering_resistance.laboratory import Laboratory, prepare
from axonal.studies.endogenous_steering_resistance.organism import ToyLanguage, build, teach

if TYPE_CHECKING:
    from axonal.studies.endogenous_steering_resistance.config import Config

FACTORS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""How much detectors count: ablated, weakened, as they are, strengthened twice."""

RATES = ("multi", "resistance", "improvement", "first_score", "gain", "trials")
CONTROLS = 3


def measure(config: Config, seed: int) -> xr.Dataset:
    """Train one organism and measure everything on it."""
    language = ToyLanguage(
        topics=config.topics, length=config.words, drift=_drift_lengths(config.words)
    )
    base = build(language, width=config.width, blocks=config.blocks, seed=seed)
    schooling: dict[str, Any] = {"learning_rate": 2e-3, "batch": 32, "seed": seed}
    losses = teach(base, language, ratio=0, steps=config.base_steps, **schooling)
    taught = {
        ratio: _taught(base, language, config, ratio, seed) if ratio else base
        for ratio in sorted({*config.ratios, config.ratio})
    }
    lab, described = prepare(config, language, taught[config.ratio], seed)
    thresholds = lab.calibrated(lab.organism, config.toy_bisections, seed)
    boosts = {k: t.value for k, t in thresholds.items() if t.reached}
    if not boosts:  # an organism that hardly learnt anything, as in the smoke preset
        boosts = dict.fromkeys(lab.latents, 2 * lab.unit)
    steered = lab.trials(boosts, config.toy_trials, seed)
    unsteered = lab.trials(dict.fromkeys(boosts, 0.0), config.toy_trials, seed)
    conditions = {
        "steered": steered,
        "unsteered": unsteered,
        **{
            f"detectors x{factor:g}": steered
            if factor == 1
            else lab.run(replay(steered), scale_latents(lab.detectors.latents, factor))
            for factor in FACTORS
        },
    }
    controls = matched_random_latents(
        lab.statistics, lab.detectors.latents, sets=CONTROLS, seed=seed, exclude=lab.latents
    )
    for index, control in enumerate(controls):
        conditions[f"random {index + 1}"] = lab.run(replay(steered), ablate(control))
    sweep = _sweep(config, lab, thresholds, boosts, seed)
    teaching = {
        ratio: _teaching(config, lab, organism, boosts, seed)
        for ratio, organism in taught.items()
        if ratio in config.ratios
    }
    data = xr.Dataset(
        {
            "rates": (("condition", "rate"), np.array([_rates(t) for t in conditions.values()])),
            "sweep": (("deviation", "rate"), np.array([_rates(t) for _, t in sweep])),
            "teaching": (("ratio", "rate"), np.array([_rates(t) for t in teaching.values()])),
            "threshold": ("latent", [thresholds[k].value for k in lab.latents]),
            "mcnemar": (
                "paired",
                [
                    mcnemar(steered, conditions["detectors x0"], event).p_value
                    for event in ("multi", "improved")
                ],
            ),
            **follow_detectors(lab, steered, unsteered),
        },
        coords={
            "condition": list(conditions),
            "rate": list(RATES),
            "deviation": [deviation for deviation, _ in sweep],
            "ratio": list(teaching),
            "latent": lab.latents,
            "paired": ["multi", "improved"],
        },
        attrs={
            **described,
            "unit": lab.unit,
            "base_loss": float(np.mean(losses[-10:])),
            "example": example(steered),
        },
    )
    return data.assign(_matching(lab, controls))


def _drift_lengths(words: int) -> tuple[int, int]:
    """Drifts of 3 to 8 words, and shorter ones where answers are short."""
    return (2, 3) if words < 16 else (3, 8)


def _taught(
    base: LanguageModel, language: ToyLanguage, config: Config, ratio: float, seed: int
) -> LanguageModel:
    organism = dataclasses.replace(base, model=copy.deepcopy(base.model))
    teach(
        organism,
        language,
        ratio=ratio,
        steps=config.teach_steps,
        learning_rate=config.teach_rate,
        batch=32,
        seed=seed + 1,
    )
    return organism


def _sweep(
    config: Config,
    lab: Laboratory,
    thresholds: Mapping[int, Threshold],
    boosts: Mapping[int, float],
    seed: int,
) -> list[tuple[float, list[Trial]]]:
    """Give all latents the same boost, from three deviations below the mean threshold to three above."""
    if sum(threshold.reached for threshold in thresholds.values()) >= 2:
        levels = boost_levels(thresholds, config.levels)
    else:
        deviations = np.linspace(-3, 3, config.levels)
        levels = np.stack([deviations, (2 + deviations / 2) * lab.unit], axis=1)
    return [
        (
            float(deviation),
            lab.trials(dict.fromkeys(boosts, float(boost)), config.toy_sweep_trials, seed + 7),
        )
        for deviation, boost in levels
    ]


def _teaching(
    config: Config,
    lab: Laboratory,
    organism: LanguageModel,
    boosts: Mapping[int, float],
    seed: int,
) -> list[Trial]:
    """Calibrate another organism anew and make trials with it."""
    if organism is lab.organism:
        return lab.trials(boosts, config.toy_trials, seed + 9)
    found = lab.calibrated(organism, config.toy_bisections, seed + 5)
    own = {k: t.value for k, t in found.items() if t.reached} or dict(boosts)
    return lab.trials(own, config.toy_trials, seed + 9, organism=organism)


def _rates(trials: Sequence[Trial]) -> list[float]:
    found = rates(trials)
    improvement = found.improvement.value if found.improvement else np.nan
    multi, resistance = found.multi.value, found.resistance.value
    return [multi, resistance, improvement, found.first_score, found.gain, float(found.trials)]


def _matching(lab: Laboratory, controls: Sequence[Sequence[int]]) -> dict[str, Any]:
    """How well the controls match the detectors: ratios of medians."""
    frequency, magnitude = lab.statistics.frequency, lab.statistics.magnitude
    chosen = list(lab.detectors.latents)
    others = [k for control in controls for k in control]
    return {
        "matching": (
            "quantity",
            [
                float(frequency[others].median() / frequency[chosen].median()),
                float(magnitude[others].median() / magnitude[chosen].median()),
            ],
        ),
        "quantity": ["frequency", "magnitude"],
    }

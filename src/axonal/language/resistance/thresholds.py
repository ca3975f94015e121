"""Calibrate the boost of each latent: where first attempts score 30 of 100 on average."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from axonal.errors import InputError
from axonal.language.dictionaries import SparseAutoencoder
from axonal.language.models import LanguageModel
from axonal.language.resistance.calibration import Bracket, Threshold, calibrate_together
from axonal.language.resistance.judges import Judge
from axonal.language.resistance.trials import Plan, run_trials


def calibrate_boosts(
    language_model: LanguageModel,
    sae: SparseAutoencoder,
    latents: Sequence[int],
    prompts: Sequence[str] | Mapping[int, Sequence[str]],
    bracket: Bracket,
    *,
    judge: Judge,
    target: float = 30.0,
    steps: int = 10,
    responses: int = 1,
    seed: int = 0,
    labels: Mapping[int, str] | None = None,
    **settings: Any,
) -> dict[int, Threshold]:
    """Find the boost of each latent at which first attempts score ``target`` of 100.

    Parameters
    ----------
    language_model, sae, latents
        What is steered.
    prompts
        Questions to draw from, for all latents or for each.
    bracket
        Where to look, see `Bracket`.
    judge
        Scores the responses.
    target, steps
        Score of 100, and steps of the bisection.
    responses
        Responses a step and latent, whose mean score counts (the paper: 5 for its largest model,
        else 1).
    seed
        Of the questions and of the responses.
    labels
        What the latents stand for.
    settings
        ``sampling``, ``condition``, ``site``, ``batch``... of `run_trials`.

    Returns
    -------
    dict
        A `Threshold` a latent; ask it whether it was ``reached``.
    """
    if len(set(latents)) != len(latents) or not latents:
        raise InputError(
            f"Latents to calibrate are distinct and at least one, got {list(latents)}."
        )
    count = 0

    def scores(boosts: Sequence[float | None]) -> list[float | None]:
        nonlocal count
        count += 1
        plans: list[Plan] = []
        for latent, boost in zip(latents, boosts, strict=True):
            if boost is None:
                continue
            rng = np.random.default_rng([seed, latent, count])
            own = prompts[latent] if isinstance(prompts, Mapping) else prompts
            for _ in range(responses):
                question = own[int(rng.integers(len(own)))]
                label = (labels or {}).get(latent, "")
                plans.append(Plan(latent, boost, question, int(rng.integers(2**31)), label))
        trials = run_trials(language_model, sae, plans, judge=judge, **settings)
        found: list[float | None] = []
        for latent in latents:
            first = [t.scores[0] for t in trials if t.plan.latent == latent and t.counts]
            found.append(sum(first) / len(first) / 100 if first else None)
        return found

    thresholds = calibrate_together(
        scores, [bracket] * len(latents), target=target / 100, steps=steps
    )
    return dict(zip(latents, thresholds, strict=True))


def boost_levels(thresholds: Mapping[int, Threshold], levels: int = 10) -> np.ndarray:
    """Return boosts from three deviations below the mean threshold to three above, at least 0.

    ``(levels, 2)``: deviations from the mean, and boosts.
    """
    values = [t.value for t in thresholds.values() if t.reached and math.isfinite(t.value)]
    if len(values) < 2:
        raise InputError(f"Levels need two thresholds that were reached, got {len(values)}.")
    deviations = np.linspace(-3, 3, levels)
    boosts = np.mean(values) + np.std(values) * deviations
    return np.stack([deviations, np.maximum(boosts, 0)], axis=1)

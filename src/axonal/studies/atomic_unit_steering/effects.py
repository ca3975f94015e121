"""What chosen units do beside the answer: alone to the gap, to neutral texts, to the first token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.language.atomic_units import (
    KeptRun,
    Task,
    first_token_movement,
    select,
    single_unit_sweep,
)
from axonal.language.atomic_units.ranking import ranking
from axonal.language.models import LanguageModel
from axonal.language.steering import NeutralTexts, neutral_texts
from axonal.statistics import spearman
from axonal.studies.atomic_unit_steering.rivals import Momenta

if TYPE_CHECKING:
    from axonal.studies.atomic_unit_steering.study import Config


def effects_of_units(
    every: Momenta,
    site: Any,
    effects: Tensor,
    resampled: Sequence[Momenta],
    kept: KeptRun,
    config: Config,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Compare the score with what units do: first order for all, measured for some."""

    def signed(momentum: Any) -> Tensor:
        return torch.where(momentum.positive >= momentum.negative, 1, -1) * momentum.score

    flat = effects.flatten().numpy()
    matters = np.abs(flat) > 0
    correlation = [
        _rank_correlation(signed(m[site]).flatten().numpy()[matters], flat[matters])
        for m in resampled
    ]
    momentum = every[site]
    half = config.effect_units // 2
    best = ranking(momentum.score)[:half].numpy()
    drawn = rng.choice(momentum.score.numel(), config.effect_units - half, replace=False)
    chosen = np.concatenate([best, drawn])
    places = [(int(i) // momentum.width, int(i) % momentum.width) for i in chosen]
    measured = single_unit_sweep(kept, site, places, [1.0])
    change = measured["gap"].to_numpy()[:, 0] - measured.attrs["base_gap"]
    top = np.sign(signed(momentum).flatten().numpy()[best]) == np.sign(flat[best])
    return {
        "score_effect_correlation": ("resample", correlation),
        "sample_score": ("sample", signed(momentum).flatten().numpy()[chosen]),
        "sample_effect": ("sample", change),
        "sample_first_order": ("sample", flat[chosen]),
        "right_sign": float(top.mean()),
    }


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(spearman(x, y).r)


def harm(
    model: LanguageModel,
    every: Momenta,
    site: Any,
    setting: Any,
    tuned: dict[str, Any],
    block_rivals: Sequence[Any],
    config: Config,
) -> dict[str, Any]:
    """Measure what tuned steering does to neutral texts."""
    neutral = NeutralTexts(model, neutral_texts()[: config.neutral])
    ways = {"AUSteer": select(every[site], int(setting[0]), setting[1], warn=False)}
    ways |= {rival.name: rival.make(every, tuned[rival.name]) for rival in block_rivals}
    kl = [float(neutral.damage(way.edits(model.model)).kl) for way in ways.values()]
    return {"harm": xr.DataArray(kl, dims="way", coords={"way": list(ways)})}


def first_token(
    model: LanguageModel, every: Momenta, site: Any, k: int, alpha: float, asked: Task
) -> np.ndarray:
    """Return how far each layer's stream moves at a text's first token, as a share of its norm."""
    units = select(every[site], k, alpha, warn=False)
    return first_token_movement(model, units, asked.test.prompts[0]).numpy()

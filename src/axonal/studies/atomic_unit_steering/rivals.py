"""The ways to steer that are compared, each with the settings that are tried on validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from torch import Tensor

from axonal.language.atomic_units import KeptRun, Momentum, Units, accuracy, select
from axonal.language.atomic_units import baselines as b

if TYPE_CHECKING:
    from axonal.studies.atomic_unit_steering.study import Config

Momenta: TypeAlias = dict[Any, Momentum]
Setting: TypeAlias = tuple[float, ...]
Steering: TypeAlias = Units | b.Shift


@dataclass(frozen=True)
class Rival:
    """One way to steer.

    Parameters
    ----------
    name
        What the report calls it.
    settings
        What is tried on validation; with a single one nothing is tuned.
    make
        What it makes of momenta and a setting.
    """

    name: str
    settings: tuple[Setting, ...]
    make: Callable[[Momenta, Setting], Steering]


def at_sites(config: Config) -> list[Rival]:
    """Return atomic-unit steering at each site."""
    settings = tuple(product(config.k, config.alpha))
    return [
        Rival(
            f"AUSteer, {site}",
            settings,
            lambda m, s, site=site: select(m[site], int(s[0]), s[1], warn=False),
        )
        for site in config.sites
    ]


def ablations(config: Config, site: Any, setting: Setting, effects: Tensor) -> list[Rival]:
    """Return what changes one part of atomic-unit steering with ``setting`` = (k, alpha)."""
    k = int(setting[0])
    strengths = tuple((alpha,) for alpha in config.alpha)
    everywhere = tuple((alpha,) for alpha in config.alpha_everywhere)
    return [
        Rival("AUSteer", (setting,), lambda m, s: select(m[site], int(s[0]), s[1], warn=False)),
        Rival(
            "activation difference",
            strengths,
            lambda m, s: b.activation_difference(m[site], k, s[0]),
        ),
        Rival("fixed strength", strengths, lambda m, s: b.fixed_strength(m[site], k, s[0])),
        Rival("fixed vector", strengths, lambda m, s: b.fixed_vector(m[site], k, s[0])),
        Rival("promotion only", strengths, lambda m, s: b.promotion(m[site], k, s[0])),
        Rival("suppression only", strengths, lambda m, s: b.suppression(m[site], k, s[0])),
        Rival("all units", everywhere, lambda m, s: b.all_units(m[site], s[0])),
        # Units of large effect need small gains, or they overshoot.
        Rival(
            "causal ranking",
            (*everywhere, strengths[0]),
            lambda m, s: b.given_order(m[site], effects, k, s[0]),
        ),
    ]


def blocks(config: Config, depth: int) -> list[Rival]:
    """Return steering of whole blocks."""
    layers = np.unique(np.linspace(0, depth - 1, config.shift_layers + 2)[1:-1].round()).tolist()
    return [
        Rival(
            "mean shift",
            tuple(product(layers, config.shift_scales)),
            lambda m, s: b.mean_shift(m["layer"], int(s[0]), s[1]),
        ),
        Rival(
            "head shift",
            tuple(product(config.heads, config.head_scales)),
            lambda m, s: b.head_shift(m["attention"], int(s[0]), s[1]),
        ),
        Rival(
            "head scaling",
            tuple(product(config.heads, config.head_alphas)),
            lambda m, s: b.head_scaling(m["attention"], int(s[0]), s[1]),
        ),
    ]


def tune(
    rival: Rival, momenta: Momenta, validation: KeptRun, advance: Callable[[], None]
) -> tuple[Setting, np.ndarray, np.ndarray]:
    """Return the setting with the highest validation accuracy (of equals, the largest gap).

    With it the accuracy and the mean gap of every setting, ``(settings,)``.
    """
    results = []
    for setting in rival.settings:
        gaps = steered(validation, rival.make(momenta, setting))
        results.append((accuracy(gaps), float(gaps.mean())))
        advance()
    best = max(range(len(results)), key=results.__getitem__)
    right, gap = np.array(results).T
    return rival.settings[best], right, gap


def steered(kept: KeptRun, steering: Steering) -> Tensor:
    """Return the gaps of questions under a way to steer."""
    return kept.gaps(steering.edits(kept.language_model.model))


def mean_over(kept: Sequence[KeptRun], steerings: Sequence[Steering]) -> np.ndarray:
    """Return accuracy and mean gap of each resample, ``(2, resamples)``."""
    gaps = [steered(run, steering) for run, steering in zip(kept, steerings, strict=True)]
    return np.array([[accuracy(g) for g in gaps], [float(g.mean()) for g in gaps]])

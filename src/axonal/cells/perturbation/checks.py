"""What is checked, and warned of, before a conditional map is trained or asked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from axonal.cells.perturbation.encoding import Encoding
from axonal.cells.perturbation.objective import MongeObjective
from axonal.cells.perturbation.screen import Screen, Treatment, looks_like_counts
from axonal.errors import InputError, nearest

if TYPE_CHECKING:
    from anndata import AnnData

    from axonal.cells.perturbation.monge import ConditionalMongeMap


def fitting_objective(
    model: ConditionalMongeMap, latent: np.ndarray, screen: Screen
) -> MongeObjective:
    """Return the objective with its entropies as numbers, warned of where they don't fit."""
    rng = np.random.default_rng(0)
    treated = np.concatenate(list(screen.treated.values()))
    sides = [latent[rng.choice(rows, 256)] for rows in (screen.control, treated)]
    between = np.linalg.norm(sides[0][:, None] - sides[1][None], axis=-1)
    between = between**2 if model.cost == "sqeuclidean" else between
    middle, mean = float(np.median(between)), float(between.mean())
    numbers = {}
    for name in ("epsilon_fit", "epsilon_gap"):
        given = getattr(model, name)
        numbers[name] = 0.05 * mean if given == "auto" else float(given)
        exact = name == "epsilon_gap" and numbers[name] == 0
        if model.gap_weight == 0 and name == "epsilon_gap":
            continue
        if not exact and numbers[name] < 1e-3 * middle:
            warnings.warn(
                f"{name}={numbers[name]:g} is below a thousandth of the median cost "
                f"({middle:.3g}): Sinkhorn will be slow; scale the data, or take 'auto'.",
                stacklevel=4,
            )
        if numbers[name] > middle > 0:
            warnings.warn(
                f"{name}={numbers[name]:g} is above the median cost ({middle:.3g}): the fit sees "
                "blurred populations; scale the data, or take 'auto'.",
                stacklevel=4,
            )
    return MongeObjective(gap_weight=model.gap_weight, cost=model.cost, **numbers)


def warn_of_skipped(encoding: Encoding, treatments: Sequence[Treatment]) -> None:
    """Warn of drugs of combinations that have no effect vector."""
    if skipped := encoding.skipped(treatments):
        warnings.warn(
            f"{', '.join(skipped)} have no effect vector (not measured alone): combinations with them "
            "are described by their other drugs.",
            stacklevel=3,  # who called fit or predict
        )


def warn_of_extrapolation(trained: Sequence[Treatment], asked: Treatment) -> None:
    """Warn of a dose or time beyond all those of the training, where the network is free."""
    for name in ("dose", "time"):
        value = getattr(asked, name)
        known = [v for one in trained if (v := getattr(one, name)) is not None]
        if value is None or not known or min(known) <= value <= max(known):
            continue
        warnings.warn(
            f"{name} {value:g} is outside of the training's {min(known):g} to {max(known):g}: what the "
            "map says there is not constrained by data.",
            stacklevel=3,  # who called predict
        )


def warn_of_other_scale(cells: np.ndarray, trained_on_counts: bool) -> None:
    """Warn where cells are counts and those of the training were logarithms, or the other way."""
    if len(cells) == 0 or looks_like_counts(cells) == trained_on_counts:
        return
    here, there = ("raw counts", "logarithms")[:: -1 if trained_on_counts else 1]
    warnings.warn(
        f"adata.X looks like {here}, and the map was fitted on {there}: bring both to one scale "
        "(scanpy: sc.pp.normalize_total, then sc.pp.log1p).",
        stacklevel=4,  # who called predict
    )


def require_share(conditions: int) -> None:
    """Refuse more processes than there are conditions in a step, which they share."""
    from accelerate import PartialState

    processes = PartialState().num_processes
    if processes > conditions:
        raise InputError(
            f"conditions_per_step={conditions} cannot be shared among {processes} processes: raise it "
            f"to {processes} or more."
        )


def training_cells(adata: AnnData, split_key: str | None) -> np.ndarray:
    """Return which cells may be seen, as booleans."""
    if split_key is None:
        return np.ones(adata.n_obs, dtype=bool)
    if split_key not in adata.obs:
        raise InputError(
            f"split_key: obs has no column {split_key!r}: {nearest(split_key, adata.obs.columns)}"
        )
    return (adata.obs[split_key].astype(str) == "train").to_numpy()


def check_settings(model: ConditionalMongeMap) -> None:
    """Refuse settings that no map can have."""
    for name in ("steps", "batch_size", "conditions_per_step", "context_width"):
        value = getattr(model, name)
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name} is a positive whole number, got {value!r}.")
    for name in ("learning_rate", "epsilon_fit", "epsilon_gap"):
        value = getattr(model, name)
        lowest_allowed = name == "epsilon_gap"
        if value == "auto" and name != "learning_rate":
            continue
        if isinstance(value, str) or value < 0 or (value == 0 and not lowest_allowed):
            raise InputError(f"{name} is a positive number, got {value!r}.")
    if model.gap_weight < 0:
        raise InputError(f"gap_weight is not negative, got {model.gap_weight}.")
    if model.pooling not in ("none", "mean", "attention"):
        raise InputError(f"pooling: expected 'none', 'mean' or 'attention', got {model.pooling!r}.")
    if model.cost not in ("euclidean", "sqeuclidean"):
        raise InputError(f"cost: expected 'euclidean' or 'sqeuclidean', got {model.cost!r}.")

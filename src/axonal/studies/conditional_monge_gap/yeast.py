"""Real cells: which doses between and beyond the trained ones are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.cells.perturbation import (
    ConditionalMongeMap,
    MeanRegressor,
    ReferencePredictions,
    Screen,
    exact_wasserstein,
    read_yeast,
    split_cells,
    two_samples,
)

if TYPE_CHECKING:
    from anndata import AnnData

    from axonal.lab import Session
    from axonal.studies.conditional_monge_gap.config import Config

DRUG = "isopentenyladenine"
QUANTILES = (0.1, 0.5, 0.9)
GFP = 2
CELLS = 200
MODELS = (
    "map",
    "no_gap",
    "means",
    "identity",
    "mean_shift",
    "gaussian_map",
    "nearest",
    "floor",
)


def read(folder: str) -> AnnData:
    """Return the experiment."""
    return read_yeast(folder)


def measure(cells: AnnData, config: Config, session: Session, number: int) -> xr.Dataset:
    """Train on a few doses and predict all; the exact W1 of 200 against 200 unseen cells."""
    adata = cells.copy()
    seed = session.seed_for(f"yeast {number}")
    screen = Screen.of(adata, dose_key="dose", log_dose=True)
    treatments = list(screen.treated)
    trained = {treatments[i].dose or 0.0 for i in config.training_doses}
    adata.obs["split"] = split_cells(
        adata, screen, held_out=lambda t: t.dose not in trained, seed=seed
    )
    unseen = (adata.obs["split"] != "train").to_numpy()
    options: dict[str, Any] = {
        "steps": config.steps,
        "batch_size": config.batch_size,
        "conditions_per_step": config.conditions_per_step,
        "learning_rate": config.learning_rate,
        "epsilon_fit": config.epsilon_fit,
        "epsilon_gap": config.epsilon_gap,
    }
    maps = {
        "map": ConditionalMongeMap(**options),
        "no_gap": ConditionalMongeMap(**options, gap_weight=0.0),
        "means": MeanRegressor(**options),
    }
    for model in maps.values():
        model.fit(adata, dose_key="dose", split_key="split", seed=seed)
    latent = maps["map"].encode(adata)
    references = ReferencePredictions(
        latent, screen.without(unseen), maps["map"].encoding_, seed=seed
    )
    rng = np.random.default_rng(seed)

    def some(rows: np.ndarray) -> np.ndarray:
        rows = rows[unseen[rows]]
        return latent[rng.permutation(rows)[: min(CELLS, len(rows))]]

    control = some(screen.control)
    distance = np.empty((len(MODELS), len(treatments)))
    quantiles = np.empty((2, len(treatments), len(QUANTILES)))
    for column, treatment in enumerate(treatments):
        target = some(screen.treated[treatment])
        predictions = {name: model.transport(control, treatment) for name, model in maps.items()}
        predictions |= {
            "identity": references.identity(control),
            "mean_shift": references.mean_shift(control, treatment),
            "gaussian_map": references.gaussian_map(control, treatment),
            "nearest": references.nearest_condition(control, treatment),
        }
        rows = screen.treated[treatment]
        halves = two_samples(latent[rows], seed=seed)
        for row, name in enumerate(MODELS):
            near = halves[0][: len(target)] if name == "floor" else target
            other = halves[1][: len(control)] if name == "floor" else predictions[name]
            distance[row, column] = exact_wasserstein(near, other)
        quantiles[0, column] = np.quantile(latent[rows, GFP], QUANTILES)
        quantiles[1, column] = np.quantile(predictions["map"][:, GFP], QUANTILES)
    doses = [treatment.dose or 0.0 for treatment in treatments]
    low, high = min(trained), max(trained)
    kind = [
        "trained" if d in trained else "interpolated" if low < d < high else "extrapolated"
        for d in doses
    ]
    return xr.Dataset(
        {
            "distance": (("model", "dose"), distance),
            "quantiles": (("shown", "dose", "quantile"), quantiles),
            "kind": ("dose", kind),
        },
        {
            "model": list(MODELS),
            "dose": doses,
            "shown": ["measured", "predicted"],
            "quantile": list(QUANTILES),
        },
    )

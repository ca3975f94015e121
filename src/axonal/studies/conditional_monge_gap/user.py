"""A screen of the user's, as the paper has them: sciplex3's ``hvg.h5ad`` or 4i's ``8h.h5ad``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.cells.perturbation import (
    Autoencoder,
    ConditionalMongeMap,
    DrugContext,
    MeanRegressor,
    Screen,
    drug_folds,
    marker_genes,
    molecule_descriptors,
    perturbation_metrics,
    read_4i,
    read_sciplex,
    split_cells,
)
from axonal.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from axonal.lab import Session
    from axonal.studies.conditional_monge_gap.config import Config

MEASURES = ("r2", "mmd", "wasserstein", "signature", "divergence", "spread")


def measure(config: Config, session: Session, fold: int) -> xr.Dataset:
    """Hold out a fold of nine drugs, train on the others, and measure as the paper does."""
    adata, keys, separator = _read(config)
    seed = session.seed_for("folds of the screen")
    screen = Screen.of(adata, **keys, separator=separator)
    singles = sorted({t.drugs[0] for t in screen.treated if len(t.drugs) == 1})
    folds = drug_folds(singles, min(9, max(1, len(singles) // 2)), seed=seed)
    if fold >= len(folds):
        raise InputError(f"screen_folds: {len(singles)} drugs make {len(folds)} folds only.")
    held = set(folds[fold]) if separator is None else _combinations(screen, seed)
    adata.obs["split"] = split_cells(
        adata, screen, held_out=lambda t: "+".join(t.drugs) in held, seed=seed
    )
    context = _context(config, screen)
    options: dict[str, Any] = {
        "hidden": config.screen_hidden,
        "steps": config.screen_steps,
        "batch_size": config.screen_batch,
        "pooling": "none" if separator is None else "mean",
    }
    training = (adata.obs["split"] == "train").to_numpy()
    space: Any = "X"
    if separator is None:
        space = Autoencoder(min(50, adata.n_vars), epochs=config.screen_epochs)
    maps = {"descriptors": ConditionalMongeMap(**options), "means": MeanRegressor(**options)}
    for model in maps.values():
        model.fit(
            adata,
            **keys,
            separator=separator,
            context=context,
            representation=space,
            split_key="split",
            seed=seed,
        )
    model = maps["descriptors"]
    control_rows = screen.control[~training[screen.control]]
    control = model.encode(adata[control_rows])
    treatments = [t for t in screen.treated if "+".join(t.drugs) in held]
    values = np.empty((3, len(treatments), len(MEASURES)))
    for column, treatment in enumerate(treatments):
        rows = screen.treated[treatment]
        target = model.space_.decode(model.encode(adata[rows]))
        markers = adata.uns.get("markers", {}).get(treatment.drugs[0])
        if not markers:
            markers = marker_genes(_genes(adata, rows), _genes(adata, screen.control), 50)
        predictions = {
            "descriptors": model.space_.decode(model.transport(control, treatment)),
            "means": model.space_.decode(maps["means"].transport(control, treatment)),
            "identity": model.space_.decode(control),
        }
        for row, prediction in enumerate(predictions.values()):
            found = perturbation_metrics(
                target,
                prediction,
                markers=markers,
                batches=config.metric_batches,
                cells=config.metric_cells,
                seed=seed,
            )
            values[row, column] = [getattr(found, name) for name in MEASURES]
    return xr.Dataset(
        {"held_out": (("model", "treatment", "measure"), values)},
        {
            "model": ["descriptors", "means", "identity"],
            "treatment": [t.label for t in treatments],
            "measure": list(MEASURES),
        },
    )


def _read(config: Config) -> tuple[AnnData, dict[str, Any], str | None]:
    if config.layout == "4i":
        return read_4i(config.screen), {"perturbation_key": "drug"}, "_"
    return read_sciplex(config.screen), {"perturbation_key": "drug", "dose_key": "dose"}, None


def _context(config: Config, screen: Screen) -> DrugContext:
    import pandas as pd

    drugs = {drug for treatment in screen.treated for drug in treatment.drugs}
    if not config.smiles:
        raise InputError(
            "smiles: a screen of yours needs the molecules of its drugs, a CSV file with columns drug "
            "and smiles: --set smiles=drugs.csv"
        )
    try:
        table = pd.read_csv(config.smiles)
        named = dict(zip(table["drug"].astype(str).str.lower(), table["smiles"], strict=True))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"smiles: {config.smiles} is no CSV file with columns drug and smiles: {error}."
        ) from error
    lacking = sorted(drug for drug in drugs if drug.lower() not in named)
    if lacking:
        raise InputError(f"smiles: {config.smiles} lacks {', '.join(lacking)}.")
    return molecule_descriptors({drug: named[drug.lower()] for drug in sorted(drugs)})


def _combinations(screen: Screen, seed: int) -> set[str]:
    """Hold out half of the combinations."""
    pairs = sorted("+".join(t.drugs) for t in screen.treated if len(t.drugs) > 1)
    if len(pairs) < 2:
        raise InputError("The 4i layout needs at least two combinations, drugs joined by '_'.")
    order = np.random.default_rng(seed).permutation(len(pairs))
    return {pairs[i] for i in order[: len(pairs) // 2]}


def _genes(adata: AnnData, rows: np.ndarray) -> np.ndarray:
    X: Any = adata[rows].X
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X)

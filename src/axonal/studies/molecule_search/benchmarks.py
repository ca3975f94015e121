"""DUD-E and LIT-PCBA from the user's folders: learn from the user's binders, search every target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.errors import InputError
from axonal.molecules import (
    DescriptorEncoder,
    MoleculeSearch,
    Objective,
    UniMolEncoder,
    baseline_scores,
    leak_report,
    load_unimol,
    property_auroc,
    read_affinities,
    read_molecules,
    read_targets,
    screening_metrics,
)
from axonal.molecules import properties as six_properties

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.molecule_search.study import Config

METRICS = ("auroc", "bedroc", "ef0.5%", "ef1%", "ef5%")
FRACTIONS = (0.005, 0.01, 0.05)


def check(config: Config) -> None:
    """Say what is missing before anything is trained."""
    for name in ("dude", "lit_pcba"):
        path = getattr(config, name)
        if path and not Path(path).is_dir():
            raise InputError(f"{name}: there is no folder {path}.")
        if path and not config.binders:
            raise InputError(
                f"{name}: to search it, name the table of binders to learn from: "
                "--set binders=CSV (columns smiles, target, pchembl_value)."
            )
    for name in ("weights", "binders", "unlabelled"):
        path = getattr(config, name)
        if path and not Path(path).is_file():
            raise InputError(f"{name}: there is no file {path}.")


def measure(folder: str, name: str, config: Config, session: Session) -> xr.Dataset:
    """Train on the user's molecules without those of the benchmark, and search every target."""
    seed = session.seed_for("benchmarks")
    targets = list(read_targets(folder))
    known = read_affinities(config.binders, value="pchembl_value", on_error="skip").binders()
    search = MoleculeSearch(
        _encoder(config, seed),
        Objective(penalty=config.penalty),
        batch_size=config.batch_size,
        steps=config.benchmark_steps,
        learning_rate=1e-4 if config.weights else 5e-4,
    )
    with session.progress(f"training for {name}", config.benchmark_steps) as advance:
        search.fit(
            known.molecules,
            known.targets,
            unlabelled=None
            if not config.unlabelled
            else read_molecules(config.unlabelled, on_error="skip"),
            seed=seed,
            folder=session.folder / "trainings" / name,
            progress=lambda *_: advance(),
        )
    scores: dict[str, list[list[float]]] = {"g": [], "f": [], "ecfp4": []}
    copies, analogues, separable = [], [], []
    for target in session.track(targets, name):
        mols = [one.mol for one in (*target.actives, *target.decoys)]
        labels = np.r_[np.ones(len(target.actives)), np.zeros(len(target.decoys))]
        queries = [one.mol for one in target.queries]
        ranked = {
            "g": search.score(queries, mols),
            "f": search.score(queries, mols, branch="supervised"),
            "ecfp4": baseline_scores("ecfp4", queries, mols),
        }
        for method, values in ranked.items():
            values = np.where(np.isnan(values), -np.inf, values)
            found = screening_metrics(labels, values, fractions=FRACTIONS).as_dict()
            scores[method].append([found[metric] for metric in METRICS])
        leaks = leak_report(
            [one.mol for one in target.actives], [one.mol for one in known.molecules]
        )
        copies.append(leaks.copies)
        analogues.append(leaks.analogues)
        values = six_properties(mols)
        separable.append(property_auroc(values[labels == 1], values[labels == 0], seed=seed))
    return xr.Dataset(
        {
            "score": (("ranked_by", "target", "metric"), np.array(list(scores.values()))),
            "copies": ("target", copies),
            "analogues": ("target", analogues),
            "property_auroc": ("target", separable),
        },
        coords={
            "ranked_by": list(scores),
            "target": [target.name for target in targets],
            "metric": list(METRICS),
        },
    )


def _encoder(config: Config, seed: int) -> Any:
    if config.weights:
        return load_unimol(config.weights, seed=seed, conformers=1)
    if config.three_d:
        return UniMolEncoder.small(optimise=False, seed=seed)
    return DescriptorEncoder(seed=seed)

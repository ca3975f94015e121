"""From the stages of a run to its measurements and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.molecule_search.data import Data
    from axonal.studies.molecule_search.study import Config

SHORT = {"auroc": "auroc", "bedroc": "bedroc", "ef1%": "ef1"}
BOUNDS = {"auroc": (0, 1), "bedroc": (0, 1), "ef1%": None}


def record(
    session: Session,
    config: Config,
    found: Sequence[xr.Dataset],
    solid: xr.Dataset,
    folders: Mapping[str, xr.Dataset],
) -> None:
    """Record every measurement that the claims and the report name."""
    for variant in found[0]["variant"].to_numpy().tolist():
        if variant.split(" ")[0] in ("g", "f") and variant not in ("g", "f"):
            continue  # the series below
        for metric, short in SHORT.items():
            session.measure(
                f"{short}_{_name(variant)}", mean(found, variant, metric), bounds=BOUNDS[metric]
            )
    for target in config.targets:
        for variant in ("g", "f", "start", "ecfp4"):
            values = [
                float(one["score"].sel(variant=variant, target=target, metric="ef1%"))
                for one in found
            ]
            session.measure(f"ef1_{_name(variant)}_{_name(target)}", values)
        for metric in ("auroc", "bedroc"):
            values = [
                float(one["score"].sel(variant="g", target=target, metric=metric)) for one in found
            ]
            session.measure(f"{metric}_g_{_name(target)}", values, bounds=(0, 1))
        alone = [float(one["property_auroc"].sel(target=target)) for one in found]
        session.measure(f"auroc_properties_{_name(target)}", alone, bounds=(0, 1))
    counts = [c for c in config.label_counts if f"g {c}" in found[0]["variant"]]
    for letter in ("g", "f"):
        series = [mean(found, f"{letter} {count}", "ef1%") for count in counts]
        series.append(mean(found, letter, "ef1%"))
        along = [*counts, int(found[0].attrs["labelled"])]
        session.measure(
            f"ef1_{letter}_by_labels", np.stack(series, 1), along=along, along_name="labels"
        )
    for name in ("ecfp4", "start", "f", "g"):
        values = [float(one["purity"].sel(named=name)) for one in found]
        session.measure(f"purity_{name}", values, bounds=(0, 1))
    if solid.sizes.get("ranked_by"):
        for method in solid["ranked_by"].to_numpy().tolist():
            for metric, short in SHORT.items():
                value = float(solid["score"].sel(ranked_by=method, metric=metric))
                session.measure(f"three_d_{short}_{_name(method)}", value)
    for folder, scores in folders.items():
        for method in ("g", "f", "ecfp4"):
            for metric, short in SHORT.items():
                values = scores["score"].sel(ranked_by=method, metric=metric).to_numpy()
                session.measure(f"{folder}_{short}_{method}", values, bounds=BOUNDS[metric])
        session.measure(f"{folder}_auroc_properties", scores["property_auroc"], bounds=(0, 1))


def mean(found: Sequence[xr.Dataset], variant: str, metric: str) -> np.ndarray:
    """Return one number a repeat: the mean over targets."""
    return np.array(
        [float(one["score"].sel(variant=variant, metric=metric).mean()) for one in found]
    )


def notes(
    session: Session,
    config: Config,
    data: Data,
    found: Sequence[xr.Dataset],
    solid: xr.Dataset,
) -> None:
    """Say what a reader must know to read the numbers."""
    session.note(
        f"{len(data.labelled):,} labels of {_targets(config)} ({len(np.unique(data.labelled)):,} compounds "
        f"of pK 6.5 and more) and {len(data.pool):,} unlabelled molecules are learned from. No "
        "molecule that was measured on a target that is searched is among them, whatever else it "
        "binds; decoys are not either."
    )
    copies = ", ".join(f"{target} {count}" for target, count in data.leaks.items())
    session.note(
        f"Leaks: left in, these numbers of actives would have been learned from under another "
        f"target's name: {copies}. The variant with_leaks leaves them in. Median similarity (ECFP4) "
        "of a test's actives to the nearest molecule that is learned from: "
        + ", ".join(
            f"{t} {np.mean([float(o['nearest'].sel(target=t)) for o in found]):.2f}"
            for t in config.targets
        )
        + "."
    )
    session.note(
        "What properties alone can tell apart (AUROC of a nearest-neighbour classifier on six "
        "properties, an active and its decoys in one fold; 0.5 is a perfect match): "
        + ", ".join(
            f"{t} {np.mean([float(o['property_auroc'].sel(target=t)) for o in found]):.2f}"
            for t in config.targets
        )
        + ". ECFP4 alone has AUROC "
        + f"{mean(found, 'ecfp4', 'auroc').mean():.2f}: a result below it needs no learning."
    )
    n, total = int(found[0]["actives"][0]), int(found[0]["molecules"][0])
    from axonal.molecules import attainable_enrichment

    session.note(
        f"{config.targets[0]}: {n} actives of {total} molecules; EF1% of at most "
        f"{attainable_enrichment(n, total, 0.01):.1f} is attainable. A query's own scaffold cluster "
        "(EGFR) is no hit. Decoys are presumed inactive."
    )
    session.note(
        "The encoder reads fingerprints and starts from principal components, in place of Uni-Mol's "
        f"pre-training on 19 million conformers; thousands of targets are {len(config.learned)} here, "
        "so pairs of one target are no negatives of each other."
    )
    if solid.sizes.get("ranked_by"):
        attributes = solid.attrs
        session.note(
            f"Three dimensions: one run on {attributes['target']} ({attributes['actives']} actives, "
            f"{attributes['decoys']} decoys), {attributes['labelled']} labels, "
            f"{attributes['pool']} unlabelled molecules, the small Uni-Mol from random weights for "
            f"{config.three_d_steps} steps. {attributes['lost']} molecules had no conformer."
        )


def _targets(config: Config) -> str:
    return f"{len(config.learned)} target{'s' * (len(config.learned) != 1)}"


def _name(words: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in words.lower()).replace("__", "_").strip("_")

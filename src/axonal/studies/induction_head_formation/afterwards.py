"""What is measured on trained models: ablations, paths, wiring, composition, progress measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.learning.induction import (
    Clamp,
    Run,
    ablate,
    ablate_one,
    all_but,
    composition_scores,
    evaluate,
    keep_one,
    keep_strongest,
    per_seed,
    perfect_match,
    previous_token_score,
    progress_measure,
    subcircuit,
    wiring,
)

if TYPE_CHECKING:
    from axonal.studies.induction_head_formation.trainings import Laboratory

PRESERVED = ("nothing", "patterns", "values")
PROGRESS = ("layer 1", "match", "copy", "layer 1 + copy")
PREVIOUS_TOKEN_HEADS = 3  # as many as the paper names


def afterwards(laboratory: Laboratory) -> xr.Dataset:
    """Measure the models with all heads, and the checkpoints of those with one."""
    model, batch = laboratory.trained, dict(laboratory.batch)
    strengths = laboratory.strengths
    scores = previous_token_score(model, batch)
    top = scores.argsort(dim=1, descending=True)[:, :PREVIOUS_TOKEN_HEADS]
    previous = per_seed([row.tolist() for row in top])
    whole = evaluate(model, batch)
    direct = ablate(model, batch, {1: all_but([])}, preserve="both")
    perfect, kept = perfect_match(model, batch), keep_one(model, batch)
    found = xr.Dataset(
        {
            "accuracy": ("member", whole.accuracy.numpy()),
            "accuracy_without_direct_path": ("member", direct.accuracy.numpy()),
            "strength": (("member", "head"), strengths.numpy()),
            "previous_token_score": (("member", "head"), scores.numpy()),
            "keep_one": (("member", "head"), kept.accuracy.numpy()),
            "ablate_one": (("member", "head"), ablate_one(model, batch).accuracy.numpy()),
            "perfect_match": (("member", "head"), perfect.accuracy.numpy()),
            "loss_by_heads": (
                ("member", "heads"),
                keep_strongest(model, batch, strengths).loss.numpy(),
            ),
        },
        coords={"heads": np.arange(1, model.n_heads + 1)},
    )
    for name, heads in (("previous", previous), ("rest", all_but(previous))):
        for preserve in ("patterns", "values"):
            accuracy = ablate(model, batch, {1: heads}, preserve=preserve).accuracy
            found[f"without_{name}_{preserve}_kept"] = ("member", accuracy.numpy())
    few = {name: x[: max(32, len(x) // 4)] for name, x in batch.items()}  # 64 pairs, three times
    tables = [
        wiring(model, few, preserve=None if name == "nothing" else name)  # pyright: ignore[reportArgumentType]
        for name in PRESERVED
    ]
    found["wiring"] = (("preserved", "member", "second", "first"), np.stack(tables))
    found.coords["preserved"] = list(PRESERVED)
    composed = composition_scores(model)
    found["composition"] = (
        ("read", "member", "second", "first"),
        np.stack([composed[letter].numpy() for letter in ("q", "k", "v")]),
    )
    found.coords["read"] = ["q", "k", "v"]
    return found.merge(_progress(laboratory))


def _progress(laboratory: Laboratory) -> xr.Dataset:
    """Evaluate checkpoints of the one-head training with the rest of the circuit made perfect."""
    run = Run.read(laboratory.folder / "none")
    assert run.checkpoints is not None
    heads = laboratory.strongest
    steps = np.array(run.checkpoints.steps)
    model = laboratory.model(laboratory.standard)
    clamps = {name: subcircuit(name, heads) for name in PROGRESS}
    clamps = {"none": Clamp().ablate("layer2", all_but(heads)), **clamps}
    batch = laboratory.standard.sample("train", laboratory.config.evaluation)
    losses = [progress_measure(model, run.checkpoints, batch, clamp) for clamp in clamps.values()]
    return xr.Dataset(
        {"progress": (("clamp", "checkpoint", "member"), np.stack(losses))},
        coords={
            "clamp": list(clamps),
            "progress_sequences": ("checkpoint", steps * run.batch_size),
        },
    )

"""From the stages of a run to its measurements and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.studies.relevance_patching.measures import INPUT_IG, KINDS, NODE_IG

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.relevance_patching.study import Config

BOUNDS = (-1, 1)  # of correlations


def record(
    session: Session,
    ioi: Sequence[xr.Dataset],
    sva: Sequence[xr.Dataset],
    circuits: Sequence[xr.Dataset],
    rules: xr.Dataset,
    families: Sequence[xr.Dataset],
) -> None:
    """Record every measurement that the claims and the report name."""
    for kind, name in KINDS.items():
        r = {m: _over(ioi, m, kind, "pearson") for m in ("relevance", "attribution")}
        session.measure(f"relevance_pearson_{name}", r["relevance"], "r", bounds=BOUNDS)
        session.measure(f"attribution_pearson_{name}", r["attribution"], "r", bounds=BOUNDS)
        session.measure(f"gain_{name}", r["relevance"] - r["attribution"], "r")
        for method in ("relevance", "attribution"):
            session.measure(
                f"{method}_spearman_{name}",
                _over(ioi, method, kind, "spearman"),
                "rho",
                bounds=BOUNDS,
            )
            session.measure(f"{method}_slope_{name}", _over(ioi, method, kind, "slope"))
            session.measure(
                f"agreement_{method}_{name}",
                _over(sva, method, kind, "pearson"),
                "r",
                bounds=BOUNDS,
            )
        session.measure(
            f"input_ig_pearson_{name}", _over(ioi, INPUT_IG, kind, "pearson"), "r", bounds=BOUNDS
        )
    session.measure(
        "node_ig_pearson_mlp", _over(ioi, NODE_IG, "mlp", "pearson"), "r", bounds=BOUNDS
    )
    session.measure("answer_preferred", [float(batch["preferred"]) for batch in ioi], bounds=(0, 1))
    session.measure("answer_predicted", [float(batch["predicted"]) for batch in ioi], bounds=(0, 1))
    seconds = np.array([float(batch["seconds"].sel(estimator="relevance")) for batch in ioi])
    exact = np.array([float(batch["exact_seconds"]) for batch in ioi])
    session.measure("exact_time_over_relevance", exact / seconds)
    session.measure("relevance_time_over_attribution", rules["time_ratio"].to_numpy())
    for name in ("conservation_error", "forward_difference"):
        session.measure(name, float(rules[name]), exact=True)
    for name in ("forward_passes", "backward_passes"):
        session.measure(f"relevance_{name}", float(rules[name]), exact=True)
    distances = {
        "relevance": "relevance",
        "attribution": "attribution",
        "ig": NODE_IG,
        "input_ig": INPUT_IG,
        "random": "random",
    }
    for name, method in distances.items():
        away = [abs(1 - c["faithfulness"].sel(estimator=method)).mean().item() for c in circuits]
        session.measure(f"circuit_distance_{name}", away)
        left = [abs(c["completeness"].sel(estimator=method)).mean().item() for c in circuits]
        session.measure(f"circuit_left_{name}", left)
    ratio = [
        float(c["work"].sel(estimator=NODE_IG) / c["work"].sel(estimator="relevance"))
        for c in circuits
    ]
    session.measure("circuit_work_ig_over_relevance", ratio)
    if families:
        for kind, name in KINDS.items():
            r = [f["agreement"].sel(kind=kind, measure="pearson") for f in families]
            gains = [x.sel(estimator="relevance") - x.sel(estimator="attribution") for x in r]
            session.measure(
                f"family_gain_{name}",
                np.stack([gain.to_numpy() for gain in gains], axis=1),
                "r",
                along=range(len(families)),
                along_name="model",
            )


def notes(
    session: Session, config: Config, ioi: Sequence[xr.Dataset], sva: Sequence[xr.Dataset]
) -> None:
    """Say what a reader must know to read the numbers."""
    for task, batches in (("IOI", ioi), ("agreement", sva)):
        preferred = 100 * np.mean([float(batch["preferred"]) for batch in batches])
        predicted = 100 * np.mean([float(batch["predicted"]) for batch in batches])
        session.note(
            f"{task}: the model prefers the right answer in {preferred:.0f} % of the prompts, and "
            f"predicts it before every other token in {predicted:.0f} %."
        )
    session.note(
        "Correlations run over all layers and positions of the map averaged over a batch, as in the "
        "paper; positions before the prompts differ score zero in every method and count too."
    )
    session.note(
        "Circuits are made of heads and MLP neurons, the paper's of sparse-autoencoder features: "
        "no autoencoder of a model this small is at hand."
    )
    if config.model == "smollm2-135m-instruct":
        session.note(
            "The paper's table has GPT-2, Pythia, Qwen2 and Gemma 2; this run has a Llama-class "
            "model of 135M parameters."
        )


def _over(batches: Sequence[xr.Dataset], method: str, kind: str, measure: str) -> np.ndarray:
    """Return one number a batch."""
    at = {"estimator": method, "kind": kind, "measure": measure}
    return np.array([float(batch["agreement"].sel(at)) for batch in batches])

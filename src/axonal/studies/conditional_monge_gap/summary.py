"""From the stages of a run to its measurements and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.conditional_monge_gap.config import Config

LARGE = (194, (512, 512, 512))  # a context of 194 descriptors, hidden layers: see the docs


def record(
    session: Session,
    doses: Sequence[xr.Dataset],
    screens: Sequence[xr.Dataset],
    sizes: Sequence[xr.Dataset],
    own: Sequence[xr.Dataset],
) -> None:
    """Record every measurement that the claims and the report name; a repeat is a screen."""
    for kind in ("trained", "interpolated", "extrapolated"):
        for model in doses[0]["model"].to_numpy():
            values = [
                float(d["distance"].sel(model=model)[(d["kind"] == kind).to_numpy()].mean())
                for d in doses
            ]
            session.measure(f"yeast_{kind}_{model}", values, "sd of control")
    for model in screens[0]["model"].to_numpy():
        for measure in screens[0]["measure"].to_numpy():
            unseen = [_mean(s["unseen"], model, measure) for s in screens]
            if np.isfinite(unseen).all():
                session.measure(f"{measure}_ood_{model}", unseen, bounds=_bounds(measure))
    strongest = [_strongest(s) for s in screens]
    for model in ("descriptors", "effects", "specific", "means", "identity", "floor"):
        for measure in screens[0]["measure"].to_numpy():
            values = [_mean(s, model, measure) for s in strongest]
            session.measure(f"{measure}_id_{model}", values, bounds=_bounds(measure))
    for name in screens[0]["cellwise"].to_numpy():
        for measure in ("cell_error", "cell_rank"):
            values = [float(s[measure].sel(cellwise=name).mean()) for s in screens]
            session.measure(f"{measure}_{name}", values)
    session.measure("gap_over_fit", [float(s["gap"].mean() / s["fit"].mean()) for s in screens])
    for side, name in enumerate(("predicted", "measured")):
        session.measure(
            f"drugs_alike_{name}",
            [float(s["specificity"][side]) for s in screens],
            "r",
            bounds=(-1, 1),
        )
    for pooled, name in (
        ("mean", "map"),
        ("attention", "attention"),
        ("identity", "identity"),
        ("floor", "floor"),
    ):
        for measure in ("mmd", "wasserstein", "r2"):
            values = [
                float(s["combined"].sel(pooled=pooled, measure=measure).mean()) for s in screens
            ]
            session.measure(f"{measure}_combinations_{name}", values)
    if sizes:
        gaps = np.stack([_embedding_gap(s) for s in sizes])
        session.measure("embedding_gap", gaps, "R²", along=sizes[0]["drugs"], along_name="drugs")
        session.measure("embedding_gap_fewest_drugs", gaps[:, 0], "R²")
        session.measure("embedding_gap_most_drugs", gaps[:, -1], "R²")
    _parameters(session)
    if own:
        for model in own[0]["model"].to_numpy():
            for measure in own[0]["measure"].to_numpy():
                values = [
                    float(s["held_out"].sel(model=model, measure=measure).mean()) for s in own
                ]
                session.measure(f"screen_{measure}_{model}", values)


def notes(
    session: Session, config: Config, doses: Sequence[xr.Dataset], screens: Sequence[xr.Dataset]
) -> None:
    """Say what a reader must know to read the numbers."""
    session.note(
        "Vectors of effects are computed from cells treated with the very drug that is held out: they "
        "say how far a map generalises once the effect is known, and are no zero-shot setting. "
        "Vectors of molecules need no cell."
    )
    session.note(
        "The cells under real molecules are simulated; that molecules of one target act alike is an "
        "assumption of the simulator, which favours every method that reads molecules."
    )
    if config.epsilon_gap == 0:
        session.note(
            "The Monge gap is exact here (POT) rather than entropic at 0.01, which it equals up to a "
            "constant and terms of that size, at a third of the time."
        )
    beyond = np.mean(
        [
            d["distance"].sel(model="map")[(d["kind"] == "extrapolated").to_numpy()].mean()
            for d in doses
        ]
    )
    near = np.mean(
        [
            d["distance"].sel(model="nearest")[(d["kind"] == "extrapolated").to_numpy()].mean()
            for d in doses
        ]
    )
    session.note(
        f"Beyond the trained doses the map is off by {beyond:.2f}, where copying cells of the nearest "
        f"trained dose is off by {near:.2f}: do not extrapolate."
    )
    r2 = np.nanmean([_mean(s["unseen"], "identity", "r2") for s in screens])
    session.note(
        f"R² as the paper has it is the squared correlation of two vectors of means: untreated cells "
        f"have {r2:.2f} already. Read MMD and Wasserstein distance beside it."
    )


def _mean(values: xr.DataArray, model: str, measure: str) -> float:
    return float(values.sel(model=model, measure=measure).mean())


def _strongest(screen: xr.Dataset) -> xr.DataArray:
    """Return the trained treatments that have a map of their own."""
    own = np.isfinite(screen["seen"].sel(model="specific", measure="mmd").to_numpy())
    return screen["seen"][:, own]


def _embedding_gap(sizes: xr.Dataset) -> np.ndarray:
    r2 = sizes["unseen"].sel(measure="r2").mean("held_out")
    return (r2.sel(context="effects") - r2.sel(context="descriptors")).to_numpy()


def _bounds(measure: str) -> tuple[float, float] | None:
    return (0.0, 1.0) if measure == "r2" else None


def _parameters(session: Session) -> None:
    from axonal.cells.perturbation import ConditionalPerturbationNetwork

    drug, large = LARGE
    slices = ((0, drug), (0, drug + 1))
    published = ConditionalPerturbationNetwork(50, slices)
    wide = ConditionalPerturbationNetwork(50, slices, hidden=large)
    for name, network in (("published", published), ("large", wide)):
        count = sum(tensor.numel() for tensor in network.parameters())
        session.measure(f"parameters_{name}", count, exact=True)

"""From the stages of a run to its measurements and notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.massive_activation_dynamics.config import Config

GROUPS = 4  # of models, for a rank correlation with repeats
R2 = (-np.inf, 1.0)
SHARE = (0.0, 1.0)
Runs = Mapping[str, xr.Dataset]


def judged(fits: xr.Dataset, runs: Runs, followed: Runs) -> xr.Dataset:
    """Return the curves that claims speak of: tracked trainings, else decoders trained here."""
    if followed:
        names = list(followed)
    else:
        groups = ("main", "architecture")
        names = [name for name, run in runs.items() if run.attrs["group"] in groups]
    return fits.isel(curve=np.flatnonzero(np.isin(fits["run"].to_numpy().astype(str), names)))


def record(
    session: Session,
    config: Config,
    read: xr.Dataset,
    runs: Runs,
    followed: Runs,
    fits: xr.Dataset,
    predicted: xr.Dataset,
    simulated: xr.Dataset,
) -> None:
    """Record every measurement that the claims and the report name."""
    table = judged(fits, runs, followed).to_dataframe()
    _language_model(session, config, read)
    _emergence(session, table)
    _depth(session, table)
    _prediction(session, predicted)
    _architecture(session, table)
    _simulated(session, simulated)
    main = [run for run in runs.values() if run.attrs["group"] == "main"]
    session.measure("sink_importance_start", [float(run["sink_importance"][0]) for run in main])
    session.measure("sink_importance_end", [float(run["sink_importance"][-1]) for run in main])
    session.measure(
        "main_final_ratio", [float(run["ratio"].isel(step=-1).max()) for run in main], "x median"
    )
    for name in ("decayed", "bytes"):
        if name in runs:
            final = runs[name]["ratio"].isel(step=-1).to_numpy()
            session.measure(f"{name}_final_ratio", final, "x median")
    if len(followed) > 1:
        size = {
            name: 12 * run.attrs["layers"] * run.attrs["width"] ** 2
            for name, run in followed.items()
        }
        for word, pick in (("smallest", min), ("largest", max)):
            run = followed[pick(size, key=lambda name: size[name])]
            session.measure(f"final_ratio_{word}", run["ratio"].isel(step=-1).to_numpy())


def notes(session: Session, config: Config, read: xr.Dataset, fits: xr.Dataset) -> None:
    """Say what a reader must know to read the numbers."""
    layer, channel = read.attrs["spike_layer"], read.attrs["spike_channel"]
    session.note(
        f"{config.model}: the largest scalar after block {layer} sits at token "
        f"{read.attrs['spike_token']}, channel {channel}; texts are prose of {config.tokens} tokens, "
        "the paper's are web text of 2048."
    )
    total = fits.sizes["curve"]
    held = {n: int(fits[f"identified_{n}"].sum()) for n in ("A", "lam", "gamma", "t0", "K")}
    session.note(
        "Raw parameters whose standard error is below their size, of "
        f"{total} curves: " + ", ".join(f"{name} {count}" for name, count in held.items()) + ". "
        "The predictor is trained on the parameters that the paper's own procedure gives."
    )
    regimes = pd.Series(fits["regime"].to_numpy().astype(str)).value_counts()
    session.note("Regimes: " + ", ".join(f"{name} {n}" for name, n in regimes.items()) + ".")
    better = int((fits["aic logarithm"] < fits["aic"]).sum())
    session.note(
        f"A plain logarithm a ln(t + tau) + c has the lower AIC in {better} of {total} curves."
    )
    session.note(
        "Decoders trained here have at most six layers and stay in the regime of growth; the random "
        "splits of the predictor overlap, so the interval of its R² is too narrow."
    )


def _language_model(session: Session, config: Config, read: xr.Dataset) -> None:
    spike = read.sel(layer=read.attrs["spike_layer"])
    session.measure("language_model_ratio", spike["ratio"].to_numpy(), "x median")
    session.measure("language_model_largest", spike["top1"].to_numpy())
    for condition in read["condition"].to_numpy():
        session.measure(
            f"loss_{condition}", read["loss"].sel(condition=condition).to_numpy(), "nats"
        )
    layers = read["ratio"].sel(layer=slice(1, None)).to_numpy()
    parts = np.array_split(np.arange(layers.shape[1]), config.text_groups)
    cv = [
        float(np.mean(layers[:, p].std(axis=1, ddof=1) / layers[:, p].mean(axis=1))) for p in parts
    ]
    session.measure("input_cv", 100 * np.array(cv), "%")
    session.measure("input_sem", 100 * np.array(cv) / np.sqrt(10), "%")
    at = spike["ratio"].to_numpy()
    session.measure("input_cv_at_the_spike", 100 * at.std(ddof=1) / at.mean(), "%", exact=True)
    for name in ("sink", "sink_without"):
        late = read[name].isel(block=slice(read.attrs["spike_layer"], None))
        importance = late if late.size else read[name]
        session.measure(f"{name}_importance", importance.mean("head").to_numpy(), bounds=SHARE)


def _emergence(session: Session, table: Any) -> None:
    by_run = table.groupby("run", sort=False)
    session.measure(
        "initial_ratio_over_null",
        (table["start_ratio"] / table["null"]).groupby(table["run"]).mean(),
    )
    session.measure(
        "final_ratio_over_null", (table["end_ratio"] / table["null"]).groupby(table["run"]).max()
    )
    session.measure("emergence_r2", by_run["r2"].mean(), bounds=R2)
    session.measure("emergence_r2_papers_fit", by_run["paper_r2"].mean(), bounds=R2)
    session.measure("emergence_aic", by_run["aic"].mean())
    names = {
        "first_order": "first-order",
        "second_order": "second-order",
        "first_order_offset": "first-order + offset",
        "second_order_offset": "second-order + offset",
        "logarithm": "logarithm",
    }
    for name, column in names.items():
        session.measure(f"{name}_r2", by_run[f"r2 {column}"].mean(), bounds=R2)
        session.measure(f"{name}_aic", by_run[f"aic {column}"].mean())
    for name in ("emergence", "logarithm", "persistence", "covered"):
        share = SHARE if name == "covered" else None
        session.measure(f"forecast_{name}", by_run[f"forecast_{name}"].mean(), bounds=share)
    for name in ("A", "lam", "gamma", "t0", "K"):
        session.measure(f"identified_{name}", by_run[f"identified_{name}"].mean(), bounds=SHARE)
    peaks = table[table["regime"] == "early-peak"]["t_peak"].to_numpy(float)
    session.measure("peak_time", peaks if len(peaks) else [np.nan], "of training")
    session.measure("early_peaks", float(len(peaks)), "curves", exact=True)


def _depth(session: Session, table: Any) -> None:
    """Compare first and last layers with those between, model by model."""
    early: dict[str, list[float]] = {"ends": [], "middle": []}
    height: dict[str, list[float]] = {"ends": [], "middle": []}
    for _, run in table.groupby("run", sort=False):
        at_end = run["layer"].isin([1, int(run["layers"].iloc[0])])
        if not (~at_end).any():
            continue
        for word, part in (("ends", run[at_end]), ("middle", run[~at_end])):
            height[word].append(float(part["peak_height"].mean()))
            if len(run) >= 4:
                early[word].append(float((part["regime"] == "early-peak").mean()))
    for word in ("ends", "middle"):
        session.measure(
            f"early_peak_share_{word}",
            early[word] or [np.nan],
            bounds=SHARE if early[word] else None,
        )
        session.measure(f"peak_ratio_{word}", height[word] or [np.nan], "x median")


def _prediction(session: Session, predicted: xr.Dataset) -> None:
    for target in predicted["target"].to_numpy():
        at = predicted.sel(target=target)
        session.measure(f"random_split_r2_{target}", at["random_split"].to_numpy(), bounds=R2)
        session.measure(f"left_out_r2_{target}", float(at["left_out"]), exact=True)
        session.measure(f"left_out_error_{target}", at["left_out_error"].to_numpy())
        session.measure(f"left_out_baseline_{target}", at["left_out_baseline"].to_numpy())


def _simulated(session: Session, simulated: xr.Dataset) -> None:
    """Record what a fit recovers of curves that are known; times only of those that peak."""
    early = simulated["early"].to_numpy() > 0
    for name in map(str, simulated.data_vars):
        values = simulated[name].to_numpy()
        if name in ("noise", "early", "error_K"):
            continue
        values = values[early] if name == "error_t_peak" else values
        yes_or_no = name.startswith(("covered", "identified", "right", "forecast_covered"))
        session.measure(f"simulated_{name}", values, bounds=SHARE if yes_or_no else None)
    near = simulated["error_K"].to_numpy() < 0.5
    session.measure("simulated_K_within_half", near.astype(float), bounds=SHARE)


def _architecture(session: Session, table: Any) -> None:
    """Compare decoders that differ in their heads alone; correlate the decay with depth."""
    by = table.groupby(["layers", "width", "heads"])["end_ratio"].mean().reset_index()
    by["fewest"] = by.groupby(["layers", "width"])["heads"].transform("min")
    by["most"] = by.groupby(["layers", "width"])["heads"].transform("max")
    differ = by[by["fewest"] < by["most"]].sort_values(["layers", "width"])
    for word, which in (("few", "fewest"), ("many", "most")):
        ratios = differ[differ["heads"] == differ[which]]["end_ratio"].to_numpy(float)
        session.measure(
            f"final_ratio_{word}_heads", ratios if len(ratios) else [np.nan], "x median"
        )
    models = list(dict.fromkeys(table["run"]))
    found = []
    for part in range(GROUPS):
        own: Any = table[table["run"].isin(models[part::GROUPS])]
        ranks = own[["paper_lam"]].assign(place=own["layer"] * own["layers"]).rank()
        found.append(float(np.corrcoef(ranks["paper_lam"], ranks["place"])[0, 1]))
    session.measure("decay_depth_correlation", found, "rho", bounds=(-1, 1))

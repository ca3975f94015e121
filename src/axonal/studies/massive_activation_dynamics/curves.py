"""Every curve of the study fitted in every way, and the predictor on their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from axonal.learning.massive import fit_emergence, fit_rival
from axonal.learning.massive.architecture import architecture_features
from axonal.learning.massive.prediction import ArchitecturePredictor
from axonal.studies.massive_activation_dynamics.trained import regular_steps
from axonal.studies.massive_activation_dynamics.validation import forecast_errors

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.massive_activation_dynamics.config import Config

RAW = ("A", "lam", "gamma", "t0", "K")
TARGETS = (*RAW, "t_peak", "peak_height", "end_value")
RIVALS = (
    "first-order",
    "second-order",
    "first-order + offset",
    "second-order + offset",
    "logarithm",
)
LATEST = 10.0  # peaks beyond ten trainings are all "never"
LARGEST = 1e12


def fit_all(runs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Fit every layer of every run; returns a column a quantity along ``curve``."""
    rows = []
    for name, run in runs.items():
        run = regular(run)
        for layer in run["layer"].to_numpy():
            series = run["ratio"].sel(layer=layer).to_numpy()
            rows.append({"run": name, "layer": int(layer), **_fit(run["step"].to_numpy(), series)})
            rows[-1] |= {key: run.attrs[key] for key in ("layers", "width", "heads", "mlp_width")}
            rows[-1]["null"] = float(run["null"].sel(layer=layer)[0])
            rows[-1]["start_ratio"], rows[-1]["end_ratio"] = float(series[0]), float(series[-1])
    table: Any = pd.DataFrame(rows)
    return xr.Dataset({name: ("curve", _plain(table[name])) for name in table.columns})


def regular(run: xr.Dataset) -> xr.Dataset:
    """Return a run at the regularly spaced steps alone; a tracked one has no others."""
    if run.attrs["group"] == "tracked":
        return run
    return run.sel(step=regular_steps(int(run["step"][-1]), int(run.attrs["points"])))


def _fit(steps: np.ndarray, ratios: np.ndarray) -> dict[str, Any]:
    fit, paper = fit_emergence(steps, ratios), fit_emergence(steps, ratios, method="paper")
    row: dict[str, Any] = {
        "regime": fit.regime,
        # A stationary point that is a minimum is no peak: such a curve rises to the end.
        "t_peak": fit.t_peak / steps[-1] if fit.sign > 0 else np.inf,
        "peak_height": fit.peak_height,
        "end_value": fit.end_value,
        "r2": fit.r2,
        "aic": fit.aic,
        "paper_r2": paper.r2,
        "condition": fit.condition,
        **fit.parameters,
        **{f"identified_{name}": value for name, value in fit.identified.items()},
        **{f"paper_{name}": value for name, value in paper.parameters.items()},
    }
    for name in RIVALS:
        rival = fit_rival(name, steps, ratios)
        row[f"r2 {name}"], row[f"aic {name}"] = rival.r2, rival.aic
    return {**row, **forecast_errors(steps, ratios)}


def predict_all(curves: xr.Dataset, config: Config, session: Session) -> xr.Dataset:
    """Predict parameters from architecture, scored on layers and on models left out.

    Raw parameters are those of the paper's own procedure, whose single starting point makes them
    comparable from layer to layer; peak and end are those of the full fit.
    """
    table: Any = curves.to_dataframe().reset_index(drop=True)
    X = architecture_features(table)
    Y = pd.DataFrame({name: table[f"paper_{name}"].clip(-LARGEST, LARGEST) for name in RAW})
    Y["t_peak"] = table["t_peak"].clip(0, LATEST)
    Y["peak_height"], Y["end_value"] = table["peak_height"], table["end_value"]
    # One model is one architecture: its seeds are left out together.
    groups = [f"{r.layers}/{r.width}/{r.heads}" for r in table.itertuples()]
    predictor = ArchitecturePredictor(
        config.regressors,
        splits=config.splits,
        trees=config.trees,
        seed=session.seed_for("predictor"),
    ).fit(X, Y, groups)
    random: Any = predictor.scores_random_split_
    left: Any = predictor.scores_leave_model_out_
    errors, importance = predictor.errors_by_model_, predictor.importance_
    by_split, left_r2 = [], []
    for target in TARGETS:
        own = (random["target"] == target) & (random["model"] == predictor.chosen_[target])
        by_split.append(random[own].sort_values("split")["r2"].to_numpy())
        left_r2.append(left[left["target"] == target].set_index("model")["r2"])
    wide = {
        name: errors.set_index(["target", "group"])[name].to_xarray().to_pandas().loc[list(TARGETS)]
        for name in ("error", "baseline")
    }
    permuted = importance.set_index(["target", "feature"])["importance"].to_xarray().to_pandas()
    permuted = permuted.loc[list(TARGETS), list(X.columns)]
    return xr.Dataset(
        {
            "random_split": (("target", "split"), np.stack(by_split)),
            "left_out": (
                "target",
                np.array([r[predictor.chosen_[t]] for r, t in zip(left_r2, TARGETS, strict=True)]),
            ),
            "left_out_error": (("target", "group"), wide["error"].to_numpy()),
            "left_out_baseline": (("target", "group"), wide["baseline"].to_numpy()),
            "importance": (("target", "feature"), permuted.to_numpy()),
            "chosen": ("target", np.array([predictor.chosen_[t] for t in TARGETS])),
        },
        coords={
            "target": list(TARGETS),
            "feature": list(X.columns),
            "group": wide["error"].columns.to_numpy(dtype=str),
        },
    )


def _plain(column: pd.Series) -> np.ndarray:
    """Return a column that netCDF can hold."""
    if column.dtype == bool:
        return column.to_numpy(dtype=np.int8)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy()
    return column.to_numpy(dtype=str)

r"""From rows of sequences to one number a layer and step.

The series that arXiv 2508.03616 models is a ratio of means over sequences (equation 8),

.. math:: r_\ell(t) = \overline{h_{max}} \,/\, \overline{h_{med}} ,

though the text next to its equation 7 has the mean of ratios too; they differ by a few per cent.
The standard error and the coefficient of variation are those of the ratios of single sequences (its
table 2).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from axonal.errors import InputError, nearest
from axonal.learning.massive.gaussian import ABOVE_NULL, null_ratio

AGGREGATES = ("ratio_of_means", "mean_of_ratios")


def aggregate(
    table: pd.DataFrame, how: Literal["ratio_of_means", "mean_of_ratios"] = "ratio_of_means"
) -> pd.DataFrame:
    """Average over sequences.

    Parameters
    ----------
    table
        Rows of `layer_statistics`, with or without a column ``step``.
    how
        Which ratio.

    Returns
    -------
    DataFrame
        A row for each step and layer: ``ratio``, ``sem`` and ``cv`` (NaN for a single sequence);
        the means ``top1`` ... and ``median``; ``null`` (the ratio of Gaussian numbers), ``over_null
        = ratio / null`` and ``above_null``; ``token`` and ``channel``, the most frequent place of
        the largest, with ``agreement``, the share of sequences that have their largest in that
        channel; ``massive``, the share that is so by the strict rule.
    """
    if how not in AGGREGATES:
        raise InputError(f"There is no aggregate {how!r}: {nearest(str(how), AGGREGATES)}")
    needed = {"layer", "top1", "median", "ratio", "scalars"}
    if missing := sorted(needed - set(table.columns)):
        raise InputError(
            f"The table lacks {', '.join(missing)}; expected the rows of layer_statistics."
        )
    keys = ["step", "layer"] if "step" in table.columns else ["layer"]
    tops = [name for name in table.columns if name.startswith("top") and name[3:].isdigit()]
    rows = []
    key: Any
    group: Any
    for key, group in table.groupby(keys, sort=True):
        count, ratios = len(group), group["ratio"].to_numpy(float)
        means = group[[*tops, "median"]].mean()
        ratio = means["top1"] / means["median"] if how == "ratio_of_means" else ratios.mean()
        spread = ratios.std(ddof=1) if count > 1 else np.nan
        null = float(np.mean([null_ratio(int(n)) for n in group["scalars"]]))
        channel, token = group["channel"].mode()[0], group["token"].mode()[0]
        rows.append(
            {
                **dict(zip(keys, map(int, np.atleast_1d(np.asarray(key))), strict=True)),
                "ratio": float(ratio),
                "sem": float(spread / np.sqrt(count)),
                "cv": float(spread / ratios.mean()),
                **{name: float(means[name]) for name in means.index},
                "null": null,
                "over_null": float(ratio / null),
                "above_null": bool(ratio > ABOVE_NULL * null),
                "token": int(token),
                "channel": int(channel),
                "agreement": float((group["channel"] == channel).mean()),
                "massive": float(group["massive"].mean()),
                "sequences": count,
            }
        )
    return pd.DataFrame(rows)


def layer_series(series: pd.DataFrame, layer: int) -> pd.DataFrame:
    """Return one layer's rows of an aggregated table, in the order of the steps."""
    if "step" not in series.columns:
        raise InputError("This table has no steps: it is of a single checkpoint.")
    found: Any = series[series["layer"] == layer]
    if found.empty:
        layers = sorted(series["layer"].unique())
        raise InputError(
            f"There is no layer {layer}; the table has layers {layers[0]} to {layers[-1]}."
        )
    return found.sort_values("step", ignore_index=True)


def fit_layers(series: pd.DataFrame, *, weighted: bool = False, **options: object) -> pd.DataFrame:
    """Fit every layer's curve: a row a layer, what is well determined first.

    Parameters
    ----------
    series
        ``step, layer, ratio`` (and ``sem``), as `track` returns it.
    weighted
        Weigh points by one over their squared standard error.
    options
        Of `fit_emergence`.
    """
    from axonal.learning.massive.fitting import fit_emergence

    rows = []
    for layer in sorted(series["layer"].unique()):
        one = layer_series(series, int(layer))
        sem = one["sem"] if weighted else None
        fit = fit_emergence(one["step"], one["ratio"], sem, **options)  # pyright: ignore[reportArgumentType]
        low, high = fit.intervals["t_peak"]
        rows.append(
            {
                "layer": int(layer),
                "regime": fit.regime,
                "t_peak": fit.t_peak,
                "t_peak_low": low,
                "t_peak_high": high,
                "peak_height": fit.peak_height,
                "end_value": fit.end_value,
                "r2": fit.r2,
                "aic": fit.aic,
                **fit.parameters,
                **{f"se_{name}": value for name, value in fit.standard_errors.items()},
                **{f"identified_{name}": value for name, value in fit.identified.items()},
            }
        )
    return pd.DataFrame(rows)

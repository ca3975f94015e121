"""Read scores: as a table, as the strongest components, and against exact activation patching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from axonal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MEASURES = ("pearson", "spearman", "mean_absolute_error", "slope")


def tidy(scores: xr.Dataset) -> pd.DataFrame:
    """Return one row a component: kind, pair, layer, position, token, head or neuron, score."""
    import pandas as pd

    tables = []
    for kind in scores.data_vars:
        table = scores[kind].rename("score").to_dataframe().reset_index().dropna(subset="score")
        table.insert(0, "kind", kind)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def compare(
    exact: xr.Dataset,
    estimates: Mapping[str, xr.Dataset],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare estimates with exact patching over all layers and positions, averaged over pairs.

    Parameters
    ----------
    exact
        What `activation_patching` returned; its pairs must share their positions' meaning.
    estimates
        Results of the other methods on the same pairs, by the name to show.
    level
        Of the intervals, which are percentiles over resampled pairs.
    resamples
        Bootstrap samples.
    seed
        Of the resampling.

    Returns
    -------
    pd.DataFrame
        A row for each kind and method with ``pearson``, ``spearman``, ``mean_absolute_error``,
        ``slope`` (of the estimate on the exact score: 1 is calibrated), each with ``_low`` and
        ``_high``; these are NaN for a single pair.
    """
    import pandas as pd

    rows = []
    pairs = exact.sizes["pair"]
    draws = np.random.default_rng(seed).integers(pairs, size=(resamples, pairs))
    weights = np.stack([np.bincount(draw, minlength=pairs) for draw in draws]) / pairs
    tails = [(1 - level) / 2, (1 + level) / 2]
    for kind in exact.data_vars:
        truth = exact[kind].to_numpy().reshape(pairs, -1)
        for name, scores in estimates.items():
            if kind not in scores:
                continue
            estimate = scores[kind].to_numpy().reshape(scores.sizes["pair"], -1)
            if estimate.shape != truth.shape:
                raise InputError(
                    f"{name} has {kind} scores of shape {scores[kind].shape}, exact patching "
                    f"{exact[kind].shape}: compare results for the same pairs and layers."
                )
            whole = np.isfinite(truth).all(axis=0) & np.isfinite(estimate).all(axis=0)
            t, e = truth[:, whole], estimate[:, whole]
            point = agreement(t.mean(0)[None], e.mean(0)[None])
            spread = agreement(weights @ t, weights @ e)
            row: dict[str, object] = {"kind": kind, "method": name}
            for measure in MEASURES:
                low, high = np.quantile(spread[measure], tails) if pairs > 1 else (np.nan, np.nan)
                row |= {
                    measure: point[measure][0],
                    f"{measure}_low": low,
                    f"{measure}_high": high,
                }
            rows.append(row)
    return pd.DataFrame(rows)


def agreement(exact: np.ndarray, estimate: np.ndarray) -> dict[str, np.ndarray]:
    """Return the measures of agreement of ``(maps, components)`` scores, ``(maps,)`` each."""
    from scipy.stats import rankdata

    residual = estimate - exact
    return {
        "pearson": _correlation(exact, estimate),
        "spearman": _correlation(rankdata(exact, axis=1), rankdata(estimate, axis=1)),
        "mean_absolute_error": np.abs(residual).mean(axis=1),
        "slope": _covariance(exact, estimate) / _covariance(exact, exact),
    }


def _covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    return (a * b).mean(axis=1)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):  # constant scores have no correlation
        return _covariance(a, b) / np.sqrt(_covariance(a, a) * _covariance(b, b))

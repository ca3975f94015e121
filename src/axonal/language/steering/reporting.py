"""Report a sweep: a table of its points, the front of behaviour against damage, a page."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import AxonalError, InputError
from axonal.statistics import estimate, wilson_interval

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D", "#7F3C8D")
_MARKS = "osD^vPX*"


def points(data: xr.Dataset, *, cap: float = 1.1) -> pd.DataFrame:
    """Return a row for each map, layer and strength of a sweep, largest gain first.

    Parameters
    ----------
    data
        What :func:`axonal.language.steering.sweep` returns.
    cap
        The perplexity ratio up to which a point is ``admitted``; degenerate ones are not.

    Returns
    -------
    DataFrame
        ``front`` marks points that no other beats in both gain and KL.
    """
    scalars = [name for name in data.data_vars if data[name].dims == ("map", "layer", "strength")]
    table: Any = data[scalars].to_dataframe().reset_index()
    table["kl"] = data["kl"].mean("text").to_series().to_numpy()
    by_point = data["behaviour"].transpose("map", "layer", "strength", "prompt").to_numpy()
    by_point = by_point.reshape(len(table), -1)
    intervals = [_interval(values) for values in by_point]
    table[["behaviour", "behaviour_low", "behaviour_high"]] = intervals
    table = table.dropna(subset=["gain"])
    table["admitted"] = (table["perplexity_ratio"] <= cap) & ~table["degenerate"].astype(bool)
    table["front"] = front(table["gain"].to_numpy(), table["kl"].to_numpy())
    order = ["map", "layer", "strength", "gain", "behaviour", "behaviour_low", "behaviour_high", "kl",
             "perplexity_ratio", "admitted", "front"]  # fmt: skip
    rest = [name for name in table.columns if name not in order]
    return table[order + rest].sort_values(
        ["gain", "move"], ascending=[False, True], ignore_index=True
    )


def front(gain: NDArray[Any], harm: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which points no other beats: more gain at no more harm, or less harm at no less gain."""
    more, less = gain[:, None] - gain[None, :], harm[:, None] - harm[None, :]
    beaten = ((more <= 0) & (less >= 0) & ((more < 0) | (less > 0))).any(axis=1)
    return np.asarray(~beaten)


def draw_front(data: xr.Dataset, *, cap: float = 1.1) -> Figure:
    """Draw gain against KL: a mark a point, its map by colour, the front as a line."""
    import matplotlib.pyplot as plt

    table: Any = points(data, cap=cap)
    figure, axes = plt.subplots(figsize=(6.2, 5.2), layout="constrained")
    floor = max(float(table["kl"].clip(lower=0).replace(0, np.nan).min()) / 2, 1e-6)
    for index, (name, part) in enumerate(table.groupby("map", sort=False)):
        axes.scatter(
            part["kl"].clip(lower=floor),
            part["gain"],
            s=np.where(part["admitted"], 46, 16),
            marker=_MARKS[index % len(_MARKS)],
            color=_COLOURS[index % len(_COLOURS)],
            alpha=0.85,
            linewidths=0,
            label=str(name),
            zorder=3,
        )
    best = table[table["front"]].sort_values("kl")
    axes.step(
        best["kl"].clip(lower=floor), best["gain"], where="post", color="#888888", lw=1, zorder=1
    )
    shown = best.iloc[np.unique(np.linspace(0, len(best) - 1, 4).astype(int))]
    for _, row in shown.iterrows():
        axes.annotate(
            f"{row['layer']} × {row['strength']:g}",
            (max(row["kl"], floor), row["gain"]),
            xytext=(-6, 6),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            color="#444444",
        )
    axes.axhline(0, color="#CCCCCC", lw=0.8, zorder=0)
    axes.axhline(1, color="#CCCCCC", lw=0.8, ls="--", zorder=0)
    axes.set_xscale("log")
    axes.set_xlabel(
        "damage: KL(own || steered) on neutral texts, nats\n"
        f"(large marks: perplexity ratio up to {cap:g}; labels: layer × strength)"
    )
    axes.set_ylabel("gain: 0 as the source, 1 as the target")
    title = f"Behaviour against damage, {data.attrs.get('model', '')}"
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=3)
    return figure


def write_report(data: xr.Dataset, folder: str | Path, *, cap: float = 1.1) -> Path:
    """Write ``sweep.nc``, ``points.csv``, ``front.svg``, ``front.png`` and ``report.html``."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, but the report is a folder.")
    table = points(data, cap=cap)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        data.to_netcdf(folder / "sweep.nc", engine="netcdf4")
        table.to_csv(folder / "points.csv", index=False)
        with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "front"}):
            figure = draw_front(data, cap=cap)
            figure.savefig(folder / "front.svg", metadata={"Date": None}, bbox_inches="tight")
            figure.savefig(folder / "front.png", dpi=160, bbox_inches="tight")
            plt.close(figure)
        page = _page(data, table, (folder / "front.svg").read_text(encoding="utf-8"), cap)
        (folder / "report.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise AxonalError(f"The report could not be written to {folder}: {error}.") from error
    return folder


def _page(data: xr.Dataset, table: pd.DataFrame, figure: str, cap: float) -> str:
    drawing = figure[figure.index("<svg") :]
    source, target = (float(data[f"{name}_behaviour"].mean()) for name in ("source", "target"))
    facts = {
        "model": data.attrs.get("model", ""),
        "fitted on": data.attrs.get("fitted_on", ""),
        "applied to": data.attrs.get("applied_to", ""),
        "behaviour of source": f"{source:.4g}",
        "behaviour of target": f"{target:.4g}",
        "quality cap": f"perplexity ratio {cap:g}",
    }
    listed = "".join(
        f"<tr><th>{k}</th><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items()
    )
    rows = table.to_html(index=False, float_format=lambda x: f"{x:.4g}", border=0)
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Steering sweep</title>"
        "<meta name='viewport' content='width=device-width'><style>body{font:15px/1.5 system-ui,"
        "sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}table{border-collapse:"
        "collapse;font-size:13px}th,td{padding:.25rem .6rem;text-align:left;border-bottom:1px solid "
        "#ddd}svg{max-width:100%;height:auto}.wide{overflow-x:auto}</style>"
        f"<h1>Behaviour against damage</h1><table>{listed}</table>{drawing}"
        f"<h2>Every point</h2><div class='wide'>{rows}</div></html>"
    )


def _interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean and 95 % interval: Wilson's for rates, Student's otherwise."""
    if not np.isfinite(values).all():
        return (np.nan, np.nan, np.nan)
    if np.isin(values, (0.0, 1.0)).all():
        rate = wilson_interval(int(values.sum()), len(values))
        return rate.value, rate.low, rate.high
    if len(values) < 2:
        return (float(values.mean()), np.nan, np.nan)
    found = estimate(values)
    return found.mean, found.low, found.high

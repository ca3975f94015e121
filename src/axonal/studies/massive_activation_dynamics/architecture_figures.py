"""The pictures over many models: heat maps, the surface of peaks, what architecture foretells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from axonal.lab.figures import PALETTE
from axonal.learning.massive import stationary_x

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = {
    "lam": "λ",
    "gamma": "γ",
    "t0": "t0",
    "A": "A",
    "K": "K",
    "t_peak": "time of\npeak",
    "peak_height": "peak\nheight",
    "end_value": "end\nvalue",
}
SURFACE_T0 = 1.2


def heat_maps(fits: xr.Dataset) -> Figure:
    """Peak ratio, peak time and R² by layer and training."""
    names = list(dict.fromkeys(fits["run"].to_numpy().astype(str)))
    depth = int(fits["layer"].max())
    figure, axes = plt.subplots(3, 1, figsize=(7.2, 7.4), sharex=True)
    panels = {
        "peak_height": ("greatest ratio", "viridis", None, None),
        "t_peak": ("time of the peak (1: end of training)", "cividis", 0, 10),
        "r2": ("R² of the fit", "magma", 0.8, 1),
    }
    for axis, (quantity, (title, colours, low, high)) in zip(axes, panels.items(), strict=True):
        grid = np.full((depth, len(names)), np.nan)
        rows = zip(
            fits["run"].to_numpy().astype(str),
            fits["layer"].to_numpy(),
            fits[quantity].to_numpy(),
            strict=True,
        )
        for run, layer, value in rows:
            grid[int(layer) - 1, names.index(run)] = value
        if quantity == "t_peak":
            grid = np.where(np.isnan(grid), np.nan, np.clip(grid, 0, 10))
        image = axis.imshow(
            grid,
            cmap=colours,
            vmin=low,
            vmax=high,
            aspect="auto",
            origin="lower",
            interpolation="nearest",
        )
        axis.set_yticks(
            range(0, depth, max(1, depth // 6)), range(1, depth + 1, max(1, depth // 6))
        )
        axis.set(title=title, ylabel="layer")
        figure.colorbar(image, ax=axis, pad=0.01)
    axes[-1].set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    return figure


def peak_surface() -> Figure:
    """t_peak over decay and time scale; masked where no peak lies in training."""
    figure, axis = plt.subplots(figsize=(5.8, 3.9))
    lam, reach = np.geomspace(1e-3, 30, 220), np.geomspace(0.3, 300, 200)
    x = np.array([stationary_x(float(value)) for value in lam])
    when = (x[:, None] - SURFACE_T0) / reach[None, :]
    shown = np.where((when > 0) & (when <= 1), when, np.nan)
    image = axis.pcolormesh(reach, lam, shown, cmap="viridis", vmin=0, vmax=1, rasterized=True)
    axis.contour(
        reach,
        lam,
        when,
        levels=[0, 0.42, 1],
        colors=["#222222", "#FFFFFF", "#222222"],
        linewidths=1,
    )
    axis.set_facecolor("#EEEEEE")
    axis.set(
        xscale="log", yscale="log", xlabel="time scale γT (over all of training)", ylabel="decay λ"
    )
    axis.text(0.03, 0.05, "still rising at the end", transform=axis.transAxes, fontsize=9)
    axis.text(0.97, 0.95, "only falls", transform=axis.transAxes, fontsize=9, ha="right", va="top")
    figure.colorbar(image, ax=axis, label="time of the peak, share of training")
    return figure


def prediction(predicted: xr.Dataset) -> Figure:
    """R² on random layers and on architectures left out."""
    figure, axis = plt.subplots(figsize=(6.6, 3.7))
    targets = predicted["target"].to_numpy().astype(str)
    split = predicted["random_split"].to_numpy()
    places = np.arange(len(targets))
    bars = {
        "layers held out at random": (split.mean(1), PALETTE[0], -0.2),
        "architectures held out": (predicted["left_out"].to_numpy(), PALETTE[1], 0.2),
    }
    for label, (values, colour, shift) in bars.items():
        axis.bar(places + shift, np.maximum(values, -1), 0.36, color=colour, label=label)
    for place, values in zip(places, split, strict=True):
        axis.plot(
            np.full(len(values), place - 0.2),
            np.maximum(values, -1),
            ".",
            color="#222222",
            markersize=4,
        )
    axis.axhline(0, color="#888888", linewidth=0.8)
    axis.set_xticks(places, [WORDS.get(str(t), str(t)) for t in targets])
    axis.set(ylabel="R²", ylim=(-1.05, 1.05))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def importance(predicted: xr.Dataset) -> Figure:
    """Permutation importance of features by target."""
    figure, axis = plt.subplots(figsize=(6.4, 4.2))
    values = predicted["importance"].to_numpy()
    image = axis.imshow(values.T, cmap="viridis", aspect="auto", vmin=0, interpolation="nearest")
    targets = predicted["target"].to_numpy().astype(str)
    axis.set_xticks(range(len(targets)), [WORDS.get(str(t), str(t)) for t in targets])
    axis.set_yticks(range(values.shape[1]), predicted["feature"].to_numpy().astype(str))
    figure.colorbar(image, ax=axis, label="loss of R² when permuted")
    return figure

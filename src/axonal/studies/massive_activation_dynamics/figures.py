"""The pictures that a reader of the paper expects: the language model, the curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from axonal.lab.figures import PALETTE, style
from axonal.learning.massive import fit_emergence
from axonal.studies.massive_activation_dynamics import architecture_figures
from axonal.studies.massive_activation_dynamics.curves import regular

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axonal.lab import Session

Runs = Mapping[str, xr.Dataset]
SHOWN_LAYERS = 6


def draw(
    session: Session, read: xr.Dataset, runs: Runs, fits: xr.Dataset, predicted: xr.Dataset
) -> None:
    """Draw and save every figure."""
    layer, channel = read.attrs["spike_layer"], read.attrs["spike_channel"]
    with style():
        session.figure(
            "spike",
            wireframe(read),
            caption=f"Absolute activations after block {layer} of the language model: tokens by the "
            f"channels around {channel}. One scalar stands out; everything else is the floor.",
            alt="A three-dimensional wireframe that is flat but for a single spike at the first "
            "tokens.",
        )
        session.figure(
            "layers",
            by_layer(read),
            caption="The three largest activations and the median of every layer, means over texts, "
            "bands from the least to the greatest text; dashed: what Gaussian numbers give.",
            alt="Four lines against layer on a logarithmic axis: the largest activation jumps by "
            "orders of magnitude in few layers and falls at the end, while the median rises slowly.",
        )
        session.figure(
            "causal",
            causal(read),
            caption="Perplexity with the largest scalar untouched, set to zero, set to its mean over "
            "other texts, and with a scalar of median size set to zero; dots are texts.",
            alt="Four bars on a logarithmic axis; only setting the massive scalar to zero raises "
            "perplexity.",
        )
        session.figure(
            "curves",
            curves(_shown(runs)),
            caption="Ratio of the largest activation to the median over training, by layer, with the "
            "fitted curve and its 95 % band for an observation; dotted: the level of Gaussian "
            "numbers. Fits use the regularly spaced steps; the early ones are only shown.",
            alt="Two panels, training step on a linear and on a logarithmic axis: dots for each "
            "layer with a smooth curve through them that dips, then rises.",
        )
        session.figure(
            "contrasts",
            contrasts(runs),
            caption="The largest layer's ratio in several trainings, with the attention that heads "
            "pay to the first token in the main one (right axis, dashed).",
            alt="Lines of ratio against step; the main training rises far above the Gaussian level, "
            "one with weight decay rises less, one on bytes stays near it.",
        )
        session.figure(
            "models",
            architecture_figures.heat_maps(fits),
            caption="Greatest ratio, time of the peak (10 and later: still rising) and R² of every "
            "layer of every training.",
            alt="Three heat maps of layer against training.",
        )
        session.figure(
            "surface",
            architecture_figures.peak_surface(),
            caption="When the curve peaks, as a share of training, by its decay and time scale for "
            "an offset t0 = 1.2 (equation 13). Below the lower line the peak lies after the end of "
            "training, above the upper one before its start.",
            alt="A coloured map over decay and time scale on logarithmic axes with masked corners.",
        )
        session.figure(
            "prediction",
            architecture_figures.prediction(predicted),
            caption="R² of parameters predicted from architecture, on layers held out at random and "
            "on whole architectures held out; below 0 the mean predicts better (cut at -1).",
            alt="Pairs of bars for each parameter; those of architectures left out are shorter.",
        )
        session.figure(
            "importance",
            architecture_figures.importance(predicted),
            caption="How much R² of the fit is lost when one feature is permuted.",
            alt="A heat map of features against parameters.",
        )


def wireframe(read: xr.Dataset) -> Figure:
    """Absolute activations over tokens and channels."""
    figure = plt.figure(figsize=(5.6, 4.0))
    axis: Any = figure.add_subplot(projection="3d")
    surface = read["surface"].to_numpy()
    tokens, channels = np.arange(surface.shape[0]), read["channel_shown"].to_numpy()
    grid = np.meshgrid(channels, tokens)
    axis.plot_wireframe(*grid, surface, color=PALETTE[0], linewidth=0.7, rcount=24, ccount=64)
    axis.set(xlabel="channel", ylabel="token")
    axis.set_title(f"|activation|, greatest {surface.max():,.0f}", y=0.96)
    axis.view_init(elev=22, azim=-60)
    axis.set_box_aspect(None, zoom=0.95)
    return figure


def by_layer(read: xr.Dataset) -> Figure:
    """Largest activations and median by layer."""
    figure, axis = plt.subplots(figsize=(5.8, 3.8))
    layers = read["layer"].to_numpy()
    words = {"top1": "largest", "top2": "second", "top3": "third", "median": "median"}
    for colour, (name, label) in zip((*PALETTE[:3], PALETTE[6]), words.items(), strict=True):
        values = read[name].to_numpy()
        axis.plot(layers, values.mean(1), "o-", color=colour, markersize=3, label=label)
        axis.fill_between(
            layers, values.min(1), values.max(1), color=colour, alpha=0.15, linewidth=0
        )
    gauss = read["median"].mean("text") * read["null"]
    axis.plot(
        layers, gauss, "--", color="#888888", linewidth=1, label="largest of Gaussian numbers"
    )
    axis.set(yscale="log", xlabel="after block", ylabel="|activation|")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def causal(read: xr.Dataset) -> Figure:
    """Perplexity under the interventions."""
    figure, axis = plt.subplots(figsize=(5.2, 3.4))
    words = {
        "none": "untouched",
        "zero": "set to\nzero",
        "mean": "set to\nits mean",
        "control": "median-size\nscalar to zero",
    }
    for place, (name, label) in enumerate(words.items()):
        loss = read["loss"].sel(condition=name).to_numpy()
        height = float(np.exp(loss.mean()))
        axis.bar(place, height, 0.6, color=PALETTE[1 if name == "zero" else 0], label=label)
        spread = np.linspace(-0.15, 0.15, len(loss))
        axis.plot(place + spread, np.exp(loss), "o", color="#222222", markersize=2.5)
        axis.annotate(
            f"{height:,.4g}",
            (place, max(height, np.exp(loss).max())),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    axis.set_xticks(range(len(words)), list(words.values()))
    axis.set(yscale="log", ylabel="perplexity")
    low, high = axis.get_ylim()
    axis.set_ylim(max(1, low), high * 3)
    return figure


def curves(run: xr.Dataset) -> Figure:
    """Every layer's points, fit and band on linear and logarithmic time."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.7), sharey=True)
    fitted, steps = regular(run), run["step"].to_numpy()
    layers = run["layer"].to_numpy()
    layers = layers[np.unique(np.linspace(0, len(layers) - 1, SHOWN_LAYERS).astype(int))]
    for axis, scale in zip(axes, ("linear", "log"), strict=True):
        dense = (
            np.linspace(0, steps[-1], 300)
            if scale == "linear"
            else np.geomspace(1, steps[-1] + 1, 300) - 1
        )
        shift = 1 if scale == "log" else 0  # step 0 has no logarithm
        for colour, layer in zip(PALETTE, layers, strict=False):
            ratio = run["ratio"].sel(layer=layer).to_numpy()
            fit = fit_emergence(fitted["step"].to_numpy(), fitted["ratio"].sel(layer=layer))
            told = fit.forecast(dense)
            at = told["step"] + shift
            axis.plot(steps + shift, ratio, "o", color=colour, markersize=3, alpha=0.7)
            axis.plot(at, told["ratio"], color=colour, label=f"layer {layer}")
            axis.fill_between(at, told["low"], told["high"], color=colour, alpha=0.12, linewidth=0)
        axis.axhline(float(run["null"].mean()), color="#888888", linestyle=":", linewidth=1)
        axis.set(xscale=scale, xlabel="step" if scale == "linear" else "step + 1")
    axes[0].set_ylabel("largest / median")
    axes[0].set_ylim(bottom=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(layers))
    return figure


def contrasts(runs: Runs) -> Figure:
    """The largest layer's ratio in the main trainings and in others."""
    figure, axis = plt.subplots(figsize=(5.8, 3.9))
    words = {"decayed": "with weight decay 1", "bytes": "bytes of Python source"}
    colours = {"decayed": PALETTE[1], "bytes": PALETTE[2]}
    seen = False
    for name, run in runs.items():
        group = run.attrs["group"]
        if group == "architecture":
            continue
        label = words.get(name, name if group == "tracked" else "" if seen else "main, three seeds")
        seen = seen or group == "main"
        axis.plot(
            run["step"],
            run["ratio"].max("layer"),
            color=colours.get(name, PALETTE[0]),
            label=label or None,
        )
    main = next((run for run in runs.values() if run.attrs["group"] == "main"), None)
    if main is not None:
        axis.axhline(float(main["null"].mean()), color="#888888", linestyle=":", linewidth=1)
        right = axis.twinx()
        right.plot(main["step"], main["sink_importance"], "--", color=PALETTE[6], linewidth=1.2)
        right.set(ylabel="attention to the first token", ylim=(0, 1))
        right.spines["right"].set_visible(True)
    axis.set(xlabel="step", ylabel="largest / median, greatest layer")
    axis.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _shown(runs: Runs) -> xr.Dataset:
    tracked = [run for run in runs.values() if run.attrs["group"] == "tracked"]
    return tracked[0] if tracked else next(iter(runs.values()))

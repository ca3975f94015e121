"""The pictures that a reader of the paper expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.ticker import LogLocator

from axonal.lab.figures import PALETTE, style
from axonal.statistics import estimate
from axonal.studies.relevance_patching.measures import (
    CIRCUIT_METHODS,
    INPUT_IG,
    KINDS,
    NODE_IG,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axonal.lab import Session

TITLES = {
    "residual_pre": "Residual stream",
    "attention": "Attention outputs",
    "mlp": "MLP outputs",
}
SHOWN = {
    "exact": "activation patching (exact)",
    "attribution": "attribution patching",
    "relevance": "relevance patching",
}
COLOURS = {
    "relevance": PALETTE[0],
    "attribution": PALETTE[1],
    NODE_IG: PALETTE[2],
    INPUT_IG: PALETTE[3],
    "random": PALETTE[6],
}


def draw(
    session: Session,
    ioi: Sequence[xr.Dataset],
    circuits: Sequence[xr.Dataset],
    rules: xr.Dataset,
) -> None:
    """Draw and save every figure."""
    with style():
        session.figure(
            "maps",
            maps(ioi[0]),
            caption="Scores of every layer and position, averaged over the first batch: exact, and "
            "as two methods estimate them. 1 restores the clean answer; each row has one scale.",
            alt="Nine heat maps of layer against token: residual stream, attention and MLP outputs "
            "by activation, attribution and relevance patching. Relevance patching's maps look "
            "like the exact ones; attribution patching's are paler or noisy.",
        )
        session.figure(
            "scatter",
            scatter(ioi),
            caption="Estimated against exact scores, a point for each layer and position of every "
            "batch; on the grey line an estimate is exact.",
            alt="Three scatter plots of estimated against exact scores, with Pearson's r and slope "
            "of attribution and relevance patching.",
        )
        session.figure(
            "methods",
            methods(ioi),
            caption="Pearson correlation with activation patching over layers and positions; bars "
            "span the 95 % interval over batches of prompts.",
            alt="Correlations of several methods with activation patching at three kinds of "
            "component.",
        )
        session.figure(
            "circuits",
            circuit_curves(circuits),
            caption="Circuits of heads and neurons: the share of the behaviour that they carry "
            "(left) and that is left without them (right), on fresh prompts; bands span the "
            "repeats.",
            alt="Two line plots against circuit size: faithfulness rises to 1, and what is left "
            "falls to 0.",
        )
        session.figure(
            "conservation",
            conservation(rules),
            caption="Relevance in the residual stream that enters each layer, as a share of the "
            "logit difference. It is conserved only when attention patterns are held constant too.",
            alt="Sums of relevance by layer for three sets of rules; the conservative set is a "
            "flat line at 1.",
        )
        session.figure(
            "cost",
            cost(ioi),
            caption="What a correlation with activation patching at MLP outputs costs: CPU seconds "
            "for the maps of all three kinds, for a prompt. Exact patching has r = 1 by definition.",
            alt="Scatter plot of correlation against seconds for every method.",
        )


def maps(batch: xr.Dataset) -> Figure:
    """Heat maps of layer and position: kinds down, methods across."""
    figure, axes = plt.subplots(3, 3, figsize=(7.2, 8.2), sharex=True, sharey=True)
    tokens = batch["token"].to_numpy()
    image: Any = None
    for row, kind in enumerate(KINDS):
        limit = float(abs(batch["maps"].sel(kind=kind, shown="exact")).max())
        for column, (shown, title) in enumerate(SHOWN.items()):
            axis = axes[row, column]
            image = axis.imshow(
                batch["maps"].sel(kind=kind, shown=shown).to_numpy(),
                cmap="RdBu_r",
                vmin=-limit,
                vmax=limit,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
            )
            axis.spines[:].set_visible(True)
            if row == 0:
                axis.set_title(title.replace(" (exact)", "\n(exact)").replace(" p", "\np", 1))
            if row == 2:
                axis.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=8)
            if column == 0:
                axis.set_ylabel(f"{TITLES[kind]}\nlayer")
                marks = np.linspace(0, batch.sizes["layer"] - 1, min(4, batch.sizes["layer"]))
                marks = marks.astype(int)
                axis.set_yticks(marks, batch["layer"].to_numpy()[marks])
        figure.colorbar(image, ax=axes[row], shrink=0.85, pad=0.02, label="score")
    return figure


def scatter(batches: Sequence[xr.Dataset]) -> Figure:
    """Estimated against exact, a panel a kind."""
    figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.1))
    for axis, kind in zip(axes, KINDS, strict=True):
        points = {
            shown: np.concatenate(
                [b["maps"].sel(kind=kind, shown=shown).to_numpy().ravel() for b in batches]
            )
            for shown in SHOWN
        }
        exact = points["exact"]
        span = [exact.min(), exact.max()]
        axis.plot(span, span, color="#BBBBBB", linewidth=1, zorder=0)
        for shown in ("attribution", "relevance"):
            r = np.corrcoef(exact, points[shown])[0, 1]
            slope = np.polyfit(exact, points[shown], 1)[0]
            axis.scatter(
                exact,
                points[shown],
                s=7,
                alpha=0.6,
                linewidths=0,
                color=COLOURS[shown],
                label=f"{shown}: r = {r:.2f}, slope {slope:.2f}",
            )
        axis.set_title(TITLES[kind])
        axis.set_xlabel("exact score")
        axis.legend(
            fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.22), handletextpad=0.1
        )
    axes[0].set_ylabel("estimated score")
    return figure


def methods(batches: Sequence[xr.Dataset]) -> Figure:
    """Pearson's r of every method, a panel a kind."""
    figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.4), sharey=True, sharex=True)
    names = batches[0]["estimator"].to_numpy().tolist()[::-1]
    for axis, kind in zip(axes, KINDS, strict=True):
        for place, method in enumerate(names):
            values = _pearson(batches, method, kind)
            if np.isnan(values).any():
                continue
            interval = estimate(values)
            colour = COLOURS.get(method, PALETTE[6])
            low, high = max(interval.low, -1), min(interval.high, 1)  # no r lies beyond
            axis.plot([low, high], [place, place], color=colour, linewidth=2.5)
            axis.plot(interval.mean, place, "o", color=colour, markersize=6)
        axis.set_title(TITLES[kind])
        axis.grid(axis="x")
        axis.set_axisbelow(True)
    axes[0].set_yticks(
        range(len(names)), [name.replace("gradients of", "gradients\nof") for name in names]
    )
    axes[1].set_xlabel("Pearson correlation with activation patching")
    return figure


def circuit_curves(circuits: Sequence[xr.Dataset]) -> Figure:
    """Faithfulness and completeness against circuit size."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4))
    sizes = circuits[0]["size"].to_numpy()
    panels = {"faithfulness": "circuit alone, F(C)", "completeness": "without it, F(M \\ C)"}
    for axis, (quantity, title) in zip(axes, panels.items(), strict=True):
        ideal = 1 if quantity == "faithfulness" else 0
        axis.axhline(ideal, color="#BBBBBB", linewidth=1, zorder=0)
        for method in CIRCUIT_METHODS:
            curves = np.stack([c[quantity].sel(estimator=method).to_numpy() for c in circuits])
            axis.plot(sizes, curves.mean(0), "o-", color=COLOURS[method], label=method)
            axis.fill_between(
                sizes, curves.min(0), curves.max(0), color=COLOURS[method], alpha=0.12, linewidth=0
            )
        axis.set(title=title, xlabel="heads and neurons in the circuit", xscale="log")
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45)
        axis.minorticks_off()
    axes[0].set_ylabel("share of the behaviour")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8.5)
    return figure


def conservation(rules: xr.Dataset) -> Figure:
    """Relevance by layer as a share of the metric."""
    figure, axis = plt.subplots(figsize=(5.6, 3.4))
    words = {
        "conservative": "with attention rule (conservative)",
        "relp": "relevance patching's rules",
        "none": "gradient times activation",
    }
    colours = {"conservative": PALETTE[2], "relp": PALETTE[0], "none": PALETTE[1]}
    for preset in rules["preset"].to_numpy():
        line = (rules["share"] + rules["biases"]).sel(preset=preset)
        axis.plot(
            rules["layer"], line, "o-", color=colours[preset], markersize=3, label=words[preset]
        )
    axis.set(xlabel="layer whose input is summed", ylabel="share of the logit difference")
    axis.legend()
    return figure


def cost(batches: Sequence[xr.Dataset]) -> Figure:
    """Correlation at MLP outputs against seconds for a prompt."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    prompts = batches[0].attrs["prompts"]
    for method in ("attribution", "relevance", INPUT_IG, NODE_IG):
        seconds = np.mean([float(b["seconds"].sel(estimator=method)) for b in batches]) / prompts
        r = _pearson(batches, method, "mlp").mean()
        axis.plot(seconds, r, "o", color=COLOURS[method])
        words = f"{method}\n(MLP outputs only)" if method == NODE_IG else method
        axis.annotate(
            words, (seconds, r), xytext=(6, -4), textcoords="offset points", va="top", fontsize=8
        )
    exact = np.mean([float(b["exact_seconds"]) for b in batches]) / prompts
    axis.plot(exact, 1, "s", color="#222222", markersize=10, fillstyle="none")
    axis.annotate(
        "activation patching",
        (exact, 1),
        xytext=(0, 9),
        textcoords="offset points",
        ha="center",
        fontsize=8,
    )
    axis.set(xscale="log", xlabel="CPU seconds for a prompt", ylabel="Pearson r at MLP outputs")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    low, high = axis.get_xlim()
    axis.set_xlim(low, high * 4)
    return figure


def _pearson(batches: Sequence[xr.Dataset], method: str, kind: str) -> np.ndarray:
    at = {"estimator": method, "kind": kind, "measure": "pearson"}
    return np.array([float(batch["agreement"].sel(at)) for batch in batches])

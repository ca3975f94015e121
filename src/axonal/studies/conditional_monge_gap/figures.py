"""The pictures that a reader of the paper expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from axonal.lab.figures import PALETTE, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axonal.lab import Session

NAMES = {
    "descriptors": "molecules",
    "effects": "effects",
    "no_gap": "no gap (λ=0)",
    "means": "means only",
    "specific": "own map",
    "identity": "untreated",
    "mean_shift": "mean shift",
    "gaussian_map": "Gaussian map",
    "nearest": "nearest",
    "floor": "two samples",
    "map": "conditional map",
}
MEASURES = {"mmd": "MMD", "wasserstein": "Wasserstein", "r2": "R²"}


def draw(
    session: Session,
    doses: Sequence[xr.Dataset],
    screens: Sequence[xr.Dataset],
    sizes: Sequence[xr.Dataset],
) -> None:
    """Draw and save every figure."""
    with style():
        session.figure(
            "dose_response",
            dose_response(doses),
            caption="GFP of real yeast cells by dose: the median and the range of four fifths of the "
            "cells, measured (grey) and as the map predicts them from untreated cells. Filled points "
            "were trained on.",
            alt="Fluorescence against dose. Predicted medians follow the measured sigmoid between "
            "the trained doses and leave it beyond the largest one.",
        )
        session.figure(
            "doses",
            dose_distances(doses),
            caption="Exact Wasserstein distance of predicted to measured cells by dose, mean over "
            "trainings; vertical lines are trained doses.",
            alt="Distances by dose for several models; the conditional map lies near the two-sample "
            "floor between trained doses.",
        )
        session.figure(
            "unseen",
            models(screens),
            caption="Unseen drugs (filled) and unseen cells of trained drugs (open), each point the "
            "mean over treatments of one simulated screen. Effect vectors know the drug's own cells.",
            alt="Three panels of MMD, Wasserstein distance and R² for ten ways of predicting.",
        )
        session.figure(
            "cells",
            populations(screens[0]),
            caption="Held-out drugs at their largest dose, in the first two principal components: "
            "untreated cells, those measured and those predicted from the drug's molecule; arrows "
            "show where the map takes some cells.",
            alt="Scatter plots of three populations for each held-out drug.",
        )
        session.figure(
            "drugs",
            per_drug(screens),
            caption="MMD of each held-out treatment: the conditional map against a model of means; "
            "below the line the map is nearer.",
            alt="Scatter plot of MMD of two models, most points below the diagonal.",
        )
        session.figure(
            "effects",
            effect_map(screens[0]),
            caption="Vectors of effects (first two axes of ten), a point a drug and dose; larger points "
            "are larger doses.",
            alt="Scatter plot of treatments, coloured by mechanism.",
        )
        if sizes:
            session.figure(
                "scaling",
                scaling(sizes),
                caption="How much better R² is on unseen drugs with vectors of effects than with "
                "molecules, by the number of training drugs; a line a screen.",
                alt="The gap in R² against the number of training drugs.",
            )
        if "by_epsilon" in screens[0]:
            session.figure(
                "epsilon",
                epsilons(screens[0]),
                caption="Measures on unseen drugs by the entropy of the fit, on the first screen. Large "
                "entropies blur: predicted spreads are wrong.",
                alt="Error of spread and Wasserstein distance against epsilon.",
            )


def dose_response(doses: Sequence[xr.Dataset]) -> Figure:
    """Quantiles of GFP by dose."""
    first = doses[0]
    figure, axis = plt.subplots(figsize=(5.6, 3.8))
    x = first["dose"].to_numpy()
    for number, (shown, colour) in enumerate(
        zip(("measured", "predicted"), ("#777777", PALETTE[0]), strict=True)
    ):
        q = np.mean([d["quantiles"].sel(shown=shown).to_numpy() for d in doses], axis=0)
        place = x * (1 + 0.04 * (2 * number - 1))
        axis.vlines(place, q[:, 0], q[:, 2], color=colour, alpha=0.45, linewidth=3)
        trained = (first["kind"] == "trained").to_numpy()
        axis.plot(place, q[:, 1], color=colour, linewidth=1, label=shown)
        axis.plot(place[trained], q[trained, 1], "o", color=colour)
        axis.plot(place[~trained], q[~trained, 1], "o", color=colour, markerfacecolor="white")
    measured = first["quantiles"].sel(shown="measured").to_numpy()
    axis.set(
        xscale="log",
        xlabel="isopentenyladenine (µM)",
        ylabel="GFP (sd of control)",
        ylim=(measured.min() - 1.5, measured.max() * 1.8),
    )
    axis.legend(loc="upper left")
    return figure


def dose_distances(doses: Sequence[xr.Dataset]) -> Figure:
    """W1 by dose and model."""
    figure, axis = plt.subplots(figsize=(5.8, 3.8))
    x = doses[0]["dose"].to_numpy()
    shown = ("map", "no_gap", "means", "gaussian_map", "nearest", "identity", "floor")
    colours = (*PALETTE[:5], "#BBBBBB", "black")
    for model, colour in zip(shown, colours, strict=True):
        y = np.mean([d["distance"].sel(model=model).to_numpy() for d in doses], axis=0)
        axis.plot(
            x, y, color=colour, label=NAMES[model], linestyle="--" if model == "floor" else "-"
        )
    for dose in x[(doses[0]["kind"] == "trained").to_numpy()]:
        axis.axvline(dose, color="#EEEEEE", zorder=0)
    axis.set(
        xscale="log", yscale="log", xlabel="isopentenyladenine (µM)", ylabel="W₁ (sd of control)"
    )
    _few_ticks(axis.yaxis)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8.5)
    return figure


def models(screens: Sequence[xr.Dataset]) -> Figure:
    """Measures of every model, unseen and seen."""
    order = list(screens[0]["model"].to_numpy())
    figure, axes = plt.subplots(1, 3, figsize=(7.4, 3.9), sharey=True)
    for axis, (measure, title) in zip(axes, MEASURES.items(), strict=True):
        for kind, face in (("unseen", True), ("seen", False)):
            for row, model in enumerate(order):
                values = [float(s[kind].sel(model=model, measure=measure).mean()) for s in screens]
                colour = _colour(model)
                axis.plot(
                    values,
                    np.full(len(values), row + (0.14 if face else -0.14)),
                    "o",
                    color=colour,
                    markerfacecolor=colour if face else "white",
                    markersize=5,
                )
        axis.set_title(title)
        axis.grid(axis="y", color="#EEEEEE")
        if measure == "mmd":
            axis.set_xscale("log")
            _few_ticks(axis.xaxis)
    axes[0].set_yticks(range(len(order)), [NAMES[model] for model in order])
    axes[0].invert_yaxis()
    return figure


def populations(screen: xr.Dataset) -> Figure:
    """Untreated, measured and predicted cells of each held-out drug."""
    names = screen["shown"].to_numpy()
    columns = 3
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(7.2, 2.6 * rows), sharex=True, sharey=True)
    control = screen["shown_control"].to_numpy()
    flat: Any = np.atleast_1d(axes).ravel()
    for axis, name in zip(flat, names, strict=False):
        measured = screen["shown_measured"].sel(shown=name).to_numpy()
        predicted = screen["shown_predicted"].sel(shown=name).to_numpy()
        axis.plot(*control.T, ".", color="#CCCCCC", markersize=4, label="untreated")
        axis.plot(*measured.T, ".", color=PALETTE[1], markersize=4, label="measured")
        axis.plot(*predicted.T, ".", color=PALETTE[0], markersize=4, label="predicted")
        some = slice(None, None, 10)
        step = predicted - control
        axis.quiver(
            *control[some].T,
            *step[some].T,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.004,
            color="#444444",
            alpha=0.7,
        )
        axis.set_title(name.replace("_", " ").rsplit("-", 1)[0], fontsize=9)
        axis.set(xticks=[], yticks=[])
    for axis in flat[len(names) :]:
        axis.axis("off")
    handles, labels = flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, markerscale=2.5)
    return figure


def per_drug(screens: Sequence[xr.Dataset]) -> Figure:
    """MMD of each held-out treatment: map against means."""
    figure, axis = plt.subplots(figsize=(4.4, 4.0))
    both = []
    for screen in screens:
        mmd = screen["unseen"].sel(measure="mmd")
        both.append((mmd.sel(model="means").to_numpy(), mmd.sel(model="descriptors").to_numpy()))
    means, maps = np.concatenate(both, axis=1)
    low, high = min(means.min(), maps.min()) * 0.8, max(means.max(), maps.max()) * 1.25
    axis.plot([low, high], [low, high], color="#AAAAAA", linewidth=1)
    axis.plot(means, maps, "o", color=PALETTE[0], alpha=0.7)
    axis.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(low, high),
        xlabel="MMD, model of means",
        ylabel="MMD, conditional Monge map",
    )
    for one in (axis.xaxis, axis.yaxis):
        _few_ticks(one)
    return figure


def effect_map(screen: xr.Dataset) -> Figure:
    """The map of effects, coloured by mechanism."""
    figure, axis = plt.subplots(figsize=(5.2, 3.8))
    points, doses = screen["effect_map"].to_numpy(), screen["effect_dose"].to_numpy()
    mechanisms = screen["effect_mechanism"].to_numpy()
    sizes = 12 + 40 * np.searchsorted(np.unique(doses), doses)
    for colour, mechanism in zip(PALETTE, sorted(set(mechanisms)), strict=False):
        rows = mechanisms == mechanism
        axis.scatter(
            *points[rows].T, s=sizes[rows], color=colour, alpha=0.75, label=mechanism, linewidths=0
        )
    axis.set(xticks=[], yticks=[], xlabel="first axis", ylabel="second axis")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="target")
    return figure


def scaling(sizes: Sequence[xr.Dataset]) -> Figure:
    """R² of both embeddings against the number of drugs, and their difference."""
    figure, axes = plt.subplots(1, 2, figsize=(7.0, 3.2))
    x = sizes[0]["drugs"].to_numpy()
    r2 = np.stack([s["unseen"].sel(measure="r2").mean("held_out").to_numpy() for s in sizes])
    for column, (context, colour) in enumerate(
        (("effects", PALETTE[1]), ("descriptors", PALETTE[0]))
    ):
        for values in r2[..., column]:
            axes[0].plot(x, values, color=colour, alpha=0.35, linewidth=1)
        axes[0].plot(x, r2[..., column].mean(0), "o-", color=colour, label=NAMES[context])
    axes[0].set(xlabel="training drugs", ylabel="R², unseen drugs", xscale="log")
    axes[0].legend()
    gap = r2[..., 0] - r2[..., 1]
    for values in gap:
        axes[1].plot(x, values, color="#888888", alpha=0.5, linewidth=1)
    axes[1].plot(x, gap.mean(0), "o-", color="black")
    axes[1].axhline(0, color="#CCCCCC", linewidth=1, zorder=0)
    axes[1].set(xlabel="training drugs", ylabel="gap in R²", xscale="log")
    for axis in axes:
        axis.set_xticks(x, [str(count) for count in x])
        axis.minorticks_off()
    return figure


def epsilons(screen: xr.Dataset) -> Figure:
    """Measures by the entropy of the fit."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0))
    x = screen["epsilon"].to_numpy()
    for axis, measure, title in zip(
        axes, ("spread", "wasserstein"), ("error of spreads", "Wasserstein"), strict=True
    ):
        values = screen["by_epsilon"].sel(measure=measure).mean("held_out").to_numpy()
        axis.plot(x, values, "o-")
        for model, colour in (("floor", "black"), ("identity", "#AAAAAA")):
            level = float(screen["unseen"].sel(model=model, measure=measure).mean())
            axis.axhline(level, color=colour, linestyle="--", linewidth=1, label=NAMES[model])
        axis.set(xscale="log", xlabel="ε of the fit", title=title)
        axis.set_xticks(x, [f"{value:g}" for value in x])
        axis.minorticks_off()
    axes[0].legend()
    return figure


def _few_ticks(axis: Any) -> None:
    """Label a logarithmic axis of less than two decades by plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _colour(model: str) -> str:
    ours = {"descriptors": PALETTE[0], "effects": PALETTE[1], "no_gap": PALETTE[4]}
    return ours.get(model, "black" if model == "floor" else "#888888")

"""The pictures that a reader of the paper expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.ticker import LogLocator

from axonal.lab.figures import PALETTE, style
from axonal.learning.induction import THRESHOLD, small_multiples
from axonal.studies.induction_head_formation.afterwards import PRESERVED
from axonal.studies.induction_head_formation.summary import LN2, times, train_loss
from axonal.studies.induction_head_formation.trainings import CLAMPS, SCALED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axonal.lab import Session
    from axonal.studies.induction_head_formation.config import Config

Curves = Mapping[str, xr.Dataset]
COLOURS: dict[str, str] = dict(zip(CLAMPS, PALETTE, strict=False))
AXIS = "sequences seen (thousands)"


def draw(
    session: Session, config: Config, curves: Curves, trained: xr.Dataset, toy: xr.Dataset
) -> None:
    """Draw and save every figure."""
    home = session.folder / "trainings"
    shown = {"all heads": "all_heads", "one head": "none", "match clamped": "match"}
    with style():
        session.figure(
            "replay",
            small_multiples({title: home / name for title, name in shown.items()}),
            caption="Three trainings, drawn from the files that they left. Above, the loss (each seed "
            "faintly); below, the induction strength of each head of layer 2, ranked, median of the "
            "seeds.",
            alt="Loss and induction strengths over time for three trainings: the drop of the loss and "
            "the rise of the strengths coincide, and come early where the match is clamped.",
        )
        session.figure(
            "clamps",
            clamps(curves),
            caption="Training with parts of the circuit clamped, one head of layer 2; median and range "
            "over seeds. The more is clamped, the sooner the rest is learnt. With the copy clamped the "
            "choice is between two labels, so the loss starts at ln 2.",
            alt="Loss curves of six clamps on a logarithmic axis of sequences: no clamp drops last, "
            "layer 1 and copy first.",
        )
        session.figure(
            "times",
            learning_times(curves),
            caption="Learning times (loss below 0.4 ln 2): a point for each seed or head, a bar for the "
            "median; open points had not learnt when the training ended.",
            alt="Learning times by condition on a logarithmic axis.",
        )
        session.figure(
            "heads",
            heads(trained),
            caption="The heads of layer 2 after training: accuracy with that head alone, alone with a "
            "perfect match, and without it (left); loss with the strongest heads only (right, a line a "
            "seed).",
            alt="Left: keep-one accuracy rises with induction strength, ablate-one is near 1. Right: "
            "loss falls with each further head.",
        )
        session.figure(
            "wiring",
            wiring(trained),
            caption="Accuracy of the first seed with one head of each layer active, with patterns or "
            "values of the intact model kept; heads ordered by previous-token score and by induction "
            "strength.",
            alt="Three heat maps of heads of layer 2 against heads of layer 1.",
        )
        session.figure(
            "progress",
            progress(curves, trained),
            caption="The same ideal activations in two ways: put into checkpoints of the unclamped "
            "training (progress measure) and held all through training (clamp). Median over seeds. What "
            "layer 2 learnt from imperfect previous tokens does not fit perfect ones: those progress "
            "measures rise.",
            alt="Two panels of loss curves; the progress measures fall late, the clamped ones early.",
        )
        session.figure(
            "data",
            data(config, curves),
            caption="More classes (above) and more labels (below): the whole circuit, the match "
            "(layer 1 and copy clamped), the copy (match clamped), both (layer 1 clamped). Median and "
            "range over seeds.",
            alt="Eight panels of loss curves: the match does not depend on labels, the copy not on "
            "classes.",
        )
        session.figure(
            "toy",
            toy_model(toy),
            caption="Three vectors that must be right together: loss over that of predicting nothing, "
            "median of the repeats and each of ten faintly, by which vectors are clamped to the truth.",
            alt="Loss curves of the toy model: a plateau and a drop, an earlier drop, an exponential.",
        )


def _band(axis: Any, curve: xr.Dataset, colour: Any, label: str = "", evaluator: str = "") -> None:
    losses = curve["loss"].sel(evaluator=evaluator).to_numpy() if evaluator else train_loss(curve)
    thousands = curve["sequences"].to_numpy() / 1000
    axis.plot(thousands, np.median(losses, axis=1), color=colour, label=label)
    axis.fill_between(
        thousands, losses.min(axis=1), losses.max(axis=1), color=colour, alpha=0.15, linewidth=0
    )


def _levels(axis: Any) -> None:
    axis.axhline(LN2, color="#888888", linewidth=0.8, linestyle="--", zorder=0)
    axis.axhline(THRESHOLD, color="#BBBBBB", linewidth=0.8, linestyle=":", zorder=0)
    axis.set_ylim(0, None)


def clamps(curves: Curves) -> Figure:
    """Losses under the six clamps."""
    figure, axis = plt.subplots(figsize=(6.2, 3.9))
    for clamp in CLAMPS:
        curve = curves[clamp].isel(evaluation=slice(1, None))  # zero has no place on this axis
        _band(axis, curve, COLOURS[clamp], "no clamp" if clamp == "none" else clamp)
    _levels(axis)
    axis.annotate("ln 2", (1.0, LN2), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axis.set(xscale="log", xlabel=AXIS, ylabel="loss (nats)")
    first = min(float(curves[clamp]["sequences"][1]) for clamp in CLAMPS) / 1000
    axis.set_xlim(first, None)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def learning_times(curves: Curves) -> Figure:
    """Learning times of every condition of the standard task."""
    names = ["all heads", "single heads", "all previous token", *CLAMPS]
    names += [name for name in ("another layer 1", "own layer 1") if name in curves]
    words = {
        "single heads": "one head of the first seed",
        "all previous token": "one head, all previous-token\npatterns clamped",
        "none": "one head, no clamp",
        "another layer 1": "all heads on another seed's layer 1",
        "own layer 1": "all heads on the own layer 1",
    }
    figure, axis = plt.subplots(figsize=(6.4, 4.4))
    for place, name in enumerate(reversed(names)):
        curve = curves[name]
        found, learnt = times(curve) / 1000, np.isfinite(curve["time"].to_numpy())
        colour = COLOURS.get(name, PALETTE[6])
        spread = place + np.linspace(-0.2, 0.2, len(found))
        axis.plot(found[learnt], spread[learnt], "o", color=colour, markersize=4)
        axis.plot(
            found[~learnt], spread[~learnt], "o", color=colour, markersize=4, fillstyle="none"
        )
        axis.plot([np.median(found)] * 2, [place - 0.32, place + 0.32], color=colour, linewidth=2.5)
    axis.set_yticks(range(len(names)), [words.get(name, name) for name in reversed(names)])
    axis.set(xscale="log", xlabel=f"learning time, {AXIS}")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    axis.grid(axis="x")
    axis.set_axisbelow(True)
    return figure


def heads(trained: xr.Dataset) -> Figure:
    """Accuracies of single heads against their strength, and the loss of the strongest ones."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6))
    strength = trained["strength"].to_numpy().ravel()
    shown = {
        "ablate_one": ("without it", "x", PALETTE[6]),
        "perfect_match": ("alone, perfect match", "^", PALETTE[2]),
        "keep_one": ("alone", "o", PALETTE[0]),
    }
    for name, (label, marker, colour) in shown.items():
        left.plot(strength, trained[name].to_numpy().ravel(), marker, color=colour, label=label)
    left.set(xlabel="induction strength", ylabel="accuracy", ylim=(0, 1.05))
    figure.legend(loc="outside lower center", ncols=3)
    for losses in trained["loss_by_heads"].to_numpy():
        right.plot(trained["heads"], losses, "o-", color=PALETTE[0], linewidth=1, markersize=3)
    right.set(xlabel="strongest heads active", ylabel="loss (nats)", yscale="log")
    return figure


def wiring(trained: xr.Dataset) -> Figure:
    """Heat maps of accuracy over pairs of heads, of the first member."""
    figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.2), sharey=True)
    first = np.argsort(-trained["previous_token_score"].to_numpy()[0])
    second = np.argsort(-trained["strength"].to_numpy()[0])
    image: Any = None
    titles = {"nothing": "nothing kept", "patterns": "patterns kept", "values": "values kept"}
    for axis, preserved in zip(axes, PRESERVED, strict=True):
        table = trained["wiring"].sel(preserved=preserved).to_numpy()[0][second][:, first]
        image = axis.imshow(table, vmin=0, vmax=1, origin="upper")
        axis.set_title(titles[preserved])
        axis.set_xticks(range(len(first)), first)
        axis.set_xlabel("head of layer 1")
        axis.spines[:].set_visible(True)
    axes[0].set_yticks(range(len(second)), second)
    axes[0].set_ylabel("head of layer 2")
    figure.colorbar(image, ax=axes, shrink=0.8, label="accuracy")
    return figure


def progress(curves: Curves, trained: xr.Dataset) -> Figure:
    """Progress measures beside clamps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.6), sharey=True, sharex=True)
    at = trained["progress_sequences"].to_numpy() / 1000
    for clamp in trained["clamp"].to_numpy():
        label = "no clamp" if clamp == "none" else clamp
        measured = trained["progress"].sel(clamp=clamp).median("member")
        left.plot(at, measured, color=COLOURS[clamp])
        curve = curves[clamp]
        thousands = curve["sequences"].to_numpy() / 1000
        middle = np.median(train_loss(curve), axis=1)
        right.plot(thousands, middle, color=COLOURS[clamp], label=label)
    for axis, title in ((left, "progress measure"), (right, "clamp")):
        _levels(axis)
        axis.set(title=title, xlabel=AXIS, ylim=(0, 2.4))
    left.set_ylabel("loss (nats)")
    figure.legend(loc="outside lower center", ncols=5, fontsize=8.5)
    return figure


def data(config: Config, curves: Curves) -> Figure:
    """Loss curves with other numbers of classes and labels, a column a subcircuit."""
    figure, axes = plt.subplots(2, len(SCALED), figsize=(8.6, 5.0), sharex="col", sharey=True)
    titles = {
        "whole": "whole circuit",
        "match": "match (B)",
        "copy": "copy (C)",
        "both": "match and copy",
    }
    for row, (kind, numbers) in enumerate((("classes", config.classes), ("labels", config.labels))):
        for column, (clamp, part) in enumerate(SCALED.items()):
            axis = axes[row, column]
            for order, number in enumerate(numbers):
                name = clamp if order == 0 else f"{number} {kind}, {clamp}"
                _band(axis, curves[name], PALETTE[order], f"{number} {kind}")
            _levels(axis)
            if row == 0:
                axis.set_title(titles[part])
            axis.set_ylim(0, 3)
        axes[row, 0].set_ylabel("loss (nats)")
        axes[row, -1].legend(fontsize=8, loc="upper right")
    figure.supxlabel(AXIS, fontsize=10)
    return figure


def toy_model(toy: xr.Dataset) -> Figure:
    """Losses of the toy model."""
    figure, axis = plt.subplots(figsize=(5.8, 3.4))
    words = {"none": "none", "c": "c", "b_c": "b and c"}
    for name, colour in zip(words, (PALETTE[6], PALETTE[0], PALETTE[3]), strict=True):
        losses = toy["loss"].sel(clamp=name).to_numpy()
        axis.plot(losses[:10].T, color=colour, linewidth=0.4, alpha=0.5)
        axis.plot(np.median(losses, axis=0), color=colour, label=words[name], linewidth=2.4)
    axis.set(xlabel="iteration", ylabel="loss / loss of nothing", ylim=(0, 1.4), xscale="log")
    axis.set_xlim(1, None)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    axis.legend(title="clamped")
    return figure

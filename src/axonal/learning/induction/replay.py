"""Draw a training again from the files that it left: no model, no data, also while it still runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.errors import InputError
from axonal.learning.induction.evaluation import THRESHOLD
from axonal.learning.induction.training import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    "train": "training sequences",
    "relabel": "held-out label pairs",
    "unseen": "unseen classes",
    "exemplars": "other exemplars",
}


def small_multiples(folders: Mapping[str, Path | str]) -> Figure:
    """Draw loss and induction strengths over time, a column for each training.

    Parameters
    ----------
    folders
        Of trainings, by the title of their column.

    Returns
    -------
    Figure
        Above, the loss on each kind of sequences (median over seeds, each seed of the training
        sequences faintly) with the plateau at ln 2 and the threshold of the learning time; below,
        each head's induction strength, median over seeds.
    """
    import matplotlib.pyplot as plt

    if not folders:
        raise InputError("small_multiples draws at least one training, got none.")
    runs = {title: Run.read(folder) for title, folder in folders.items()}
    figure, axes = plt.subplots(
        2,
        len(runs),
        figsize=(1.2 + 2.6 * len(runs), 4.6),
        sharex="col",
        sharey="row",
        squeeze=False,
    )
    for column, (title, run) in enumerate(runs.items()):
        draw_losses(axes[0, column], run)
        draw_strengths(axes[1, column], run)
        axes[0, column].set_title(title)
        axes[1, column].set_xlabel("sequences seen (thousands)")
    axes[0, 0].set_ylim(0, 1.02 * max(run.observed("train_loss").max() for run in runs.values()))
    axes[0, 0].set_ylabel("loss (nats)")
    axes[1, 0].set_ylabel("induction strength")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    return figure


def draw_losses(axis: Any, run: Run) -> None:
    """Draw the loss on every kind of sequences against sequences seen."""
    thousands = run.sequences / 1000
    chance = float(np.log(2))
    axis.axhline(chance, color="#888888", linewidth=0.8, linestyle="--", zorder=0)
    axis.annotate("ln 2", (1, chance), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axis.axhline(THRESHOLD, color="#BBBBBB", linewidth=0.8, linestyle=":", zorder=0)
    for number, name in enumerate(run.evaluators):
        losses = run.observed(f"{name}_loss")
        colour = f"C{number}"
        if name == "train":
            axis.plot(thousands, losses, color=colour, linewidth=0.5, alpha=0.5)
        axis.plot(thousands, np.median(losses, axis=1), color=colour, label=LABELS.get(name, name))


def draw_strengths(axis: Any, run: Run) -> None:
    """Draw each head's induction strength against sequences seen, ranked within a seed."""
    if "strength" not in run.history.observed["evaluation"].values:
        return
    strengths = run.observed("strength")  # (evaluations, seeds, heads)
    order = np.argsort(-strengths[-1], axis=-1)
    ranked = np.median(np.take_along_axis(strengths, order[None], axis=-1), axis=1)
    shades = np.linspace(0.0, 0.75, ranked.shape[1])
    for rank, shade in enumerate(shades):
        axis.plot(run.sequences / 1000, ranked[:, rank], color=str(shade), linewidth=1.2)
    axis.axhline(0, color="#BBBBBB", linewidth=0.8, zorder=0)
    axis.set_ylim(-0.15, 1.02)

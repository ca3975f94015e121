"""The pictures that a reader of the paper expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from axonal.lab.figures import PALETTE, style
from axonal.statistics import estimate
from axonal.studies.atomic_unit_steering.summary import jaccard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axonal.lab import Session

SITES = {
    "attention": "attention",
    "mlp_out": "MLP output",
    "down_proj_in": "MLP neurons",
    "layer": "block output",
}


def draw(
    session: Session,
    tasks: Sequence[xr.Dataset],
    block: xr.Dataset,
    laws: xr.Dataset,
    organism: xr.Dataset,
) -> None:
    """Draw and save every figure."""
    with style():
        session.figure(
            "conditions",
            conditions(tasks),
            caption="Test accuracy of every way to steer, mean over the tasks, with how many units "
            "it moves (mean over tasks). Settings were chosen on validation; bars span the 95 % "
            "interval over resamples of each one's paired difference from no steering.",
            alt="Dot plot of the change in accuracy of each way to steer, with steered units beside.",
        )
        session.figure(
            "units",
            by_units(tasks),
            caption="Test accuracy against how many units are steered, at the strength chosen on "
            "validation; thin lines are tasks, the band spans the resamples of their mean.",
            alt="Line plot of accuracy against the number of steered units on a logarithmic axis.",
        )
        session.figure(
            "grid",
            grids(tasks),
            caption="Validation accuracy minus that without steering, in points, for every number of "
            "units k and strength alpha.",
            alt="Heat maps of k against alpha, a row a task and a column a site.",
        )
        session.figure(
            "head",
            one_head(block),
            caption="Left: every unit of one head alone, with its better gain, on validation "
            "questions. Right: test accuracy of the best unit, the best four, those with two harmful "
            "ones, and the whole head.",
            alt="Sorted accuracies of single units, and dots for combinations and the whole head.",
        )
        session.figure(
            "laws",
            token_laws(laws),
            caption="Divergence of the next-token law of a scaled unit from its own limit (left) and "
            "between two units (right), as a share of the panel's largest; thin lines are groups.",
            alt="Two line plots against strength: the left falls, the right rises.",
        )
        session.figure(
            "scores",
            scores(tasks),
            caption="Scores of all units at attention: the share of pairs in which a unit changes in "
            "one direction, less 0.5. Units of one head lie side by side.",
            alt="Heat maps of layer against unit, a panel a task.",
        )
        session.figure(
            "depth",
            depth(tasks),
            caption="Where the hundred best units of each site lie.",
            alt="Histograms over layers, a panel a task, a line a site.",
        )
        session.figure(
            "overlap",
            overlap(tasks),
            caption="Jaccard overlap of the hundred best attention units of tasks; on the diagonal, "
            "of two resamples of one task.",
            alt="Matrix of overlaps between tasks.",
        )
        session.figure(
            "effects",
            effects(tasks),
            caption="What scaling a unit by 2 does to the mean logit gap, against its score with the "
            "sign of its momentum (top) and against the first-order estimate (bottom).",
            alt="Scatter plots of measured effects of single units, a column a task.",
        )
        session.figure(
            "pairs",
            by_pairs(tasks),
            caption="Test accuracy against how many pairs units were ranked on; the band spans the "
            "95 % interval over resamples, the dashed line is no steering.",
            alt="Line plot of accuracy against the number of pairs.",
        )
        session.figure(
            "organism",
            planted(organism),
            caption="Share of the chosen units that were planted, as the scale of the last layer "
            "grows over that of the first.",
            alt="Two lines: momentum stays at 1, the activation difference falls.",
        )


def conditions(tasks: Sequence[xr.Dataset]) -> Figure:
    """Change of accuracy of every condition."""
    skipped = ("unsteered", "AUSteer")
    names = [str(n) for n in tasks[0]["condition"].to_numpy() if n not in skipped]
    ours = ["AUSteer", *(n for n in names if n.startswith("AUSteer"))]
    names = [*ours, *(n for n in names if n not in ours)][::-1]
    figure, axis = plt.subplots(figsize=(6.4, 0.3 * len(names) + 0.9))
    base = _accuracy(tasks, "unsteered")
    axis.axvline(0, color="#BBBBBB", linewidth=1, zorder=0)
    for place, name in enumerate(names):
        change = 100 * (_accuracy(tasks, name) - base)
        interval = estimate(change)
        colour = PALETTE[0] if name.startswith("AUSteer") else PALETTE[6]
        colour = PALETTE[1] if name in ("mean shift", "head shift", "head scaling") else colour
        axis.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.5)
        axis.plot(interval.mean, place, "o", color=colour, markersize=6)
    units = [np.mean([float(t["units"].sel(condition=n)) for t in tasks]) for n in names]
    labels = [f"{_label(n)}  ({u:,.0f})" for n, u in zip(names, units, strict=True)]
    axis.set_yticks(range(len(names)), labels)
    axis.set_xlabel(f"change of accuracy, points (unsteered: {100 * base.mean():.1f} %)")
    axis.grid(axis="x")
    axis.set_axisbelow(True)
    return figure


def by_units(tasks: Sequence[xr.Dataset]) -> Figure:
    """Accuracy against the number of units."""
    figure, axis = plt.subplots()
    numbers = sorted(set.intersection(*({int(n) for n in t["number"]} for t in tasks)))
    places = np.array([0.4 if n == 0 else n for n in numbers])
    curves = [100 * t["by_units"].sel(number=numbers).to_numpy() for t in tasks]
    for index, (task, curve) in enumerate(zip(tasks, curves, strict=True), start=1):
        label = task.attrs["task"]
        axis.plot(places, curve.mean(1), color=PALETTE[index], linewidth=1, label=label)
    mean = np.mean(curves, axis=0)
    axis.plot(places, mean.mean(1), "o-", color=PALETTE[0], label="mean")
    axis.fill_between(places, mean.min(1), mean.max(1), color=PALETTE[0], alpha=0.12, linewidth=0)
    axis.set(xscale="log", xlabel="steered units", ylabel="test accuracy, %")
    axis.set_xticks(places, [f"{n:,}" for n in numbers])
    axis.minorticks_off()
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def grids(tasks: Sequence[xr.Dataset]) -> Figure:
    """Validation accuracy over k and alpha."""
    sites = [str(s) for s in tasks[0]["site"].to_numpy()]
    figure, axes = plt.subplots(
        len(tasks), len(sites), figsize=(2.3 * len(sites) + 0.8, 2.0 * len(tasks) + 0.6), squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    changes = [
        100 * (t["grid"].sel(measure="accuracy") - float(_validation_base(t))) for t in tasks
    ]
    limit = max(1.0, *(float(abs(c).max()) for c in changes))
    image: Any = None
    for row, (task, change) in enumerate(zip(tasks, changes, strict=True)):
        for column, site in enumerate(sites):
            axis = axes[row, column]
            values = change.sel(site=site).to_numpy()
            image = axis.imshow(
                values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", origin="lower"
            )
            for (i, j), value in np.ndenumerate(values):
                dark = abs(value) > 0.6 * limit
                axis.text(
                    j, i, f"{value:+.0f}", ha="center", va="center", fontsize=8,
                    color="white" if dark else "#222222",
                )  # fmt: skip
            axis.spines[:].set_visible(True)
            if row == 0:
                axis.set_title(SITES[site])
            if column == 0:
                axis.set_ylabel(f"{task.attrs['task']}\nunits k")
            axis.set_xticks(range(values.shape[1]), [f"{a:g}" for a in task["alpha"].to_numpy()])
            axis.set_yticks(range(values.shape[0]), task["k"].to_numpy())
    for axis in axes[-1]:
        axis.set_xlabel("alpha")
    figure.colorbar(image, ax=axes, shrink=0.8, label="points")
    return figure


def one_head(block: xr.Dataset) -> Figure:
    """Units of one head alone, together, and the whole head."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.3), width_ratios=(1.1, 1))
    best = 100 * np.sort(block["sweep"].max("gain").to_numpy())[::-1]
    worst = 100 * np.sort(block["sweep"].min("gain").to_numpy())[::-1]
    places = np.arange(1, len(best) + 1)
    left.plot(places, best, ".", color=PALETTE[0], label="better gain")
    left.plot(places, worst, ".", color=PALETTE[1], label="worse gain")
    left.axhline(100 * block.attrs["base_accuracy"], color="#888888", linewidth=1, linestyle="--")
    left.set(xlabel="units of the head, sorted", ylabel="validation accuracy, %")
    left.set_xlim(0, len(best) + 1)
    left.set_title(f"layer {block.attrs['layer']}, head {block.attrs['head']}")
    left.legend()
    names = [str(w) for w in block["way"].to_numpy()][::-1]
    for place, name in enumerate(names):
        interval = estimate(100 * block["test"].sel(way=name, measure="accuracy").to_numpy())
        colour = PALETTE[1] if "head" in name else PALETTE[0]
        colour = PALETTE[6] if name == "unsteered" else colour
        low, high = max(interval.low, 0), min(interval.high, 100)
        right.plot([low, high], [place, place], color=colour, linewidth=2.5)
        right.plot(interval.mean, place, "o", color=colour, markersize=6)
    right.set_yticks(range(len(names)), names)
    right.set_xlabel("test accuracy, %")
    right.grid(axis="x")
    return figure


def token_laws(laws: xr.Dataset) -> Figure:
    """Divergences against strength."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.2))
    panels = (("own", "from the unit's own limit", 0), ("across", "between two units", 1))
    for axis, (quantity, title, colour) in zip(axes, panels, strict=True):
        share = laws[quantity] / float(laws[quantity].max())
        groups = share.mean("unit" if quantity == "own" else "pair").transpose("group", "strength")
        for line in groups.to_numpy():
            axis.plot(laws["strength"], line, color=PALETTE[colour], linewidth=0.8, alpha=0.6)
        axis.plot(laws["strength"], groups.mean("group"), "o-", color=PALETTE[colour])
        axis.set(xscale="log", xlabel="strength s", title=title)
    axes[0].set_ylabel("divergence, share of the largest")
    return figure


def scores(tasks: Sequence[xr.Dataset]) -> Figure:
    """Scores of all units at attention."""
    figure, axes = plt.subplots(
        len(tasks), 1, figsize=(6.8, 2.1 * len(tasks) + 0.4), sharex=True, squeeze=False
    )
    limit = max(float(t["score"].max()) for t in tasks) - 0.5
    image: Any = None
    for axis, task in zip(axes[:, 0], tasks, strict=True):
        image = axis.imshow(
            task["score"].to_numpy() - 0.5,
            vmin=0,
            vmax=limit,
            aspect="auto",
            origin="lower",
            interpolation="nearest",
        )
        axis.set(title=task.attrs["task"], ylabel="layer")
    axes[-1, 0].set_xlabel("unit (input of the output projection)")
    figure.colorbar(image, ax=axes, shrink=0.8, label="score - 0.5")
    return figure


def depth(tasks: Sequence[xr.Dataset]) -> Figure:
    """Histograms of the best units over layers."""
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(2.5 * len(tasks) + 0.3, 3.0), sharey=True, squeeze=False
    )
    for axis, task in zip(axes[0], tasks, strict=True):
        for index, site in enumerate(task["site"].to_numpy()):
            axis.step(
                np.arange(task.sizes["layer"]),
                task["depth"].sel(site=site),
                where="mid",
                color=PALETTE[index],
                label=SITES[str(site)],
                linewidth=1.3,
            )
        axis.axvline(task.sizes["layer"] / 3 - 0.5, color="#BBBBBB", linewidth=1, linestyle="--")
        axis.set(title=task.attrs["task"], xlabel="layer", xlim=(-0.5, task.sizes["layer"] - 0.5))
    axes[0, 0].set_ylabel("units among the best 100")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def overlap(tasks: Sequence[xr.Dataset]) -> Figure:
    """Jaccard overlaps between tasks and resamples."""
    tops = [t["top_attention"].to_numpy() for t in tasks]
    repeats = range(len(tops[0]))
    values = np.array(
        [
            [
                np.mean(
                    [jaccard(a[r], b[s]) for r in repeats for s in repeats if (r != s) == (a is b)]
                )
                for b in tops
            ]
            for a in tops
        ]
    )
    figure, axis = plt.subplots(figsize=(4.4, 3.6))
    image = axis.imshow(values, vmin=0, vmax=1, cmap="Blues")
    names = [t.attrs["task"] for t in tasks]
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    for (i, j), value in np.ndenumerate(values):
        axis.text(
            j,
            i,
            f"{value:.2f}",
            ha="center",
            va="center",
            color="white" if value > 0.5 else "#222222",
        )
    figure.colorbar(image, label="Jaccard overlap", shrink=0.9)
    return figure


def effects(tasks: Sequence[xr.Dataset]) -> Figure:
    """Measured effects against score and first-order estimate."""
    figure, axes = plt.subplots(2, len(tasks), figsize=(2.5 * len(tasks) + 0.4, 4.8), squeeze=False)
    for column, task in enumerate(tasks):
        effect = task["sample_effect"].to_numpy()
        for row, quantity in enumerate(("sample_score", "sample_first_order")):
            x = task[quantity].to_numpy()
            axis = axes[row, column]
            axis.axhline(0, color="#DDDDDD", linewidth=1, zorder=0)
            axis.axvline(0, color="#DDDDDD", linewidth=1, zorder=0)
            axis.scatter(x, effect, s=12, color=PALETTE[row], linewidths=0, alpha=0.7)
            axis.set_xlabel("score, signed" if row == 0 else "first-order estimate")
            if row == 0:
                axis.set_title(task.attrs["task"])
            else:
                limits = [min(x.min(), effect.min()), max(x.max(), effect.max())]
                axis.plot(limits, limits, color="#BBBBBB", linewidth=1, zorder=0)
                axis.locator_params(axis="x", nbins=4)
        axes[0, 0].set_ylabel("measured change of the gap")
        axes[1, 0].set_ylabel("measured change of the gap")
    return figure


def by_pairs(tasks: Sequence[xr.Dataset]) -> Figure:
    """Accuracy against the number of pairs."""
    figure, axis = plt.subplots()
    pairs = tasks[0]["pairs"].to_numpy()
    curves = np.mean([100 * t["by_pairs"].to_numpy() for t in tasks], axis=0)
    intervals = [estimate(row) for row in curves]
    axis.plot(pairs, curves.mean(1), "o-")
    axis.fill_between(
        pairs, [i.low for i in intervals], [i.high for i in intervals], alpha=0.12, linewidth=0
    )
    axis.axhline(
        100 * _accuracy(tasks, "unsteered").mean(), color="#888888", linestyle="--", linewidth=1
    )
    axis.set(xlabel="pairs that units were ranked on", ylabel="test accuracy, %", xscale="log")
    axis.set_xticks(pairs, pairs)
    axis.minorticks_off()
    return figure


def planted(organism: xr.Dataset) -> Figure:
    """Precision of two rankings against the growth of scales."""
    figure, axis = plt.subplots(figsize=(5.2, 3.2))
    labels = {"momentum": "momentum score", "difference": "activation difference"}
    for index, (name, label) in enumerate(labels.items()):
        values = organism["precision"].sel(ranking=name)
        axis.plot(
            organism["growth"], values.mean("repeat"), "o-", color=PALETTE[index], label=label
        )
    axis.set(xscale="log", ylim=(0, 1.05), ylabel="planted among the chosen")
    axis.set_xlabel("scale of the last layer over that of the first")
    axis.legend()
    return figure


def _label(condition: str) -> str:
    site = condition.removeprefix("AUSteer, ")
    if condition == "AUSteer":
        return "AUSteer, best site"
    return f"AUSteer, {SITES[site]}" if site in SITES else condition


def _accuracy(tasks: Sequence[xr.Dataset], condition: str) -> np.ndarray:
    at = {"condition": condition, "measure": "accuracy"}
    return np.mean([t["test"].sel(at).to_numpy() for t in tasks], axis=0)


def _validation_base(task: xr.Dataset) -> float:
    return float(task["validation_base"])

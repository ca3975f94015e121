"""The pictures that a reader of the paper expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import PowerNorm

from axonal.lab.figures import PALETTE, style
from axonal.molecules.decoys import PROPERTIES
from axonal.studies.molecule_search.summary import mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axonal.lab import Session
    from axonal.studies.molecule_search.study import Config

SHOWN = {
    "ecfp4": "ECFP4",
    "start": "principal components",
    "self_supervised": "self-supervised",
    "f": "supervised (f)",
    "fine_tuned": "fine-tuned",
    "g": "semi-supervised (g)",
}
ABLATIONS = {
    "g": "as the paper has it",
    "own_labels": "own labels only",
    "no_spread": "no regulariser",
    "from_scratch": "random start",
    "few_shot": "few-shot",
    "with_leaks": "with leaks",
}
COLOURS = {"ECFP4": PALETTE[6], "g": PALETTE[0], "f": PALETTE[1]}


def draw(
    session: Session,
    config: Config,
    found: Sequence[xr.Dataset],
    picture: xr.Dataset,
    solid: xr.Dataset,
) -> None:
    """Draw and save every figure."""
    with style():
        session.figure(
            "enrichment",
            enrichment(found),
            caption="Share of a target's actives found in the top of the ranking, mean over queries "
            "and repeats; dotted: random, dashed: perfect. Grey: what six properties alone tell apart, "
            "0.5 is nothing.",
            alt="Enrichment curves against the share of the library on a logarithmic axis, a panel a "
            "target, for ECFP4 and both encoders.",
        )
        session.figure(
            "methods",
            methods(found),
            caption="EF1% with all queries together, a bar a method; lines span the 95 % bootstrap "
            "interval over the actives of the first repeat.",
            alt="Bars of EF1% by target for ECFP4, the supervised, self-supervised, fine-tuned and "
            "semi-supervised encoders.",
        )
        session.figure(
            "ablations",
            ablations(config, found),
            caption="EF1% of the semi-supervised encoder with parts removed and with other "
            "penalties and batches, mean over targets; a dot a repeat.",
            alt="Horizontal dots of EF1% for ablations, penalties and batch sizes.",
        )
        session.figure(
            "labels",
            labels(config, found),
            caption="EF1% against the number of labelled molecules for both encoders, mean over "
            "targets; bands span the repeats.",
            alt="Two lines of EF1% against labels on a logarithmic axis, semi-supervised and "
            "supervised, with ECFP4 as a grey line.",
        )
        session.figure(
            "plane",
            plane(picture),
            caption="Actives of the unlearned targets in the plane of the first two principal "
            "components, before and after the training.",
            alt="Two scatter plots coloured by target, before and after training.",
        )
        session.figure(
            "soft-labels",
            soft_labels(picture),
            caption="Soft labels that the teacher gives to test actives, sorted by target: a small "
            "penalty makes each molecule its own label, a large one spreads the mass.",
            alt="Three heat maps of a soft-label matrix for penalties 0.1, 1 and 5.",
        )
        session.figure(
            "properties",
            properties(found[0]),
            caption="In the first repeat, means of six properties of actives (dots) and of their matched decoys (rings), "
            "as multiples of the matching's unit from the mean of both; AUROC: what they tell apart.",
            alt="A row of dots and rings a property, a panel a target; dots and rings nearly "
            "coincide.",
        )
        session.figure(
            "hits",
            hits(picture),
            caption="A query and the molecules ranked first after it, with cosine and ECFP4 "
            "Tanimoto; green: binds, by measurement.",
            alt="Eight drawn molecules: the query and its first seven hits.",
        )
        if solid.sizes.get("ranked_by"):
            session.figure(
                "three-d",
                three_d(solid),
                caption="BEDROC with and without three dimensions on one target, one run of few "
                "labels.",
                alt="Bars of BEDROC for fingerprints, USRCAT, shape and the small Uni-Mol encoder.",
            )


def enrichment(found: Sequence[xr.Dataset]) -> Figure:
    """Enrichment curves, a panel a target."""
    targets = found[0]["target"].to_numpy().tolist()
    share = found[0]["share"].to_numpy()
    columns = min(2, len(targets))
    rows = -(-len(targets) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(3.4 * columns, 2.6 * rows + 0.5),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axis, target in zip(axes.ravel(), targets, strict=False):
        for name in found[0]["ranked"].to_numpy().tolist():
            curves = [one["curve"].sel(ranked=name, target=target).to_numpy() for one in found]
            axis.plot(share, np.mean(curves, 0), color=COLOURS[name], label=name)
        ratio = float(
            found[0]["actives"].sel(target=target) / found[0]["molecules"].sel(target=target)
        )
        axis.plot(share, share, ":", color="#888888", linewidth=1)
        axis.plot(share, np.minimum(1, share / ratio), "--", color="#888888", linewidth=1)
        alone = np.mean([float(one["property_auroc"].sel(target=target)) for one in found])
        axis.set(title=target, xscale="log", xlim=(1e-3, 1), ylim=(0, 1))
        axis.text(
            0.03, 0.97, f"properties alone:\nAUROC {alone:.2f}", transform=axis.transAxes,
            va="top", fontsize=8, color="#666666",
        )  # fmt: skip
    for axis in axes[-1]:
        axis.set_xlabel("share of the library")
    for axis in axes[:, 0]:
        axis.set_ylabel("share of actives")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def methods(found: Sequence[xr.Dataset]) -> Figure:
    """EF1% by target and method, with bootstrap intervals."""
    data = found[0]["interval"]
    names = [name for name in SHOWN if name in data["shown"]]
    targets = data["target"].to_numpy().tolist()
    figure, axis = plt.subplots(figsize=(6.6, 3.6))
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        value, low, high = data.sel(shown=name).to_numpy().T
        places = np.arange(len(targets)) + (number - (len(names) - 1) / 2) * width
        colour = PALETTE[6] if name == "ecfp4" else PALETTE[number % 6]
        axis.bar(places, value, width * 0.9, color=colour, label=SHOWN[name])
        axis.vlines(places, low, high, color="#222222", linewidth=1.2)
    axis.set_xticks(range(len(targets)), targets)
    axis.set_ylabel("EF1%")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8.5)
    return figure


def ablations(config: Config, found: Sequence[xr.Dataset]) -> Figure:
    """EF1% of every variant."""
    known = found[0]["variant"].to_numpy().tolist()
    shown = {"ecfp4": "ECFP4", "start": "principal components", "f": "supervised (f)"}
    shown |= {"self_supervised": "self-supervised", "fine_tuned": "fine-tuned"} | ABLATIONS
    shown |= {
        n: n.replace("penalty", "$\\lambda$ =") for n in known if n.startswith(("penalty", "batch"))
    }
    shown = {name: words for name, words in shown.items() if name in known}
    names = list(shown)[::-1]
    figure, axis = plt.subplots(figsize=(6.4, 0.27 * len(names) + 1.1))
    for place, name in enumerate(names):
        values = mean(found, name, "ef1%")
        colour = PALETTE[0] if name == "g" else PALETTE[6] if name == "ecfp4" else PALETTE[4]
        axis.plot(values, [place] * len(values), "o", color=colour, alpha=0.5, markersize=4)
        axis.plot(values.mean(), place, "|", color="#222222", markersize=13, markeredgewidth=2)
    axis.axvline(mean(found, "g", "ef1%").mean(), color=PALETTE[0], linewidth=0.8, zorder=0)
    axis.set_yticks(range(len(names)), [shown[name] for name in names])
    axis.set_xlabel(
        f"EF1%, mean over targets (λ = {config.penalty:g}, batch {config.batch_size} unless said)"
    )
    return figure


def labels(config: Config, found: Sequence[xr.Dataset]) -> Figure:
    """EF1% against the number of labels."""
    figure, axis = plt.subplots()
    counts = [c for c in config.label_counts if f"g {c}" in found[0]["variant"]]
    along = [*counts, int(found[0].attrs["labelled"])]
    for letter, words in (("g", "semi-supervised (g)"), ("f", "supervised (f)")):
        values = np.stack(
            [*(mean(found, f"{letter} {c}", "ef1%") for c in counts), mean(found, letter, "ef1%")]
        )
        axis.plot(along, values.mean(1), "o-", color=COLOURS[letter], label=words)
        axis.fill_between(
            along, values.min(1), values.max(1), color=COLOURS[letter], alpha=0.15, linewidth=0
        )
    for name, words, dash in (("ecfp4", "ECFP4", "-"), ("start", "principal components", "--")):
        axis.axhline(mean(found, name, "ef1%").mean(), color="#888888", ls=dash, lw=1, label=words)
    axis.set(xscale="log", xlabel="labelled molecules", ylabel="EF1%")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def plane(picture: xr.Dataset) -> Figure:
    """Test actives in two principal components, before and after."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.6))
    of = picture["of"].to_numpy()
    for axis, when in zip(axes, ("before", "after"), strict=True):
        points = picture["plane"].sel(when=when).to_numpy()
        for number, target in enumerate(dict.fromkeys(of.tolist())):
            chosen = of == target
            axis.scatter(*points[chosen].T, s=12, color=PALETTE[number], label=target, linewidths=0)
        axis.set(title=when, xticks=[], yticks=[])
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4)
    return figure


def soft_labels(picture: xr.Dataset) -> Figure:
    """Soft-label matrices for several penalties, one scale."""
    penalties = picture["shown"].to_numpy()
    figure, axes = plt.subplots(1, len(penalties), figsize=(7.2, 2.8))
    image: Any = None
    scale = PowerNorm(0.5, 0, 1)  # so that a label of 0.03 is seen beside one of 1
    for axis, penalty in zip(axes, penalties, strict=True):
        image = axis.imshow(
            picture["labels"].sel(shown=penalty).to_numpy(), norm=scale, cmap="magma_r"
        )
        axis.set(title=f"λ = {penalty:g}", xticks=[], yticks=[])
        axis.spines[:].set_visible(True)
    figure.colorbar(image, ax=axes, shrink=0.8, label="label")
    return figure


def properties(one: xr.Dataset) -> Figure:
    """Means of properties of actives and decoys, in units of the matching."""
    from axonal.molecules.decoys import TOLERANCE

    targets = one["target"].to_numpy().tolist()
    figure, axes = plt.subplots(
        1, len(targets), figsize=(1.6 + 1.5 * len(targets), 2.8), sharey=True, squeeze=False
    )
    for axis, target in zip(axes[0], targets, strict=True):
        means = one["means"].sel(target=target).to_numpy() / TOLERANCE
        means = means - means.mean(0)
        places = np.arange(len(PROPERTIES))
        axis.plot(means[0], places, "o", color=PALETTE[0], label="actives")
        axis.plot(means[1], places, "o", color=PALETTE[1], fillstyle="none", label="decoys", ms=8)
        axis.axvline(0, color="#BBBBBB", linewidth=0.8, zorder=0)
        alone = float(one["property_auroc"].sel(target=target))
        axis.set(title=f"{target}\nAUROC {alone:.2f}", xlim=(-1, 1))
    axes[0, 0].set_yticks(range(len(PROPERTIES)), PROPERTIES)
    axes[0, 0].set_xlabel("units")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def hits(picture: xr.Dataset) -> Figure:
    """The query and its first hits, drawn."""
    from rdkit import Chem
    from rdkit.Chem import Draw

    figure, axes = plt.subplots(4, 2, figsize=(4.8, 8.4))
    for axis in axes.ravel():
        axis.set_axis_off()
    for place, smiles in enumerate(picture["hit"].to_numpy().tolist()):
        axis = axes.ravel()[place]
        axis.imshow(np.asarray(Draw.MolToImage(Chem.MolFromSmiles(str(smiles)), size=(440, 300))))
        if place == 0:
            axis.set_title("query", fontsize=9)
            continue
        binds = bool(picture["binds"][place])
        axis.set_title(
            f"{place}: cosine {float(picture['cosine'][place]):.2f}\n"
            f"Tanimoto {float(picture['tanimoto'][place]):.2f}"
            + (", binds" if binds else ", decoy"),
            fontsize=8.5,
            color="#00704F" if binds else "#222222",
        )
    return figure


def three_d(solid: xr.Dataset) -> Figure:
    """BEDROC of methods with and without conformers."""
    names = solid["ranked_by"].to_numpy().tolist()[::-1]
    figure, axis = plt.subplots(figsize=(6.2, 0.32 * len(names) + 1))
    for place, name in enumerate(names):
        flat = name == "ECFP4" or name.startswith("fingerprints,")
        value = float(solid["score"].sel(ranked_by=name, metric="bedroc"))
        axis.barh(place, value, color=PALETTE[6] if flat else PALETTE[0])
        axis.text(value, place, f" {value:.2f}", va="center", fontsize=8.5)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel=f"BEDROC, {solid.attrs['target']}", xlim=(0, 1))
    return figure

"""The pictures that a reader of the paper expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.patches import Ellipse

from axonal.lab.figures import PALETTE, style
from axonal.studies.gaussian_transport_steering.summary import by_depth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from axonal.lab import Session

INK = "#222222"


def draw(
    session: Session,
    laws: xr.Dataset,
    toys: Sequence[xr.Dataset],
    organism: Sequence[xr.Dataset],
    sentiment: Sequence[xr.Dataset],
) -> None:
    """Draw and save every figure."""
    with style():
        session.figure(
            "plane",
            plane(organism[0]),
            caption="Held-out prompts at the chosen block, in the mean difference and one more "
            "direction: with the behaviour, without it, and transported. Ellipses hold two "
            "standard deviations.",
            alt="Scatter plot: the transported prompts lie among those without the behaviour.",
        )
        session.figure(
            "depth",
            depth(organism, toys, sentiment),
            caption="What one map changes, by the depth of its block: the organism, toys, and "
            "sentiment. Bands span the repeats; the paper's best depths are shaded.",
            alt="Three line plots of changed prompts against depth, with the first-token KL on "
            "prompts that should stay as they are.",
        )
        session.figure(
            "front",
            front(organism),
            caption="Changed prompts against damage (KL on neutral texts) for every map at its own "
            "best block; filled: one block, open: every block, each fitted with those below it in force "
            "unless said otherwise. Means over the draws.",
            alt="Scatter plot of all maps: share of changed prompts against KL.",
        )
        session.figure(
            "components",
            components(organism, toys),
            caption="Changed prompts by block and number of directions, mean difference first.",
            alt="Two heat maps of directions against depth: organism and toys.",
        )
        session.figure(
            "distance",
            distance(organism),
            caption="Wasserstein distance of held-out populations before and after the maps, by "
            "depth, in eight directions.",
            alt="Lines of distance against depth, before and after several maps.",
        )
        session.figure(
            "dose",
            dose(organism),
            caption="Strength: prompts on topic that are still declined, at each map's best block.",
            alt="Lines of decline rate against strength for several maps.",
        )
        session.figure(
            "reverse",
            reverse(organism),
            caption="The same map the other ways: rates of declining before and after the "
            "behaviour is reduced, restored at a later block, and brought about.",
            alt="Bars of decline rates, with a point for every draw of prompts.",
        )
        session.figure(
            "monitor",
            monitored(organism),
            caption="How well transported prompts are told by their activations: a prompt among all "
            "or among the answered ones, and a window of twelve from ordinary traffic or from traffic "
            "that never touches the topic. A half is chance; lines span the draws.",
            alt="Points of the area under the ROC curve for four maps.",
        )
        session.figure(
            "known_laws",
            known_laws(laws),
            caption="Known laws: the fitted map nears the closed form as one over the root of the "
            "rows (left); two clusters keep their shape, which two moments do not see (right).",
            alt="Left: error against rows on logarithmic axes. Right: distance left against the "
            "distance of two clusters.",
        )


def plane(found: xr.Dataset) -> Figure:
    """Source, target and transported prompts in two directions."""
    figure, axis = plt.subplots(figsize=(5.4, 4.0))
    looks = {
        "source": (PALETTE[1], "o", "declined"),
        "target": (PALETTE[0], "s", "answered"),
        "transported": (PALETTE[2], "^", "declined, transported"),
    }
    for name, (colour, marker, words) in looks.items():
        rows = found[f"plane_{name}"].to_numpy()
        axis.scatter(*rows.T, s=22, color=colour, marker=marker, label=words, alpha=0.8, lw=0)
        _ellipse(axis, rows, colour)
    axis.set(xlabel="along the difference of the means", ylabel="second direction")
    axis.legend(loc="best")
    return figure


def depth(
    organism: Sequence[xr.Dataset], toys: Sequence[xr.Dataset], sentiment: Sequence[xr.Dataset]
) -> Figure:
    """What one map changes by depth, and what it does to prompts that should stay."""
    figure, axes = plt.subplots(1, 3, figsize=(8.2, 3.2), sharey=True)
    for axis, (title, found) in zip(
        axes, {"organism": organism, "toys": toys, "sentiment": sentiment}.items(), strict=True
    ):
        axis.axvspan(0.4, 0.6, color="#EEEEEE", lw=0, zorder=0)
        x = found[0]["depth"].to_numpy()
        changed = np.stack([_by_depth(f, "changed") for f in found])
        _band(axis, x, changed, PALETTE[0], "changed")
        for name, colour in (("directional ablation", PALETTE[1]), ("mean shift", PALETTE[3])):
            values = [f["changed"].sel({"map": name, "group": "source"}).to_numpy() for f in found]
            axis.plot(x, np.mean(values, 0), "--", color=colour, lw=1.3, label=name)
        kl = np.stack([_by_depth(f, "kl", "target") for f in found])
        twin = axis.twinx()
        twin.plot(x, kl.mean(0), ":", color=PALETTE[6], lw=1.5)
        twin.set_ylim(0, max(0.5, 1.1 * float(kl.mean(0).max())))
        twin.tick_params(labelsize=8)
        twin.spines["right"].set_visible(True)
        if axis is axes[-1]:
            twin.set_ylabel("KL where it should not act (dotted)")
        axis.set(title=title, xlabel="depth", ylim=(-0.03, 1.05), xlim=(0, 1.02))
    axes[0].set_ylabel("share of prompts changed")
    handles, labels = axes[0].get_legend_handles_labels()
    labels[0] = "Gaussian transport"
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def front(organism: Sequence[xr.Dataset]) -> Figure:
    """Changed prompts against KL on neutral texts, with the names in a column beside it."""
    figure, axis = plt.subplots(figsize=(7.2, 4.8))
    points = []
    for dim, prefix, fill in (("map", "chosen", "full"), ("wide", "all", "none")):
        for name in organism[0][dim].to_numpy().tolist():
            at = [o.sel({dim: name}) for o in organism]
            x = float(np.mean([float(a[f"{prefix}_neutral_kl"]) for a in at]))
            y = float(np.mean([float(a[f"{prefix}_changed"].sel(group="source")) for a in at]))
            every = fill == "none" and name != "ablation of every write"
            points.append((y, x, f"every block: {name}" if every else name))
            axis.plot(x, y, _marker(name), color=_colour(name), ms=7, fillstyle=fill, mew=1.5)
    points.sort(key=lambda point: (point[0], -point[1]))
    for place, (y, x, name) in zip(np.linspace(-0.02, 1.04, len(points)), points, strict=True):
        axis.annotate(
            name,
            (x, y),
            xytext=(1.03, place),
            textcoords=axis.get_yaxis_transform(),
            va="center",
            fontsize=7.5,
            color=_colour(name.removeprefix("every block: ")),
            arrowprops={"arrowstyle": "-", "color": "#CCCCCC", "lw": 0.6, "relpos": (0, 0.5)},
        )
    axis.set(xscale="log", xlabel="KL on neutral texts, nats", ylabel="share of prompts changed")
    axis.set_ylim(-0.04, 1.06)
    return figure


def components(organism: Sequence[xr.Dataset], toys: Sequence[xr.Dataset]) -> Figure:
    """Heat maps of the number of directions against depth."""
    figure, axes = plt.subplots(1, 2, figsize=(7.8, 2.9))
    image: Any = None
    for axis, (title, found) in zip(
        axes, {"organism": organism, "toys": toys}.items(), strict=True
    ):
        names = [n for n in found[0]["map"].to_numpy().tolist() if n.startswith("Gaussian ")]
        values = np.mean(
            [f["changed"].sel({"map": names, "group": "source"}).to_numpy() for f in found], axis=0
        )
        image = axis.imshow(values, vmin=0, vmax=1, aspect="auto", origin="lower")
        for (i, j), value in np.ndenumerate(values):
            words = f"{value:.2f}".lstrip("0") if 0.005 <= value < 0.995 else f"{value:.0f}"
            axis.text(j, i, words, ha="center", va="center", fontsize=8, color="white" if value < 0.6 else INK)  # fmt: skip
        axis.set_yticks(range(len(names)), [n.removeprefix("Gaussian ") for n in names])
        axis.set_xticks(
            range(len(found[0]["depth"])), [f"{d:.2g}" for d in found[0]["depth"].to_numpy()]
        )
        axis.set(title=title, xlabel="depth")
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel("directions")
    figure.colorbar(image, ax=axes, label="share changed", shrink=0.9, pad=0.02)
    return figure


def distance(organism: Sequence[xr.Dataset]) -> Figure:
    """Distances before and after by depth."""
    figure, axis = plt.subplots(figsize=(6.0, 3.6))
    x = organism[0]["depth"].to_numpy()
    most = [n for n in organism[0]["map"].to_numpy().tolist() if n.startswith("Gaussian ")][-1]
    before = np.mean([o["distance_before"].isel(map=0).to_numpy() for o in organism], axis=0)
    axis.plot(x, np.ones_like(before), color=INK, lw=1.2, label="before")
    for name in (
        "mean shift",
        "affine ablation",
        "Linear-AcT",
        "Gaussian 2",
        most,
        "Gaussian, full",
    ):
        values = np.stack(
            [
                (o["distance_after"] / o["distance_before"]).sel({"map": name}).to_numpy()
                for o in organism
            ]
        )
        axis.plot(x, values.mean(0), marker="o", color=_colour(name), ms=3.5, lw=1.4, label=name,
                  ls=":" if name == "Gaussian, full" else "-")  # fmt: skip
    axis.set(xlabel="depth", ylabel="distance, before = 1", ylim=(0, None))
    axis.legend(fontsize=8, ncols=2)
    return figure


def dose(organism: Sequence[xr.Dataset]) -> Figure:
    """Decline rate against strength."""
    figure, axis = plt.subplots(figsize=(6.0, 3.6))
    before = float(np.mean([float(o["rate_before"].sel(group="source")) for o in organism]))
    for name in organism[0]["dosed"].to_numpy().tolist():
        at = {"dosed": name, "group": "source"}
        rates = np.mean([o["dose_rate"].sel(at).to_numpy() for o in organism], axis=0)
        x = np.concatenate([[0.0], organism[0]["strength"].to_numpy()])
        axis.plot(
            x,
            [before, *rates],
            marker="o",
            ms=4,
            color=_colour(name),
            label=name,
            ls=":" if name == "Gaussian, full" else "-",
        )
    axis.set(xlabel="strength", ylabel="share declined", ylim=(-0.03, 1.05))
    axis.legend(fontsize=8)
    return figure


def reverse(organism: Sequence[xr.Dataset]) -> Figure:
    """Reduce, restore, bring about."""
    bars: dict[str, list[float]] = {
        "on topic": [float(o["rate_before"].sel(group="source")) for o in organism],
        "reduced": [
            float(o["won_rate"].sel(contest="transport", group="source")) for o in organism
        ],
        "restored\nlater": [float(o["restored_rate"].sel(group="source")) for o in organism],
    }
    if "look_alikes" in organism[0]["group"]:
        at = {"group": "look_alikes"}
        bars["look-\nalikes"] = [float(o["rate_before"].sel(at)) for o in organism]
        bars["provoked "] = [float(o["provoked_rate"].sel(at)) for o in organism]
    if "weak_rate" in organism[0]:
        bars["weaker\norganism"] = [float(o["weak_rate"]) for o in organism]
        bars["raised"] = [float(o["raised_rate"]) for o in organism]
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    own = "#B5B5B5"
    colours = [own, PALETTE[0], PALETTE[2], own, PALETTE[1], own, PALETTE[1]]
    for i, (values, colour) in enumerate(zip(bars.values(), colours, strict=False)):
        axis.bar(i, np.mean(values), color=colour, width=0.65)
        axis.plot(i + np.linspace(-0.15, 0.15, len(values)), values, "o", color=INK, ms=3, zorder=3)
    axis.set_xticks(range(len(bars)), [name.strip() for name in bars])
    axis.set(ylabel="share declined", ylim=(0, 1.05))
    return figure


def monitored(organism: Sequence[xr.Dataset]) -> Figure:
    """Areas under the ROC curve of the drift monitor."""
    figure, axis = plt.subplots(figsize=(6.0, 3.2))
    maps = organism[0]["monitored"].to_numpy().tolist()
    words = {
        "rows": "a prompt, among all",
        "answered": "a prompt, among the answered",
        "windows": "a window, from ordinary traffic",
        "quiet": "a window, from quiet traffic",
    }
    for j, (against, label) in enumerate(words.items()):
        for i, name in enumerate(maps):
            values = [float(o["area"].sel(monitored=name, against=against)) for o in organism]
            y = i + (j - 1.5) * 0.18
            axis.plot([min(values), max(values)], [y, y], color=PALETTE[j], lw=2)
            axis.plot(np.mean(values), y, "o", color=PALETTE[j], label=label if i == 0 else None)
    axis.axvline(0.5, color="#BBBBBB", lw=1, zorder=0)
    axis.set_yticks(range(len(maps)), maps)
    axis.invert_yaxis()
    axis.set(xlabel="area under the ROC curve", xlim=(0, 1.02))
    figure.legend(loc="outside lower center", ncols=2, fontsize=8.5)
    return figure


def known_laws(laws: xr.Dataset) -> Figure:
    """The rate of the fitted map, and what clusters leave."""
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.1))
    rows, errors = laws["rows"].to_numpy(), laws["map_error"].to_numpy()
    _band(axes[0], rows, errors, PALETTE[0], "fitted")
    guide = errors.mean(0)[0] * np.sqrt(rows[0] / rows)
    axes[0].plot(rows, guide, "--", color="#888888", lw=1.2, label="one over the root")
    axes[0].set(
        xscale="log", yscale="log", xlabel="rows of each population", ylabel="error of the map"
    )
    axes[0].set_xticks(rows, [f"{n:,}" for n in rows], rotation=30)
    ticks = [t for t in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0) if errors.min() <= t <= errors.max()]
    axes[0].set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes[0].minorticks_off()
    axes[0].legend()
    x = laws["separation"].to_numpy()
    _band(axes[1], x, laws["shape_left"].to_numpy(), PALETTE[1], "sorted values")
    _band(axes[1], x, laws["gaussian_left"].to_numpy(), PALETTE[0], "two moments")
    axes[1].set(xlabel="distance of two clusters, in spreads", ylabel="distance left, before = 1")
    axes[1].legend()
    return figure


def _by_depth(found: xr.Dataset, name: str, group: str = "source") -> np.ndarray:
    if "contest" in found.dims:
        return by_depth(found, name, group)
    best = str(found["best_map"].item())
    return found[name].sel({"map": best, "group": group}).to_numpy()


def _band(axis: Axes, x: np.ndarray, values: np.ndarray, colour: str, label: str) -> None:
    axis.plot(x, values.mean(0), "o-", color=colour, ms=4, label=label)
    axis.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)


def _ellipse(axis: Axes, rows: np.ndarray, colour: str) -> None:
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    width, height = 4 * np.sqrt(np.maximum(values[::-1], 0))
    angle = float(np.degrees(np.arctan2(vectors[1, -1], vectors[0, -1])))
    shape = Ellipse(
        tuple(rows.mean(0)),
        float(width),
        float(height),
        angle=angle,
        fill=False,
        color=colour,
        lw=1.4,
    )
    axis.add_patch(shape)


def _colour(name: str) -> str:
    if "AcT" in name:
        return PALETTE[5]
    if name.startswith("Gaussian 2"):
        return PALETTE[4]
    if name.startswith("Gaussian"):
        return PALETTE[0]
    if name.startswith("pooled"):
        return PALETTE[4]
    shifts = {"mean shift": PALETTE[3], "LEACE": PALETTE[6], "affine ablation": PALETTE[2]}
    return shifts.get(name, PALETTE[1])


def _marker(name: str) -> str:
    if name.startswith(("Gaussian ", "Gaussian,", "pooled")):
        return "o"
    return "s" if "AcT" in name else "^"

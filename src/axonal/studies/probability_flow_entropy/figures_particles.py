"""The pictures of the parts with many particles: the trap and phase separation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"solid": "#0072B2", "interface": "#E69F00", "gas": "#BBBBBB"}


def draw_speeds(found: xr.Dataset) -> Figure:
    """Draw the trapped particles' entropy production against the speed, beside what needs no score."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.plot(found.speed, found.free, color="0.6", linestyle=":", label="without contacts")
    axes.plot(found.speed, found.rest, color="0.6", linestyle="--", label="score at rest")
    axes.plot(found.speed, found.springs, color="C1", label="score of springs")
    for number, row in enumerate(found.learned.values):
        axes.plot(found.speed, row, "o", color="C0", label=None if number else "learned")
    axes.errorbar(
        found.speed,
        found.exact,
        yerr=1.96 * found.exact_error,
        fmt="_",
        color="0.1",
        markersize=12,
        label="exact, no score",
    )
    axes.set(xlabel="speed $v_0$", ylabel="entropy production a particle ($k_B$/time)")
    axes.set_yscale("log")
    axes.legend()
    return figure


def draw_radial(fields: xr.Dataset) -> Figure:
    """Draw each particle's share of the entropy production against the radius."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(5.6, 3.0), sharex=True)
    titles = {"x": "total, by variable", "system": "system"}
    for name, label in (("x", "position"), ("g", "activity")):
        panels[0].plot(fields.radius, fields[f"total_{name}"], label=label)
    panels[0].legend()
    panels[1].plot(fields.radius, fields.system, color="C2")
    panels[1].axhline(0, color="0.7", linewidth=1, zorder=0)
    for axes, title in zip(panels, titles.values(), strict=True):
        axes.set(xlabel="radius", title=title)
    panels[0].set_ylabel("$k_B$/time a particle")
    return figure


def draw_snapshots(found: xr.Dataset) -> Figure:
    """Draw the particles by region, by total and by system entropy production."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, panels = plt.subplots(3, 1, figsize=(4.2, 11.0))
    colours = [_COLOURS[str(name)] for name in found["at"].values]
    _discs(panels[0], found.place.values, colours=colours)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=name)
        for name, colour in _COLOURS.items()
    ]
    panels[0].legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3)
    panels[0].set_title("region")
    high = float(np.quantile(found.total, 0.95))
    discs = _discs(panels[1], found.place.values, found.total.values, 0.0, high, "viridis")
    panels[1].set_title(r"total, $|v_g|^2/\gamma$ in units of $\gamma$")
    figure.colorbar(discs, ax=panels[1], extend="max", shrink=0.8)
    edge = float(np.quantile(np.abs(found.system), 0.95))
    discs = _discs(panels[2], found.place.values, found.system.values, -edge, edge, "RdBu_r")
    panels[2].set_title(r"system, $\nabla_g\cdot v_g$ in units of $\gamma$")
    figure.colorbar(discs, ax=panels[2], extend="both", shrink=0.8)
    return figure


def draw_regions(found: xr.Dataset) -> Figure:
    """Draw the activity's entropy production by region."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    places = np.arange(len(found.region))
    for offset, name, label in ((-0.2, "total", "total"), (0.2, "system", "system")):
        values = found[f"{name}_by_region"]
        axes.bar(places + offset, values.mean("seed"), width=0.36, label=label, alpha=0.85)
        for row in values.values:
            axes.plot(places + offset, row, "o", color="0.15", markersize=3)
    axes.set_xticks(places, [str(name) for name in found.region.values])
    axes.set_ylabel(r"a particle, in units of $\gamma$")
    axes.legend()
    return figure


def draw_carried(found: xr.Dataset) -> Figure:
    """Draw the explained share of the score where the network was carried to."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    places = np.arange(len(found.place))
    for number, row in enumerate(found.carried.values.T):
        axes.plot(places, row, "o", color="C0", label=None if number else "carried over")
    axes.plot(
        places,
        found.own,
        "o",
        color="C1",
        markerfacecolor="white",
        markersize=8,
        label="trained there",
    )
    axes.set_xticks(places, [str(name).replace(" ", "\n", 1) for name in found.place.values])
    axes.set(ylim=(0, 1), xlim=(-0.5, len(places) - 0.5), ylabel="explained share of the score")
    axes.legend()
    return figure


def draw_attention(found: xr.Dataset) -> Figure:
    """Draw a particle of each region and its neighbours by the attention that they get."""
    import matplotlib.pyplot as plt

    count = len(found.region)
    figure, panels = plt.subplots(1, count, figsize=(5.6, 2.6), squeeze=False)
    high = float(found.weight[:, 1:].max())
    discs = None
    for axes, name in zip(panels[0], found.region.values, strict=True):
        here = found.sel(region=name)
        places = here.apart.values
        discs = _discs(axes, places[1:], here.weight.values[1:], 0.0, high, reach=6.0)
        _discs(axes, places[:1], colours=["none"], reach=6.0).set_edgecolor("0.1")
        axes.set_title(str(name))
    if discs is not None:
        figure.colorbar(discs, ax=list(panels[0]), shrink=0.7, label="attention")
    return figure


def draw_times(found: xr.Dataset) -> Figure:
    """Draw the time of an evaluation against the number of particles, with a line of slope one."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    middle = found.seconds.median("repeat")
    axes.loglog(found.particles, found.seconds, "o", color="C0")
    line = float(middle[0]) * found.particles / float(found.particles[0])
    axes.loglog(found.particles, line, color="0.6", linewidth=1, label="proportional")
    axes.set(xlabel="particles", ylabel="seconds")
    axes.legend()
    return figure


def _discs(
    axes: Axes,
    places: np.ndarray,
    values: np.ndarray | None = None,
    low: float | None = None,
    high: float | None = None,
    colormap: str = "viridis",
    *,
    colours: list[str] | None = None,
    reach: float | None = None,
):
    """Draw discs of radius 1 at places ``(N, 2)``."""
    from matplotlib.collections import EllipseCollection

    size = np.full(len(places), 2.0)
    discs = EllipseCollection(
        size, size, np.zeros(len(places)), units="x", offsets=places, transOffset=axes.transData
    )
    if values is None:
        discs.set_facecolor(colours or "C0")
    else:
        discs.set_array(values)
        discs.set_cmap(colormap)
        discs.set_clim(low, high)
    discs.set_edgecolor("none")
    discs.set_rasterized(len(places) > 200)
    axes.add_collection(discs)
    reach = float(np.abs(places).max()) if reach is None else reach
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    return discs

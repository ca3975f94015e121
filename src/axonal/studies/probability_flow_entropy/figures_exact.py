"""The pictures of the parts with exact answers: harmonic swimmers and the ring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from axonal.physics.active_matter.fokker_planck import GridDensity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REACH = 3.2  # of the activity in the pictures
_FAINT = 2e-4  # of the largest density; fainter cells are left blank
_CHAINS = {"one": "one swimmer", "two": "two, joined"}


def draw_denoising(swept: xr.Dataset, noises: Sequence[float], curves: xr.Dataset) -> Figure:
    """Draw learned over exact entropy production against the denoising noise."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    for number, name in enumerate(curves.chain.values):
        colour = f"C{number}"
        axes.plot(curves.noise, curves.ratio.sel(chain=name), color=colour)
        found = swept.ratio.sel(chain=name)
        for noise, case in [(0.0, "implicit"), *((noise, f"noise {noise:g}") for noise in noises)]:
            values = found.sel(case=case).values
            axes.plot(
                np.full(len(values), noise),
                values,
                "o",
                color=colour,
                markersize=4,
                markerfacecolor="white" if noise else colour,
            )
        end = float(curves.ratio.sel(chain=name)[-1])
        axes.annotate(
            _CHAINS[str(name)],
            (float(curves.noise[-1]), end),
            (5, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
        )
    axes.axhline(1, color="0.7", linewidth=1, zorder=0)
    axes.set(xlabel="noise of the denoising loss", ylabel="learned / exact production")
    return figure


def draw_flow(exact: xr.Dataset, learned: xr.Dataset, walk: NDArray[np.float64]) -> Figure:
    """Draw the density with the exact and the learned flow, and a simulated trajectory."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, sharex=True, sharey=True, figsize=(5.6, 5.6))
    part = {"g": slice(-_REACH, _REACH)}
    density = exact.density.sel(part)
    shown = density / density.max()
    for axes, flow, title in zip(
        panels, (exact.velocity, learned.velocity), ("exact", "learned from states"), strict=True
    ):
        axes.pcolormesh(
            shown.x, shown.g, np.sqrt(shown).T, cmap="viridis", shading="nearest", rasterized=True
        )
        # Current rather than velocity sets the width: lines where nothing goes would mislead.
        stride_x, stride_g = max(1, len(shown.x) // 60), max(1, len(shown.g) // 50)
        coarse = flow.sel(part).isel(x=slice(None, None, stride_x), g=slice(None, None, stride_g))
        weight = density.isel(x=slice(None, None, stride_x), g=slice(None, None, stride_g))
        u, v = (coarse.sel(variable=name).fillna(0).values.T for name in ("x", "g"))
        current = np.hypot(u, v) * weight.values.T
        empty = shown.isel(x=slice(None, None, stride_x), g=slice(None, None, stride_g)).values.T
        empty = empty < 1e-5  # where no state ever is
        u, v = np.where(empty, np.nan, u), np.where(empty, np.nan, v)
        axes.streamplot(
            coarse.x.values,
            coarse.g.values,
            u,
            v,
            color="white",
            linewidth=0.3 + 1.5 * np.sqrt(current / current.max()),
            density=0.8,
            arrowsize=0.8,
        )
        axes.set(title=title, ylabel="relative activity g", ylim=(-_REACH, _REACH))
    broken = walk.copy()
    broken[1:][np.abs(np.diff(walk[:, 0])) > 4] = np.nan  # once around
    panels[0].plot(broken[:, 0], broken[:, 1], color="#E69F00", linewidth=0.7, alpha=0.9)
    panels[1].set_xlabel("distance x of the swimmers along the ring (radii)")
    return figure


def draw_fields(exact: GridDensity, learned: xr.Dataset) -> Figure:
    """Draw the local total and system entropy production, exact above and learned below."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, sharex=True, sharey=True, figsize=(6.4, 5.0))
    part = {"g": slice(-_REACH, _REACH)}
    seen = (exact.fields.density > _FAINT * exact.fields.density.max()).sel(part)
    for column, (name, title) in enumerate((("total", "total"), ("divergence", "system"))):
        maps = [
            source[name].sum("variable", skipna=False).sel(part).where(seen)
            for source in (exact.fields, learned)
        ]
        settings: dict[str, Any]
        if name == "total":
            settings = {"cmap": "magma", "vmin": 0, "vmax": float(maps[0].quantile(0.95))}
        else:
            top = float(abs(maps[0]).quantile(0.95))
            settings = {"cmap": "RdBu_r", "vmin": -top, "vmax": top}
        drawn = [
            axes.pcolormesh(
                field.x, field.g, field.T, shading="nearest", rasterized=True, **settings
            )
            for axes, field in zip(panels[:, column], maps, strict=True)
        ]
        for axes, source in zip(panels[:, column], ("exact", "learned"), strict=True):
            axes.set_title(f"{title}, {source}", fontsize=10)
        bar = figure.colorbar(drawn[0], ax=panels[:, column], orientation="horizontal", aspect=30)
        bar.set_label("k_B over time", fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylabel("activity g")
    for axes in panels[1]:
        axes.set_xlabel("distance x")
    return figure


def draw_parts(exact: GridDensity, learned: xr.Dataset) -> Figure:
    """Draw what each variable produces, against the distance."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, sharex=True, figsize=(5.6, 4.6))
    weight = exact.weights
    share = weight.sum("g")
    words = {"x": "position", "g": "activity"}
    for axes, name, label in zip(panels, ("total", "divergence"), ("total", "system"), strict=True):
        for number, variable in enumerate(("x", "g")):
            for source, line in ((exact.fields, "-"), (learned, "--")):
                field = source[name].sel(variable=variable).where(exact.fields.density > 0)
                mean = (field.fillna(0) * weight).sum("g") / share
                axes.plot(
                    mean.x.where(share > 1e-3 * share.max()),
                    mean,
                    line,
                    color=f"C{number}" if line == "-" else "0.15",
                    linewidth=2.4 if line == "-" else 1.1,
                    label=words[variable] if line == "-" else None,
                )
        axes.set_ylabel(f"{label}\n(k_B over time)")
    panels[0].plot([], [], "--", color="0.15", linewidth=1.1, label="learned")
    panels[0].legend(loc="center")
    panels[1].axhline(0, color="0.7", linewidth=0.8, zorder=0)
    panels[1].set_xlabel("distance x of the swimmers along the ring (radii)")
    return figure

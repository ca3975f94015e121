"""The pictures of the study, each with the paper's own curves beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from axonal.cells.contact import det_curve
from axonal.errors import InputError
from axonal.lab.figures import PALETTE
from axonal.statistics import wilson_interval
from axonal.studies.contact_sensing_limits.published import curve
from axonal.studies.contact_sensing_limits.simulated import pooled_areas, pooled_spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

WORDS = {
    "alpha": "likeness α = r/r′",
    "sigma": "half-width σ (µm)",
    "duration": "measuring time T (s)",
}
QUANTITIES = (
    ("sd_c_t", "SD of $c_t$ (1/µm²)"),
    ("sd_chi", "SD of χ"),
    ("sd_x0", "SD of $x_0$ (µm)"),
)
MARKERS = ("o", "s", "^", "D", "v")


def draw_errors(
    along: str,
    grid: Floats,
    lines: Floats,
    curves: Sequence[float],
    points: Sequence[float],
    estimates: Sequence[xr.DataArray],
    published: str = "errors",
) -> Figure:
    """Draw bounds (curve, grid, 3) and simulated errors of c_t, chi and x0, one panel each."""
    figure, panels = _panels(3, height=8.0, stacked=True)
    other = "chi" if along == "alpha" else "alpha"
    symbol = {"chi": "χ", "alpha": "α"}[other]
    for place, ((quantity, label), axes) in enumerate(zip(QUANTITIES, panels, strict=True)):
        for number, value in enumerate(curves):
            colour = PALETTE[number]
            axes.plot(grid, lines[number, :, place], color=colour, label=f"{symbol} = {value:g}")
            deviation, error = pooled_spread(estimates[place].sel({other: value}))
            axes.errorbar(
                points, deviation, error, fmt=MARKERS[number], color=colour, capsize=0, zorder=3
            )
            _paper(axes, colour, published, quantity, along, "line", {other: value})
            _paper(axes, colour, published, quantity, along, "marker", {other: value})
        axes.set_ylabel(label)
        if along == "sigma":
            axes.set_yscale("log")
            _plain_log(axes)
        else:
            axes.set_ylim(bottom=0)
    panels[-1].set_xlabel(WORDS[along])
    panels[0].plot([], [], "--", color="0.4", linewidth=0.9, label="paper, theory")
    panels[0].plot([], [], "x", color="0.4", markersize=4, label="paper, simulation")
    panels[0].legend(loc="best", fontsize=8)
    return figure


def draw_density(shown: Mapping[str, tuple[Floats, Floats, Floats]]) -> Figure:
    """Draw ligand (1/µm²) and position information (1/µm³) along the perimeter, by profile."""
    figure, (above, below) = _panels(2, height=4.2, stacked=True)
    for number, (label, (where, ligand, density)) in enumerate(shown.items()):
        above.plot(where, ligand, color=PALETTE[number], label=label)
        below.semilogy(where, density, color=PALETTE[number])
    above.set(ylabel="ligand (1/µm²)", xlim=(25, 75))
    below.set(
        xlabel="position on the perimeter (µm)", ylabel="information (1/µm³)", ylim=(1e-3, 10)
    )
    above.legend(loc="upper left")
    return figure


def draw_variance(grid: Floats, long: Floats, exact: Floats, estimates: xr.DataArray) -> Figure:
    """Draw Var(c_t) (stop, alpha, duration, repeat, trial) with both bounds (alpha, grid)."""
    figure, (axes,) = _panels(1)
    for number, alpha in enumerate(estimates.alpha.values):
        colour = PALETTE[number]
        axes.plot(grid, long[number], "--", color=colour, linewidth=1)
        axes.plot(grid, exact[number], color=colour, label=f"α = {alpha:g}")
        for stop, marker in (("censor", "o"), ("exceed", "s")):
            deviation, error = pooled_spread(estimates.sel(stop=stop, alpha=alpha))
            axes.errorbar(
                estimates.duration,
                deviation**2,
                2 * deviation * error,
                fmt=marker,
                color=colour,
                markerfacecolor="white" if stop == "exceed" else colour,
                zorder=3,
            )
        _paper(axes, colour, "var_t", "var_c_t", "T", "marker", {"alpha": alpha})
    axes.set(
        xscale="log", yscale="log", xlabel=WORDS["duration"], ylabel="variance of $c_t$ (1/µm⁴)"
    )
    axes.plot([], [], "--", color="0.3", linewidth=1, label="bound ∝ 1/T")
    axes.plot([], [], color="0.3", label="exact bound")
    axes.plot([], [], "o", color="0.3", label="cut at T")
    axes.plot([], [], "s", color="0.3", markerfacecolor="white", label="last pair whole")
    axes.plot([], [], "x", color="0.3", label="paper")
    axes.legend(ncol=2)
    return figure


def draw_false_negatives(ratios: Mapping[float, xr.Dataset], threshold: float) -> Figure:
    """Draw false-negative rates (sigma, repeat, trial) by alpha, with Wilson intervals."""
    figure, (axes,) = _panels(1)
    for number, (alpha, swept) in enumerate(ratios.items()):
        colour = PALETTE[number]
        missed = (swept.present < threshold).values
        missed = missed.reshape(len(missed), -1)
        found = [wilson_interval(int(row.sum()), row.size) for row in missed]
        look = {"fmt": MARKERS[number], "color": colour, "label": f"α = {alpha:g}"}
        _intervals(axes, swept.sigma, found, **look)
        _paper(axes, colour, "fnr", "fnr", "sigma", "marker", {"alpha": alpha}, "-")
    axes.plot([], [], color="0.3", linewidth=1, label="paper")
    axes.set(xlabel=WORDS["sigma"], ylabel="contacts missed", ylim=(-0.02, 1.03))
    axes.legend(loc="upper center")
    return figure


def draw_areas(along: str, swept: xr.Dataset, known: tuple[Floats, Floats] | None = None) -> Figure:
    """Draw error areas (along, repeat, trial) with intervals, log scale, beside the paper's."""
    figure, (axes,) = _panels(1)
    area, low, high = pooled_areas(swept.present, swept.absent)
    x = swept[along].values
    seen, floor = area > 0, 2e-6
    axes.plot(x[seen], area[seen], "o", color=PALETTE[0], label="ours")
    axes.vlines(x[seen], np.maximum(low[seen], floor), high[seen], color=PALETTE[0])
    if not seen.all():
        axes.plot(x[~seen], high[~seen], "v", color=PALETTE[0], label="ours, at most")
    if known is not None:
        grid, least = known
        axes.plot(grid, np.maximum(least, floor / 2), "--", color="0.5", lw=1, label="place known")
    figure_name = "auc" if along == "sigma" else "auc_chi"
    where, values = curve(figure_name, "auc_det", along)
    shown = values > 0
    axes.plot(where[shown], values[shown], "x-", color=PALETTE[1], linewidth=1, label="paper")
    axes.set(yscale="log", ylim=(floor, 1), xlabel=WORDS[along], ylabel="area of errors")
    axes.legend(loc="best")
    return figure


def draw_trade_off(swept: xr.Dataset, widths: Sequence[float]) -> Figure:
    """Draw false positives against false negatives for some half-widths, log scales."""
    figure, (axes,) = _panels(1, height=4.4)
    smallest = 0.5 / swept.present.isel(sigma=0).size
    for number, sigma in enumerate(widths):
        here = swept.sel(sigma=sigma)
        errors = det_curve(here.present, here.absent)
        axes.plot(
            np.maximum(errors.false_negatives, smallest / 10),
            np.maximum(errors.false_positives, smallest / 10),
            color=PALETTE[number % len(PALETTE)],
            label=f"σ = {sigma:g} µm",
        )
    for sigma in (1.0, 5.0, 10.0, 20.0, 40.0):
        x, values = curve("det", "fpr", "fnr", "line", sigma=sigma, alpha=1.0, T=1.0)
        axes.plot(x, values, "--", color="0.6", linewidth=1)
        inside = np.flatnonzero((x > 1.3 * smallest) & (values > 1.3 * smallest))
        if len(inside):
            place = inside[len(inside) // 3]
            at = (x[place], values[place])
            axes.annotate(f"{sigma:g}", at, (3, 3), textcoords="offset points", fontsize=8)
    axes.plot([], [], "--", color="0.6", linewidth=1, label="paper, σ as marked")
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(smallest, 1.3),
        ylim=(smallest, 1.3),
        xlabel="contacts missed",
        ylabel="false alarms",
    )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=3, fontsize=8)
    return figure


def draw_ratios(swept: xr.Dataset, threshold: float) -> Figure:
    """Draw histograms of sqrt(2 lambda) with and without a contact, one panel a half-width."""
    shown = [sigma for sigma in swept.sigma.values if sigma < 30][:4]
    figure, panels = _panels(len(shown), height=1.5 * len(shown) + 0.6, stacked=True)
    bins = np.linspace(0, 11, 34).tolist()
    for axes, sigma in zip(panels, shown, strict=True):
        for name, colour in (("absent", PALETTE[1]), ("present", PALETTE[0])):
            values = np.sqrt(2 * np.maximum(swept[name].sel(sigma=sigma).values.ravel(), 0))
            axes.hist(values, bins=bins, density=True, color=colour, alpha=0.6)
        axes.axvline(np.sqrt(2 * threshold), color="0.3", linewidth=1, linestyle="--")
        axes.set_title(f"σ = {sigma:g} µm", y=0.75, x=0.98, loc="right", fontsize=9)
        axes.set_yticks([])
    panels[0].legend(["threshold", "no contact", "contact"], loc="upper center")
    panels[-1].set_xlabel("square root of twice the likelihood ratio, √(2λ)")
    return figure


def draw_map(missed: xr.DataArray, published: Floats) -> Figure:
    """Draw the false-negative rate (chi, alpha) with both numbers in each cell."""
    figure, (axes,) = _panels(1, height=4.0)
    values = missed.values
    rows, columns = values.shape
    image = axes.imshow(values, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="cividis")
    if rows * columns <= 60:
        for i in range(rows):
            for j in range(columns):
                ink = "white" if values[i, j] < 0.5 else "black"
                text = f"{values[i, j]:.2f}\n{published[i, j]:.2f}"
                axes.text(j, i, text, ha="center", va="center", fontsize=8, color=ink)
    ticks = range(0, columns, max(1, columns // 6)), range(0, rows, max(1, rows // 6))
    axes.set_xticks(list(ticks[0]), [f"{missed.alpha.values[j]:.2f}" for j in ticks[0]])
    axes.set_yticks(list(ticks[1]), [f"{missed.chi.values[i]:.2f}" for i in ticks[1]])
    axes.set(xlabel=WORDS["alpha"], ylabel="correct fraction χ")
    figure.colorbar(image, ax=axes, label="contacts missed")
    return figure


def _paper(
    axes: Axes,
    colour: str,
    figure: str,
    quantity: str,
    along: str,
    kind: str,
    where: Mapping[str, float],
    line: str | None = None,
) -> None:
    """Add one of the paper's curves, where it has one: dashes for theory, crosses for simulation."""
    try:
        x, values = curve(figure, quantity, along, kind, **where)
    except InputError:
        return  # a value of our own, which the paper does not show
    look = line or ("--" if kind == "line" else "x")
    axes.plot(x, values, look, color=colour, linewidth=0.9, markersize=4, alpha=0.75)


def _intervals(axes: Axes, x: Any, found: Sequence[Any], **look: Any) -> None:
    value = np.array([one.value for one in found])
    ends = np.array([[one.value - one.low, one.high - one.value] for one in found]).T
    axes.errorbar(np.asarray(x), value, np.maximum(ends, 0), **look)


def _plain_log(axes: Axes) -> None:
    """Label a short logarithmic axis with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def _panels(count: int, height: float = 3.4, *, stacked: bool = False) -> tuple[Figure, list[Axes]]:
    """Open panels in one column, on one horizontal axis where they are stacked."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(count, 1, figsize=(5.6, height), sharex=stacked, squeeze=False)
    return figure, list(axes[:, 0])

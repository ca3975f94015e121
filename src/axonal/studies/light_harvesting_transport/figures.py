"""The pictures of the study, drawn from labelled results in whatever style is set around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from axonal.physics.light_harvesting.network import ExcitonNetwork
from axonal.physics.light_harvesting.optimum import OptimalDephasing
from axonal.physics.light_harvesting.trimer import TrimerBudget

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_levels(network: ExcitonNetwork) -> Figure:
    """Draw the levels of an ordered ring: photon, bright and dark modes, acceptor, sink."""
    figure, axes = _one()
    ring = network.members("ring")
    energies = np.linalg.eigvalsh(network.hamiltonian[np.ix_(ring, ring)])
    zero = network.reference_energy("bright")
    dark = np.delete(energies, np.abs(energies - zero).argmin()) - zero
    photon = network.hamiltonian[0, 0].real - zero
    acceptor = network.hamiltonian[-1, -1].real - zero
    colours = [f"C{number}" for number in range(6)]
    axes.hlines(photon, 0.0, 0.7, color=colours[5])
    axes.hlines(0.0, 1.3, 2.0, color=colours[0])
    axes.hlines(dark, 1.3, 2.0, color=colours[1], linewidth=1)
    axes.hlines(acceptor, 2.6, 3.3, color=colours[2])
    depth = dark.min()
    below = depth * 0.35
    axes.hlines(below, 3.6, 4.3, color="0.3")
    axes.annotate("sink", (3.95, below), (0, -14), textcoords="offset points", ha="center")
    for x, y, text in (
        (0.35, photon, "photon"),
        (1.65, 0.0, "bright mode"),
        (2.95, acceptor, "acceptor"),
    ):
        axes.annotate(text, (x, y), (0, 6), textcoords="offset points", ha="center")
    axes.annotate(
        f"{len(dark)} dark modes", (1.65, depth), (0, -14), textcoords="offset points", ha="center"
    )
    middle = (photon + 0.0) / 2, acceptor / 2
    for (start, end), level, text in (
        ((0.7, 1.3), middle[0], "√N J"),
        ((2.0, 2.6), middle[1], "√N ξ"),
    ):
        axes.annotate(
            "", (end, level), (start, level), arrowprops={"arrowstyle": "<->", "color": "0.4"}
        )
        axes.annotate(
            text, ((start + end) / 2, level), (0, -14), textcoords="offset points", ha="center"
        )
    axes.annotate("", (3.9, below), (3.1, acceptor), arrowprops={"arrowstyle": "->"})
    axes.annotate("Γ", (3.55, (below + acceptor) / 2), (6, 2), textcoords="offset points")
    axes.set(xlim=(-0.15, 4.45), ylim=(depth * 1.17, -depth * 0.14), xticks=[])
    axes.spines["bottom"].set_visible(False)
    axes.set_ylabel(f"energy from the bright mode{_in(network.unit)}")
    return figure


def draw_lines(spectrum: xr.Dataset, widths: NDArray[np.float64]) -> Figure:
    """Draw eta against detuning for each dephasing rate, and the widths (rates,) below."""
    import matplotlib.pyplot as plt

    figure, (axes, below) = plt.subplots(2, figsize=(5.6, 5.2), height_ratios=(2.6, 1))
    rates = spectrum.dephasing.values
    lines = [spectrum.eta.sel(dephasing=rate).values for rate in rates]
    for number, (rate, line) in enumerate(zip(rates, lines, strict=True)):
        colour = _shade(number, len(rates))
        axes.plot(spectrum.detuning, line, color=colour)
        # Labels of close ends move apart: up for the upper, down for the lower.
        neighbours = [other[-1] - line[-1] for other in lines if other is not line]
        nearest = min(neighbours, key=abs)
        shift = 0 if abs(nearest) > 0.08 else (-5 if nearest > 0 else 5)
        axes.annotate(
            f"γ = {_rate(rate)}",
            (spectrum.detuning.values[-1], line[-1]),
            (5, shift),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=colour,
        )
        below.plot(number, widths[number], "o", color=colour)
    axes.set(xlabel=_detuning(spectrum), ylabel="transfer efficiency η", ylim=(0, 1.03))
    below.plot(range(len(widths)), widths, color="0.6", linewidth=1, zorder=0)
    below.set_xticks(range(len(widths)), [_rate(rate) for rate in rates])
    below.set(xlabel="dephasing rate γ (g)", ylabel="width above\npedestal (g)")
    below.set_ylim(bottom=0)
    return figure


def draw_optimum(
    rates: NDArray[np.float64],
    curves: Mapping[str, ArrayLike],
    best: Sequence[OptimalDephasing],
    label: str,
) -> Figure:
    """Draw eta against the dephasing rate, each curve with its optimum."""
    figure, axes = _one()
    for number, ((name, eta), optimum) in enumerate(zip(curves.items(), best, strict=True)):
        colour = f"C{number}"
        axes.semilogx(rates, np.asarray(eta), color=colour, label=name)
        if optimum.interior:
            axes.plot(optimum.rate, optimum.efficiency, "o", color=colour)
    axes.set(xlabel=label, ylabel="transfer efficiency η", ylim=(0, 1.03))
    axes.legend(loc="lower center")
    return figure


def draw_map(spectrum: xr.Dataset) -> Figure:
    """Draw eta over detuning and dephasing."""
    figure, axes = _one()
    image = axes.pcolormesh(
        spectrum.detuning,
        spectrum.dephasing,
        spectrum.eta.transpose("dephasing", "detuning"),
        vmin=0,
        vmax=1,
        shading="nearest",
        rasterized=True,
    )
    axes.set(yscale="log", xlabel=_detuning(spectrum), ylabel="dephasing rate γ (g)")
    figure.colorbar(image, ax=axes, label="transfer efficiency η")
    return figure


def draw_disorder(
    ordered: xr.DataArray,
    averages: Mapping[str, tuple[xr.DataArray, xr.DataArray]],
    dark: NDArray[np.float64],
) -> Figure:
    """Draw mean efficiencies (detuning,) with bands of two standard errors, beside the ordered line."""
    figure, axes = _one(height=3.8)
    span = ordered.detuning.values.min(), ordered.detuning.values.max()
    for level in np.unique(dark.round(9)):
        if span[0] <= level <= span[1]:
            axes.axvline(level, color="0.75", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.plot(ordered.detuning, ordered, color="0.3", linestyle="--", label="no disorder")
    for number, (label, (mean, error)) in enumerate(averages.items()):
        axes.plot(mean.detuning, mean, color=f"C{number}", label=label)
        axes.fill_between(
            mean.detuning, mean - 2 * error, mean + 2 * error, color=f"C{number}", alpha=0.25, lw=0
        )
    axes.set(xlabel=_detuning(ordered), ylabel="mean efficiency ⟨η⟩", yscale="log")
    axes.legend(loc="upper left")
    return figure


def draw_strengths(harm: xr.DataArray, photon_coupling: float) -> Figure:
    """Draw lost efficiency (kind, width, repeat) against width, with its spread over repeats."""
    figure, axes = _one()
    words = {"photon_ring": "photon–ring", "diagonal": "diagonal", "intra_ring": "intra-ring"}
    for number, (kind, label) in enumerate(words.items()):
        lost = harm.sel(kind=kind).transpose("width", "repeat")
        if kind == "photon_ring":
            lost = lost.where(lost.width <= photon_coupling, drop=True)
        axes.loglog(lost.width, lost.mean("repeat"), "o-", color=f"C{number}", label=label)
        axes.fill_between(
            lost.width, lost.min("repeat"), lost.max("repeat"), color=f"C{number}", alpha=0.25, lw=0
        )
    axes.set(
        xlabel="standard deviation of the disorder (g)",
        ylabel="mean lost efficiency",
        ylim=(3e-5, 0.2),
    )
    axes.legend(loc="lower right")
    return figure


def draw_against_coupling(
    coupling: NDArray[np.float64],
    averages: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    ordered: float,
) -> Figure:
    """Draw the mean efficiency at one detuning against the coupling inside the ring."""
    figure, axes = _one()
    axes.axhline(ordered, color="0.3", linestyle="--", label="no disorder")
    for number, (label, (mean, error)) in enumerate(averages.items()):
        axes.errorbar(
            coupling, mean, 2 * error, color=f"C{number}", marker="o", capsize=3, label=label
        )
    axes.set(
        xscale="log",
        xlabel="coupling g inside the ring",
        ylabel="mean efficiency ⟨η⟩",
        ylim=(0, 1.03),
    )
    axes.set_xticks(coupling, [f"{g:.2g}" for g in coupling])
    axes.minorticks_off()
    axes.legend(loc="lower right")
    return figure


def draw_budget(detuning: NDArray[np.float64], budget: TrimerBudget) -> Figure:
    """Draw where the excitation ends against detuning: stacked, the whole is 1."""
    figure, axes = _one()
    parts = {
        "sink (η)": budget.efficiency,
        "bright mode": budget.bright,
        "dark modes": budget.dark,
        "photon": budget.photon,
        "acceptor": budget.acceptor,
    }
    shown = {name: part for name, part in parts.items() if np.max(part) > 1e-6}
    colours = {"sink (η)": "C2", "bright mode": "C0", "dark modes": "C1", "photon": "C5"}
    axes.stackplot(
        detuning,
        *shown.values(),
        labels=list(shown),
        colors=[colours.get(name, "C3") for name in shown],
        alpha=0.85,
    )
    axes.set(
        xlim=(detuning[0], detuning[-1]),
        ylim=(0, 1),
        xlabel="detuning of the photon from the bright mode (g)",
        ylabel="probability",
    )
    axes.legend(loc="upper right", frameon=True, framealpha=0.9)
    return figure


def draw_residuals(residuals: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw the sorted differences between methods on a log scale."""
    figure, axes = _one()
    for number, (label, values) in enumerate(residuals.items()):
        ordered = np.sort(np.maximum(values, 1e-18))
        axes.semilogy(np.linspace(0, 100, len(ordered)), ordered, color=f"C{number}", label=label)
    axes.axhline(1e-12, color="0.5", linestyle="--", linewidth=1)
    axes.annotate("1e-12", (88, 1e-12), (2, 3), textcoords="offset points", fontsize=8)
    axes.set(xlabel="percent of the random rings", ylabel="difference", ylim=(1e-18, 1e-8))
    axes.legend(loc="upper left")
    return figure


def _one(height: float = 3.4) -> tuple[Figure, Axes]:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(5.6, height))


def _detuning(spectrum: xr.Dataset | xr.DataArray) -> str:
    unit = spectrum.detuning.attrs.get("units", "")
    return f"detuning of the photon from the bright mode{_in(unit)}"


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _rate(rate: float) -> str:
    return f"{rate:.3g}"


def _shade(number: int, count: int) -> tuple[float, float, float, float]:
    """Return a colour of a sequence from dark to light."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](0.9 * number / max(1, count - 1))

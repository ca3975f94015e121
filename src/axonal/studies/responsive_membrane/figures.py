"""The study's pictures: profiles, limits, manifolds, fluxes, phase diagrams, loops, robustness.

Each function returns what ``session.figure`` takes: name, figure, caption, alternative text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from axonal.lab.figures import PALETTE, style
from axonal.physics.membrane import Scales
from axonal.physics.membrane.manifold import geometry, height, material
from axonal.physics.membrane.steady import log_uptakes

if TYPE_CHECKING:
    import xarray as xr

    from axonal.physics.membrane import ResponsiveMembrane, SteadyStates

Drawn = tuple[str, Any, str, str]
FORCE = "force f (k$_B$T/d)"
CONCENTRATION = "bulk concentration c$_0$ (c$_c$)"
VALVE, CLOG = "swelling, repulsive", "collapse, repulsive"


def profiles(membrane: ResponsiveMembrane) -> Drawn:
    """Draw the slab and the concentration through it at three forces."""
    d, length = float(membrane.knots.thickness[0]), membrane.length
    z = np.linspace(0, length, 1201)
    with style():
        figure, axes = plt.subplots(figsize=(5.6, 3.2))
        entry, leave, top = (length - d) / 2, (length + d) / 2, axes.get_xaxis_transform()
        axes.axvspan(entry, leave, color="#E6E6E6", lw=0)
        for at, words in (
            (entry / 2, "bulk"),
            (length / 2, "polymer"),
            (length - entry / 2, "bulk"),
        ):
            axes.text(at, 1.03, words, ha="center", transform=top)
        for force, colour in zip((0.5, 3.0, 10.0), PALETTE, strict=False):
            c = membrane.profile(z, force, 1.0, 0.25)
            axes.semilogy(z, c, color=colour, label=f"f = {force:g}")
        axes.set(xlabel="position z (d)", ylabel="concentration c/c$_0$", xlim=(0, length))
        axes.annotate(
            "", (0.6, 0.93), (0.4, 0.93), xycoords="axes fraction", arrowprops={"arrowstyle": "->"}
        )
        axes.legend(title=FORCE, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return (
        "profiles",
        figure,
        "Steady concentration through a slab that repels the solute (φ = 0.25, K = "
        f"{float(membrane.partition(np.array(0.25))):.2f}). Solute piles up before the slab, is depleted "
        "behind it, and fills the slab as the force (arrow) grows.",
        "Concentration against position for three forces: jumps at both faces of the slab, a ridge "
        "before it, a trough behind it, and a level inside that rises with the force.",
    )


def limits(membranes: dict[str, ResponsiveMembrane], max_force: float) -> Drawn:
    """Draw the laws against phi, and the uptake of inert slabs between its two limits."""
    phi = np.linspace(0.05, 0.5, 200)
    force = np.geomspace(0.02, 30 * max_force, 400)
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.3))
        for case, colour, name in (
            ("swelling, repulsive", PALETTE[0], "repulsive"),
            ("swelling, attractive", PALETTE[1], "attractive"),
        ):
            membrane = membranes[case]
            _, K, a, _ = membrane.properties(phi)
            left.semilogy(phi, K, color=colour, label=f"K, {name}")
            left.semilogy(phi, K / a, "--", color=colour, label=f"P = K D, {name}")
        left.semilogy(phi, 1 / a, color=PALETTE[6], label="D$_{in}$/D$_0$")
        left.set(xlabel="volume fraction φ", ylabel="K, D$_{in}$/D$_0$, P/D$_0$")
        left.legend(fontsize=8)
        valve = membranes[VALVE]
        for held, colour in zip((0.1, 0.25, 0.4), PALETTE, strict=False):
            right.loglog(force, valve.inert_uptake(force, 1.0, held), color=colour)
            _, K, a, _ = (float(x) for x in valve.properties(held))
            right.plot([force[0], 4], [K, K], ":", color=colour, lw=1.2)
            right.plot([4, force[-1]], [a, a], ":", color=colour, lw=1.2)
            right.text(force[0], K * 1.15, f"φ = {held:g}", color=colour, va="bottom")
        right.set(xlabel=FORCE, ylabel="uptake c$_{in}$/c$_0$")
    return (
        "limits",
        figure,
        "Left: the constitutive laws. Attraction and slowing nearly cancel in the permeability P, "
        "repulsion and slowing add up. Right: uptake of an inert repelling slab runs from the "
        "partition ratio K at rest to D₀/D_in at large force (dotted).",
        "Left: five curves against volume fraction on a logarithmic axis. Right: three sigmoid "
        "curves of uptake against force with dotted limits at both ends.",
    )


def manifolds(membranes: dict[str, ResponsiveMembrane], max_force: float) -> Drawn:
    """Draw the volume fraction against force at several concentrations, with stability."""
    with style():
        figure, axes = plt.subplots(2, 2, figsize=(8.2, 5.6), sharex=True, sharey=True)
        for ax, (case, membrane) in zip(axes.flat, membranes.items(), strict=True):
            for c0, colour in _concentrations(membrane, max_force):
                _curve(ax, membrane.branch(c0, max_force), "volume_fraction", colour, f"{c0:.2g}")
            ax.set_title(case)
            _legend(ax)
        for ax in axes[1]:
            ax.set_xlabel(FORCE)
        for ax in axes[:, 0]:
            ax.set_ylabel("volume fraction φ")
    return (
        "manifolds",
        figure,
        "Steady volume fraction against force at five concentrations (solid: stable, dashed: "
        "unstable). Only swelling by an attracted solute is unique everywhere.",
        "Four panels, one a case, of volume fraction against force; three of them have S-shaped "
        "curves with a dashed middle part.",
    )


def fluxes(membranes: dict[str, ResponsiveMembrane], max_force: float) -> Drawn:
    """Draw flux and differential permeability against force for the valve and the clogging case."""
    scales = Scales()
    with style():
        figure, axes = plt.subplots(2, 2, figsize=(8.2, 5.8), sharex=True)
        for column, case in enumerate((VALVE, CLOG)):
            membrane, (above, below) = membranes[case], axes[:, column]
            for c0, colour in _concentrations(membrane, max_force):
                curve = membrane.branch(c0, max_force)
                _curve(above, curve, "flux", colour, f"{c0:.2g}")
                _curve(below, curve, "differential_permeability", colour, f"{c0:.2g}")
            above.set_yscale("log")
            above.set_ylim(2e-3, None)
            above.set_title(case)
            _legend(above)
            below.set_yscale("symlog", linthresh=0.1, linscale=0.7)
            below.set_ylim(-100, 100)
            below.axhline(0, color=PALETTE[6], lw=0.8)
            below.axhspan(-100, 0, color="#F1F1F1", lw=0)
            below.set_xlabel(FORCE)
        axes[0, 0].set_ylabel("flux j (D$_0$c$_c$/d)")
        axes[1, 0].set_ylabel("differential permeability\n(1/c$_0$) dj/df (D$_0$/k$_B$T)")
    return (
        "fluxes",
        figure,
        "Flux (above) and differential permeability with the loop closed (below; negative on grey) "
        "against force; dashed: unstable. Repelled solute that swells the polymer opens a valve; "
        "one that collapses it clogs the membrane, smoothly with negative differential "
        f"permeability or by a jump. For d = 100 nm, D₀ = 10⁻⁹ m²/s, c_c = 10 mM at 298 K: unit force "
        f"{scales.force * 1e12:.3f} pN, unit flux {scales.flux:g} mol/(m² s).",
        "Two columns: S-shaped force-flux curves that jump up for the valve and down for clogging; "
        "below, the differential permeability diverges at the folds and is negative between.",
    )


def surface(membrane: ResponsiveMembrane, max_force: float) -> Drawn:
    """Draw the steady manifold as a surface over force and concentration."""
    knots, low, high = membrane.knots, np.log(0.1), np.log(15.0)  # of ln c0
    y = np.union1d(knots.y, np.linspace(-6, 4, 60))
    force = np.linspace(0, max_force, 80)
    rows = []
    for u in force:
        ends = log_uptakes(membrane, u, low)[0], log_uptakes(membrane, u, high)[-1]
        at = material(membrane, np.clip(y, *ends))
        rows.append((at.phi, *height(membrane, at, u, geometry(membrane, at, u))))
    phi, level, slope = (np.array(column) for column in zip(*rows, strict=True))
    colours = np.where(slope[..., None] > 0, to_rgb(PALETTE[4]), to_rgb(PALETTE[1]))
    with style():
        figure = plt.figure(figsize=(5.6, 4.6))
        axes: Any = figure.add_subplot(projection="3d")
        axes.plot_surface(
            np.broadcast_to(force[:, None], level.shape),
            level / np.log(10),
            phi,
            facecolors=colours,
            rcount=len(force),
            ccount=len(y),
            linewidth=0,
            antialiased=False,
            rasterized=True,
        )
        axes.set(xlabel=FORCE, ylabel="log$_{10}$ c$_0$/c$_c$", zlabel="volume fraction φ")
        axes.view_init(elev=22, azim=-60)
        axes.set_box_aspect(None, zoom=0.9)
    return (
        "surface",
        figure,
        "The steady manifold of the valve over force and concentration: blue sheets are stable, the "
        "orange fold between them is not. It is computed explicitly, without solving for a root.",
        "A surface in three dimensions with a fold that flattens out at a cusp.",
    )


def phase_diagrams(
    membranes: dict[str, ResponsiveMembrane], counts: dict[str, xr.Dataset]
) -> Drawn:
    """Draw the number of stable states over force and concentration, with folds and cusps."""
    from matplotlib.colors import ListedColormap

    shades = ListedColormap(["#FFFFFF", "#CFE3F1"])
    with style():
        figure, axes = plt.subplots(2, 2, figsize=(7.6, 5.8), sharex=True, sharey=True)
        for ax, (case, membrane) in zip(axes.flat, membranes.items(), strict=True):
            count = counts[case].value
            force, c0 = count.force.values, count.bulk_concentration.values
            ax.pcolormesh(force, c0, count.T > 1, cmap=shades, vmin=0, vmax=1, rasterized=True)
            _fold_lines(ax, membrane, float(force[-1]))
            ax.set(yscale="log", title=case)
            if not (count > 1).any():
                ax.text(0.5, 0.5, "one state everywhere", ha="center", transform=ax.transAxes)
        axes[0, 0].annotate(
            "two stable states", (1.0, 3.5), (4.0, 8.0), arrowprops={"arrowstyle": "-", "lw": 0.8}
        )
        for ax in axes[1]:
            ax.set_xlabel(FORCE)
        for ax in axes[:, 0]:
            ax.set_ylabel(CONCENTRATION)
    return (
        "phase-diagrams",
        figure,
        "Where the volume fraction is bistable (shaded: three steady states counted on the grid; "
        "lines: folds; points: cusps). At rest, bistability needs swelling with repulsion or "
        "collapse with attraction; at large force only collapse is bistable, whatever the interaction.",
        "Four phase diagrams of concentration against force: a shaded wedge that closes in a cusp "
        "(swelling, repulsive), none (swelling, attractive), a wedge that opens from a cusp "
        "(collapse, repulsive), and a band at all forces (collapse, attractive).",
    )


def hysteresis(membrane: ResponsiveMembrane, loop: xr.Dataset, driven: xr.Dataset) -> Drawn:
    """Draw the loop of the flux: states, quasi-static sweep, and the full problem driven."""
    c0 = loop.attrs["bulk_concentration"]
    folds = membrane.fold_points(c0, float(loop.force[-1]))
    with style():
        figure, axes = plt.subplots(figsize=(5.6, 3.6))
        _curve(axes, membrane.branch(c0, float(loop.force[-1])), "flux", "#BBBBBB", "steady states")
        half = driven.sizes["time"] // 2
        for part, colour, name in (
            (slice(0, half), PALETTE[1], "force rising"),
            (slice(half, None), PALETTE[0], "force falling"),
        ):
            axes.plot(driven.force[part], driven.flux[part], color=colour, label=name)
        for fold in folds:
            axes.plot(fold.force, fold.flux, "o", color=PALETTE[6])
        low, high = driven.force.values.min(), driven.force.values.max()
        axes.set(xlabel=FORCE, ylabel="flux j (D$_0$c$_c$/d)", xlim=(low, high))
        axes.set_ylim(0, 1.1 * float(driven.flux.max()))
        axes.legend(loc="upper left")
    return (
        "hysteresis",
        figure,
        f"Hysteresis of the valve at c₀ = {c0:g} c_c. Coloured: the Smoluchowski equation solved on a "
        "grid with a polymer relaxing twenty times slower than d²/D₀, force up and down; grey: "
        "steady states (dashed: unstable); points: folds. The jumps lag behind the folds a little.",
        "Flux against force: the rising branch stays low and jumps up just past the upper fold, the "
        "falling branch stays high and drops just past the lower fold.",
    )


def robustness(draws: xr.Dataset) -> Drawn:
    """Draw the share of random sets of laws that show each trait, with Wilson intervals."""
    from axonal.statistics import wilson_interval

    traits = {
        "bistable at rest": draws.bistable_at_rest > 0,
        "bistable at large force": draws.bistable_at_large_force > 0,
        "bistable at some force": draws.bistable > 0,
        "flux jumps up tenfold as force rises": draws.rise_on_rising_force >= 10,
        "flux jumps down tenfold as force rises": draws.fall_on_rising_force >= 10,
        "flux jumps down tenfold as force falls": draws.fall_on_falling_force >= 10,
    }
    count = draws.sizes["draw"]
    with style():
        figure, axes = plt.subplots(figsize=(7.0, 4.4))
        for k, case in enumerate(draws.case.values):
            shown = [int(values.sel(case=case).sum()) for values in traits.values()]
            spans = [wilson_interval(n, count) for n in shown]
            shares = 100 * np.array(shown) / count
            low = shares - 100 * np.array([span.low for span in spans])
            high = 100 * np.array([span.high for span in spans]) - shares
            axes.errorbar(
                shares,
                np.arange(len(traits)) + 0.17 * (k - 1.5),
                xerr=np.maximum([low, high], 0),
                fmt="o",
                color=PALETTE[k],
                label=case,
            )
        axes.set_yticks(range(len(traits)), list(traits))
        axes.invert_yaxis()
        axes.set(xlabel="share of random sets of laws (%)", xlim=(-3, 103))
        for k in range(1, len(traits)):
            axes.axhline(k - 0.5, color="#EEEEEE", lw=1, zorder=0)
        axes.legend(loc="upper center", bbox_to_anchor=(0.35, 1.17), ncols=2)
    return (
        "robustness",
        figure,
        f"What {count} random sets of laws a case show (95 % Wilson intervals): obstruction, strength of "
        "interaction, width and form of the transition, volume fractions and thickness drawn by "
        "Latin hypercube.",
        "Dot plot of six traits for four cases with intervals.",
    )


def own_diagram(membrane: ResponsiveMembrane, max_force: float) -> Drawn:
    """Draw the phase diagram of the user's own membrane."""
    with style():
        figure, axes = plt.subplots()
        _fold_lines(axes, membrane, max_force, shaded=True)
        axes.set(xlabel=FORCE, ylabel="bulk concentration c$_0$", xlim=(0, max_force))
        if axes.lines:
            axes.set_yscale("log")
        else:
            axes.text(
                0.5, 0.5, "one steady state everywhere", ha="center", transform=axes.transAxes
            )
    return (
        "own-phase-diagram",
        figure,
        "Your membrane: bistable between the lines.",
        "Phase diagram of the membrane given by tables.",
    )


def _concentrations(membrane: ResponsiveMembrane, max_force: float) -> list[tuple[float, str]]:
    """Return five concentrations that span the bistable region, or the switch, with colours."""
    knots = membrane.knots
    region = membrane.bistable_region(np.linspace(0, max_force, 61)).dropna("force")
    if region.sizes["force"]:
        low, high = float(region.lower.min()), float(region.upper.max())
    else:
        ratios = np.r_[knots.partition, knots.resistance]  # c_in/c0 at rest and at large force
        switch = np.exp(knots.y[np.argmax(np.abs(knots.phi_slope))])
        low, high = switch / ratios.max(), switch / ratios.min()
    values = np.geomspace(0.8 * low, 1.2 * high, 5)
    return [(float(f"{c0:.2g}"), colour) for c0, colour in zip(values, PALETTE, strict=False)]


def _legend(axes: Any) -> None:
    axes.legend(
        title="c$_0$ (c$_c$)",
        title_fontsize=8,
        fontsize=8,
        handlelength=1.0,
        loc="center left",
        bbox_to_anchor=(0.98, 0.5),
    )


def _curve(axes: Any, states: SteadyStates, name: str, colour: str, label: str) -> None:
    values = getattr(states, name)
    stable, unstable = states.stable, ~states.stable
    joined = unstable | np.r_[False, unstable[:-1]] | np.r_[unstable[1:], False]
    axes.plot(states.force, np.where(stable, values, np.nan), color=colour, label=label)
    axes.plot(states.force, np.where(joined, values, np.nan), "--", color=colour, lw=1.2)


def _fold_lines(
    axes: Any, membrane: ResponsiveMembrane, max_force: float, shaded: bool = False
) -> None:
    cusps = membrane.cusps(max_force)
    force = np.union1d(np.linspace(0, max_force, 241), [c.force * (1 - 1e-9) for c in cusps])
    region = membrane.bistable_region(force)
    if shaded:
        axes.fill_between(force, region.lower, region.upper, color="#CFE3F1", lw=0)
    if region.lower.notnull().any():
        axes.plot(force, region.lower, color=PALETTE[0])
        axes.plot(force, region.upper, color=PALETTE[0])
    for cusp in cusps:
        axes.plot(cusp.force, cusp.bulk_concentration, "o", color=PALETTE[1])

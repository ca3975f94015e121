"""The ring under static disorder: mean spectra, harm against strength, and what a stronger ring restores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.lab import Session
from axonal.physics.light_harvesting import dark_detunings, disorder_average, efficiency_spectrum
from axonal.studies.light_harvesting_transport import figures
from axonal.studies.light_harvesting_transport.rings import ring_of, settings_of

if TYPE_CHECKING:
    from axonal.studies.light_harvesting_transport.study import Config


SPAN = (-1.2, 0.4)


def mean_spectra(config: Config, session: Session) -> None:
    """Mean spectra under each kind of disorder, the same samples at every detuning."""
    settings = settings_of(config)
    network = ring_of(settings)
    dark = dark_detunings(network)
    grid = _detunings(dark, config.detunings)
    kinds = _kinds(config)
    swept = session.sweep(
        "disorder",
        mean_efficiency,
        over={"disorder": kinds, "detuning": grid},
        fixed={
            "ring": settings,
            "dephasing": config.disorder_dephasing,
            "samples": config.samples,
        },
        repeats=config.seeds,
        common=("disorder", "detuning"),
        units={"detuning": "g"},
    )
    ordered = efficiency_spectrum(
        network, grid, [config.disorder_dephasing], reference="bright"
    ).eta.isel(dephasing=0)
    session.data("disorder", swept)
    # The nearest dark mode below the bright one, where disorder bites hardest.
    crossing = dark.max()
    at_crossing = float(ordered.sel(detuning=crossing, method="nearest"))
    session.measure("efficiency_at_crossing_ordered", at_crossing, exact=True)
    harm = _mean_over_detuning(ordered - swept.eta).transpose("repeat", "disorder")
    for name in ("photon_ring", "diagonal"):
        session.measure(f"depression_{name}", harm.sel(disorder=name).values)
        here = swept.eta.sel(disorder=name).sel(detuning=crossing, method="nearest")
        session.measure(f"efficiency_at_crossing_{name}", here.values)
    for name, over, under in (
        ("harm_intra_ring_over_diagonal", "intra_ring_equal_width", "diagonal"),
        (
            "harm_intra_ring_over_photon_ring_by_fraction",
            "intra_ring_equal_fraction",
            "photon_ring_equal_fraction",
        ),
        ("harm_intra_ring_over_photon_ring_by_width", "intra_ring_photon_width", "photon_ring"),
    ):
        session.measure(name, (harm.sel(disorder=over) / harm.sel(disorder=under)).values)
    session.note(
        "The abstract does not say how the strengths of the three kinds of disorder are matched. "
        "Three ways are shown; intra-ring disorder is the mildest in one of them only."
    )
    for picture, names, words in (
        (
            "disorder",
            ("photon_ring", "diagonal", "intra_ring_equal_width"),
            "Photon-ring disorder at its own strength; diagonal and intra-ring disorder at equal "
            "width in energy. Dashed lines: dark modes. Bands: two standard errors.",
        ),
        (
            "disorder_by_fraction",
            ("photon_ring_equal_fraction", "intra_ring_equal_fraction", "intra_ring_photon_width"),
            "Couplings disordered by the same fraction of themselves, and the intra-ring "
            "couplings at the width of the photon-ring ones.",
        ),
    ):
        averages = {kinds[name]["words"]: _over_seeds(swept.sel(disorder=name)) for name in names}
        session.figure(
            picture,
            figures.draw_disorder(ordered, averages, dark),
            caption=words,
            alt="Mean efficiency against detuning under three kinds of disorder",
        )


def strengths(config: Config, session: Session) -> None:
    """Harm against strength, so that any way to match the kinds can be read off."""
    settings = settings_of(config)
    network = ring_of(settings)
    grid = _detunings(dark_detunings(network), 17)
    widths = np.geomspace(config.photon_coupling / 8, config.photon_coupling * 32, 9)
    swept = session.sweep(
        "strengths",
        mean_efficiencies,
        over={"kind": ["photon_ring", "diagonal", "intra_ring"], "width": widths},
        fixed={
            "detuning": grid,
            "ring": settings,
            "dephasing": config.disorder_dephasing,
            "samples": max(2, config.samples // 2),
        },
        repeats=config.seeds,
        common=("kind", "width"),
        dims={"value": ["detuning"]},
        coords={"detuning": grid},
        units={"width": "g"},
    )
    session.data("strengths", swept)
    ordered = efficiency_spectrum(
        network, grid, [config.disorder_dephasing], reference="bright"
    ).eta.isel(dephasing=0)
    harm = _mean_over_detuning(ordered - swept.value)
    session.figure(
        "strength",
        figures.draw_strengths(harm, config.photon_coupling),
        caption="Efficiency lost to disorder, averaged over detunings from -1.2 to 0.4 g. Upwards: "
        "kinds at equal width in energy. The curve of the photon-ring couplings ends at J itself.",
        alt="Lost efficiency against the width of the disorder for three kinds",
    )


def stronger_ring(config: Config, session: Session) -> None:
    """The mean efficiency at one detuning while the ring's coupling moves its dark modes away."""
    settings = settings_of(config)
    kinds = {name: _kinds(config)[name] for name in ("diagonal", "photon_ring")}
    swept = session.sweep(
        "stronger_ring",
        mean_efficiency,
        over={"disorder": kinds, "coupling": np.array(config.couplings)},
        fixed={
            "ring": settings,
            "detuning": config.operating_detuning,
            "dephasing": config.disorder_dephasing,
            "samples": config.samples,
        },
        repeats=config.seeds,
        common=("disorder", "coupling"),
        units={"coupling": "g"},
    )
    session.data("stronger_ring", swept)
    ordered = float(
        efficiency_spectrum(
            ring_of(settings),
            config.operating_detuning,
            [config.disorder_dephasing],
            reference="bright",
        ).eta[0, 0]
    )
    averages = {}
    for name, kind in kinds.items():
        part = swept.sel(disorder=name)
        share = part.eta.transpose("repeat", "coupling").values / ordered
        session.measure(f"restored_{name}", share, along=config.couplings, along_name="coupling g")
        session.measure(f"restored_{name}_at_largest_g", share[:, -1])
        mean, error = _over_seeds(part)
        averages[kind["words"]] = mean.values, error.values
    session.figure(
        "stronger_ring",
        figures.draw_against_coupling(np.array(config.couplings), averages, ordered),
        caption=f"At a detuning of {config.operating_detuning:g} g; the first coupling puts a dark "
        "mode there. Bars: two standard errors.",
        alt="Mean efficiency against the coupling inside the ring",
    )


def mean_efficiency(
    disorder: dict[str, Any],
    detuning: float,
    ring: dict[str, Any],
    dephasing: float,
    samples: int,
    rng: np.random.Generator,
    coupling: float = 1.0,
) -> dict[str, float]:
    """Return mean efficiency and its standard error over disordered rings, at one detuning."""
    average = disorder_average(
        ring_of(ring, coupling),
        disorder["kind"],
        disorder["width"],
        samples,
        detuning,
        [dephasing],
        reference="bright",
        relative=disorder["relative"],
        seed=rng,
    )
    return {"eta": float(average.eta[0, 0]), "error": float(average.eta_se[0, 0])}


def mean_efficiencies(
    kind: Any,
    width: float,
    detuning: np.ndarray,
    ring: dict[str, Any],
    dephasing: float,
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the mean efficiency over disordered rings at each detuning, (detunings,)."""
    average = disorder_average(
        ring_of(ring), kind, width, samples, detuning, [dephasing], reference="bright", seed=rng
    )
    return average.eta.values[:, 0]


def _kinds(config: Config) -> dict[str, dict[str, Any]]:
    """The kinds of disorder and how strong each is, with words for the legend."""
    width, fraction, equal = config.diagonal_width, config.photon_fraction, config.equal_fraction
    photon_width = fraction * config.photon_coupling

    def one(kind: str, width: float, relative: bool, words: str) -> dict[str, Any]:
        return {"kind": kind, "width": width, "relative": relative, "words": words}

    return {
        "photon_ring": one("photon_ring", fraction, True, f"photon–ring, {fraction:.0%} of J"),
        "diagonal": one("diagonal", width, False, f"diagonal, {width:g} g"),
        "intra_ring_equal_width": one("intra_ring", width, False, f"intra-ring, {width:g} g"),
        "photon_ring_equal_fraction": one(
            "photon_ring", equal, True, f"photon–ring, {equal:.0%} of J"
        ),
        "intra_ring_equal_fraction": one(
            "intra_ring", equal, True, f"intra-ring, {equal:.0%} of g"
        ),
        "intra_ring_photon_width": one(
            "intra_ring", photon_width, False, f"intra-ring, {photon_width:.2g} g"
        ),
    }


def _detunings(dark: np.ndarray, points: int) -> np.ndarray:
    """Return detunings over the span, dense about the narrow dips at the dark modes."""
    near = np.geomspace(1e-4, 0.1, 9)
    inside = np.unique(dark[(dark > SPAN[0]) & (dark < SPAN[1])].round(9))
    grid = [*np.linspace(*SPAN, points)]
    for level in inside:
        grid += [level, *(level - near), *(level + near)]
    grid = np.unique(np.round(grid, 9))
    return grid[(grid >= SPAN[0]) & (grid <= SPAN[1])]


def _mean_over_detuning(values: xr.DataArray) -> xr.DataArray:
    """Return the mean over the span, by the trapezoidal rule on the uneven grid."""
    return values.integrate("detuning") / (SPAN[1] - SPAN[0])


def _over_seeds(part: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the mean over repeats and its standard error, from that of each repeat."""
    repeats = part.sizes["repeat"]
    return part.eta.mean("repeat"), np.sqrt((part.error**2).sum("repeat")) / repeats

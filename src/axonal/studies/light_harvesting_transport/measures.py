"""What the study measures, part by part, and the one function its sweeps evaluate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.lab import Session
from axonal.physics.light_harvesting import (
    ExcitonNetwork,
    continuous_drive,
    dark_detunings,
    disorder_average,
    disordered,
    efficiency_spectrum,
    exciton_hamiltonian,
    fmo,
    loss_budget,
    optimal_dephasing,
    read_chromophores,
    ring_acceptor,
    toy_ring,
    transfer_efficiency,
    trimer_efficiency,
    trimer_of,
)
from axonal.physics.light_harvesting.lineshape import LineShape, line_shape, lorentzian_line
from axonal.studies.light_harvesting_transport import figures

if TYPE_CHECKING:
    from axonal.studies.light_harvesting_transport.study import Config

FAR = 1e6
SPAN = (-1.2, 0.4)
TOY_RATES = (0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)


def ordered_line(config: Config, session: Session) -> None:
    """The line without disorder: its shape, what dephasing does to it, and off resonance."""
    network = _ring(_settings(config))
    detuning = np.linspace(-4, 4, 6401)
    weak = _lines(network, detuning, config.weak_dephasing)
    session.measure("peak_efficiency", weak[0].peak, exact=True)
    session.measure("line_width", weak[0].width, "g", exact=True)
    along: dict[str, Any] = {"along_name": "dephasing rate", "exact": True}
    rates = config.weak_dephasing
    session.measure("peak_weak_dephasing", [s.peak for s in weak], along=rates, **along)
    session.measure("line_width_weak_dephasing", [s.width for s in weak], "g", along=rates, **along)

    rates = config.strong_dephasing
    strong = _lines(network, detuning, rates)
    session.measure("peak_strong_dephasing", [s.peak for s in strong], along=rates, **along)
    session.measure("peak_detuning", [s.position for s in strong], "g", along=rates, **along)
    shares = [s.pedestal / s.peak for s in strong]
    session.measure("pedestal_over_peak", shares, along=rates, **along)
    widths = [s.width_above_pedestal for s in strong]
    session.measure("width_above_pedestal", widths, "g", along=rates, **along)
    trimer = trimer_of(network)
    assert trimer is not None
    session.measure("lorentzian_width", lorentzian_line(trimer)[1], "g", exact=True)

    leak = config.leak
    # The couplings to the bright mode are those of a ring of 8, whatever its size.
    coupling = 10 * leak * np.sqrt(8 / config.ring_sites)
    leaky = _ring(
        _settings(config)
        | {"J": coupling, "xi": coupling, "sink": 10 * leak}
        | {"kappa_ring": leak, "kappa_photon": leak}
    )
    rates = tuple(leak * factor for factor in (0, 5, 10, 20))
    lines = _lines(leaky, np.linspace(-8, 8, 6401), rates)
    session.measure("line_width_leaky_photon", [s.width for s in lines], "g", along=rates, **along)

    shown = efficiency_spectrum(
        network, np.linspace(-1, 1, 801), config.strong_dephasing, reference="bright"
    )
    session.data("ordered_line", shown)
    session.figure(
        "line",
        figures.draw_lines(shown, np.array(widths)),
        caption="The line without disorder. Dephasing lowers it and lifts a pedestal under it; "
        "above the pedestal it narrows.",
        alt="Efficiency against detuning for five dephasing rates",
    )
    session.figure(
        "levels",
        figures.draw_levels(network),
        caption="The photon and the acceptor see only the bright mode of the ring; dephasing and "
        "disorder reach the dark modes.",
        alt="Energy levels of photon, bright and dark ring modes, acceptor and sink",
    )
    _budget_figure(network, session)
    _off_resonance(network, config, session)
    _drive(network, session)


def exactness(config: Config, session: Session) -> None:
    """Closed form, Green's function and Liouvillian on random rings, and the sum of the losses."""
    rng = session.rng("random rings")
    closed, green, missing = [], [], []
    for _ in session.track(range(config.random_rings), "methods on random rings"):
        network = _random_ring(rng)
        budgets = {m: loss_budget(network, method=m) for m in ("closed", "green", "liouville")}
        reference = budgets["liouville"].eta
        closed.append(abs(float(budgets["closed"].eta - reference)))
        green.append(abs(float(budgets["green"].eta - reference)))
        rough = disordered(network, "diagonal", 1.0, seed=rng)
        for budget in (*budgets.values(), loss_budget(rough)):
            missing.append(float(abs(1 - budget.eta - budget.loss.sum("channel")).max()))
    session.measure("closed_form_error", max(closed), exact=True)
    session.measure("green_function_error", max(green), exact=True)
    session.measure("budget_residual", max(missing), exact=True)
    residuals = {
        "closed form − Liouvillian": closed,
        "Green's function − Liouvillian": green,
        "1 − η − ΣL": missing,
    }
    session.figure(
        "residuals",
        figures.draw_residuals({name: np.array(values) for name, values in residuals.items()}),
        caption="Three ways to the same number, on random rings with random rates.",
        alt="Sorted differences between methods, all below 1e-12",
    )


def disorder(config: Config, session: Session) -> None:
    """Mean spectra under each kind of disorder, the same samples at every detuning."""
    settings = _settings(config)
    network = _ring(settings)
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
    settings = _settings(config)
    network = _ring(settings)
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
    settings = _settings(config)
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
            _ring(settings),
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


def toy_ring_trapping(session: Session) -> None:
    """The bare ring: half is trapped coherently, dephasing frees it, much dephasing freezes it."""
    series = [float(transfer_efficiency(toy_ring(dephasing=rate))) for rate in TOY_RATES]
    best = optimal_dephasing(toy_ring())
    session.measure("toy_ring_trapped", series[0], exact=True)
    session.measure(
        "toy_ring_efficiency", series, along=TOY_RATES, along_name="dephasing rate", exact=True
    )
    session.measure("toy_ring_best", best.efficiency, exact=True)
    session.measure("toy_ring_best_dephasing", best.rate, "J", exact=True)
    rates = np.logspace(-5, 3, 65)
    curves, optima = {}, []
    for start, words in ((2, "start a quarter around"), (4, "start opposite the trap")):
        curves[words] = [
            float(transfer_efficiency(toy_ring(dephasing=rate, start=start))) for rate in rates
        ]
        optima.append(optimal_dephasing(toy_ring(start=start)))
    session.figure(
        "toy_ring",
        figures.draw_optimum(rates, curves, optima, "dephasing rate γ (J)"),
        caption="A ring of 8 with a trap on one site. Without dephasing half of an excitation that "
        "starts a quarter around stays in modes that the trap can't see.",
        alt="Efficiency of the bare ring against dephasing, with the optimum marked",
    )


def real_complex(config: Config, session: Session) -> None:
    """Dephasing in a real protein: FMO as published, or the user's own structure."""
    if config.structure is None:
        networks = {f"FMO, from BChl {start}": fmo(start=start) for start in (1, 6)}
    else:
        networks = {config.structure.stem: _from_structure(config)}
    rates = np.logspace(-3, 4, 57)
    optima = [optimal_dephasing(network, rates=rates) for network in networks.values()]
    curves = {name: efficiency_of_rates(network, rates) for name, network in networks.items()}
    session.measure("complex_without_dephasing", optima[-1].without, exact=True)
    session.measure("complex_best", optima[-1].efficiency, exact=True)
    session.measure("complex_best_dephasing", optima[-1].rate, "1/ps", exact=True)
    session.figure(
        "complex",
        figures.draw_optimum(rates, curves, optima, "dephasing rate γ (1/ps)"),
        caption="Trapping at 1/ps, recombination at 1/ns, pure dephasing of every site.",
        alt="Efficiency of a real complex against dephasing, with the optimum marked",
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
        _ring(ring, coupling),
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
        _ring(ring), kind, width, samples, detuning, [dephasing], reference="bright", seed=rng
    )
    return average.eta.values[:, 0]


def efficiency_of_rates(network: ExcitonNetwork, rates: np.ndarray) -> np.ndarray:
    """Return the efficiency at each uniform dephasing rate, (rates,)."""
    every = np.repeat(rates[:, None], len(network.sites), axis=1)
    return transfer_efficiency(network.with_(dephasing=every, dims=("dephasing",)))


def _settings(config: Config) -> dict[str, Any]:
    return {
        "N": config.ring_sites,
        "dimerisation": config.dimerisation,
        "J": config.photon_coupling,
        "xi": config.acceptor_coupling,
        "kappa_ring": config.ring_loss,
        "sink": config.sink,
    }


def _ring(settings: dict[str, Any], coupling: float = 1.0) -> ExcitonNetwork:
    settings = dict(settings)
    split = settings.pop("dimerisation")
    g = (coupling * (1 + split), coupling * (1 - split)) if split else coupling
    return ring_acceptor(g=g, unit="g", **settings)


def _lines(
    network: ExcitonNetwork, detuning: np.ndarray, rates: tuple[float, ...]
) -> list[LineShape]:
    spectrum = efficiency_spectrum(network, [*detuning, FAR], rates, reference="bright").eta
    return [line_shape(detuning, line[:-1], pedestal=line[-1]) for line in spectrum.values.T]


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


def _random_ring(rng: np.random.Generator) -> ExcitonNetwork:
    names = ("kappa_photon", "kappa_ring", "kappa_acceptor", "sink", "dephasing")
    return ring_acceptor(
        int(rng.integers(3, 11)),
        *rng.normal(size=3),
        **dict(zip(names, 10 ** rng.uniform(-4, 0.5, 5), strict=True)),
        detuning=rng.normal(),
        acceptor_detuning=rng.normal(),
    )


def _budget_figure(network: ExcitonNetwork, session: Session) -> None:
    detuning = np.linspace(-1, 1, 401)
    trimer = trimer_of(network)
    assert trimer is not None
    from axonal.physics.light_harvesting import solve_trimer

    dephased = replace(trimer, photon_detuning=detuning, dephasing=3 * np.max(trimer.ring_loss))
    session.figure(
        "budget",
        figures.draw_budget(detuning, solve_trimer(dephased)),
        caption="Where the excitation ends, at a dephasing of three times the ring's loss: the "
        "parts sum to 1.",
        alt="Stacked probabilities of capture and of loss from each level against detuning",
    )


def _off_resonance(network: ExcitonNetwork, config: Config, session: Session) -> None:
    rates = np.logspace(-6, 2, 65)
    detunings = sorted({0.3, config.off_resonance})
    spectrum = efficiency_spectrum(network, detunings, rates, reference="bright").eta
    best = [optimal_dephasing(network, value, reference="bright") for value in detunings]
    here = detunings.index(config.off_resonance)
    session.measure(
        "efficiency_off_resonance",
        spectrum.values[here],
        along=rates,
        along_name="dephasing rate",
        exact=True,
    )
    session.measure("optimal_dephasing", best[here].rate, "g", exact=True)
    session.measure("optimal_efficiency", best[here].efficiency, exact=True)
    session.measure("efficiency_without_dephasing", best[here].without, exact=True)
    session.figure(
        "off_resonance",
        figures.draw_optimum(
            rates,
            {
                f"detuning {value:g} g": line
                for value, line in zip(detunings, spectrum.values, strict=True)
            },
            best,
            "dephasing rate γ (g)",
        ),
        caption="Off resonance dephasing assists transfer, up to an optimum found by gradient.",
        alt="Efficiency against dephasing at two detunings, each with an interior optimum",
    )
    both = efficiency_spectrum(
        network, np.linspace(-1, 1, 161), np.logspace(-6, 2, 81), reference="bright"
    )
    session.figure(
        "map",
        figures.draw_map(both),
        caption="Efficiency over detuning and dephasing.",
        alt="Heat map of efficiency over detuning and dephasing",
    )


def _drive(network: ExcitonNetwork, session: Session) -> None:
    """How far the answer to weak continuous light is from that to one photon."""
    apart = []
    for detuning in np.linspace(-1, 1, 21):
        tuned = network.with_site_energy("photon", network.reference_energy("bright") + detuning)
        steady = continuous_drive(tuned, detuning, reference="bright").eta[0]
        apart.append(abs(float(steady) - float(trimer_efficiency(tuned).efficiency)))
    session.measure("continuous_drive_difference", max(apart), exact=True)


def _from_structure(config: Config) -> ExcitonNetwork:
    assert config.structure is not None
    chromophores = read_chromophores(config.structure, dipole_debye=config.dipole_debye)
    energies = 0.0 if chromophores.energies is None else None
    return ExcitonNetwork.from_wavenumbers(
        exciton_hamiltonian(chromophores, energies),
        loss=1e-3,
        dephasing=0.0,
        sink={config.trap: 1.0},
        sites=chromophores.labels,
        start=chromophores.labels[config.entry],
    )

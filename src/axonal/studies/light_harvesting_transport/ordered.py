"""The ring without disorder: its line, dephasing on and off resonance, and the methods compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.lab import Session
from axonal.physics.light_harvesting import (
    ExcitonNetwork,
    LineShape,
    continuous_drive,
    disordered,
    efficiency_spectrum,
    line_shape,
    lorentzian_line,
    loss_budget,
    optimal_dephasing,
    solve_trimer,
    trimer_efficiency,
    trimer_of,
)
from axonal.studies.light_harvesting_transport import figures
from axonal.studies.light_harvesting_transport.rings import random_ring, ring_of, settings_of

if TYPE_CHECKING:
    from axonal.studies.light_harvesting_transport.study import Config


FAR = 1e6


def ordered_line(config: Config, session: Session) -> None:
    """The line without disorder: its shape, what dephasing does to it, and off resonance."""
    network = ring_of(settings_of(config))
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
    leaky = ring_of(
        settings_of(config)
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
        network = random_ring(rng)
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


def _lines(
    network: ExcitonNetwork, detuning: np.ndarray, rates: tuple[float, ...]
) -> list[LineShape]:
    spectrum = efficiency_spectrum(network, [*detuning, FAR], rates, reference="bright").eta
    return [line_shape(detuning, line[:-1], pedestal=line[-1]) for line in spectrum.values.T]


def _budget_figure(network: ExcitonNetwork, session: Session) -> None:
    detuning = np.linspace(-1, 1, 401)
    trimer = trimer_of(network)
    assert trimer is not None
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

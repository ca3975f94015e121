"""What the study measures, each on the membrane of one of four cases or on random sets of laws."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.physics.membrane import (
    FreeVolumeDiffusivity,
    HillResponse,
    ResponsiveMembrane,
    TabulatedLaw,
    TabulatedResponse,
    TanhResponse,
    VirialPartition,
    discretise,
    drive,
    settle,
)
from axonal.physics.membrane.folds import Fold
from axonal.physics.membrane.survey import largest_jumps, survey

if TYPE_CHECKING:
    import xarray as xr

    from axonal.lab import Session
    from axonal.studies.responsive_membrane.study import Config

CASES = (
    "swelling, repulsive",
    "swelling, attractive",
    "collapse, repulsive",
    "collapse, attractive",
)
VALVE, CLOG = CASES[0], CASES[2]
CONCENTRATIONS = (0.02, 20.0)  # range of the phase diagrams
SURVEYED_FORCES = 25


def membrane_of(case: str, config: Config) -> ResponsiveMembrane:
    """Return the membrane of one of the four cases."""
    return _membrane(
        case,
        strength=config.interaction,
        obstruction=config.obstruction,
        low=config.low,
        high=config.high,
        width=config.width,
        length=config.length,
    )


def own_membrane(config: Config) -> ResponsiveMembrane:
    """Return the membrane of the user's tables; what they leave out is the valve's."""
    valve = membrane_of(VALVE, config)
    partition, diffusivity, response = valve.partition, valve.diffusivity, valve.response
    if config.properties_table:
        partition = TabulatedLaw.from_csv(config.properties_table, "phi", "K")
        diffusivity = TabulatedLaw.from_csv(config.properties_table, "phi", "D")
    if config.response_table:
        response = TabulatedResponse.from_csv(config.response_table, "c", "phi")
    return ResponsiveMembrane(partition, diffusivity, response, length=config.length)


def uptake_limits(membrane: ResponsiveMembrane, session: Session) -> None:
    """Solve the Smoluchowski equation on a grid at both ends of the force, and in between."""
    phi = 0.25
    _, partition, resistance, _ = (float(x) for x in membrane.properties(phi))
    uptakes = {u: _grid_uptake(membrane, u, phi) for u in (1e-4, 0.1, 1.0, 5.0, 20.0, 400.0)}
    exact = {u: float(membrane.inert_uptake(u, 1.0, phi)) for u in uptakes}
    error = max(abs(uptakes[u] / exact[u] - 1) for u in uptakes)
    session.measure("partition_ratio", partition, exact=True)
    session.measure("slowing_ratio", resistance, "D0/D_in", exact=True)
    session.measure("uptake_at_rest", uptakes[1e-4], "c0", exact=True)
    session.measure("uptake_at_large_force", uptakes[400.0], "c0", exact=True)
    session.measure("uptake_error_of_closed_form", error, "relative to the grid", exact=True)


def _grid_uptake(membrane: ResponsiveMembrane, force: float, phi: float) -> float:
    slab = discretise(membrane, force, 1.0, phi, cells=60)
    return slab.uptake(slab.steady())


def phase_diagrams(
    membranes: dict[str, ResponsiveMembrane], config: Config, session: Session
) -> dict[str, xr.Dataset]:
    """Count the steady states over force and concentration, and find the cusp of the valve."""
    over = {
        "force": np.linspace(0.0, config.max_force, config.grid),
        "bulk_concentration": np.geomspace(*CONCENTRATIONS, config.grid),
    }
    diagrams = {}
    for case, membrane in membranes.items():
        name = "states_" + case.replace(", ", "_")
        diagrams[case] = session.sweep(name, membrane.count_states, over, vectorized=True)
        share = float((diagrams[case].value > 1).mean())
        session.measure(f"bistable_share_{name[7:]}", share, "of force and ln c0", exact=True)
    valve = membranes[VALVE]
    for cusp in valve.cusps(config.max_force)[:1]:
        session.measure("cusp_force", cusp.force, "k_BT/d", exact=True)
        session.measure("cusp_concentration", cusp.bulk_concentration, "c_c", exact=True)
        upper, lower = valve.fold_concentrations(cusp.force * (1 - 1e-6))
        gap = np.log(upper.bulk_concentration / lower.bulk_concentration)
        session.measure("fold_gap_at_cusp", gap, "ln c0", exact=True)
        before = valve.bistable_region([0.9 * cusp.force])
        inside = float(np.sqrt(before.lower[0] * before.upper[0]))
        beyond = valve.count_states(1.1 * cusp.force, np.geomspace(*CONCENTRATIONS, 400))
        session.measure(
            "states_inside_cusp", int(valve.count_states(0.9 * cusp.force, inside)), exact=True
        )
        session.measure("states_beyond_cusp", int(beyond.max()), exact=True)
    return diagrams


def flux_jumps(membranes: dict[str, ResponsiveMembrane], config: Config, session: Session) -> None:
    """Measure how far the flux jumps at folds, by direction, and against the interaction."""
    forces = np.linspace(0.0, config.max_force, 2 * SURVEYED_FORCES)[1:]
    largest: dict[str, float] = {}
    for membrane in membranes.values():
        for name, factor in largest_jumps(membrane, _folds(membrane, forces)).items():
            largest[name] = max(factor, largest.get(name, 1.0))
    for name, factor in largest.items():
        session.measure(f"largest_{name}", factor, "times", exact=True)
    series = []
    for strength in config.interactions:
        changed = config.model_copy(update={"interaction": strength})
        valve = membrane_of(VALVE, changed)
        series.append(largest_jumps(valve, _folds(valve, forces))["rise_on_rising_force"])
    session.measure(
        "largest_flux_jump",
        series,
        "times",
        along=list(config.interactions),
        along_name="|b|",
        exact=True,
    )


def _folds(membrane: ResponsiveMembrane, forces: np.ndarray) -> list[Fold]:
    return [fold for force in forces for fold in membrane.fold_concentrations(float(force))]


def clogging(membrane: ResponsiveMembrane, config: Config, session: Session) -> None:
    """Measure the least differential permeability where every state is unique, and held inert."""
    cusps = membrane.cusps(config.max_force)
    c0 = 1.15 * cusps[0].bulk_concentration if cusps else config.bulk_concentration
    curve = membrane.branch(c0, config.max_force)
    session.measure(
        "least_differential_permeability_clogging",
        float(np.nanmin(curve.differential_permeability)),
        "D0",
        exact=True,
    )
    session.measure(
        "least_differential_permeability_inert",
        float(np.nanmin(curve.differential_permeability_inert)),
        "D0",
        exact=True,
    )
    session.measure(
        "folds_of_clogging_curve", len(membrane.fold_points(c0, config.max_force)), exact=True
    )


def hysteresis(
    membrane: ResponsiveMembrane, config: Config, session: Session
) -> tuple[xr.Dataset, xr.Dataset]:
    """Sweep the force quasi-statically, and drive the full problem on a grid through the loop."""
    c0 = config.bulk_concentration
    loop = membrane.hysteresis(c0, np.linspace(0.0, config.max_force, 241))
    area = float(
        (loop.flux.sel(direction="down") - loop.flux.sel(direction="up")).integrate("force")
    )
    session.measure("loop_area", area, "D0 c_c k_BT/d^2", exact=True)
    for jump in membrane.jumps(c0, config.max_force):
        session.measure(f"jump_force_{jump.direction}", jump.force, "k_BT/d", exact=True)
        session.measure(f"flux_ratio_{jump.direction}", jump.ratio, "times", exact=True)

    folds = [fold.force for fold in membrane.fold_points(c0, config.max_force)]
    first, last = (max(min(folds) - 1, 0.0), max(folds) + 1) if folds else (0.0, config.max_force)
    half = np.linspace(first, last, config.driven_steps)
    start = settle(membrane, first, c0, membrane.knots.phi[0]).volume_fraction[0]
    driven = drive(
        membrane,
        c0,
        time=2.0 * np.arange(2 * len(half)),
        force=np.r_[half, half[::-1]],
        relaxation_time=20.0,
        volume_fraction=float(start),
    )
    phi, middle = driven.volume_fraction.values, (config.low + config.high) / 2
    up = np.interp(-middle, -phi[: len(half)], half)
    down = np.interp(-middle, -phi[: len(half) - 1 : -1], half)
    session.measure("grid_jump_force_up", float(up), "k_BT/d", exact=True)
    session.measure("grid_jump_force_down", float(down), "k_BT/d", exact=True)
    session.data("quasi_static_loop", loop)
    session.data("driven_loop", driven)
    return loop, driven


def robustness(config: Config, session: Session) -> xr.Dataset:
    """Survey random sets of laws in each case; the draws are the repeats of the measurements."""
    from scipy.stats import qmc

    ranges = {
        "obstruction": (2.0, 8.0),
        "strength": (2.0, 10.0),
        "width": (0.05, 0.4),
        "length": (1 / 0.8, 1 / 0.3),
        "low": (0.05, 0.15),
        "high": (0.3, 0.6),
        "hill": (0.0, 1.0),
    }
    sampler = qmc.LatinHypercube(len(ranges), rng=session.rng("laws"))
    points = qmc.scale(sampler.random(config.draws), *zip(*ranges.values(), strict=True))
    forces = np.linspace(0.0, config.max_force, SURVEYED_FORCES)
    draws = session.sweep(
        "laws",
        survey_of_laws,
        {"case": list(CASES), tuple(ranges): tuple(points.T)},
        fixed={"forces": forces},
    )
    draws = draws.rename({"_".join(ranges): "draw"})
    failed = draws.bistable.isnull().any("case")
    if failed.any():
        session.note(
            f"{int(failed.sum())} of {config.draws} random sets of laws failed and are left out."
        )
        draws = draws.isel(draw=~failed.values)
    session.data("robustness", draws.reset_coords(drop=False))
    for case in CASES:
        here, name = draws.sel(case=case), case.replace(", ", "_")
        for trait in ("bistable", "bistable_at_rest", "bistable_at_large_force"):
            session.measure(f"{trait}_{name}", here[trait].values, "of draws", bounds=(0, 1))
        for trait in ("rise_on_rising_force", "fall_on_rising_force", "fall_on_falling_force"):
            tenfold = here[trait].values >= 10
            session.measure(f"tenfold_{trait}_{name}", tenfold, "of draws", bounds=(0, 1))
    for kind in ("responsive", "inert"):
        departure = draws[f"exponent_departure_{kind}"].values.ravel()
        session.measure(f"exponent_departure_{kind}", departure)
    return draws


def survey_of_laws(
    case: str,
    obstruction: float,
    strength: float,
    width: float,
    length: float,
    low: float,
    high: float,
    hill: float,
    forces: np.ndarray,
) -> dict[str, float]:
    """Survey one set of laws; ``hill`` above a half takes the Hill response, else the tanh."""
    laws = {"obstruction": obstruction, "low": low, "high": high, "length": length}
    return asdict(survey(_membrane(case, strength, width=width, hill=hill > 0.5, **laws), forces))


def _membrane(
    case: str,
    strength: float,
    *,
    obstruction: float,
    low: float,
    high: float,
    width: float,
    length: float,
    hill: bool = False,
) -> ResponsiveMembrane:
    kind: Any
    kind, interaction = case.split(", ")
    response = (
        HillResponse(low, high, 1.0, 2 / width, kind)
        if hill
        else TanhResponse(low, high, 1.0, width, kind)
    )
    return ResponsiveMembrane(
        VirialPartition(strength if interaction == "repulsive" else -strength),
        FreeVolumeDiffusivity(obstruction),
        response,
        length=length,
    )

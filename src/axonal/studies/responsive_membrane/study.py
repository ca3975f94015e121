"""Responsive membranes: flux through a film that swells or collapses with what it takes up.

Milster, Kim and Dzubiella, J. Chem. Phys. 158, 104903 (2023), arXiv:2212.00537. The transport is
exact; the constitutive laws and their numbers are ours, since the abstract gives none, and a Latin
hypercube of laws stands in for the error bars of a deterministic model.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field, FiniteFloat, PositiveFloat

from axonal.lab import (
    All,
    Claim,
    Equals,
    Greater,
    Increasing,
    Paper,
    Session,
    Study,
    StudyConfig,
    Within,
)


class Config(StudyConfig):
    """Reduced units: lengths in the slab's thickness d, concentrations in c_c, energies in k_BT."""

    interaction: PositiveFloat = Field(
        6.0, description="|b| of the partition ratio K = exp(-b phi)"
    )
    obstruction: PositiveFloat = Field(5.0, description="A of D_in/D0 = exp(-A phi/(1 - phi))")
    low: float = Field(0.1, ge=0, lt=1, description="volume fraction of the swollen polymer")
    high: float = Field(0.4, gt=0, lt=1, description="volume fraction of the collapsed polymer")
    width: PositiveFloat = Field(0.1, description="width w of the transition, in c_c")
    length: FiniteFloat = Field(2.0, gt=1, description="distance L of the reservoirs, in d")
    max_force: PositiveFloat = Field(12.0, description="largest force, in k_BT/d")
    interactions: tuple[PositiveFloat, ...] = Field(
        (2.0, 4.0, 6.0, 8.0, 10.0), description="|b| for the series of flux jumps, ascending"
    )
    bulk_concentration: PositiveFloat = Field(0.8, description="c0 of the hysteresis loop, in c_c")
    grid: int = Field(200, ge=8, description="forces, and concentrations, of the phase diagrams")
    driven_steps: int = Field(3000, ge=100, description="time steps of the driven loop, each way")
    draws: int = Field(200, ge=2, description="random sets of laws for each of the four cases")
    properties_table: Path | None = Field(
        None, description="your membrane: CSV with columns phi, K and D (D_in/D0)"
    )
    response_table: Path | None = Field(
        None, description="your membrane: CSV with columns c (in units you choose) and phi"
    )


study = Study(
    slug="responsive-membrane",
    paper=Paper(
        title="Feedback-controlled solute transport through chemo-responsive polymer membranes",
        arxiv="2212.00537",
        published=date(2022, 12, 1),
        authors=("Sebastian Milster", "Won Kyu Kim", "Joachim Dzubiella"),
    ),
    area="physics",
    config=Config,
    presets={
        "smoke": {"grid": 12, "draws": 3, "interactions": (4.0, 6.0), "driven_steps": 800},
        "full": {"grid": 2000, "draws": 250_000},
    },
    claims=[
        Claim(
            "nonlinear-flux",
            "Feedback makes the force-flux relation more nonlinear than that of the same membrane "
            "held inert, and lets the flux fall while the force rises",
            reported="nonlinear force-flux relations, quantified by the differential permeability",
            source="abstract",
            test=All(
                Greater("exponent_departure_responsive", "exponent_departure_inert"),
                Greater("least_differential_permeability_inert", 0.0),
                Greater(0.0, "least_differential_permeability_clogging"),
            ),
        ),
        Claim(
            "flux-rises-by-orders",
            "A small rise of the force raises the flux more than tenfold",
            reported="increase by orders of magnitude, triggered by a small change in the force",
            source="abstract",
            test=Greater("largest_rise_on_rising_force", 10.0),
        ),
        Claim(
            "flux-falls-by-orders",
            "A small fall of the force lowers the flux more than tenfold",
            reported="decrease by orders of magnitude, triggered by a small change in the force",
            source="abstract",
            test=Greater("largest_fall_on_falling_force", 10.0),
        ),
        Claim(
            "clogging-by-orders",
            "A small rise of the force lowers the flux more than tenfold (the membrane clogs)",
            reported="decrease by orders of magnitude, triggered by a small change in the force; "
            "whether the force rises or falls is not said in the abstract",
            source="abstract",
            test=Greater("largest_fall_on_rising_force", 10.0),
        ),
        Claim(
            "tuned-by-interaction",
            "Attraction and repulsion set whether the flux can jump at all, and how far",
            reported="largely tunable by attractive versus repulsive solute-membrane interactions",
            source="abstract",
            test=All(
                Increasing("largest_flux_jump"),
                Greater("bistable_swelling_repulsive", "bistable_swelling_attractive"),
                Greater(
                    "bistable_at_rest_collapse_attractive", "bistable_at_rest_collapse_repulsive"
                ),
            ),
        ),
        Claim(
            "bistability",
            "Concentration and force control a region of two stable volume fractions, closed by a cusp",
            reported="steady-state bistability of phi by controlling the inputs c0 and f",
            source="abstract",
            test=All(
                Greater("bistable_share_swelling_repulsive", 0.0),
                Greater("states_inside_cusp", "states_beyond_cusp"),
                Equals("fold_gap_at_cusp", 0.0, tolerance=1e-6),
            ),
        ),
        Claim(
            "hysteresis",
            "Sweeping the force up and down gives two flux curves between the two folds",
            reported="hysteresis in the force-flux relations",
            source="abstract",
            test=All(
                Greater("jump_force_up", "jump_force_down"),
                Greater("grid_jump_force_up", "grid_jump_force_down"),
                Greater("loop_area", 0.0),
            ),
        ),
        Claim(
            "uptake-from-partitioning-to-slowing",
            "The concentration inside runs from K c0 at rest to c0 D0/D_in at large force",
            reported="the concentration inside depends on c0, f and phi",
            source="abstract",
            test=All(
                Equals("uptake_at_rest", "partition_ratio", relative=1e-6),
                Equals("uptake_at_large_force", "slowing_ratio", relative=0.02),
                Within("uptake_error_of_closed_form", 0.0, 1e-9),
            ),
        ),
    ],
    scale=lambda config: (
        f"exact transport, laws of our choice (|b| = {config.interaction:g}, A = {config.obstruction:g}, "
        f"forces to {config.max_force:g} k_BT/d) and {config.draws} random sets of laws a case"
    ),
    minutes={"smoke": 0.2, "laptop": 1.0},
    data="No data: a deterministic model. Partition ratio, diffusivity and response are laws of our "
    "choice in the forms of the authors' companion papers; tables of your own can take their place.",
    example="""
    from axonal.physics.membrane import ResponsiveMembrane, TanhResponse, VirialPartition

    membrane = ResponsiveMembrane(
        partition=VirialPartition(interaction=6.0),
        response=TanhResponse(low=0.1, high=0.4, threshold=1.0, width=0.1, kind="swelling"),
    )
    states = membrane.steady_states(force=5.0, bulk_concentration=0.8)
    print(states.volume_fraction, states.flux, states.stable)
    print([fold.force for fold in membrane.fold_points(bulk_concentration=0.8)])
    print(membrane.cusps())
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure the four cases exactly, then how far what they show depends on the laws."""
    from axonal.studies.responsive_membrane import figures, measures

    membranes = {case: measures.membrane_of(case, config) for case in measures.CASES}
    measures.uptake_limits(membranes[measures.VALVE], session)
    regions = measures.phase_diagrams(membranes, config, session)
    measures.flux_jumps(membranes, config, session)
    measures.clogging(membranes[measures.CLOG], config, session)
    loop, driven = measures.hysteresis(membranes[measures.VALVE], config, session)
    draws = measures.robustness(config, session)

    for figure in (
        figures.profiles(membranes[measures.VALVE]),
        figures.limits(membranes, config.max_force),
        figures.manifolds(membranes, config.max_force),
        figures.surface(membranes[measures.VALVE], config.max_force),
        figures.fluxes(membranes, config.max_force),
        figures.phase_diagrams(membranes, regions),
        figures.hysteresis(membranes[measures.VALVE], loop, driven),
        figures.robustness(draws),
    ):
        session.figure(*figure)
    if config.properties_table or config.response_table:
        own = measures.own_membrane(config)
        session.figure(*figures.own_diagram(own, config.max_force))
    session.note(
        "The full text of the paper was not at hand: the response law, its parameters and the "
        "prefactor of the differential permeability, (1/c0) dj/d(beta f), are our choice."
    )
    session.note("The slab keeps its thickness when the polymer swells or collapses.")
    session.note(
        "Stability is that of a polymer that relaxes slowly against transport; the loop driven on "
        "a grid solves both together."
    )

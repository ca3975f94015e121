"""Static disorder and dephasing in a donor ring with a photon mode and a central acceptor.

Only the abstract of the paper is public to us: the model is the one it names, in its standard form,
and every parameter is ours, chosen so that the regime it describes exists. All answers are exact;
the only randomness is the disorder itself.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from axonal.lab import (
    All,
    Claim,
    Decreasing,
    Equals,
    Greater,
    Increasing,
    InteriorMaximum,
    Less,
    Paper,
    Session,
    Study,
    StudyConfig,
    Within,
)


class Config(StudyConfig):
    """Energies and rates in units of the coupling g inside the ring, unless said otherwise."""

    ring_sites: int = Field(8, ge=3, description="donor sites N around the acceptor")
    dimerisation: float = Field(
        0.0, ge=0, lt=1, description="couplings alternate between g(1 + d) and g(1 - d)"
    )
    photon_coupling: PositiveFloat = Field(
        0.005, description="coupling J of the photon to each site"
    )
    acceptor_coupling: PositiveFloat = Field(
        0.01, description="coupling xi of each site to the acceptor"
    )
    ring_loss: PositiveFloat = Field(1e-4, description="loss rate of each ring site")
    sink: PositiveFloat = Field(0.01, description="rate from the acceptor to the reaction centre")
    weak_dephasing: tuple[NonNegativeFloat, ...] = Field(
        (0.0, 1e-5, 3e-5, 1e-4, 3e-4),
        description="dephasing rates up to three times the ring's loss, ascending",
    )
    strong_dephasing: tuple[NonNegativeFloat, ...] = Field(
        (0.0, 1e-4, 1e-3, 1e-2, 0.1), description="dephasing rates far beyond it, ascending"
    )
    off_resonance: float = Field(1.0, description="detuning at which dephasing is swept")
    leak: PositiveFloat = Field(
        0.01,
        description="photon and ring loss of the counter-example; its J, xi and sink are ten times that",
    )
    detunings: int = Field(65, ge=5, description="detunings of the disordered spectra")
    disorder_dephasing: NonNegativeFloat = Field(0.0, description="dephasing under disorder")
    diagonal_width: PositiveFloat = Field(
        0.05, description="standard deviation of site energies, and of g at equal width"
    )
    photon_fraction: PositiveFloat = Field(
        0.3, description="standard deviation of J as a fraction of J"
    )
    equal_fraction: PositiveFloat = Field(
        0.05,
        description="the same fraction of J and of g, where couplings are compared by fraction",
    )
    couplings: tuple[PositiveFloat, ...] = Field(
        (0.1707, 0.25, 0.4, 1.0, 2.0), description="g of the series at the operating detuning"
    )
    operating_detuning: float = Field(
        -0.1, description="detuning of that series; the first g puts a dark mode there"
    )
    samples: PositiveInt = Field(200, ge=2, description="disordered rings in each average")
    seeds: int = Field(5, ge=2, description="independent repeats of every average")
    random_rings: PositiveInt = Field(
        200, description="random ordered rings to compare the methods on"
    )
    structure: Path | None = Field(
        None,
        description="your complex: CSV, XYZ or PDB of chromophores, in place of the FMO protein",
    )
    dipole_debye: PositiveFloat | None = Field(
        None, description="transition dipole of every chromophore of a PDB structure, in Debye"
    )
    entry: int = Field(0, ge=0, description="chromophore where the excitation enters (from 0)")
    trap: int = Field(2, ge=0, description="chromophore beside the reaction centre (from 0)")


study = Study(
    slug="light-harvesting-transport",
    paper=Paper(
        title="Impact of Static Disorder and Dephasing on Quantum Transport in LH1-RC Models",
        arxiv=None,
        published=date(2025, 9, 23),
        authors=4,
    ),
    area="physics",
    config=Config,
    presets={
        "smoke": {"detunings": 5, "samples": 4, "seeds": 2, "random_rings": 5},
        "laptop": {},
        # 16 pairs, dimerised as the 806 and 377 cm^-1 of the bacteriochlorophyll rings
        # (Hu et al., J. Phys. Chem. B 101, 3854 (1997)).
        "full": {
            "ring_sites": 32,
            "dimerisation": 0.363,
            "photon_coupling": 0.0025,
            "acceptor_coupling": 0.005,
            "detunings": 81,
            "samples": 10_000,
            # The nearest dark mode of 16 pairs lies at -0.0333 g.
            "couplings": (3.001, 4.5, 7.0, 12.0, 20.0),
        },
    },
    claims=[
        Claim(
            "tall-narrow-peak",
            "Without disorder the efficiency has a tall, narrow peak on resonance",
            reported="a tall, narrow on-resonance efficiency peak, near unity for the paper's parameters",
            source="abstract",
            test=All(Greater("peak_efficiency", 0.99), Less("line_width", 1.0)),
        ),
        Claim(
            "dephasing-lowers",
            "Dephasing lowers the peak",
            reported="dephasing lowers this peak",
            source="abstract",
            test=All(Decreasing("peak_weak_dephasing"), Decreasing("peak_strong_dephasing")),
        ),
        Claim(
            "dephasing-does-not-shift",
            "Dephasing does not move the peak",
            reported="without shifting its position",
            source="abstract",
            test=Equals("peak_detuning", 0.0, tolerance=1e-9),
        ),
        Claim(
            "dephasing-narrows",
            "Dephasing of up to three times the ring's loss narrows the peak at half its height",
            reported="dephasing narrows this peak",
            source="abstract",
            test=Decreasing("line_width_weak_dephasing"),
        ),
        Claim(
            "half-width-at-any-dephasing",
            "At every dephasing rate the line still falls to half its peak, so that it has such a width",
            reported="dephasing narrows this peak, with no limit given",
            source="abstract",
            test=Less("pedestal_over_peak", 0.5),
        ),
        Claim(
            "narrows-above-pedestal",
            "Counted above the incoherent pedestal, the peak narrows at every dephasing rate",
            reported="dephasing narrows this peak",
            source="abstract",
            test=Decreasing("width_above_pedestal"),
        ),
        Claim(
            "narrows-with-leaky-photon",
            "Dephasing narrows the peak also where the photon mode itself leaks",
            reported="dephasing narrows this peak, with no condition given",
            source="abstract",
            test=Decreasing("line_width_leaky_photon"),
        ),
        Claim(
            "noise-assists-off-resonance",
            "Off resonance the efficiency rises and falls with dephasing, with a finite optimum",
            reported="a clear non-monotonic dependence on dephasing and a finite optimum",
            source="abstract",
            test=InteriorMaximum("efficiency_off_resonance", by=0.1),
        ),
        Claim(
            "disorder-depresses",
            "Photon-ring and diagonal disorder depress the efficiency over a window of detunings",
            reported="both depress efficiency over a detuning window",
            source="abstract",
            test=All(
                Greater("depression_photon_ring", 0.0),
                Greater("depression_diagonal", 0.0),
                Less("efficiency_at_crossing_photon_ring", "efficiency_at_crossing_ordered"),
                Less("efficiency_at_crossing_diagonal", "efficiency_at_crossing_ordered"),
            ),
        ),
        Claim(
            "intra-ring-milder-at-equal-width",
            "Disorder of the couplings inside the ring does less than half the harm of diagonal "
            "disorder of the same width in energy",
            reported="intra-ring coupling disorder has a much smaller impact in the tested range",
            source="abstract",
            test=Less("harm_intra_ring_over_diagonal", 0.5),
        ),
        Claim(
            "intra-ring-milder-at-equal-fraction",
            "Disorder of the couplings inside the ring does less than half the harm of photon-ring "
            "disorder when both are the same fraction of their coupling",
            reported="intra-ring coupling disorder has a much smaller impact in the tested range",
            source="abstract",
            test=Less("harm_intra_ring_over_photon_ring_by_fraction", 0.5),
        ),
        Claim(
            "intra-ring-milder-at-photon-width",
            "Disorder of the couplings inside the ring does less than half the harm of photon-ring "
            "disorder of the same width in energy",
            reported="intra-ring coupling disorder has a much smaller impact in the tested range",
            source="abstract",
            test=Less("harm_intra_ring_over_photon_ring_by_width", 0.5),
        ),
        Claim(
            "stronger-ring-restores",
            "Raising g moves the dark modes away from the operating detuning and restores at least "
            "95 % of the ordered efficiency there",
            reported="increasing g moves dark-mode crossings away and restores near-peak performance",
            source="abstract",
            test=All(
                Increasing("restored_diagonal"),
                Increasing("restored_photon_ring"),
                Greater("restored_diagonal_at_largest_g", 0.95),
                Greater("restored_photon_ring_at_largest_g", 0.95),
            ),
        ),
        Claim(
            "closed-form-exact",
            "The closed form of photon, bright mode and acceptor is exact in the ordered limit",
            reported="analytics are exact in the ordered limit",
            source="abstract",
            test=Less("closed_form_error", 1e-12),
        ),
        Claim(
            "probability-conserved",
            "The efficiency and all losses sum to 1, with or without disorder",
            reported="a probability-conservation identity eta + sum L = 1 that benchmarks the simulations",
            source="abstract",
            test=Less("budget_residual", 1e-12),
        ),
        Claim(
            "toy-ring-trapping",
            "In a bare ring coherence traps half of the excitation, and moderate dephasing frees it",
            reported="coherent trapping and its relief by moderate dephasing (ENAQT)",
            source="abstract",
            test=All(
                Within("toy_ring_trapped", 0.48, 0.52),
                InteriorMaximum("toy_ring_efficiency", by=0.1),
                Greater("toy_ring_best", 0.98),
            ),
        ),
    ],
    scale=lambda config: (
        f"on rings of {config.ring_sites} sites, {config.seeds} x {config.samples} disordered samples"
    ),
    minutes={"smoke": 0.1, "laptop": 0.7},
    data="Simulated: the Lindblad equation of one excitation, solved exactly; static disorder is "
    "drawn. The Hamiltonian of the FMO protein is that of Adolphs and Renger (2006). The paper's "
    "own parameters are not known to us; ours put the ring in the regime it describes.",
    example="""\
import numpy as np
from axonal.physics.light_harvesting import (
    disorder_average, efficiency_spectrum, optimal_dephasing, ring_acceptor)

ring = ring_acceptor(N=8, g=1.0, J=0.005, xi=0.01, kappa_ring=1e-4, sink=0.01)
detuning = np.linspace(-1, 1, 81)
spectrum = efficiency_spectrum(ring, detuning, [0, 1e-4, 3e-4], reference="bright")
assert abs(spectrum.eta + spectrum.loss.sum("channel") - 1).max() < 1e-12
average = disorder_average(ring, "diagonal", 0.05, 20, detuning, reference="bright", seed=0)
best = optimal_dephasing(ring, 1.0, reference="bright")
print(f"eta {best.without:.3f} without dephasing, {best.efficiency:.3f} at {best.rate:.3g}")
""",
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure the ordered line, the methods against each other, disorder, and two other networks."""
    from axonal.lab.figures import style
    from axonal.studies.light_harvesting_transport import disorder, ordered, others

    with style():
        ordered.ordered_line(config, session)
        ordered.exactness(config, session)
        disorder.mean_spectra(config, session)
        disorder.strengths(config, session)
        disorder.stronger_ring(config, session)
        others.toy_ring_trapping(session)
        others.real_complex(config, session)
    session.note(
        "Only the abstract of the paper was available: model in its standard form, parameters ours."
    )
    session.note(
        "One excitation, no temperature: dephasing is pure and local, and energy can flow uphill. "
        "Baths with memory or detailed balance need other methods."
    )

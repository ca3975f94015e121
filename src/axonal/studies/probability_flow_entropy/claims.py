"""What the paper claims, as tests on the study's measurements: parts with exact answers first."""

from __future__ import annotations

from axonal.lab import All, Claim, Greater, Less, Within
from axonal.studies.probability_flow_entropy.claims_particles import PARTICLES

ABSTRACT = "direct access to the entropy production rate and the probability current"

EXACT = [
    Claim(
        "entropy-of-harmonic-swimmers",
        "The learned score gives the entropy production of harmonic swimmers to 2 %",
        reported=ABSTRACT,
        source="abstract",
        test=All(
            Within("chain_one_production_ratio", 0.98, 1.02),
            Within("chain_two_production_ratio", 0.98, 1.02),
        ),
    ),
    Claim(
        "entropy-of-the-ring",
        "The score learned from simulated states gives the total entropy production of two swimmers "
        "on a ring to 2 %",
        reported=ABSTRACT,
        source="abstract",
        test=Within("ring_production_ratio", 0.98, 1.02),
    ),
    Claim(
        "flow-of-the-ring",
        "The learned probability flow is the exact one to 10 % of its size, over the whole density",
        reported=ABSTRACT,
        source="abstract",
        test=Less("ring_flow_error", 0.1),
    ),
    Claim(
        "places-of-the-ring",
        "Where the ring produces entropy is learned: the local total and system production correlate "
        "with the exact fields above 0.95",
        reported="entropy production is resolved in space",
        source="abstract",
        test=All(Greater("ring_total_correlation", 0.95), Greater("ring_system_correlation", 0.95)),
    ),
    Claim(
        "variables-of-the-ring",
        "Through which variable the ring produces entropy is learned: position and activity to 5 % each",
        reported="contributions of individual particles and degrees of freedom",
        source="abstract",
        test=All(Within("ring_x_part_ratio", 0.95, 1.05), Within("ring_g_part_ratio", 0.95, 1.05)),
    ),
    Claim(
        "stationarity-term-helps",
        "Adding the stationarity residual to the loss, at the paper's weight, makes the learned flow more "
        "nearly stationary",
        reported="the loss of the paper's low-dimensional systems has this term",
        source="code (few_particles_split_score, ring settings)",
        test=Less("ring_residual_paper_weight", "ring_residual_without_term"),
    ),
]

CLAIMS = [*EXACT, *PARTICLES]

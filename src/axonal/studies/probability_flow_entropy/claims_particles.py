"""What the paper claims of many particles, as tests on the study's measurements."""

from __future__ import annotations

from axonal.lab import All, Claim, Greater, Increasing, Less, Within

PARTICLES = [
    Claim(
        "entropy-of-trapped-particles",
        "The learned score gives the entropy production of 64 trapped particles to 10 % at every speed",
        reported="direct access to the entropy production rate",
        source="abstract; N = 64 systems",
        test=All(Increasing("trap_production"), Within("trap_ratio_learned", 0.9, 1.1)),
    ),
    Claim(
        "decomposition-of-trapped-particles",
        "Contributions of particles and degrees of freedom sum to the total",
        reported="contributions of individual particles and degrees of freedom",
        source="abstract",
        test=Less("trap_parts_error", 1e-6),
    ),
    Claim(
        "permutation-symmetry",
        "The local transformer respects the particles' permutation symmetry",
        reported="respects the permutation symmetry of the interactions",
        source="abstract",
        test=Less("mips_permutation_error", 1e-4),
    ),
    Claim(
        "high-order-interactions",
        "The local transformer explains more of the score than the same network restricted to pairs",
        reported="learns high-order interactions",
        source="abstract",
        test=Greater("mips_explained", "mips_explained_pair"),
    ),
    Claim(
        "carried-to-other-packings",
        "Trained at one packing, the network serves others: it explains at least 90 % of what a network "
        "trained there does",
        reported="one network at packing .5 generalizes to other phases",
        source="abstract; packings .1 to .9",
        test=All(
            Greater("mips_carried_packing_0_25", 0.9), Greater("mips_carried_packing_0_75", 0.9)
        ),
    ),
    Claim(
        "carried-to-more-particles",
        "Trained on few particles, the network serves four times as many: it explains at least 95 % of "
        "what it does where it was trained",
        reported="one network at N = 4096 generalizes to 32,768",
        source="abstract",
        test=Greater("mips_carried_large", 0.95),
    ),
    Claim(
        "places-of-phase-separation",
        "The activity produces most entropy in the solid, less at the interface and least in the gas",
        reported="the spatial structure of the departure from equilibrium in MIPS, in pictures",
        source="abstract",
        test=All(
            Greater("mips_total_solid", "mips_total_interface"),
            Greater("mips_total_interface", "mips_total_gas"),
        ),
    ),
    Claim(
        "linear-cost",
        "Evaluating the score costs time proportional to the number of particles",
        reported="scales to thousands of particles",
        source="abstract",
        test=Less("mips_time_growth", 2.0),
    ),
]

"""Probability flows and entropy production in active matter, Boffi and Vanden-Eijnden 2024.

Four systems of rising difficulty: harmonic swimmers (all in closed form), two swimmers on a ring
(exact on a grid), trapped particles (an exact total), and motility-induced phase separation without
translational noise (an exact total of the activity's part). Every learned number stands beside one
that needs no score.
"""

from __future__ import annotations

from datetime import date

from axonal.lab import Paper, Session, Study
from axonal.studies.probability_flow_entropy.claims import CLAIMS
from axonal.studies.probability_flow_entropy.config import FULL, SMOKE, Config

study = Study(
    slug="probability-flow-entropy",
    paper=Paper(
        title="Deep learning probability flows and entropy production rates in active matter",
        arxiv="2309.12991",
        published=date(2023, 9, 22),
        authors=("Nicholas M. Boffi", "Eric Vanden-Eijnden"),
        code="https://github.com/nmboffi/active_pflows",
    ),
    area="physics",
    config=Config,
    presets={"smoke": SMOKE, "laptop": {}, "full": FULL},
    claims=CLAIMS,
    scale=lambda config: (
        f"a ring of two swimmers, {config.trap_particles} trapped and {config.mips_particles} "
        "phase-separating particles"
    ),
    minutes={"smoke": 0.1, "laptop": 9},
    data="Simulated: active Ornstein-Uhlenbeck particles with the paper's parameters, except where "
    "the report says so.",
    example="""\
import torch
from axonal.physics.active_matter import FieldScore, SwimmerRing, mirrored

ring = SwimmerRing(speed=0.25, persistence_rate=0.1, diffusion=0.1)
states = mirrored(ring.sample(trajectories=200, snapshots=5, seed=0), ring)
process = ring.process()
score = FieldScore.mlp(
    process, periods=(ring.length, None), odd=True, shift=ring.score_without_activity)
score.fit(states, stationarity=1.0, steps=100, batch=256, seed=0)
learned = process.entropy_production(score, states)
exact = ring.density(cells=(120, 60))
print(learned.total.mean(0).tolist(), exact.parts)      # by position and activity
print(ring.exact_total(states))                          # without a score
""",
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Learn the scores of the four systems and hold what follows from them against references."""
    from axonal.lab.figures import style
    from axonal.studies.probability_flow_entropy import harmonic, mips, ring, trap

    with style():
        harmonic.harmonic(config, session)
        ring.ring(config, session)
        trap.trap(config, session)
        mips.mips(config, session)
    session.note(
        "Activities are even under time reversal here, as in the paper. With odd ones (velocities) the "
        "entropy production is another quantity."
    )

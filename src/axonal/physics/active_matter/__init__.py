"""Active matter out of equilibrium: simulation, exact references, and where entropy is produced.

The systems are those of *Deep learning probability flows and entropy production rates in active
matter* (Boffi & Vanden-Eijnden, PNAS 121, e2318106121 (2024), arXiv:2309.12991).
"""

from axonal.physics.active_matter.attention import attention_rollout
from axonal.physics.active_matter.entropy import (
    Measures,
    entropy_production,
    measures,
    measures_of,
)
from axonal.physics.active_matter.field_score import FieldScore
from axonal.physics.active_matter.fields import along_radius, centred, circular_mean, on_grid
from axonal.physics.active_matter.fokker_planck import GridDensity, fokker_planck_2d
from axonal.physics.active_matter.harmonic import harmonic_production, harmonic_swimmers
from axonal.physics.active_matter.neep import (
    PairEstimate,
    irreversibility,
    pairs_of,
    production_from_pairs,
)
from axonal.physics.active_matter.neighbours import nearest
from axonal.physics.active_matter.reading import read_states
from axonal.physics.active_matter.references import Reference
from axonal.physics.active_matter.regions import REGIONS, by_region, neighbours_within, regions
from axonal.physics.active_matter.ring import SwimmerRing, mirrored
from axonal.physics.active_matter.score import ScoreModel
from axonal.physics.active_matter.springs import score_of_springs
from axonal.physics.active_matter.states import states_of, system_of, tensors_of
from axonal.physics.active_matter.stationarity import drift_between, observables
from axonal.physics.active_matter.surroundings import Surroundings, surround
from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck
from axonal.physics.active_matter.trajectories import follow

__all__ = [
    "REGIONS",
    "ActiveOrnsteinUhlenbeck",
    "FieldScore",
    "GridDensity",
    "Measures",
    "PairEstimate",
    "Reference",
    "ScoreModel",
    "Surroundings",
    "SwimmerRing",
    "along_radius",
    "attention_rollout",
    "by_region",
    "centred",
    "circular_mean",
    "drift_between",
    "entropy_production",
    "fokker_planck_2d",
    "follow",
    "harmonic_production",
    "harmonic_swimmers",
    "irreversibility",
    "measures",
    "measures_of",
    "mirrored",
    "nearest",
    "neighbours_within",
    "observables",
    "on_grid",
    "pairs_of",
    "production_from_pairs",
    "read_states",
    "regions",
    "score_of_springs",
    "states_of",
    "surround",
    "system_of",
    "tensors_of",
]

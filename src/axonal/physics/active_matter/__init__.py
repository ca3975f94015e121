"""Active matter out of equilibrium: simulation, exact references, and where entropy is produced.

The systems are those of *Deep learning probability flows and entropy production rates in active
matter* (Boffi & Vanden-Eijnden, PNAS 121, e2318106121 (2024), arXiv:2309.12991).
"""

from axonal.physics.active_matter.fokker_planck import GridDensity, fokker_planck_2d
from axonal.physics.active_matter.references import Reference
from axonal.physics.active_matter.ring import SwimmerRing, mirrored
from axonal.physics.active_matter.states import states_of, system_of, tensors_of
from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

__all__ = [
    "ActiveOrnsteinUhlenbeck",
    "GridDensity",
    "Reference",
    "SwimmerRing",
    "fokker_planck_2d",
    "mirrored",
    "states_of",
    "system_of",
    "tensors_of",
]

"""Feedback-controlled transport through chemo-responsive polymer membranes.

Milster, Kim and Dzubiella, J. Chem. Phys. 158, 104903 (2023), arXiv:2212.00537.
"""

from axonal.physics.membrane.folds import Fold
from axonal.physics.membrane.hysteresis import Jump, settle, sweep_force
from axonal.physics.membrane.laws import (
    FreeVolumeDiffusivity,
    HillResponse,
    TanhResponse,
    VirialPartition,
    lennard_jones_virial,
)
from axonal.physics.membrane.model import ConservedPolymer, ResponsiveMembrane
from axonal.physics.membrane.smoluchowski import discretise, drive
from axonal.physics.membrane.states import MultipleSteadyStates, SteadyStates
from axonal.physics.membrane.tables import TabulatedLaw, TabulatedResponse
from axonal.physics.membrane.units import Scales

__all__ = [
    "ConservedPolymer",
    "Fold",
    "FreeVolumeDiffusivity",
    "HillResponse",
    "Jump",
    "MultipleSteadyStates",
    "ResponsiveMembrane",
    "Scales",
    "SteadyStates",
    "TabulatedLaw",
    "TabulatedResponse",
    "TanhResponse",
    "VirialPartition",
    "discretise",
    "drive",
    "lennard_jones_virial",
    "settle",
    "sweep_force",
]

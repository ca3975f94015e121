"""Move one population of activations onto another: affine maps, their distances, their edits."""

from axonal.transport.affine import AffineMap
from axonal.transport.bures import (
    Gaussian,
    bures_distance,
    geodesic,
    transport_matrix,
    wasserstein,
)
from axonal.transport.estimator import AffineTransport
from axonal.transport.family import family
from axonal.transport.gaussian import GaussianReport, GaussianTransport
from axonal.transport.leace import LEACE
from axonal.transport.shift import AffineAblation, DirectionalAblation, MeanShift
from axonal.transport.unit_transport import UnitTransport
from axonal.transport.units import UnitMap

__all__ = [
    "LEACE",
    "AffineAblation",
    "AffineMap",
    "AffineTransport",
    "DirectionalAblation",
    "Gaussian",
    "GaussianReport",
    "GaussianTransport",
    "MeanShift",
    "UnitMap",
    "UnitTransport",
    "bures_distance",
    "family",
    "geodesic",
    "transport_matrix",
    "wasserstein",
]

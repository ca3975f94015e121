"""Move one distribution onto another: maps, plans, flows, and the distances to judge them by."""

from axonal.transport.affine import AffineMap
from axonal.transport.bures import (
    Gaussian,
    bures_distance,
    geodesic,
    transport_matrix,
    wasserstein,
)
from axonal.transport.costs import cost_matrix
from axonal.transport.discrepancies import energy_distance, mmd, sliced_wasserstein
from axonal.transport.estimator import AffineTransport
from axonal.transport.exact import exact_transport
from axonal.transport.family import family
from axonal.transport.flow import Diffusion, EntropyProduction, LinearDiffusion
from axonal.transport.gaps import monge_gap, sinkhorn_divergence
from axonal.transport.gaussian import GaussianReport, GaussianTransport
from axonal.transport.inverse import inverse_transport_loss, one_sided_plan, spread_loss
from axonal.transport.leace import LEACE
from axonal.transport.novelty import NoveltyDetector
from axonal.transport.score import (
    denoising_score_matching,
    divergence,
    hutchinson_divergence,
    implicit_score_matching,
)
from axonal.transport.shift import AffineAblation, DirectionalAblation, MeanShift
from axonal.transport.sinkhorn import Coupling, sinkhorn, transport_points
from axonal.transport.smooth import SmoothCoupling, smooth_transport, soft_labels
from axonal.transport.unit_transport import UnitTransport
from axonal.transport.units import UnitMap

__all__ = [
    "LEACE",
    "AffineAblation",
    "AffineMap",
    "AffineTransport",
    "Coupling",
    "Diffusion",
    "DirectionalAblation",
    "EntropyProduction",
    "Gaussian",
    "GaussianReport",
    "GaussianTransport",
    "LinearDiffusion",
    "MeanShift",
    "NoveltyDetector",
    "SmoothCoupling",
    "UnitMap",
    "UnitTransport",
    "bures_distance",
    "cost_matrix",
    "denoising_score_matching",
    "divergence",
    "energy_distance",
    "exact_transport",
    "family",
    "geodesic",
    "hutchinson_divergence",
    "implicit_score_matching",
    "inverse_transport_loss",
    "mmd",
    "monge_gap",
    "one_sided_plan",
    "sinkhorn",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "smooth_transport",
    "soft_labels",
    "spread_loss",
    "transport_matrix",
    "transport_points",
    "wasserstein",
]

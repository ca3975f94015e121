"""The whole family at once, so that a comparison is one loop."""

from __future__ import annotations

from typing import Any

from axonal.transport.estimator import AffineTransport
from axonal.transport.gaussian import GaussianTransport
from axonal.transport.leace import LEACE
from axonal.transport.shift import AffineAblation, DirectionalAblation, MeanShift
from axonal.transport.unit_transport import UnitTransport


def family(n_components: int = 2, *, strength: float = 1.0) -> dict[str, AffineTransport[Any]]:
    """Return one unfitted estimator a member, by name.

    Mean-AcT is not among them: with unbounded support it is the mean shift.

    Parameters
    ----------
    n_components
        Of the Gaussian map in a subspace.
    strength
        Of all.
    """
    return {
        "mean shift": MeanShift(strength=strength),
        "directional ablation": DirectionalAblation(strength=strength),
        "affine ablation": AffineAblation(strength=strength),
        "LEACE": LEACE(strength=strength),
        "Linear-AcT": UnitTransport("linear", strength=strength),
        "Gaussian-AcT": UnitTransport("gaussian", strength=strength),
        "Gaussian, subspace": GaussianTransport(
            n_components, basis="mean_difference", strength=strength
        ),
        "Gaussian, full": GaussianTransport(None, strength=strength),
    }

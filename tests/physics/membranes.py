"""Membranes that several tests share."""

from __future__ import annotations

import numpy as np

from axonal.physics.membrane import (
    FreeVolumeDiffusivity,
    HillResponse,
    ResponsiveMembrane,
    TanhResponse,
    VirialPartition,
)
from axonal.physics.membrane.laws import ResponseKind


def standard(kind: ResponseKind, interaction: float) -> ResponsiveMembrane:
    """Return the membrane of the study: d = 1, L = 2, A = 5, phi from 0.1 to 0.4 at c_in = 1."""
    return ResponsiveMembrane(
        VirialPartition(interaction),
        FreeVolumeDiffusivity(5.0),
        TanhResponse(0.1, 0.4, 1.0, 0.1, kind),
    )


def random_membrane(rng: np.random.Generator, kind: ResponseKind, sign: int) -> ResponsiveMembrane:
    """Draw laws over the ranges a polymer membrane can have; ``sign`` is that of ``b``."""
    low, high = rng.uniform(0.05, 0.15), rng.uniform(0.3, 0.6)
    if rng.random() < 0.5:
        response = TanhResponse(low, high, 1.0, rng.uniform(0.05, 0.4), kind)
    else:
        response = HillResponse(low, high, 1.0, rng.uniform(3, 40), kind)
    return ResponsiveMembrane(
        VirialPartition(sign * rng.uniform(2, 10)),
        FreeVolumeDiffusivity(rng.uniform(2, 8)),
        response,
        thickness=rng.uniform(0.3, 0.8),
        length=1.0,
    )

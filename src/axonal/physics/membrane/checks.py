"""What a membrane refuses: volume fractions, laws, slabs and concentrations that can't be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from axonal.errors import InputError
from axonal.physics.membrane.transport import Array, Mask

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane


def checked_concentration(bulk_concentration: ArrayLike) -> Array:
    """Return ``c0`` as an array; it must be positive."""
    c0 = np.asarray(bulk_concentration, dtype=float)
    if not np.all(np.isfinite(c0) & (c0 > 0)):
        raise InputError(
            f"bulk_concentration is {bulk_concentration}; it must be positive everywhere."
        )
    return c0


def checked_properties(
    membrane: ResponsiveMembrane, phi: Array
) -> tuple[Array, Array, Array, Array]:
    """Return ``phi, K, a, d``, each checked over the given volume fractions."""
    if not np.all((phi >= 0) & (phi < 1)):
        raise InputError(
            f"volume_fraction is {first(phi, ~((phi >= 0) & (phi < 1)))}; it must lie in [0, 1)."
        )
    K = np.asarray(membrane.partition(phi), dtype=float)
    D = np.asarray(membrane.diffusivity(phi), dtype=float)
    for name, value in (("partition", K), ("diffusivity", D)):
        bad = ~(np.isfinite(value) & (value > 0))
        if np.any(bad):
            raise InputError(
                f"{name} gives {first(value, bad)} at phi = {first(phi, bad):.4g}; "
                "it must be positive and finite wherever the response goes."
            )
    d = membrane.thickness(phi) if callable(membrane.thickness) else membrane.thickness
    d = np.broadcast_to(np.asarray(d, dtype=float), phi.shape)
    bad = ~((d > 0) & (d < membrane.length))
    if np.any(bad):
        raise InputError(
            f"thickness is {first(d, bad)} and length is {membrane.length}; "
            "the slab must fit between the reservoirs: 0 < thickness < length."
        )
    return phi, K, 1 / D, d


def first(values: Array, bad: Mask) -> float:
    """Return the first of the bad values, for an error message."""
    return float(np.asarray(values)[bad].flat[0])


def require_one(**numbers: ArrayLike) -> None:
    """Refuse arrays where one force and one concentration are meant."""
    for name, value in numbers.items():
        if np.ndim(value):
            raise InputError(
                f"{name} has shape {np.shape(value)}; give one number here. For many, count_states "
                "takes arrays, branch gives a whole force-flux curve, and axonal.sweep any function."
            )

"""Points along ``ln c_in``, close enough where the response switches, that represent a membrane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonal.errors import InputError
from axonal.physics.membrane.checks import checked_properties, first
from axonal.physics.membrane.manifold import Material, material
from axonal.physics.membrane.transport import Array, Mask

if TYPE_CHECKING:
    from axonal.physics.membrane.model import ResponsiveMembrane

_DECADES = 6.0  # the response is resolved this far to both sides of its scale
_FIRST_STEP = 0.05  # in ln c_in
_DEEPEST_BISECTION = 40


def resolve(membrane: ResponsiveMembrane) -> Material:
    """Return the material on points fine enough that no fold slips between two of them.

    Starts from a coarse grid over twelve decades and bisects wherever ``phi``, ``kappa`` or
    ``alpha`` moves much; then drops the points where the gain can't reach 1 at any force.
    """
    scale = membrane.concentration_scale or getattr(membrane.response, "threshold", 1.0)
    half = _DECADES * np.log(10)
    y = np.log(scale) + np.arange(-half, half + _FIRST_STEP, _FIRST_STEP)
    points = _checked(membrane, y)
    coarse = _coarse(points)
    for _ in range(_DEEPEST_BISECTION):
        if not coarse.any():
            return _relevant(points)
        middle = (points.y[:-1] + points.y[1:])[coarse] / 2
        added = _checked(membrane, middle)
        order = np.argsort(np.concatenate([points.y, middle]), kind="stable")
        points = Material(
            *(np.concatenate(pair)[order] for pair in zip(points, added, strict=True))
        )
        coarse = _coarse(points)
    where = float(np.exp(points.y[np.argmax(np.abs(np.diff(points.phi)))]))
    raise InputError(
        f"response jumps at c_in = {where:.6g}; a smooth law is needed. "
        "Give the switch a width, however small."
    )


def _checked(membrane: ResponsiveMembrane, y: Array) -> Material:
    uptake = np.exp(y)
    phi = np.asarray(membrane.response(uptake), dtype=float)
    if phi.shape != y.shape:
        raise InputError(
            f"response maps {y.shape[0]} concentrations to an array of shape {phi.shape}; "
            "it must act on arrays, element by element."
        )
    bad = ~((phi >= 0) & (phi < 1))
    if np.any(bad):
        raise InputError(
            f"response gives phi = {first(phi, bad)} at c_in = {first(uptake, bad):.4g}; "
            "a polymer volume fraction must lie in [0, 1)."
        )
    checked_properties(membrane, phi)
    return material(membrane, y)


def _coarse(points: Material) -> Mask:
    """Mark the intervals over which the material moves too far for one step."""
    span = np.ptp(points.phi)
    coarse = np.abs(np.diff(points.phi)) > span / 50
    thinning = points.thickness_slope / points.thickness
    for gain in (points.partition_slope, points.resistance_slope, thinning):
        size = np.abs(gain)
        coarse |= np.abs(np.diff(gain)) > 0.1 * (1 + np.minimum(size[:-1], size[1:]))
    return coarse


def _relevant(points: Material) -> Material:
    """Keep the points where some force could make the gain exceed a half, and their neighbours."""
    reach = np.maximum(np.abs(points.partition_slope), np.abs(points.resistance_slope))
    active = (reach > 0.5) | (np.abs(points.thickness_slope / points.thickness) > 1e-3)
    near = active.copy()
    near[1:] |= active[:-1]
    near[:-1] |= active[1:]
    near[[0, -1]] = True
    return points.at(near)

"""How the correct ligand is spread over a contact: the profile g of ``c(x) = c0 g(x)``.

Equation 1 of Wang and Camley 2024 (smooth rectangle), its Gaussian alternative, and any function of
one's own. A profile is a function of the displacement ``d = x - x0`` from the contact's centre and
of the half-width sigma; estimation needs its first two derivatives in x0 as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError

Floats = NDArray[np.float64]


class ProfileValues(NamedTuple):
    """A profile at given displacements, and its first two derivatives in x0, of one shape."""

    value: Floats
    slope: Floats
    curvature: Floats


class Profile(Protocol):
    """What a contact profile offers. It can be hashed, as what is computed for it is kept."""

    def at(self, displacement: Floats, half_width: float) -> ProfileValues:
        """Return g, dg/dx0 and d²g/dx0² at displacements ``x - x0`` (µm)."""
        ...

    def resolution(self, half_width: float) -> float:
        """Return the smallest length (µm) over which the profile changes."""
        ...


@dataclass(frozen=True)
class SmoothRectangle:
    """``g = S(d + sigma) S(sigma - d)`` with ``S(y) = (1 + tanh(y/omega)) / 2``.

    Constant within the contact, of width 2 sigma, and zero outside.

    Parameters
    ----------
    omega
        Width of the edge (µm).
    """

    omega: float = 1.0

    def __post_init__(self) -> None:
        if not self.omega > 0:
            raise InputError(f"The edge width omega must be positive (µm); got {self.omega:g}")

    def at(self, displacement: Floats, half_width: float) -> ProfileValues:
        """Return g, dg/dx0 and d²g/dx0²."""
        rise = _logistic(2 * (displacement + half_width) / self.omega)
        fall = _logistic(2 * (half_width - displacement) / self.omega)
        value = rise * fall
        rate = 2 / self.omega
        logarithmic = rate * (rise - fall)  # d ln g / d x0
        slope = value * logarithmic
        bend = -(rate**2) * (rise * (1 - rise) + fall * (1 - fall))
        return ProfileValues(value, slope, slope * logarithmic + value * bend)

    def resolution(self, half_width: float) -> float:
        """Return the edge width, or the half-width where that is smaller."""
        return min(self.omega, half_width)


@dataclass(frozen=True)
class Gaussian:
    """``g = exp(-d² / (2 sigma²))``: ligands on a spring across a gap that widens linearly."""

    def at(self, displacement: Floats, half_width: float) -> ProfileValues:
        """Return g, dg/dx0 and d²g/dx0²."""
        scaled = displacement / half_width
        value = np.exp(-0.5 * scaled**2)
        slope = value * scaled / half_width
        return ProfileValues(value, slope, value * (scaled**2 - 1) / half_width**2)

    def resolution(self, half_width: float) -> float:
        """Return half the half-width."""
        return half_width / 2


@dataclass(frozen=True)
class CustomProfile:
    """A profile given as a function ``g(displacement, half_width)`` with values in [0, 1].

    Its derivatives are central differences over a thousandth of `scale`.

    Parameters
    ----------
    function
        Smooth, vectorised over displacements (µm).
    scale
        The smallest length (µm) over which it changes.
    """

    function: Callable[[Floats, float], Floats]
    scale: float

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise InputError(f"The profile's scale must be positive (µm); got {self.scale:g}")

    def at(self, displacement: Floats, half_width: float) -> ProfileValues:
        """Return g, dg/dx0 and d²g/dx0²."""
        step = 1e-3 * self.scale
        before, value, after = (
            np.asarray(self.function(displacement + shift, half_width), float)
            for shift in (-step, 0.0, step)
        )
        if value.shape != displacement.shape or not np.all((value >= 0) & (value <= 1 + 1e-12)):
            raise InputError(
                "A contact profile returns one value in [0, 1] for each displacement; got shape "
                f"{value.shape} for {displacement.shape}, values from {value.min():g} to {value.max():g}"
            )
        # x0 moves against the displacement, hence the sign of the slope.
        slope = (before - after) / (2 * step)
        return ProfileValues(value, slope, (before - 2 * value + after) / step**2)

    def resolution(self, half_width: float) -> float:  # noqa: ARG002 - the protocol's signature
        """Return the stated scale."""
        return self.scale


def _logistic(y: Floats) -> Floats:
    """Return ``1 / (1 + exp(-y)) = S(omega y / 2)``."""
    return 0.5 * (1 + np.tanh(0.5 * y))

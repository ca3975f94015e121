"""The contact itself: how much correct and spurious ligand there is, and where.

The estimator's unknowns are ``theta = (c0, c', x0)``, reported as ``theta' = (c_t, chi, x0)`` with
``c_t = c0 + c'`` and ``chi = c0 / c_t``. The half-width is known to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError

Floats = NDArray[np.float64]

#: The order of the reported parameters in every vector and matrix.
PARAMETERS = ("total", "fraction", "position")


@dataclass(frozen=True)
class Contact:
    """A patch of correct ligand over a background of spurious ligand.

    Parameters
    ----------
    total
        Total concentration c_t at the contact's centre (1/µm²).
    fraction
        Fraction chi of it that is correct, in [0, 1]; 0 is no contact.
    position
        Centre x0 of the contact along the perimeter (µm).
    half_width
        Half-width sigma (µm); the paper calls it the contact width.
    """

    total: float
    fraction: float
    position: float
    half_width: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.total) and self.total > 0):
            raise InputError(
                f"The total concentration must be positive (1/µm²); got {self.total:g}"
            )
        if not 0 <= self.fraction <= 1:
            raise InputError(f"The correct fraction chi must be in [0, 1]; got {self.fraction:g}")
        if not math.isfinite(self.position):
            raise InputError(f"The contact's position must be finite (µm); got {self.position:g}")
        if not (math.isfinite(self.half_width) and self.half_width > 0):
            raise InputError(f"The half-width sigma must be positive (µm); got {self.half_width:g}")

    @classmethod
    def of_ligands(
        cls, correct: float, spurious: float, position: float, half_width: float
    ) -> Contact:
        """Build from the two concentrations c0 and c' (1/µm²)."""
        if correct < 0 or spurious < 0 or correct + spurious <= 0:
            raise InputError(
                f"Concentrations must be non-negative and not both zero; got {correct:g} and {spurious:g}"
            )
        total = correct + spurious
        return cls(total, correct / total, position, half_width)

    @property
    def correct(self) -> float:
        """Peak concentration c0 of the correct ligand (1/µm²)."""
        return self.total * self.fraction

    @property
    def spurious(self) -> float:
        """Concentration c' of the spurious ligand (1/µm²)."""
        return self.total * (1 - self.fraction)

    def without_neighbour(self) -> Contact:
        """Return the same background with no correct ligand: the null hypothesis."""
        if self.fraction == 1:
            raise InputError("With chi = 1 there is no spurious ligand, so nothing is left to bind")
        return Contact(self.spurious, 0.0, self.position, self.half_width)

    def jacobian(self) -> Floats:
        """Return ``d(c_t, chi, x0) / d(c0, c', x0)``, shape ``(3, 3)``."""
        c_t = self.total
        return np.array(
            [
                [1.0, 1.0, 0.0],
                [self.spurious / c_t**2, -self.correct / c_t**2, 0.0],
                [0.0, 0.0, 1.0],
            ]
        )

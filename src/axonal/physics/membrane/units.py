"""From reduced units to SI and back.

In reduced units the thickness ``d``, the bulk diffusivity ``D0``, the thermal energy ``k_B T`` and
a concentration (the response's threshold) are 1. A force is then in ``k_B T/d``, a time in
``d^2/D0``, a flux in ``D0 c/d``, a permeability in ``D0``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from axonal.errors import InputError
from axonal.physics.membrane.transport import Array

BOLTZMANN = 1.380649e-23  # J/K, exact by definition of the kelvin


@dataclass(frozen=True)
class Scales:
    """The SI size of each reduced unit of a membrane.

    Parameters
    ----------
    thickness
        ``d`` in m.
    diffusivity
        ``D0`` in m^2/s.
    temperature
        In K.
    concentration
        The concentration called 1, in mol/m^3 (equal to mM).
    """

    thickness: float = 100e-9
    diffusivity: float = 1e-9
    temperature: float = 298.0
    concentration: float = 10.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{entry.name} is {value}; it must be a positive number, in SI.")

    @property
    def force(self) -> float:
        """The unit of force ``k_B T/d`` in N."""
        return BOLTZMANN * self.temperature / self.thickness

    @property
    def time(self) -> float:
        """The unit of time ``d^2/D0`` in s."""
        return self.thickness**2 / self.diffusivity

    @property
    def flux(self) -> float:
        """The unit of flux ``D0 c/d`` in mol/(m^2 s)."""
        return self.diffusivity * self.concentration / self.thickness

    @property
    def velocity(self) -> float:
        """The unit of permeance ``D0/d`` in m/s."""
        return self.diffusivity / self.thickness

    def reduced_force(self, newtons: ArrayLike) -> Array:
        """Return forces in units of ``k_B T/d``."""
        return np.asarray(newtons, dtype=float) / self.force

    def newtons(self, reduced_force: ArrayLike) -> Array:
        """Return forces in N."""
        return np.asarray(reduced_force, dtype=float) * self.force

    def molar_flux(self, reduced_flux: ArrayLike) -> Array:
        """Return fluxes in mol/(m^2 s)."""
        return np.asarray(reduced_flux, dtype=float) * self.flux

"""Constitutive laws of a responsive membrane: partitioning, diffusivity, and polymer response.

Every law is a callable on arrays. A partition law gives ``K(phi)``, a diffusivity law
``D_in(phi)/D0``, a response law ``phi(c_in)``. Any smooth function of the same kind can be passed
in their place; a law that offers ``derivative`` is differentiated exactly, others by a sixth-order
difference (:func:`slope`).

The forms follow the authors' companion papers: ``ln K = -2 B2 c_m`` from the second virial
coefficient (Soft Matter 16, 8144 (2020)) and a diffusivity that falls with free volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from axonal.errors import InputError
from axonal.physics.membrane.transport import Array

Law = Callable[[Array], Array]
ResponseKind = Literal["collapse", "swelling"]


@dataclass(frozen=True)
class VirialPartition:
    """Partition ratio ``K(phi) = exp(-b phi)``: ``b > 0`` repels the solute, ``b < 0`` attracts it.

    Parameters
    ----------
    interaction
        ``b``, dimensionless. For polymer beads of diameter ``sigma`` and a solute-bead second
        virial coefficient ``B2``, ``b = (12/pi) B2/sigma^3``.
    """

    interaction: float = 0.0

    def __post_init__(self) -> None:
        _require_finite(self, "interaction")

    @classmethod
    def lennard_jones(cls, temperature: float) -> VirialPartition:
        """Return the law of Lennard-Jones solutes and beads of one size at ``k_B T/epsilon``."""
        return cls(12 / np.pi * lennard_jones_virial(temperature))

    def __call__(self, volume_fraction: ArrayLike) -> Array:
        """Return ``K`` at volume fractions of any shape."""
        return np.exp(-self.interaction * np.asarray(volume_fraction, dtype=float))

    def derivative(self, volume_fraction: ArrayLike) -> Array:
        """Return ``dK/dphi``."""
        return -self.interaction * self(volume_fraction)


@dataclass(frozen=True)
class FreeVolumeDiffusivity:
    """Diffusivity ratio ``D_in/D0 = exp(-A phi/(1 - phi) - s phi)`` (Yasuda's free-volume form).

    Parameters
    ----------
    obstruction
        ``A >= 0``, about 5 for solutes of the size of a monomer.
    stickiness
        ``s >= 0``, slowing by attractive contacts; 0 leaves pure obstruction.
    """

    obstruction: float = 5.0
    stickiness: float = 0.0

    def __post_init__(self) -> None:
        for name in ("obstruction", "stickiness"):
            _require_finite(self, name)
            if getattr(self, name) < 0:
                raise InputError(
                    f"{name} is {getattr(self, name)}; it must be at least 0: a polymer slows the "
                    "solute. Pass a function of phi for a membrane that speeds it up."
                )

    def __call__(self, volume_fraction: ArrayLike) -> Array:
        """Return ``D_in/D0`` at volume fractions of any shape."""
        phi = np.asarray(volume_fraction, dtype=float)
        return np.exp(-self.obstruction * phi / (1 - phi) - self.stickiness * phi)

    def derivative(self, volume_fraction: ArrayLike) -> Array:
        """Return ``d(D_in/D0)/dphi``."""
        phi = np.asarray(volume_fraction, dtype=float)
        return -(self.obstruction / (1 - phi) ** 2 + self.stickiness) * self(phi)


@dataclass(frozen=True)
class TanhResponse:
    """Sigmoidal volume transition ``phi = phi_lo + (phi_hi - phi_lo) [1 ± tanh((c - c_c)/w)]/2``.

    Parameters
    ----------
    low, high
        Volume fractions ``phi_lo < phi_hi`` of the swollen and the collapsed polymer, in [0, 1).
    threshold, width
        ``c_c`` and ``w``, in the unit of concentration.
    kind
        ``"collapse"``: solute condenses the polymer (+). ``"swelling"``: it dissolves it (-).
    """

    low: float = 0.1
    high: float = 0.4
    threshold: float = 1.0
    width: float = 0.1
    kind: ResponseKind = "collapse"

    def __post_init__(self) -> None:
        _check_response(self)
        _require_positive(self, "width")

    @classmethod
    def logistic(
        cls, low: float, high: float, threshold: float, scale: float, kind: ResponseKind
    ) -> TanhResponse:
        """Return ``phi_lo + (phi_hi - phi_lo)/(1 + exp(∓(c - c_c)/scale))``: the same family."""
        return cls(low, high, threshold, 2 * scale, kind)

    def __call__(self, uptake: ArrayLike) -> Array:
        """Return ``phi`` at uptakes ``c_in`` of any shape."""
        x = (np.asarray(uptake, dtype=float) - self.threshold) / self.width
        # exp of the negative side only: the tails keep full relative accuracy
        decay = np.exp(-2 * np.abs(x))
        span = (self.high - self.low) * decay / (1 + decay)
        near_low = (x < 0) == (self.kind == "collapse")
        return np.where(near_low, self.low + span, self.high - span)

    def derivative(self, uptake: ArrayLike) -> Array:
        """Return ``dphi/dc``."""
        decay = np.exp(-2 * np.abs((np.asarray(uptake, dtype=float) - self.threshold) / self.width))
        return _sign(self.kind) * (self.high - self.low) * 2 / self.width * decay / (1 + decay) ** 2

    def inverse(self, volume_fraction: ArrayLike) -> Array:
        """Return ``c*(phi)``, the uptake at which the polymer has this volume fraction."""
        scaled = (2 * np.asarray(volume_fraction, dtype=float) - self.low - self.high) / (
            self.high - self.low
        )
        return self.threshold + _sign(self.kind) * self.width * np.arctanh(scaled)


@dataclass(frozen=True)
class HillResponse:
    """Cooperative binding: ``phi`` moves with ``t = c^n / (c^n + c_c^n)`` from one end to the other.

    Parameters
    ----------
    low, high, threshold, kind
        As for :class:`TanhResponse`.
    exponent
        Hill coefficient ``n``; the slope at the threshold is that of a tanh of width ``2 c_c/n``.
    """

    low: float = 0.1
    high: float = 0.4
    threshold: float = 1.0
    exponent: float = 20.0
    kind: ResponseKind = "collapse"

    def __post_init__(self) -> None:
        _check_response(self)
        _require_positive(self, "exponent")

    def __call__(self, uptake: ArrayLike) -> Array:
        """Return ``phi`` at uptakes ``c_in > 0`` of any shape."""
        x = self._log_ratio(uptake)
        decay = np.exp(-np.abs(x))
        span = (self.high - self.low) * decay / (1 + decay)
        near_low = (x < 0) == (self.kind == "collapse")
        return np.where(near_low, self.low + span, self.high - span)

    def derivative(self, uptake: ArrayLike) -> Array:
        """Return ``dphi/dc``."""
        c = np.asarray(uptake, dtype=float)
        decay = np.exp(-np.abs(self._log_ratio(c)))
        span = _sign(self.kind) * (self.high - self.low)
        return span * self.exponent / c * decay / (1 + decay) ** 2

    def _log_ratio(self, uptake: ArrayLike) -> Array:
        return self.exponent * np.log(np.asarray(uptake, dtype=float) / self.threshold)


def lennard_jones_virial(temperature: float) -> float:
    """Return ``B2/sigma^3`` of the Lennard-Jones potential at ``k_B T/epsilon = temperature``.

    ``B2 = -2 pi ∫ (exp(-V/kT) - 1) r^2 dr``; it changes sign at the Boyle temperature 3.418.
    """
    from scipy.integrate import quad

    if not temperature > 0:
        raise InputError(f"temperature is {temperature}; k_B T/epsilon must be positive.")

    def mayer(r: float) -> float:
        return np.expm1(-4 / temperature * (r**-12 - r**-6)) * r**2

    # below 0.3 sigma the Boltzmann factor vanishes, so the integral there is that of -r^2
    core, body = -(0.3**3) / 3, quad(mayer, 0.3, 1.0)[0] + quad(mayer, 1.0, np.inf)[0]
    return -2 * np.pi * (core + body)


def slope(law: Law, x: ArrayLike) -> Array:
    """Return ``d law/dx``: the law's own ``derivative``, or a sixth-order central difference.

    The difference steps by 1e-4 of ``x``. It is good to 1e-10 for switches wider than a hundredth
    of their threshold; a sharper law should bring its own ``derivative``.
    """
    x = np.asarray(x, dtype=float)
    derivative = getattr(law, "derivative", None)
    if derivative is not None:
        return np.asarray(derivative(x), dtype=float)
    step = 1e-4 * np.maximum(np.abs(x), 1e-12)
    return central_difference(law, x, step)


def central_difference(function: Law, x: Array, step: Array | float) -> Array:
    """Return the sixth-order central difference of ``function`` at ``x``."""
    near, middle, far = (function(x + k * step) - function(x - k * step) for k in (1, 2, 3))
    return (45 * near - 9 * middle + far) / (60 * step)


def _sign(kind: ResponseKind) -> float:
    return 1.0 if kind == "collapse" else -1.0


def _check_response(law: TanhResponse | HillResponse) -> None:
    for name in ("low", "high"):
        _require_finite(law, name)
    if not 0 <= law.low < law.high < 1:
        raise InputError(
            f"low is {law.low} and high is {law.high}; polymer volume fractions must obey "
            "0 <= low < high < 1 (swollen below collapsed)."
        )
    _require_positive(law, "threshold")
    if law.kind not in ("collapse", "swelling"):
        raise InputError(f"kind is {law.kind!r}; choose 'collapse' or 'swelling'.")


def _require_finite(law: object, name: str) -> None:
    if not np.isfinite(getattr(law, name)):
        raise InputError(f"{name} is {getattr(law, name)}; it must be a finite number.")


def _require_positive(law: object, name: str) -> None:
    value = getattr(law, name)
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} is {value}; it must be a positive number.")

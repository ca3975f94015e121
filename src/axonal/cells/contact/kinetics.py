"""Two ligands that bind the same receptor and differ only in how long they stay.

Limits on the accuracy of contact inhibition of locomotion, Wang and Camley 2024
(Phys. Rev. E 109, 054408; arXiv:2311.00085), equations 2, 3 and the appendix on correlation times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TwoLigandKinetics:
    """Rates of a receptor that sees a correct and a spurious ligand.

    An unbound receptor binds at the rate ``k (c + c')``; a correct ligand leaves at the rate ``r``
    and a spurious one at ``r' = r / alpha``, so it stays a shorter time.

    Parameters
    ----------
    binding
        On-rate constant k of both ligands (µm²/s where concentrations are per µm²).
    unbinding
        Off-rate r of the correct ligand (1/s).
    alpha
        Ratio of off-rates r/r', in (0, 1]; at 1 the two ligands can't be told apart.
    """

    binding: float = 0.01
    unbinding: float = 1.0
    alpha: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("binding", self.binding), ("unbinding", self.unbinding)):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"The {name} rate must be positive and finite; got {value:g}")
        if not 0 < self.alpha <= 1:
            raise InputError(
                f"alpha = r/r' must be in (0, 1]; got {self.alpha:g}. Above 1 the spurious ligand "
                "stays longer: swap the two ligands"
            )

    @property
    def spurious_unbinding(self) -> float:
        """Off-rate r' of the spurious ligand (1/s)."""
        return self.unbinding / self.alpha

    @property
    def excess_unbinding(self) -> float:
        """r' - r (1/s): how much faster a spurious ligand leaves."""
        return self.spurious_unbinding - self.unbinding

    def occupancy(self, correct: ArrayLike, spurious: ArrayLike) -> Floats:
        """Stationary probability of being bound, ``1 - 1/Z`` with ``Z = 1 + k c/r + k c'/r'``."""
        return 1 - 1 / self.partition(correct, spurious)

    def partition(self, correct: ArrayLike, spurious: ArrayLike) -> Floats:
        """``Z = 1 + k c/r + k c'/r'``, one over the stationary probability of being unbound."""
        c, c_spurious = np.asarray(correct, float), np.asarray(spurious, float)
        return 1 + self.binding * (c / self.unbinding + c_spurious / self.spurious_unbinding)

    def correlation_times(self, correct: ArrayLike, spurious: ArrayLike) -> tuple[Floats, Floats]:
        """Return the fast and the slow correlation time (s) of a receptor's state.

        ``2 / (k c + r + k c' + r' ± sqrt(Delta))``, the inverse eigenvalues of the three-state
        master equation.
        """
        fast, slow = self._eigenvalues(correct, spurious)
        return 1 / fast, 1 / slow

    def expected_bindings(
        self, correct: ArrayLike, spurious: ArrayLike, time: ArrayLike, start: str = "unbound"
    ) -> Floats:
        """Return how often a receptor is expected to bind within a time (exact at any time).

        ``k (c + c') ∫ P(unbound at s) ds``. The stationary start gives ``k (c + c') t / Z``; from
        the unbound state two exponentials add to it, with the rates of `correlation_times`.

        Parameters
        ----------
        correct, spurious
            Concentrations (1/µm²), broadcast with `time`.
        time
            Elapsed time (s).
        start
            ``"unbound"`` or ``"stationary"``.
        """
        c, c_spurious = np.asarray(correct, float), np.asarray(spurious, float)
        t = np.asarray(time, float)
        rate = self.binding * (c + c_spurious)
        steady = t / self.partition(c, c_spurious)
        if start == "stationary":
            return rate * steady
        fast, slow = self._eigenvalues(c, c_spurious)
        r, r_spurious = self.unbinding, self.spurious_unbinding
        # P(unbound at t) = 1/Z + sum over the two rates m of a(m) exp(-m t); in Laplace space
        # (p + r)(p + r') / (p (p + fast)(p + slow)), whose residues are a(m).
        gap = np.maximum(fast - slow, 1e-300)
        weight_fast = (r - fast) * (r_spurious - fast) / (fast * gap)
        weight_slow = -(r - slow) * (r_spurious - slow) / (slow * gap)
        transient = -weight_fast * np.expm1(-fast * t) / fast
        transient -= weight_slow * np.expm1(-slow * t) / slow
        return rate * (steady + transient)

    def _eigenvalues(self, correct: ArrayLike, spurious: ArrayLike) -> tuple[Floats, Floats]:
        """Return the fast and slow relaxation rates (1/s)."""
        c, c_spurious = np.asarray(correct, float), np.asarray(spurious, float)
        k, r, r_spurious = self.binding, self.unbinding, self.spurious_unbinding
        trace = k * (c + c_spurious) + r + r_spurious
        product = r * r_spurious * self.partition(c, c_spurious)
        # The discriminant in the form that stays non-negative: a square plus a positive term.
        root = np.sqrt(
            (k * (c + c_spurious) + r - r_spurious) ** 2 + 4 * k * c_spurious * (r_spurious - r)
        )
        fast = (trace + root) / 2
        return fast, product / fast

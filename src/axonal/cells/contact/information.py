"""Fisher information in closed form, and the Cramér–Rao bound.

The density of a bound dwell time times its ligand's concentration,
``h(tau) = c r exp(-r tau) + c' r' exp(-r' tau)``, is linear in (c, c'). In the limit of a long
measurement one receptor's information about (c, c') is therefore ``w Q`` with
``w = k T / Z``, ``Q_ab = ∫ h_a h_b / h dtau``, and with ``y = c'/(alpha c)``

    Q_cc   = 2F1(1, b; 1 + b; -y) / c,    b = alpha/(1 - alpha)
    Q_cc'  = 2F1(1, B; 1 + B; -y) / c,    B = 1/(1 - alpha)
    Q_c'c' = (1 - c Q_cc') / c'

Wang and Camley 2024 integrate these numerically for every receptor. As c -> 0, Q_cc tends to
``alpha² / (c' (2 alpha - 1))`` for alpha > 1/2 and diverges below: the transition between hard and
easy discrimination.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from axonal.cells.contact.contact import Contact
from axonal.cells.contact.kinetics import TwoLigandKinetics
from axonal.cells.contact.profiles import ProfileValues
from axonal.errors import InputError

Floats = NDArray[np.float64]

#: Where the exponents of the integrands are small, quadrature is more accurate than 2F1.
ALIKE = 0.9
#: c below this share of c' is treated as this share; its weight g² in every sum is then 1e-24.
FAINT = 1e-12
#: Sums of terms that cancel to less than this share of them are taken as zero.
ROUNDING = 1e-13
#: A bound from a matrix worse conditioned than this is rounding error.
SINGULAR = 1e12


@dataclass(frozen=True, eq=False)
class ReceptorInformation:
    """What each receptor tells of its two concentrations ``(c_n, c')``: a 2 x 2 matrix each.

    Parameters
    ----------
    correct, mixed, spurious
        ``(receptors,)``: the entries cc, cc' and c'c' (µm⁴).
    """

    correct: Floats
    mixed: Floats
    spurious: Floats

    def per_receptor(self, contact: Contact, profile: ProfileValues) -> Floats:
        """Return each receptor's information about ``(c_t, chi, x0)``, ``(receptors, 3, 3)``."""
        d_correct, d_spurious = _derivatives(contact, profile)
        cross = np.einsum("an,bn->nab", d_correct, d_spurious)
        return (
            self.correct[:, None, None] * np.einsum("an,bn->nab", d_correct, d_correct)
            + self.mixed[:, None, None] * (cross + cross.transpose(0, 2, 1))
            + self.spurious[:, None, None] * np.einsum("an,bn->nab", d_spurious, d_spurious)
        )

    def total(self, contact: Contact, profile: ProfileValues) -> Floats:
        """Return the whole array's information about ``(c_t, chi, x0)``, ``(3, 3)``."""
        d_correct, d_spurious = _derivatives(contact, profile)
        mixed = (self.mixed * d_correct) @ d_spurious.T
        information = (self.correct * d_correct) @ d_correct.T + mixed + mixed.T
        information += (self.spurious * d_spurious) @ d_spurious.T
        # What is left of terms that cancel is rounding error: no information.
        terms = (self.correct * d_correct**2 + self.spurious * d_spurious**2).sum(axis=1)
        nothing = np.diag(information) < ROUNDING * terms
        information[nothing], information[:, nothing] = 0, 0
        return (information + information.T) / 2  # exactly symmetric


@dataclass(frozen=True, eq=False)
class CramerRao:
    """The smallest covariance of any unbiased estimate of ``(c_t, chi, x0)``.

    Parameters
    ----------
    covariance
        ``(3, 3)``, the inverse of the information.
    condition
        Condition number of the information, scaled to a unit diagonal.
    """

    covariance: Floats
    condition: float

    @classmethod
    def of(cls, information: Floats) -> CramerRao:
        """Invert a Fisher information matrix; a singular one is an `InputError`, with the reason."""
        scale = np.sqrt(np.maximum(np.diag(information), 0))
        if not (np.isfinite(information).all() and np.all(scale > 0)):
            unknown = [n for n, s in zip(("c_t", "chi", "x0"), scale, strict=True) if not s > 0]
            raise InputError(
                f"The receptors carry no information about {' and '.join(unknown) or 'the contact'}: "
                "none sits where the contact changes. Place receptors at its edges, or look for a "
                "contact that is narrower than the perimeter"
            )
        scaled = information / np.outer(scale, scale)
        condition = float(np.linalg.cond(scaled))
        if not condition < SINGULAR:
            raise InputError(
                f"c_t, chi and x0 can't be told apart here (condition number {condition:.1e}); the "
                "bound would be rounding error"
            )
        return cls(np.linalg.inv(scaled) / np.outer(scale, scale), condition)

    @property
    def sd_total(self) -> float:
        """Smallest standard deviation of c_t (1/µm²)."""
        return float(np.sqrt(self.covariance[0, 0]))

    @property
    def sd_fraction(self) -> float:
        """Smallest standard deviation of chi."""
        return float(np.sqrt(self.covariance[1, 1]))

    @property
    def sd_position(self) -> float:
        """Smallest standard deviation of x0 (µm)."""
        return float(np.sqrt(self.covariance[2, 2]))


def long_time_information(
    kinetics: TwoLigandKinetics, correct: ArrayLike, spurious: float, duration: float
) -> ReceptorInformation:
    """Return the information per receptor in the limit of a long measurement.

    Parameters
    ----------
    kinetics
        Rates of the two ligands.
    correct
        ``(receptors,)`` concentrations c_n (1/µm²).
    spurious
        Concentration c' > 0 (1/µm²).
    duration
        Measuring time T (s), long against the correlation times.
    """
    c, back = distinct(correct, spurious)
    weight = duration * kinetics.binding / kinetics.partition(c, spurious)
    q_cc, q_mixed = dwell_information(c, spurious, kinetics.alpha)
    q_spurious = (1 - c * q_mixed) / spurious
    return ReceptorInformation(
        (weight * q_cc)[back], (weight * q_mixed)[back], (weight * q_spurious)[back]
    )


def distinct(correct: ArrayLike, spurious: float) -> tuple[Floats, NDArray[np.intp]]:
    """Return the distinct concentrations of an array, none below `FAINT`, and which is whose.

    Most receptors see one of two, inside and outside, so each is computed once.
    """
    mantissa, exponent = np.frexp(np.maximum(np.asarray(correct, float), FAINT * spurious))
    rounded = np.ldexp(np.round(mantissa * 2.0**44) / 2.0**44, exponent)  # to 13 digits
    c, back = np.unique(rounded, return_inverse=True)
    return c, back


def dwell_information(correct: Floats, spurious: float, alpha: float) -> tuple[Floats, Floats]:
    """Return Q_cc and Q_cc' for positive concentrations.

    Both fall from 1/c to a value set by c' alone; for alpha = 1 both are ``1/(c + c')``.
    """
    c = np.asarray(correct, float)
    if alpha == 1:
        alike = 1 / (c + spurious)
        return alike, alike
    if alpha > ALIKE:
        nodes, weights = _laguerre(80)
        cc = weights @ (1 / (c + spurious / alpha * np.exp(-(1 / alpha - 1) * nodes)[:, None]))
        mixed = weights @ (1 / (c + spurious / alpha * np.exp(-(1 - alpha) * nodes)[:, None]))
        return cc, mixed
    y = spurious / (alpha * c)
    if alpha == 0.5:
        cc = np.log1p(y) / (c * y)
    else:
        b = alpha / (1 - alpha)
        cc = special.hyp2f1(1, b, 1 + b, -y) / c
    big = 1 / (1 - alpha)
    return cc, special.hyp2f1(1, big, 1 + big, -y) / c


def _derivatives(contact: Contact, profile: ProfileValues) -> tuple[Floats, Floats]:
    """Return the derivatives of c_n and c' in ``(c_t, chi, x0)``, ``(3, receptors)`` each."""
    c_t, chi, g = contact.total, contact.fraction, profile.value
    flat = np.ones_like(g)
    return (
        np.stack([chi * g, c_t * g, c_t * chi * profile.slope]),
        np.stack([(1 - chi) * flat, -c_t * flat, 0 * flat]),
    )


@cache
def _laguerre(order: int) -> tuple[Floats, Floats]:
    return special.roots_laguerre(order)

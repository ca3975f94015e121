"""A receptor array that senses a contact: simulate it, bound it, fit it, decide with it.

Limits on the accuracy of contact inhibition of locomotion, Wang and Camley 2024
(Phys. Rev. E 109, 054408; arXiv:2311.00085).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from axonal.cells.contact.contact import Contact
from axonal.cells.contact.estimation import ContactFit, fit_mle
from axonal.cells.contact.finite_time import finite_time_information
from axonal.cells.contact.information import CramerRao, ReceptorInformation, long_time_information
from axonal.cells.contact.kinetics import TwoLigandKinetics
from axonal.cells.contact.likelihood import Evidence
from axonal.cells.contact.profiles import Profile, SmoothRectangle
from axonal.cells.contact.receptors import ReceptorArray
from axonal.cells.contact.records import DwellRecord, Start
from axonal.cells.contact.simulation import Stop, simulate_dwell_times
from axonal.errors import InputError

Floats = NDArray[np.float64]
Regime = Literal["long", "finite"]


class ContactWarning(UserWarning):
    """A result is valid, but not for what it is likely to be taken for."""


@dataclass(frozen=True, eq=False)
class ContactModel:
    """Receptors, their kinetics, and the shape of a contact.

    Parameters
    ----------
    receptors
        Where the receptors are; default the paper's line of 10,000 over 100 µm.
    kinetics
        Rates of the two ligands.
    profile
        How the correct ligand is spread over a contact.
    """

    receptors: ReceptorArray = field(default_factory=ReceptorArray.line)
    kinetics: TwoLigandKinetics = field(default_factory=TwoLigandKinetics)
    profile: Profile = field(default_factory=SmoothRectangle)

    def correct_ligand(self, contact: Contact) -> Floats:
        """Return the concentration c_n of correct ligand at each receptor (1/µm²)."""
        away = self.receptors.displacement(contact.position)
        return contact.correct * self.profile.at(away, contact.half_width).value

    def simulate(
        self,
        contact: Contact,
        duration: float,
        rng: np.random.Generator | int,
        *,
        stop: Stop = "censor",
        start: Start = "unbound",
    ) -> DwellRecord:
        """Draw what the receptors remember of a contact after a time (s).

        See `axonal.cells.contact.simulate_dwell_times` for the stopping rules.
        """
        correct = self.correct_ligand(contact)
        generator = np.random.default_rng(rng)
        return simulate_dwell_times(
            self.kinetics, correct, contact.spurious, duration, generator, stop=stop, start=start
        )

    def log_likelihood(self, record: DwellRecord, contact: Contact) -> float:
        """Return ln L of a record, all constants included."""
        self._check_record(record)
        evidence = Evidence.of(record, self.kinetics)
        if contact.fraction == 1:
            raise InputError("The likelihood needs some spurious ligand: chi must be below 1")
        away = self.receptors.displacement(contact.position)
        profile = self.profile.at(away, contact.half_width)
        return evidence.evaluate(profile, contact.correct, contact.spurious).value

    def fit(
        self, record: DwellRecord, half_width: float, start: Contact | None = None
    ) -> ContactFit:
        """Return the maximum-likelihood estimate of a record.

        Parameters
        ----------
        record
            Of as many receptors as this model has.
        half_width
            The contact's half-width sigma (µm), which the estimator knows.
        start
            Where to start; by default the whole perimeter is searched.
        """
        self._check_record(record)
        if not half_width > 0:
            raise InputError(f"The half-width sigma must be positive (µm); got {half_width:g}")
        evidence = Evidence.of(record, self.kinetics)
        return fit_mle(evidence, self.receptors, self.profile, half_width, start)

    def information(
        self, contact: Contact, duration: float, regime: Regime = "long", start: Start = "unbound"
    ) -> ReceptorInformation:
        """Return each receptor's Fisher information about ``(c_n, c')``.

        Parameters
        ----------
        contact
            At which parameters.
        duration
            Measuring time T (s).
        regime
            ``"long"``: proportional to T, closed form, the paper's; ``"finite"``: exact at any T for
            the censored record.
        start
            Whether receptors start unbound or stationary (``"finite"`` alone depends on it).
        """
        if not (np.isfinite(duration) and duration > 0):
            raise InputError(f"The measuring time must be positive (s); got {duration:g}")
        correct = self.correct_ligand(contact)
        if regime == "long":
            return long_time_information(self.kinetics, correct, contact.spurious, duration)
        if regime == "finite":
            return finite_time_information(
                self.kinetics, correct, contact.spurious, duration, start
            )
        raise InputError(f"regime is 'long' or 'finite'; got {regime!r}")

    def fisher_information(
        self, contact: Contact, duration: float, regime: Regime = "long", start: Start = "unbound"
    ) -> Floats:
        """Return the Fisher information matrix of ``(c_t, chi, x0)``, shape ``(3, 3)``."""
        away = self.receptors.displacement(contact.position)
        profile = self.profile.at(away, contact.half_width)
        return self.information(contact, duration, regime, start).total(contact, profile)

    def cramer_rao(
        self, contact: Contact, duration: float, regime: Regime = "long", start: Start = "unbound"
    ) -> CramerRao:
        """Return the smallest error of any unbiased estimate, warning of what limits it."""
        if contact.fraction in (0, 1):
            reason = (
                "no contact: its position has no information"
                if contact.fraction == 0
                else "no spurious ligand: receptors outside the contact never bind"
            )
            raise InputError(
                f"The Cramér–Rao bound needs chi strictly between 0 and 1; got {contact.fraction:g}, {reason}"
            )
        for remark in self.remarks(contact, duration if regime == "long" else None):
            warnings.warn(remark, ContactWarning, stacklevel=2)
        bound = CramerRao.of(self.fisher_information(contact, duration, regime, start))
        if bound.sd_fraction > 1 or bound.sd_position > self.receptors.length:
            warnings.warn(
                f"Errors of at least {bound.sd_fraction:.2g} in chi and {bound.sd_position:.2g} µm in x0 "
                "exceed their whole range: the contact can't be located. With alpha near 1 one as "
                "wide as the perimeter looks like more spurious ligand",
                ContactWarning,
                stacklevel=2,
            )
        return bound

    def remarks(self, contact: Contact, duration: float | None = None) -> list[str]:
        """Say in words what limits results at these parameters; with `duration`, at that time."""
        said: list[str] = []
        array, position, half_width = self.receptors, contact.position, contact.half_width
        resolution = self.profile.resolution(half_width)
        edges = position - half_width, position + half_width
        if not array.closed and (
            edges[0] < 0 or edges[1] > array.length or not 0 <= position <= array.length
        ):
            said.append(
                f"The contact spans {edges[0]:g} to {edges[1]:g} µm, beyond the perimeter of "
                f"0 to {array.length:g} µm: its profile is cut"
            )
        elif array.closed and 2 * half_width > array.length:
            said.append(
                f"A contact {2 * half_width:g} µm wide is longer than the perimeter {array.length:g} µm"
            )
        if array.spacing > resolution / 3:
            said.append(
                f"Receptors {array.spacing:g} µm apart sample edges of {resolution:g} µm too coarsely: "
                "errors depend on where receptors happen to be"
            )
        if self.kinetics.alpha <= 0.5 and contact.fraction < 1e-3:
            said.append(
                f"At alpha = {self.kinetics.alpha:g} <= 1/2 the information about c0 diverges as chi -> 0: "
                "the bound tends to zero and neither Wald's nor Wilks's test is valid"
            )
        if duration is not None:
            slow = self.kinetics.correlation_times(self.correct_ligand(contact), contact.spurious)[
                1
            ].max()
            if duration < 5 * slow:
                said.append(
                    f"T = {duration:g} s is not long against the correlation time of {slow:.3g} s, so the "
                    "long-time bound is off: use regime='finite' or simulate"
                )
        return said

    def _check_record(self, record: DwellRecord) -> None:
        if record.receptors != len(self.receptors):
            raise InputError(
                f"The record has {record.receptors} receptors and the model {len(self.receptors)}"
            )

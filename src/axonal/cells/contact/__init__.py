"""Limits on sensing a touching cell through receptors that bind two kinds of ligand.

Limits on the accuracy of contact inhibition of locomotion, Wang and Camley 2024
(Phys. Rev. E 109, 054408; arXiv:2311.00085).

    model = ContactModel(kinetics=TwoLigandKinetics(alpha=0.8))
    contact = Contact(total=1000, fraction=0.1, position=50, half_width=10)
    model.cramer_rao(contact, duration=10).sd_position      # 0.342 µm, at best
    record = model.simulate(contact, duration=10, rng=0)
    model.fit(record, half_width=10).contact                # where it is
"""

from axonal.cells.contact.contact import PARAMETERS, Contact
from axonal.cells.contact.detection import (
    DetectionErrors,
    auc_det,
    det_curve,
    false_negative_rate,
    false_positive_rate,
    known_position_auc,
)
from axonal.cells.contact.estimation import ContactFit, fit_mle
from axonal.cells.contact.finite_time import finite_time_information, snapshot_information
from axonal.cells.contact.information import (
    CramerRao,
    ReceptorInformation,
    dwell_information,
    long_time_information,
)
from axonal.cells.contact.kinetics import TwoLigandKinetics
from axonal.cells.contact.likelihood import Derivatives, Evidence
from axonal.cells.contact.model import ContactModel, ContactWarning
from axonal.cells.contact.occupancy import occupancy_estimate
from axonal.cells.contact.profiles import CustomProfile, Gaussian, Profile, SmoothRectangle
from axonal.cells.contact.receptors import ReceptorArray
from axonal.cells.contact.records import DwellRecord
from axonal.cells.contact.simulation import simulate_dwell_times
from axonal.cells.contact.trials import (
    DetectionTrials,
    EstimationTrials,
    detection_trials,
    estimation_trials,
)

__all__ = [
    "PARAMETERS",
    "Contact",
    "ContactFit",
    "ContactModel",
    "ContactWarning",
    "CramerRao",
    "CustomProfile",
    "Derivatives",
    "DetectionErrors",
    "DetectionTrials",
    "DwellRecord",
    "EstimationTrials",
    "Evidence",
    "Gaussian",
    "Profile",
    "ReceptorArray",
    "ReceptorInformation",
    "SmoothRectangle",
    "TwoLigandKinetics",
    "auc_det",
    "det_curve",
    "detection_trials",
    "dwell_information",
    "estimation_trials",
    "false_negative_rate",
    "false_positive_rate",
    "finite_time_information",
    "fit_mle",
    "known_position_auc",
    "long_time_information",
    "occupancy_estimate",
    "simulate_dwell_times",
    "snapshot_information",
]

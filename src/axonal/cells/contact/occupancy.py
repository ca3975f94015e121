"""What a picture of the occupancy tells: a baseline that forgets how long ligands stay.

The contact is taken to be the window of width 2 sigma with the most bound time, and concentrations
follow from the mean occupancy inside and outside it, ``p/(1 - p) = k c/r + k c'/r'``.
"""

from __future__ import annotations

import numpy as np

from axonal.cells.contact.contact import Contact
from axonal.cells.contact.kinetics import TwoLigandKinetics
from axonal.cells.contact.receptors import ReceptorArray
from axonal.cells.contact.records import DwellRecord
from axonal.errors import InputError


def occupancy_estimate(
    record: DwellRecord, receptors: ReceptorArray, kinetics: TwoLigandKinetics, half_width: float
) -> Contact:
    """Estimate a contact from each receptor's fraction of time bound.

    Parameters
    ----------
    record
        Of these receptors, along an open perimeter.
    receptors, kinetics
        As the estimator knows them.
    half_width
        The contact's half-width sigma (µm).
    """
    if receptors.closed or 2 * half_width >= receptors.length:
        raise InputError(
            "The occupancy estimate slides a window along an open perimeter, which must be longer "
            f"than 2 sigma = {2 * half_width:g} µm; it is {receptors.length:g} µm long"
        )
    unbound = np.bincount(record.receptor, record.unbound, record.receptors) + record.cut_unbound
    bound = np.bincount(record.receptor, record.bound, record.receptors)
    bound += np.nan_to_num(record.cut_bound) + np.nan_to_num(record.first_bound)
    where = receptors.positions
    centres = where[(where >= half_width) & (where <= receptors.length - half_width)]
    first = np.searchsorted(where, centres - half_width)
    last = np.searchsorted(where, centres + half_width, side="right")
    held = np.r_[0.0, np.cumsum(bound)]
    free = np.r_[0.0, np.cumsum(unbound)]
    inside = held[last] - held[first]
    best = int(inside.argmax())
    free_inside = free[last[best]] - free[first[best]]
    odds_inside = inside[best] / free_inside
    odds_outside = (held[-1] - inside[best]) / (free[-1] - free_inside)
    spurious = odds_outside * kinetics.spurious_unbinding / kinetics.binding
    correct = max(odds_inside - odds_outside, 0.0) * kinetics.unbinding / kinetics.binding
    return Contact.of_ligands(correct, spurious, float(centres[best]), half_width)

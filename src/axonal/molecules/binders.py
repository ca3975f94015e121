"""Molecules with targets, as a training takes them: each target with a pair, and two targets at least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.molecules.chemistry import identity
from axonal.molecules.reading import (
    Molecule,
    OnError,
    Problem,
    ReadingReport,
    Source,
    read_molecules,
)


def read_binders(
    labelled: Source, targets: Sequence[Any] | NDArray[Any], on_error: OnError
) -> tuple[list[Molecule], NDArray[np.int64], ReadingReport]:
    """Read binders; check that every target has a pair and that there is something to tell apart."""
    report = ReadingReport()
    if isinstance(labelled, str | Path):
        raise InputError(
            "labelled: read a file with read_affinities, and pass its molecules and targets."
        )
    given = list(labelled)
    names = np.asarray(targets)
    if names.ndim != 1 or len(names) != len(given):
        raise InputError(f"targets: expected one a molecule ({len(given)}), got {names.shape}.")
    rows: list[Molecule] = []
    places: list[int] = []
    for place, item in enumerate(given):
        one = ReadingReport()
        found = list(read_molecules([item], on_error="skip", report=one))
        report.read += 1
        report.fragments += one.fragments
        report.problems += [_moved(problem, place) for problem in one.problems]
        rows += found
        places += [place] * len(found)
    report.kept = len(rows)
    if on_error == "raise":
        report.raise_problems()
    names = names[places]
    found, codes, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if len(found) < 2:
        raise InputError(
            f"targets: all molecules have the target {found[0] if len(found) else None!r}; learning "
            "to tell targets apart takes at least two."
        )
    compounds = {
        name: len({identity(rows[i].mol) for i in np.flatnonzero(codes == c)})
        for c, name in enumerate(found)
        if sizes[c] < 50  # a target of that many rows has two compounds
    }
    if alone := [str(name) for name, count in compounds.items() if count < 2]:
        raise InputError(
            f"targets: {len(alone)} have a single molecule and no positive pair: "
            f"{', '.join(alone[:5])}. Leave them out, or add them to the unlabelled molecules."
        )
    return rows, codes, report


def _moved(problem: Problem, place: int) -> Problem:
    return replace(problem, place=f"molecule {place}")

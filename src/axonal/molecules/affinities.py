"""Labelled molecules: who binds what, and how strongly, with units checked at the door.

pK is minus the decimal logarithm of a dissociation (or inhibition) constant in mol/l.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.molecules.chemistry import identity
from axonal.molecules.reading import Molecule, OnError, ReadingReport, read_molecules

LEAST, MOST = 2.0, 14.0  # pK of anything that was ever measured
UNITS = {"m": 0.0, "mm": 3.0, "um": 6.0, "µm": 6.0, "μm": 6.0, "nm": 9.0, "pm": 12.0, "fm": 15.0}
SHOWN = 5


@dataclass(frozen=True)
class Affinities:
    """Molecules with their targets, one row a molecule and target.

    Parameters
    ----------
    molecules
        ``(rows,)``.
    targets
        Names, ``(rows,)``.
    pk
        Affinities, ``(rows,)``; None where only binders are listed.
    keys
        Of :func:`~axonal.molecules.chemistry.identity`, ``(rows,)``.
    reading
        What happened while they were read.
    """

    molecules: tuple[Molecule, ...]
    targets: NDArray[np.str_]
    pk: NDArray[np.float64] | None
    keys: NDArray[np.str_]
    reading: ReadingReport

    def binders(self, least: float = 6.5) -> Affinities:
        """Return the rows of at least this pK (6.5: about 300 nM)."""
        if self.pk is None:
            return self
        return self.take(np.flatnonzero(self.pk >= least))

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> Affinities:
        """Return some rows."""
        index = np.asarray(rows, dtype=int)
        return Affinities(
            tuple(self.molecules[i] for i in index),
            self.targets[index],
            None if self.pk is None else self.pk[index],
            self.keys[index],
            self.reading,
        )

    def without(self, keys: Iterable[str]) -> Affinities:
        """Return the rows whose molecule is not among some."""
        return self.take(np.flatnonzero(~np.isin(self.keys, sorted(set(keys)))))

    def __len__(self) -> int:
        return len(self.molecules)


def read_affinities(
    source: Path | str,
    *,
    target: str = "target",
    value: str | None = None,
    unit: str | None = None,
    relation: str | None = None,
    smiles: str | None = None,
    id: str | None = None,
    on_error: OnError = "raise",
) -> Affinities:
    """Read molecules, targets and affinities from a table (CSV, TSV or Parquet) or an SDF.

    Parameters
    ----------
    source
        The file.
    target
        Column of the target's name.
    value
        Column of the affinity: pK if its name begins with p (``pchembl_value``, ``pKi``), else a
        concentration in ``unit``. None: every row is a binder.
    unit
        ``"nM"``, ``"uM"``..., or the column that holds it for each row.
    relation
        Column of ``=``, ``<``, ``>``; rows that are not ``=`` are bounds, and refused.
    smiles, id
        Columns, found by their usual names if left out.
    on_error
        Of unreadable molecules, as in :func:`read_molecules`.
    """
    report = ReadingReport()
    molecules = list(read_molecules(source, smiles=smiles, id=id, on_error=on_error, report=report))
    if not molecules:
        raise InputError(f"{Path(source).name} holds no molecule.")
    _require_columns(molecules[0], [target, value, relation], Path(source).name)
    targets = np.array([m.fields[target].strip() for m in molecules])
    if (blank := np.flatnonzero(targets == "")).size:
        raise InputError(
            f"{Path(source).name}: {blank.size} rows have no {target}, such as {molecules[blank[0]].id}."
        )
    if relation is not None:
        bad = [m for m in molecules if m.fields[relation].strip().strip("'\"") not in ("=", "")]
        _refuse(bad, f"a {relation} other than '=': a bound is no affinity; leave them out")
    pk = None if value is None else _pk(molecules, value, unit)
    keys = np.array([identity(m.mol) for m in molecules])
    return Affinities(tuple(molecules), targets, pk, keys, report)


def to_pk(concentration: float, unit: str) -> float:
    """Return -log10 of a concentration in mol/l; ``to_pk(10, "nM")`` is 8."""
    scale = UNITS.get(unit.strip().lower())
    if scale is None:
        raise InputError(f"unit: expected one of M, mM, uM, nM, pM, fM, got {unit!r}.")
    if not 0 < concentration < math.inf:
        raise InputError(f"A concentration is positive; got {concentration} {unit}.")
    return scale - math.log10(concentration)


def check_pk(pk: Sequence[float] | NDArray[np.float64], names: Sequence[str]) -> None:
    """Refuse affinities that no measurement gives, naming the rows."""
    values = np.asarray(pk, dtype=float)
    bad = np.flatnonzero(~((values >= LEAST) & (values <= MOST)))
    if bad.size:
        shown = ", ".join(f"{names[i]} ({values[i]:g})" for i in bad[:SHOWN])
        raise InputError(
            f"{bad.size} affinities lie outside pK {LEAST:g} to {MOST:g}: {shown}. pK is -log10 of "
            "mol/l: 10 nM is 8. Are the units mixed?"
        )


def _pk(molecules: list[Molecule], value: str, unit: str | None) -> NDArray[np.float64]:
    numbers = []
    bad = []
    for molecule in molecules:
        try:
            numbers.append(float(molecule.fields[value]))
        except ValueError:
            bad.append(molecule)
    _refuse(bad, f"a {value} that is no number")
    if unit is None and value.lower().startswith("p"):
        pk = np.array(numbers)
    elif unit is None:
        raise InputError(
            f"{value}: is it pK or a concentration? Name its unit ('nM', or the column that holds "
            "it), or rename a pK column to begin with p."
        )
    else:
        units = [m.fields.get(unit, unit) for m in molecules]
        strange = [
            m for m, u in zip(molecules, units, strict=True) if u.strip().lower() not in UNITS
        ]
        _refuse(
            strange,
            f"a unit other than M, mM, uM, nM, pM (such as {units[molecules.index(strange[0])]!r})"
            if strange
            else "",
        )
        pk = np.array([to_pk(n, u) for n, u in zip(numbers, units, strict=True)])
    check_pk(pk, [m.id for m in molecules])
    return pk


def _refuse(molecules: list[Molecule], what: str) -> None:
    if molecules:
        shown = ", ".join(m.id for m in molecules[:SHOWN])
        raise InputError(f"{len(molecules)} rows have {what}: {shown}.")


def _require_columns(molecule: Molecule, names: list[str | None], file: str) -> None:
    for name in names:
        if name is not None and name not in molecule.fields:
            raise InputError(
                f"{file} has no column {name!r}; it has {', '.join(molecule.fields) or 'none'}."
            )

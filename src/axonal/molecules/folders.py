"""Read the folders in which DUD-E and LIT-PCBA come: a target a folder.

DUD-E: ``TARGET/actives_final.ism``, ``decoys_final.ism``, ``crystal_ligand.mol2`` (the query).
LIT-PCBA: ``TARGET/actives.smi``, ``inactives.smi`` and one ``*_ligand.mol2`` a crystal structure;
or its training and validation parts, ``active_T.smi``, ``active_V.smi``, ``inactive_T.smi``...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from axonal.errors import InputError
from axonal.molecules.reading import Molecule, ReadingReport, read_molecules


@dataclass(frozen=True)
class ScreeningTarget:
    """One target of a benchmark.

    Parameters
    ----------
    name
        Of its folder.
    actives, decoys
        What must be told apart.
    queries
        Crystal ligands.
    reading
        What could not be read.
    """

    name: str
    actives: tuple[Molecule, ...]
    decoys: tuple[Molecule, ...]
    queries: tuple[Molecule, ...]
    reading: ReadingReport = field(default_factory=ReadingReport)


LAYOUTS = {
    "DUD-E": (("actives_final.ism",), ("decoys_final.ism",), "crystal_ligand.mol2"),
    "LIT-PCBA": (("actives.smi",), ("inactives.smi",), "*_ligand.mol2"),
    "LIT-PCBA (split)": (
        ("active_T.smi", "active_V.smi"),
        ("inactive_T.smi", "inactive_V.smi"),
        "*_ligand.mol2",
    ),
}


def read_targets(folder: Path | str, names: list[str] | None = None) -> Iterator[ScreeningTarget]:
    """Yield the targets of a benchmark's folder, in alphabetical order.

    Parameters
    ----------
    folder
        Of DUD-E or LIT-PCBA, or of one of their targets.
    names
        Only these.
    """
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"There is no folder {folder}.")
    found = [place] if _layout(place) else sorted(p for p in place.iterdir() if _layout(p))
    if names is not None:
        found = [one for one in found if one.name in names]
    if not found:
        files = "; ".join(", ".join((*a, *d, q)) for a, d, q in LAYOUTS.values())
        raise InputError(
            f"{folder} holds no target of DUD-E or LIT-PCBA; expected folders with {files}."
        )
    for one in found:
        yield read_target(one)


def read_target(folder: Path | str) -> ScreeningTarget:
    """Read one target's folder."""
    place = Path(folder)
    layout = _layout(place)
    if layout is None:
        raise InputError(f"{folder} is no target of DUD-E or LIT-PCBA.")
    actives, decoys, crystal = LAYOUTS[layout]
    report = ReadingReport()

    def read(names: tuple[str, ...]) -> tuple[Molecule, ...]:
        return tuple(
            molecule
            for name in names
            for molecule in read_molecules(place / name, on_error="skip", report=report)
        )

    ligands = sorted(place.glob(crystal))
    queries = read(tuple(path.name for path in ligands))
    if not queries:
        raise InputError(
            f"{place.name}: no query, for there is no readable {crystal}; put the crystal ligand "
            "there as MOL2."
        )
    return ScreeningTarget(place.name, read(actives), read(decoys), queries, report)


def _layout(folder: Path) -> str | None:
    for name, (actives, decoys, _) in LAYOUTS.items():
        if all((folder / file).is_file() for file in (*actives, *decoys)):
            return name
    return None

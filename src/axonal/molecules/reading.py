"""Read molecules from SDF, SMILES, CSV and Parquet files or from memory, one at a time.

What cannot be read is listed with its place and never dropped in silence: ``on_error="raise"``
reads to the end and then names everything that is wrong, ``"skip"`` leaves it out and keeps the
list in the report. Of a salt or a mixture the largest fragment is kept, and counted.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from axonal.errors import InputError, nearest, require
from axonal.molecules.chemistry import chem, largest_fragment, quiet

if TYPE_CHECKING:
    from rdkit.Chem import Mol

OnError: TypeAlias = Literal["raise", "skip"]
Source: TypeAlias = "str | Path | Iterable[Any]"

SMILES_COLUMNS = ("smiles", "canonical_smiles", "isomeric_smiles", "structure")
ID_COLUMNS = ("id", "name", "molecule_chembl_id", "chembl_id", "compound_id", "zinc_id", "title")
SMILES_FILES = (".smi", ".ism", ".smiles", ".txt")
SHOWN = 10  # problems that an error message lists


@dataclass(frozen=True)
class Molecule:
    """One molecule as it was read.

    Parameters
    ----------
    id
        The record's own name, or ``file:line`` where it has none.
    smiles
        Canonical, of the fragment that is kept.
    mol
        With its 3-D coordinates where the file has them.
    fields
        What else the record says, by name.
    """

    id: str
    smiles: str
    mol: Mol
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A record that could not be used.

    Parameters
    ----------
    place
        ``"library.smi, line 12"``.
    text
        What stands there, shortened.
    why
        What is wrong with it.
    """

    place: str
    text: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}{f': {self.text!r}' if self.text else ''} {self.why}"


@dataclass
class ReadingReport:
    """What happened while molecules were read.

    Parameters
    ----------
    read, kept
        Records seen, and those that became molecules.
    fragments
        Records of which the largest fragment was kept (salts, solvates, mixtures).
    problems
        Records that could not be used.
    """

    read: int = 0
    kept: int = 0
    fragments: int = 0
    problems: list[Problem] = field(default_factory=list)

    def raise_problems(self) -> None:
        """Name everything that could not be read in one error, if there is anything."""
        if self.problems:
            shown = "; ".join(map(str, self.problems[:SHOWN]))
            rest = len(self.problems) - SHOWN
            raise InputError(
                f"{len(self.problems)} of {self.read} records could not be used: {shown}"
                + (f"; and {rest} more" if rest > 0 else "")
                + ". Mend them, or leave them out with on_error='skip' (--on-bad skip)."
            )

    def __str__(self) -> str:
        words = f"{self.kept} of {self.read} molecules kept"
        if self.fragments:
            words += f", of {self.fragments} the largest fragment"
        if self.problems:
            words += f", {len(self.problems)} left out (first: {self.problems[0]})"
        return words


def read_molecules(
    source: Source,
    *,
    smiles: str | None = None,
    id: str | None = None,
    on_error: OnError = "raise",
    report: ReadingReport | None = None,
) -> Iterator[Molecule]:
    """Yield the molecules of a file or of a list, as a stream.

    Parameters
    ----------
    source
        A path (``.sdf``, ``.smi``, ``.ism``, ``.csv``, ``.tsv``, ``.parquet``, ``.mol2``; text
        formats also gzipped), or SMILES, RDKit molecules or :class:`Molecule` objects.
    smiles, id
        Columns of a table; found by their usual names if left out.
    on_error
        ``"raise"`` reads to the end and names all that is wrong; ``"skip"`` leaves it out.
    report
        Filled while the stream is read.
    """
    if on_error not in ("raise", "skip"):
        raise InputError(f"on_error: expected 'raise' or 'skip', got {on_error!r}.")
    report = ReadingReport() if report is None else report
    records = (
        _of_file(Path(source), smiles, id) if isinstance(source, str | Path) else _of_list(source)
    )
    with quiet():
        for place, name, given, fields in records:
            report.read += 1
            molecule = _molecule(place, name, given, fields, report)
            if molecule is not None:
                report.kept += 1
                yield molecule
    if on_error == "raise":
        report.raise_problems()


def _molecule(
    place: str, name: str, given: Any, fields: Mapping[str, str], report: ReadingReport
) -> Molecule | None:
    Chem = chem()
    if isinstance(given, Molecule):
        return given
    text = given if isinstance(given, str) else name
    mol = Chem.MolFromSmiles(given) if isinstance(given, str) else given
    if mol is None:
        why = "is no SMILES" if isinstance(given, str) else "holds no molecule"
        why += " that RDKit can read"
        report.problems.append(Problem(place, _short(text), why))
        return None
    if mol.GetNumHeavyAtoms() == 0:
        report.problems.append(Problem(place, _short(text), "has no heavy atom"))
        return None
    kept = largest_fragment(mol)
    report.fragments += kept is not mol
    return Molecule(name or place, Chem.MolToSmiles(kept), kept, fields)


Record: TypeAlias = tuple[str, str, Any, Mapping[str, str]]


def _of_list(source: Iterable[Any]) -> Iterator[Record]:
    from rdkit.Chem import Mol

    for number, item in enumerate(source):
        if isinstance(item, Molecule):
            yield item.id, item.id, item, item.fields
        elif isinstance(item, str | Mol):
            own = item.GetProp("_Name") if isinstance(item, Mol) and item.HasProp("_Name") else ""
            yield f"molecule {number}", own or str(number), item, {}
        else:
            raise InputError(
                f"molecule {number}: expected a SMILES, an RDKit molecule or a path, got "
                f"{type(item).__name__}."
            )


def _of_file(path: Path, smiles: str | None, id: str | None) -> Iterator[Record]:
    if not path.is_file():
        hint = " (a single SMILES goes in a list: [smiles])" if isinstance(path, Path) else ""
        raise InputError(f"There is no file {path}{hint}.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else suffixes[-1:]
    kind = kind if isinstance(kind, str) else (kind[0] if kind else "")
    if kind == ".sdf":
        yield from _of_sdf(path)
    elif kind in SMILES_FILES:
        yield from _of_smiles_file(path)
    elif kind in (".csv", ".tsv"):
        yield from _of_table(path, _csv_rows(path, "\t" if kind == ".tsv" else ","), smiles, id)
    elif kind in (".parquet", ".pq"):
        yield from _of_table(path, _parquet_rows(path), smiles, id)
    elif kind == ".mol2":
        yield f"{path.name}", path.stem, chem().MolFromMol2File(str(path)), {}
    else:
        raise InputError(
            f"{path.name}: expected .sdf, .smi, .ism, .csv, .tsv, .parquet or .mol2 (or .gz of "
            "the text formats)."
        )


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # pyright: ignore[reportReturnType]


def _of_sdf(path: Path) -> Iterator[Record]:
    with _open(path) as file:
        supplier = chem().ForwardSDMolSupplier(file)
        for number, mol in enumerate(supplier, start=1):
            place = f"{path.name}, record {number}"
            fields = {} if mol is None else mol.GetPropsAsDict(autoConvertStrings=False)
            name = "" if mol is None else mol.GetProp("_Name") if mol.HasProp("_Name") else ""
            named = next((fields[key] for key in fields if key.lower() in ID_COLUMNS), "")
            yield place, str(name or named), mol, fields


def _of_smiles_file(path: Path) -> Iterator[Record]:
    with _open(path) as file:
        for number, line in enumerate(io.TextIOWrapper(file, encoding="utf-8"), start=1):
            parts = line.split()
            if not parts or parts[0].startswith("#"):
                continue
            if number == 1 and parts[0].lower() in SMILES_COLUMNS:
                continue
            place = f"{path.name}, line {number}"
            # DUD-E writes "SMILES number ChEMBL-ID": the last word is the molecule's own name.
            yield place, parts[-1] if len(parts) > 1 else "", parts[0], {}


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    with _open(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader = csv.DictReader(text, delimiter=delimiter)
        for row in reader:
            yield reader.line_num, {str(k): v or "" for k, v in row.items() if k is not None}


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    require("pyarrow", "molecules")
    import pyarrow.parquet as parquet

    number = 0
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=10_000):
        for row in batch.to_pylist():
            number += 1
            yield number, {k: "" if v is None else str(v) for k, v in row.items()}


def _of_table(
    path: Path,
    rows: Iterator[tuple[int, Mapping[str, str]]],
    smiles: str | None,
    id: str | None,
) -> Iterator[Record]:
    columns: tuple[str, str | None] | None = None
    for number, row in rows:
        if columns is None:
            columns = (
                _column(path, list(row), smiles, SMILES_COLUMNS, "smiles"),
                _optional(path, list(row), id),
            )
        place = f"{path.name}, line {number}"
        name = row[columns[1]] if columns[1] else ""
        yield place, name, row[columns[0]].strip(), row


def _column(
    path: Path, names: list[str], asked: str | None, usual: tuple[str, ...], what: str
) -> str:
    if asked is not None:
        if asked not in names:
            raise InputError(f"{path.name} has no column {asked!r}: {nearest(asked, names)}")
        return asked
    for name in names:
        if name.strip().lower() in usual:
            return name
    raise InputError(
        f"{path.name}: no column of it is called {', '.join(usual)}; it has {', '.join(names)}. "
        f"Name the one with the {what}."
    )


def _optional(path: Path, names: list[str], asked: str | None) -> str | None:
    if asked is not None:
        return _column(path, names, asked, (), "id")
    return next((name for name in names if name.strip().lower() in ID_COLUMNS), None)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."

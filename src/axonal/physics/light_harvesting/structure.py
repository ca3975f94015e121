"""From molecular structure to a Hamiltonian: chromophore positions, dipoles and their couplings.

Chromophores couple as transition dipoles (Debye) at a distance (Angstrom):

    V_ij = f C [mu_i . mu_j - 3 (mu_i . r)(mu_j . r)] / r_ij^3,    C = 5034.12 cm^-1 A^3 / D^2,

``r`` the unit vector between their centres and ``f`` the screening of the surroundings. The
point-dipole form is good beyond about the size of a chromophore (10 A).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError

#: Energy of two parallel dipoles of 1 D at 1 A, side by side, in cm^-1: D^2 / (4 pi eps0 A^3 h c).
DIPOLE_CONSTANT = 5034.117
#: Residues read from a PDB file unless others are named: (bacterio)chlorophylls and pheophytins.
PIGMENTS = ("BCL", "BCB", "CLA", "CHL", "CL0", "BPH", "BPB", "PHO")
CLOSEST = 3.0

CSV_COLUMNS = ("label", "x", "y", "z", "mu_x", "mu_y", "mu_z")


@dataclass(frozen=True)
class Chromophores:
    """Transition dipoles in space.

    Parameters
    ----------
    labels : names, one a chromophore
    positions : (chromophores, 3), centres in Angstrom
    dipoles : (chromophores, 3), transition dipole moments in Debye
    energies : (chromophores,), site energies in cm^-1, where the file gives them
    """

    labels: tuple[str, ...]
    positions: NDArray[np.float64]
    dipoles: NDArray[np.float64]
    energies: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.labels), 3)
        for name in ("positions", "dipoles"):
            values = getattr(self, name)
            if values.shape != shape:
                raise InputError(f"{name} must have shape {shape}, got {values.shape}.")
            if not np.isfinite(values).all():
                where = int(np.argwhere(~np.isfinite(values))[0, 0])
                raise InputError(f"{name} of chromophore {self.labels[where]!r} is not finite.")


def read_chromophores(
    path: str | Path,
    *,
    dipole_debye: float | None = None,
    residues: Sequence[str] = PIGMENTS,
) -> Chromophores:
    """Read chromophores from a CSV, XYZ or PDB file.

    Parameters
    ----------
    path : ``.csv`` with the columns ``label, x, y, z, mu_x, mu_y, mu_z`` (Angstrom, Debye) and, if
        there, ``energy`` (cm^-1); ``.xyz`` with the lines ``label x y z mu_x mu_y mu_z``; ``.pdb``
        with (bacterio)chlorophyll residues
    dipole_debye : strength of every transition dipole of a PDB file, whose Q_y direction runs from
        nitrogen NB to nitrogen ND; needed there, and only there
    residues : residue names that are chromophores in a PDB file
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"No structure file at {path}.")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise InputError(f"{path.name}: expected a .csv, .xyz or .pdb file, got {suffix!r}.")
    if suffix != ".pdb":
        if dipole_debye is not None:
            raise InputError(f"{path.name} holds its own dipoles; leave out dipole_debye.")
        return READERS[suffix](path)
    if dipole_debye is None or dipole_debye <= 0:
        raise InputError(
            f"{path.name}: a PDB file has no dipole strengths; pass dipole_debye=, for example "
            "5.48 (30 D^2) for bacteriochlorophyll a."
        )
    return _read_pdb(path, dipole_debye, tuple(residues))


def dipole_couplings(chromophores: Chromophores, *, screening: float = 1.0) -> NDArray[np.float64]:
    """Return the couplings V_ij in cm^-1, (chromophores, chromophores), zero on the diagonal."""
    if not screening > 0:
        raise InputError(f"screening must be positive, got {screening}.")
    count = len(chromophores.labels)
    apart = chromophores.positions[:, None] - chromophores.positions[None, :]
    distance = np.linalg.norm(apart, axis=-1)
    distance[np.diag_indices(count)] = np.inf
    if distance.min(initial=np.inf) < CLOSEST:
        first, second = np.unravel_index(distance.argmin(), distance.shape)
        raise InputError(
            f"Chromophores {chromophores.labels[first]!r} and {chromophores.labels[second]!r} are "
            f"{distance.min():.2f} A apart; point dipoles need at least {CLOSEST} A. Are the "
            "positions in Angstrom, and each chromophore there once?"
        )
    along = np.einsum("ik,ijk->ij", chromophores.dipoles, apart / distance[..., None])
    across = np.einsum("jk,ijk->ij", chromophores.dipoles, apart / distance[..., None])
    parallel = chromophores.dipoles @ chromophores.dipoles.T
    return screening * DIPOLE_CONSTANT * (parallel - 3 * along * across) / distance**3


def exciton_hamiltonian(
    chromophores: Chromophores,
    energies: ArrayLike | None = None,
    *,
    screening: float = 1.0,
) -> NDArray[np.float64]:
    """Return site energies and dipole couplings as one Hamiltonian in cm^-1.

    ``energies`` in cm^-1, one a chromophore or one for all; the file's own when left out.
    """
    given = chromophores.energies if energies is None else np.asarray(energies, dtype=float)
    if given is None:
        raise InputError("The structure has no site energies; pass energies= in cm^-1.")
    count = len(chromophores.labels)
    if given.shape not in ((), (count,)):
        raise InputError(f"energies must be one number or {count}, got shape {given.shape}.")
    couplings = dipole_couplings(chromophores, screening=screening)
    return couplings + np.diag(np.broadcast_to(given, count))


def _read_csv(path: Path) -> Chromophores:
    with path.open(newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        columns = [name.strip() for name in reader.fieldnames or []]
        missing = [name for name in CSV_COLUMNS if name not in columns]
        if missing:
            raise InputError(
                f"{path.name}: missing columns {', '.join(missing)}; expected "
                f"{', '.join(CSV_COLUMNS)} (Angstrom, Debye), got {', '.join(columns) or 'none'}."
            )
        reader.fieldnames = columns
        rows = list(reader)
    keys = [*CSV_COLUMNS[1:], *(["energy"] if "energy" in columns else [])]
    numbers = [
        [_number(row[key], path, line) for key in keys] for line, row in enumerate(rows, start=2)
    ]
    return _assembled(path, [row["label"].strip() for row in rows], numbers)


def _read_xyz(path: Path) -> Chromophores:
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        count = int(lines[0])
    except (IndexError, ValueError) as error:
        raise InputError(f"{path.name}: the first line must be the number of entries.") from error
    body = [line.split() for line in lines[2 : 2 + count]]
    if len(body) != count:
        raise InputError(f"{path.name}: announces {count} entries, has {len(body)}.")
    for number, words in enumerate(body, start=3):
        if len(words) < 7:
            raise InputError(
                f"{path.name}, line {number}: expected 'label x y z mu_x mu_y mu_z' (Angstrom, "
                f"Debye), got {len(words)} columns. A plain XYZ file has no transition dipoles."
            )
    numbers = [
        [_number(word, path, number) for word in words[1:7]]
        for number, words in enumerate(body, start=3)
    ]
    return _assembled(path, [words[0] for words in body], numbers)


def _read_pdb(path: Path, dipole_debye: float, residues: tuple[str, ...]) -> Chromophores:
    atoms: dict[str, dict[str, NDArray[np.float64]]] = {}
    seen: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("ENDMDL"):
            break
        if not line.startswith(("HETATM", "ATOM")):
            continue
        residue, chain, serial = line[17:20].strip(), line[21].strip(), line[22:27].strip()
        seen.add(residue)
        atom = line[12:16].strip()
        if residue not in residues or atom not in ("NB", "ND"):
            continue
        place = [_number(line[at : at + 8], path, number) for at in (30, 38, 46)]
        # Where a pigment is modelled in two places the first is taken.
        atoms.setdefault(f"{residue} {chain}{serial}", {}).setdefault(atom, np.array(place))
    if not atoms:
        raise InputError(
            f"{path.name}: no residue named {', '.join(residues)}; it has "
            f"{', '.join(sorted(seen)[:12]) or 'no atoms'}. Name the chromophores in residues=."
        )
    for label, found in atoms.items():
        if len(found) < 2:
            raise InputError(f"{path.name}: pigment {label} lacks nitrogen NB or ND.")
    start = np.array([found["NB"] for found in atoms.values()])
    end = np.array([found["ND"] for found in atoms.values()])
    axis = end - start
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    return Chromophores(tuple(atoms), (start + end) / 2, dipole_debye * axis)


READERS = {".csv": _read_csv, ".xyz": _read_xyz, ".pdb": _read_pdb}


def _assembled(path: Path, labels: list[str], numbers: list[list[float]]) -> Chromophores:
    if not labels:
        raise InputError(f"{path.name}: no chromophores in it.")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InputError(f"{path.name}: the label {twice!r} comes twice.")
    table = np.array(numbers)
    energies = table[:, 6] if table.shape[1] > 6 else None
    return Chromophores(tuple(labels), table[:, :3], table[:, 3:6], energies)


def _number(text: str | None, path: Path, line: int) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise InputError(f"{path.name}, line {line}: {text!r} is not a number.") from error

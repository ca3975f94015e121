"""What ligand-based screening compares with: ECFP4 and USRCAT, as arrays, and Tanimoto.

ECFP4 is Rogers & Hahn (2010), RDKit's Morgan fingerprint of radius 2; USRCAT is Schreyer &
Blundell (2012): 60 moments of the distances of atoms of five kinds to four points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.molecules.chemistry import chem

if TYPE_CHECKING:
    from rdkit.Chem import Mol

_BLOCK = 4096


def ecfp(mols: Sequence[Mol], radius: int = 2, bits: int = 2048) -> NDArray[np.uint8]:
    """Return Morgan fingerprints, 0 or 1, ``(molecules, bits)``; radius 2 is ECFP4."""
    generator = _morgan(radius, bits)
    rows = [generator.GetFingerprintAsNumPy(mol) for mol in mols]
    return np.stack(rows) if rows else np.zeros((0, bits), np.uint8)


def counts(mols: Sequence[Mol], radius: int = 2, bits: int = 1024) -> NDArray[np.float32]:
    """Return the logarithm of one plus how often each substructure occurs, ``(molecules, bits)``."""
    generator = _morgan(radius, bits)
    rows = [generator.GetCountFingerprintAsNumPy(mol) for mol in mols]
    return np.log1p(np.stack(rows)).astype(np.float32) if rows else np.zeros((0, bits), np.float32)


def usrcat(embedded: Sequence[Mol]) -> NDArray[np.float32]:
    """Return the 60 moments of each molecule's first conformer, ``(molecules, 60)``.

    The embedded molecules carry hydrogens; the moments are of heavy atoms.
    """
    from rdkit.Chem import rdMolDescriptors

    if any(mol.GetNumConformers() == 0 for mol in embedded):
        raise InputError("usrcat: expected molecules with conformers; call embed_all first.")
    chem()
    # Below three atoms the four points do not exist, and RDKit refuses.
    rows = [
        rdMolDescriptors.GetUSRCAT(mol) if mol.GetNumAtoms() >= 3 else [0.0] * 60
        for mol in embedded
    ]
    return np.array(rows, np.float32).reshape(-1, 60)


def usr_similarity(
    queries: NDArray[np.float32], library: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return ``1 / (1 + mean over kinds of the mean absolute difference)``, (queries, library).

    RDKit's ``GetUSRScore`` with equal weights: the five kinds of atoms are summed, and each sum
    is divided by 12.
    """
    rows = [np.abs(library - query).sum(axis=1, dtype=np.float64) / 12 for query in queries]
    return 1 / (1 + np.stack(rows))


def tanimoto(queries: NDArray[np.uint8], library: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the Tanimoto coefficients of bit fingerprints, ``(queries, library)``."""
    # 64 bits at a time, and a block of the library that stays in the cache for all queries.
    asked = _words(queries)
    own = np.bitwise_count(asked).sum(0, dtype=np.int64)
    found = np.zeros((len(queries), len(library)))
    for start in range(0, len(library), _BLOCK):
        words = _words(library[start : start + _BLOCK])
        sizes = np.bitwise_count(words).sum(0, dtype=np.int64)
        common, counted = np.empty_like(words), np.empty(words.shape, np.uint8)
        for row in range(len(queries)):
            np.bitwise_and(words, asked[:, row, None], out=common)
            np.bitwise_count(common, out=counted)
            both = counted.sum(0, dtype=np.int64)
            total = own[row] + sizes - both
            place = found[row, start : start + _BLOCK]
            np.divide(both, total, out=place, where=total > 0)
    return found


def _words(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return fingerprints packed into 64-bit words, ``(words, molecules)``."""
    packed = np.packbits(bits, axis=1)
    packed = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return np.ascontiguousarray(packed.view(np.uint64).T)


def _morgan(radius: int, bits: int) -> Any:
    chem()
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)

"""Three-dimensional structures by RDKit: ETKDG embedding, then MMFF94.

A molecule that will not embed is tried again from random coordinates, which helps cages and
macrocycles; one that still fails is reported, and never becomes a row of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.molecules.chemistry import chem, quiet

if TYPE_CHECKING:
    from rdkit.Chem import Mol

ATTEMPTS = 50  # of a second try, from random coordinates


@dataclass(frozen=True)
class Conformer:
    """The heavy atoms of one molecule in space.

    Parameters
    ----------
    symbols
        Elements, ``(atoms,)``.
    coordinates
        In ångström, ``(conformers, atoms, 3)``.
    """

    symbols: tuple[str, ...]
    coordinates: NDArray[np.float32]


def embed(
    mol: Mol, count: int = 1, *, seed: int = 0, optimise: bool = True, own: bool = False
) -> Mol | None:
    """Return a copy with hydrogens and up to ``count`` conformers, None where none can be made.

    Parameters
    ----------
    mol
        Without or with explicit hydrogens.
    count
        Conformers wanted.
    seed
        Of the embedding.
    optimise
        Whether each is relaxed with MMFF94; left as embedded where MMFF lacks a parameter.
    own
        Keep the 3-D coordinates that the molecule came with, if it has any.
    """
    if count < 1:
        raise InputError(f"count: expected at least one conformer, got {count}.")
    Chem = chem()
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    with quiet():
        if own and mol.GetNumConformers() and mol.GetConformer().Is3D():
            return Chem.AddHs(mol, addCoords=True)
        full = Chem.AddHs(Chem.Mol(mol, True))  # quickCopy: without its conformers
        settings = rdDistGeom.ETKDGv3()
        settings.randomSeed = int(seed) & 0x7FFFFFFF
        found = list(rdDistGeom.EmbedMultipleConfs(full, count, settings))
        if not found:
            settings.useRandomCoords = True
            settings.maxIterations = ATTEMPTS
            found = list(rdDistGeom.EmbedMultipleConfs(full, count, settings))
        if not found:
            return None
        if optimise and rdForceFieldHelpers.MMFFHasAllMoleculeParams(full):
            rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(full)
        return full


def heavy_atoms(mol: Mol) -> Conformer:
    """Return symbols and coordinates of everything but hydrogen, for every conformer."""
    kept = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    coordinates = np.stack([conformer.GetPositions()[kept] for conformer in mol.GetConformers()])
    symbols = tuple(mol.GetAtomWithIdx(index).GetSymbol() for index in kept)
    return Conformer(symbols, coordinates.astype(np.float32))


def embed_all(
    mols: Sequence[Mol],
    count: int = 1,
    *,
    seed: int = 0,
    optimise: bool = True,
    own: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> tuple[list[Mol], list[int]]:
    """Embed many molecules; return those that could be, and the positions of those kept.

    Every molecule has the same seed, so its conformers do not depend on its neighbours.
    """
    made, kept = [], []
    for position, mol in enumerate(mols):
        found = embed(mol, count, seed=seed, optimise=optimise, own=own)
        if found is not None:
            made.append(found)
            kept.append(position)
        if progress is not None:
            progress(position + 1, len(mols))
    return made, kept

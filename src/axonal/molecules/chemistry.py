"""RDKit, imported where it is used and kept quiet; what counts as the same molecule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from axonal.errors import require

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def chem() -> Any:
    """Return ``rdkit.Chem``; a missing RDKit is named with the extra that brings it."""
    require("rdkit", "molecules")
    from rdkit import Chem

    return Chem


@contextmanager
def quiet() -> Iterator[None]:
    """Keep RDKit's own complaints off the terminal: what is wrong is collected and said once."""
    require("rdkit", "molecules")
    from rdkit import rdBase

    with rdBase.BlockLogs():
        yield


def identity(mol: Mol) -> str:
    """Return what two records of one compound share: the first block of the InChIKey.

    It holds the connections and the formula; stereochemistry, isotopes and protonation are in
    the other blocks, so enantiomers and salt forms of one compound are the same here.
    """
    with quiet():
        key = chem().MolToInchiKey(mol)
    # InChI refuses a few exotic molecules; a canonical SMILES without stereo names those.
    return key[:14] if key else chem().MolToSmiles(mol, isomericSmiles=False)


def largest_fragment(mol: Mol) -> Mol:
    """Return the fragment with the most heavy atoms (then the heaviest): the drug of its salt."""
    Chem = chem()
    fragments = Chem.GetMolFrags(mol, asMols=True, sanitizeFrags=False)
    if len(fragments) == 1:
        return mol
    from rdkit.Chem import rdMolDescriptors

    kept = max(
        fragments,
        key=lambda part: (
            part.GetNumHeavyAtoms(),
            rdMolDescriptors._CalcMolWt(part),
            Chem.MolToSmiles(part),
        ),
    )
    Chem.SanitizeMol(kept)
    return kept


def neutral(mol: Mol) -> Mol:
    """Return the molecule without the charges of protonation; the same object if it has none.

    Whether an amine is drawn protonated differs from file to file, and fingerprints, logP and
    counts of donors see it. A quaternary nitrogen keeps its charge, a nitro group both of its.
    """
    if not any(atom.GetFormalCharge() for atom in mol.GetAtoms()):
        return mol
    require("rdkit", "molecules")
    from rdkit.Chem.MolStandardize import rdMolStandardize

    with quiet():
        found = rdMolStandardize.Uncharger().uncharge(mol)
    same = chem().GetFormalCharge(found) == chem().GetFormalCharge(mol)
    return mol if same else found

"""Where the study's molecules come from: measured on a target, or of unknown activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from axonal import assets
from axonal.molecules import Molecule, neutral, read_molecules

RECEPTORS = {
    "5-HT1A": "AS1",
    "5-HT2A": "AS2",
    "5-HT1D": "A5",
    "5-HT1E": "A2",
    "5-HT1F": "A1",
    "5-HT4": "A4",
    "5-HT5A": "A3",
}
"""Serotonin receptors, and their files in the asset ``serotonin-ligands``."""

CHEMBL = {
    "D3": "CHEMBL234_Ki",
    "D4": "CHEMBL219_Ki",
    "SERT": "CHEMBL228_Ki",
    "DAT": "CHEMBL238_Ki",
    "H1": "CHEMBL231_Ki",
    "H3": "CHEMBL264_Ki",
    "sigma1": "CHEMBL287_Ki",
    "ABL1": "CHEMBL1862_Ki",
    "JAK1": "CHEMBL2835_Ki",
    "JAK2": "CHEMBL2971_Ki",
    "PIM1": "CHEMBL2147_Ki",
    "GSK3": "CHEMBL262_Ki",
    "PI3K": "CHEMBL4005_Ki",
    "CLK4": "CHEMBL4203_Ki",
    "factor X": "CHEMBL244_Ki",
    "thrombin": "CHEMBL204_Ki",
    "mu opioid": "CHEMBL233_Ki",
    "delta opioid": "CHEMBL236_Ki",
    "kappa opioid": "CHEMBL237_Ki",
    "PPAR alpha": "CHEMBL239_EC50",
    "PPAR gamma": "CHEMBL235_EC50",
    "PPAR delta": "CHEMBL3979_EC50",
    "orexin 2": "CHEMBL4792_Ki",
    "CB1": "CHEMBL218_EC50",
    "androgen": "CHEMBL1871_Ki",
    "glucocorticoid": "CHEMBL2034_Ki",
    "FXR": "CHEMBL2047_EC50",
    "ghrelin": "CHEMBL4616_EC50",
}
"""Further targets, and their files in the asset ``chembl-activity-cliffs``."""

LIGANDS = {"EGFR": "PBF/testData/egfr.sdf", "CDK2": "Fastcluster/testdata/cdk2.sdf"}
"""Known ligands that RDKit ships."""

SULFONAMIDES = "sulfonamides"
MEASURED = (*RECEPTORS, *CHEMBL, SULFONAMIDES)
"""Everything with affinities."""


def measured(target: str) -> tuple[list[Molecule], NDArray[np.float64]]:
    """Return the molecules measured on a target, and their pK; these files hold -log10 of nM."""
    if target == SULFONAMIDES:
        return _sulfonamides()
    if target in RECEPTORS:
        path = assets.path("serotonin-ligands") / f"{RECEPTORS[target]}.csv"
        column = "STANDARD_VALUE"
    else:
        path = assets.path("chembl-activity-cliffs") / f"{CHEMBL[target]}.csv"
        column = "y"
    found = list(read_molecules(path, on_error="skip"))
    return neutralised(found), np.array([9 + float(one.fields[column]) for one in found])


def ligands(target: str) -> list[Molecule]:
    """Return the known ligands of a kinase, with their scaffold cluster where the file names it."""
    return neutralised(list(read_molecules(_contrib() / LIGANDS[target])))


def background(count: int) -> list[Molecule]:
    """Return NCI compounds and ChEMBL's, in the ratio 5 to 4, of unknown activity."""
    from rdkit import RDConfig

    chembl = assets.path("chembl-molecules")
    files = (
        (Path(RDConfig.RDDataDir) / "NCI/first_5K.smi", 5),
        (chembl / "chembl_samples.csv", 2),
        (chembl / "chembl_drugs.csv", 2),
    )
    return neutralised(
        [
            one
            for path, share in files
            for one in islice(read_molecules(path, on_error="skip"), count * share // 9 + 1)
        ]
    )


def neutralised(molecules: Sequence[Molecule]) -> list[Molecule]:
    """Return the molecules without charges that a protonation explains.

    The kinases' files hold protonated amines and the others hold neutral ones: left so, the charge
    tells actives from decoys, and fingerprints see it.
    """
    from rdkit import Chem

    return [
        one
        if (mol := neutral(one.mol)) is one.mol
        else replace(one, mol=mol, smiles=Chem.MolToSmiles(mol))
        for one in molecules
    ]


def _sulfonamides() -> tuple[list[Molecule], NDArray[np.float64]]:
    folder = _contrib() / "FreeWilson/data"
    lines = (folder / "CHEMBL2321810_act.csv").read_text().split()[1:]
    activity = {name: float(value) for name, value in (line.split(",") for line in lines)}
    read = read_molecules(folder / "CHEMBL2321810.smi", on_error="skip")
    known = neutralised([one for one in read if one.id in activity])
    return known, np.array([activity[one.id] for one in known])


def _contrib() -> Path:
    from rdkit import RDConfig

    return Path(RDConfig.RDContribDir)

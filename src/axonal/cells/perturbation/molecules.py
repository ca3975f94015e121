"""What a drug's molecule says of it: RDKit's two-dimensional descriptors, as the paper takes them.

Topological indices, E-state and surface-area bins, counts, fragments and QED, 200 in all (the
official code's list, which is RDKit's of 2021 to 2023), each standardised by its mean and standard
deviation over a background of molecules; those that hardly vary there are dropped. This needs no
cell, so it is what a drug that was never measured can be predicted from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.cells.perturbation.context import DrugContext
from axonal.errors import InputError, require

if TYPE_CHECKING:
    import pandas as pd

#: RDKit's names that came after the list of the paper was made.
LATER = (
    "AvgIpc",
    "BCUT2D_",
    "NumAmideBonds",
    "NumAtomStereoCenters",
    "NumBridgeheadAtoms",
    "NumHeterocycles",
    "NumSpiroAtoms",
    "NumUnspecifiedAtomStereoCenters",
    "Phi",
    "SPS",
)
#: Descriptors whose standard deviation over the background is at most this are dropped.
CONSTANT = 0.01

_BACKGROUND = Path(__file__).with_name("descriptor_background.csv")


def molecule_descriptors(
    smiles: Mapping[str, str] | Iterable[str], background: Sequence[str] | None = None
) -> DrugContext:
    """Return the standardised descriptors of drugs, one row each.

    Parameters
    ----------
    smiles
        SMILES by the drug's name; of a plain list each molecule is named by its SMILES.
    background
        SMILES of the molecules that set mean and standard deviation; by default 4999 of the NCI's
        set that RDKit carries, whose figures are kept in this package. Drugs that will be compared
        or predicted share one background.

    Raises
    ------
    InputError
        RDKit cannot read some of the SMILES; all of them are named.
    """
    import pandas as pd

    named = (
        {str(name): value for name, value in smiles.items()}
        if isinstance(smiles, Mapping)
        else {str(one): str(one) for one in smiles}
    )
    if not named:
        raise InputError("smiles: expected at least one molecule, got none.")
    raw = raw_descriptors(named)
    scale = _kept_background() if background is None else background_of(background)
    scale = scale[scale["std"] > CONSTANT]
    table = (raw[scale.index] - scale["mean"]) / scale["std"]
    return DrugContext(pd.DataFrame(table, index=list(named)), "descriptors")


def raw_descriptors(smiles: Mapping[str, str]) -> pd.DataFrame:
    """Return the descriptors as RDKit gives them, NaN and infinities as 0: a row a molecule."""
    import pandas as pd

    chem: Any = require("rdkit.Chem", extra="cells")
    require("rdkit.Chem.Descriptors", extra="cells")
    functions = {
        name: function for name, function in chem.Descriptors.descList if not name.startswith(LATER)
    }
    rows, unreadable = [], []
    with _quiet():
        for name, text in named_text(smiles):
            molecule = chem.MolFromSmiles(text) if text else None
            if molecule is None or molecule.GetNumAtoms() == 0:
                unreadable.append(f"{name} ({text!r})")
                continue
            rows.append([_value(function, molecule) for function in functions.values()])
    if unreadable:
        raise InputError(
            f"RDKit cannot read {len(unreadable)} of {len(smiles)} SMILES: {', '.join(unreadable)}. "
            "Correct them, or leave these drugs out."
        )
    values = np.nan_to_num(np.array(rows, dtype=float), nan=0.0, posinf=0.0, neginf=0.0)
    return pd.DataFrame(values, index=list(smiles), columns=list(functions))


def background_of(smiles: Sequence[str]) -> pd.DataFrame:
    """Return mean and standard deviation (n - 1) of each descriptor over a set of molecules."""
    if len(smiles) < 2:
        raise InputError(
            f"background: a standard deviation needs two molecules, got {len(smiles)}."
        )
    raw = raw_descriptors({str(number): one for number, one in enumerate(smiles)})
    return raw.agg(["mean", "std"]).T


def named_text(smiles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return names and SMILES without white space; what is no text (a missing value) is empty."""
    return [(name, text.strip() if isinstance(text, str) else "") for name, text in smiles.items()]


@cache
def _kept_background() -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(_BACKGROUND, index_col=0, comment="#")


def _value(function: Any, molecule: Any) -> float:
    try:
        return float(function(molecule))
    except (ValueError, ZeroDivisionError, RuntimeError):
        return 0.0  # as the official code's cleaning leaves it


class _quiet:  # noqa: N801
    """Keep RDKit's own words about unreadable SMILES off the screen: the error says them."""

    def __enter__(self) -> None:
        from rdkit import rdBase

        self._block = rdBase.BlockLogs()

    def __exit__(self, *_: object) -> None:
        del self._block

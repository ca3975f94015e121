"""How much of a test was in the training: the number that belongs beside every result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from axonal.molecules.chemistry import identity
from axonal.molecules.fingerprints import ecfp, tanimoto

if TYPE_CHECKING:
    from rdkit.Chem import Mol

ANALOGUE = 0.6


@dataclass(frozen=True)
class LeakReport:
    """What test molecules and training molecules share.

    Parameters
    ----------
    tested
        Test molecules.
    copies
        Those that were in the training, as the same compound.
    analogues
        Those with a training molecule at ECFP4 Tanimoto of at least 0.6, copies included.
    nearest
        Median over the test of the similarity to the nearest training molecule; ``nan`` without
        training molecules.
    """

    tested: int
    copies: int
    analogues: int
    nearest: float

    def __str__(self) -> str:
        return (
            f"of {self.tested} test molecules {self.copies} were in the training and "
            f"{self.analogues} have an analogue there (ECFP4 Tanimoto >= {ANALOGUE}); median nearest "
            f"{self.nearest:.2f}"
        )


def leak_report(test: Sequence[Mol], training: Sequence[Mol] | Iterable[str]) -> LeakReport:
    """Compare test molecules with those trained on.

    Parameters
    ----------
    test
        The actives of a test (or all of its molecules).
    training
        Molecules; or their identities (``MoleculeSearch.training_``), which find copies alone.
    """
    given = list(training)
    keys = [identity(mol) for mol in test]
    if all(isinstance(one, str) for one in given):
        copies = sum(key in set(given) for key in keys)
        return LeakReport(len(keys), copies, copies, float("nan"))
    known = {identity(mol) for mol in given}  # pyright: ignore[reportArgumentType]
    train_bits = ecfp(given)  # pyright: ignore[reportArgumentType]
    nearest = np.concatenate(
        [tanimoto(ecfp(test[i : i + 256]), train_bits).max(1) for i in range(0, len(test), 256)]
    )
    return LeakReport(
        tested=len(keys),
        copies=sum(key in known for key in keys),
        analogues=int((nearest >= ANALOGUE).sum()),
        nearest=float(np.median(nearest)),
    )

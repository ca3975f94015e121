"""What a screening method must beat: ECFP4, USRCAT and the overlay of shapes, one score a molecule.

A molecule that has no conformer has no score by shape: it is ``nan``, and a ranking puts it last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError, nearest, require
from axonal.molecules.conformers import embed_all
from axonal.molecules.fingerprints import ecfp, tanimoto, usr_similarity, usrcat

if TYPE_CHECKING:
    from rdkit.Chem import Mol

Baseline = Literal["ecfp4", "usrcat", "shape"]
BASELINES: tuple[Baseline, ...] = ("ecfp4", "usrcat", "shape")
STARTS = 3  # poses that an overlay starts from; a single one misses the best in a quarter of cases


def baseline_scores(
    method: str,
    queries: Sequence[Mol],
    library: Sequence[Mol],
    *,
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> NDArray[np.float64]:
    """Return the similarity of every library molecule to its nearest query, ``(library,)``.

    Parameters
    ----------
    method
        ``"ecfp4"``: Tanimoto of Morgan fingerprints. ``"usrcat"``: similarity of shape moments.
        ``"shape"``: best overlay of shape and features (RDKit's ``rdShapeAlign``), the mean of
        both Tanimotos; about a millisecond a pair and start.
    queries, library
        Molecules; 3-D coordinates that they bring are used, others are made.
    seed
        Of conformers.
    progress
        Of what takes long.
    """
    if method not in BASELINES:
        raise InputError(f"method: no baseline is called {method!r}: {nearest(method, BASELINES)}")
    if method == "ecfp4":
        bits = ecfp(queries)
        blocks = [library[i : i + 4096] for i in range(0, len(library), 4096)]
        return np.concatenate([tanimoto(bits, ecfp(block)).max(0) for block in blocks])
    asked, known = embed_all(queries, seed=seed, own=True)
    if not known:
        raise InputError("None of the queries could be embedded in three dimensions.")
    made, kept = embed_all(library, seed=seed, own=True, progress=progress)
    scores = np.full(len(library), np.nan)
    if method == "usrcat":
        scores[kept] = usr_similarity(usrcat(asked), usrcat(made)).max(0)
    else:
        scores[kept] = shape_similarity(asked, made, seed=seed)
    return scores


def shape_similarity(
    queries: Sequence[Mol], library: Sequence[Mol], *, starts: int = STARTS, seed: int = 0
) -> NDArray[np.float64]:
    """Return the best mean of shape and feature Tanimoto over queries and starts, ``(library,)``.

    Where an overlay ends depends on where it starts, so each pair starts from several random
    orientations.

    Parameters
    ----------
    queries, library
        With a conformer each.
    starts
        Orientations; the first is the molecule's own.
    seed
        Of the orientations.
    """
    align: Any = require("rdkit.Chem.rdShapeAlign", "molecules")
    from rdkit import Chem
    from rdkit.Chem import rdMolTransforms

    rotations = _rotations(starts, seed)
    references = [align.PrepareConformer(Chem.Mol(query), -1) for query in queries]
    best = np.zeros(len(library))
    for place, mol in enumerate(library):
        for rotation in rotations:
            for reference in references:
                probe = Chem.Mol(mol)
                rdMolTransforms.CanonicalizeConformer(probe.GetConformer())
                rdMolTransforms.TransformConformer(probe.GetConformer(), rotation)
                shape, colour = align.AlignMol(reference, probe)
                best[place] = max(best[place], (shape + colour) / 2)
    return best


def _rotations(count: int, seed: int) -> list[NDArray[np.float64]]:
    from scipy.spatial.transform import Rotation

    if count < 1:
        raise InputError(f"starts: expected at least 1, got {count}.")
    made = [np.eye(4)]
    for matrix in (
        Rotation.random(count - 1, rng=np.random.default_rng(seed)).as_matrix() if count > 1 else ()
    ):
        made.append(np.block([[matrix, np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]]))
    return made

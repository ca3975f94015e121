"""Decoys that look like the actives in everything but structure, in the manner of DUD-E.

Mysinger et al. (2012): for each active the nearest unused molecules of a pool in six properties.
What still tells the two apart is said: the AUROC of a classifier that sees the properties alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.molecules.chemistry import chem, identity
from axonal.molecules.fingerprints import ecfp, tanimoto

if TYPE_CHECKING:
    from rdkit.Chem import Mol

PROPERTIES = ("weight", "logp", "acceptors", "donors", "rotatable", "charge")
TOLERANCE = np.array([50.0, 1.0, 1.5, 1.0, 1.5, 0.5])
"""One unit of distance in each property: g/mol, log units, counts, elementary charges."""


@dataclass(frozen=True)
class Decoys:
    """What was chosen.

    Parameters
    ----------
    rows
        Positions in the pool, in the order of the actives, ``(decoys,)``.
    means
        Of each property, for actives and decoys, ``(2, 6)``.
    offset
        Difference of the means over the actives' standard deviation, ``(6,)``.
    classifier_auroc
        Cross-validated AUROC of a classifier on the properties alone; 0.5 is a perfect match.
    """

    rows: NDArray[np.int64]
    means: NDArray[np.float64]
    offset: NDArray[np.float64]
    classifier_auroc: float

    def __str__(self) -> str:
        words = ", ".join(
            f"{name} {a:.3g} / {d:.3g}" for name, a, d in zip(PROPERTIES, *self.means, strict=True)
        )
        return (
            f"{len(self.rows)} decoys; means of actives / decoys: {words}; properties alone have "
            f"AUROC {self.classifier_auroc:.2f}"
        )


def properties(mols: Sequence[Mol]) -> NDArray[np.float64]:
    """Return the six properties of each molecule, ``(molecules, 6)``; see ``PROPERTIES``."""
    Chem = chem()
    from rdkit.Chem import rdMolDescriptors

    rows = [
        (
            rdMolDescriptors._CalcMolWt(mol),
            rdMolDescriptors.CalcCrippenDescriptors(mol)[0],
            rdMolDescriptors.CalcNumHBA(mol),
            rdMolDescriptors.CalcNumHBD(mol),
            rdMolDescriptors.CalcNumRotatableBonds(mol),
            Chem.GetFormalCharge(mol),
        )
        for mol in mols
    ]
    return np.array(rows, float).reshape(-1, 6)


def property_matched_decoys(
    actives: Sequence[Mol],
    pool: Sequence[Mol],
    each: int = 50,
    *,
    most_similar: float | None = None,
    pool_properties: NDArray[np.float64] | None = None,
    pool_identities: Sequence[str] | NDArray[np.str_] | None = None,
    seed: int = 0,
) -> Decoys:
    """Choose the pool's molecules nearest to each active in six properties.

    Parameters
    ----------
    actives
        Known binders.
    pool
        Molecules that presumably do not bind; the actives themselves are passed over.
    each
        Decoys an active; each molecule of the pool is used once.
    most_similar
        Leave out what is at least this similar (ECFP4 Tanimoto) to any active: fewer hidden
        binders, and a test that flatters fingerprints.
    pool_properties, pool_identities
        Of :func:`properties` and :func:`identity`, where they are known already.
    seed
        Of the classifier's folds.
    """
    if not actives or each < 1:
        raise InputError(
            f"Expected actives and at least one decoy each, got {len(actives)}, {each}."
        )
    theirs = properties(pool) if pool_properties is None else pool_properties
    ours = properties(actives)
    known = {identity(mol) for mol in actives}
    keys = [identity(mol) for mol in pool] if pool_identities is None else pool_identities
    free = np.array([str(key) not in known for key in keys], dtype=bool)
    if most_similar is not None:
        nearest = tanimoto(ecfp(pool), ecfp(actives)).max(1)
        free &= nearest < most_similar
    needed = each * len(actives)
    if free.sum() < needed:
        raise InputError(
            f"pool: {needed} decoys are wanted ({each} an active) and {int(free.sum())} of "
            f"{len(pool)} molecules may be one; ask for fewer, or bring a larger pool."
        )
    rows: list[int] = []
    # One decoy an active, round after round, so that the last active chooses as freely as the first.
    distance = np.abs((theirs[None] - ours[:, None]) / TOLERANCE).sum(-1)
    distance[:, ~free] = np.inf
    chosen: list[list[int]] = [[] for _ in actives]
    for turn in range(each):
        order = range(len(actives)) if turn % 2 == 0 else range(len(actives) - 1, -1, -1)
        for active in order:
            best = int(distance[active].argmin())
            chosen[active].append(best)
            distance[:, best] = np.inf
    rows = [row for own in chosen for row in own]
    found = theirs[rows]
    spread = ours.std(0)
    means = np.stack([ours.mean(0), found.mean(0)])
    offset = np.divide(
        means[1] - means[0],
        spread,
        out=np.where(means[1] == means[0], 0.0, np.inf),
        where=spread > 0,
    )
    of = np.repeat(np.arange(len(actives)), each)
    return Decoys(np.array(rows), means, offset, property_auroc(ours, found, of=of, seed=seed))


def property_auroc(
    actives: NDArray[np.float64],
    decoys: NDArray[np.float64],
    *,
    of: NDArray[np.int64] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """Return the cross-validated AUROC of a nearest-neighbour classifier on properties alone.

    Each molecule is scored by the share of actives, weighted by class size, among its 15 nearest
    neighbours of the other folds. What it can tell apart, any method can without chemistry. Of a
    single active nothing can be learned: nan.

    Parameters
    ----------
    actives, decoys
        Of :func:`properties`, ``(molecules, 6)``.
    of
        The active that each decoy was chosen for, ``(decoys,)``: both then share a fold. Without
        it an active's own decoys are its neighbours, and a close match comes out below 0.5.
    folds, seed
        Of the cross-validation.
    """
    from scipy.spatial import KDTree

    from axonal.molecules.metrics import screening_metrics

    values = np.concatenate([actives, decoys]) / TOLERANCE
    labels = np.r_[np.ones(len(actives)), np.zeros(len(decoys))]
    fold = np.empty(len(labels), int)
    rng = np.random.default_rng(seed)
    for kind in (1, 0):  # each fold has its share of both
        rows = rng.permutation(np.flatnonzero(labels == kind))
        fold[rows] = np.arange(len(rows)) % folds
    if of is not None:
        fold[len(actives) :] = fold[: len(actives)][of]
    weight = np.where(labels == 1, len(decoys) / len(actives), 1.0)
    scores = np.empty(len(labels))
    for number in range(folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if test.size == 0:
            continue
        if train.size == 0:
            return float("nan")  # one active and its decoys: nothing to learn from
        near = KDTree(values[train]).query(values[test], k=min(15, len(train)), p=1)[1]
        near = train[near.reshape(len(test), -1)]
        mass = weight[near]
        scores[test] = (mass * labels[near]).sum(1) / mass.sum(1)
    return screening_metrics(labels, scores, fractions=()).auroc

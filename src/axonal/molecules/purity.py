"""Do embeddings gather by target? The share of a molecule's nearest neighbours with its target."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError


def neighbour_purity(
    embeddings: NDArray[np.floating], targets: ArrayLike, neighbours: int = 10
) -> float:
    """Return the mean share, over targets, of neighbours by cosine that have the same target.

    Targets weigh alike whatever their size, so that one large target does not decide.

    Parameters
    ----------
    embeddings
        ``(molecules, dimension)``.
    targets
        ``(molecules,)``.
    neighbours
        Of each molecule, itself not counted.
    """
    names = np.asarray(targets)
    if len(names) != len(embeddings) or not 1 <= neighbours < len(names):
        raise InputError(
            f"Expected a target for each of {len(embeddings)} molecules and fewer neighbours than "
            f"molecules, got {len(names)} and {neighbours}."
        )
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    same = np.empty(len(names))
    for start in range(0, len(names), 1024):
        similarity = unit[start : start + 1024] @ unit.T
        similarity[np.arange(len(similarity)), start + np.arange(len(similarity))] = -np.inf
        near = np.argpartition(-similarity, neighbours - 1, axis=1)[:, :neighbours]
        same[start : start + 1024] = (names[near] == names[start : start + 1024, None]).mean(1)
    return float(np.mean([same[names == name].mean() for name in np.unique(names)]))

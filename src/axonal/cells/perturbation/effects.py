"""Vectors from what drugs do to cells ("mode of action"): distances of treated populations, embedded.

Every two treatments are compared by entropic transport between samples of their treated cells
(Euclidean cost, epsilon 0.1), and the distances are embedded by metric multidimensional scaling
(SMACOF) in 10 dimensions, scaled to [0, 1] by the smallest and the largest coordinate of all.

The vector of a drug rests on cells that were treated with it. A map "generalises to a held-out drug"
given such a vector only in so far as its effect is known already: this is no zero-shot setting.
"""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from axonal.cells.perturbation.context import DrugContext
from axonal.cells.perturbation.screen import Screen
from axonal.errors import InputError, require
from axonal.transport import transport_points

if TYPE_CHECKING:
    from collections.abc import Callable

_TOGETHER = 64  # pairs that are solved as one batch


def effect_embedding(
    latent: np.ndarray,
    screen: Screen,
    *,
    dimensions: int = 10,
    cells: int = 512,
    epsilon: float = 0.1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> DrugContext:
    """Return a vector for each treatment of a screen, named by its label (``"givinostat-100"``).

    Parameters
    ----------
    latent
        Coordinates of all cells ``(cells, width)``.
    screen
        Whose treatments are embedded, the held-out ones included where they are to be predicted.
    dimensions
        Of the embedding.
    cells
        Drawn of each treatment, with replacement.
    epsilon
        Entropy of the transport, in units of the latent space.
    seed
        Of the cells drawn and of the scaling.
    progress
        Told how many pairs are done.
    """
    import pandas as pd

    treatments = list(screen.treated)
    if len(treatments) <= dimensions:
        raise InputError(
            f"An embedding in {dimensions} dimensions needs more treatments than that, got "
            f"{len(treatments)}: lower dimensions=."
        )
    distances = effect_distances(
        latent, screen, cells=cells, epsilon=epsilon, seed=seed, progress=progress
    )
    manifold: Any = require("sklearn.manifold", extra="learning")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's announcements of its coming defaults
        points, _ = manifold.smacof(
            distances, metric=True, n_components=dimensions, n_init=4, random_state=seed
        )
    points = (points - points.min()) / (points.max() - points.min())
    labels = [treatment.label for treatment in treatments]
    return DrugContext(pd.DataFrame(points, index=labels), "effect")


def effect_distances(
    latent: np.ndarray,
    screen: Screen,
    *,
    cells: int = 512,
    epsilon: float = 0.1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return entropic transport values between treated populations ``(treatments, treatments)``.

    The diagonal compares two samples of one population and is set to 0, as scaling reads it.
    """
    rng = np.random.default_rng(seed)
    samples = torch.stack(
        [
            torch.from_numpy(latent[rng.choice(rows, cells)].astype(np.float64))
            for rows in screen.treated.values()
        ]
    )
    count = len(samples)
    pairs = np.array(list(itertools.combinations(range(count), 2)))
    values = np.zeros((count, count))
    for start in range(0, len(pairs), _TOGETHER):
        left, right = pairs[start : start + _TOGETHER].T
        coupling = transport_points(
            samples[left], samples[right], epsilon, cost="euclidean", tolerance=1e-2
        )
        values[left, right] = values[right, left] = coupling.value.numpy()
        if progress is not None:
            progress(min(start + _TOGETHER, len(pairs)), len(pairs))
    return np.maximum(values, 0.0)

"""Random latents that match given ones in how often and how strongly they are active.

The paper's control ablates three sets of random latents matched on activation frequency and magnitude
(its released sampler draws them without matching). Here the nearest latents in the plane of
``log frequency`` and ``log mean-when-active``, each in units of its standard deviation, are drawn
without replacement, so that sets share no latent with the given ones or each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from axonal.errors import InputError
from axonal.language.dictionaries import LatentStatistics


def matched_random_latents(
    statistics: LatentStatistics,
    latents: Sequence[int],
    *,
    sets: int = 3,
    seed: int = 0,
    exclude: Iterable[int] = (),
) -> list[list[int]]:
    """Draw sets of latents that match the given ones.

    Parameters
    ----------
    statistics
        From `latent_statistics`.
    latents
        To be matched; each must be active somewhere in the corpus of the statistics.
    sets
        How many sets, each as large as ``latents``.
    seed
        Decides who chooses first, and which of its ``sets`` nearest a latent gets in which set.
    exclude
        Latents that may not be drawn, such as boosted ones.
    """
    if len(set(latents)) != len(latents) or not latents:
        raise InputError(f"Latents to match are distinct and at least one, got {list(latents)}.")
    alive = statistics.alive.numpy()
    if dead := [latent for latent in latents if not alive[latent]]:
        raise InputError(
            f"Latent {dead[0]} is never active in the corpus, so nothing can be matched to it."
        )
    with np.errstate(divide="ignore"):
        plane = np.log(np.stack([statistics.frequency.numpy(), statistics.magnitude.numpy()], 1))
    plane = plane / plane[alive].std(axis=0).clip(min=1e-12)
    free = alive.copy()
    free[[*latents, *exclude]] = False
    if free.sum() < sets * len(latents):
        raise InputError(
            f"{sets} sets of {len(latents)} need {sets * len(latents)} other active latents, and "
            f"there are {int(free.sum())}."
        )
    rng = np.random.default_rng(seed)
    drawn: list[list[int]] = [[] for _ in range(sets)]
    for target in rng.permutation(len(latents)):
        candidates = np.flatnonzero(free)
        distance = np.square(plane[candidates] - plane[latents[target]]).sum(axis=1)
        nearest = candidates[np.argsort(distance, kind="stable")[:sets]]
        free[nearest] = False
        for number, latent in enumerate(rng.permutation(nearest)):
            drawn[number].append(int(latent))
    return drawn

"""How many units, and how strongly: a sweep on validation questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from axonal.errors import InputError
from axonal.language.atomic_units.choices import accuracy
from axonal.language.atomic_units.kept import KeptRun
from axonal.language.atomic_units.momentum import Momentum
from axonal.language.atomic_units.ranking import select
from axonal.language.atomic_units.units import Units

if TYPE_CHECKING:
    import xarray as xr

Choose = Callable[[Momentum, int, float], Units]
"""Chooses k units of strength alpha."""


def sweep(
    validation: KeptRun,
    momentum: Momentum,
    k: Sequence[int] = (1, 4, 16, 64, 100),
    alpha: Sequence[float] = (2, 8, 20, 50),
    *,
    choose: Choose | None = None,
    progress: Callable[[], None] | None = None,
) -> xr.Dataset:
    """Steer validation questions with every number of units and every strength.

    The official script tunes on the questions that it reports on. Here the questions are those of
    a ``KeptRun``, which makes the sweep quick too: keep others for the report.

    Parameters
    ----------
    validation
        The questions and their unsteered run.
    momentum
        What ``measure`` counted.
    k, alpha
        Numbers of units and strengths.
    choose
        Another rule than ``select``.
    progress
        Called after each point.

    Returns
    -------
    xarray.Dataset
        ``accuracy`` and ``gap`` (the mean logit gap) over ``k`` and ``alpha``, and attributes with
        the unsteered values.
    """
    import xarray as xr

    if not len(k) or not len(alpha):
        raise InputError("A sweep needs at least one k and one alpha.")
    choose = choose or (lambda momentum, k, alpha: select(momentum, k, alpha, warn=False))
    shape = (len(k), len(alpha))
    right, mean = np.empty(shape), np.empty(shape)
    for row, units in enumerate(k):
        for column, strength in enumerate(alpha):
            chosen = choose(momentum, units, strength)
            gaps = validation.gaps(chosen.edits(validation.language_model.model))
            right[row, column], mean[row, column] = accuracy(gaps), float(gaps.mean())
            if progress is not None:
                progress()
    return xr.Dataset(
        {"accuracy": (("k", "alpha"), right), "gap": (("k", "alpha"), mean)},
        coords={"k": list(k), "alpha": list(alpha)},
        attrs={
            "site": momentum.site,
            "base_accuracy": accuracy(validation.base),
            "base_gap": float(validation.base.mean()),
        },
    )


def best(grid: xr.Dataset) -> tuple[int, float]:
    """Return the k and alpha of the highest accuracy; of equals, that of the largest gap."""
    right, gap = grid["accuracy"].to_numpy(), grid["gap"].to_numpy()
    row, column = max(np.ndindex(right.shape), key=lambda at: (right[at], gap[at]))
    return int(grid["k"][row]), float(grid["alpha"][column])

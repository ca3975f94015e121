"""Which cells are trained on, and which held out: within treatments, or whole treatments.

"Homogeneous" splits hold out a fifth of the cells of every treatment (in distribution);
"extrapolate" holds out whole drugs or doses (out of distribution).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from axonal.cells.perturbation.screen import Screen, Treatment
from axonal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def split_cells(
    adata: AnnData,
    screen: Screen,
    *,
    held_out: Callable[[Treatment], bool] | Iterable[str] = (),
    test_fraction: float = 0.2,
    seed: int = 0,
) -> pd.Series:
    """Return ``"train"``, ``"test"`` or ``"held out"`` for each cell, for ``adata.obs["split"]``.

    Parameters
    ----------
    adata, screen
        The cells, and their treatments.
    held_out
        Drugs, labels of treatments, or a function of a treatment: none of their cells is trained on.
    test_fraction
        Of control and of every other treatment, the cells that are left for testing.
    seed
        Of the cells chosen.
    """
    import pandas as pd

    if not 0 <= test_fraction < 1:
        raise InputError(f"test_fraction lies in [0, 1), got {test_fraction}.")
    chosen = held_out if callable(held_out) else _named(held_out, screen)
    rng = np.random.default_rng(seed)
    split = np.full(adata.n_obs, "unused", dtype=object)

    def divide(rows: np.ndarray) -> None:
        order = rng.permutation(rows)
        test = round(test_fraction * len(rows))
        split[order[:test]], split[order[test:]] = "test", "train"

    divide(screen.control)
    trained = 0
    for treatment, rows in screen.treated.items():
        if chosen(treatment):
            split[rows] = "held out"
        else:
            divide(rows)
            trained += 1
    if trained == 0:
        raise InputError("held_out: no treatment is left to train on.")
    return pd.Series(split, index=adata.obs_names, name="split").astype("category")


def drug_folds(drugs: Sequence[str], size: int = 9, *, seed: int = 0) -> list[tuple[str, ...]]:
    """Return folds of held-out drugs, each drug in one: 187 drugs make the paper's 21 folds."""
    if size < 1 or not drugs:
        raise InputError(f"Folds need drugs and a positive size, got {len(drugs)} and {size}.")
    names = np.random.default_rng(seed).permutation(sorted(set(drugs)))
    return [tuple(map(str, names[i : i + size])) for i in range(0, len(names), size)]


def _named(held_out: Iterable[str], screen: Screen) -> Callable[[Treatment], bool]:
    names = {held_out} if isinstance(held_out, str) else set(held_out)
    there = {t.label for t in screen.treated} | {d for t in screen.treated for d in t.drugs}
    unknown = sorted(names - there)
    if unknown:
        from axonal.errors import nearest

        raise InputError(
            f"held_out: {unknown[0]!r} is in no treatment: {nearest(unknown[0], there)}"
        )
    return lambda t: t.label in names or bool(names & set(t.drugs))

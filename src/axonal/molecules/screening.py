"""Rank a library by one or several molecules known to bind: by a trained search or a baseline.

Baselines stream the library too, and keep only scores, ids and SMILES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.errors import InputError
from axonal.molecules.baselines import BASELINES, baseline_scores
from axonal.molecules.chemistry import identity
from axonal.molecules.index import LibraryIndex
from axonal.molecules.leaks import LeakReport
from axonal.molecules.library import chunks_of
from axonal.molecules.metrics import Scores, screening_metrics
from axonal.molecules.reading import (
    Molecule,
    OnError,
    ReadingReport,
    Source,
    read_molecules,
)
from axonal.molecules.search import MoleculeSearch

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Screening:
    """A ranked library.

    Parameters
    ----------
    ranking
        ``rank``, ``id``, ``smiles``, ``score``, best first, and what the file said of each
        (``label`` where labels were read).
    queries_in_library
        Library molecules that are a query themselves; they are left out.
    unscored
        Molecules without a score (no conformer), ranked last.
    reading
        What happened while the library was read.
    metrics
        Where labels are known.
    leaks
        Of the training, where a trained search ranked; of the actives where labels are known.
    """

    ranking: pd.DataFrame
    queries_in_library: int
    unscored: int
    reading: str
    metrics: Scores | None = None
    leaks: LeakReport | None = None


def screen(
    queries: Source,
    library: Source | LibraryIndex,
    *,
    method: str | MoleculeSearch = "ecfp4",
    label: str | None = None,
    active: str = "1",
    top: int | None = None,
    smiles: str | None = None,
    id: str | None = None,
    on_error: OnError = "raise",
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> Screening:
    """Rank a library.

    Parameters
    ----------
    queries
        Known binders; a library molecule scores by its nearest.
    library
        A file (SDF, SMILES, CSV, Parquet), molecules, or the index of a trained search.
    method
        A baseline (``"ecfp4"``, ``"usrcat"``, ``"shape"``), a trained :class:`MoleculeSearch` or
        the folder of one.
    label
        A column (or SDF property) that says which molecules are active: then metrics are
        computed over the whole library.
    active
        What it holds for actives.
    top
        How many are kept in the ranking; all if left out.
    smiles, id, on_error
        As in :func:`read_molecules`.
    resamples
        Of the metrics' intervals.
    seed
        Of conformers and resampling.
    progress
        ``progress(done, 0)`` over the library.
    """
    import pandas as pd

    asked = list(read_molecules(queries, on_error="raise"))
    if not asked:
        raise InputError("queries: expected at least one molecule, got none.")
    search = _search(method)
    report = ReadingReport()
    if isinstance(library, LibraryIndex):
        if search is None:
            raise InputError("An index is searched by the MoleculeSearch that made it.")
        if label is not None:
            raise InputError("label: an index keeps no labels; screen the file instead.")
        table = library.table.copy()
        values = library.scores(search.embed(asked)).astype(float)
        words = str(library.card.get("reading", ""))
    else:
        stream = read_molecules(library, smiles=smiles, id=id, on_error=on_error, report=report)
        rows: list[tuple[str, str, str, str]] = []
        parts: list[np.ndarray] = []
        for chunk in chunks_of(stream, 2048):
            parts.append(_scores(method, search, asked, chunk, seed))
            rows += [
                (m.id, m.smiles, identity(m.mol), _label(m, label) if label else "") for m in chunk
            ]
            if progress is not None:
                progress(len(rows), 0)
        if not rows:
            raise InputError("The library holds no molecule.")
        table = pd.DataFrame(rows, columns=["id", "smiles", "identity", "label"])
        values, words = np.concatenate(parts), str(report)
    keys = table["identity"].to_numpy(dtype=str)
    same = np.isin(keys, [identity(one.mol) for one in asked])
    # Stable: ties keep the order of the library; what has no conformer goes last.
    order = np.argsort(np.where(np.isnan(values), np.inf, -values), kind="stable")
    order = order[~same[order]]
    ranking = table.iloc[order].drop(columns=["identity", *table.columns.intersection(["label"])])
    ranking = ranking.assign(score=values[order]).reset_index(drop=True)
    ranking.insert(0, "rank", np.arange(1, len(order) + 1))
    metrics, leaks, judged = None, None, order
    if label is not None:
        marks = (table["label"].to_numpy(dtype=str) == active)[order]
        ranking["label"] = marks.astype(int)
        filled = np.where(np.isnan(values[order]), -np.inf, values[order])
        metrics = screening_metrics(marks, filled, resamples=resamples, seed=seed)
        judged = order[marks]
    if search is not None:
        copies = int(np.isin(keys[judged], sorted(search.training_)).sum())
        leaks = LeakReport(len(judged), copies, copies, float("nan"))
    unscored = int(np.isnan(values[order]).sum())
    kept = ranking if top is None else ranking.head(top)
    return Screening(kept, int(same.sum()), unscored, words, metrics, leaks)


def _search(method: str | MoleculeSearch) -> MoleculeSearch | None:
    if isinstance(method, MoleculeSearch):
        return method
    if method in BASELINES:
        return None
    if Path(method).is_dir():
        return MoleculeSearch.load(method)
    raise InputError(
        f"method: {method!r} is neither a baseline ({', '.join(BASELINES)}) nor the folder of a "
        "trained search."
    )


def _scores(
    method: str | MoleculeSearch,
    search: MoleculeSearch | None,
    asked: list[Molecule],
    chunk: list[Molecule],
    seed: int,
) -> np.ndarray:
    mols = [one.mol for one in chunk]
    if search is None:
        return baseline_scores(str(method), [one.mol for one in asked], mols, seed=seed)
    return search.score(asked, mols)


def _label(molecule: Molecule, label: str) -> str:
    if label not in molecule.fields:
        raise InputError(
            f"{molecule.id} has no {label!r}; it has {', '.join(molecule.fields) or 'no fields'}."
        )
    return str(molecule.fields[label]).strip()

"""The molecules of the study: what is learned from, what is searched, and what never may meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError, nearest
from axonal.molecules import (
    DescriptorEncoder,
    Molecule,
    counts,
    ecfp,
    identity,
    properties,
    property_matched_decoys,
)
from axonal.studies.molecule_search import sources

if TYPE_CHECKING:
    from axonal.studies.molecule_search.study import Config

BINDS = 6.5  # pK: about 300 nM
BITS = 1024


@dataclass(frozen=True)
class Test:
    """One target's search: rows of the table of molecules."""

    __test__ = False  # no test of pytest

    target: str
    actives: NDArray[np.int64]
    decoys: NDArray[np.int64]
    queries: NDArray[np.int64]
    clusters: NDArray[np.int64]
    shots: NDArray[np.int64]
    property_auroc: float
    means: NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """Every molecule once, with features, and which row plays which part."""

    molecules: list[Molecule]
    features: Any
    start: DescriptorEncoder
    bits: NDArray[np.uint8]
    properties: NDArray[np.float64]
    keys: NDArray[np.str_]
    labelled: NDArray[np.int64]
    label_targets: NDArray[np.int64]
    leaked: NDArray[np.int64]
    leaked_targets: NDArray[np.int64]
    leaks: dict[str, int]
    pool: NDArray[np.int64]
    spare: NDArray[np.int64]
    actives: dict[str, NDArray[np.int64]]
    clusters: dict[int, int]

    def test(self, target: str, config: Config, seed: int, *, filtered: bool = False) -> Test:
        """Draw a test: actives, matched decoys, queries, and a few actives kept for learning."""
        rng = np.random.default_rng([seed, sum(map(ord, target))])
        rows = rng.permutation(self.actives[target])
        shots, rest = rows[: config.few], rows[config.few :]
        chosen = _spread(rest, self.clusters, config.actives)
        mols = [self.molecules[i].mol for i in chosen]
        spare = self.spare
        found = property_matched_decoys(
            mols,
            [self.molecules[i].mol for i in spare],
            config.decoys,
            pool_properties=self.properties[spare],
            pool_identities=self.keys[spare],
            most_similar=0.35 if filtered else None,
            seed=seed,
        )
        clusters = np.array([self.clusters.get(int(i), -1) for i in chosen])
        return Test(
            target,
            chosen,
            spare[found.rows],
            np.arange(min(config.queries, len(chosen))),
            clusters,
            shots,
            found.classifier_auroc,
            found.means,
        )


def load(config: Config, seed: int) -> Data:
    """Read, count and divide the molecules."""
    import torch

    for name, asked, known in (
        ("targets", config.targets, {*sources.MEASURED, *sources.LIGANDS}),
        ("learned", config.learned, set(sources.MEASURED)),
        ("others", config.others, set(sources.MEASURED)),
    ):
        for target in asked:
            if target not in known:
                raise InputError(f"{name}: {target!r} is not there: {nearest(target, known)}")
    for one, other in (("learned", "targets"), ("others", "targets"), ("others", "learned")):
        if both := set(getattr(config, one)) & set(getattr(config, other)):
            raise InputError(f"{one}: {', '.join(sorted(both))} cannot be in {other} too.")
    rng = np.random.default_rng([seed, 11])
    table: dict[str, Molecule] = {}
    order: dict[str, int] = {}

    def rows_of(molecules: Any) -> NDArray[np.int64]:
        keys = [identity(one.mol) for one in molecules]
        for key, one in zip(keys, molecules, strict=True):
            table.setdefault(key, one)
        return np.array([order.setdefault(key, len(order)) for key in keys], dtype=np.int64)

    actives, measured, clusters = {}, {}, {}
    for target in config.targets:
        if target in sources.MEASURED:
            found, pk = sources.measured(target)
            rows = measured[target] = rows_of(found)
            actives[target] = np.unique(rows[pk >= BINDS])
            continue
        ligands = sources.ligands(target)
        rows = measured[target] = rows_of(ligands)
        actives[target] = np.unique(rows)
        for row, one in zip(rows, ligands, strict=True):
            if "Cluster" in one.fields:
                clusters[int(row)] = int(one.fields["Cluster"])

    pairs: list[tuple[int, int]] = []
    for code, target in enumerate(config.learned):
        found, pk = sources.measured(target)
        binders = [one for one, p in zip(found, pk, strict=True) if p >= BINDS]
        pairs += [(int(row), code) for row in rows_of(binders)]
    pairs = sorted(set(pairs))
    secret = set(np.concatenate(list(measured.values())).tolist())
    leaks = {
        target: len({row for row, _ in pairs} & set(actives[target].tolist()))
        for target in config.targets
    }
    clean = np.array([pair for pair in pairs if pair[0] not in secret])
    leaked = np.array([pair for pair in pairs if pair[0] in secret]).reshape(-1, 2)
    clean = clean[rng.permutation(len(clean))[: config.labelled]]

    unknown = [sources.background(config.background)]
    unknown += [sources.measured(target)[0] for target in config.others]
    rows = np.unique(np.concatenate([rows_of(part) for part in unknown]))
    taken = secret | {row for row, _ in pairs}
    rows = rng.permutation(np.array([row for row in rows if int(row) not in taken]))
    pool, spare = rows[: config.pool], rows[config.pool :]

    mols = [table[key].mol for key in order]
    features = torch.from_numpy(counts(mols, bits=BITS))
    start = DescriptorEncoder(bits=BITS)
    start.start({"values": features[np.r_[pool, clean[:, 0]]]})
    measured_properties = np.full((len(mols), 6), np.nan)
    measured_properties[spare] = properties([mols[i] for i in spare])
    return Data(
        molecules=[table[key] for key in order],
        features=features,
        start=start,
        bits=ecfp(mols),
        properties=measured_properties,
        keys=np.array(list(order)),
        labelled=clean[:, 0],
        label_targets=clean[:, 1],
        leaked=leaked[:, 0],
        leaked_targets=leaked[:, 1],
        leaks=leaks,
        pool=pool,
        spare=spare,
        actives=actives,
        clusters=clusters,
    )


def _spread(rows: NDArray[np.int64], clusters: dict[int, int], most: int) -> NDArray[np.int64]:
    """Return at most so many rows, cluster by cluster in turn where there are clusters."""
    if not any(int(row) in clusters for row in rows):
        return rows[:most]
    turn: dict[int, int] = {}
    places = []
    for row in rows:
        cluster = clusters.get(int(row), -1)
        turn[cluster] = turn.get(cluster, -1) + 1
        places.append(turn[cluster])
    return rows[np.argsort(places, kind="stable")][:most]

"""The molecules of the study: what is learned from, what is searched, and what never may meet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from axonal import assets
from axonal.errors import InputError, nearest
from axonal.molecules import (
    DescriptorEncoder,
    Molecule,
    counts,
    ecfp,
    identity,
    properties,
    property_matched_decoys,
    read_affinities,
    read_molecules,
)

if TYPE_CHECKING:
    from axonal.studies.molecule_search.study import Config

LEARNED = {"5-HT1A": "AS1", "5-HT2A": "AS2", "5-HT1D": "A5", "5-HT1E": "A2", "5-HT1F": "A1"}
UNLEARNED = {"5-HT4": "A4", "5-HT5A": "A3"}
LIGANDS = {"EGFR": "PBF/testData/egfr.sdf", "CDK2": "Fastcluster/testdata/cdk2.sdf"}
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
        ("targets", config.targets, {*UNLEARNED, *LIGANDS}),
        ("learned", config.learned, {*LEARNED, "sulfonamides"}),
    ):
        for target in asked:
            if target not in known:
                raise InputError(f"{name}: {target!r} is not there: {nearest(target, known)}")
    rng = np.random.default_rng([seed, 11])
    table: dict[str, Molecule] = {}

    def rows_of(molecules: Any) -> NDArray[np.int64]:
        keys = [identity(one.mol) for one in molecules]
        for key, one in zip(keys, molecules, strict=True):
            table.setdefault(key, one)
        return np.array([order.setdefault(key, len(order)) for key in keys])

    order: dict[str, int] = {}
    contrib = _contrib()
    actives, measured, clusters = {}, {}, {}
    for target in config.targets:
        if target in UNLEARNED:
            receptor, pk = _receptor(UNLEARNED[target])
            rows = measured[target] = rows_of(receptor)
            actives[target] = np.unique(rows[pk >= BINDS])
            continue
        ligands = list(read_molecules(contrib / LIGANDS[target]))
        rows = measured[target] = rows_of(ligands)
        actives[target] = np.unique(rows)
        for row, one in zip(rows, ligands, strict=True):
            if "Cluster" in one.fields:
                clusters[int(row)] = int(one.fields["Cluster"])

    pairs: list[tuple[int, int]] = []
    for code, target in enumerate(config.learned):
        if target == "sulfonamides":
            rows = rows_of(_sulfonamides(contrib))
        else:
            receptor, pk = _receptor(LEARNED[target])
            rows = rows_of([one for one, p in zip(receptor, pk, strict=True) if p >= BINDS])
        pairs += [(int(row), code) for row in rows]
    pairs = sorted(set(pairs))
    secret = set(np.concatenate(list(measured.values())).tolist())
    leaks = {
        target: len({row for row, _ in pairs} & set(actives[target].tolist()))
        for target in config.targets
    }
    clean = np.array([pair for pair in pairs if pair[0] not in secret])
    leaked = np.array([pair for pair in pairs if pair[0] in secret]).reshape(-1, 2)
    clean = clean[rng.permutation(len(clean))[: config.labelled]]

    rows = np.unique(rows_of(_background(config.background)))
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


def _receptor(file: str) -> tuple[list[Molecule], NDArray[np.float64]]:
    """Return the molecules of one receptor and their pK; the file holds -log10 of nM."""
    path = assets.path("serotonin-ligands") / f"{file}.csv"
    read = read_affinities(path, target="GPCR", on_error="skip")
    pk = np.array([9 + float(one.fields["STANDARD_VALUE"]) for one in read.molecules])
    return list(read.molecules), pk


def _sulfonamides(contrib: Path) -> list[Molecule]:
    """Return the aryl sulfonamides that bind, by their table of activities."""
    folder = contrib / "FreeWilson/data"
    lines = (folder / "CHEMBL2321810_act.csv").read_text().split()[1:]
    activity = {name: float(value) for name, value in (line.split(",") for line in lines)}
    read = read_molecules(folder / "CHEMBL2321810.smi", on_error="skip")
    return [one for one in read if activity.get(one.id, 0) >= BINDS]


def _background(count: int) -> list[Molecule]:
    """Return NCI compounds and ChEMBL's, in the ratio 5 to 4, of unknown activity."""
    chembl = assets.path("chembl-molecules")
    files = (
        (_rdkit_data() / "NCI/first_5K.smi", 5),
        (chembl / "chembl_samples.csv", 2),
        (chembl / "chembl_drugs.csv", 2),
    )
    return [
        one
        for path, share in files
        for one in islice(read_molecules(path, on_error="skip"), count * share // 9 + 1)
    ]


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


def _contrib() -> Path:
    from rdkit import RDConfig

    return Path(RDConfig.RDContribDir)


def _rdkit_data() -> Path:
    from rdkit import RDConfig

    return Path(RDConfig.RDDataDir)

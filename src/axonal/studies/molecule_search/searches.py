"""Train every variant of the method and search every test with it, fingerprints beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from axonal.molecules import (
    DescriptorEncoder,
    MoleculeSearch,
    Objective,
    embed_features,
    neighbour_purity,
    screening_metrics,
    tanimoto,
)

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.molecule_search.data import Data, Test
    from axonal.studies.molecule_search.study import Config

METRICS = ("auroc", "bedroc", "ef0.5%", "ef1%", "ef5%")
HIDDEN = 256
RATE = 1e-3
RESAMPLES = 300


def repeat(data: Data, config: Config, session: Session, index: int) -> xr.Dataset:
    """Draw the tests of one repeat, train every variant, and search."""
    seed = session.seed_for(f"repeat {index}")
    tests = [data.test(target, config, seed) for target in config.targets]
    scores: dict[str, NDArray[np.float64]] = {}
    spans: dict[str, NDArray[np.float64]] = {}
    purity: dict[str, float] = {}

    def judge(name: str, vectors: NDArray[np.float32], *, intervals: bool = False) -> None:
        scores[name] = np.stack([_search(test, vectors) for test in tests])
        purity[name] = _purity(tests, vectors)
        if intervals:
            spans[name] = np.stack([_interval(test, _similarity(test, vectors)) for test in tests])

    total = _trainings(config)
    with session.progress(f"trainings of repeat {index + 1}", total) as advance:
        start = _start(data, seed)
        judge("start", _vectors(start, data, tests))
        scores["ecfp4"] = np.stack([_by(test, _tanimoto(test, data)) for test in tests])
        spans["ecfp4"] = np.stack([_interval(test, _tanimoto(test, data)) for test in tests])
        purity["ecfp4"] = _purity(tests, data.bits.astype(np.float32))

        def train(name: str, *, also: str = "", **options: Any) -> MoleculeSearch:
            search = fit(data, config, seed, **options)
            judge(name, _vectors(search.branch("unsupervised"), data, tests), intervals=name == "g")
            if also:
                judge(
                    also, _vectors(search.branch("supervised"), data, tests), intervals=also == "f"
                )
            advance()
            return search

        trained = train("g", also="f")
        train("own_labels", labels="self")
        train("no_spread", spread_weight=0.0)
        train("from_scratch", also="f_from_scratch", pretrained=False)
        for penalty in config.penalties:
            train(f"penalty {penalty:g}", penalty=penalty)
        if config.large_batch:
            train(f"batch {config.large_batch}", batch_size=config.large_batch)
        for count in _counts(data, config):
            train(f"g {count}", also=f"f {count}", labels_used=count)
        shots = np.concatenate([test.shots for test in tests])
        names = np.repeat(np.arange(len(tests)), [len(test.shots) for test in tests])
        train("few_shot", also="f_few_shot", extra=(shots, 100 + names))
        train("with_leaks", also="f_with_leaks", extra=(data.leaked, data.leaked_targets))
        alone, tuned = _self_supervised(data, config, seed)
        judge("self_supervised", _vectors(alone, data, tests), intervals=True)
        judge("fine_tuned", _vectors(tuned, data, tests), intervals=True)
        advance(2)

    return xr.Dataset(
        {
            "score": (("variant", "target", "metric"), np.stack(list(scores.values()))),
            "purity": ("named", list(purity.values())),
            "interval": (("shown", "target", "end"), np.stack(list(spans.values()))),
            "property_auroc": ("target", [test.property_auroc for test in tests]),
            "means": (("target", "kind", "property"), np.stack([test.means for test in tests])),
            "copies": ("target", [data.leaks[test.target] for test in tests]),
            "nearest": ("target", [_nearest(test, data) for test in tests]),
            "actives": ("target", [len(test.actives) for test in tests]),
            "molecules": ("target", [len(test.actives) + len(test.decoys) for test in tests]),
            **_curves(tests, data, trained),
        },
        coords={
            "variant": list(scores),
            "named": list(purity),
            "shown": list(spans),
            "target": list(config.targets),
            "metric": list(METRICS),
        },
        attrs={"labelled": len(data.labelled)},
    )


def fit(
    data: Data,
    config: Config,
    seed: int,
    *,
    pretrained: bool = True,
    labels_used: int | None = None,
    extra: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    batch_size: int | None = None,
    **objective: Any,
) -> MoleculeSearch:
    """Train one variant on the study's molecules."""
    rows, targets = data.labelled[:labels_used], data.label_targets[:labels_used]
    if extra is not None:
        rows, targets = np.r_[rows, extra[0]], np.r_[targets, extra[1]]
    names, sizes = np.unique(targets, return_counts=True)
    paired = np.isin(targets, names[sizes > 1])  # a few labels may leave a target with one
    rows, targets = rows[paired], targets[paired]
    pool = np.unique(np.r_[data.pool, rows])
    search = MoleculeSearch(
        _start(data, seed, pretrained=pretrained),
        Objective(**{"penalty": config.penalty, **objective}),
        batch_size=batch_size or config.batch_size,
        steps=config.steps,
        learning_rate=RATE,
    )
    return search.fit_features(
        {"values": data.features[rows]}, targets, {"values": data.features[pool]}, seed=seed
    )


def embedding(data: Data, config: Config, session: Session) -> xr.Dataset:
    """Return test actives in the plane of two principal components, before and after, and labels."""
    from axonal.transport import soft_labels

    seed = session.seed_for("repeat 0")
    tests = [data.test(target, config, seed) for target in config.targets]
    rows = np.concatenate([test.actives for test in tests])
    search = fit(data, config, seed)
    planes = []
    for encoder in (_start(data, seed), search.branch("unsupervised")):
        vectors = _vectors(encoder, data, tests)[rows]
        centred = vectors - vectors.mean(0)
        planes.append(centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T)
    some = np.concatenate([test.actives[: max(2, 32 // len(tests))] for test in tests])[:32]
    teacher = _vectors(search.branch("supervised"), data, tests)[some].astype(float)
    similarity = teacher @ teacher.T
    shown = (0.1, 1.0, 5.0)
    labels = np.stack([soft_labels((similarity + similarity.T) / 2, p) for p in shown])
    shown_hits, cosines = _hits(tests[-1], data, search)
    binders = set(tests[-1].actives.tolist())
    return xr.Dataset(
        {
            "plane": (("when", "active", "axis"), np.stack(planes)),
            "of": ("active", np.repeat(config.targets, [len(t.actives) for t in tests])),
            "labels": (("shown", "row", "column"), labels),
            "hit": ("place", [data.molecules[i].smiles for i in shown_hits]),
            "binds": ("place", [i in binders for i in shown_hits]),
            "cosine": ("place", cosines),
            "tanimoto": (
                "place",
                tanimoto(data.bits[shown_hits[:1]], data.bits[shown_hits])[0],
            ),
        },
        coords={"shown": list(shown), "when": ["before", "after"]},
    )


def _start(data: Data, seed: int, *, pretrained: bool = True) -> DescriptorEncoder:
    """Return an encoder on the study's principal components, or from random weights."""
    encoder = DescriptorEncoder(
        hidden=HIDDEN, dimension=data.start.dimension, pretrained=pretrained, seed=seed
    )
    if pretrained:
        encoder.load_components(data.start)
    encoder.started = True
    return encoder


def _self_supervised(data: Data, config: Config, seed: int) -> tuple[Any, Any]:
    """Return an encoder trained without labels, and the same one fine-tuned on pairs."""
    options: dict[str, Any] = {
        "batch_size": config.batch_size,
        "steps": config.steps,
        "learning_rate": RATE,
    }
    pool = {"values": data.features[np.unique(np.r_[data.pool, data.labelled])]}
    alone = MoleculeSearch(_start(data, seed), **options).pretrain(pool, seed=seed)
    tuned = MoleculeSearch(alone, **options).fit_features(
        {"values": data.features[data.labelled]}, data.label_targets, None, seed=seed
    )
    return alone, tuned.branch("supervised")


def _vectors(encoder: Any, data: Data, tests: list[Test]) -> NDArray[np.float32]:
    """Return embeddings by row; rows that no test asks for stay zero."""
    rows = np.unique(np.concatenate([_rows(test) for test in tests]))
    vectors = np.zeros((len(data.features), encoder.dimension), np.float32)
    vectors[rows] = embed_features(encoder, {"values": data.features[rows]}, block=4096).numpy()
    return vectors


def _rows(test: Test) -> NDArray[np.int64]:
    return np.r_[test.actives, test.decoys]


def _similarity(test: Test, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    return (vectors[test.actives[test.queries]] @ vectors[_rows(test)].T).astype(float)


def _tanimoto(test: Test, data: Data) -> NDArray[np.float64]:
    return tanimoto(data.bits[test.actives[test.queries]], data.bits[_rows(test)])


def _search(test: Test, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    return _by(test, _similarity(test, vectors))


def _by(test: Test, similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the metrics, averaged over queries; the query's own scaffold is no hit."""
    n = len(test.actives)
    labels = np.r_[np.ones(n), np.zeros(len(test.decoys))]
    values = []
    for place, query in enumerate(test.queries):
        cluster = test.clusters[query]
        same = (test.clusters == cluster) & (cluster >= 0)
        same[query] = True
        kept = np.r_[~same, np.ones(len(test.decoys), bool)]
        found = screening_metrics(
            labels[kept], similarity[place, kept], fractions=(0.005, 0.01, 0.05)
        ).as_dict()
        values.append([found[name] for name in METRICS])
    return np.mean(values, axis=0)


def _interval(test: Test, similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return EF1% of all queries together (the maximum), with its bootstrap interval."""
    chosen = test.queries
    labels = np.r_[np.ones(len(test.actives)), np.zeros(len(test.decoys))]
    kept = np.ones(len(labels), bool)
    kept[chosen] = False
    if labels[kept].sum() < 2:
        kept[chosen[1:]] = True
    found = screening_metrics(
        labels[kept], similarity.max(0)[kept], fractions=(0.01,), resamples=RESAMPLES
    )
    low, high = found.intervals.get("ef1%", (np.nan, np.nan))
    return np.array([found.enrichment[0.01], low, high])


def _purity(tests: list[Test], vectors: NDArray[np.float32]) -> float:
    """Return how many of ten neighbours among all test molecules bind the same target."""
    rows = np.concatenate([_rows(test) for test in tests])
    names = np.concatenate(
        [np.r_[np.full(len(t.actives), i), np.full(len(t.decoys), -1)] for i, t in enumerate(tests)]
    )
    rows, first = np.unique(rows, return_index=True)  # decoys may serve several targets
    names = names[first]
    return _purity_of_binders(vectors[rows], names)


def _purity_of_binders(vectors: NDArray[np.float32], names: NDArray[np.int64]) -> float:
    """Return the purity of the binders' neighbourhoods; decoys are neighbours of no target."""
    binders = np.flatnonzero(names >= 0)
    if len(set(names[binders])) > 1:
        return neighbour_purity(vectors[binders], names[binders], min(10, len(binders) - 1))
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similarity = unit[binders] @ unit.T
    similarity[np.arange(len(binders)), binders] = -np.inf
    near = np.argsort(-similarity, axis=1)[:, :10]
    return float((names[near] >= 0).mean())


def _nearest(test: Test, data: Data) -> float:
    """Return the median similarity of actives to the nearest molecule that is learned from."""
    bits = data.bits[np.unique(data.labelled)]
    return float(np.median(tanimoto(data.bits[test.actives], bits).max(1)))


def _curves(tests: list[Test], data: Data, search: MoleculeSearch) -> dict[str, Any]:
    """Return enrichment curves of fingerprints and both encoders, on a grid of library shares."""
    from axonal.molecules import enrichment_curve

    grid = np.geomspace(1e-3, 1, 60)
    vectors = {
        "g": _vectors(search.branch("unsupervised"), data, tests),
        "f": _vectors(search.branch("supervised"), data, tests),
    }
    kinds = {
        "ECFP4": lambda test: _tanimoto(test, data),
        "g": lambda test: _similarity(test, vectors["g"]),
        "f": lambda test: _similarity(test, vectors["f"]),
    }
    curves = np.zeros((len(kinds), len(tests), len(grid)))
    for k, similarity_of in enumerate(kinds.values()):
        for t, test in enumerate(tests):
            similarity = similarity_of(test)
            labels = np.r_[np.ones(len(test.actives)), np.zeros(len(test.decoys))]
            for place, query in enumerate(test.queries):
                kept = np.arange(len(labels)) != query
                looked, found = enrichment_curve(labels[kept], similarity[place, kept])
                curves[k, t] += np.interp(grid, looked, found) / len(test.queries)
    return {
        "curve": (("ranked", "target", "share"), curves),
        "share": ("share", grid),
        "ranked": ("ranked", list(kinds)),
    }


def _hits(test: Test, data: Data, search: MoleculeSearch) -> tuple[list[int], NDArray[np.float64]]:
    """Return the first active and its first seven hits, and their cosines with it."""
    vectors = _vectors(search.branch("unsupervised"), data, [test])
    query = int(test.actives[0])
    rows = _rows(test)
    order = rows[np.argsort(-(vectors[rows] @ vectors[query]), kind="stable")]
    shown = [query, *(int(row) for row in order if row != query)][:8]
    return shown, (vectors[shown] @ vectors[query]).astype(float)


def _counts(data: Data, config: Config) -> list[int]:
    return [count for count in config.label_counts if count < len(data.labelled)]


def _trainings(config: Config) -> int:
    return 8 + len(config.penalties) + (config.large_batch > 0) + len(config.label_counts)

"""Do three dimensions add something? The small Uni-Mol encoder, USRCAT and shape, on one target.

Conformers cost time, so one target is searched among ten decoys an active, with fewer labels; the
fingerprint encoder learns from the same molecules and steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from axonal.molecules import (
    DescriptorEncoder,
    MoleculeSearch,
    Objective,
    UniMolEncoder,
    embed_all,
    embed_features,
    heavy_atoms,
    load_unimol,
    screening_metrics,
    shape_similarity,
    tanimoto,
    tokenise,
    usr_similarity,
    usrcat,
)

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.molecules.search import Branch
    from axonal.studies.molecule_search.data import Data
    from axonal.studies.molecule_search.study import Config

METRICS = ("auroc", "bedroc", "ef1%")
DECOYS = 10
QUERIES = 4
BATCH = 16


def three_d(data: Data, config: Config, session: Session) -> xr.Dataset:
    """Search one target with every method that looks at conformers, and with fingerprints."""
    if not config.three_d:
        return xr.Dataset({"score": (("ranked_by", "metric"), np.zeros((0, len(METRICS))))})
    seed = session.seed_for("three d")
    target = "CDK2" if "CDK2" in config.targets else config.targets[-1]
    small = config.model_copy(update={"decoys": min(DECOYS, config.decoys)})
    test = data.test(target, small, seed)
    labelled = data.labelled[: config.three_d]
    pool = np.unique(np.r_[labelled, data.pool[: config.three_d]])
    rows = np.unique(np.r_[pool, test.actives, test.decoys])
    with session.progress("conformers", len(rows)) as advance:
        made, kept = embed_all(
            [data.molecules[i].mol for i in rows],
            seed=seed,
            optimise=False,
            progress=lambda *_: advance(),
        )
    place = {int(rows[k]): number for number, k in enumerate(kept)}
    actives = np.array([i for i in test.actives if int(i) in place])
    decoys = np.array([i for i in test.decoys if int(i) in place])
    library = np.r_[actives, decoys]
    queries = np.arange(min(QUERIES, len(actives)))
    at = [place[int(i)] for i in library]
    placed: list[Any] = [made[i] for i in at]

    def judge(similarity: NDArray[np.floating], asked: NDArray[np.int64]) -> list[float]:
        labels = np.r_[np.ones(len(actives)), np.zeros(len(decoys))]
        found = []
        for number, query in enumerate(asked):
            others = np.arange(len(labels)) != query
            one = screening_metrics(labels[others], similarity[number, others], fractions=(0.01,))
            found.append([one.as_dict()[name] for name in METRICS])
        return np.mean(found, axis=0).tolist()

    scores: dict[str, list[float]] = {}
    bits = data.bits
    scores["ECFP4"] = judge(tanimoto(bits[actives[queries]], bits[library]), queries)
    moments = usrcat(placed)
    scores["USRCAT"] = judge(usr_similarity(moments[queries], moments), queries)
    if config.shape_queries:
        asked = queries[: config.shape_queries]
        shape = np.stack(
            [shape_similarity([placed[q]], placed, starts=1, seed=seed) for q in asked]
        )
        scores["shape and features"] = judge(shape, asked)

    flat = _flat(data, labelled, pool, config, seed)
    names = np.array([data.label_targets[np.flatnonzero(data.labelled == i)[0]] for i in labelled])
    both = torch.cat([data.features[rows[np.array(kept)]], torch.from_numpy(usrcat(made))], dim=1)
    tokens = tokenise([heavy_atoms(mol) for mol in made], seed=seed)
    has = np.array([i in place for i in labelled.tolist()])
    learn = np.array([place[int(i)] for i in labelled[has]])
    seen = np.array([place[int(i)] for i in pool if int(i) in place])
    shaped = _fitted(
        DescriptorEncoder(shape_moments=True, seed=seed), {"values": both}, learn, names[has], seen,
        steps=config.steps, batch=BATCH, rate=1e-3, penalty=config.penalty, seed=seed,
    )  # fmt: skip
    encoder: Any = load_unimol(config.weights) if config.weights else _small(seed)
    with session.progress("Uni-Mol", config.three_d_steps) as advance:
        spatial = _fitted(
            encoder, tokens, learn, names[has], seen, steps=config.three_d_steps, batch=BATCH,
            rate=5e-4, penalty=config.penalty, seed=seed, progress=lambda *_: advance(),
        )  # fmt: skip
    branches: tuple[tuple[Branch, str], ...] = (("unsupervised", "g"), ("supervised", "f"))
    for branch, letter in branches:
        vectors = embed_features(flat.branch(branch), {"values": data.features[library]}).numpy()
        scores[f"fingerprints, {letter}"] = judge(vectors[queries] @ vectors.T, queries)
        for name, search, features in (
            ("fingerprints and USRCAT", shaped, {"values": both}),
            ("Uni-Mol", spatial, tokens),
        ):
            chosen = {key: value[at] for key, value in features.items()}
            vectors = embed_features(search.branch(branch), chosen).numpy()
            scores[f"{name}, {letter}"] = judge(vectors[queries] @ vectors.T, queries)
    untrained = embed_features(encoder, {k: v[at] for k, v in tokens.items()}).numpy()
    scores["Uni-Mol, before"] = judge(untrained[queries] @ untrained.T, queries)
    return xr.Dataset(
        {"score": (("ranked_by", "metric"), list(scores.values()))},
        coords={"ranked_by": list(scores), "metric": list(METRICS)},
        attrs={
            "target": target,
            "actives": len(actives),
            "decoys": len(decoys),
            "labelled": int(has.sum()),
            "pool": len(seen),
            "lost": len(rows) - len(kept),
        },
    )


def _small(seed: int) -> UniMolEncoder:
    return UniMolEncoder.small(optimise=False, seed=seed % 2**31)


def _flat(
    data: Data, labelled: NDArray[np.int64], pool: NDArray[np.int64], config: Config, seed: int
) -> MoleculeSearch:
    names = np.array([data.label_targets[np.flatnonzero(data.labelled == i)[0]] for i in labelled])
    return _fitted(
        DescriptorEncoder(seed=seed % 2**31), {"values": data.features}, labelled, names, pool,
        steps=config.steps, batch=BATCH, rate=1e-3, penalty=config.penalty, seed=seed,
    )  # fmt: skip


def _fitted(
    encoder: Any,
    features: dict[str, torch.Tensor],
    labelled: NDArray[np.int64],
    targets: NDArray[np.int64],
    pool: NDArray[np.int64],
    *,
    steps: int,
    batch: int,
    rate: float,
    penalty: float,
    seed: int,
    progress: Any = None,
) -> MoleculeSearch:
    names, sizes = np.unique(targets, return_counts=True)
    paired = np.isin(targets, names[sizes > 1])
    search = MoleculeSearch(
        encoder,
        Objective(penalty=penalty),
        batch_size=batch,
        steps=steps,
        learning_rate=rate,
    )
    return search.fit_features(
        {name: values[labelled[paired]] for name, values in features.items()},
        targets[paired],
        {name: values[pool] for name, values in features.items()},
        seed=seed,
        progress=progress,
    )

"""Molecule search beside RDKit, POT and FAISS, on the same molecules in the same process.

``python -m benchmarks.molecule_search [molecules]`` on one thread; time is the CPU time of this
process, the median of rounds in turn. Every answer is compared before it is timed.

- *Metrics* of one ranking: ours count ties by expectation, RDKit's ``ML.Scoring`` cannot.
- *Soft labels* of a batch: our Newton solver (through ``axonal.transport``) to machine precision,
  POT's ``smooth_ot_dual`` at the tolerance of the paper's code and at a tight one.
- *Fingerprints and their comparison*: packed words against RDKit's ``BulkTanimotoSimilarity``.
- *Search* of embeddings by 1 to 512 queries: our exact index (one product, one selection, ids)
  against FAISS's exact index, which keeps a list a query, and a NumPy product with a full sort; and
  approximate indexes, with the share of the exact answer that they find.
- *A library, end to end*: read, fingerprint, embed and index, against reading and fingerprinting
  by RDKit alone: what learning adds to a screen.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import ot
import torch
from rdkit import Chem, RDConfig, rdBase
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BulkTanimotoSimilarity
from rdkit.ML.Scoring import Scoring

from axonal.molecules import (
    DescriptorEncoder,
    Entry,
    LibraryIndex,
    MoleculeSearch,
    ecfp,
    read_molecules,
    screening_metrics,
    tanimoto,
)
from axonal.transport import soft_labels

FRACTIONS = [0.005, 0.01, 0.05]
NCI = Path(RDConfig.RDDataDir) / "NCI/first_5K.smi"


def main(molecules: int = 4000, rounds: int = 5) -> None:
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    print(
        f"one thread; rdkit {rdBase.rdkitVersion}, POT {ot.__version__}, faiss {faiss.__version__}"
    )
    for size in (3_000, 30_000):
        _metrics(rng, size, rounds)
    for size in (32, 256):
        _labels(size, rounds)
    with rdBase.BlockLogs():
        _library(molecules, rounds)
    for size in (20_000, 100_000):
        _search(rng, size, rounds)


def _metrics(rng: np.random.Generator, size: int, rounds: int) -> None:
    labels = (rng.random(size) < 0.02).astype(int)
    scores = rng.permutation(size).astype(float) + 0.3 * size * labels
    scores += 1e-3 * rng.random(size)

    def ours() -> list[float]:
        return list(screening_metrics(labels, scores, fractions=FRACTIONS).as_dict().values())

    def rdkit() -> list[float]:
        rows = [[bool(label)] for label in labels[np.argsort(-scores)]]
        return [
            Scoring.CalcAUC(rows, 0),
            Scoring.CalcBEDROC(rows, 0, 80.5),
            Scoring.CalcRIE(rows, 0, 80.5),
            *Scoring.CalcEnrichment(rows, 0, FRACTIONS),
        ]

    assert np.allclose(ours(), rdkit(), rtol=1e-11)
    _report(
        f"six metrics of {size:,} molecules", {"axonal": ours, "RDKit ML.Scoring": rdkit}, rounds
    )


def _labels(size: int, rounds: int) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(size, 64, generator=generator).double(), dim=1)
    similarity = z @ z.T
    similarity = (similarity + similarity.T) / 2
    cost, ones = (1 - similarity).numpy(), np.ones(size)

    def pot(tolerance: float, iterations: int) -> Any:
        return ot.smooth.smooth_ot_dual(
            ones, ones, cost, 5.0, reg_type="l2", stopThr=tolerance, numItermax=iterations
        )

    exact = soft_labels(similarity, 5.0).numpy()
    for words, plan in (("paper's", pot(1e-5, 200)), ("tight", pot(1e-12, 20_000))):
        print(
            f"  POT, {words} tolerance: largest difference of a label {abs(plan - exact).max():.1e}"
        )
    _report(
        f"soft labels, batch {size}",
        {
            "axonal (exact)": lambda: soft_labels(similarity, 5.0),
            "POT, the paper's tolerance": lambda: pot(1e-5, 200),
            "POT, tight": lambda: pot(1e-12, 20_000),
        },
        rounds,
    )


def _library(count: int, rounds: int) -> None:
    read = [one for _, one in zip(range(count), read_molecules(NCI, on_error="skip"), strict=False)]
    mols = [one.mol for one in read]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = [generator.GetFingerprint(mol) for mol in mols]
    arrays = ecfp(mols)
    queries = 100
    assert np.allclose(
        tanimoto(arrays[:3], arrays), [BulkTanimotoSimilarity(one, bits) for one in bits[:3]]
    )
    _report(
        f"Tanimoto of {queries} queries with {count:,} molecules",
        {
            "axonal": lambda: tanimoto(arrays[:queries], arrays),
            "RDKit BulkTanimoto": lambda: [
                BulkTanimotoSimilarity(one, bits) for one in bits[:queries]
            ],
        },
        rounds,
    )
    encoder = DescriptorEncoder()
    search = MoleculeSearch(encoder, steps=2, batch_size=8)
    search.fit([one.smiles for one in read[:20]], [0, 1] * 10)
    lines = [line.split()[0] for line in NCI.read_text().splitlines()[:count]]

    def rdkit() -> int:
        made = [Chem.MolFromSmiles(smiles) for smiles in lines]
        return len([generator.GetFingerprint(mol) for mol in made if mol is not None])

    _report(
        f"{count:,} SMILES to a library that can be searched",
        {
            "axonal: read, identify, embed, index": lambda: search.index(lines, on_error="skip"),
            "RDKit: read, fingerprint": rdkit,
        },
        max(2, rounds // 2),
    )


def _search(rng: np.random.Generator, size: int, rounds: int) -> None:
    # Series of 200 analogues: embeddings lie in clusters, and an index that cuts space lives on it.
    centres = rng.standard_normal((size // 200, 256))
    vectors = np.repeat(centres, 200, 0) + 0.8 * rng.standard_normal((size, 256))
    vectors = rng.permutation(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    vectors = vectors.astype(np.float32)
    entries = [Entry(str(i), "C", str(i)) for i in range(size)]
    index = LibraryIndex.build([(vectors, entries)])
    kinds = ("IVF256,SQ8", "HNSW32") if size < 50_000 else ("IVF256,SQ8",)
    others = {kind: LibraryIndex.build([(vectors, entries)], factory=kind) for kind in kinds}
    flat = faiss.IndexFlatIP(256)
    flat.add(vectors)
    for count in (1, 8, 64, 512):
        queries = vectors[:count].copy()

        def brute(queries: np.ndarray = queries) -> Any:
            best = (vectors @ queries.T).max(1)
            return np.argsort(-best, kind="stable")[:1000]

        exact = set(index.search(queries, 1000)[0].tolist())
        assert len(exact & set(brute().tolist())) >= 998  # the last places may be ties
        found = {
            kind: len(exact & set(other.search(queries, 1000)[0].tolist())) / 1000
            for kind, other in others.items()
        }
        _report(
            f"best 1,000 of {size:,} by the maximum over {count} queries",
            {
                "axonal, exact": lambda q=queries: index.search(q, 1000),
                "FAISS flat, a list a query": lambda q=queries: flat.search(q, 1000),
                "NumPy, full sort": brute,
                **{
                    f"axonal, {kind} (finds {found[kind]:.0%})": lambda o=other, q=queries: (
                        o.search(q, 1000)
                    )
                    for kind, other in others.items()
                },
            },
            rounds,
        )


def _report(title: str, contestants: dict[str, Callable[[], Any]], rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    ours = statistics.median(next(iter(seconds.values())))
    print(title)
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"  {name:<40} {1e3 * median:9.2f} ms   {median / ours:6.2f} x ours")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))

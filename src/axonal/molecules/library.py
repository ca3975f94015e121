"""A library as a stream: read, made into features and embedded, a block of molecules at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.molecules.chemistry import identity
from axonal.molecules.encoder import embed_features
from axonal.molecules.index import FACTORY, Entry, LibraryIndex
from axonal.molecules.pairs import Features
from axonal.molecules.reading import Molecule, OnError, ReadingReport, Source, read_molecules
from axonal.molecules.tokens import TokenReport

BLOCK = 512  # molecules that are embedded and written at a time


def embed_library(
    encoder: Any,
    library: Source,
    *,
    factory: str = FACTORY,
    block: int = BLOCK,
    on_error: OnError = "raise",
    smiles: str | None = None,
    id: str | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> LibraryIndex:
    """Return an index of a library's embeddings; its card says what was left out.

    Parameters
    ----------
    encoder
        That embeds.
    library
        A file (SDF, SMILES, CSV, Parquet) or molecules.
    factory, block
        What FAISS builds; molecules at a time.
    on_error, smiles, id
        As in :func:`read_molecules`.
    progress
        ``progress(done, 0)``: the length of a stream is not known.
    """
    report, tokens = ReadingReport(), TokenReport()
    card: dict[str, Any] = {}
    lost: list[str] = []
    stream = read_molecules(library, smiles=smiles, id=id, on_error=on_error, report=report)

    def blocks() -> Iterator[tuple[NDArray[np.float32], list[Entry]]]:
        done = 0
        for chunk in chunks_of(stream, block):
            features, kept = featurised(encoder, [one.mol for one in chunk], tokens)
            lost.extend(chunk[i].id for i in sorted(set(range(len(chunk))) - set(kept)))
            if kept:
                entries = [
                    Entry(chunk[i].id, chunk[i].smiles, identity(chunk[i].mol)) for i in kept
                ]
                yield embed_features(encoder, features).numpy(), entries
            done += len(chunk)
            if progress is not None:
                progress(done, 0)

    built = LibraryIndex.build(blocks(), factory=factory, card=card)
    built.card |= {
        "encoder": encoder.kind,
        "reading": str(report),
        "not_embedded": lost,
        "unknown_atoms": tokens.unknown,
        "cropped": tokens.cropped,
    }
    return built


def chunks_of(stream: Iterable[Molecule], size: int) -> Iterator[list[Molecule]]:
    """Yield lists of ``size`` molecules, the last one shorter."""
    if size < 1:
        raise InputError(f"block: expected at least 1, got {size}.")
    chunk: list[Molecule] = []
    for molecule in stream:
        chunk.append(molecule)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def featurised(
    encoder: Any, mols: Sequence[Any], tokens: TokenReport
) -> tuple[Features, list[int]]:
    """Return features and the positions of those that have any; there may be none."""
    try:
        return encoder.featurise(mols, report=tokens)
    except InputError:  # not one of the block could be embedded; the next may be
        return {}, []

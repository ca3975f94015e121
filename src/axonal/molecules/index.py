"""A library of embeddings that is searched by FAISS, built as a stream and kept in a folder.

``index.faiss`` holds the vectors, ``molecules.parquet`` the ids, SMILES and identities in the same
order, ``card.json`` what made them. A folder is written beside its place and renamed when whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError, require
from axonal.files import whole_folder

if TYPE_CHECKING:
    import pandas as pd

FACTORY = "Flat"
LEARNED_FROM = 65_536  # vectors that an index which is trained learns from, at most
FOLDER = ("card.json", "index.faiss", "molecules.parquet")
_COLUMNS = ("id", "smiles", "identity")


@dataclass(frozen=True)
class Entry:
    """What is kept of a molecule beside its vector."""

    id: str
    smiles: str
    identity: str


@dataclass
class LibraryIndex:
    """Vectors with ids.

    Parameters
    ----------
    vectors
        A FAISS index of inner products.
    table
        Columns ``id``, ``smiles``, ``identity``, a row a vector.
    card
        What made it: encoder, count, what was left out.
    """

    vectors: Any
    table: pd.DataFrame
    card: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        blocks: Iterable[tuple[NDArray[np.float32], Sequence[Entry]]],
        *,
        factory: str = FACTORY,
        folder: Path | str | None = None,
        card: dict[str, Any] | None = None,
    ) -> LibraryIndex:
        """Build an index from a stream of blocks.

        Parameters
        ----------
        blocks
            Unit vectors ``(molecules, dimension)`` and their entries.
        factory
            In FAISS's words: ``"Flat"`` is exact; ``"IVF1024,SQ8"`` takes a quarter of the memory
            and looks at a sixteenth of the library; ``"HNSW32"`` is quick for a short list of one
            query, and slow to build. One that is trained learns from the first 65,536 vectors.
        folder
            Where it is kept; None keeps it in memory.
        card
            Kept beside it; an empty dict may be filled while the blocks are drawn.
        """
        faiss: Any = require("faiss", "molecules")
        import pandas as pd

        rows: list[Entry] = []
        built: Any = None
        first: list[NDArray[np.float32]] = []  # kept until there are enough to learn from
        for vectors, entries in blocks:
            vectors = np.ascontiguousarray(vectors, np.float32)
            rows += entries
            if built is not None:
                built.add(vectors)
                continue
            first.append(vectors)
            if factory == FACTORY or len(rows) >= LEARNED_FROM:
                built, first = _made(faiss, np.concatenate(first), factory), []
        if not rows:
            raise InputError("The library holds no molecule that could be embedded.")
        if built is None:
            built = _made(faiss, np.concatenate(first), factory)
        table = pd.DataFrame([(e.id, e.smiles, e.identity) for e in rows], columns=list(_COLUMNS))
        index = cls(built, table, {**(card or {}), "molecules": len(rows), "factory": factory})
        if folder is not None:
            index.save(folder)
        return index

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return int(self.vectors.d)

    def __len__(self) -> int:
        return int(self.vectors.ntotal)

    def search(
        self, queries: NDArray[np.float32], top: int = 1000
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Return rows, scores and which query gave them: the best by the maximum over queries.

        Parameters
        ----------
        queries
            Unit vectors, ``(queries, dimension)``.
        top
            How many.
        """
        queries = self._checked(queries)
        if top < 1:
            raise InputError(f"top: expected at least 1, got {top}.")
        if (stored := self._stored()) is not None:
            return _exact(stored, queries, min(top, len(self)))
        # The best by the maximum are among the best of each query.
        found, rows = self._nearest(queries, min(top, len(self)))
        flat_rows, flat = rows.ravel(), found.ravel()
        asked = np.repeat(np.arange(len(queries)), rows.shape[1])
        real = flat_rows >= 0  # an approximate index may come back with fewer
        flat_rows, flat, asked = flat_rows[real], flat[real], asked[real]
        order = np.lexsort((flat_rows, -flat))  # ties in the order of the library
        _, first = np.unique(flat_rows[order], return_index=True)
        chosen = order[np.sort(first)][:top]
        return flat_rows[chosen], flat[chosen], asked[chosen]

    def scores(self, queries: NDArray[np.float32], block: int = 65_536) -> NDArray[np.float32]:
        """Return the score of every molecule, the maximum over queries, ``(molecules,)``."""
        queries = self._checked(queries)
        if (stored := self._stored()) is not None:
            return _maxima(stored, queries)[0]
        parts = [
            _maxima(self.vectors.reconstruct_n(start, min(block, len(self) - start)), queries)[0]
            for start in range(0, len(self), block)
        ]
        return np.concatenate(parts)

    def embeddings(self) -> NDArray[np.float32]:
        """Return all vectors, ``(molecules, dimension)``; approximate if the index compresses."""
        return self.vectors.reconstruct_n(0, len(self))

    def save(self, folder: Path | str) -> None:
        """Keep the index in a folder."""
        faiss: Any = require("faiss", "molecules")
        require("pyarrow", "molecules")
        with whole_folder(Path(folder), holds=FOLDER, what="index") as draft:
            faiss.write_index(self.vectors, str(draft / "index.faiss"))
            self.table.to_parquet(draft / "molecules.parquet", index=False)
            written = json.dumps(self.card, indent=2) + "\n"
            (draft / "card.json").write_text(written, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> LibraryIndex:
        """Open an index; its vectors stay on the disk until they are needed."""
        faiss: Any = require("faiss", "molecules")
        import pandas as pd

        place = Path(folder)
        if not (place / "index.faiss").is_file():
            raise InputError(f"{folder} holds no index: there is no index.faiss.")
        vectors = faiss.read_index(str(place / "index.faiss"), faiss.IO_FLAG_MMAP)
        table = pd.read_parquet(place / "molecules.parquet")
        card = json.loads((place / "card.json").read_text(encoding="utf-8"))
        if len(table) != vectors.ntotal:
            raise InputError(
                f"{folder}: {vectors.ntotal} vectors and {len(table)} molecules do not belong "
                "together; build the index again."
            )
        return cls(vectors, table, card)

    def _nearest(self, queries: NDArray[np.float32], top: int) -> tuple[NDArray[Any], NDArray[Any]]:
        faiss: Any = require("faiss", "molecules")
        if isinstance(faiss.downcast_index(self.vectors), faiss.IndexHNSW):
            # A graph returns no more than it visits, and FAISS's own default visits 16.
            visited = faiss.SearchParametersHNSW(efSearch=max(64, 2 * top))
            return self.vectors.search(queries, top, params=visited)
        return self.vectors.search(queries, top)

    def _stored(self) -> NDArray[np.float32] | None:
        """Return the vectors as they lie in an exact index, without a copy; None: in another."""
        faiss: Any = require("faiss", "molecules")
        flat = faiss.downcast_index(self.vectors)
        if not isinstance(flat, faiss.IndexFlat):
            return None
        return faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(-1, flat.d)

    def _checked(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.dimension or len(queries) == 0:
            raise InputError(
                f"queries: expected (queries, {self.dimension}), got {queries.shape}; was the index "
                "made by another model?"
            )
        return queries


def _exact(
    stored: NDArray[np.float32], queries: NDArray[np.float32], top: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Return the best rows by one matrix product and one selection.

    FAISS's exact index keeps a list for each query, and below some dozens of queries it multiplies
    vector by vector. The maximum over queries needs one list, and BLAS is quicker at any number.
    """
    best, asked = _maxima(stored, queries)
    if top < len(best):
        edge = np.partition(best, len(best) - top)[len(best) - top]
        rows = np.flatnonzero(best >= edge)  # with all ties, so that the library's order decides
    else:
        rows = np.arange(len(best))
    rows = rows[np.argsort(-best[rows], kind="stable")][:top]
    return rows, best[rows], asked[rows]


def _maxima(
    stored: NDArray[np.float32], queries: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the largest product of each row with a query, and which query gave it."""
    best = np.empty(len(stored), np.float32)
    asked = np.zeros(len(stored), np.int64)
    # A block of products that stays in the cache while its maxima are taken.
    step = max(256, 2_000_000 // len(queries))
    for start in range(0, len(stored), step):
        part = slice(start, start + step)
        products = stored[part] @ queries.T
        if len(queries) == 1:
            best[part] = products[:, 0]
        else:
            asked[part] = products.argmax(1)
            best[part] = np.take_along_axis(products, asked[part, None], 1)[:, 0]
    return best, asked


def _made(faiss: Any, vectors: NDArray[np.float32], factory: str) -> Any:
    """Return an index that holds the first vectors, having learned from them where it learns."""
    try:
        made = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        if not made.is_trained:
            made.train(vectors)
        made.add(vectors)
    except RuntimeError as error:
        raise InputError(
            f"factory: FAISS makes no index {factory!r} of {len(vectors)} vectors of dimension "
            f"{vectors.shape[1]}: {str(error).splitlines()[0][-120:]}"
        ) from error
    if hasattr(made, "make_direct_map"):
        made.make_direct_map()  # so that vectors can be read back by their number
    if hasattr(made, "nprobe"):
        made.nprobe = max(1, made.nlist // 16)  # FAISS's own default looks at one list alone
    return made

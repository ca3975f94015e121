"""S-MolSearch: train two encoders, embed a library, rank it by a molecule that is known to bind.

Zhou et al., NeurIPS 2024 (arXiv:2409.07462). The search uses the encoder that saw everything
(``branch="unsupervised"``); the one that saw labels alone is there for comparison.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.molecules import saving
from axonal.molecules.binders import read_binders
from axonal.molecules.chemistry import identity
from axonal.molecules.encoder import embed_features
from axonal.molecules.index import FACTORY, LibraryIndex
from axonal.molecules.library import BLOCK, embed_library, featurised
from axonal.molecules.objective import Objective
from axonal.molecules.pairs import Features, PairBatches, ViewBatches
from axonal.molecules.reading import OnError, ReadingReport, Source, read_molecules
from axonal.molecules.tokens import TokenReport
from axonal.molecules.two_encoders import TwoEncoders
from axonal.training import History, train
from axonal.training.schedules import cosine

if TYPE_CHECKING:
    import pandas as pd

Branch = Literal["unsupervised", "supervised"]
Progress = Callable[[int, int], Any]


class MoleculeSearch:
    """Learn to search from molecules with known targets and from molecules without.

    Parameters
    ----------
    encoder
        What both encoders start from: ``DescriptorEncoder()``, ``UniMolEncoder.small()``,
        ``load_unimol(path)``. It is copied, never changed.
    objective
        Losses and weights; the paper's by default.
    mask_same_target
        Whether pairs of one target are no negatives of each other; None: yes where there are
        fewer than ten targets a pair of the batch, as the paper's thousands of targets need none.
    batch_size, steps, learning_rate, weight_decay
        Of the training: Adam (0.9, 0.99), warm-up of 6 %, cosine, gradients clipped at 1.
    """

    def __init__(
        self,
        encoder: Any = None,
        objective: Objective | None = None,
        *,
        mask_same_target: bool | None = None,
        batch_size: int = 32,
        steps: int = 300,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
    ) -> None:
        if encoder is None:
            from axonal.molecules.descriptors import DescriptorEncoder

            encoder = DescriptorEncoder()
        self.encoder, self.objective = encoder, objective or Objective()
        self.mask_same_target, self.batch_size, self.steps = mask_same_target, batch_size, steps
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.encoders_: TwoEncoders | None = None
        self.history_: History | None = None
        self.training_: frozenset[str] = frozenset()
        self.report_: dict[str, Any] = {}

    def fit(
        self,
        labelled: Source,
        targets: Sequence[Any] | NDArray[Any],
        *,
        unlabelled: Source | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
        folder: Path | str | None = None,
        progress: Progress | None = None,
        accelerator: Any = None,
    ) -> MoleculeSearch:
        """Train on molecules.

        Parameters
        ----------
        labelled
            Molecules that bind, one a row (a molecule of two targets has two rows).
        targets
            Of each row; molecules of one target attract each other.
        unlabelled
            Further molecules; the labelled ones are added to them, each compound once. None:
            the labelled ones alone.
        seed
            Of conformers, batches and dropout.
        on_error
            Of unreadable molecules, which are named in either case.
        folder
            Where the training keeps its history and checkpoints, to be continued when killed.
        progress
            ``progress(done, total)`` of the training.
        accelerator
            Of Hugging Face Accelerate; by default what ``accelerate launch`` set.
        """
        rows, codes, dropped = read_binders(labelled, targets, on_error)
        extra = ReadingReport()
        others = (
            []
            if unlabelled is None
            else list(read_molecules(unlabelled, on_error=on_error, report=extra))
        )
        keys = [identity(row.mol) for row in rows]
        # One compound once: two equal rows are at distance 0, where the spread loss explodes.
        pool = {key: row.mol for key, row in zip(keys, rows, strict=True)}
        pool |= {identity(other.mol): other.mol for other in others}
        tokens = TokenReport()
        features, kept = self.encoder.featurise([row.mol for row in rows], seed=seed, report=tokens)
        pool_features, pooled = self.encoder.featurise(
            list(pool.values()), seed=seed, report=tokens
        )
        self.report_ = {
            "labelled": len(rows),
            "unlabelled": len(pool),
            "targets": len(set(codes.tolist())),
            "left_out": [str(p) for p in [*dropped.problems, *extra.problems]],
            "not_embedded": len(rows) - len(kept) + len(pool) - len(pooled),
            "fragments": dropped.fragments + extra.fragments,
            "unknown_atoms": tokens.unknown,
            "cropped": tokens.cropped,
        }
        self.training_ = frozenset(keys)
        return self.fit_features(
            features,
            codes[kept],
            pool_features,
            seed=seed,
            folder=folder,
            progress=progress,
            accelerator=accelerator,
        )

    def fit_features(
        self,
        labelled: Features | None,
        targets: NDArray[Any] | None,
        pool: Features | None,
        *,
        seed: int = 0,
        folder: Path | str | None = None,
        progress: Progress | None = None,
        accelerator: Any = None,
    ) -> MoleculeSearch:
        """Train on features that the encoder made, which saves making them again.

        Parameters
        ----------
        labelled, targets
            Features and targets of binders; None with a pool: ``g`` alone is trained.
        pool
            Features of all molecules, each once; None: ``f`` alone is trained.
        seed, folder, progress, accelerator
            As in ``fit``.
        """
        codes = None if targets is None else np.unique(np.asarray(targets), return_inverse=True)[1]
        batches = PairBatches(self.encoder, labelled, codes, pool, self.batch_size, seed)
        mask = self.mask_same_target
        if mask is None and codes is not None:
            mask = len(set(codes.tolist())) < 10 * self.batch_size
        start = self._started(pool if pool is not None else labelled)
        self.encoders_ = TwoEncoders(start, self.objective)
        self.history_ = self._train(
            self.encoders_,
            lambda model, batch: model(batch, bool(mask)),
            batches, seed=seed, folder=folder, progress=progress, accelerator=accelerator,
        )  # fmt: skip
        return self

    def pretrain(self, pool: Features, *, seed: int = 0, progress: Progress | None = None) -> Any:
        """Return the encoder after self-supervised training alone: two views of each molecule.

        The rival of the paper's table of learning paradigms, and, given to another
        :class:`MoleculeSearch`, the start of fine-tuning.
        """
        start = self._started(pool)

        def loss(model: Any, batch: dict[str, Any]) -> Tensor:
            return self.objective.supervised(model(batch["a"]), model(batch["b"]))

        batches = ViewBatches(start, None, None, pool, self.batch_size, seed)
        self._train(start, loss, batches, seed=seed, folder=None, progress=progress)
        return start

    def _started(self, features: Features | None) -> Any:
        """Return a copy of the encoder that knows the scale of its features."""
        start = copy.deepcopy(self.encoder)
        if features is None:
            raise InputError("There is nothing to learn from: neither pairs nor a pool.")
        if hasattr(start, "start") and not start.started:
            start.start(features)
        return start

    def _train(
        self,
        model: nn.Module,
        loss: Callable[[Any, Any], Any],
        batches: Any,
        *,
        seed: int,
        folder: Path | str | None,
        progress: Progress | None,
        accelerator: Any = None,
    ) -> History:
        def adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
            return torch.optim.Adam(
                parameters,
                lr=self.learning_rate,
                betas=(0.9, 0.99),
                eps=1e-8,
                weight_decay=self.weight_decay,
            )

        rise = min(round(0.06 * self.steps), self.steps - 1)
        return train(
            model, loss, batches, steps=self.steps, optimizer=adam,
            schedule=cosine(self.steps, rise=rise), clip=1.0, seed=seed, folder=folder,
            checkpoint_every=None if folder is None else max(1, self.steps // 20),
            progress=progress, accelerator=accelerator,
        )  # fmt: skip

    def branch(self, which: Branch = "unsupervised") -> Any:
        """Return one of the two trained encoders."""
        if self.encoders_ is None:
            raise InputError("This search has not learned yet: call fit, or MoleculeSearch.load.")
        if which not in ("unsupervised", "supervised"):
            raise InputError(f"branch: expected 'unsupervised' or 'supervised', got {which!r}.")
        return getattr(self.encoders_, which)

    def embed(
        self, molecules: Source, *, branch: Branch = "unsupervised", on_error: OnError = "raise"
    ) -> NDArray[np.float32]:
        """Return the unit embeddings of molecules, ``(molecules, dimension)``."""
        read = list(read_molecules(molecules, on_error=on_error))
        features, kept = self.encoder.featurise([one.mol for one in read])
        if len(kept) < len(read):
            lost = [read[i].id for i in sorted(set(range(len(read))) - set(kept))]
            raise InputError(
                f"{len(lost)} molecules have no conformer, even from random coordinates: "
                f"{', '.join(lost[:5])}."
            )
        return embed_features(self.branch(branch), features).numpy()

    def score(
        self, queries: Source, library: Sequence[Any], *, branch: Branch = "unsupervised"
    ) -> NDArray[np.float64]:
        """Return the largest cosine with a query, ``(library,)``; ``nan`` without a conformer.

        Parameters
        ----------
        queries
            Known binders.
        library
            RDKit molecules.
        branch
            Which encoder.
        """
        asked = self.embed(queries, branch=branch)
        scores = np.full(len(library), np.nan)
        features, kept = featurised(self.encoder, library, TokenReport())
        if kept:
            vectors = embed_features(self.branch(branch), features).numpy()
            scores[kept] = (vectors @ asked.T).max(1)
        return scores

    def index(
        self,
        library: Source,
        *,
        folder: Path | str | None = None,
        branch: Branch = "unsupervised",
        factory: str = FACTORY,
        block: int = BLOCK,
        on_error: OnError = "raise",
        smiles: str | None = None,
        id: str | None = None,
        progress: Progress | None = None,
    ) -> LibraryIndex:
        """Embed a library, a block of molecules at a time, and return what can be searched.

        Parameters
        ----------
        library
            A file (SDF, SMILES, CSV, Parquet) or molecules.
        folder
            Where the index is kept.
        branch, factory, block
            Which encoder; what FAISS builds; molecules at a time.
        on_error, smiles, id
            As in :func:`read_molecules`.
        progress
            ``progress(done, 0)``: the length of a stream is not known.
        """
        built = embed_library(
            self.branch(branch), library, factory=factory, block=block, on_error=on_error,
            smiles=smiles, id=id, progress=progress,
        )  # fmt: skip
        built.card["branch"] = branch
        if folder is not None:
            built.save(folder)
        return built

    def query(
        self,
        queries: Source,
        index: LibraryIndex,
        *,
        top: int = 1000,
        branch: Branch = "unsupervised",
        keep_queries: bool = False,
    ) -> pd.DataFrame:
        """Return the best of a library by the maximum of the cosines with the queries.

        Parameters
        ----------
        queries
            Known binders.
        index
            Of the library.
        top
            How many.
        branch
            Must be the one of the index.
        keep_queries
            Whether library molecules that are a query themselves stay in the list.

        Returns
        -------
        DataFrame
            ``rank``, ``id``, ``smiles``, ``score`` and ``query`` (which one was nearest).
        """
        if (made := index.card.get("branch", branch)) != branch:
            raise InputError(
                f"branch: the index was made with {made!r}, the query asks {branch!r}."
            )
        read = list(read_molecules(queries))
        vectors = self.embed(read, branch=branch)
        own = [] if keep_queries else [identity(one.mol) for one in read]
        keys = index.table["identity"].to_numpy(dtype=str)
        same = int(np.isin(keys, own).sum())
        rows, scores, asked = index.search(vectors, top + same)
        other = ~np.isin(keys[rows], own)
        rows, scores, asked = rows[other][:top], scores[other][:top], asked[other][:top]
        hits = index.table.iloc[rows].drop(columns="identity").reset_index(drop=True)
        hits = hits.assign(score=scores, query=[read[i].id for i in asked])
        hits.insert(0, "rank", np.arange(1, len(hits) + 1))
        hits.attrs["queries_in_library"] = same
        return hits

    def save(self, folder: Path | str) -> None:
        """Keep both encoders, what made them and which molecules they have seen, in a folder."""
        saving.save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str) -> MoleculeSearch:
        """Open a search that was saved."""
        return saving.load(cls, Path(folder))

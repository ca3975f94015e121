"""The batches of the semi-supervised training: pairs of one target, and unlabelled molecules.

A batch is a pure function of the step, as the training loop wants it: which molecules, which
partner, which conformer and which corruption all follow from the seed and the step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.training.batches import step_seed

Features = dict[str, Tensor]


class PairBatches:
    """Batches of ``size`` pairs and ``size`` unlabelled molecules.

    Parameters
    ----------
    encoder
        Its ``prepare`` makes the training view of a molecule.
    labelled
        Features of the labelled molecules.
    targets
        What each binds, as whole numbers, ``(molecules,)``; each at least twice.
    pool
        Features of the unlabelled molecules; None for training on pairs alone.
    size
        Pairs a batch; as many as there are if fewer.
    seed
        Of all draws.
    """

    def __init__(
        self,
        encoder: Any,
        labelled: Features | None,
        targets: np.ndarray | None,
        pool: Features | None,
        size: int,
        seed: int = 0,
    ) -> None:
        if size < 2:
            raise InputError(f"batch_size: expected at least 2, got {size}.")
        self.encoder, self.labelled, self.pool = encoder, labelled, pool
        self.size, self.seed = size, seed
        self.targets = None if targets is None else np.asarray(targets)
        self.members: dict[int, np.ndarray] = {}
        if self.targets is not None:
            self.members = {int(t): np.flatnonzero(self.targets == t) for t in set(self.targets)}
            if alone := [target for target, rows in self.members.items() if len(rows) < 2]:
                raise InputError(
                    f"targets: {len(alone)} of them have one molecule, and no pair; first {alone[0]}."
                )

    def __call__(self, step: int) -> dict[str, Any]:
        """Return the batch of a step: ``a``, ``b``, ``targets`` and ``pool``."""
        rng = np.random.default_rng(step_seed(self.seed, step))
        generator = torch.Generator().manual_seed(step_seed(self.seed + 1, step))
        batch: dict[str, Any] = {}
        if self.labelled is not None and self.targets is not None:
            rows = _cycled(len(self.targets), self.size, step, self.seed)
            partners = np.array([self._partner(row, rng) for row in rows])
            batch["a"] = self._view(self.labelled, rows, generator)
            batch["b"] = self._view(self.labelled, partners, generator)
            batch["targets"] = torch.from_numpy(self.targets[rows])
        if self.pool is not None:
            rows = _cycled(_count(self.pool), self.size, step, self.seed + 2)
            batch["pool"] = self._view(self.pool, rows, generator)
        return batch

    def _partner(self, row: int, rng: np.random.Generator) -> int:
        assert self.targets is not None
        others = self.members[int(self.targets[row])]
        drawn = int(others[rng.integers(len(others) - 1)])
        return int(others[-1]) if drawn == row else drawn  # uniform over the others

    def _view(self, features: Features, rows: np.ndarray, generator: torch.Generator) -> Features:
        index = torch.from_numpy(rows)
        taken = {name: values[index] for name, values in features.items()}
        return self.encoder.prepare(taken, generator)


class ViewBatches(PairBatches):
    """Self-supervised pairs: the same molecule seen twice, each time corrupted anew."""

    def __call__(self, step: int) -> dict[str, Any]:
        """Return the batch of a step: two views of ``size`` unlabelled molecules."""
        assert self.pool is not None
        generator = torch.Generator().manual_seed(step_seed(self.seed + 1, step))
        rows = _cycled(_count(self.pool), self.size, step, self.seed + 2)
        views = [self._view(self.pool, rows, generator) for _ in range(2)]
        return {"a": views[0], "b": views[1], "targets": torch.from_numpy(rows)}


def _count(features: Features) -> int:
    return len(next(iter(features.values())))


def _cycled(count: int, size: int, step: int, seed: int) -> np.ndarray:
    """Return the rows of a step, every epoch in an order of its own."""
    size = min(size, count)
    epoch, number = divmod(step, count // size)
    order = np.random.default_rng(step_seed(seed, epoch)).permutation(count)
    return order[number * size : (number + 1) * size]

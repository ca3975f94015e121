"""Computing cells: look them up, send the rest to the workers in batches, collect what comes back.

A cell is a repeat of a point, numbered ``repeat * points + point``: the first repeat of every point
comes first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from axonal.sweep.backends import Pool
from axonal.sweep.dispatch import Batches, Cells, SweepError, outcomes
from axonal.sweep.estimates import Until
from axonal.sweep.grid import Grid
from axonal.sweep.progress import Progress
from axonal.sweep.results import Kept, Labels, Streamed
from axonal.sweep.seeding import coordinate_hash
from axonal.sweep.store import Keys, Record, Store
from axonal.sweep.worker import Batch, Outcome, Work

BUFFERED_CELLS = 65536
TRACEBACKS = 1000  # later failures keep the message only


@dataclass
class Run:
    """One sweep in progress."""

    grid: Grid
    work: Work
    pool: Pool
    common: tuple[str, ...]
    block: int | None
    labels: Labels
    store: Store | None
    stop_on_error: bool
    retry_failed: bool
    report: Progress
    done: int = 0
    reused: int = 0
    total: int = 0
    failures: list[tuple[int, Record]] = field(default_factory=list)
    _checked: bool = False

    def compute(self, results: Kept | Streamed, cells: Cells) -> None:
        """Compute cells (ascending) into ``results``."""
        self.total += len(cells)
        if isinstance(results, Kept):
            results.reserve(int(cells[-1]) // self.grid.size + 1)
            self._fill(results, cells, 0)
            return
        step = max(1, BUFFERED_CELLS // self.grid.size) * self.grid.size
        for first in range(
            int(cells[0]) // self.grid.size * self.grid.size, int(cells[-1]) + 1, step
        ):
            piece = cells[(cells >= first) & (cells < first + step)]
            if piece.size:
                buffer = Kept(self.grid)
                buffer.reserve(-(-(int(piece[-1]) + 1 - first) // self.grid.size))
                self._fill(buffer, piece, first)
                results.absorb(buffer)

    def _fill(self, results: Kept, cells: Cells, first: int) -> None:
        known = np.zeros(len(cells), bool)
        if self.store is not None:
            found = self.store.find(self._store_keys(cells), self.retry_failed)
            known[found.positions] = True
            known[[i for i, _ in found.failures]] = True
            self.failures += [(int(cells[i]), record) for i, record in found.failures]
            if found.positions.size:
                results.add(cells[found.positions] - first, found.outputs)
            self.reused += int(known.sum())
            self.done += int(known.sum())
            self.report(self.done, self.total)
        batches = Batches(cells, known, self.block, self.work.vectorized)

        def fetch(some: Cells) -> Batch:
            return Batch.of(self.work, self.grid, some, self.common)

        for here, outcome in outcomes(self.pool, self.work, batches, fetch):
            self._collect(results, here, outcome, first)

    def _collect(self, results: Kept, cells: Cells, outcome: Outcome, first: int) -> None:
        known = len(self.failures)
        for failure in outcome.failures:
            cell = int(cells[failure.row])
            self.failures.append((cell, self._record(cell, failure)))
        records = self.failures[known:]
        rows = np.array(outcome.rows, dtype=np.intp)
        if rows.size:
            if not self._checked:
                self.labels.check(outcome.outputs, self.grid)
                self._checked = True
            results.add(cells[rows] - first, outcome.outputs)
        if self.store is not None:
            self.store.add(self._store_keys(cells[rows]), outcome.outputs, [r for _, r in records])
        if records and self.stop_on_error:
            record = records[0][1]
            error = SweepError(
                f"{record['error']} at {self._words(records[0][0])}: {record['message']}"
            )
            error.add_note(record["traceback"])
            raise error
        self.done += len(cells)
        self.report(self.done, self.total)

    def _words(self, cell: int | np.intp) -> str:
        return self.grid.describe(int(cell) % self.grid.size)

    def _store_keys(self, cells: Cells) -> Keys:
        """Return the key of each cell in the store: its point's and its repeat's hash."""
        repeats, inverse = np.unique(cells // self.grid.size, return_inverse=True)
        hashes = [coordinate_hash("repeat", r) for r in repeats.tolist()]
        keys = (
            self.grid.keys(cells % self.grid.size)
            + np.array(hashes, np.uint64).reshape(-1, 2)[inverse]
        )
        if self.work.follow is not None:
            name, follow = self.work.follow
            values = [
                coordinate_hash(f"{name} {i}", v)
                for i, v in enumerate(np.asarray(follow.values).tolist())
            ]
            keys += sum(values, coordinate_hash("directions", " ".join(follow.directions)))
        return keys

    def _record(self, cell: int, failure: Any) -> Record:
        point = self.grid.parameters(np.array([cell % self.grid.size]), labels=True)
        return {
            "key": self._store_keys(np.array([cell]))[0].tobytes().hex(),
            "point": {name: column[0] for name, column in point.items()} | dict(failure.step),
            "repeat": cell // self.grid.size,
            "error": failure.error,
            "message": failure.message,
            "spawn_key": failure.spawn_key,
            "traceback": failure.traceback if len(self.failures) < TRACEBACKS else "",
        }


def add_repeats(run: Run, results: Kept | Streamed, until: Until) -> Cells:
    """Compute repeats in rounds until each point's standard error is small enough."""
    begun = time.monotonic()
    size = run.grid.size
    repeats = np.full(size, until.at_least, dtype=np.intp)
    run.compute(results, np.arange(size * until.at_least))
    watched = until.watched(results.names)
    while time.monotonic() - begun < until.seconds:
        target = until.more(results.errors(watched), repeats)
        if (target == repeats).all():
            break
        rounds = np.arange(repeats.min(), target.max())
        new = (rounds[:, None] >= repeats) & (rounds[:, None] < target)
        repeat, point = np.nonzero(new)
        run.compute(results, rounds[repeat] * size + point)
        repeats = target
    return repeats

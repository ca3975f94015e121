"""Deal cells out to workers in batches, and yield what comes back, also when a worker dies."""

from __future__ import annotations

import concurrent.futures as cf
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import AxonalError, InputError
from axonal.sweep.backends import Pool, wait_any
from axonal.sweep.worker import Batch, ContractError, Failure, Outcome, Work, run_batch

Cells = NDArray[np.intp]
BATCH_SECONDS = 0.25
LARGEST_BLOCK = 4096


class SweepError(AxonalError):
    """A point raised where the sweep was told to stop, nothing but failures, or no workers."""


class Batches:
    """Cells that are to be computed, in fixed blocks or in batches of about BATCH_SECONDS.

    A vectorised block depends on the grid alone, not on the workers nor on what is known already:
    a function's last bits may depend on the length of its arrays.
    """

    def __init__(
        self, cells: Cells, known: NDArray[np.bool_], block: int | None, vectorized: bool
    ) -> None:
        if block is None and vectorized:
            block = min(max(-(-len(cells) // 16), 64), LARGEST_BLOCK)
        self.adaptive, self.size = block is None, 1
        starts = range(0, len(cells), block or max(len(cells), 1))
        blocks = [slice(i, i + block if block else None) for i in starts]
        pieces = [cells[cut][~known[cut]] for cut in blocks]
        self.pieces = [piece for piece in pieces if piece.size][::-1]

    def __bool__(self) -> bool:
        return bool(self.pieces)

    def take(self, workers: int) -> Cells:
        """Return the next batch; towards the end they get small, so that all workers finish."""
        piece = self.pieces.pop()
        size = min(self.size, -(-len(piece) // (2 * workers))) if self.adaptive else len(piece)
        if size < len(piece):
            self.pieces.append(piece[size:])
        return piece[:size]

    def learn(self, cells: int, seconds: float) -> None:
        """Adapt the size of the next batches to what the last one took."""
        fitting = int(BATCH_SECONDS * cells / max(seconds, 1e-9))
        self.size = max(1, min(fitting, 8 * self.size))


def outcomes(
    pool: Pool, work: Work, batches: Batches, fetch: Callable[[Cells], Batch]
) -> Iterator[tuple[Cells, Outcome]]:
    """Run all batches; yield their cells and outcomes as they are done.

    When a worker dies (out of memory, a crash in compiled code), the cells it may have died of are
    computed one by one with nothing beside them; the guilty one is recorded as a failure.
    """
    shared = pickled(work) if pool.remote else work
    room = 2 * pool.width if pool.remote else pool.width
    waiting: dict[Any, tuple[Cells, bool]] = {}
    suspects: list[Cells] = []
    came, lost = 0, 0
    try:
        while batches or suspects or waiting:
            while (suspects and not waiting) or (batches and not suspects and len(waiting) < room):
                alone = bool(suspects)
                cells = suspects.pop() if alone else batches.take(pool.width)
                waiting[_submit(pool, shared, fetch(cells))] = cells, alone
            for future in wait_any(list(waiting)):
                cells, alone = waiting.pop(future)
                try:
                    outcome = future.result()
                except ContractError:
                    raise
                except Exception as error:  # the worker, not the function: that is caught there
                    if not alone:
                        suspects += np.split(cells[::-1], len(cells))
                        continue
                    lost += 1
                    if lost == 3 and not came:
                        raise SweepError(
                            f"backend {pool.name!r} loses every task it is given: {error!r}"
                        ) from error
                    words = "the worker died: out of memory, or a crash in compiled code"
                    outcome = Outcome(failures=[Failure(0, "WorkerDied", words, repr(error), None)])
                else:
                    came += 1
                    batches.learn(len(cells), outcome.seconds)
                yield cells, outcome
    finally:
        for future in waiting:
            future.cancel()


def pickled(work: Work) -> bytes:
    """Return work as bytes; functions defined in a script, a notebook or another function too."""
    import cloudpickle

    try:
        return cloudpickle.dumps(work)
    except Exception as error:
        raise InputError(
            f"the function or a fixed parameter cannot be sent to workers ({error}): make what cannot "
            "be pickled inside the function, or use backend='threads'"
        ) from error


def _submit(pool: Pool, work: Work | bytes, batch: Batch) -> Any:
    try:
        return pool.submit(run_batch, work, batch)
    except cf.BrokenExecutor as error:
        raise SweepError(
            f"the workers of backend {pool.name!r} have died and it takes no more tasks; with a store "
            "the finished points are kept, and the same call goes on from them"
        ) from error

"""What runs in a worker: a batch of cells in, arrays and failures out.

A cell is a point and a repeat. A cell that raises costs only itself: a vectorised block that raises
is computed again row by row, to find the guilty ones.
"""

from __future__ import annotations

import ctypes
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.sweep.backends import single_threaded
from axonal.sweep.grid import Follow, Grid, check_call
from axonal.sweep.seeding import SpawnKey, Streams, coordinate_hash, generator, spawn_key

Outputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Work:
    """What all tasks of one sweep share; pickled once."""

    function: Callable[..., Any]
    fixed: Mapping[str, Any]
    vectorized: bool
    seed: int
    random: bool
    time_limit: float | None
    follow: tuple[str, Follow] | None

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        grid: Grid,
        fixed: Mapping[str, Any] | None,
        vectorized: bool,
        seed: int,
        time_limit: float | None = None,
    ) -> Work:
        """Return the work of a sweep, after a check that the function takes its parameters."""
        fixed = dict(fixed or {})
        for name in fixed:
            if name in grid.names:
                raise InputError(f"{name!r} is both fixed and an axis of the sweep; it can be one")
        random = check_call(function, [*grid.names, *fixed], follow=grid.follow is not None)
        follow = None if grid.follow is None or grid.path is None else (grid.follow.dim, grid.path)
        return cls(function, fixed, vectorized, seed, random, time_limit, follow)


@dataclass(frozen=True)
class Batch:
    """The cells of one task: parameters by name (one value a cell), hashes (cells, 2), repeats."""

    parameters: Mapping[str, Sequence[Any]]
    keys: NDArray[np.uint64] | None
    repeats: NDArray[np.intp]

    @classmethod
    def of(
        cls, work: Work, grid: Grid, cells: NDArray[np.intp], common: Sequence[str] = ()
    ) -> Batch:
        """Return the batch of some cells, numbered repeat * points + point."""
        points = cells % grid.size
        keys = grid.keys(points, common) if work.random else None
        return cls(grid.parameters(points), keys, cells // grid.size)

    def __len__(self) -> int:
        return len(self.repeats)

    def row(self, i: int) -> Batch:
        """Return the batch of one cell."""
        cut = slice(i, i + 1)
        keys = None if self.keys is None else self.keys[cut]
        return Batch({n: v[cut] for n, v in self.parameters.items()}, keys, self.repeats[cut])

    def words(self, i: int) -> str:
        """Return the parameters of one cell in words."""
        return ", ".join(f"{n} = {v[i]!r}" for n, v in self.parameters.items()) or "the only point"

    def spawn_keys(self, extra: NDArray[np.uint64] | int = 0) -> list[SpawnKey]:
        """Return the spawn key of each cell; ``extra`` is the hash of a step along a path."""
        if self.keys is None:
            return []
        return [
            spawn_key(key, r)
            for key, r in zip(self.keys + np.uint64(extra), self.repeats, strict=True)
        ]


@dataclass(frozen=True)
class Failure:
    """A cell that raised. ``row`` is its place in the batch, ``step`` its coordinates on a path."""

    row: int
    error: str
    message: str
    traceback: str
    spawn_key: SpawnKey | None
    step: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a task returns: the rows of the batch that have outputs, those outputs, the failures."""

    rows: list[int] = field(default_factory=list)
    outputs: Outputs = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0


class ContractError(InputError):
    """The function does not fit a sweep (shapes, names): no failure of a point, the sweep ends."""


class TimeLimitError(Exception):
    """A point took longer than the sweep's time limit."""


def run_batch(work: Work | bytes, batch: Batch) -> Outcome:
    """Compute one batch. What the function raises is recorded; only ContractError is raised."""
    begin = time.perf_counter()
    shared = _unpickle(work) if isinstance(work, bytes) else work
    with single_threaded():
        outcome = _whole(shared, batch) if shared.vectorized else None
        outcome = _row_by_row(shared, batch) if outcome is None else outcome
    outcome.seconds = time.perf_counter() - begin
    return outcome


@lru_cache(maxsize=8)
def _unpickle(work: bytes) -> Work:
    import cloudpickle

    try:
        return cloudpickle.loads(work)
    except Exception as error:
        raise ContractError(f"the function cannot be loaded in a worker: {error!r}") from error


def _whole(work: Work, batch: Batch) -> Outcome | None:
    try:
        outputs, failures = _compute(work, batch)
    except ContractError:
        raise
    except Exception:
        return None
    return None if failures else Outcome(list(range(len(batch))), outputs)


def _row_by_row(work: Work, batch: Batch) -> Outcome:
    outcome = Outcome()
    collected: list[Outputs] = []
    for i in range(len(batch)):
        try:
            outputs, failures = _compute(work, batch.row(i))
        except ContractError:
            raise
        except Exception as error:
            keys = batch.spawn_keys()
            outcome.failures.append(_failure(error, keys[i] if keys else None, row=i))
            continue
        outcome.failures += [replace(failure, row=i) for failure in failures]
        if outputs:
            outcome.rows.append(i)
            collected.append(outputs)
    outcome.outputs = join(collected, lambda i: batch.words(outcome.rows[i]))
    return outcome


def join(parts: Sequence[Outputs], words: Callable[[int], str]) -> Outputs:
    """Concatenate outputs along their first axis; all must have the same names and shapes."""
    for i, part in enumerate(parts):
        if part.keys() != parts[0].keys():
            raise ContractError(
                f"the function returned {_names(part)} at {words(i)} but {_names(parts[0])} at {words(0)}"
            )
        for name, values in part.items():
            if values.shape[1:] != parts[0][name].shape[1:]:
                raise ContractError(
                    f"{name!r} has shape {values.shape[1:]} at {words(i)} but "
                    f"{parts[0][name].shape[1:]} at {words(0)}; all points need the same shape"
                )
    return {
        name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())
    }


def _names(outputs: Outputs) -> str:
    return ", ".join(sorted(outputs)) or "nothing"


def _compute(work: Work, batch: Batch) -> tuple[Outputs, list[Failure]]:
    """Return the outputs of a batch (its rows first); a path may have failures within."""
    if work.follow is not None:
        return _path(work, batch, *work.follow)
    return _call(work, batch, {}, batch.spawn_keys()), []


def _call(work: Work, batch: Batch, extra: Mapping[str, Any], keys: list[SpawnKey]) -> Outputs:
    if work.vectorized:
        parameters: dict[str, Any] = {
            name: np.asarray(column) for name, column in batch.parameters.items()
        }
    else:
        parameters = {name: column[0] for name, column in batch.parameters.items()}
    if work.random:
        streams = [generator(work.seed, key) for key in keys]
        parameters["rng"] = Streams(streams) if work.vectorized else streams[0]
    if work.time_limit is None:
        result = work.function(**parameters, **extra, **work.fixed)
    else:
        with _time_limit(work.time_limit * len(batch)):
            result = work.function(**parameters, **extra, **work.fixed)
    named = result if isinstance(result, Mapping) else {"value": result}
    outputs = {str(name): np.asarray(values) for name, values in named.items()}
    for name, values in outputs.items():
        if values.dtype.kind not in "biufcU":
            raise ContractError(
                f"the function returned {name} = {named[name]!r} at {batch.words(0)}: expected numbers, "
                "booleans or strings, or arrays of them"
            )
        if work.vectorized and values.shape[:1] != (len(batch),):
            raise ContractError(
                f"{name!r} has shape {values.shape} for a block of {len(batch)} points: a vectorised "
                f"function returns arrays whose first axis is the block, ({len(batch)}, ...)"
            )
    return outputs if work.vectorized else {name: values[None] for name, values in outputs.items()}


def _path(work: Work, batch: Batch, name: str, follow: Follow) -> tuple[Outputs, list[Failure]]:
    """Follow an axis; outputs have shape (rows, directions, points along the axis, ...)."""
    values = np.asarray(follow.values).tolist()
    done: dict[tuple[int, int], Outputs] = {}
    failures: list[Failure] = []
    start = follow.initial
    for direction, i in follow.steps():
        step = {"direction": follow.directions[direction], name: values[i]}
        keys = batch.spawn_keys(
            sum((coordinate_hash(*item) for item in step.items()), np.zeros(2, np.uint64))
        )
        extra = {
            name: np.full(len(batch), values[i]) if work.vectorized else values[i],
            "start": start,
        }
        try:
            outputs = _call(work, batch, extra, keys)
        except ContractError:
            raise
        except Exception as error:
            if len(batch) > 1:
                raise
            failures.append(_failure(error, keys[0] if keys else None, step=step))
            continue
        if follow.carry not in outputs:
            raise ContractError(
                f"the Follow axis {name!r} carries {follow.carry!r}, which the function does not return; "
                f"it returned {_names(outputs)}"
            )
        start = outputs[follow.carry] if work.vectorized else outputs[follow.carry][0]
        done[direction, i] = outputs
    if not done:
        return {}, failures
    joined = join(
        [{n: v[None] for n, v in outputs.items()} for outputs in done.values()],
        lambda _: batch.words(0),
    )
    shape = (len(follow.directions), len(values))
    result: Outputs = {}
    for output, column in joined.items():
        array = blank(
            (*shape, *column.shape[1:]),
            column.dtype if not failures else np.result_type(column, np.nan),
        )
        array[tuple(np.transpose(list(done)))] = column
        result[output] = np.moveaxis(array, 2, 0)
    return result, failures


def blank(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array that says "not computed": NaN where the type has it, else zero or ""."""
    kind = np.dtype(dtype).kind
    return np.full(shape, np.nan, dtype) if kind in "fc" else np.zeros(shape, dtype)


def _failure(
    error: Exception, key: SpawnKey | None, row: int = 0, step: Mapping[str, Any] | None = None
) -> Failure:
    text = "".join(traceback.format_exception(error))
    return Failure(row, type(error).__name__, str(error), text, key, step or {})


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError in this thread when ``seconds`` have passed.

    Works in any thread and on any system; it takes effect when control is back in Python, so it
    does not interrupt one long call into compiled code.
    """
    lock, over = threading.Lock(), False
    thread = ctypes.c_ulong(threading.get_ident())

    def expire() -> None:
        with lock:
            if not over:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeLimitError))

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except TimeLimitError:
        raise TimeLimitError(f"took longer than {seconds:g} s") from None
    finally:
        timer.cancel()
        with lock:
            over = True

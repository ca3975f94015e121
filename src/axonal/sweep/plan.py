"""Before a sweep starts: how many points, how long, how much memory; and a grid that fits a limit."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.sweep.backends import worker_count
from axonal.sweep.dispatch import Batches
from axonal.sweep.grid import Grid, Over
from axonal.sweep.worker import Batch, Work, run_batch

TRIAL_SECONDS = 2.0


@dataclass(frozen=True)
class Plan:
    """What a sweep will take. ``str(plan)`` says it in words.

    Parameters
    ----------
    axes
        Length of each axis.
    points, repeats
        Points of the grid (whole paths where an axis is followed), and repeats of each.
    seconds_each
        Mean time of one evaluation (a whole path where an axis is followed), from a few that were
        run.
    seconds
        Time of the sweep on ``workers``, without starting them.
    bytes
        Memory of the result.
    block
        Points in a call of a vectorised function; 0 if it is not.
    """

    axes: Mapping[str, int]
    points: int
    repeats: int
    seconds_each: float
    seconds: float
    bytes: int
    block: int
    workers: int

    def __str__(self) -> str:
        axes = " x ".join(f"{name} {count}" for name, count in self.axes.items())
        how = f"blocks of {self.block}" if self.block else "one call a point"
        return (
            f"{self.points} points ({axes}) x {self.repeats} repeats, {how}: "
            f"{_words(self.seconds_each)} each, about {_words(self.seconds)} on {self.workers} "
            f"workers; the result takes {self.bytes / 1e6:.3g} MB"
        )


def plan(
    function: Callable[..., Any],
    over: Over | Grid,
    *,
    fixed: Mapping[str, Any] | None = None,
    repeats: int = 1,
    seed: int = 0,
    vectorized: bool = False,
    block: int | None = None,
    jobs: int = 1,
) -> Plan:
    """Time a few points, spread over the grid, and say what the whole sweep will take.

    The arguments are those of ``sweep``. Points are run in this process for about two seconds; a
    point that raises counts with the time it took.
    """
    grid = over if isinstance(over, Grid) else Grid.of(over)
    work = Work.of(function, grid, fixed, vectorized, seed)
    cells = grid.size * repeats
    batches = Batches(np.arange(cells), np.zeros(cells, bool), block, vectorized)
    size = len(batches.take(1)) if vectorized else 1
    seconds, bytes_each = _trial(grid, work, size)
    workers = worker_count(jobs)
    busy = min(workers, -(-cells // size))
    return Plan(
        {axis.dim: len(axis) for axis in grid.axes}
        | ({} if grid.follow is None else {grid.follow.dim: len(grid.follow)}),
        grid.size,
        repeats,
        seconds,
        seconds * cells / busy,
        round(bytes_each * cells),
        size if vectorized else 0,
        workers,
    )


def thin(function: Callable[..., Any], grid: Grid, limit: str | float, **options: Any) -> Grid:
    """Return a grid of fewer points along its numeric axes whose plan fits ``limit``, or the same."""
    allowed = duration(limit)
    expected = plan(function, grid, **options)
    if expected.seconds <= allowed:
        return grid
    numeric = [axis.labels[0].dtype.kind in "iuf" for axis in grid.axes]

    def coarser(share: float) -> Grid:
        axes = [
            axis.take(_spread(len(axis), max(2, round(share * len(axis))))) if thinned else axis
            for axis, thinned in zip(grid.axes, numeric, strict=True)
        ]
        return Grid(tuple(axes), grid.follow, grid.path)

    def fits(candidate: Grid) -> bool:
        return expected.seconds * candidate.size / grid.size <= allowed

    shares = np.linspace(1, 0, 501)
    chosen = next((g for share in shares if fits(g := coarser(float(share)))), None)
    if chosen is None:
        least = expected.seconds * coarser(0.0).size / grid.size
        raise InputError(
            f"limit = {limit!r}: even the coarsest grid takes about {_words(least)} (the whole one "
            f"{_words(expected.seconds)}); raise the limit, or lower the repeats"
        )
    before, after = (" x ".join(f"{a.dim} {len(a)}" for a in g.axes) for g in (grid, chosen))
    warnings.warn(
        f"the whole grid takes about {_words(expected.seconds)}, more than limit = {limit!r}: it is "
        f"thinned from {before} to {after}",
        stacklevel=3,
    )
    return chosen


def duration(limit: str | float) -> float:
    """Return seconds: a number, or words such as "90s", "5min", "2h"."""
    units = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "": 1}
    match = re.fullmatch(r"\s*([\d.]+)\s*([a-z]*)\s*", str(limit))
    if match is None or match[2] not in units or not float(match[1]) > 0:
        raise InputError(
            f"limit = {limit!r}: expected seconds, or words such as '90s', '5min', '2h'"
        )
    return float(match[1]) * units[match[2]]


def _trial(grid: Grid, work: Work, size: int) -> tuple[float, float]:
    """Return seconds and bytes of one cell, from cells spread over the grid."""
    spread = _spread(grid.size, min(grid.size, 8 * size))
    sets = [cells for cells in np.array_split(spread, 8) if cells.size]
    run_batch(work, Batch.of(work, grid, spread[:1]))  # imports and caches do not count
    begun, count, seconds, total = time.perf_counter(), 0, 0.0, 0.0
    for cells in sets[::2] + sets[1::2]:
        outcome = run_batch(work, Batch.of(work, grid, cells))
        count += len(cells)
        seconds += outcome.seconds
        total += sum(values.nbytes for values in outcome.outputs.values())
        if time.perf_counter() - begun > TRIAL_SECONDS:
            break
    return seconds / count, total / count


def _spread(length: int, count: int) -> NDArray[np.intp]:
    """Return ``count`` of ``length`` indices, evenly spread, with both ends."""
    return np.unique(np.round(np.linspace(0, length - 1, min(count, length))).astype(np.intp))


def _words(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"

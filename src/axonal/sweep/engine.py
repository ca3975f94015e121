"""``sweep``: a function of one point in, a labelled dataset out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from axonal.errors import InputError, nearest
from axonal.sweep.backends import open_pool
from axonal.sweep.dispatch import SweepError
from axonal.sweep.estimates import STATISTICS, Until
from axonal.sweep.grid import Grid, Over
from axonal.sweep.identity import fingerprint, function_name, identify
from axonal.sweep.plan import thin
from axonal.sweep.progress import Progress, reporter
from axonal.sweep.provenance import provenance
from axonal.sweep.results import Kept, Labels, Streamed
from axonal.sweep.run import Run, add_repeats
from axonal.sweep.store import Store
from axonal.sweep.worker import Work

if TYPE_CHECKING:
    import pandas as pd


def sweep(
    function: Callable[..., Any],
    over: Over,
    *,
    fixed: Mapping[str, Any] | None = None,
    repeats: int = 1,
    until: Until | None = None,
    keep: Literal["repeats", "moments"] = "repeats",
    seed: int = 0,
    common: Sequence[str] = (),
    vectorized: bool = False,
    block: int | None = None,
    jobs: int = 1,
    backend: Any = None,
    store: str | Path | None = None,
    version: str | None = None,
    on_error: Literal["record", "raise"] = "record",
    retry_failed: bool = False,
    time_limit: float | None = None,
    limit: str | float | None = None,
    progress: Progress | str | None = None,
    units: Mapping[str, str] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Evaluate a function on a labelled grid, with repeats, in parallel, resumable.

    Parameters
    ----------
    function
        ``function(**parameters)`` returns a number, an array, or a dict of them by name. If it has
        a parameter ``rng`` it gets a ``numpy.random.Generator`` that depends on ``seed``, the
        point's coordinates and the repeat, and on nothing else.
    over
        ``{"a": values, ("b", "c"): (b_values, c_values)}``: different keys multiply, names in a
        tuple vary together. ``{label: object}`` as values labels what is not a number;
        ``Follow(values)`` computes an axis in order, each point from its neighbour.
    fixed
        Further arguments, the same at every point.
    repeats
        Independent evaluations of each point.
    until
        Instead of ``repeats``: add repeats until a standard error is reached.
    keep
        "repeats": a dimension ``repeat``. "moments": repeats are streamed into statistics
        (``summarize``), which needs no memory for them.
    seed
        Master seed.
    common
        Axes that do not enter the seed: all their points get the same random numbers.
    vectorized
        The function takes arrays of shape (block,) and returns arrays of shape (block, ...);
        ``rng`` is then a ``Streams``, one generator a row.
    block
        Points in a call of a vectorised function, or in a task; chosen if left out.
    jobs
        Workers; -1 for all cores.
    backend
        "serial", "threads", "processes", "dask", "ray" or an executor. Left out: serial for one
        job, processes for more.
    store
        Folder that keeps finished points: the same call computes only what is missing.
    version
        Identifies the function in the store in place of its code.
    on_error
        "record": a point that raises is NaN and stands in ``failures(dataset)``; "raise": stop.
    retry_failed
        Compute again what failed in an earlier call with the same store.
    time_limit
        Seconds a point may take before it counts as failed.
    limit
        Time for the whole sweep ("5min"): the grid is thinned until the plan fits, with a warning.
    progress
        "text" or "json" for lines on standard error, or a function (done, total).
    units
        Units of axes and outputs by name.
    dims, coords
        Dimension names of array outputs, and coordinates of those dimensions.

    Returns
    -------
    Dataset with a dimension for each axis, ``repeat`` where there are repeats, and those of the
    outputs. A single output has the name "value".
    """
    grid = Grid.of(over)
    work = Work.of(function, grid, fixed, vectorized, seed, time_limit)
    _check(work, grid, repeats, until, keep, common, on_error, block)
    if limit is not None:
        times = repeats if until is None else until.at_least
        grid = thin(
            function,
            grid,
            limit,
            fixed=fixed,
            repeats=times,
            vectorized=vectorized,
            block=block,
            jobs=jobs,
        )
    title, begun = function_name(function), time.time()
    with open_pool(backend, jobs) as pool:
        run = Run(
            grid,
            work,
            pool,
            common=tuple(common),
            block=block,
            labels=Labels(units or {}, dims or {}, coords or {}),
            store=None,
            stop_on_error=on_error == "raise",
            retry_failed=retry_failed,
            report=reporter(progress, title.rpartition(".")[2]),
        )
        if store is not None:
            run.store = Store.open(store, _identity(run, version))
        results = Kept(grid) if keep == "repeats" else Streamed(grid)
        counts = None
        try:
            if until is None:
                run.compute(results, np.arange(grid.size * repeats))
            else:
                counts = add_repeats(run, results, until)
        finally:
            if run.store is not None:
                run.store.flush()
    if not results.names:
        record = run.failures[0][1]
        raise SweepError(
            f"every point failed, the first with {record['error']}: {record['message']}\n{record['traceback']}"
        )
    dataset = xr.Dataset(results.variables(run.labels), _coordinates(run, results, counts))
    if keep == "repeats" and until is None and repeats == 1:
        dataset = dataset.isel(repeat=0)
    for name, unit in run.labels.units.items():
        dataset[name].attrs["units"] = unit
    failures = [record for _, record in sorted(run.failures, key=lambda item: item[0])]
    where = {"backend": pool.name, "jobs": pool.width, "reused": run.reused}
    return dataset.assign_attrs(
        function=title,
        seed=seed,
        failed=len(failures),
        failures=json.dumps(failures, default=str),
        provenance=json.dumps(provenance(function, begun) | where),
    )


def failures(dataset: xr.Dataset) -> pd.DataFrame:
    """Return the table of what failed in a sweep: coordinates, repeat, error, traceback, seed.

    ``numpy.random.default_rng(numpy.random.SeedSequence(seed, spawn_key=...))`` with the sweep's
    seed and the row's ``spawn_key`` is the generator that the point had.
    """
    import pandas as pd

    records = json.loads(dataset.attrs.get("failures", "[]"))
    columns = ["repeat", "error", "message", "spawn_key", "traceback"]
    rows = [record["point"] | {name: record[name] for name in columns} for record in records]
    return pd.DataFrame(rows, columns=None if rows else pd.Index(columns))


def _check(
    work: Work,
    grid: Grid,
    repeats: int,
    until: Until | None,
    keep: str,
    common: Sequence[str],
    on_error: str,
    block: int | None,
) -> None:
    for name in common:
        if name not in grid.names:
            raise InputError(f"common: there is no axis {name!r}: {nearest(name, grid.names)}")
    for name, value, known in (
        ("keep", keep, ("repeats", "moments")),
        ("on_error", on_error, ("record", "raise")),
    ):
        if value not in known:
            raise InputError(f"{name} = {value!r}: expected {' or '.join(map(repr, known))}")
    if repeats < 1:
        raise InputError(f"repeats = {repeats}: expected a positive number")
    if until is not None and repeats != 1:
        raise InputError("repeats and until: give one of them; until decides the number of repeats")
    if block is not None and block < 1:
        raise InputError(f"block = {block}: expected a positive number of points")
    if (repeats > 1 or until is not None) and not work.random:
        raise InputError(
            "repeats need randomness, but the function has no parameter 'rng': let it take rng, a "
            "numpy.random.Generator, and draw from that"
        )


def _identity(run: Run, version: str | None) -> dict[str, Any]:
    """Return what a store of this sweep is: all that decides its numbers, but the grid."""
    work = run.work
    identity: dict[str, Any] = dict(identify(work.function, work.fixed, version))
    if work.random:
        identity |= {"seed": work.seed, "common": sorted(run.common)}
    if work.follow is not None:
        name, follow = work.follow
        identity["follow"] = [name, follow.carry, fingerprint(follow.initial)]
    return identity


def _coordinates(run: Run, results: Kept | Streamed, counts: Any) -> dict[str, Any]:
    grid = run.grid
    coords: dict[str, Any] = {**run.labels.coords, **grid.coords()}
    if isinstance(results, Kept):
        coords["repeat"] = np.arange(len(results.have) // grid.size)
    else:
        coords["statistic"] = list(STATISTICS)
    if grid.path is not None:
        coords["direction"] = list(grid.path.directions)
    if counts is not None:
        coords["repeats"] = ([axis.dim for axis in grid.axes], counts.reshape(grid.shape))
    return coords

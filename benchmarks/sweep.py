"""What a sweep costs beside the function it calls: axonal, xyzpy and xsweep on the same grid.

    python -m benchmarks.sweep

All call the same function, a * b + 1, so that the time is the tool's own. Afterwards the same random
sweep runs on every backend that is installed, and its bits are compared. The peers come with
``pip install 'axonal[bench]'``.
"""

from __future__ import annotations

import functools
import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from axonal.sweep import sweep

SIDES = {"2 processes": 40, "blocks": 300}
SIDE, BLOCK, REPEATS, PATIENCE = 100, 4096, 3, 3.0
Case = Callable[[], xr.Dataset]


def point(a, b):
    return a * b + 1


def noisy(a, b, rng):
    return a * b + rng.normal()


def axes(side: int) -> dict[str, np.ndarray]:
    return {"a": np.linspace(0, 1, side), "b": np.linspace(0, 2, side)}


def ours(folder: Path) -> dict[str, Case]:
    grid = axes(SIDE)
    few, large = (axes(SIDES[case]) for case in ("2 processes", "blocks"))
    stored = functools.partial(sweep, point, grid)
    fresh = iter(range(100))
    stored(store=folder / "kept")
    return {
        "serial": lambda: sweep(point, grid),
        "2 processes": lambda: sweep(point, few, jobs=2),
        "blocks": lambda: sweep(point, large, vectorized=True, block=BLOCK),
        "with a store": lambda: stored(store=folder / str(next(fresh))),
        "from the store": lambda: stored(store=folder / "kept"),
        "random": lambda: sweep(noisy, grid),
    }


def xyzpy_cases(folder: Path) -> dict[str, Case]:
    import xyzpy

    grid = axes(SIDE)
    runner = xyzpy.Runner(point, "value")
    fresh = iter(range(100))

    def crop() -> xr.Dataset:
        crop = runner.Crop(name=str(next(fresh)), parent_dir=str(folder), batchsize=100)
        crop.sow_combos(grid, verbosity=0)
        crop.grow_missing(verbosity=0)
        return crop.reap(verbosity=0)

    def run(side: int, **options) -> xr.Dataset:
        return xyzpy.combo_runner_to_ds(point, axes(side), ["value"], verbosity=0, **options)

    return {
        "serial": lambda: run(SIDE),
        "2 processes": lambda: run(SIDES["2 processes"], parallel=True, num_workers=2),
        "with a store": crop,
    }


if importlib.util.find_spec("xsweep"):
    import xsweep

    @xsweep.sweep("loop(a, b) -> value()", version="1")  # its processes find it by its name
    def single(a, b):
        return a * b + 1

    @xsweep.sweep("batch(a, b) -> value()", version="1")
    def batched(a, b):
        return a * b + 1


def xsweep_cases(folder: Path) -> dict[str, Case]:
    sides = (SIDE, SIDES["2 processes"], SIDES["blocks"])
    space, few, large = (xr.Dataset({n: (n, v) for n, v in axes(s).items()}) for s in sides)
    policy = xsweep.SweepPolicy
    fresh = iter(range(100))
    single(space, policy=policy(store=folder / "kept.zarr"))
    return {
        "serial": lambda: single(space),
        "2 processes": lambda: single(few, policy=policy(executor="process", max_workers=2)),
        "blocks": lambda: batched(large, policy=policy(batch_size=BLOCK)),
        "with a store": lambda: single(space, policy=policy(store=folder / f"{next(fresh)}.zarr")),
        "from the store": lambda: single(space, policy=policy(store=folder / "kept.zarr")),
    }


def microseconds(case: Case, expected: np.ndarray | None) -> float:
    """Return the best time a point of a few runs, after one that warms up; check the result."""
    best, begun = np.inf, time.perf_counter()
    for i in range(REPEATS + 1):
        start = time.perf_counter()
        data = case()
        best = min(best, time.perf_counter() - start) if i else best
        if i and time.perf_counter() - begun > PATIENCE:
            break
    values = np.asarray(data["value"])
    assert expected is None or np.array_equal(values, expected)
    return 1e6 * best / values.size


def compare(folder: Path) -> None:
    tools = {"axonal": ours}
    for name, cases in (("xyzpy", xyzpy_cases), ("xsweep", xsweep_cases)):
        if importlib.util.find_spec(name):
            tools[name] = cases
        else:
            print(f"{name} is not installed: pip install 'axonal[bench]'")
    table: dict[str, dict[str, float]] = {}
    for name, cases in tools.items():
        (folder / name).mkdir()
        for case, run in cases(folder / name).items():
            side = axes(SIDES.get(case, SIDE))
            expected = None if case == "random" else point(side["a"][:, None], side["b"])
            table.setdefault(case, {})[name] = microseconds(run, expected)
    print("\nmicroseconds a point (and ratio to axonal)")
    print(f"{'':16}" + "".join(f"{name:>20}" for name in tools))
    for case, times in table.items():
        cells = [f"{t:.3g} ({t / times['axonal']:.1f}x)" for t in times.values()]
        named = dict(zip(times, cells, strict=True))
        print(f"{case:16}" + "".join(f"{named.get(name, '-'):>20}" for name in tools))


def backends() -> None:
    print(
        "\nthe same random sweep on every backend: microseconds a point, first call and after, bits"
    )
    reference = sweep(noisy, axes(SIDE))
    for backend in ("serial", "threads", "processes", "dask", "ray"):
        library = {"dask": "distributed", "ray": "ray"}.get(backend)
        if library and not importlib.util.find_spec(library):
            print(f"{backend:10} is not installed")
            continue
        times = []
        for _ in range(2):
            start = time.perf_counter()
            data = sweep(noisy, axes(SIDE), backend=backend, jobs=2)
            times.append(1e6 * (time.perf_counter() - start) / SIDE**2)
        same = "same bits" if data.equals(reference) else "OTHER BITS"
        print(f"{backend:10} {times[0]:8.1f} {times[1]:8.1f}   {same}")


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder))
    backends()


if __name__ == "__main__":
    main()

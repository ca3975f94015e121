"""What a running study holds: seeds, the run folder, and ways to record what it finds.

Everything is written the moment it is recorded, each file whole or not at all, so that a run that
is killed can be continued: its finished stages, sweeps, figures and measurements are kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from axonal.errors import InputError
from axonal.lab.files import read_json, write_json
from axonal.lab.progress import Reporter, Silent

if TYPE_CHECKING:
    import numpy as np
    import torch
    import xarray as xr
    from matplotlib.figure import Figure

    from axonal.lab.measurement import Measurement

T = TypeVar("T")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Session:
    """One execution of a study, as the study sees it.

    Parameters
    ----------
    folder
        The run folder, which exists.
    seed, preset, jobs, backend
        As the user asked.
    reporter
        Who hears of the progress.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 0,
        preset: str = "laptop",
        jobs: int = 1,
        backend: str = "serial",
        reporter: Reporter | None = None,
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.preset = preset
        self.jobs = jobs
        self.backend = backend
        self._reporter: Reporter = reporter or Silent()
        self._measurements: dict[str, Measurement] = _kept_measurements(folder)
        self._figures: list[dict[str, str]] = _kept(folder / "figures.json")
        self._notes: list[str] = _kept(folder / "notes.json")
        self._recorded: set[tuple[str, str]] = set()

    # Randomness

    def seed_for(self, name: str) -> int:
        """Return a seed of its own for a named part, the same in every run with the same seed."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF

    def rng(self, name: str) -> np.random.Generator:
        """Return the random stream of a name, from its start: each call gives the same numbers."""
        import numpy as np

        return np.random.default_rng([self.seed, self.seed_for(name)])

    def torch_generator(self, name: str, device: str = "cpu") -> torch.Generator:
        """Return the torch stream of a name, from its start: each call gives the same numbers."""
        import torch

        return torch.Generator(device).manual_seed(self.seed_for(name))

    # What a study records

    def measure(
        self,
        name: str,
        values: Any,
        unit: str = "",
        *,
        along: Any = None,
        along_name: str = "",
        exact: bool = False,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        """Record a measurement.

        Parameters
        ----------
        name
            What the claims call it.
        values
            One number or ``(repeats,)``; with `along` ``(repeats, points)`` or ``(points,)``.
        unit
            Its unit; empty for a plain number.
        along, along_name
            For a series: where the points were taken, ascending, and what that is.
        exact
            A deterministic number, which needs no interval. A single value that is not exact
            leaves the claims on it inconclusive.
        bounds
            The least and the greatest value there can be, such as ``(-1, 1)`` of a correlation;
            its interval ends there.
        """
        from axonal.lab.measurement import Measurement

        measurement = Measurement.of(
            name, values, unit, along=along, along_name=along_name, exact=exact, bounds=bounds
        )
        self._once("measurement", name)
        self._measurements[name] = measurement
        write_json(
            self.folder / "measurements.json",
            {name: kept.to_json() for name, kept in self._measurements.items()},
        )

    def figure(self, name: str, figure: Figure, caption: str = "", alt: str = "") -> None:
        """Save a figure as SVG and close it.

        Parameters
        ----------
        name
            The file's name in ``figures/``.
        figure
            A matplotlib figure.
        caption
            What a reader sees under it.
        alt
            What it shows, in words, for those who can't see it.
        """
        from axonal.lab.figures import save_svg

        _check_name("figure", name)
        self._once("figure", name)
        save_svg(figure, self.folder / "figures" / f"{name}.svg")
        self._figures = [kept for kept in self._figures if kept["name"] != name]
        self._figures.append({"name": name, "caption": caption, "alt": alt or caption or name})
        write_json(self.folder / "figures.json", self._figures)

    def data(self, name: str, dataset: xr.Dataset) -> None:
        """Save a dataset as ``data/NAME.nc``."""
        from axonal.lab.datasets import save_dataset

        _check_name("data", name)
        self._once("data", name)
        save_dataset(dataset, self.folder / "data" / f"{name}.nc")

    def note(self, text: str) -> None:
        """Record a limit, an assumption or a deviation, which the report shows."""
        if text not in self._notes:
            self._notes.append(text)
            write_json(self.folder / "notes.json", self._notes)

    # Work that survives a kill

    def stage(self, name: str, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
        """Return what `compute` gives, from ``data/NAME.nc`` when an earlier attempt finished it."""
        from axonal.lab.datasets import load_dataset, save_dataset

        _check_name("stage", name)
        self._once("data", name)
        path = self.folder / "data" / f"{name}.nc"
        if not path.exists():
            with self.progress(name.replace("_", " ")):
                save_dataset(compute(), path)
        return load_dataset(path)

    def stages(self, computes: Mapping[str, Callable[[], xr.Dataset]]) -> list[xr.Dataset]:
        """Return what several stages give, computing as many at a time as there are jobs.

        With several jobs each is computed in a process of its own, where this session's progress is
        out of reach; its result is kept as soon as it and those before it are there.

        Parameters
        ----------
        computes
            By name, as for `stage`; with several jobs they must be picklable.
        """
        from axonal.lab.datasets import save_dataset

        for name in computes:
            _check_name("stage", name)
        paths = {name: self.folder / "data" / f"{name}.nc" for name in computes}
        left = [name for name, path in paths.items() if not path.exists()]
        if self.jobs != 1 and len(left) > 1:
            from joblib import Parallel, delayed

            workers = Parallel(n_jobs=self.jobs, return_as="generator")
            made: Any = workers(delayed(computes[name])() for name in left)
            with self.progress(f"{len(left)} stages", len(left)) as advance:
                for name, dataset in zip(left, made, strict=True):
                    save_dataset(dataset, paths[name])
                    advance()
        return [self.stage(name, compute) for name, compute in computes.items()]

    def sweep(
        self, name: str, function: Callable[..., Any], over: Any, **options: Any
    ) -> xr.Dataset:
        """Run `axonal.sweep.sweep`, its points stored in the run folder as they are finished.

        Seed, jobs, back end and progress are this session's; `options` are the sweep's own.
        """
        from axonal.sweep import sweep

        _check_name("sweep", name)
        self._once("sweep", name)
        with self.progress(name.replace("_", " ")) as advance:
            settings: dict[str, Any] = {
                "seed": self.seed_for(name),
                "jobs": self.jobs,
                "backend": self.backend,
                "store": self.folder / "sweeps" / name,
                "progress": _following(advance),
            }
            return sweep(function, over, **(settings | options))

    @contextmanager
    def progress(self, label: str, total: int | None = None) -> Iterator[Callable[..., None]]:
        """Tell how far a piece of work is: ``with session.progress("patching", 30) as advance``."""
        done = 0

        def advance(steps: int = 1, of: int | None = None) -> None:
            nonlocal done, total
            done += steps
            total = of or total
            self._reporter.advance(label, done, total)

        self._reporter.begin(label, total)
        try:
            yield advance
        finally:
            self._reporter.end(label)

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Go through items and tell how far: ``for layer in session.track(layers, "layers")``."""
        if total is None and hasattr(items, "__len__"):
            total = len(items)  # pyright: ignore[reportArgumentType]
        with self.progress(label, total) as advance:
            for item in items:
                yield item
                advance()

    def _once(self, kind: str, name: str) -> None:
        if (kind, name) in self._recorded:
            raise InputError(
                f"The {kind} {name!r} was recorded twice in one run; give it another name"
            )
        self._recorded.add((kind, name))


def _following(advance: Callable[..., None]) -> Callable[[int, int], None]:
    """Turn steps of a progress bar into the sweep's ``progress(done, total)``."""
    before = 0

    def follow(done: int, total: int) -> None:
        nonlocal before
        advance(done - before, of=total)
        before = done

    return follow


def _check_name(kind: str, name: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(
            f"The name of a {kind} becomes a file name: letters, digits, '-', '_' and '.'; got {name!r}"
        )


def _kept(path: Path) -> list[Any]:
    return read_json(path) if path.exists() else []


def _kept_measurements(folder: Path) -> dict[str, Measurement]:
    path = folder / "measurements.json"
    if not path.exists():
        return {}
    from axonal.lab.measurement import Measurement

    return {name: Measurement.from_json(name, kept) for name, kept in read_json(path).items()}

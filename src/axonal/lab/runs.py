"""Run folders: where they are, how one begins, is found again, and is finished.

``runs/SLUG/20250828T120000Z-laptop-0`` holds a finished run. While it is being written its name
ends with ``.partial``; finishing is one atomic rename, so a folder without that ending is whole.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from axonal.errors import AxonalError, InputError, nearest
from axonal.lab.files import disk_error, read_json, write_json

PARTIAL = ".partial"
LOCK = ".lock"
NEEDED_BYTES = 50_000_000


@dataclass(frozen=True)
class Run:
    """One execution of a study, on disk."""

    folder: Path

    @property
    def finished(self) -> bool:
        """Whether it was finalised."""
        return not self.folder.name.endswith(PARTIAL)

    @property
    def state(self) -> Literal["finished", "running", "interrupted"]:
        """Whether it is whole, being written by some process, or left by one."""
        if self.finished:
            return "finished"
        try:
            with locked(self):
                return "interrupted"
        except AxonalError:
            return "running"

    @property
    def about(self) -> dict[str, Any]:
        """What ``run.json`` says: slug, preset, seed, scale, times, where the study came from."""
        return read_json(self.folder / "run.json")

    @property
    def slug(self) -> str:
        """The study's slug."""
        return str(self.about["slug"])

    @property
    def config(self) -> dict[str, Any]:
        """The configuration it ran with."""
        return read_json(self.folder / "config.json")

    @property
    def study(self) -> dict[str, Any]:
        """The study as it was declared when the run began: paper, claims, settings, data."""
        return read_json(self.folder / "study.json")

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, hardware and source it ran with."""
        return read_json(self.folder / "environment.json")

    @property
    def measurements(self) -> dict[str, Any]:
        """Measurements with their means and intervals, as JSON."""
        path = self.folder / "measurements.json"
        return read_json(path) if path.exists() else {}

    @property
    def claims(self) -> list[dict[str, Any]]:
        """Claims with their verdicts; empty until the run is finished."""
        path = self.folder / "claims.json"
        return read_json(path) if path.exists() else []

    @property
    def report(self) -> Path:
        """The report of a finished run."""
        return self.folder / "report.html"


def home() -> Path:
    """The folder that holds the runs: ``$AXONAL_RUNS`` or ``./runs``."""
    return Path(os.environ.get("AXONAL_RUNS") or "runs")


def create(slug: str, preset: str, seed: int, where: Path | None = None) -> Run:
    """Make the folder of a new run, and say at once if nothing can be written there."""
    parent = (where or home()) / slug
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1000):
            stem = f"{stamp}-{preset}-{seed}" + (f"-{attempt + 1}" if attempt else "")
            folder = parent / f"{stem}{PARTIAL}"
            if (parent / stem).exists():
                continue
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            break
        else:
            raise AxonalError(f"{parent} already holds a thousand runs of this second")
    except OSError as error:
        raise disk_error(error, parent) from error
    free = shutil.disk_usage(parent).free
    if free < NEEDED_BYTES:
        folder.rmdir()
        raise AxonalError(
            f"The disk that holds {parent} has {free / 1e6:.0f} MB left; a run needs at least "
            f"{NEEDED_BYTES / 1e6:.0f} MB: free some space or set AXONAL_RUNS elsewhere"
        )
    return Run(folder)


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Hold a run for this process; the system lets go of it when the process dies."""
    from filelock import FileLock, Timeout

    path = run.folder / LOCK
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AxonalError(f"{run.folder} is being written by another process") from None
    try:
        yield
    finally:
        lock.release()


def finish(run: Run) -> Run:
    """Finalise a run: one atomic rename."""
    (run.folder / LOCK).unlink(missing_ok=True)
    final = run.folder.with_name(run.folder.name.removesuffix(PARTIAL))
    try:
        run.folder.rename(final)
    except OSError as error:
        raise disk_error(error, final) from error
    return Run(final)


def discard_if_empty(run: Run) -> None:
    """Remove an unfinished run that has recorded nothing: there is nothing in it to continue."""
    recorded = ("measurements.json", "figures.json", "notes.json", "data", "sweeps")
    if not any((run.folder / name).exists() for name in recorded):
        shutil.rmtree(run.folder, ignore_errors=True)


def runs(slug: str | None = None, where: Path | None = None) -> list[Run]:
    """Return the runs there are, newest first."""
    found = [Run(path.parent) for path in (where or home()).glob("*/*/run.json")]
    if slug is not None:
        found = [run for run in found if run.folder.parent.name == slug]
    return sorted(found, key=lambda run: run.folder.name, reverse=True)


def find(name: str | Path, where: Path | None = None, *, unfinished: bool = False) -> Run:
    """Find a run by its folder, its name, or its study's slug (the newest run of it).

    With `unfinished` a slug means the newest run of it that can be resumed.
    """
    for path in (Path(name), Path(f"{name}{PARTIAL}"), Path(str(name).removesuffix(PARTIAL))):
        if (path / "run.json").is_file():
            return Run(path)
    there = runs(where=where)
    text = str(name).rstrip("/").removesuffix(PARTIAL)
    for run in there:
        stem = run.folder.name.removesuffix(PARTIAL)
        if text in (stem, f"{run.folder.parent.name}/{stem}"):
            return run
    of_study = [run for run in there if run.folder.parent.name == text]
    for run in of_study:
        if not (unfinished and run.finished):
            return run
    if of_study:
        raise InputError(f"Every run of {text} is finished: there is nothing to resume")
    slugs = {run.folder.parent.name for run in there}
    names = {run.folder.name.removesuffix(PARTIAL) for run in there}
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.8)
    hint = f"did you mean {close[0]}?" if close else f"{nearest(text, slugs)} (axonal runs)"
    raise InputError(f"There is no run {str(name)!r} in {where or home()}: {hint}")


def describe(run: Run, **about: Any) -> None:
    """Write ``run.json``, keeping what it already says."""
    path = run.folder / "run.json"
    kept = read_json(path) if path.exists() else {}
    write_json(path, {**kept, **about})

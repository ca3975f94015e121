"""Progress on standard error: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from axonal.lab.progress import Reporter
from axonal.lab.words import duration

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def reporting() -> Iterator[Reporter]:
    """Give the reporter that fits where standard error goes."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    bar = Bar()
    with bar.shown():
        yield bar


class Lines:
    """Plain lines, at most one every few seconds for each piece of work."""

    def __init__(self, every_s: float = 5.0) -> None:
        self._every_s = every_s
        self._begun_s: dict[str, float] = {}
        self._told_s: dict[str, float] = {}

    def begin(self, label: str, total: int | None) -> None:
        """Say that it starts."""
        self._begun_s[label] = self._told_s[label] = time.monotonic()
        self.say(f"{label}{f' (0 of {total})' if total else ''}")

    def advance(self, label: str, done: int, total: int | None) -> None:
        """Say how far it is, when it was last said a while ago."""
        now_s = time.monotonic()
        if now_s - self._told_s.get(label, 0.0) >= self._every_s:
            self._told_s[label] = now_s
            self.say(f"{label}: {done}{f' of {total}' if total else ''}")

    def end(self, label: str) -> None:
        """Say how long it took."""
        took_s = time.monotonic() - self._begun_s.pop(label, time.monotonic())
        if took_s >= 1:
            self.say(f"{label}: {duration(took_s)}")

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)


class Bar:
    """A live bar for each piece of work under way; what is finished becomes a line."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        from axonal.cli.output import console

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bars while the block runs."""
        with self._progress:
            yield

    def begin(self, label: str, total: int | None) -> None:
        """Add a bar."""
        task = self._progress.add_task(label, total=total)
        self._tasks[label] = (task, time.monotonic())

    def advance(self, label: str, done: int, total: int | None) -> None:
        """Move a bar."""
        if label in self._tasks:
            self._progress.update(self._tasks[label][0], completed=done, total=total)

    def end(self, label: str) -> None:
        """Turn a bar into a line with its time; an inner one just goes."""
        if label not in self._tasks:
            return
        task, begun_s = self._tasks.pop(label)
        self._progress.remove_task(task)
        took_s = time.monotonic() - begun_s
        if not self._tasks and took_s >= 1:
            self.say(f"✓ {label}  {duration(took_s)}")

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(text, soft_wrap=True)

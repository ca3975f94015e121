"""How a running study tells how far it is: to a file, to a terminal, to nobody."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Protocol


class Reporter(Protocol):
    """What hears of a run's progress."""

    def begin(self, label: str, total: int | None) -> None:
        """A piece of work of `total` steps starts; None when nobody knows how many."""
        ...

    def advance(self, label: str, done: int, total: int | None) -> None:
        """`done` steps of it are finished."""
        ...

    def end(self, label: str) -> None:
        """It is over, finished or not."""
        ...

    def say(self, text: str) -> None:
        """Something a person may want to read."""
        ...


class Silent:
    """Hears and does nothing."""

    def begin(self, label: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, label: str, done: int, total: int | None) -> None:
        """Do nothing."""

    def end(self, label: str) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""


class ProgressFile:
    """Appends events to ``progress.jsonl``, which a gallery or a person follows."""

    def __init__(self, path: Path, every_s: float = 0.2) -> None:
        self._path = path
        self._every_s = every_s
        self._last_s = 0.0
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            with path.open("a", encoding="utf-8") as file:  # a kill tore the last line
                file.write("\n")

    def begin(self, label: str, total: int | None) -> None:
        """Write that a piece of work starts."""
        self.event("begin", label=label, total=total)

    def advance(self, label: str, done: int, total: int | None) -> None:
        """Write how far it is, at most a few times a second."""
        now_s = time.monotonic()
        if done == total or now_s - self._last_s >= self._every_s:
            self._last_s = now_s
            self.event("advance", label=label, done=done, total=total)

    def end(self, label: str) -> None:
        """Write that it is over."""
        self.event("end", label=label)

    def say(self, text: str) -> None:
        """Write a message."""
        self.event("say", text=text)

    def event(self, kind: str, **fields: object) -> None:
        """Append one event with the time it happened."""
        line = json.dumps({"time": round(time.time(), 3), "event": kind, **fields})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class Both:
    """Tells several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def begin(self, label: str, total: int | None) -> None:
        """Tell each."""
        for reporter in self._reporters:
            reporter.begin(label, total)

    def advance(self, label: str, done: int, total: int | None) -> None:
        """Tell each."""
        for reporter in self._reporters:
            reporter.advance(label, done, total)

    def end(self, label: str) -> None:
        """Tell each."""
        for reporter in self._reporters:
            reporter.end(label)

    def say(self, text: str) -> None:
        """Tell each."""
        for reporter in self._reporters:
            reporter.say(text)

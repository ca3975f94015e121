"""Progress as text lines or JSON lines on standard error, or to a function of the user's."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from axonal.errors import InputError

Progress = Callable[[int, int], None]


def reporter(progress: Progress | str | None, title: str, every: float = 2.0) -> Progress:
    """Return a function (done, total); lines come at most every ``every`` seconds, and at the end."""
    if callable(progress):
        return progress
    if progress is None:
        return _silent
    if progress not in ("text", "json"):
        raise InputError(
            f"progress = {progress!r}: expected 'text', 'json' or a function (done, total)"
        )
    begin, last = time.monotonic(), [0.0]

    def report(done: int, total: int) -> None:
        seconds = time.monotonic() - begin
        if done < total and seconds - last[0] < every:
            return
        last[0] = seconds
        left = seconds / done * (total - done) if done else float("nan")
        if progress == "json":
            values = {"sweep": title, "done": done, "total": total, "seconds": round(seconds, 3)}
            line = json.dumps(values | ({"left": round(left, 3)} if done else {}))
        else:
            line = f"sweep {title}: {done} of {total}, {seconds:.1f} s"
            line += f", about {left:.0f} s left" if 0 < done < total else ""
        print(line, file=sys.stderr, flush=True)

    return report


def _silent(done: int, total: int) -> None:
    del done, total

"""Run another program, watch it while it works, and never leave it behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_TICK_SECONDS = 0.1


class ProgramError(Exception):
    """A program ended with an error; ``said`` is everything that it printed."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


def run(
    command: list[str], log: Path, watch: Callable[[], None], environment: dict[str, str]
) -> None:
    """Run a program to its end.

    Whatever is raised meanwhile (Ctrl-C, an error in ``watch``) ends the program too. Its standard
    input is a pipe that closes when this process dies, however it dies: a program that waits for
    that can end itself.

    Parameters
    ----------
    command
        The program and its arguments.
    log
        File for what it prints.
    watch
        Called about ten times a second while it runs.
    environment
        Variables set for it, in addition to this process's own.

    Raises
    ------
    ProgramError
        It ended with an error.
    OSError
        It ended because the disk is full (``ENOSPC``).
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        try:
            while process.poll() is None:
                watch()
                time.sleep(_TICK_SECONDS)
        finally:
            process.kill()  # does nothing to one that has ended
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
    if process.returncode != 0:
        said = log.read_text(encoding="utf-8", errors="replace")
        if "No space left on device" in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise ProgramError(said)


def end_with_the_parent() -> None:
    """End this process as soon as the one that started it is gone and its pipe closes."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()

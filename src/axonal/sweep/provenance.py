"""Where a dataset comes from: versions, machine, time, the commit of the function's repository."""

from __future__ import annotations

import inspect
import platform
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any


def provenance(function: Callable[..., Any], begun: float) -> dict[str, Any]:
    """Return what a reader needs to run a sweep again, as JSON values."""
    while isinstance(function, partial):
        function = function.func
    try:
        folder = str(Path(inspect.getfile(function)).parent)
    except (TypeError, OSError):
        folder = ""
    packages = ("axonal", "numpy", "xarray", "scipy")
    return {
        "begun": datetime.fromtimestamp(begun, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - begun, 3),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in packages},
        **({"commit": commit} if (commit := _commit(folder)) else {}),
    }


@lru_cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a source tree on the path, not installed
        return "not installed"


@lru_cache
def _commit(folder: str) -> str:
    """Return the commit of a folder under git, with "+" where it has changes; else ""."""
    if not Path(folder).is_dir():
        return ""
    try:
        run = partial(
            subprocess.run, cwd=folder, capture_output=True, text=True, timeout=5, check=True
        )
        commit = run(["git", "rev-parse", "--short=12", "HEAD"]).stdout.strip()
        changed = run(["git", "status", "--porcelain", "--untracked-files=no", "."]).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + "+" * bool(changed)

"""What a run stood on: versions, hardware, threads and the commit of the source."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from axonal import __version__

PACKAGES = ("numpy", "scipy", "torch", "transformers", "xarray", "pydantic", "matplotlib")
THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def environment(seed: int) -> dict[str, Any]:
    """Return the environment as JSON."""
    return {
        "axonal": __version__,
        "commit": commit(Path(__file__)),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "seed": seed,
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "accelerator": None,
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
    }


def complete(begun: dict[str, Any], names: Iterable[str] = ()) -> dict[str, Any]:
    """Add what is known only after the run: where its models came from, threads, accelerator.

    Parameters
    ----------
    begun
        What `environment` gave.
    names
        What the run may have used; names of assets that are on this machine are kept, with the
        origin of their files (the same model from another origin has other weights).
    """
    from axonal import assets

    known = {asset.name for asset in assets.known()}
    origins = {name: assets.status(name).origin for name in dict.fromkeys(names) if name in known}
    used = {name: origin for name, origin in origins.items() if origin}
    begun = {**begun, "assets": used} if used else begun
    torch = sys.modules.get("torch")
    if torch is None:
        return begun
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    threads = {**begun["threads"], "torch": torch.get_num_threads()}
    return {**begun, "accelerator": gpu, "threads": threads}


def commit(file: Path) -> str | None:
    """Return the commit that a tracked file is at, with ``-dirty`` where its tree has changes.

    None for a file that no repository tracks, such as one that was installed.
    """
    git = ["git", "-C", str(file.parent)]
    try:
        subprocess.run(
            [*git, "ls-files", "--error-unmatch", file.name],
            capture_output=True,
            timeout=10,
            check=True,
        )
        described = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
        found = subprocess.run(described, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, OSError, ValueError):
        return None

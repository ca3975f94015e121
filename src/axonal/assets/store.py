"""The folder in which assets live, and the rules that keep half an asset from ever being used.

An asset is a folder ``$AXONAL_HOME/assets/NAME`` whose ``card.json`` lists every file with its
size and SHA-256. It is built in a temporary sibling, flushed to the disk and renamed into place
in one step, so it is either whole or not there, whatever kills the process and when. One process
at a time builds an asset: the others wait on a lock, which the operating system releases when
its holder dies.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axonal.files import sha256

CARD = "card.json"

Progress = Callable[[str, int, int], None]
"""``progress(what, done, total)``: what is going on, and how far it is."""


def silent(what: str, done: int, total: int) -> None:
    """Report progress to nobody."""


def home() -> Path:
    """Return axonal's folder: ``$AXONAL_HOME``, or the platform's cache folder."""
    if chosen := os.environ.get("AXONAL_HOME"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "axonal"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "axonal"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "axonal"


def folder(name: str) -> Path:
    """Return where the asset of that name lives once it is there."""
    return home() / "assets" / name


def read_card(name: str) -> dict[str, Any] | None:
    """Return the card of an asset, None if the asset is not there or its card is unreadable."""
    try:
        card = json.loads((folder(name) / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and {"files", "origin"} <= card.keys() else None


def damage(name: str, card: dict[str, Any], *, hashes: bool) -> list[str]:
    """Return one phrase for each file that is not as the card says.

    Sizes are compared always, which takes no time; contents where ``hashes`` is true.
    """
    found = []
    for relative, expected in card["files"].items():
        path = folder(name) / relative
        if not path.is_file():
            found.append(f"{relative} is missing")
        elif (size := path.stat().st_size) != expected["bytes"]:
            found.append(f"{relative} has {size} bytes, expected {expected['bytes']}")
        elif hashes and (actual := sha256(path)) != expected["sha256"]:
            found.append(f"{relative} has SHA-256 {actual}, expected {expected['sha256']}")
    return found


@contextmanager
def locked(name: str, progress: Progress = silent) -> Iterator[None]:
    """Hold the lock of one asset; wait for another process that has it."""
    from filelock import FileLock, Timeout

    path = home() / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("waiting for another process that pulls it", 0, 1)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def staging(name: str) -> Iterator[Path]:
    """Give an empty folder beside the asset's place, removed afterwards.

    The caller holds the lock, so what an earlier, killed process left there is stale: it goes too.
    """
    place = folder(name)
    place.parent.mkdir(parents=True, exist_ok=True)
    for stale in place.parent.glob(f".{name}.*"):
        shutil.rmtree(stale, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=place.parent))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def install(name: str, built: Path, about: dict[str, Any], *, progress: Progress = silent) -> Path:
    """Write the card into ``built``, flush everything to the disk and rename it into place."""
    files = sorted(path for path in built.rglob("*") if path.is_file())
    card = dict(about)
    card["files"] = {}
    for done, path in enumerate(files):
        progress("checksums", done, len(files))
        path.chmod(0o644)
        card["files"][path.relative_to(built).as_posix()] = {
            "bytes": path.stat().st_size,
            "sha256": sha256(path),
        }
    (built / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    for path in [*files, built / CARD]:
        _flush(path)
    for path in [path for path in built.rglob("*") if path.is_dir()] + [built]:
        _flush(path)
    place = folder(name)
    if place.exists():  # damaged, or asked for again: out of the way first, then gone
        place.rename(built.with_name(built.name + ".old"))
    built.rename(place)
    _flush(place.parent)
    progress("checksums", len(files), len(files))
    return place


def _flush(path: Path) -> None:
    """Ask the operating system to bring a file or folder to the disk."""
    if path.is_dir() and sys.platform == "win32":
        return  # folders have no handle to flush there
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

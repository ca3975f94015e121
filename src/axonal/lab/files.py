"""Files that are either there whole or not there, and words for what a disk refuses."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from axonal.errors import AxonalError, InputError

UNFINISHED = ".unfinished-"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` and move it there once it is written and flushed.

    A process killed at any moment leaves the old file or the new one, never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=UNFINISHED, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for path in folder.rglob(f"{UNFINISHED}*"):
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all; numbers that JSON lacks must be strings by now."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; one that is missing or torn is one clear sentence."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read as JSON: {error}") from error


def disk_error(error: OSError, path: Path) -> AxonalError:
    """Say what a disk refused and what to do about it."""
    if error.errno == errno.ENOSPC:
        return AxonalError(
            f"The disk that holds {path.parent} is full; free some space or set AXONAL_RUNS elsewhere"
        )
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return AxonalError(f"{path} can't be written ({error.strerror}); set AXONAL_RUNS elsewhere")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return AxonalError(
            f"{path} can't be a folder, since a file is in its way; set AXONAL_RUNS elsewhere"
        )
    return AxonalError(
        f"{path} can't be written ({error.strerror or error}); set AXONAL_RUNS elsewhere"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""Files and folders that are there whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from axonal.errors import AxonalError, InputError

if TYPE_CHECKING:
    from torch import Tensor

UNFINISHED = ".unfinished-"


@contextmanager
def whole_file(path: Path, hint: str = "") -> Iterator[Path]:
    """Give a temporary path beside ``path`` and move it there once it is written and flushed.

    A process killed at any moment leaves the old file or the new one, never half of one.

    Parameters
    ----------
    path
        Where the file is to be; its folder is made.
    hint
        What to do where the disk refuses, for the error's sentence.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=UNFINISHED, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise disk_error(error, path, hint) from error
    finally:
        with suppress(OSError):
            if temporary is not None:
                temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, holds: Collection[str], what: str) -> Iterator[Path]:
    """Give an empty folder beside ``path`` and move it there once everything is written.

    Parameters
    ----------
    path
        Where the folder is to be. One that is there already is replaced if it holds the same kind of
        thing, or nothing; if anything fails it stays as it was. Only a process that is killed
        between the two renames leaves the old folder under its hidden name beside it.
    holds
        The files by which such a folder is known.
    what
        What it holds, in words, without an article: "steering map".
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file and holds no {what}: choose a folder.")
    if path.is_dir() and any(path.iterdir()) and not all((path / n).is_file() for n in holds):
        raise InputError(f"{path} exists and holds no {what}: choose another folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f"{UNFINISHED}{path.name}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as draft:
            new, old = Path(draft) / "new", Path(draft) / "old"
            new.mkdir()
            yield new
            if path.exists():
                path.rename(old)
            try:
                new.rename(path)
            except OSError:
                if old.exists():
                    old.rename(path)
                raise
    except OSError as error:
        raise disk_error(error, path) from error


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors as safetensors; what the disk refuses is an ``OSError``, as for every file."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, path, None if metadata is None else dict(metadata))
    except SafetensorError as error:  # it words an error of the disk as one of its own
        full = "No space left" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def disk_error(error: OSError, path: Path, hint: str = "") -> AxonalError:
    """Say what a disk refused and what to do about it."""
    if error.errno == errno.ENOSPC:
        return AxonalError(
            f"The disk that holds {path.parent} is full; free some space{hint and f' or {hint}'}"
        )
    hint = hint and f"; {hint}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return AxonalError(f"{path} can't be a folder, since a file is in its way{hint}")
    return AxonalError(f"{path} can't be written ({error.strerror or error}){hint}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""The files of a run: written whole or not at all, read with one clear sentence."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from axonal import files
from axonal.errors import AxonalError, InputError
from axonal.files import UNFINISHED, whole_file

_HINT = "set AXONAL_RUNS elsewhere"


def whole(path: Path) -> AbstractContextManager[Path]:
    """Give a temporary path beside `path` and move it there once it is written and flushed."""
    return whole_file(path, _HINT)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for path in folder.rglob(f"{UNFINISHED}*"):
        path.unlink(missing_ok=True)


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
    return files.disk_error(error, path, _HINT)

"""Wheels and source distributions as what they are to us: archives to take files out of."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class Archive:
    """The regular files of a ``.whl`` (a zip) or of a ``.tar.gz``."""

    def __init__(self, opened: zipfile.ZipFile | tarfile.TarFile) -> None:
        self._opened = opened

    def names(self) -> list[str]:
        """Return the paths of its files; folders and links are left out."""
        if isinstance(self._opened, zipfile.ZipFile):
            return [name for name in self._opened.namelist() if not name.endswith("/")]
        return [member.name for member in self._opened.getmembers() if member.isfile()]

    def copy(self, name: str, into: IO[bytes]) -> None:
        """Write the content of one file."""
        opened = self._opened
        source = (
            opened.open(name) if isinstance(opened, zipfile.ZipFile) else opened.extractfile(name)
        )
        assert source is not None
        with source:
            shutil.copyfileobj(source, into, 1 << 20)


@contextmanager
def reading(path: Path) -> Iterator[Archive]:
    """Open a wheel or a source distribution."""
    opening = tarfile.open if path.name.endswith(".tar.gz") else zipfile.ZipFile
    with opening(path) as opened:
        yield Archive(opened)

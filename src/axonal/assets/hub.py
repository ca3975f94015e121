"""Take model folders from the Hugging Face hub: safetensors only, pinned to a commit.

Weights that are only there as pickles (``.bin``, ``.pt``) are refused, because unpickling a
download can run any code.
"""

from __future__ import annotations

import json
from pathlib import Path

from axonal.assets.store import Progress, sha256
from axonal.errors import AxonalError, InputError

REACH_SECONDS = 4.0
"""How long to wait for the hub's first answer before taking another origin."""

_WANTED = (".safetensors", ".json", ".txt", ".jinja", ".model")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class HubUnreachableError(AxonalError):
    """The hub does not answer from here; another origin may."""


def fetch(repository: str, into: Path, progress: Progress) -> str:
    """Download a repository's model files into a folder and return the commit they are of.

    Every file's size, and the SHA-256 of the large ones, are compared with what the hub says.
    """
    from huggingface_hub import hf_hub_download

    commit, files = _list(repository)
    total = sum(size for size, _ in files.values())
    done = 0
    what = f"download {repository}"
    for name, (size, digest) in files.items():
        progress(what, done, total)
        try:
            path = Path(
                hf_hub_download(repository, name, revision=commit, local_dir=into, etag_timeout=30)
            )
        except OSError as error:  # every error of the hub's client is one
            raise HubUnreachableError(f"The hub stopped answering ({_words(error)}).") from error
        if path.stat().st_size != size or (digest and sha256(path) != digest):
            raise AxonalError(f"{name} of {repository} arrived torn; nothing was kept: pull again.")
        done += size
    progress(what, total, total)
    _remove_client_notes(into)
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

    allowed = [f"*{suffix}" for suffix in _WANTED]
    try:
        try:
            folder = snapshot_download(
                repository, revision=revision, allow_patterns=allowed, local_files_only=True
            )
            if is_model(Path(folder)):
                return Path(folder)
        except OSError:
            pass  # not in the cache, or only in part
        folder = snapshot_download(
            repository, revision=revision, allow_patterns=allowed, etag_timeout=REACH_SECONDS
        )
    except (OSError, ValueError) as error:
        raise AxonalError(
            f"{repository} could not be taken from the Hugging Face hub ({_words(error)}), and is "
            "not whole in its cache. Check the name and the network, or pass a folder."
        ) from error
    return Path(folder)


def is_model(folder: Path) -> bool:
    """Say whether a folder holds a configuration and safetensors, each shard of them."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return all((folder / shard).is_file() for shard in shards)


def check_model(folder: Path, name: str) -> Path:
    """Return the folder if a model can be loaded from it safely, else raise one sentence."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{name} is no model: it has no config.json.")
    if is_model(folder):
        return folder
    pickles = [path.name for path in sorted(folder.iterdir()) if path.suffix in _PICKLES]
    if pickles:
        raise InputError(
            f"{name} has its weights only as a pickle ({pickles[0]}), which could run any code "
            "when loaded: convert it to safetensors (model.save_pretrained)."
        )
    raise InputError(f"{name} is no whole model: it lacks weights in safetensors.")


def _list(repository: str) -> tuple[str, dict[str, tuple[int, str | None]]]:
    """Return the newest commit and, for each wanted file, its size and SHA-256 (large files)."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise HubUnreachableError("HF_HUB_OFFLINE is set.")
    try:
        info = HfApi().model_info(repository, files_metadata=True, timeout=REACH_SECONDS)
    except Exception as error:  # network errors of several libraries, none of them ours
        raise HubUnreachableError(_words(error)) from error
    files = {
        sibling.rfilename: (sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else None)
        for sibling in info.siblings or []
        if "/" not in sibling.rfilename and sibling.rfilename.endswith(_WANTED)
    }
    if info.sha is None or not any(name.endswith(".safetensors") for name in files):
        raise AxonalError(f"{repository} holds no safetensors on the hub.")
    return info.sha, files


def _remove_client_notes(folder: Path) -> None:
    """Remove the bookkeeping that the hub's client leaves beside a download."""
    import shutil

    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _words(error: BaseException) -> str:
    """Return an error's first line, or its kind where it has no words."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__

"""Which model something was made with, so that it is not applied to another one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from axonal.errors import InputError

_SAMPLED = 64


def describe(model: nn.Module) -> dict[str, Any]:
    """Return what identifies a model: its class, its name, its size and its weights' fingerprint."""
    config = getattr(model, "config", None)
    name = str(getattr(config, "_name_or_path", "") or "")
    return {
        "class": type(model).__name__,
        "name": Path(name).name if Path(name).exists() else name,  # a local path is private
        "parameters": sum(parameter.numel() for _, parameter in _parameters(model)),
        "fingerprint": fingerprint(model),
    }


def fingerprint(model: nn.Module) -> str:
    """Return a digest of weights sampled from every parameter.

    They are rounded to bfloat16 first, so that one model has one fingerprint in float32 and in
    bfloat16, on any device and in any folder.
    """
    digest = hashlib.sha256()
    for name, parameter in _parameters(model):
        flat = _numbers(model, name, parameter).detach().flatten()
        step = max(1, len(flat) // _SAMPLED)
        sample = flat[::step][:_SAMPLED].to(device="cpu", dtype=torch.bfloat16)
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(sample.view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:16]


def _parameters(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield each parameter once: offloading takes weights apart that are tied."""
    tied: Any = getattr(model, "all_tied_weights_keys", None) or {}
    for name, parameter in model.named_parameters():
        if name not in tied:
            yield name, parameter


def _numbers(model: nn.Module, name: str, parameter: Tensor) -> Tensor:
    """Return a parameter's numbers, which accelerate may keep elsewhere until they are needed."""
    if not parameter.is_meta:
        return parameter
    path, _, leaf = name.rpartition(".")
    hook: Any = getattr(model.get_submodule(path), "_hf_hook", None)
    for one in getattr(hook, "hooks", (hook,)):
        if getattr(one, "weights_map", None) is not None:
            return one.weights_map[leaf]
    raise InputError(f"{name} is on the meta device: load its numbers first.")


def require_same(made_with: dict[str, Any], model: nn.Module, what: str) -> None:
    """Raise when ``model`` is not the one that ``what`` was made with."""
    came = describe(model)
    if all(came[key] == made_with[key] for key in ("class", "fingerprint")):
        return
    raise InputError(
        f"{what} made with {_words(made_with)}, but this model is {_words(came)}: "
        "activations of different models do not mean the same."
    )


def _words(model: dict[str, Any]) -> str:
    name = f" {model['name']}" if model["name"] else ""
    return (
        f"{model['class']}{name} ({model['parameters']:,} parameters, "
        f"fingerprint {model['fingerprint']})"
    )

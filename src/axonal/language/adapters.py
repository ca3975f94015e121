"""PEFT adapters (LoRA): a small folder that changes a base model, merged into it when loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axonal.errors import InputError, require

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def is_adapter(folder: Path) -> bool:
    """Say whether a folder holds a PEFT adapter rather than a whole model."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(folder: Path, name: str) -> str:
    """Return what an adapter says it was made for: an asset's name, a path or a hub id."""
    try:
        base = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The {CONFIG} of {name} does not say which model it is for.") from error
    if not isinstance(base, str) or not base:
        raise InputError(f"The {CONFIG} of {name} names no base model, but {base!r}.")
    return base


def merge(model: Any, folder: Path, name: str, strength: float = 1.0) -> Any:
    """Return the model with an adapter added to its weights.

    Parameters
    ----------
    model
        The base; changed in place.
    folder
        The adapter.
    name
        What errors call it.
    strength
        How much of what the adapter adds: 1 is the adapter as it was trained, 0 the base.
    """
    peft: Any = require("peft", "language")
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{name} is no whole adapter: it lacks {WEIGHTS}.")
    try:
        adapted = peft.PeftModel.from_pretrained(model, folder)
    except (ValueError, RuntimeError, KeyError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise InputError(f"The adapter {name} does not fit its base model: {line}") from error
    if strength != 1.0:
        scaled = [module for module in adapted.modules() if hasattr(module, "scale_layer")]
        for module in scaled:
            module.scale_layer(strength)
    return adapted.merge_and_unload()

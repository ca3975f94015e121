"""Checkpoints that are whole or not there: the weights and the optimiser's state, by Accelerate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from axonal.errors import AxonalError, InputError
from axonal.files import whole_file

if TYPE_CHECKING:
    from accelerate import Accelerator

_CARD, _PREFIX, _DRAFT = "training.json", "checkpoint-", ".unfinished-checkpoint"


def open_folder(folder: Path, card: dict[str, Any]) -> None:
    """Make a training's folder, or refuse one that holds another training.

    Parameters
    ----------
    folder
        Of the training.
    card
        What must be the same for the training to go on: its seed, its parameters.
    """
    path = folder / _CARD
    try:
        if not path.exists():
            if folder.is_dir() and any(folder.iterdir()):
                raise InputError(f"{folder} is not empty and holds no training: name a new folder.")
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as draft:
                draft.write_text(json.dumps(card, indent=2), encoding="utf-8")
            return
        there = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise AxonalError(f"The training's folder {folder} cannot be used: {error}.") from error
    for name, value in card.items():
        if there.get(name) != value:
            raise InputError(
                f"{folder} holds a training with {name} {there.get(name)}, not {value}: "
                "name a new folder, or continue that one with what it began with."
            )


def describe(model: nn.Module) -> str:
    """Return the parameters of a model in words, to tell one training from another."""
    import hashlib

    shapes = [f"{name}{tuple(tensor.shape)}" for name, tensor in model.named_parameters()]
    count = sum(tensor.numel() for tensor in model.parameters())
    return f"{count} parameters ({hashlib.sha256(' '.join(shapes).encode()).hexdigest()[:12]})"


def latest(folder: Path) -> int | None:
    """Return the step of the newest checkpoint."""
    steps = [int(path.name.removeprefix(_PREFIX)) for path in folder.glob(f"{_PREFIX}*")]
    return max(steps, default=None)


def save(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Write a checkpoint and remove the one before it; a kill leaves the older or the newer."""
    target = folder / f"{_PREFIX}{step:08d}"
    draft = folder / _DRAFT
    if accelerator.is_main_process:
        shutil.rmtree(draft, ignore_errors=True)
    accelerator.wait_for_everyone()
    try:
        accelerator.save_state(str(draft))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process and not target.exists():
            draft.replace(target)
            for old in folder.glob(f"{_PREFIX}*"):
                if old != target:
                    shutil.rmtree(old)
    except OSError as error:
        raise AxonalError(
            f"The checkpoint of step {step} could not be written to {folder}: {error}."
        ) from error
    finally:
        if accelerator.is_main_process:
            shutil.rmtree(draft, ignore_errors=True)
    accelerator.wait_for_everyone()


def restore(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Put the weights and the optimiser's state of a checkpoint back."""
    path = folder / f"{_PREFIX}{step:08d}"
    try:
        accelerator.load_state(str(path))
    except Exception as error:  # safetensors and torch raise many kinds
        raise AxonalError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}): remove it to begin anew."
        ) from error

"""A model's training as a sequence of checkpoints, one in memory at a time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from axonal import assets
from axonal.assets.quiet import quiet_transformers
from axonal.errors import InputError

_NUMBERED = re.compile(r"^(?:checkpoint|step|global_step|iter|ckpt)?[-_]?0*(\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a training.

    Parameters
    ----------
    step
        When: updates, or tokens.
    load
        Returns the model; called when its turn comes.
    """

    step: int
    load: Callable[[], nn.Module]


def checkpoints_in(folder: Path | str, *, device: str = "cpu") -> list[Checkpoint]:
    """Return the checkpoints in a folder, in the order of their steps.

    Each is a folder with ``config.json`` and safetensors whose name ends in its step:
    ``checkpoint-500``, ``step500`` or ``500``.
    """
    return checkpoints_of(numbered(folder), device=device)  # pyright: ignore[reportReturnType]


def numbered(folder: Path | str) -> list[tuple[int, Path]]:
    """Return step and path of the checkpoints in a folder, in the order of their steps."""
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"{folder} is not a folder; expected one of checkpoint-STEP folders.")
    found = [
        (int(match.group(1)), path)
        for path in place.iterdir()
        if path.is_dir() and (match := _NUMBERED.match(path.name))
    ]
    if not found:
        raise InputError(
            f"{folder} holds no checkpoints: expected folders named checkpoint-STEP, stepSTEP or "
            "STEP, each with config.json and safetensors."
        )
    return sorted(found)


def checkpoints_on_hub(
    repository: str, revisions: Sequence[str], *, device: str = "cpu"
) -> list[Checkpoint]:
    """Return revisions of a hub repository, such as Pythia's ``step0`` ... ``step143000``.

    Each is downloaded when its turn comes. Only safetensors are loaded.
    """
    listed = []
    for revision in revisions:
        match = _NUMBERED.match(revision)
        if not match:
            raise InputError(
                f"The revision {revision!r} does not end in a step; expected step1000 or 1000."
            )
        listed.append((int(match.group(1)), revision))

    def loader(revision: str) -> Callable[[], nn.Module]:
        return lambda: load_decoder(repository, revision=revision, device=device)

    return _ordered([Checkpoint(step, loader(revision)) for step, revision in sorted(listed)])


def checkpoints_of(
    steps_and_models: Any, *, model: nn.Module | None = None, device: str = "cpu"
) -> list[Checkpoint] | Iterator[Checkpoint]:
    """Turn pairs of a step and a model, a path, a loader or a state dict into checkpoints.

    Parameters
    ----------
    steps_and_models
        An iterable of ``(step, model or path or function or state dict)``, such as
        ``axonal.training.Snapshots``; or checkpoints.
    model
        Takes the state dicts, one after the other; it is left with the last.
    device
        Where models from a path are put.
    """

    def one(step: Any, source: Any) -> Checkpoint:
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise InputError(f"A checkpoint's step is an integer from 0 on, got {step!r}.")
        if isinstance(source, nn.Module):
            return Checkpoint(step, lambda: source)
        if isinstance(source, Mapping):
            if model is None:
                raise InputError("State dicts need a model to be loaded into: pass model=...")
            return Checkpoint(
                step, lambda: _filled(cast(nn.Module, model), cast(Mapping[str, Any], source), step)
            )
        if isinstance(source, str | Path):
            return Checkpoint(step, lambda: load_decoder(source, device=device))
        if callable(source):
            return Checkpoint(step, cast(Callable[[], nn.Module], source))
        raise InputError(
            f"The checkpoint of step {step} is a {type(source).__name__}; expected a model, a path, "
            "a function that returns a model, or a state dict."
        )

    def each() -> Iterator[Checkpoint]:
        for item in steps_and_models:
            if isinstance(item, Checkpoint):
                yield item
                continue
            if not isinstance(item, tuple | list) or len(item) != 2:
                raise InputError(f"Checkpoints are pairs (step, model or path), got {item!r:.80}.")
            yield one(*item)

    if isinstance(steps_and_models, list | tuple):
        return _ordered(list(each()))
    return each()


def load_decoder(
    source: str | Path, *, revision: str | None = None, device: str = "cpu"
) -> nn.Module:
    """Load a causal language model in float32 from a folder, an asset's name or a hub id."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    folder = assets.path(source, revision=revision)
    try:
        with quiet_transformers():
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise InputError(f"The checkpoint {source} does not load: {line}") from error
    return model.to(device).eval()


def _filled(model: nn.Module, weights: Mapping[str, Any], step: int) -> nn.Module:
    try:
        model.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise InputError(
            f"The weights of step {step} do not fit {type(model).__name__}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error
    return model


def _ordered(found: list[Checkpoint]) -> list[Checkpoint]:
    steps = [one.step for one in found]
    for before, after in itertools.pairwise(steps):
        if after == before:
            raise InputError(f"The step {after} comes twice; keep one checkpoint for each step.")
        if after < before:
            raise InputError(
                f"Checkpoints come in the order of their steps; {after} follows {before}."
            )
    return found

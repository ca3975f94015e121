"""Save edits to a folder and load them back: tensors in safetensors, the rest in a JSON card.

``edits.safetensors`` holds the tensors and ``card.json`` says what they are: the model they were
made with, and for every site its edits with their arguments. Nothing is unpickled.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from axonal.activations import edits as known_edits
from axonal.activations.editing import EditsBySite
from axonal.activations.edits import Edit
from axonal.activations.provenance import describe, require_same
from axonal.activations.site import Site
from axonal.errors import InputError
from axonal.files import sha256, whole_folder, write_tensors

_CARD, _TENSORS = "card.json", "edits.safetensors"
_KINDS = {name: getattr(known_edits, name) for name in known_edits.__all__ if name != "Edit"}


def save(edits: EditsBySite, path: str | Path, *, model: nn.Module) -> Path:
    """Write edits to the folder ``path``, all or nothing; edits saved there before are replaced.

    Parameters
    ----------
    edits
        What ``edit`` takes.
    path
        The folder to make.
    model
        The model that the edits were made with: ``load`` refuses another one.
    """
    path = Path(path)
    writer = _Writer()
    listed = []
    for site, chain in edits.items():
        site.module(model)
        chain = [chain] if isinstance(chain, Edit) else chain
        listed.append(
            {"site": dataclasses.asdict(site), "edits": [writer.module(e) for e in chain]}
        )
    card = {"format": 1, "model": describe(model), "sites": listed}
    with whole_folder(path, holds=(_CARD, _TENSORS), what="edits") as folder:
        write_tensors(writer.tensors, folder / _TENSORS)
        card["sha256"] = sha256(folder / _TENSORS)
        (folder / _CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
    return path


def load(path: str | Path, *, model: nn.Module | None = None) -> dict[Site, list[Edit]]:
    """Read edits back, for ``edit``.

    Parameters
    ----------
    path
        The folder that ``save`` wrote.
    model
        Refuse edits that were made with other weights than this model's. The edits refuse other
        sites than their own in any case.
    """
    path = Path(path)
    try:
        card = json.loads((path / _CARD).read_text(encoding="utf-8"))
        if card["format"] != 1:
            raise InputError(f"{path} is of format {card['format']}: update axonal to read it.")
        if card["sha256"] != sha256(path / _TENSORS):
            raise InputError(f"{path / _TENSORS} is not the file that {_CARD} belongs to.")
        if model is not None:
            require_same(card["model"], model, f"The edits in {path} were")
        return _read_sites(card["sites"], load_file(path / _TENSORS))
    except FileNotFoundError as error:
        raise InputError(f"{path} holds no saved edits: there is no {error.filename}.") from None
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise InputError(f"{path} holds no readable edits ({error!r}).") from error


class _Writer:
    """Turns edits into JSON, and puts their tensors aside."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def module(self, module: nn.Module) -> dict[str, Any]:
        kind = type(module).__name__
        if _KINDS.get(kind) is not type(module):
            raise InputError(
                f"{kind} is not an edit of this library, so it cannot be saved; known are "
                f"{', '.join(_KINDS)}."
            )
        arguments = {name: getattr(module, name) for name in constructor_arguments(type(module))}
        written = {name: self.value(value, name) for name, value in arguments.items()}
        return {"type": kind, "arguments": written}

    def value(self, value: Any, name: str) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Tensor):
            key = f"{len(self.tensors)}.{name}"
            self.tensors[key] = value.detach().cpu().contiguous()
            return {"tensor": key}
        if isinstance(value, slice):
            return {"slice": [value.start, value.stop, value.step]}
        if isinstance(value, nn.Module):
            return {"module": self.module(value)}
        if isinstance(value, Mapping):
            return {"numbers": [[int(key), float(number)] for key, number in value.items()]}
        if isinstance(value, Sequence):
            return [self.value(item, name) for item in value]
        raise InputError(
            f"{name}={value!r} cannot be saved: only positions that are not functions can."
        )


def constructor_arguments(kind: type) -> list[str]:
    """Return the arguments of a constructor and, for edits, the limits that every edit takes."""
    names: list[str] = []
    for part in (kind, Edit) if issubclass(kind, Edit) else (kind,):
        parameters = inspect.signature(part.__init__).parameters.values()
        names += [p.name for p in parameters if p.name != "self" and p.kind != p.VAR_KEYWORD]
    return names


def _read_sites(written: list[Any], tensors: dict[str, Tensor]) -> dict[Site, list[Edit]]:
    sites: dict[Site, list[Edit]] = {}
    for entry in written:
        site = Site(**entry["site"])
        sites[site] = [_read(edit, tensors) for edit in entry["edits"]]
        for edit in sites[site]:
            edit.made_for = site
    return sites


def _read(written: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    arguments = {name: _value(value, tensors) for name, value in written["arguments"].items()}
    if written["type"] not in _KINDS:
        raise InputError(f"There is no edit {written['type']!r} in this version of axonal.")
    return _KINDS[written["type"]](**arguments)


def _value(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_value(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "slice":
        return slice(*content)
    if kind == "numbers":
        return dict(content)
    return _read(content, tensors)

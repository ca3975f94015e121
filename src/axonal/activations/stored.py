"""Read a recording on disk, a part at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from axonal.activations.site import Site
from axonal.errors import InputError

CARD = "card.json"
INDEX = ("sequence", "position", "token")


@dataclass(frozen=True)
class Shard:
    """Where a shard ends: how many batches, sequences and rows there are up to it.

    Parameters
    ----------
    batches, sequences, rows
        Counts from the beginning of the recording.
    digest
        SHA-256 of all batches so far.
    """

    batches: int
    sequences: int
    rows: int
    digest: str

    @classmethod
    def before_the_first(cls) -> Shard:
        """Return the end of nothing."""
        return cls(0, 0, 0, "")

    def file_name(self) -> str:
        """Return a name that sorts in the order of writing."""
        return f"shard-{self.batches:09d}.safetensors"


class Recording:
    """A recording on disk: a table with a row a token, read lazily.

    Parameters
    ----------
    path
        The folder that ``record_to`` wrote.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.card = read_card(self.path)
        """Provenance: the model, the sites, the positions, the dtype, and whether it is complete."""
        self.sites = [Site(**site) for site in self.card["sites"]]
        self._files = sorted(self.path.glob("shard-*.safetensors"))

    @property
    def complete(self) -> bool:
        """Whether the last batch was reached."""
        return bool(self.card["complete"])

    @cached_property
    def shards(self) -> list[Shard]:
        """The shards in order."""
        shards = []
        for file in self._files:
            try:
                with safe_open(file, "pt") as opened:
                    shards.append(Shard(**json.loads(opened.metadata()["shard"])))
            except (SafetensorError, KeyError, TypeError) as error:
                raise InputError(f"{file} is no shard of a recording: {error}.") from error
        return shards

    def __len__(self) -> int:
        return self.shards[-1].rows if self.shards else 0

    def __getitem__(self, column: Site | str) -> Tensor:
        """Return a whole column: a site's activations, ``"sequence"``, ``"position"`` or ``"token"``.

        ``(rows, ...)``; ``parts`` reads the same column without holding it.
        """
        return torch.cat(list(self.parts(column)))

    def parts(self, column: Site | str, rows: int = 4096) -> Iterator[Tensor]:
        """Iterate over a column in order, at most so many rows at a time."""
        name = self._name(column)
        for file in self._files:
            with safe_open(file, "pt") as opened:
                part = opened.get_slice(name)
                count = part.get_shape()[0]
                for start in range(0, count, rows):
                    yield part[start : min(start + rows, count)]

    def _name(self, column: Site | str) -> str:
        if isinstance(column, Site) and column in self.sites:
            return site_key(column)
        tokens = INDEX if self.card["positions"] is not None else ()
        if isinstance(column, str) and column in tokens:
            return column
        known = ", ".join([*map(str, self.sites), *tokens])
        raise InputError(f"{self.path} has no column {column}; it has {known}.")


def site_key(site: Site) -> str:
    """Return the name of a site's tensor in a shard."""
    return str(site)


def read_card(path: Path) -> dict[str, Any]:
    """Return the card of a recording."""
    try:
        card: dict[str, Any] = json.loads((path / CARD).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path} holds no recording ({error}).") from None
    if "positions" not in card or card.get("format") != 1:
        raise InputError(f"{path / CARD} is not the card of a recording that this version reads.")
    return card


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Write the card, whole or not at all."""
    draft = path / f"{CARD}.tmp"
    draft.write_text(json.dumps(card, indent=2), encoding="utf-8")
    os.replace(draft, path / CARD)

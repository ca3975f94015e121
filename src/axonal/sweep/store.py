"""A folder that keeps what a sweep has computed, safe against ``kill -9`` at any moment.

``sweep.json`` says what the sweep is (function, fixed parameters, seed); ``shards/*.npz`` hold cells
(a point and a repeat): their 128-bit keys and outputs, and the failures as JSON. A shard is written
under another name, renamed, and never changed, so several processes may share a folder. The grid is
not part of the identity: cells are looked up by key, so points can be added.
"""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonal.errors import AxonalError, InputError
from axonal.files import whole_file
from axonal.sweep.worker import Outputs, join

FLUSH_SECONDS = 1.0
Keys = NDArray[np.uint64]
Record = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What a store knows of some cells: those with outputs, the outputs, and failures."""

    positions: NDArray[np.intp]
    outputs: Outputs
    failures: list[tuple[int, Record]]


@dataclass
class Store:
    """The open folder of one sweep: what was in it, and what waits to be written."""

    folder: Path
    keys: Keys
    outputs: Outputs
    failures: dict[bytes, list[Record]]
    waiting: list[tuple[Keys, Outputs, list[Record]]] = field(default_factory=list)
    flushed: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls, folder: str | Path, identity: Mapping[str, Any]) -> Store:
        """Open or make the folder of a sweep, and read what it holds."""
        folder = Path(folder)
        card = folder / "sweep.json"
        try:
            (folder / "shards").mkdir(parents=True, exist_ok=True)
            if not card.exists():
                _write(card, json.dumps(dict(identity), indent=1).encode())
            kept = json.loads(card.read_text())
        except (OSError, ValueError) as error:
            raise AxonalError(f"the store {folder} cannot be used: {error}") from error
        if changed := sorted(k for k in {*kept, *identity} if kept.get(k) != identity.get(k)):
            words = {"code": "the function's code", "fixed": "the fixed parameters"}
            raise InputError(
                f"the store {folder} holds a sweep that differs in "
                f"{', '.join(words.get(str(k), str(k)) for k in changed)}: give another folder, or delete this "
                "one to compute anew"
            )
        return cls(folder, *_read(sorted((folder / "shards").glob("*.npz"))))

    def find(self, keys: Keys, retry_failed: bool) -> Found:
        """Look up cells; with ``retry_failed``, those that have a failure are unknown."""
        failed = (
            [i for i, k in enumerate(keys) if k.tobytes() in self.failures] if self.failures else []
        )
        known = np.zeros(len(keys), bool)
        rows = np.zeros(len(keys), np.intp)
        if len(self.keys):
            rows = np.searchsorted(self.keys[:, 0], keys[:, 0]).clip(max=len(self.keys) - 1)
            known = (self.keys[rows] == keys).all(axis=1)
        if retry_failed:
            known[failed] = False
            failed = []
        positions = np.flatnonzero(known)
        outputs = {name: values[rows[positions]] for name, values in self.outputs.items()}
        records = [(i, record) for i in failed for record in self.failures[keys[i].tobytes()]]
        return Found(positions, outputs, records)

    def add(self, keys: Keys, outputs: Outputs, failures: list[Record]) -> None:
        """Keep finished cells: ``keys`` of the rows of ``outputs``; a failure holds its own key."""
        self.waiting.append((keys, outputs, failures))
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one shard."""
        waiting, self.waiting, self.flushed = self.waiting, [], time.monotonic()
        if not waiting:
            return
        buffer = io.BytesIO()
        arrays = join(
            [{"": keys, **outputs} for keys, outputs, _ in waiting if len(keys)], lambda _: ""
        )
        failures = json.dumps([record for _, _, records in waiting for record in records])
        named: dict[str, Any] = {f"={name}": values for name, values in arrays.items()}
        np.savez(buffer, failures=np.array(failures), **named)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.npz"
        try:
            _write(self.folder / "shards" / name, buffer.getvalue())
        except OSError as error:
            raise AxonalError(f"the store {self.folder} cannot be written: {error}") from error


def _read(paths: list[Path]) -> tuple[Keys, Outputs, dict[bytes, list[Record]]]:
    parts: list[Outputs] = []
    failures: dict[bytes, list[Record]] = {}
    for path in paths:  # oldest first: what was tried again replaces what failed
        try:
            with np.load(path, allow_pickle=False) as shard:
                arrays = {name[1:]: shard[name] for name in shard.files if name.startswith("=")}
                records: list[Record] = json.loads(str(shard["failures"]))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise AxonalError(
                f"{path} is damaged ({error}): delete it, and its points are computed again"
            ) from error
        if failures:
            for key in arrays.get("", ()):
                failures.pop(key.tobytes(), None)
        fresh: dict[bytes, list[Record]] = {}
        for record in records:
            fresh.setdefault(bytes.fromhex(record["key"]), []).append(record)
        failures |= fresh
        parts += [arrays] if arrays else []
    if not parts:
        return np.zeros((0, 2), np.uint64), {}, failures
    merged = join(parts, lambda i: paths[i].name)
    _, newest = np.unique(merged[""][::-1, 0], return_index=True)
    rows = len(merged[""]) - 1 - newest
    arrays = {name: values[rows] for name, values in merged.items()}
    return arrays.pop(""), arrays, failures


def _write(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all."""
    with whole_file(path) as draft:
        draft.write_bytes(data)

"""Record a corpus to disk, shard by shard, so that it may be larger than memory.

A recording on disk is a table with a row a token: its activations at every site, and the number of
its sequence, its absolute position and its token id. A shard is written whole or not at all, and
says which batches it holds, so a recording that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from axonal.activations.call import Call
from axonal.activations.positions import Positions, select
from axonal.activations.provenance import describe
from axonal.activations.recording import record
from axonal.activations.site import Site
from axonal.activations.stored import CARD, Recording, Shard, read_card, site_key, write_card
from axonal.errors import InputError
from axonal.files import UNFINISHED, whole_file, write_tensors

_MEBIBYTE = 2**20


def record_to(
    path: str | Path,
    model: nn.Module,
    batches: Iterable[Any],
    sites: Iterable[Site],
    positions: Positions = "all",
    *,
    dtype: torch.dtype | None = None,
    shard_mebibytes: float = 64,
) -> Recording:
    """Record the activations of many batches into the folder ``path``.

    Called again with the same arguments after an interruption, it passes over the batches that are
    on disk without running the model, having checked that they are the same, and goes on.

    Parameters
    ----------
    path
        The folder; a recording of something else in it is refused.
    model, sites
        As for ``record``.
    batches
        What ``record`` takes, one after the other; iterated once and never held together.
    positions
        Which tokens become rows; ``"all"`` is every real token. None takes each row of a batch
        whole, for modules that know no tokens.
    dtype
        To store in; None is the model's own.
    shard_mebibytes
        How much is held in memory before a shard is written.
    """
    path, sites = Path(path), list(dict.fromkeys(sites))
    card = {
        "format": 1,
        "model": describe(model),
        "sites": [vars(site) for site in sites],
        "positions": _words(positions),
        "dtype": None if dtype is None else str(dtype).removeprefix("torch."),
    }
    _begin(path, card)
    shards = Recording(path).shards
    done = shards[-1] if shards else Shard.before_the_first()
    writer = _Writer(path, done, int(shard_mebibytes * _MEBIBYTE))
    count, digest = 0, hashlib.sha256()
    for batch in batches:
        count += 1
        _update(digest, batch)
        if count < done.batches:
            continue
        if count == done.batches:
            if digest.hexdigest() != done.digest:
                raise InputError(f"{path} was recorded from other batches: choose another folder.")
            continue
        if count == done.batches + 1:
            write_card(path, {**card, "complete": False})
        rows = _rows(model, batch, sites, positions, dtype)
        writer.add(rows, _sequences(batch), digest.hexdigest())
    if count < done.batches:
        raise InputError(f"{path} holds {done.batches} batches, but only {count} were given.")
    writer.flush()
    write_card(path, {**card, "complete": True})
    return Recording(path)


class _Writer:
    """Holds rows until there are enough of them for a shard."""

    def __init__(self, path: Path, done: Shard, limit: int) -> None:
        self._path, self._limit = path, limit
        self._held: list[dict[str, Tensor]] = []
        self._latest = done

    def add(self, rows: dict[str, Tensor], sequences: int, digest: str) -> None:
        latest = self._latest
        count = len(next(iter(rows.values())))
        if "sequence" in rows:
            rows["sequence"] = rows["sequence"] + latest.sequences
        self._held.append(rows)
        self._latest = Shard(
            batches=latest.batches + 1,
            sequences=latest.sequences + sequences,
            rows=latest.rows + count,
            digest=digest,
        )
        held = sum(t.numel() * t.element_size() for part in self._held for t in part.values())
        if held >= self._limit:
            self.flush()

    def flush(self) -> None:
        if not self._held:
            return
        names = self._held[0]
        try:
            tensors = {name: torch.cat([part[name] for part in self._held]) for name in names}
        except RuntimeError as error:
            raise InputError(
                "Rows of these batches differ in shape, so they make no table: record tokens "
                f"(positions='all') or a site whose shape is the same in every batch ({error})."
            ) from None
        target = self._path / self._latest.file_name()
        with whole_file(target) as draft:
            write_tensors(tensors, draft, {"shard": json.dumps(vars(self._latest))})
        self._held.clear()


def _begin(path: Path, card: dict[str, Any]) -> None:
    if not path.exists():
        path.mkdir(parents=True)
    if not (path / CARD).exists():
        if any(path.iterdir()):
            raise InputError(
                f"{path} holds something else than a recording: choose another folder."
            )
        write_card(path, {**card, "complete": False})
    for torn in path.glob(f"{UNFINISHED}*"):
        torn.unlink()
    before = read_card(path)
    for name, value in card.items():
        if before.get(name) != json.loads(json.dumps(value)):
            raise InputError(
                f"{path} holds a recording with {name}={before.get(name)!r}, not {value!r}: choose "
                "another folder."
            )


def _rows(
    model: nn.Module,
    batch: Any,
    sites: list[Site],
    positions: Positions,
    dtype: torch.dtype | None,
) -> dict[str, Tensor]:
    """Run one batch and lay its tokens out as rows."""
    chosen: list[Tensor] = []
    index: dict[str, Tensor] = {}

    def note(call: Call) -> Tensor:
        if not chosen:
            where = select(call, positions)
            every = torch.ones(call.batch, call.length, dtype=torch.bool, device=call.device)
            chosen.append(every & where)
            rows, columns = chosen[0].nonzero(as_tuple=True)
            index["sequence"] = rows.cpu()
            index["position"] = call.positions[rows, columns].cpu()
            if call.ids is not None:
                index["token"] = call.ids[rows, columns].cpu()
        return chosen[0]

    cache = record(model, batch, sites, None if positions is None else note)
    activations = {site_key(site): x.to(device="cpu", dtype=dtype) for site, x in cache.items()}
    return {**activations, **index}


def _sequences(batch: Any) -> int:
    return len(next(value for value in _tensors(batch)))


def _tensors(batch: Any) -> list[Tensor]:
    if isinstance(batch, Tensor):
        return [batch]
    parts = batch.values() if isinstance(batch, Mapping) else batch
    return [part for part in parts if isinstance(part, Tensor)]


def _update(digest: Any, batch: Any) -> None:
    for tensor in _tensors(batch):
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())


def _words(positions: Positions) -> Any:
    if callable(positions):
        return getattr(positions, "__qualname__", "a function")
    if isinstance(positions, Tensor):
        return positions.tolist()
    return repr(positions) if isinstance(positions, slice) else positions

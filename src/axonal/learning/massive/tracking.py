"""Follow the largest activations through a training: checkpoint after checkpoint, resumable.

Every finished checkpoint is one line of a JSON-lines file, written whole; a run that was killed
measures only what is missing. The file remembers which tokens it was measured on and refuses others.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from torch import Tensor, nn

from axonal.activations import Site
from axonal.errors import AxonalError, InputError
from axonal.files import whole_file
from axonal.learning.massive.blocks import token_batch
from axonal.learning.massive.checkpoints import Checkpoint, checkpoints_of
from axonal.learning.massive.layers import layer_statistics
from axonal.learning.massive.series import aggregate as average

FORMAT = "axonal massive activations 1"


def track(
    checkpoints: Iterable[Any],
    input_ids: Any,
    attention_mask: Any = None,
    *,
    aggregate: Literal["ratio_of_means", "mean_of_ratios"] = "ratio_of_means",
    table: Path | str | None = None,
    k: int = 3,
    sites: Sequence[Site] | None = None,
    batch_size: int = 1,
    model: nn.Module | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> pd.DataFrame:
    """Measure every checkpoint of a training.

    Parameters
    ----------
    checkpoints
        Pairs ``(step, model, path, loader or state dict)``, or what `checkpoints_in` and
        `checkpoints_on_hub` return. One is in memory at a time.
    input_ids, attention_mask, k, sites, batch_size
        As for `layer_statistics`.
    aggregate
        Which ratio, see `aggregate`.
    table
        A file that keeps finished checkpoints; what it holds is not measured again.
    model
        Takes state dicts.
    progress
        Told ``(done, total)``.

    Returns
    -------
    DataFrame
        A row for each step and layer, as `aggregate` has them.
    """
    ids, mask = token_batch(input_ids, attention_mask)
    kept = Table(table, fingerprint(ids, mask, k))
    listed = checkpoints_of(checkpoints, model=model)
    total = len(listed) if isinstance(listed, list) else None
    wanted: list[int] = []
    for done, checkpoint in enumerate(listed):
        if progress:
            progress(done, total)
        wanted.append(checkpoint.step)
        if checkpoint.step not in kept.steps:
            _measure(kept, checkpoint, ids, mask, k=k, sites=sites, batch_size=batch_size)
    if not wanted:
        raise InputError("checkpoints: there is none to measure.")
    if progress:
        progress(len(wanted), total)
    rows: Any = kept.rows()
    return average(rows[rows["step"].isin(wanted)], aggregate)


def _measure(
    kept: Table, checkpoint: Checkpoint, ids: Tensor, mask: Tensor, **options: Any
) -> None:
    loaded = checkpoint.load()
    try:
        kept.add(checkpoint.step, layer_statistics(loaded, ids, mask, **options))
    except InputError as error:
        raise InputError(f"At step {checkpoint.step}: {error}") from error
    finally:
        del loaded  # before the next one comes
        gc.collect()


class Table:
    """Rows by step, in memory or in a file of JSON lines.

    Parameters
    ----------
    path
        The file; None keeps them in memory alone.
    mark
        What they were measured on, see `fingerprint`.
    """

    def __init__(self, path: Path | str | None, mark: str) -> None:
        self.path = None if path is None else Path(path)
        self._rows: dict[int, list[dict[str, Any]]] = {}
        if self.path is None:
            return
        if self.path.exists():
            self._read(self.path, mark)
        else:
            self._write(json.dumps({"format": FORMAT, "mark": mark}), "x")

    @property
    def steps(self) -> set[int]:
        """The steps that it holds."""
        return set(self._rows)

    def add(self, step: int, rows: pd.DataFrame) -> None:
        """Keep one checkpoint's rows; they are on the disk when this returns."""
        records: Any = rows.to_dict("records")
        self._rows[step] = records
        if self.path is not None:
            self._write(json.dumps({"step": step, "rows": records}), "a")

    def rows(self) -> pd.DataFrame:
        """Return everything: the rows of `layer_statistics` with a column ``step`` in front."""
        return pd.DataFrame(
            [{"step": step, **row} for step in sorted(self._rows) for row in self._rows[step]]
        )

    def _read(self, path: Path, mark: str) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        try:
            header = json.loads(lines[0]) if lines else {}
        except json.JSONDecodeError:
            header = {}
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise InputError(f"{path} is not a table of massive activations: name another file.")
        if header.get("mark") != mark:
            raise InputError(
                f"{path} was measured on other tokens, another mask or another k: name another file."
            )
        whole = [lines[0]]
        for line in lines[1:]:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # what a kill tore
                break
            self._rows[int(entry["step"])] = entry["rows"]
            whole.append(line)
        if len(whole) < len(lines):
            with whole_file(path) as draft:
                draft.write_text("\n".join(whole) + "\n", encoding="utf-8")

    def _write(self, line: str, mode: str) -> None:
        assert self.path is not None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open(mode, encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AxonalError(f"The table {self.path} could not be written: {error}.") from error


def fingerprint(ids: Tensor, mask: Tensor, k: int) -> str:
    """Return what tells measurements on these tokens from others."""
    digest = hashlib.sha256(str((tuple(ids.shape), k)).encode())
    digest.update(ids.cpu().numpy().tobytes())
    digest.update(mask.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]

"""What a training did, step by step: streamed to a file of JSON lines, read back as arrays."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.errors import InputError
from axonal.files import whole_file

if TYPE_CHECKING:
    import pandas as pd

FILE = "history.jsonl"


@dataclass(frozen=True)
class Observations:
    """What one observer saw.

    Parameters
    ----------
    steps
        Updates done at each observation, ``(observations,)``.
    values
        By name, ``(observations, ...)``.
    """

    steps: np.ndarray
    values: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        """Return one value over the observations."""
        return self.values[name]


@dataclass(frozen=True)
class History:
    """The loss of every step and what the observers saw.

    Parameters
    ----------
    steps
        Updates done before each loss, ``(steps,)``.
    loss
        The loss of that step's batch at the weights before its update, ``(steps,)``.
    metrics
        What the loss function returned beside it, by name, ``(steps, ...)``.
    observed
        By the observer's name.
    stopped_early
        Whether patience ended the training.
    """

    steps: np.ndarray
    loss: np.ndarray
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    observed: dict[str, Observations] = field(default_factory=dict)
    stopped_early: bool = False

    @classmethod
    def read(cls, folder: Path | str) -> History:
        """Read the history of a training from its folder, also while it still runs."""
        path = Path(folder) / FILE if Path(folder).is_dir() else Path(folder)
        if not path.is_file():
            raise InputError(f"{folder} holds no history of a training: there is no {FILE}.")
        return cls.of(list(rows(path)))

    @classmethod
    def of(cls, written: list[dict[str, Any]]) -> History:
        """Return the history that rows, as the file has them, make up."""
        losses = [row for row in written if "loss" in row]
        names = [name for name in (losses[0] if losses else {}) if name not in ("step", "loss")]
        seen: dict[str, list[dict[str, Any]]] = {}
        for row in written:
            if "observer" in row:
                seen.setdefault(row["observer"], []).append(row)
        return cls(
            np.array([row["step"] for row in losses], dtype=int),
            np.array([row["loss"] for row in losses], dtype=float),
            {name: np.array([row[name] for row in losses]) for name in names},
            {name: _observations(found) for name, found in seen.items()},
            stopped_early=any("stopped" in row for row in written),
        )

    def frame(self) -> pd.DataFrame:
        """Return a table with a row a step; a metric of several numbers has a column for each."""
        import pandas as pd

        columns: dict[str, np.ndarray] = {"step": self.steps, "loss": self.loss}
        for name, values in self.metrics.items():
            if values.ndim == 1:
                columns[name] = values
                continue
            for index in np.ndindex(*values.shape[1:]):
                label = ",".join(map(str, index))
                columns[f"{name}[{label}]"] = values[(slice(None), *index)]
        return pd.DataFrame(columns)


class Journal:
    """The history while it grows: rows in memory, and in a file where there is one.

    Parameters
    ----------
    folder
        Of the training; None keeps the rows in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / FILE
        self.rows: list[dict[str, Any]] = []

    def begin_at(self, step: int) -> None:
        """Take up what the file has from before ``step``, and drop what came after."""
        if self.path is None:
            return
        if self.path.is_file():
            self.rows = [row for row in rows(self.path) if row["step"] < step]
        with whole_file(self.path) as draft:
            draft.write_text("".join(_line(row) for row in self.rows), encoding="utf-8")

    def write(self, new: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; they are on the disk when this returns."""
        self.rows += [dict(row) for row in new]
        if self.path is None or not new:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(_line(row) for row in new)
            file.flush()
            os.fsync(file.fileno())

    def values(self, observer: str, value: str) -> list[float]:
        """Return what an observer saw so far."""
        seen = [row["values"] for row in self.rows if row.get("observer") == observer]
        return [float(values[value]) for values in seen if value in values]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a history file; a last line that a kill tore is left out."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _observations(found: list[dict[str, Any]]) -> Observations:
    names = list(found[0]["values"])
    return Observations(
        np.array([row["step"] for row in found], dtype=int),
        {name: np.array([row["values"][name] for row in found]) for name in names},
    )

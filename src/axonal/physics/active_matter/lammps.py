"""LAMMPS dumps in text form: frames of positions and two more columns, particles in order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError

_POSITIONS = (("x", "y"), ("xu", "yu"), ("xs", "ys"))


@dataclass(frozen=True)
class Frame:
    """One time of a dump.

    Parameters
    ----------
    time
        The time step it names.
    width
        Of the square box.
    x
        Positions from the middle of the box, ``(particles, 2)``.
    columns
        The other columns asked for, ``(particles, 2)``.
    """

    time: float
    width: float
    x: NDArray[np.float64]
    columns: NDArray[np.float64]


def read_dump(path: Path, columns: tuple[str, str]) -> list[Frame]:
    """Return the frames of a dump, particles by ``id`` where there is one."""
    frames = []
    with path.open() as lines:
        for first in lines:
            _expect(path, first, "ITEM: TIMESTEP")
            try:
                frames.append(_frame(path, lines, columns))
            except (StopIteration, IndexError, ValueError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"{path.name}: frame {len(frames)} is cut off.") from error
    if not frames:
        raise InputError(f"{path.name} has no frame.")
    if len({len(frame.x) for frame in frames}) > 1:
        raise InputError(f"{path.name}: the number of particles changes between frames.")
    return frames


def _frame(path: Path, lines: Iterator[str], columns: tuple[str, str]) -> Frame:
    time = float(next(lines))
    _expect(path, next(lines), "ITEM: NUMBER OF ATOMS")
    count = int(next(lines))
    box = next(lines)
    _expect(path, box, "ITEM: BOX BOUNDS")
    if "xy" in box:
        raise InputError(f"{path.name}: the box is triclinic; only a square one is read.")
    bounds = np.array([[float(word) for word in next(lines).split()[:2]] for _ in range(3)])
    sides = bounds[:, 1] - bounds[:, 0]
    header = next(lines)
    _expect(path, header, "ITEM: ATOMS")
    names = header.split()[2:]
    place = next((pair for pair in _POSITIONS if set(pair) <= set(names)), None)
    if place is None or not set(columns) <= set(names):
        raise InputError(
            f"{path.name}: expected columns x y and {' '.join(columns)}, got {' '.join(names)}."
        )
    chosen = [names.index(name) for name in (*place, *columns)]
    order = names.index("id") if "id" in names else None
    rows = np.empty((count, 4))
    labels = np.arange(count, dtype=float)
    for number in range(count):
        words = next(lines).split()
        rows[number] = [float(words[at]) for at in chosen]
        if order is not None:
            labels[number] = float(words[order])
    rows = rows[labels.argsort(kind="stable")]
    x = rows[:, :2]
    if place == ("xs", "ys"):
        x = bounds[:2, 0] + x * sides[:2]
    width = square(path, *sides[:2])
    return Frame(time, width, x - bounds[:2].mean(axis=1), rows[:, 2:])


def square(path: Path, width: float, height: float) -> float:
    """Return the side of a square box, or say that it is none."""
    if not math.isclose(width, height, rel_tol=1e-6):
        raise InputError(
            f"{path.name}: the box is {width:g} by {height:g}; only a square one is read."
        )
    return float(width)


def _expect(path: Path, line: str, start: str) -> None:
    if not line.startswith(start):
        raise InputError(f"{path.name}: expected {start!r}, got {line.strip()!r}.")

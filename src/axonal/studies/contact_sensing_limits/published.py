"""The paper's own curves, to draw beside ours and to compare with.

``published.csv`` holds the vector figures of chapter 5 of W. Wang's dissertation (Johns Hopkins,
CC BY 4.0), which is the paper, read off to four digits: lines are its theory, markers its
simulations. Figure ``fnr_map`` is the array behind its false-negative map, which the first author
published as plotting example (MIT licence). Every false-negative rate in it is a multiple of
1/2880, so each comes from 2,880 simulations.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError

Floats = NDArray[np.float64]

#: Simulations behind each published false-negative rate.
FNR_TRIALS = 2880


def curve(
    figure: str, quantity: str, along: str, kind: str = "marker", **where: float
) -> tuple[Floats, Floats]:
    """Return one published curve, ``(points,)`` each of x and value, x ascending.

    Parameters
    ----------
    figure, quantity, along
        As the file names them: ``"errors", "sd_x0", "alpha"``.
    kind
        ``"marker"`` (simulation) or ``"line"`` (theory).
    where
        What else fixes the curve, for example ``chi=0.1``.
    """
    rows = [
        row
        for row in _rows()
        if (row["figure"], row["quantity"], row["x"], row["kind"])
        == (figure, quantity, along, kind)
        and all(abs(float(row[name]) - value) < 1e-3 * abs(value) for name, value in where.items())
    ]
    if not rows:
        raise InputError(
            f"There is no published {kind} curve {figure} {quantity} along {along} at {where}"
        )
    points = np.array([[float(row[along]), float(row["value"])] for row in rows])
    points = points[np.argsort(points[:, 0], kind="stable")]
    return points[:, 0], points[:, 1]


def nearest_values(x: Floats, values: Floats, at: Floats) -> Floats:
    """Return the value at the published point nearest to each of ours."""
    return values[np.abs(x[:, None] - np.asarray(at)).argmin(axis=0)]


@cache
def _rows() -> list[dict[str, str]]:
    with (Path(__file__).with_name("published.csv")).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

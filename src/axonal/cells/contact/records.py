"""What a receptor array remembers: the times each receptor was unbound and bound.

A record holds completed (unbound, bound) pairs and, per receptor, the interval that the end of the
measurement cut. It is built by `simulate_dwell_times` or read from a table of bound intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Start = Literal["unbound", "stationary"]


@dataclass(frozen=True, eq=False)
class DwellRecord:
    """Dwell times of an array of receptors, ragged: one row a completed (unbound, bound) pair.

    Parameters
    ----------
    receptor
        ``(pairs,)`` index of the receptor, ascending.
    unbound, bound
        ``(pairs,)`` the pair's two dwell times (s).
    duration
        How long was measured (s).
    receptors
        Number of receptors, those without a pair included.
    cut_unbound
        ``(receptors,)`` unbound time (s) in no completed pair: the last interval when it was cut,
        or the one before a cut bound interval.
    cut_bound
        ``(receptors,)`` bound time (s) that the end cut; NaN where the receptor ended unbound.
    first_bound
        ``(receptors,)`` bound time (s) with which a receptor began, once it ended; NaN where it
        began unbound or was never released (then `cut_bound` is the whole duration and it has
        no pair and no unbound time).
    start
        ``"unbound"``: every receptor starts unbound, as in the paper. ``"stationary"``: receptors
        start as they are found, bound or not, in equilibrium.
    """

    receptor: NDArray[np.int64]
    unbound: Floats
    bound: Floats
    duration: float
    receptors: int
    cut_unbound: Floats = field(default=None)  # pyright: ignore[reportAssignmentType] - set below
    cut_bound: Floats = field(default=None)  # pyright: ignore[reportAssignmentType]
    first_bound: Floats = field(default=None)  # pyright: ignore[reportAssignmentType]
    start: Start = "unbound"

    def __post_init__(self) -> None:
        missing = np.full(self.receptors, np.nan)
        for name, default in (
            ("cut_unbound", np.zeros(self.receptors)),
            ("cut_bound", missing),
            ("first_bound", missing),
        ):
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        self._check()

    @property
    def pairs(self) -> int:
        """Number of completed pairs."""
        return len(self.receptor)

    @property
    def held_throughout(self) -> NDArray[np.bool_]:
        """Which receptors were bound from the beginning to the end, ``(receptors,)``."""
        return self.cut_bound >= self.duration

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame | str | Path,
        duration: float,
        receptors: int | None = None,
        start: Start = "stationary",
    ) -> DwellRecord:
        """Read recorded bound intervals, for example of single-molecule tracks.

        Parameters
        ----------
        table
            Columns ``receptor, t_on, t_off`` (s from the start), or a CSV file with them. A
            ``t_off`` that is missing or beyond `duration` is a bound interval cut by the end; a
            ``t_on`` of 0 one that had begun before.
        duration
            How long was measured (s).
        receptors
            How many receptors there are; default the largest index plus one.
        start
            ``"stationary"`` where measuring began at no special time.
        """
        receptor, t_on, t_off = _columns(table, duration)
        count = int(receptor.max(initial=-1)) + 1 if receptors is None else receptors
        if receptor.max(initial=-1) >= count:
            row = int(np.argmax(receptor >= count))
            raise InputError(f"Row {row}: receptor {receptor[row]} of {count} (counted from 0)")
        if start == "unbound" and np.any(t_on == 0):
            raise InputError(
                "Some receptors are bound at time 0, but start='unbound' says none is; "
                "use start='stationary'"
            )
        opens = np.r_[True, np.diff(receptor) != 0]
        since = np.where(opens, 0.0, np.r_[0.0, t_off[:-1]])
        unbound, bound = t_on - since, np.minimum(t_off, duration) - t_on
        early, cut = t_on == 0, t_off >= duration
        first_bound, cut_bound = np.full(count, np.nan), np.full(count, np.nan)
        first_bound[receptor[early & ~cut]] = bound[early & ~cut]
        cut_bound[receptor[cut]] = bound[cut]
        ends = np.zeros(count)
        ends[receptor] = t_off  # rows ascend in time, so the last one stays
        cut_unbound = np.where(np.isnan(cut_bound), duration - ends, 0.0)
        cut_unbound[receptor[cut]] = unbound[cut]
        whole = ~early & ~cut
        return cls(
            receptor[whole], unbound[whole], bound[whole], float(duration), count,
            cut_unbound, cut_bound, first_bound, start,
        )  # fmt: skip

    def to_table(self) -> pd.DataFrame:
        """Return the bound intervals as ``receptor, t_on, t_off`` (s); a cut one ends at NaN."""
        import pandas as pd

        began = np.where(np.isnan(self.first_bound), 0.0, self.first_bound)
        spans = self.unbound + self.bound
        total = np.cumsum(spans)
        first = np.searchsorted(self.receptor, np.arange(self.receptors))
        before = np.r_[0.0, total][first]
        t_off = total - before[self.receptor] + began[self.receptor]
        rows = [(self.receptor, t_off - self.bound, t_off)]
        released = np.flatnonzero(~np.isnan(self.first_bound))
        rows.append((released, np.zeros(len(released)), self.first_bound[released]))
        held = np.flatnonzero(~np.isnan(self.cut_bound))
        rows.append((held, self.duration - self.cut_bound[held], np.full(len(held), np.nan)))
        receptor, on, off = (np.concatenate(column) for column in zip(*rows, strict=True))
        table = pd.DataFrame({"receptor": receptor, "t_on": on, "t_off": off})
        return table.sort_values(["receptor", "t_on"], ignore_index=True)

    def _check(self) -> None:
        if not (np.isfinite(self.duration) and self.duration > 0):
            raise InputError(f"The measured duration must be positive (s); got {self.duration:g}")
        if self.start not in ("unbound", "stationary"):
            raise InputError(f"start is 'unbound' or 'stationary'; got {self.start!r}")
        pairs = len(self.receptor)
        if len(self.unbound) != pairs or len(self.bound) != pairs:
            raise InputError(
                "A pair has a receptor, an unbound and a bound time; got "
                f"{pairs}, {len(self.unbound)} and {len(self.bound)} of them"
            )
        for name, times in (("unbound", self.unbound), ("bound", self.bound)):
            wrong = ~(np.isfinite(times) & (times > 0))
            if wrong.any():
                row = int(np.argmax(wrong))
                raise InputError(
                    f"Row {row}: the {name} time must be positive (s); got {times[row]:g}"
                )
        if np.any(np.diff(self.receptor) < 0):
            row = int(np.argmax(np.diff(self.receptor) < 0)) + 1
            raise InputError(
                f"Row {row}: receptors must ascend; {self.receptor[row]} follows a larger one"
            )
        if pairs and not 0 <= self.receptor[0] <= self.receptor[-1] < self.receptors:
            raise InputError(
                f"Receptor indices must be in 0..{self.receptors - 1}; "
                f"got {self.receptor[0]} to {self.receptor[-1]}"
            )
        for name in ("cut_unbound", "cut_bound", "first_bound"):
            values = getattr(self, name)
            if values.shape != (self.receptors,):
                raise InputError(
                    f"{name} needs one time a receptor, ({self.receptors},); got {values.shape}"
                )
            if np.any(values < 0):
                raise InputError(f"Receptor {int(np.argmax(values < 0))}: {name} is negative")


def _columns(table: Any, duration: float) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return the table's columns, checked row by row, with open ends set to infinity."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        try:
            table = pd.read_csv(table)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{table} can't be read as a table of bound intervals: {error}"
            ) from error
    absent = {"receptor", "t_on", "t_off"} - set(table.columns)
    if absent:
        raise InputError(
            f"A table of bound intervals has the columns receptor, t_on, t_off; {sorted(absent)} "
            f"missing among {list(table.columns)}"
        )
    receptor = table["receptor"].to_numpy(np.int64)
    t_on = table["t_on"].to_numpy(float)
    t_off = table["t_off"].to_numpy(float)
    t_off = np.where(np.isnan(t_off), np.inf, t_off)
    same = np.r_[False, np.diff(receptor) == 0]
    previous = np.r_[0.0, t_off[:-1]]
    for wrong, words in (
        (receptor < 0, "the receptor index is negative"),
        (
            ~np.isfinite(t_on) | (t_on < 0) | (t_on >= duration),
            f"t_on is not in [0, {duration:g}) s",
        ),
        (t_off <= t_on, "t_off is not after t_on"),
        (np.r_[False, np.diff(receptor) < 0], "receptors must ascend"),
        (same & (t_on <= previous), "the interval begins before the one above has ended"),
    ):
        if np.any(wrong):
            row = int(np.argmax(wrong))
            raise InputError(
                f"Row {row} (receptor {receptor[row]}, t_on {t_on[row]:g}, t_off {t_off[row]:g}): {words}"
            )
    return receptor, t_on, t_off

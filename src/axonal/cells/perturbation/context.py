"""Vectors that describe drugs: from their molecules, their effects, the user, or learned.

What a vector is made from decides what a map may claim. Descriptors of molecules need no cell. A
vector of effects is computed from the treated cells of the very drug that it describes, so a drug
that was held out from training has been seen by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from axonal.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

Source = Literal["descriptors", "effect", "learned", "given"]

_UNKNOWN = {
    "descriptors": "pass its own row, context=molecule_descriptors({name: smiles})",
    "effect": "an effect embedding is computed from measured cells of the drug: measure it and "
    "compute the embedding with it, or fit with molecule_descriptors, which need no cell",
    "learned": "a learned embedding is a table of the drugs seen in training: fit with "
    "molecule_descriptors to predict new ones",
    "given": "pass its own row, context=...",
}


@dataclass(frozen=True, eq=False)
class DrugContext:
    """A vector for each drug, or for each drug at a dose.

    Parameters
    ----------
    table
        One row a drug, named by it (``"givinostat"``) or by drug and dose (``"givinostat-100"``).
    source
        ``"descriptors"`` of molecules, ``"effect"`` on measured cells, ``"learned"`` in training, or
        ``"given"`` by the user.
    """

    table: pd.DataFrame
    source: Source = "given"

    def __post_init__(self) -> None:
        twice = self.table.index[self.table.index.duplicated()].unique()
        if len(twice):
            raise InputError(f"context: {', '.join(map(str, twice))} have more than one row.")
        values = self.table.to_numpy()
        if values.shape[1] == 0 or not np.issubdtype(values.dtype, np.number):
            raise InputError("context: expected a table of numbers with at least one column.")
        bad = [
            name
            for name, row in zip(self.table.index, values.astype(float), strict=True)
            if not np.isfinite(row).all()
        ]
        if bad:
            raise InputError(
                f"context: NaN or infinite values in the rows {', '.join(map(str, bad))}."
            )

    @classmethod
    def learned(cls, drugs: Iterable[str]) -> DrugContext:
        """Return one-hot rows: the network's first layer then holds a vector for each drug."""
        import pandas as pd

        names = sorted(set(drugs))
        return cls(pd.DataFrame(np.eye(len(names)), index=names, columns=names), "learned")

    @classmethod
    def of(cls, context: Any, drugs: Sequence[str] = ()) -> DrugContext:
        """Return the context that a user means: a table, a row for one drug, or ``"learned"``."""
        import pandas as pd

        if isinstance(context, cls):
            return context
        if isinstance(context, str):
            if context != "learned":
                raise InputError(
                    f"context: expected 'learned', a table with a row a drug, or a DrugContext; got "
                    f"{context!r}."
                )
            return cls.learned(drugs)
        if isinstance(context, pd.DataFrame):
            return cls(context)
        row = np.asarray(context, dtype=float)
        if row.ndim != 1 or len(drugs) != 1:
            raise InputError(
                "context: one row describes one drug; for several pass a DataFrame with a row each."
            )
        names = list(context.index) if isinstance(context, pd.Series) else None
        return cls(pd.DataFrame(row[None], index=list(drugs), columns=names))

    @property
    def width(self) -> int:
        """Numbers a drug."""
        return self.table.shape[1]

    def has(self, drug: str, dose: float | None) -> bool:
        """Whether there is a row for this drug, or for this drug at this dose."""
        return self._key(drug, dose) is not None

    def row(self, drug: str, dose: float | None) -> np.ndarray:
        """Return the vector of a drug ``(width,)``, that of its dose where doses have their own."""
        key = self._key(drug, dose)
        if key is None:
            at = "" if dose is None else f" at dose {dose:g}"
            raise InputError(
                f"context: no row for {drug!r}{at} (if it is new, {_UNKNOWN[self.source]}): "
                f"{nearest(drug, map(str, self.table.index))}"
            )
        return self.table.loc[key].to_numpy(dtype=float)

    def with_rows(self, new: DrugContext) -> DrugContext:
        """Return this context with the rows of another one put first."""
        import pandas as pd

        if new.width != self.width:
            raise InputError(
                f"context: the map was fitted on rows of {self.width} numbers, these have {new.width}."
            )
        table = new.table
        if list(table.columns) != list(self.table.columns):
            if set(table.columns) == set(self.table.columns):
                table = table[list(self.table.columns)]
            elif new.source == "descriptors" or self.source == "descriptors":
                given_as_row = new.source == "given" and list(table.columns) == list(
                    range(new.width)
                )
                if not given_as_row:
                    raise InputError(
                        "context: the columns are not those that the map was fitted on; compute both "
                        "with one background."
                    )
        table = table.set_axis(self.table.columns, axis=1)
        kept: Any = self.table.loc[~self.table.index.isin(table.index)]
        joined: Any = pd.concat([table, kept])
        return DrugContext(joined, self.source)

    def _key(self, drug: str, dose: float | None) -> str | None:
        at_dose = None if dose is None else f"{drug}-{dose:g}"
        return next((k for k in (at_dose, drug) if k is not None and k in self.table.index), None)

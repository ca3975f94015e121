"""From a treatment to the numbers that the map network reads (context vectors).

One drug is one token: its vector, the natural logarithm of its dose, and its time, of which the
network reads overlapping slices: ``[drug]``, ``[drug, dose]``, ``[drug, dose, time]``. The drugs of
a combination are a set of tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from axonal.cells.perturbation.context import DrugContext
from axonal.cells.perturbation.screen import Treatment
from axonal.errors import InputError

DoseScale = Literal["log", "linear"]


@dataclass(frozen=True, eq=False)
class Encoding:
    """How treatments become context vectors.

    Parameters
    ----------
    context
        Vectors of drugs; None where there is one drug, of which only dose or time vary.
    dose, time
        ``"log"`` takes the natural logarithm, ``"linear"`` divides by ``unit``; None: not read.
    dose_unit, time_unit
        What linear doses and times are divided by, the largest of training.
    pooled
        Whether drugs are a set (combinations).
    """

    context: DrugContext | None
    dose: DoseScale | None = None
    time: DoseScale | None = None
    dose_unit: float = 1.0
    time_unit: float = 1.0
    pooled: bool = False

    @classmethod
    def of(
        cls,
        treatments: Sequence[Treatment],
        context: Any,
        *,
        dose: DoseScale | None = None,
        time: DoseScale | None = None,
        pooled: bool = False,
    ) -> Encoding:
        """Return how the treatments of a training are read, with units that fit them.

        Parameters
        ----------
        treatments
            Those of training.
        context
            What describes drugs, as :meth:`DrugContext.of` takes it; None where there is one.
        dose, time, pooled
            As above.
        """
        drugs = sorted({drug for treatment in treatments for drug in treatment.drugs})
        if context is None and len(drugs) > 1:
            raise InputError(
                f"The screen has {len(drugs)} drugs ({', '.join(drugs[:3])} ...) and nothing tells "
                "them apart: pass context=molecule_descriptors(...), a table, or 'learned'."
            )
        made = None if context is None else DrugContext.of(context, drugs)
        if made is not None and made.source != "effect":  # those may lack drugs of combinations
            lacking = sorted({d for t in treatments for d in t.drugs if not made.has(d, t.dose)})
            if len(lacking) > 1:
                raise InputError(
                    f"context: no row for {len(lacking)} of {len(drugs)} drugs: "
                    f"{', '.join(lacking[:5])}{' ...' * (len(lacking) > 5)}. It has a row for "
                    f"{', '.join(map(str, made.table.index[:5]))}{' ...' * (len(made.table) > 5)}."
                )
        doses = [abs(t.dose) for t in treatments if t.dose is not None]
        times = [abs(t.time) for t in treatments if t.time is not None]
        return cls(
            made,
            dose=dose,
            time=time,
            dose_unit=max(doses, default=1.0) or 1.0,
            time_unit=max(times, default=1.0) or 1.0,
            pooled=pooled,
        )

    @property
    def width(self) -> int:
        """Numbers a token."""
        drug = self.context.width if self.context else 0
        return drug + (self.dose is not None) + (self.time is not None)

    @property
    def slices(self) -> tuple[tuple[int, int], ...]:
        """Start and end of what each first layer reads: the official code's entity bonds."""
        ends = [self.context.width] if self.context else []
        for varied in (self.dose, self.time):
            if varied is not None:
                ends.append((ends[-1] if ends else 0) + 1)
        return tuple((0, end) for end in ends)

    def encode(self, treatments: Sequence[Treatment]) -> tuple[Tensor, Tensor]:
        """Return tokens ``(treatments, tokens, width)`` and which of them there are, as booleans."""
        rows = [self._tokens(treatment) for treatment in treatments]
        most = max(len(tokens) for tokens in rows)
        values = torch.zeros(len(rows), most, self.width)
        present = torch.zeros(len(rows), most, dtype=torch.bool)
        for number, tokens in enumerate(rows):
            values[number, : len(tokens)] = torch.as_tensor(np.array(tokens), dtype=torch.float32)
            present[number, : len(tokens)] = True
        return values, present

    def _tokens(self, treatment: Treatment) -> list[np.ndarray]:
        if len(treatment.drugs) > 1 and not self.pooled:
            raise InputError(
                f"{treatment.label} is a combination: fit with pooling='mean' or 'attention'."
            )
        numbers = []
        if self.dose is not None:
            numbers.append(_scaled(treatment.dose, self.dose, self.dose_unit, "dose", treatment))
        if self.time is not None:
            numbers.append(_scaled(treatment.time, self.time, self.time_unit, "time", treatment))
        if self.context is None:
            return [np.array(numbers, dtype=float)]
        skipped = self._skipped(treatment)
        drugs = [drug for drug in treatment.drugs if drug not in skipped]
        return [np.concatenate([self.context.row(drug, treatment.dose), numbers]) for drug in drugs]

    def skipped(self, treatments: Sequence[Treatment]) -> list[str]:
        """Return drugs of combinations that are left out, as they were never measured alone."""
        return sorted({drug for treatment in treatments for drug in self._skipped(treatment)})

    def _skipped(self, treatment: Treatment) -> tuple[str, ...]:
        context = self.context
        if context is None or context.source != "effect" or not self.pooled:
            return ()
        unknown = tuple(d for d in treatment.drugs if not context.has(d, treatment.dose))
        return () if len(unknown) == len(treatment.drugs) else unknown  # the error says what to do


def _scaled(
    value: float | None, scale: DoseScale, unit: float, name: str, treatment: Treatment
) -> float:
    if value is None:
        raise InputError(f"{treatment.label}: the map was fitted with a {name}, pass {name}=.")
    if not math.isfinite(value) or (scale == "log" and value <= 0):
        raise InputError(f"{treatment.label}: a {name} is positive and finite, got {value}.")
    return math.log(value) if scale == "log" else value / unit

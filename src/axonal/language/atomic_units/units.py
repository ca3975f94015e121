r"""A set of atomic units and their gains: what steers, in at most a hundred lines of a table.

The edit is :math:`x_i \leftarrow x_i + \gamma_i x_i` at every position, in prefill and in decoding.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from axonal.activations import ScaleUnits, Site
from axonal.errors import InputError
from axonal.language.atomic_units.sites import UnitSite, check_site, unit_site

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "axonal atomic units 1"


@dataclass(frozen=True, eq=False)
class Units:
    """Units of one site with their gains, best first.

    Parameters
    ----------
    site
        Where they live.
    layer, unit
        ``(k,)`` integers: which.
    gain
        ``(k,)`` float64: the unit is multiplied by ``1 + gain``.
    positive_rate, negative_rate
        ``(k,)`` float64: shares of the pairs in which the unit is larger, and smaller, in the good
        text.
    width
        Units of a layer, against which a model is checked.
    heads
        Attention heads that a layer's units divide into; None at other sites.
    alpha, tie, pairs, position, model, revision
        How they were found.
    """

    site: UnitSite
    layer: Tensor
    unit: Tensor
    gain: Tensor
    positive_rate: Tensor
    negative_rate: Tensor
    width: int
    heads: int | None = None
    alpha: float | None = None
    tie: str = "promote"
    pairs: int = 0
    position: str = "answer"
    model: str = ""
    revision: str | None = None

    def __post_init__(self) -> None:
        check_site(self.site)
        columns = (self.layer, self.unit, self.gain, self.positive_rate, self.negative_rate)
        if len({tuple(column.shape) for column in columns}) > 1 or self.layer.ndim != 1:
            raise InputError("Every unit has a layer, an index, a gain and two rates.")
        if not bool(self.gain.isfinite().all()):
            raise InputError(f"Gains are finite numbers; got {self.gain.tolist()}.")
        if len(self) and not 0 <= int(self.unit.min()) <= int(self.unit.max()) < self.width:
            raise InputError(f"Units lie between 0 and {self.width - 1}; got {self.unit.tolist()}.")
        if len(set(zip(self.layer.tolist(), self.unit.tolist(), strict=True))) < len(self):
            raise InputError("A unit is named twice; every unit has one gain.")

    def __len__(self) -> int:
        return len(self.layer)

    def __getitem__(self, which: slice | Sequence[int]) -> Units:
        """Return some of the units."""
        rows = torch.arange(len(self))[which]
        names = ("layer", "unit", "gain", "positive_rate", "negative_rate")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @property
    def score(self) -> Tensor:
        """``(k,)``: the larger of the two rates."""
        return torch.maximum(self.positive_rate, self.negative_rate)

    @property
    def head(self) -> Tensor | None:
        """``(k,)``: the attention head of each unit; None at other sites."""
        return None if self.heads is None else self.unit // (self.width // self.heads)

    # What is done to a model

    def edits(self, model: nn.Module, *, skip_first: bool = False) -> dict[Site, ScaleUnits]:
        """Return the edits that steer a model, for ``axonal.activations.edit``.

        Parameters
        ----------
        model
            The model that the units were found in, or one of the same sizes.
        skip_first
            Leave the first token of each text as it is: in many models it is an attention sink with
            very large activations.
        """
        depth = model.config.get_text_config().num_hidden_layers  # pyright: ignore
        if len(self) and int(self.layer.max()) >= depth:
            raise InputError(
                f"These units reach layer {int(self.layer.max())}, but {type(model).__name__} has "
                f"layers 0 to {depth - 1}."
            )
        self._check_width(model)
        limits: dict[str, Any] = {"positions": slice(1, None)} if skip_first else {}
        edits = {}
        for layer in self.layer.unique().tolist():
            rows = self.layer == layer
            edits[unit_site(model, self.site, layer)] = ScaleUnits(
                self.unit[rows], self.gain[rows].float(), **limits
            )
        return edits

    def _check_width(self, model: nn.Module) -> None:
        """Compare the width of the module, which is not always the hidden size."""
        if not len(self) or self.site == "layer":
            return
        site = unit_site(model, self.site, int(self.layer[0]))
        module: Any = site.module(model)
        name = "in_features" if site.side == "input" else "out_features"
        width = getattr(module, name, None)
        if width is None and getattr(module, "weight", None) is not None:  # GPT-2's Conv1D
            width = module.weight.shape[0 if site.side == "input" else 1]
        if width is not None and width != self.width:
            raise InputError(
                f"These units were found among {self.width} at {self.site}, but "
                f"{type(model).__name__} has {width} there."
            )

    # Others made from them

    def scaled(self, factor: float) -> Units:
        """Return the same units with their gains multiplied; 0 changes nothing, bit for bit."""
        return replace(self, gain=self.gain * factor)

    def reversed(self) -> Units:
        """Return the same units with opposite gains: what is promoted is held back."""
        return self.scaled(-1.0)

    def inverse(self) -> Units:
        """Return the gains that undo these: ``1 / (1 + gain) - 1``."""
        if bool((self.gain == -1).any()):
            row = int((self.gain == -1).nonzero()[0])
            raise InputError(
                f"The gain of layer {int(self.layer[row])}, unit {int(self.unit[row])} is -1, which "
                "silences it: what is zero can't be scaled back."
            )
        return replace(self, gain=1 / (1 + self.gain) - 1)

    # Tables and files

    def table(self) -> pd.DataFrame:
        """Return a row a unit."""
        import pandas as pd

        columns = {"layer": self.layer, "unit": self.unit}
        columns |= {} if self.head is None else {"head": self.head}
        names = ("positive_rate", "negative_rate", "score", "gain")
        columns |= {name: getattr(self, name) for name in names}
        return pd.DataFrame({name: column.numpy() for name, column in columns.items()})

    def save(self, path: str | Path) -> None:
        """Write the units as JSON, one line a unit, to be read and shared."""
        about = {"format": FORMAT, "site": self.site, "width": self.width, "heads": self.heads}
        for name in ("alpha", "tie", "pairs", "position", "model", "revision"):
            about[name] = getattr(self, name)
        names = ("layer", "unit", "gain", "positive_rate", "negative_rate")
        columns = [getattr(self, name).tolist() for name in names]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        head = json.dumps(about, indent=1)[:-2]
        body = ",\n  ".join(json.dumps(row) for row in rows)
        Path(path).write_text(f'{head},\n "units": [\n  {body}\n ]\n}}\n', encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Units:
        """Read what ``save`` wrote."""
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"{path} can't be read as JSON: {error}.") from None
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise InputError(f"{path} holds no atomic units: expected format {FORMAT!r}.")
        names = ("layer", "unit", "gain", "positive_rate", "negative_rate")
        try:
            rows = found.pop("units")
            whole, real = torch.long, torch.float64
            columns = {
                name: torch.tensor(
                    [row[name] for row in rows], dtype=whole if name in names[:2] else real
                )
                for name in names
            }
            return cls(**columns, **found)
        except (KeyError, TypeError) as error:
            raise InputError(f"{path} holds no whole table of units: {error}.") from None

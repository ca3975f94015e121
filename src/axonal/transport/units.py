r"""A map of each unit by itself, :math:`x_j \mapsto \omega_j x_j + \beta_j`, where its support reaches.

Inside the support :math:`[l_j, h_j]` the map applies; outside a unit stays as it is, because nothing
was seen there. With unbounded support the map is affine; with bounds it is affine on each side of
them, and two inputs may share an image, so it has no inverse.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from axonal.activations import Edit, MapUnits
from axonal.activations.edits.mapping import map_units
from axonal.errors import InputError


@dataclass(frozen=True, eq=False)
class UnitMap:
    """An affine map for each unit, within bounds.

    Parameters
    ----------
    scale, shift
        ω and β: ``(width,)`` each.
    low, high
        The support, ``(width,)`` each, both ends belong to it; None is unbounded.
    """

    scale: Tensor
    shift: Tensor
    low: Tensor | None = None
    high: Tensor | None = None

    @property
    def width(self) -> int:
        """The number of units of a row."""
        return len(self.scale)

    def to(self, device: torch.device) -> Self:
        """Return the map on a device."""
        if self.scale.device == device:
            return self
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v if v is None else v.to(device) for k, v in moved.items()})

    def apply(self, x: Tensor, strength: float = 1.0) -> Tensor:
        """Map rows ``(..., width)``, ``strength`` of the way."""
        moved = map_units(x, self.scale, self.shift, self.low, self.high)
        return moved if strength == 1.0 else torch.lerp(x, moved, strength)

    def undo(self, x: Tensor, strength: float = 1.0) -> Tensor:
        """Return the rows that :meth:`apply` maps to ``x``; refuses where they are not unique."""
        self._require_unbounded("inverse")
        factor = 1 + strength * (self.scale - 1)
        lost = int((factor.abs() <= 1e-10).sum())
        if lost:
            raise InputError(
                f"This map erases {lost} unit(s) at strength {strength:g}, so it has no inverse; "
                "a strength below 1 keeps them."
            )
        return (x - strength * self.shift) / factor

    def dense(self, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return M ``(width, width)`` and v ``(width,)`` of ``x -> M x + v``."""
        self._require_unbounded("matrix")
        return torch.diag(1 + strength * (self.scale - 1)), strength * self.shift

    def edit(self, strength: float = 1.0, **limits: Any) -> Edit:
        """Return the edit that does the same to the activations of a model, in float32.

        Parameters
        ----------
        strength
            See :class:`axonal.activations.Edit`.
        limits
            ``positions``, ``tokens`` and ``rows`` of the edit.
        """
        low = None if self.low is None else self.low.float()
        high = None if self.high is None else self.high.float()
        return MapUnits(
            self.scale.float(), self.shift.float(), low, high, strength=strength, **limits
        )

    def _require_unbounded(self, what: str) -> None:
        if self.low is not None or self.high is not None:
            raise InputError(
                f"A map that stops at its observed support has no {what}: it is not affine, and "
                "two activations may share one image. Use support='everywhere'."
            )

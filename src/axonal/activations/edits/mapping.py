"""An edit that maps each unit by itself, within the support where the map was learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.edits.base import Edit
from axonal.errors import InputError


class MapUnits(Edit):
    """Map each unit by itself: ``scale * x + shift`` within the support, ``x`` outside.

    Parameters
    ----------
    scale, shift
        ``(width,)`` each.
    low, high
        The support, ``(width,)`` each; None is unbounded.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    scale: Tensor
    shift: Tensor
    low: Tensor | None
    high: Tensor | None

    def __init__(
        self,
        scale: Tensor,
        shift: Tensor,
        low: Tensor | None = None,
        high: Tensor | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        named = {"scale": scale, "shift": shift, "low": low, "high": high}
        for name, value in named.items():
            if value is not None and value.shape != (len(scale),):
                raise InputError(
                    f"MapUnits: scale has {len(scale)} units, but {name} has shape "
                    f"{tuple(value.shape)}."
                )
            self.hold(name, value, finite=name in ("scale", "shift"))

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        return map_units(x, *self.prepared(x))

    @override
    def prepare(self, x: Tensor) -> tuple[Tensor | None, ...]:
        self.check_width(x, len(self.scale))
        parts = (self.scale, self.shift, self.low, self.high)
        return tuple(None if part is None else part.to(x) for part in parts)


def map_units(
    x: Tensor, scale: Tensor, shift: Tensor, low: Tensor | None, high: Tensor | None
) -> Tensor:
    """Return ``scale * x + shift`` within the support and ``x`` outside."""
    new = torch.addcmul(shift, x, scale)
    if low is not None:
        new = torch.where(x >= low, new, x)
    return new if high is None else torch.where(x <= high, new, x)

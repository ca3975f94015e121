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
        self.check_width(x, len(self.scale))
        low = None if self.low is None else self.low.to(x)
        high = None if self.high is None else self.high.to(x)
        return x + unit_step(x, self.scale.to(x), self.shift.to(x), low, high)


def unit_step(
    x: Tensor, scale: Tensor, shift: Tensor, low: Tensor | None, high: Tensor | None
) -> Tensor:
    """Return how far the map moves ``x``: ``(scale - 1) x + shift`` within the support, else 0."""
    step = (scale - 1) * x + shift
    if low is not None:
        step = torch.where(x >= low, step, 0.0)
    if high is not None:
        step = torch.where(x <= high, step, 0.0)
    return step

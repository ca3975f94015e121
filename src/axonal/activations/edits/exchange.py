"""Edits that put another value in the activation's place: a constant, or another run's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.edits.base import Edit
from axonal.errors import InputError


class Replace(Edit):
    """Put a fixed value in the activation's place.

    Parameters
    ----------
    value
        A number, or any shape that the activation ends in; ``(rows, 1, ..., width)`` for one value a
        row.
    """

    def __init__(self, value: float | Tensor, **limits: Any) -> None:
        super().__init__(**limits)
        self.hold("value", value)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        value = torch.as_tensor(self.value).to(x)
        try:
            return value.expand_as(x)
        except RuntimeError:
            raise InputError(
                f"Replace has a value of shape {tuple(value.shape)}, which does not broadcast over "
                f"{tuple(x.shape)}."
            ) from None


class Interchange(Edit):
    """Put another run's activations in the place of this run's, token by absolute position.

    Parameters
    ----------
    source
        ``(rows, positions, ...)`` as :func:`record` returns it for the same site, one row for each
        row of the batch, or a single row for all.
    mask
        The attention mask ``(rows, positions)`` of the run that ``source`` comes from, where it was
        padded: tokens are matched by their absolute position, so the two runs may be padded
        differently.

    Tokens at positions that the source does not hold stay as they are.
    """

    source: Tensor
    held: Tensor

    def __init__(self, source: Tensor, mask: Tensor | None = None, **limits: Any) -> None:
        super().__init__(**limits)
        if source.ndim < 3:
            raise InputError(
                f"Interchange takes a source (rows, positions, ...), got {tuple(source.shape)}."
            )
        held = torch.ones(source.shape[:2], dtype=torch.bool, device=source.device)
        if mask is not None:
            if mask.shape != source.shape[:2]:
                raise InputError(
                    f"Interchange: the mask {tuple(mask.shape)} does not fit a source of "
                    f"{tuple(source.shape[:2])} rows and positions."
                )
            # A stable sort moves the real tokens to the front: columns become absolute positions.
            order = (~mask.bool()).to(torch.uint8).argsort(dim=1, stable=True).to(source.device)
            source = source[torch.arange(len(source), device=source.device).unsqueeze(1), order]
            held = mask.bool().to(source.device).gather(1, order)
        self.hold("source", source)
        self.register_buffer("held", held)

    @property
    @override
    def needs_call(self) -> bool:
        return True

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        assert call is not None
        source = self.source.to(x)
        if source.shape[2:] != x.shape[2:]:
            raise InputError(
                f"Interchange has a source of {tuple(source.shape)} for an activation of "
                f"{tuple(x.shape)}."
            )
        if len(source) != 1:
            call.check_rows(len(source), "the source of Interchange")
        rows = (call.rows if len(source) > 1 else torch.zeros_like(call.rows)).to(x.device)
        positions = call.positions.to(x.device)
        known = (positions >= 0) & (positions < source.shape[1])
        columns = positions.clamp(0, source.shape[1] - 1)
        known = known & self.held.to(x.device)[rows.unsqueeze(1), columns]
        return torch.where(call.spread(known, x), source[rows.unsqueeze(1), columns], x)

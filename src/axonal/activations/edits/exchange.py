"""Edits that put another value in the activation's place: a constant, or another run's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.edits.base import Edit
from axonal.activations.edits.linear import orthonormal
from axonal.errors import InputError


class Replace(Edit):
    """Put a fixed value in the activation's place.

    Parameters
    ----------
    value
        A number, or a tensor that broadcasts over the activation: ``(width,)`` for every token,
        ``(rows, 1, width)`` for one value a row.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    value: float | Tensor

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
    """Put another run's activations in the place of this run's, token by token.

    Tokens are matched by row and absolute position, so the two runs may be padded differently.
    Tokens at positions that the source does not hold (generated ones, say) stay as they are.

    Parameters
    ----------
    source
        ``(rows, positions, ...)`` as ``record`` returns it with ``positions=None`` from the
        same site: one row for each row of the batch, or a single row for all.
    mask
        ``(rows, positions)``: the attention mask of the run that ``source`` comes from, where it
        was padded.
    basis
        ``(width, k)``: exchange only the part in this subspace; made orthonormal here.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    source: Tensor
    mask: Tensor
    basis: Tensor | None

    def __init__(
        self,
        source: Tensor,
        mask: Tensor | None = None,
        basis: Tensor | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        if source.ndim < 3:
            raise InputError(
                f"Interchange takes a source (rows, positions, ...), got {tuple(source.shape)}; "
                "Replace puts a value anywhere."
            )
        if mask is None:
            mask = torch.ones(source.shape[:2])
        if mask.shape != source.shape[:2]:
            raise InputError(
                f"Interchange: a mask of shape {tuple(mask.shape)} does not fit a source of "
                f"{source.shape[0]} rows and {source.shape[1]} positions."
            )
        # Real tokens move to the front, in their order: columns become absolute positions.
        mask = mask.bool().to(source.device)
        order = (~mask).byte().argsort(dim=1, stable=True)
        rows = torch.arange(len(source), device=source.device).unsqueeze(1)
        self.hold("source", source[rows, order])
        self.register_buffer("mask", mask[rows, order])
        self.hold("basis", None if basis is None else orthonormal(basis))

    @property
    @override
    def needs_call(self) -> bool:
        return True

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        assert call is not None
        if self.source.shape[2:] != x.shape[2:]:
            raise InputError(
                f"Interchange has a source of shape {tuple(self.source.shape)}, but an activation "
                f"of shape {tuple(x.shape)} flows here."
            )
        rows = torch.zeros_like(call.rows)
        if len(self.source) > 1:
            call.check_rows(len(self.source), "The source of Interchange")
            rows = call.rows
        rows = rows.to(x.device).unsqueeze(1)
        positions = call.positions.to(x.device)
        columns = positions.clamp(0, self.source.shape[1] - 1)
        other = self.source.to(x)[rows, columns]
        if self.basis is not None:
            self.check_width(x, len(self.basis))
            basis = self.basis.to(x)
            other = x + ((other - x) @ basis) @ basis.mT
        held = (columns == positions) & self.mask.to(x.device)[rows, columns]
        return torch.where(call.spread(held, x), other, x)

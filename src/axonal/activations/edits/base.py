"""What every edit shares: where it applies, how strongly, and in which precision it computes.

An edit returns ``x + strength * (change(x) - x)`` at the positions, tokens and rows that it is
limited to, and ``x`` elsewhere. It computes in float32 where the model runs in half precision,
never writes into ``x``, and where its strength is 0 returns ``x`` itself.

Constructor arguments are attributes of the same name, so an edit can be saved and built again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.positions import Positions, select
from axonal.activations.site import Site
from axonal.errors import InputError


class Edit(nn.Module):
    """An edit of an activation ``(batch, positions, ...)``; subclasses define ``change``.

    Parameters
    ----------
    positions
        Which tokens, see ``axonal.activations.positions``; None is every entry, padding too.
    tokens
        Only at these token ids.
    rows
        Only in these rows of the batch (of the prompt batch, where ``generate`` copies rows).
    strength
        A number, or a tensor of one number a row; 0 changes nothing, 1 is the edit in full.
    """

    strength: float | Tensor
    made_for: Site | None = None
    """The site that a loaded edit belongs to; it refuses others."""

    def __init__(
        self,
        *,
        positions: Positions = None,
        tokens: Sequence[int] | None = None,
        rows: Sequence[int] | None = None,
        strength: float | Tensor = 1.0,
    ) -> None:
        super().__init__()
        self._kept: _Kept | None = None
        self.positions = positions
        self.tokens = None if tokens is None else [int(token) for token in tokens]
        self.rows = None if rows is None else [int(row) for row in rows]
        self.hold("strength", strength)

    def change(self, x: Tensor, call: Call | None) -> Tensor:
        """Return the edited activation, as if the edit applied everywhere and in full."""
        raise NotImplementedError

    def forward(self, x: Tensor, call: Call | None = None) -> Tensor:
        """Apply the edit to ``x``; without a call, rows and positions are read off its axes."""
        strength = self.strength
        full = strength.__class__ is float and strength == 1.0
        if not full and not isinstance(strength, Tensor) and strength == 0.0:
            return x
        if call is None and self.needs_call:
            call = Call.of_tensor(x)
        chosen: bool | Tensor = True
        if call is not None:
            if self.tokens is not None or self.rows is not None:
                chosen = self._chosen(x, call)
            elif self.positions is not None:
                chosen = select(call, self.positions)
                if isinstance(chosen, Tensor):
                    chosen = call.spread(chosen, x)
            if chosen is False:
                return x
        dtype = x.dtype
        half = dtype is torch.float16 or dtype is torch.bfloat16
        wide = x.float() if half else x
        new = self.change(wide, call)
        if not full:
            new = torch.lerp(wide, new, self.by_row(strength, wide, call))  # exact at 0 and 1
        if isinstance(chosen, Tensor):
            new = torch.where(chosen, new, wide)
        return new.to(dtype) if half else new

    @property
    def needs_call(self) -> bool:
        """Whether the edit has to know which tokens it sees."""
        return (
            self.positions is not None
            or self.tokens is not None
            or self.rows is not None
            or isinstance(self.strength, Tensor)
        )

    def prepare(self, x: Tensor) -> Any:
        """Return what ``change`` multiplies with, in the dtype and on the device of ``x``."""
        raise NotImplementedError

    def prepared(self, x: Tensor) -> Any:
        """Return what ``prepare`` returns: computed once, and anew when a parameter was written to.

        Where gradients flow to a parameter it is computed at every call.
        """
        if torch.is_grad_enabled() and any(p.requires_grad for p in self._own()):
            return self.prepare(x)
        kept = self._kept
        if kept is not None and x.dtype is kept.dtype and x.size(-1) == kept.width:
            for parameter, version in kept.written:
                if parameter._version != version:
                    break
            else:
                if x.device == kept.device:
                    return kept.value
        with torch.inference_mode(False), torch.no_grad():
            value = self.prepare(x)
        # What is written to a tensor of inference mode is not counted.
        if not any(p.is_inference() for p in self._own()):
            written = [(p, p._version) for p in self._own()]
            self._kept = _Kept(x.dtype, x.device, x.size(-1), written, value)
        return value

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "_kept":  # what was prepared may have come from another value
            self._kept = None

    @override
    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self._kept = None  # parameters go elsewhere, or become others
        return super()._apply(*args, **kwargs)

    def by_row(self, value: float | Tensor, x: Tensor, call: Call | None) -> float | Tensor:
        """Shape a number, or a tensor of one number a row, to broadcast over ``x``."""
        if not isinstance(value, Tensor) or value.ndim == 0:
            return value.to(x) if isinstance(value, Tensor) else value
        call = Call.of_tensor(x) if call is None else call
        call.check_rows(len(value), "A strength")
        return value.to(x)[call.rows.to(x.device)].view(-1, *(1,) * (x.ndim - 1))

    def hold(self, name: str, value: float | Tensor | None, *, finite: bool = True) -> None:
        """Keep an argument as the attribute ``name``; refuse NaN and infinity.

        Tensors become parameters that do not train until asked to (``requires_grad_()``). A tensor
        that already requires gradients stays in its graph, so that they flow through the edit to
        whatever made it.
        """
        if value is None:
            self.register_parameter(name, None)
        elif not isinstance(value, Tensor):
            if math.isnan(value) or (finite and math.isinf(value)):
                raise InputError(f"{type(self).__name__}: {name} is {value}.")
            setattr(self, name, float(value))
        else:
            value = value if value.is_floating_point() else value.float()
            if bool(value.isnan().any()) or (finite and not bool(value.isfinite().all())):
                raise InputError(
                    f"{type(self).__name__}: {name} of shape {tuple(value.shape)} holds NaN or "
                    "infinity."
                )
            if value.requires_grad and not isinstance(value, nn.Parameter):
                self.register_buffer(name, value)
            elif isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            else:
                own = value.detach().clone(memory_format=torch.contiguous_format)
                self.register_parameter(name, nn.Parameter(own, requires_grad=False))

    def check_width(self, x: Tensor, width: int) -> None:
        """Raise when the last dimension of ``x`` is not the one that the edit was made for."""
        if x.shape[-1] != width:
            raise InputError(
                f"{type(self).__name__} was made for {width} features, but {x.shape[-1]} flow here."
            )

    def _chosen(self, x: Tensor, call: Call) -> bool | Tensor:
        """Where the edit applies: everywhere, nowhere, or a mask that broadcasts over ``x``."""
        chosen = select(call, self.positions)
        if self.tokens is not None and chosen is not False:
            if call.ids is None:
                raise InputError("tokens= needs a model that is called with input_ids.")
            ids = torch.tensor(self.tokens, device=call.ids.device)
            chosen = chosen & torch.isin(call.ids, ids)
        if isinstance(chosen, Tensor):
            chosen = call.spread(chosen, x)
        if self.rows is not None and chosen is not False:
            if self.rows and not 0 <= min(self.rows) <= max(self.rows) < call.prompt_rows:
                raise InputError(f"rows={self.rows}, but the batch has {call.prompt_rows} rows.")
            inside = torch.isin(call.rows, torch.tensor(self.rows, device=call.rows.device))
            chosen = chosen & inside.to(x.device).view(-1, *(1,) * (x.ndim - 1))
        return chosen

    def _own(self) -> list[Tensor]:
        """The edit's own tensors."""
        return [p for p in (*self._parameters.values(), *self._buffers.values()) if p is not None]


class _Kept(NamedTuple):
    """What was prepared, and for what: a dtype, a device, a width, and parameters as they were."""

    dtype: torch.dtype
    device: torch.device
    width: int
    written: list[tuple[Tensor, int]]
    value: Any

"""What every edit shares: where it applies, how strongly, and in which precision it computes.

An edit returns ``x + strength * (change(x) - x)`` at the tokens, rows and positions that it is
limited to, and ``x`` elsewhere. It computes in float32 where the model runs in half precision,
returns a new tensor always, and where its strength is zero returns ``x`` itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from axonal.activations.call import Call, Positions
from axonal.errors import InputError


class Edit(nn.Module):
    """An edit of an activation ``(batch, positions, ...)``; subclasses define :meth:`change`.

    Parameters
    ----------
    positions
        Which tokens, as :meth:`Call.select` reads them; None is every entry.
    tokens
        Only at these token ids.
    rows
        Only these rows of the batch (of the prompt batch, where ``generate`` copies rows).
    strength
        A number, or a tensor of one number a row; 0 changes nothing and 1 is the edit in full.
    """

    def __init__(
        self,
        *,
        positions: Positions = None,
        tokens: Sequence[int] | None = None,
        rows: Sequence[int] | None = None,
        strength: float | Tensor = 1.0,
    ) -> None:
        super().__init__()
        self.positions = positions
        self.tokens = None if tokens is None else [int(token) for token in tokens]
        self.rows = None if rows is None else [int(row) for row in rows]
        self.hold("strength", strength)

    def change(self, x: Tensor, call: Call | None) -> Tensor:
        """Return the edited activation, as if the edit applied everywhere at full strength."""
        raise NotImplementedError

    def forward(self, x: Tensor, call: Call | None = None) -> Tensor:
        """Apply the edit to ``x``; without a call, rows and positions are read off its axes."""
        if isinstance(self.strength, float) and self.strength == 0.0:
            return x
        if call is None and self.needs_call:
            call = Call.of_tensor(x)
        chosen = True if call is None else self._chosen(x, call)
        if chosen is False:
            return x
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        new = self.change(wide, call)
        if isinstance(self.strength, Tensor) or self.strength != 1.0:
            new = wide + self.by_row(self.strength, x, call) * (new - wide)
        if isinstance(chosen, Tensor):
            new = torch.where(chosen, new, wide)
        return new.to(x.dtype)

    @property
    def needs_call(self) -> bool:
        """Whether the edit has to know which tokens it sees."""
        return (
            self.positions is not None
            or self.tokens is not None
            or self.rows is not None
            or isinstance(self.strength, Tensor)
        )

    def _chosen(self, x: Tensor, call: Call) -> bool | Tensor:
        """Where the edit applies: everywhere, nowhere, or a mask that broadcasts over ``x``."""
        chosen = call.select(self.positions)
        if self.tokens is not None and chosen is not False:
            if call.ids is None:
                raise InputError("tokens= needs a model that was called with input_ids.")
            ids = torch.tensor(self.tokens, device=call.ids.device)
            chosen = chosen & torch.isin(call.ids, ids)
        if isinstance(chosen, Tensor):
            chosen = call.spread(chosen, x)
        if self.rows is not None and chosen is not False:
            rows = torch.tensor(self.rows, device=x.device)
            if self.rows and not 0 <= min(self.rows) <= max(self.rows) < call.batch // call.copies:
                raise InputError(
                    f"rows={self.rows}, but the batch has {call.batch // call.copies} rows."
                )
            inside = torch.isin(call.rows.to(x.device), rows)
            chosen = chosen & inside.view(-1, *(1,) * (x.ndim - 1))
        return chosen

    def by_row(self, value: float | Tensor, x: Tensor, call: Call | None) -> float | Tensor:
        """Give a number or a tensor of one number a row the dimensions to broadcast over ``x``."""
        if not isinstance(value, Tensor):
            return value
        value = value.to(device=x.device)
        if value.ndim == 0:
            return value
        call = call or Call.of_tensor(x)
        call.check_rows(len(value), "strength")
        return value[call.rows.to(x.device)].view(-1, *(1,) * (x.ndim - 1))

    def hold(self, name: str, value: float | Tensor, *, finite: bool = True) -> None:
        """Keep an argument: tensors as parameters (not training until asked to), finite only.

        A tensor that already requires gradients stays in its graph, so that gradients flow through
        the edit to whatever made it.
        """
        if not isinstance(value, Tensor):
            value = float(value)
            if value != value:
                raise InputError(f"{type(self).__name__}: {name} is NaN.")
            setattr(self, name, value)
            return
        if not value.is_floating_point():
            value = value.float()
        if bool(value.isnan().any()) or (finite and not bool(value.isfinite().all())):
            raise InputError(
                f"{type(self).__name__}: {name} of shape {tuple(value.shape)} holds NaN or infinity."
            )
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
        elif value.requires_grad:
            self.register_buffer(name, value)
        else:
            self.register_parameter(name, nn.Parameter(value.detach().clone(), requires_grad=False))

    def check_width(self, x: Tensor, width: int, what: str) -> None:
        """Raise when the last dimension of ``x`` is not the one that the edit was made for."""
        if x.shape[-1] != width:
            raise InputError(
                f"{type(self).__name__} has {what} for {width} features, but {x.shape[-1]} flow here."
            )

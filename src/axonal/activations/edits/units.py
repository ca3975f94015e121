"""Edits of single units: scale, clamp and gate coordinates of the activation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.edits.base import Edit
from axonal.errors import InputError


class ScaleUnits(Edit):
    """Scale single units: ``x_i * (1 + gain_i)``; the others stay bit-identical.

    Parameters
    ----------
    units
        Indices into the last dimension.
    gains
        One gain a unit, or one number for all; 0 changes nothing, -1 silences.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    gains: Tensor

    def __init__(self, units: Sequence[int] | Tensor, gains: float | Tensor, **limits: Any) -> None:
        super().__init__(**limits)
        self.units = _unit_list(units)
        gains = gains if isinstance(gains, Tensor) else torch.tensor(float(gains))
        if gains.shape not in ((), (len(self.units),)):
            raise InputError(
                f"ScaleUnits has {len(self.units)} units but gains of shape {tuple(gains.shape)}."
            )
        self.hold("gains", gains)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        _check_units(self.units, x)
        # One dense product is quicker than gathering and scattering, and x * 1 is exact.
        units = torch.tensor(self.units, dtype=torch.long, device=x.device)
        factors = (1 + self.gains.to(x)).expand(len(units))
        return x * torch.ones(x.shape[-1]).to(x).index_put((units,), factors)


class Clamp(Edit):
    """Keep units between bounds.

    Parameters
    ----------
    low, high
        Numbers, or tensors of one number a unit; None is unbounded.
    units
        Indices into the last dimension; None is all of them.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    low: float | Tensor | None
    high: float | Tensor | None

    def __init__(
        self,
        low: float | Tensor | None = None,
        high: float | Tensor | None = None,
        units: Sequence[int] | Tensor | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        if low is None and high is None:
            raise InputError("Clamp needs a lower bound, an upper bound or both.")
        self.hold("low", low, finite=False)
        self.hold("high", high, finite=False)
        floor = torch.as_tensor(-math.inf if low is None else low)
        if bool((floor > torch.as_tensor(math.inf if high is None else high)).any()):
            raise InputError("Clamp has a lower bound above its upper bound.")
        self.units = None if units is None else _unit_list(units)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        if self.units is None:
            return self._bounded(x)
        _check_units(self.units, x)
        units = torch.tensor(self.units, dtype=torch.long, device=x.device)
        return x.index_copy(-1, units, self._bounded(x.index_select(-1, units)))

    def _bounded(self, x: Tensor) -> Tensor:
        for bound, apply in ((self.low, torch.maximum), (self.high, torch.minimum)):
            x = x if bound is None else apply(x, torch.as_tensor(bound).to(x))
        return x


class Gate(Edit):
    """Mix the activation with a reference: ``gate * x + (1 - gate) * reference``.

    A gate of 0 ablates (to zero, to a mean, to another run's value), 1 leaves bit-identical, and
    what lies between is what circuit discovery learns.

    Parameters
    ----------
    gate
        A number, or a tensor that broadcasts over the activation: ``(width,)`` gates units,
        ``(heads, 1)`` gates heads.
    reference
        What takes the activation's place; broadcasts over it. 0 by default.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    gate: float | Tensor
    reference: float | Tensor

    def __init__(
        self, gate: float | Tensor, reference: float | Tensor = 0.0, **limits: Any
    ) -> None:
        super().__init__(**limits)
        self.hold("gate", gate)
        self.hold("reference", reference)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        gate, reference = torch.as_tensor(self.gate).to(x), torch.as_tensor(self.reference).to(x)
        try:
            return torch.lerp(reference.expand_as(x), x, gate.expand_as(x))
        except RuntimeError:
            raise InputError(
                f"Gate of shape {tuple(gate.shape)} with a reference of shape "
                f"{tuple(reference.shape)} does not broadcast over {tuple(x.shape)}."
            ) from None


def _unit_list(units: Sequence[int] | Tensor) -> list[int]:
    listed = [int(unit) for unit in units]
    if len(set(listed)) != len(listed) or any(unit < 0 for unit in listed):
        raise InputError("Units are distinct, non-negative indices into the last dimension.")
    return listed


def _check_units(units: list[int], x: Tensor) -> None:
    if units and max(units) >= x.shape[-1]:
        raise InputError(f"There is no unit {max(units)} among {x.shape[-1]} features.")

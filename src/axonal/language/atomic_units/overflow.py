"""Which steered unit made the logits overflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from axonal.activations import ScaleUnits, record
from axonal.activations.editing import EditsBySite
from axonal.activations.edits import Edit
from axonal.errors import AxonalError


def check_finite(model: nn.Module, edits: EditsBySite, inputs: dict[str, Any]) -> None:
    """Raise an ``AxonalError`` that names the unit with the largest scaled activation."""
    sites = [site for site, chain in edits.items() if any(_scaling(chain))]
    dtype = next(model.parameters()).dtype
    words = f"The logits of the steered {type(model).__name__} ({dtype}) are not finite"
    if not sites:
        raise AxonalError(f"{words}: steer less.")
    largest, where, factor = 0.0, "", 0.0
    for site, x in record(model, inputs, sites).items():
        for one in _scaling(edits[site]):
            factors = (1 + one.gains.float()).expand(len(one.units))
            scaled = x[..., one.units].float().abs().flatten(0, -2).amax(0) * factors.abs()
            if not where or float(scaled.max()) > largest:
                worst = int(scaled.argmax())
                largest, factor = float(scaled[worst]), float(factors[worst])
                where = f"unit {one.units[worst]} at {site}"
    limit = torch.finfo(dtype).max
    more = f", beyond the largest number of the type, {limit:.3g}" if largest > limit else ""
    raise AxonalError(
        f"{words}. The largest steered activation is {largest:.3g}{more}: {where}, scaled by "
        f"{factor:.3g}. Use a smaller alpha, or load the model in float32 or bfloat16."
    )


def _scaling(chain: Edit | Sequence[Edit]) -> list[ScaleUnits]:
    listed = [chain] if isinstance(chain, Edit) else chain
    return [one for one in listed if isinstance(one, ScaleUnits)]

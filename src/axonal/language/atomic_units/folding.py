"""Fold gains into the weights: the steered model as an ordinary checkpoint, at no cost.

At ``attention`` and ``down_proj_in`` a unit is a column of the projection that follows, and the
column is scaled. At ``mlp_out`` it is a row of the down projection, and the row and its bias are
scaled. The folded model equals the edited one to rounding. A unit of ``layer`` belongs to no single
weight.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from axonal.activations import Sites
from axonal.errors import InputError
from axonal.language.atomic_units.units import Units


def fold_into_weights(model: nn.Module, units: Units) -> None:
    """Scale the weights of a model in place; ``fold_into_weights(model, units.inverse())`` undoes it.

    Refused, before anything is changed: the site ``layer``, quantised weights, and weights that two
    modules share.
    """
    if units.site == "layer":
        raise InputError(
            "Units of the block's output belong to no single weight, so they can't be folded: use "
            "edit(model, units.edits(model))."
        )
    units.edits(model)  # checks layers and widths
    modules = {layer: _projection(model, units, layer) for layer in units.layer.unique().tolist()}
    for layer, module in modules.items():
        _check(model, module, layer)
    with torch.no_grad():
        for layer, module in modules.items():
            rows = units.layer == layer
            factors = torch.ones(units.width, dtype=torch.float64)
            factors[units.unit[rows]] = 1 + units.gain[rows]
            is_row = units.site == "mlp_out"
            transposed = not isinstance(module, nn.Linear)  # Conv1D keeps (inputs, outputs)
            along = factors.unsqueeze(1) if is_row != transposed else factors
            _multiply(module.weight, along)
            if is_row and module.bias is not None:
                _multiply(module.bias, factors)


def _projection(model: nn.Module, units: Units, layer: int) -> Any:
    sites = Sites.of(model)
    site = sites.heads(layer) if units.site == "attention" else sites.neurons(layer)
    return site.module(model)


def _check(model: nn.Module, module: Any, layer: int) -> None:
    kind = type(module).__name__
    if not isinstance(module, nn.Linear) and kind != "Conv1D":
        raise InputError(f"The projection of layer {layer} is a {kind}, whose weights don't fold.")
    weight = module.weight
    if not weight.is_floating_point() or kind not in (
        "Linear",
        "Conv1D",
        "NonDynamicallyQuantizableLinear",
    ):
        raise InputError(
            f"The weights of layer {layer} are quantised ({kind}, {weight.dtype}): load the model "
            "in floating point to fold gains into it."
        )
    holders = [
        path
        for path, other in model.named_modules()
        for parameter in other.parameters(recurse=False)
        if parameter is weight
    ]
    if len(holders) > 1:
        raise InputError(
            f"The weight of layer {layer} is shared by {' and '.join(holders)}: folding would "
            "steer all of them."
        )


def _multiply(weight: Tensor, factors: Tensor) -> None:
    weight.copy_((weight.double() * factors.to(weight.device)).to(weight.dtype))

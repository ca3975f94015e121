r"""What a unit really does: its measured effect on the logit gap, and a first-order estimate of all.

The score says in how many pairs a unit differs, not what it does to the answer. Scaling unit i by
``1 + g`` changes the gap by about ``g`` times

.. math:: e_i = \sum_t x_{i,t} \, \frac{\partial\,\mathrm{gap}}{\partial x_{i,t}}

(appendix H of the paper, with the sign of the derivative kept), which one backward pass gives for
every unit of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from axonal.activations import ScaleUnits
from axonal.activations.recording import recording, run
from axonal.errors import InputError
from axonal.language.atomic_units.choices import Choices
from axonal.language.atomic_units.kept import KeptRun
from axonal.language.atomic_units.sites import UnitSite, unit_site
from axonal.language.models import LanguageModel

if TYPE_CHECKING:
    import xarray as xr


def gain_effects(
    language_model: LanguageModel, choices: Choices, site: UnitSite, *, batch_size: int = 16
) -> Tensor:
    """Return the first-order effect of every unit's gain on the mean gap, ``(layers, units)``."""
    model = language_model.model
    depth = model.config.get_text_config().num_hidden_layers
    places = [unit_site(model, site, layer) for layer in range(depth)]
    total: Tensor | None = None
    for rows in choices.batches(batch_size):
        inputs = choices.inputs(rows, language_model.device)
        with torch.enable_grad(), recording(model, places, gradients=True) as cache:
            choices.read_off(run(model, inputs).logits, rows).sum().backward()
        mask = inputs["attention_mask"].unsqueeze(-1)
        parts = []
        for place in places:
            x = cache[place]
            if x.grad is None:
                raise InputError(
                    f"No gradient reaches {place}: it is not on the way to the answer."
                )
            parts.append((x.detach() * x.grad * mask.to(x.device)).double().sum((0, 1)).cpu())
        stacked = torch.stack(parts)
        total = stacked if total is None else total + stacked
    assert total is not None
    return total / len(choices)


def single_unit_sweep(
    kept: KeptRun,
    site: UnitSite,
    units: Sequence[tuple[int, int]],
    gains: Sequence[float],
    *,
    progress: Callable[[], None] | None = None,
) -> xr.Dataset:
    """Scale one unit at a time.

    Parameters
    ----------
    kept
        The questions.
    site
        Where the units are.
    units
        ``(layer, unit)`` of each.
    gains
        What each is scaled by, one after the other: ``1 + gain``.
    progress
        Called after each unit.

    Returns
    -------
    xarray.Dataset
        ``accuracy`` and ``gap`` ``(unit, gain)``; the unsteered values as attributes.
    """
    import xarray as xr

    from axonal.language.atomic_units.choices import accuracy

    right, mean = np.empty((len(units), len(gains))), np.empty((len(units), len(gains)))
    model = kept.language_model.model
    for row, (layer, unit) in enumerate(units):
        place = unit_site(model, site, layer)
        for column, gain in enumerate(gains):
            gaps = kept.gaps({place: ScaleUnits([unit], gain)})
            right[row, column], mean[row, column] = accuracy(gaps), float(gaps.mean())
        if progress is not None:
            progress()
    return xr.Dataset(
        {"accuracy": (("unit", "gain"), right), "gap": (("unit", "gain"), mean)},
        coords={
            "gain": list(gains),
            "layer": ("unit", [layer for layer, _ in units]),
            "index": ("unit", [unit for _, unit in units]),
        },
        attrs={"base_accuracy": accuracy(kept.base), "base_gap": float(kept.base.mean())},
    )

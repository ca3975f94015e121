"""A model in which the units that matter are known: they were planted.

Each of its layers holds units that read their own input and write to a few logits. *Planted* units
carry the contrast: their activation is larger in the good text in a given share of the pairs. Half
of them help the right answer, half harm it, so that what a score finds and what a unit does can be
told apart. The units of layer l are ``growth^(l / (layers - 1))`` times as large as those of the
first, and write the less: the function is the same, only the scale of the activations differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from axonal.activations import Site
from axonal.errors import InputError


class PlantedModel(nn.Module):
    """Logits ``sum over layers of (scale x) @ (write / scale)`` of inputs ``(batch, layers, units)``.

    Parameters
    ----------
    scale
        ``(layers,)``.
    write
        ``(layers, units, answers)``: what a unit adds to each logit.
    """

    def __init__(self, scale: Tensor, write: Tensor) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Identity() for _ in scale])
        self.register_buffer("scale", scale)
        self.register_buffer("write", write)

    scale: Tensor
    write: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits ``(batch, 1, answers)``: one position, the last one."""
        logits = 0.0
        for index, layer in enumerate(self.layers):
            x = layer(inputs[:, index] * self.scale[index])
            logits = logits + x @ (self.write[index] / self.scale[index])
        return logits.unsqueeze(1)  # pyright: ignore[reportAttributeAccessIssue]

    def site(self, layer: int) -> Site:
        """Return where the units of a layer are."""
        return Site(f"layers.{layer}")


@dataclass(frozen=True, eq=False)
class Organism:
    """A planted model with its pairs.

    Parameters
    ----------
    model
        The model; answer 0 is the right one, answer 1 the wrong one.
    good, bad
        ``(pairs, layers, units)``: inputs of the two texts of each pair.
    planted
        ``(planted,)``: flat indices of the units that carry the contrast.
    sign
        ``(planted,)``: 1 where the unit is larger in good texts, -1 where smaller.
    helps
        ``(planted,)``: True where being larger in its own direction helps the right answer.
    """

    model: PlantedModel
    good: Tensor
    bad: Tensor
    planted: Tensor
    sign: Tensor
    helps: Tensor

    @classmethod
    def grow(
        cls,
        *,
        layers: int = 10,
        units: int = 1000,
        planted: int = 50,
        pairs: int = 200,
        consistency: float = 0.95,
        growth: float = 1.0,
        answers: int = 8,
        seed: int = 0,
    ) -> Organism:
        """Plant units.

        Parameters
        ----------
        layers, units
            Sizes.
        planted
            How many units carry the contrast.
        pairs
            How many pairs.
        consistency
            In which share of the pairs a planted unit differs in its direction.
        growth
            Scale of the last layer over that of the first.
        answers
            Logits; two are the answers, the others are other tokens.
        seed
            Of the draw.
        """
        if not 0.5 <= consistency <= 1 or growth <= 0 or planted > layers * units or layers < 2:
            raise InputError(
                "An organism has at least 2 layers, a consistency from 0.5 to 1, a growth above 0 "
                f"and no more planted units than units; got {layers}, {consistency}, {growth} and "
                f"{planted} of {layers * units}."
            )
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        chosen = torch.randperm(layers * units, generator=generator)[:planted].sort().values
        sign = torch.where(torch.arange(planted) % 2 == 0, 1.0, -1.0).double()
        helps = torch.arange(planted) // 2 % 2 == 0
        good, bad = normal(pairs, layers * units), normal(pairs, layers * units)
        agrees = torch.rand(pairs, planted, generator=generator) < consistency
        gap = normal(pairs, planted).abs() * torch.where(agrees, sign, -sign)
        good[:, chosen] = bad[:, chosen] + gap
        write = 0.05 * normal(layers * units, answers)
        push = 0.5 * sign * torch.where(helps, 1.0, -1.0)
        write[chosen, 0] += push
        write[chosen, 1] -= push
        scale = growth ** (torch.arange(layers, dtype=torch.float64) / (layers - 1))
        shape = (pairs, layers, units)
        return cls(
            PlantedModel(scale, write.view(layers, units, answers)),
            good.view(shape),
            bad.view(shape),
            chosen,
            sign,
            helps,
        )

    def activations(self, inputs: Tensor) -> Tensor:
        """Return what flows at the sites, ``(pairs, layers, units)``."""
        return inputs * self.model.scale.view(1, -1, 1)

    def precision(self, chosen: Tensor) -> float:
        """Return the share of chosen flat indices that were planted."""
        return float(torch.isin(chosen, self.planted).double().mean())

"""What atomic-unit steering is compared with: other choices of units, other edits, whole blocks.

The block-level rivals are small versions of our own: a mean shift of the residual stream
(contrastive activation addition, Rimsky et al. 2024), a mean shift of a few heads (after
inference-time intervention, Li et al. 2023), and the scaling of whole heads (after SADI, Wang et al.
2025). Every rival says how many units it moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from axonal.activations import Add
from axonal.activations.editing import EditsBySite
from axonal.errors import InputError
from axonal.language.atomic_units.momentum import Momentum
from axonal.language.atomic_units.ranking import adaptive_gains, check_alpha, ranking, with_gains
from axonal.language.atomic_units.sites import unit_site
from axonal.language.atomic_units.units import Units


@dataclass(frozen=True)
class Shift:
    """Vectors that are added at some layers.

    Parameters
    ----------
    momentum
        Says site and model.
    vectors
        ``(layers, units)``; zero where nothing is added.
    """

    momentum: Momentum
    vectors: Tensor

    def __len__(self) -> int:
        return int((self.vectors != 0).sum())

    def edits(self, model: nn.Module) -> EditsBySite:
        """Return the edits that steer a model."""
        layers = (self.vectors != 0).any(1).nonzero().flatten().tolist()
        return {
            unit_site(model, self.momentum.site, layer): Add(self.vectors[layer].float())
            for layer in layers
        }


# Other units, with adaptive gains


def random_units(momentum: Momentum, k: int, alpha: float, rng: np.random.Generator) -> Units:
    """Draw k units at random among those with a score above zero."""
    usable = (momentum.score.flatten() > 0).nonzero().flatten()
    drawn = torch.from_numpy(rng.choice(len(usable), _at_most(k, len(usable)), replace=False))
    return with_gains(momentum, usable[drawn], _gains(momentum, alpha), alpha)


def activation_difference(momentum: Momentum, k: int, alpha: float) -> Units:
    """Take the k units with the largest absolute mean difference."""
    order = ranking(momentum.mean_difference.abs())
    return with_gains(momentum, order[: _at_most(k, len(order))], _gains(momentum, alpha), alpha)


def given_order(momentum: Momentum, values: Tensor, k: int, alpha: float) -> Units:
    """Take the k units with the largest absolute ``values`` ``(layers, units)``; their sign is the gain's."""
    order = ranking(values.abs())[: _at_most(k, values.numel())]
    check_alpha(alpha)
    gains = alpha * values.sign() * momentum.score
    return with_gains(momentum, order, gains, alpha)


def all_units(momentum: Momentum, alpha: float) -> Units:
    """Take every unit with a score above zero."""
    order = ranking(momentum.score)
    order = order[momentum.score.flatten()[order] > 0]
    return with_gains(momentum, order, _gains(momentum, alpha), alpha)


def promotion(momentum: Momentum, k: int, alpha: float) -> Units:
    """Take the best k of the units that are larger in the good text; all gains are positive."""
    return _one_sign(momentum, k, alpha, momentum.positive > momentum.negative)


def suppression(momentum: Momentum, k: int, alpha: float) -> Units:
    """Take the best k of the units that are smaller in the good text; all gains are negative."""
    return _one_sign(momentum, k, alpha, momentum.positive < momentum.negative)


# The best units, with other edits


def fixed_strength(momentum: Momentum, k: int, alpha: float) -> Units:
    """Give the best k units gains of one size, with the sign of their momentum."""
    check_alpha(alpha)
    gains = alpha * adaptive_gains(momentum, 1.0).sign()
    order = ranking(momentum.score)[: _at_most(k, momentum.score.numel())]
    return with_gains(momentum, order, gains, alpha)


def fixed_vector(momentum: Momentum, k: int, alpha: float) -> Shift:
    """Add alpha times the mean difference to the best k units, whatever their activation is."""
    check_alpha(alpha)
    chosen = ranking(momentum.score)[: _at_most(k, momentum.score.numel())]
    vectors = torch.zeros(momentum.score.numel(), dtype=torch.float64)
    vectors[chosen] = alpha * momentum.mean_difference.flatten()[chosen]
    return Shift(momentum, vectors.view_as(momentum.score))


# Whole blocks


def mean_shift(momentum: Momentum, layer: int, scale: float) -> Shift:
    """Add the mean difference to the whole activation of one layer."""
    if not 0 <= layer < momentum.layers:
        raise InputError(f"layer is 0 to {momentum.layers - 1}; got {layer}.")
    vectors = torch.zeros_like(momentum.mean_difference)
    vectors[layer] = scale * momentum.mean_difference[layer]
    return Shift(momentum, vectors)


def head_shift(momentum: Momentum, heads: int, scale: float) -> Shift:
    """Add the mean difference to the heads in which it stands out most from pair to pair."""
    mean = momentum.mean_difference
    variance = momentum.difference_square / momentum.pairs - mean.square()
    effect = by_head(momentum, mean.square()).sum(-1) / by_head(momentum, variance).sum(-1).clamp(
        min=1e-12
    )
    return Shift(momentum, scale * mean * _mask(momentum, effect, heads))


def head_scaling(momentum: Momentum, heads: int, alpha: float) -> Units:
    """Scale all units of the heads with the largest mean difference by ``1 + alpha``."""
    check_alpha(alpha)
    size = by_head(momentum, momentum.mean_difference.square()).sum(-1)
    chosen = _mask(momentum, size, heads).flatten().nonzero().flatten()
    gains = torch.full(momentum.score.shape, float(alpha), dtype=torch.float64)
    return with_gains(momentum, chosen, gains, alpha)


def one_head(momentum: Momentum, layer: int, head: int, scale: float) -> Shift:
    """Add the mean difference to a single head."""
    mask = torch.zeros(momentum.layers, _heads(momentum), dtype=torch.float64)
    mask[layer, head] = 1
    mask = mask.repeat_interleave(momentum.width // _heads(momentum), dim=1)
    return Shift(momentum, scale * momentum.mean_difference * mask)


def by_head(momentum: Momentum, values: Tensor) -> Tensor:
    """See ``(layers, units)`` as ``(layers, heads, head_dim)``."""
    return values.unflatten(1, (_heads(momentum), -1))


def _mask(momentum: Momentum, values: Tensor, heads: int) -> Tensor:
    chosen = ranking(values)[: _at_most(heads, values.numel())]
    mask = torch.zeros(values.numel(), dtype=torch.float64)
    mask[chosen] = 1
    return mask.view_as(values).repeat_interleave(momentum.width // _heads(momentum), dim=1)


def _heads(momentum: Momentum) -> int:
    if momentum.heads is None:
        raise InputError(f"Heads are at the site 'attention'; these units are at {momentum.site}.")
    return momentum.heads


def _one_sign(momentum: Momentum, k: int, alpha: float, allowed: Tensor) -> Units:
    order = ranking(momentum.score)
    order = order[allowed.flatten()[order]]
    return with_gains(momentum, order[: _at_most(k, len(order))], _gains(momentum, alpha), alpha)


def _gains(momentum: Momentum, alpha: float) -> Tensor:
    check_alpha(alpha)
    return adaptive_gains(momentum, alpha)


def _at_most(k: int, there: int) -> int:
    if not 0 <= k <= there:
        raise InputError(f"{k} are asked for, but there are {there}.")
    return k

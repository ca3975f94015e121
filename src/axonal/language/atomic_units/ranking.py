r"""Rank units by score over all layers, and give the best ones adaptive gains (section 4).

.. math:: \gamma_i = +\alpha r_i^{pos} \text{ if } r_i^{pos} \ge r_i^{neg} \text{ else } -\alpha r_i^{neg}

Equal scores keep the order of the table: lower layer first, then lower index, so that the best k
units are always among the best k + 1. At an exact tie of the two rates the released code promotes;
the paper's formula holds back.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from axonal.errors import InputError, nearest
from axonal.language.atomic_units.momentum import Momentum
from axonal.language.atomic_units.units import Units

TIES = ("promote", "paper")
LARGE_GAIN = 20.0


def select(
    momentum: Momentum, k: int, alpha: float, *, tie: str = "promote", warn: bool = True
) -> Units:
    """Return the k most discriminative units with their adaptive gains.

    Parameters
    ----------
    momentum
        What ``measure`` counted.
    k
        How many units; 0 is none.
    alpha
        The overall strength: the largest gain that a unit can have. Must be positive.
    tie
        At equal rates: ``"promote"`` as the released code does, ``"paper"`` as the formula says.
    warn
        Whether to warn of ties, of sign flips (gains below -1) and of gains above 20.
    """
    check_alpha(alpha)
    order = ranking(momentum.score)
    scores = momentum.score.flatten()
    usable = int((scores > 0).sum())
    if not 0 <= k <= usable:
        raise InputError(
            f"k is {k}, but {usable} of {scores.numel()} units have a score above zero: choose a k "
            "from 0 to that."
        )
    units = with_gains(momentum, order[:k], adaptive_gains(momentum, alpha, tie), alpha, tie)
    if warn:
        _warn(units, momentum)
    return units


def ranking(values: Tensor) -> Tensor:
    """Return flat indices of ``(layers, units)`` by falling value; equals keep their order."""
    return values.flatten().argsort(descending=True, stable=True)


def adaptive_gains(momentum: Momentum, alpha: float, tie: str = "promote") -> Tensor:
    """Return the gain of every unit, ``(layers, units)``."""
    if tie not in TIES:
        raise InputError(f"tie is {tie!r}; {nearest(str(tie), TIES)}")
    larger, smaller = momentum.positive, momentum.negative
    promoted = larger >= smaller if tie == "promote" else larger > smaller
    return alpha * torch.where(promoted, momentum.positive_rate, -momentum.negative_rate)


def with_gains(
    momentum: Momentum,
    chosen: Tensor,
    gains: Tensor,
    alpha: float | None = None,
    tie: str = "promote",
) -> Units:
    """Return the units at flat indices ``chosen`` with their gains of ``(layers, units)``."""
    return Units(
        site=momentum.site,
        layer=chosen // momentum.width,
        unit=chosen % momentum.width,
        gain=gains.flatten()[chosen].double(),
        positive_rate=momentum.positive_rate.flatten()[chosen],
        negative_rate=momentum.negative_rate.flatten()[chosen],
        width=momentum.width,
        heads=momentum.heads,
        alpha=alpha,
        tie=tie,
        pairs=momentum.pairs,
        position=momentum.position,
        model=momentum.model,
        revision=momentum.revision,
    )


def check_alpha(alpha: float) -> None:
    """Refuse a strength that is no positive number."""
    if not 0 < alpha < float("inf"):
        raise InputError(f"alpha is a positive number; got {alpha}.")


def norm_growth(units: Units, momentum: Momentum) -> Tensor:
    """Predict by which factor the norm of each layer's activation grows, ``(layers,)``.

    From the mean squares at the answer tokens of the pairs:
    ``sqrt(sum (1 + gain)^2 x^2 / sum x^2)``.
    """
    after = momentum.power.clone()
    after[units.layer, units.unit] *= (1 + units.gain).square()
    return (after.sum(1) / momentum.power.sum(1).clamp(min=1e-300)).sqrt()


def _warn(units: Units, momentum: Momentum) -> None:
    ties = int((units.positive_rate == units.negative_rate).sum())
    if ties:
        warnings.warn(
            f"{ties} of the {len(units)} units are larger in the good text as often as smaller: "
            f"their sign is a convention (tie={units.tie!r}).",
            stacklevel=3,
        )
    flipped = int((units.gain < -1).sum())
    if flipped:
        warnings.warn(
            f"{flipped} of the {len(units)} units have a gain below -1, which flips their sign.",
            stacklevel=3,
        )
    if len(units) and float(units.gain.abs().max()) > LARGE_GAIN:
        growth = norm_growth(units, momentum)
        layer = int(growth.argmax())
        warnings.warn(
            f"The largest gain is {float(units.gain.abs().max()):.3g}: the activation of layer "
            f"{layer} is predicted to grow to {float(growth[layer]):.3g} times its norm.",
            stacklevel=3,
        )

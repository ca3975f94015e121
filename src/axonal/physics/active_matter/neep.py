r"""Entropy production from pairs of states alone: the neural estimator to compare scores with.

Kim, Bae, Lee and Jeong, *Learning entropy production via neural networks*, PRL 125, 140604 (2020). Of
pairs a time :math:`\tau` apart it learns an antisymmetric :math:`\Delta S(z, z') = -\Delta S(z', z)`,

.. math:: \max_{\Delta S}\; \mathbb E\bigl[\Delta S - e^{-\Delta S}\bigr] + 1
          \;\le\; D_{KL}\bigl[p(z, z')\,\|\,p(z', z)\bigr] \;\le\; \sigma \tau .

It needs no drift and no noise, but many pairs, a :math:`\tau` that is neither too short (the signal
drowns) nor too long (it is lost), and it gives one number, where a score gives a field.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.physics.active_matter.fitting import fit
from axonal.training import Shuffled
from axonal.transport import LinearDiffusion


@dataclass(frozen=True)
class PairEstimate:
    """An estimate from pairs that were not trained on.

    Parameters
    ----------
    rate
        The bound over the time between the states of a pair, in k_B over time.
    error
        Its standard error over the pairs.
    """

    rate: float
    error: float


def production_from_pairs(
    before: Tensor,
    after: Tensor,
    interval: float,
    *,
    width: int = 32,
    hidden: int = 2,
    steps: int = 500,
    batch: int = 1024,
    lr: float = 3e-3,
    seed: int = 0,
) -> PairEstimate:
    """Return a lower bound of the entropy production rate, learned on one half, measured on the other.

    Parameters
    ----------
    before, after
        States ``(n, d)`` of a stationary process and what became of them; all coordinates even under
        time reversal.
    interval
        The time between.
    width, hidden, steps, batch, lr, seed
        Of the network and its training.
    """
    if before.shape != after.shape or before.ndim != 2 or len(before) < 4:
        raise InputError(
            "Expected pairs of states (n, d), at least four; got "
            f"{tuple(before.shape)} and {tuple(after.shape)}."
        )
    if not (math.isfinite(interval) and interval > 0):
        raise InputError(f"interval must be a positive time, got {interval!r}.")
    middle, change = (before + after) / 2, after - before
    change = change / change.std(dim=0)
    pairs = torch.cat([(middle - middle.mean(0)) / middle.std(0), change], dim=1).float()
    half = len(pairs) // 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Antisymmetric(before.shape[1], width, hidden)
    fit(
        network,
        lambda model, drawn: -_bound(model, cast(dict[str, Tensor], drawn)["pairs"]).mean(),
        Shuffled({"pairs": pairs[:half]}, min(batch, half), seed),
        steps=steps,
        lr=lr,
        seed=seed,
        decay=0.99,
    )
    with torch.no_grad():
        values = _bound(network, pairs[half:]).double() / interval
    return PairEstimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)))


def pairs_of(
    system: LinearDiffusion, count: int, interval: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Return stationary pairs of a linear diffusion, exact for any interval: ``(count, d)`` each."""
    before = system.sample(count, generator)
    carry = torch.linalg.matrix_exp(interval * system.drift)
    spread = system.covariance - carry @ system.covariance @ carry.mT
    draw = torch.randn(before.shape, generator=generator, dtype=before.dtype)
    return before, before @ carry.mT + draw @ torch.linalg.cholesky(spread).mT


def irreversibility(system: LinearDiffusion, interval: float) -> float:
    r"""Return the divergence of pairs from their reversal over the interval, the best there is.

    With the covariance C of ``(z, z')`` and C' of ``(z', z)``,
    :math:`D_{KL} = \tfrac12 [\operatorname{tr}(C'^{-1} C) - 2d]`, in k_B over time; it rises to
    :math:`\sigma` as the interval goes to 0.
    """
    covariance = system.covariance
    lagged = torch.linalg.matrix_exp(interval * system.drift) @ covariance
    forward = torch.cat([torch.cat([covariance, lagged.mT], 1), torch.cat([lagged, covariance], 1)])
    backward = torch.cat(
        [torch.cat([covariance, lagged], 1), torch.cat([lagged.mT, covariance], 1)]
    )
    excess = torch.linalg.solve(backward, forward).trace() - len(forward)
    return float(excess) / 2 / interval


class _Antisymmetric(nn.Module):
    """A function of the middle and the change that turns its sign with the change."""

    def __init__(self, coordinates: int, width: int, hidden: int) -> None:
        super().__init__()
        sizes = [2 * coordinates] + [width] * hidden
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, pairs: Tensor) -> Tensor:
        middle, change = pairs.chunk(2, dim=1)
        turned = torch.cat([middle, -change], dim=1)
        return (self.layers(pairs) - self.layers(turned))[:, 0]


def _bound(network: nn.Module, pairs: Tensor) -> Tensor:
    gained = network(pairs)
    return gained - torch.exp(-gained) + 1

"""Train a network for a score: Adam, clipped, along a cosine with a rise, its weights averaged.

The training is :func:`axonal.training.train`; what it adds is the exponential average of the weights
(Boffi & Vanden-Eijnden 2024 evaluate with one), kept in the model so that a training that goes on
from a checkpoint goes on with its average too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.training import History, Observe, train
from axonal.training.schedules import cosine


class Averaged(nn.Module):
    """A network and the exponential average of its weights over the steps of a training.

    Parameters
    ----------
    network
        In training mode it answers; in evaluation mode its average does.
    decay
        Of the average; shorter at the start, where it would be of the initial weights.
    """

    updates: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network, self.decay = network, decay
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, *inputs: Any) -> Any:
        """Return the network's answer, or the average's."""
        return (self.network if self.training else self.average)(*inputs)

    @torch.no_grad()
    def follow(self) -> None:
        """Take the present weights into the average."""
        done = int(self.updates)
        decay = min(self.decay, (1 + done) / (10 + done))
        for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        self.updates += 1


def fit(
    network: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    batches: Callable[[int], Any],
    *,
    steps: int,
    lr: float,
    seed: int,
    decay: float = 0.999,
    clip: float = 1.0,
    observe: Callable[[nn.Module, int], dict[str, Any]] | None = None,
    every: int | None = None,
    folder: Path | str | None = None,
    checkpoint_every: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> History:
    """Train a network: at the end it has the averaged weights; if anything fails, those it had.

    Parameters
    ----------
    network, loss, batches
        ``loss(network, batches(step))`` is minimised.
    steps, lr, clip
        Updates, Adam's rate at the height of its cosine, and the largest norm of a gradient.
    seed
        Of everything random in a step.
    decay
        Of the average of the weights.
    observe, every
        ``observe(average, step)`` measures the averaged network every so many updates, as
        "held_out" of the history.
    folder, checkpoint_every, progress
        As for :func:`axonal.training.train`.
    """
    if steps < 1 or not lr > 0 or not 0 <= decay < 1:
        raise InputError(
            "A fit takes steps of at least 1, a positive lr and a decay in [0, 1); got "
            f"{steps}, {lr} and {decay}."
        )
    averaged = Averaged(copy.deepcopy(network), decay)

    def followed(model: nn.Module, batch: Any) -> Tensor:
        averaged.follow()
        return loss(model, batch)

    observers: Sequence[Observe] = ()
    if observe is not None:
        look = observe
        observers = [
            Observe(
                "held_out",
                lambda _, step: look(averaged.average, step),
                every=every or max(1, steps // 8),
            )
        ]
    history = train(
        averaged,
        followed,
        batches,
        steps=steps,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=lr, betas=(0.9, 0.99)),
        schedule=cosine(steps, rise=min(steps // 10, 1000)),
        clip=clip,
        observers=observers,
        folder=folder,
        checkpoint_every=checkpoint_every,
        seed=seed,
        progress=progress,
    )
    averaged.follow()
    network.load_state_dict(averaged.average.state_dict())
    return history

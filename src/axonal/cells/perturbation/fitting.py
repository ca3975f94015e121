"""The training of a conditional map: batches of conditions, AdamW, a rate that falls along a cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from axonal.cells.perturbation.batches import ConditionBatches
from axonal.cells.perturbation.checks import fitting_objective, require_share
from axonal.cells.perturbation.screen import Screen

if TYPE_CHECKING:
    from axonal.cells.perturbation.monge import ConditionalMongeMap


def train_network(
    model: ConditionalMongeMap, latent: np.ndarray, screen: Screen, *, seed: int, **training: Any
) -> None:
    """Train the network of a map whose space and encoding are fitted.

    Parameters
    ----------
    model
        Gets its ``network_`` and ``history_``.
    latent
        All cells of the screen in the map's space, ``(cells, width)``.
    screen
        Which cells are which.
    seed
        Of weights, batches and dropout.
    **training
        As in :func:`axonal.training.train`.
    """
    from axonal.training import cosine, train

    require_share(model.conditions_per_step)
    batches = ConditionBatches(
        torch.from_numpy(latent.astype(np.float32)),
        screen,
        *model.encoding_.encode(model.treatments_),
        size=model.batch_size,
        conditions=model.conditions_per_step,
        seed=seed,
    )
    model.objective_ = fitting_objective(model, latent, screen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.network_ = model.build(latent.shape[1])
    model.history_ = train(
        model.network_,
        model.loss,
        batches,
        steps=model.steps,
        optimizer=lambda parameters: torch.optim.AdamW(
            parameters, lr=model.learning_rate, weight_decay=model.weight_decay
        ),
        schedule=cosine(model.steps, final=0.01) if model.steps > 1 else None,
        clip=model.clip,
        seed=seed,
        **training,
    )
    model.network_.to("cpu").eval()

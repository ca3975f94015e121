"""Train a sparse autoencoder on activations, through the library's one training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.language.dictionaries.autoencoder import SparseAutoencoder
from axonal.language.dictionaries.harvest import Harvest
from axonal.language.dictionaries.objective import Autoencoder, Kind
from axonal.training import History, Shuffled, train


def train_dictionary(
    activations: Tensor | Harvest,
    latents: int,
    *,
    kind: Kind = "topk",
    k: int = 32,
    penalty: float = 1e-3,
    steps: int = 600,
    batch: int = 1024,
    learning_rate: float = 3e-4,
    dead_after: int | None = None,
    seed: int = 0,
    folder: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[SparseAutoencoder, History]:
    """Train a sparse autoencoder.

    Parameters
    ----------
    activations
        ``(tokens, width)``, or what `harvest` collected, which also says where they come from.
    latents
        How many; several times the width.
    kind, k, penalty
        See `axonal.language.dictionaries.objective`. ``k`` is for ``"topk"``, ``penalty`` for the
        others.
    steps, batch, learning_rate
        Of Adam; the rate falls linearly over the last fifth.
    dead_after
        Tokens of silence after which a latent is dead; by default a tenth of those trained on.
    seed
        Of the initial directions and the order of tokens.
    folder
        Where checkpoints are kept; an unfinished training there is continued.
    progress
        Called as ``progress(done, total)``.

    Returns
    -------
    SparseAutoencoder, History
        The history holds ``loss``, and ``error`` (the share of variance not explained), ``active``
        and ``dead`` of every step.
    """
    rows = activations.activations if isinstance(activations, Harvest) else activations
    if rows.ndim != 2 or len(rows) < 2:
        raise InputError(f"Activations are (tokens, width), got shape {tuple(rows.shape)}.")
    if not bool(rows.isfinite().all()):
        raise InputError("The activations hold numbers that are not finite.")
    rows = rows.float()
    center = rows.mean(0)
    square = (rows - center).square().mean()
    if not square > 0:
        raise InputError("All activations are the same, so there is nothing to decompose.")
    model = Autoencoder(
        rows.shape[1],
        latents,
        kind=kind,
        k=k,
        penalty=penalty,
        center=center,
        scale=float(square.rsqrt()),
        dead_after=dead_after or max(batch, steps * batch // 10),
        seed=seed,
    )
    size = min(batch, len(rows))
    last = max(1, steps // 5)
    history = train(
        model,
        lambda wrapped, x: _unwrapped(wrapped).loss(x),
        Shuffled(rows, size, seed),
        steps=steps,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=learning_rate),
        schedule=lambda step: min(1.0, (steps - step) / last),
        clip=1.0,
        folder=folder,
        seed=seed,
        progress=progress,
    )
    made = SparseAutoencoder(model.dictionary().cpu())
    if isinstance(activations, Harvest):
        made = replace(
            made, place=activations.place, model=activations.model, skip=activations.skip
        )
    return made, history


def _unwrapped(model: Any) -> Autoencoder:
    """Return the module itself where the loop has wrapped it for several processes."""
    return getattr(model, "module", model)

"""Train one small decoder and watch its massive activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from axonal.learning.massive import Monitor, sink_rate, sink_statistics
from axonal.studies.massive_activation_dynamics.tasks import backcopy_pool, byte_pool
from axonal.training import Observe, Shuffled, train

if TYPE_CHECKING:
    from axonal.lab import Session

WATCHED = 32  # sequences that the monitor looks at
POOL = 4096
SINK_SEQUENCES = 4


@dataclass(frozen=True)
class Recipe:
    """One training.

    Parameters
    ----------
    name
        Of its stage.
    layers, width, heads
        Of the decoder.
    steps, batch, length
        Updates, sequences a batch, tokens a sequence.
    rate, weight_decay
        Of AdamW.
    task
        "backcopy" or "bytes".
    group, repeat
        Which part of the study it belongs to, and its seed there.
    points
        Regularly spaced checkpoints after step 0.
    """

    name: str
    layers: int
    width: int
    heads: int
    steps: int
    batch: int
    length: int = 32
    rate: float = 3e-3
    weight_decay: float = 0.0
    task: str = "backcopy"
    group: str = "main"
    repeat: int = 0
    points: int = 36


def checkpoint_steps(steps: int, points: int = 36) -> list[int]:
    """Return regularly spaced steps from 0 to the end, and powers of two early on."""
    early = [2**i for i in range(20) if 2**i <= steps // 8]
    return sorted({*early, *regular_steps(steps, points)})


def regular_steps(steps: int, points: int = 36) -> list[int]:
    """Return the regularly spaced steps that curves are fitted to, as in the paper."""
    return sorted({round(float(step)) for step in np.linspace(0, steps, points + 1)})


def grow(recipe: Recipe, session: Session) -> xr.Dataset:
    """Train a decoder; return ratio, largest, median and standard error by step and layer."""
    pool = backcopy_pool if recipe.task == "backcopy" else byte_pool
    data = pool(POOL, recipe.length, session.rng(f"{recipe.task} {recipe.repeat}"))
    watched = pool(WATCHED, recipe.length, session.rng(f"{recipe.task} watched"))
    seed = session.seed_for(f"{recipe.name}")
    model = decoder(recipe, seed)
    monitor = Monitor(watched, at=checkpoint_steps(recipe.steps, recipe.points))
    sinks: dict[int, tuple[float, float]] = {}

    def look(model: nn.Module, step: int) -> dict[str, Any]:
        seen = monitor(model, step)
        if recipe.group == "main":
            table = sink_statistics(model, watched[:SINK_SEQUENCES])
            sinks[step] = float(table["importance"].to_numpy().mean()), sink_rate(table)
        return seen

    assert monitor.at is not None
    history = train(
        model,
        next_token,
        Shuffled(data, recipe.batch, seed=seed),
        steps=recipe.steps,
        optimizer=lambda parameters: torch.optim.AdamW(
            parameters, lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay
        ),
        observers=[Observe("massive", look, at=monitor.at)],
        seed=seed,
    )
    series = monitor.series()
    wide = {
        name: series.pivot(index="step", columns="layer", values=name)
        for name in ("ratio", "sem", "top1", "median", "null", "token", "agreement")
    }
    found: dict[str, Any] = {
        name: (("step", "layer"), table.to_numpy()) for name, table in wide.items()
    }
    if sinks:
        seen = np.array([sinks[step] for step in sorted(sinks)])
        found["sink_importance"], found["sink_rate"] = ("step", seen[:, 0]), ("step", seen[:, 1])
    dataset = xr.Dataset(
        found,
        coords={"step": wide["ratio"].index.to_numpy(), "layer": wide["ratio"].columns.to_numpy()},
    )
    start, end = history.loss[:10].mean(), history.loss[-50:].mean()
    shape = {"layers": recipe.layers, "width": recipe.width, "heads": recipe.heads}
    return dataset.assign(loss_start=float(start), loss_end=float(end)).assign_attrs(
        **shape,
        mlp_width=4 * recipe.width,
        points=recipe.points,
        group=recipe.group,
        task=recipe.task,
    )


def next_token(model: nn.Module, ids: Tensor) -> Tensor:
    """Return the cross-entropy of every next token."""
    logits = model(input_ids=ids, use_cache=False).logits
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def decoder(recipe: Recipe, seed: int) -> nn.Module:
    """Build a decoder with learned positions, norms before each part and a ReLU MLP, untrained."""
    import transformers

    vocabulary = 32 if recipe.task == "backcopy" else 256
    config = transformers.GPT2Config(
        vocab_size=vocabulary,
        n_positions=recipe.length,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        activation_function="relu",
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.GPT2LMHeadModel(config)

"""Does the model need its massive activations? Set them to zero, to their mean, or leave them.

The check of Sun et al. (arXiv 2402.17762, table 3): a handful of scalars set to zero destroys a
model; set to their mean over texts it changes nothing, so that they act as constants; as many
scalars of median size may be set to zero unnoticed. Owen et al. (arXiv 2503.22329) find that only
about half of 24 models break. An edit of `axonal.activations`, so it works in generation too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from axonal.activations import Clamp, Edit, Site, edit, record
from axonal.errors import InputError
from axonal.learning.massive.blocks import call, evaluating, layer_sites, token_batch

Place = tuple[int, int]
"""A token's position and a channel."""


@contextlib.contextmanager
def intervene(
    model: nn.Module,
    layer: int,
    where: Sequence[Place],
    value: str | float | Sequence[float] = "zero",
    *,
    values: Tensor | None = None,
    sites: Sequence[Site] | None = None,
) -> Iterator[None]:
    """Set single scalars of the residual stream after a block, in every call inside the context.

    Parameters
    ----------
    model
        A decoder.
    layer
        After which block, counted from 1.
    where
        ``(token position, channel)`` of each scalar; positions count real tokens.
    value
        "zero", a number for all, a number for each, or "mean" of ``values``.
    values
        What `values_at` returned, ``(sequences, places)``.
    sites
        Where the residual stream leaves each block; found by itself when left out.
    """
    site = _site(model, layer, sites)
    places = _checked(where)
    targets = _targets(value, values, len(places))
    edits: list[Edit] = [
        Clamp(target, target, [channel], positions=token)
        for (token, channel), target in zip(places, targets, strict=True)
    ]
    with edit(model, {site: edits}):
        yield


def values_at(
    model: nn.Module,
    input_ids: Any,
    layer: int,
    where: Sequence[Place],
    *,
    sites: Sequence[Site] | None = None,
) -> Tensor:
    """Return the scalars at some places of each sequence, ``(sequences, places)``."""
    ids, _ = token_batch(input_ids)
    site, places = _site(model, layer, sites), _checked(where)
    last = max(token for token, _ in places)
    if last >= ids.shape[1]:
        raise InputError(f"where: token {last} lies beyond the {ids.shape[1]} tokens of the texts.")
    rows = []
    with evaluating(model):
        for row in ids:
            batch = row[None].to(next(model.parameters()).device)
            stream = record(model, batch, [site])[site][0]
            if max(channel for _, channel in places) >= stream.shape[-1]:
                raise InputError(
                    f"where: the stream has {stream.shape[-1]} channels, got {places}."
                )
            rows.append(torch.stack([stream[token, channel] for token, channel in places]))
    return torch.stack(rows).float().cpu()


def causal_check(
    model: nn.Module,
    input_ids: Any,
    layer: int,
    where: Sequence[Place],
    *,
    control: Sequence[Place] | None = None,
    means: Tensor | None = None,
    seed: int = 0,
    sites: Sequence[Site] | None = None,
) -> pd.DataFrame:
    """Compare the loss on texts with massive scalars untouched, zeroed, and set to their mean.

    Parameters
    ----------
    model, layer, where, sites
        As for `intervene`.
    input_ids
        The texts that the loss is measured on, ``(sequences, positions)``.
    control
        As many other places, set to zero; by default scalars of about the median size at the same
        layer (of the first text), drawn with the seed.
    means
        What `values_at` gives on *other* texts; by default the mean over these.

    Returns
    -------
    DataFrame
        ``condition, sequence, loss`` (mean negative log-likelihood per token, in nats) and
        ``perplexity``; conditions are "none", "zero", "mean" and "control".
    """
    ids, _ = token_batch(input_ids)
    if control is None:
        control = median_places(model, ids[:1], layer, len(where), seed=seed, sites=sites)
    seen = values_at(model, ids, layer, where, sites=sites) if means is None else means
    conditions: dict[str, Callable[[], Any]] = {
        "none": contextlib.nullcontext,
        "zero": lambda: intervene(model, layer, where, "zero", sites=sites),
        "mean": lambda: intervene(model, layer, where, "mean", values=seen, sites=sites),
        "control": lambda: intervene(model, layer, control, "zero", sites=sites),
    }
    rows = []
    for name, context in conditions.items():
        with context():
            for sequence, loss in enumerate(next_token_loss(model, ids).tolist()):
                rows.append({"condition": name, "sequence": sequence, "loss": loss})
    table = pd.DataFrame(rows)
    table["perplexity"] = torch.tensor(table["loss"].to_numpy()).exp().numpy()
    return table


def next_token_loss(model: nn.Module, input_ids: Any) -> Tensor:
    """Return the mean negative log-likelihood of the next token by sequence, ``(sequences,)``."""
    ids, _ = token_batch(input_ids)
    losses = []
    with evaluating(model):
        for row in ids:
            output = call(model, row[None], torch.ones_like(row[None]))
            logits = output if isinstance(output, Tensor) else output.logits
            wanted = row[1:].to(logits.device)
            losses.append(nn.functional.cross_entropy(logits[0, :-1].float(), wanted))
    return torch.stack(losses).double().cpu()


def median_places(
    model: nn.Module,
    input_ids: Any,
    layer: int,
    count: int,
    *,
    seed: int = 0,
    sites: Sequence[Site] | None = None,
) -> list[Place]:
    """Draw places whose scalars are about as large as the median of a layer."""
    ids, _ = token_batch(input_ids)
    site = _site(model, layer, sites)
    with evaluating(model):
        batch = ids[:1].to(next(model.parameters()).device)
        size = record(model, batch, [site])[site][0].abs().float().cpu()
    order = (size - size.median()).abs().flatten().argsort()[: max(100, 10 * count)]
    drawn = torch.randperm(len(order), generator=torch.Generator().manual_seed(seed))[:count]
    return [tuple(divmod(int(flat), size.shape[1])) for flat in order[drawn]]  # pyright: ignore[reportReturnType]


def _site(model: nn.Module, layer: int, sites: Sequence[Site] | None) -> Site:
    layers = layer_sites(model, sites)
    if layer not in layers:
        raise InputError(f"layer: expected 1 to {len(layers)} (after which block), got {layer}.")
    return layers[layer]


def _checked(where: Sequence[Place]) -> list[Place]:
    try:
        places = [(int(token), int(channel)) for token, channel in where]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"where: expected pairs (token, channel), such as [(0, 507)], got {where!r:.60}."
        ) from error
    if not places or any(token < 0 or channel < 0 for token, channel in places):
        raise InputError(f"where: expected at least one pair of indices from 0 on, got {places}.")
    return places


def _targets(value: Any, values: Tensor | None, count: int) -> list[float]:
    if isinstance(value, str):
        if value == "zero":
            return [0.0] * count
        if value != "mean":
            raise InputError(f'value: expected "zero", "mean" or numbers, got {value!r}.')
        if values is None:
            raise InputError("value='mean' needs values=values_at(model, texts, layer, where).")
        if values.ndim != 2 or values.shape[1] != count:
            raise InputError(
                f"values: expected (sequences, {count}), a column a place, got {tuple(values.shape)}."
            )
        return values.float().mean(0).tolist()
    numbers = [float(value)] * count if isinstance(value, int | float) else list(map(float, value))
    if len(numbers) != count:
        raise InputError(f"value: expected {count} numbers, one a place, got {len(numbers)}.")
    return numbers

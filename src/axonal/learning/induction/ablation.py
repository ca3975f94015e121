"""Ablations after training: which heads matter, and along which path (Singh et al. 2024, section 3).

A head is ablated by holding the values that it moves at zero. Its effect reaches later layers along
two paths: what they *attend to* (queries and keys) and what they *move* (values). Holding all
attention patterns at those of the intact model leaves the value path; holding the later layers'
values leaves the queries and keys; holding both leaves the direct path to the output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from axonal.errors import InputError, nearest
from axonal.learning.induction.clamps import Clamp, HeadsLike, all_but, as_heads, per_seed
from axonal.learning.induction.evaluation import Evaluation, evaluate
from axonal.learning.induction.ideals import induction
from axonal.learning.induction.model import AttentionOnlyTransformer
from axonal.learning.induction.task import Batch

Preserve: TypeAlias = Literal["patterns", "values", "both"] | None

_HELD = {None: (), "patterns": ("patterns",), "values": ("values",), "both": ("patterns", "values")}


def ablate(
    model: AttentionOnlyTransformer,
    batch: Batch,
    heads: Sequence[tuple[int, int]] | Mapping[int, HeadsLike],
    *,
    preserve: Preserve = None,
) -> Evaluation:
    """Measure the model without some heads.

    Parameters
    ----------
    model
        Trained.
    batch
        Sequences.
    heads
        ``(layer, head)`` pairs, layers from 1 and heads from 0; or heads by layer, which may differ
        between seeds (:func:`~axonal.learning.induction.per_seed`).
    preserve
        What is held as in the intact model: attention ``"patterns"`` of every layer, ``"values"`` of
        the layers after the first ablated one, or ``"both"``.
    """
    by_layer = heads if isinstance(heads, Mapping) else _by_layer(heads)
    return evaluate(model, batch, ablation(model.n_layers, by_layer, preserve))


def ablation(layers: int, heads: Mapping[int, HeadsLike], preserve: Preserve = None) -> Clamp:
    """Return the clamp that :func:`ablate` evaluates; it may also be held during a training."""
    if preserve not in _HELD:
        known = [name for name in _HELD if name]
        raise InputError(f"preserve is None or one of them: {nearest(str(preserve), known)}")
    for layer in heads:
        if not 1 <= layer <= layers:
            raise InputError(f"There is no layer {layer}: the model has layers 1 to {layers}.")
    clamp = Clamp()
    for layer in range(1, layers + 1):
        if layer in heads:
            clamp = clamp.ablate(f"layer{layer}", heads[layer])
        if "patterns" in _HELD[preserve]:
            clamp = clamp.preserve(f"layer{layer}.pattern")
        if "values" in _HELD[preserve] and heads and layer > min(heads):
            left = all_but(as_heads(heads[layer])) if layer in heads else None
            clamp = clamp.preserve(f"layer{layer}.v", left)
    return clamp


def keep_one(model: AttentionOnlyTransformer, batch: Batch, *, layer: int = 2) -> Evaluation:
    """Measure with a single head of a layer active; loss and accuracy are ``(seeds, heads)``."""
    return _stacked([ablate(model, batch, {layer: all_but(head)}) for head in range(model.n_heads)])


def ablate_one(model: AttentionOnlyTransformer, batch: Batch, *, layer: int = 2) -> Evaluation:
    """Measure with a single head of a layer ablated; loss and accuracy are ``(seeds, heads)``."""
    return _stacked([ablate(model, batch, {layer: head}) for head in range(model.n_heads)])


def keep_strongest(
    model: AttentionOnlyTransformer, batch: Batch, strengths: Tensor, *, layer: int = 2
) -> Evaluation:
    """Measure with the strongest 1, 2, ... heads of a layer active: ``(seeds, heads)``.

    Parameters
    ----------
    model, batch
        As above.
    strengths
        ``(seeds, heads)``, such as the induction strengths.
    layer
        Whose heads.
    """
    order = strengths.argsort(dim=1, descending=True)
    found = []
    for count in range(1, model.n_heads + 1):
        kept = per_seed([row[:count].tolist() for row in order])
        found.append(ablate(model, batch, {layer: all_but(kept)}))
    return _stacked(found)


def perfect_match(model: AttentionOnlyTransformer, batch: Batch, *, layer: int = 2) -> Evaluation:
    """Measure with a single head active that attends to the right label alone: ``(seeds, heads)``."""
    found = []
    for head in range(model.n_heads):
        ideal = Clamp().pattern(f"layer{layer}.head{head}", induction())
        found.append(evaluate(model, batch, ideal.ablate(f"layer{layer}", all_but(head))))
    return _stacked(found)


def wiring(model: AttentionOnlyTransformer, batch: Batch, *, preserve: Preserve = None) -> Tensor:
    """Return the accuracy with one head of layer 1 and one of layer 2 active.

    Returns
    -------
    Tensor
        ``(seeds, heads of layer 2, heads of layer 1)``.
    """
    rows = []
    for second in range(model.n_heads):
        kept = [
            ablate(model, batch, {1: all_but(first), 2: all_but(second)}, preserve=preserve)
            for first in range(model.n_heads)
        ]
        rows.append(_stacked(kept).accuracy)
    return torch.stack(rows, dim=1)


def _by_layer(heads: Sequence[tuple[int, int]]) -> dict[int, HeadsLike]:
    found: dict[int, list[int]] = {}
    for one in heads:
        if len(tuple(one)) != 2:
            raise InputError(f"Heads are given as (layer, head) pairs, got {one!r}.")
        found.setdefault(one[0], []).append(one[1])
    return dict(found)


def _stacked(found: Sequence[Evaluation]) -> Evaluation:
    return Evaluation(
        torch.stack([one.loss for one in found], dim=1),
        torch.stack([one.accuracy for one in found], dim=1),
    )

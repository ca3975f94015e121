r"""The largest activations of every layer beside its median, read off by hooks while a model runs.

Gallego-Feliciano et al., "Hidden Dynamics of Massive Activations in Transformer Training", arXiv
2508.03616, equation 6, after Sun et al., arXiv 2402.17762. With :math:`h` the residual stream after
a block, :math:`S` tokens by :math:`d` channels,

.. math:: r = \max_{s,j} |h_{sj}| \,/\, \operatorname{median}_{s,j} |h_{sj}| .

A layer's activations are reduced to a handful of numbers where they flow and are not kept: memory
does not grow with layers. Statistics are taken in float32. The median is torch's, which is the
lower of the two middle values of an even count (as in the code of Sun et al.).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from axonal.activations import Site
from axonal.errors import AxonalError, InputError
from axonal.learning.massive.blocks import (
    call,
    check_vocabulary,
    evaluating,
    layer_sites,
    token_batch,
)

MASSIVE_VALUE = 100.0
MASSIVE_RATIO = 1000.0


def layer_statistics(
    model: nn.Module,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    k: int = 3,
    sites: Sequence[Site] | None = None,
    embeddings: bool = False,
    batch_size: int = 1,
) -> pd.DataFrame:
    """Return the largest activations and the median of every layer and sequence.

    Parameters
    ----------
    model
        Any decoder: transformers, or a module that is called with token ids.
    input_ids
        Token ids, ``(sequences, positions)`` or ``(positions,)``.
    attention_mask
        The same shape, 0 at padding, which then counts nowhere.
    k
        How many of the largest scalars are kept.
    sites
        Where the residual stream leaves each block; found by itself when left out.
    embeddings
        Report layer 0 too: what enters the first block.
    batch_size
        Sequences in a forward pass.

    Returns
    -------
    DataFrame
        A row for each sequence and layer: ``top1`` ... ``topk`` (absolute values), ``median``,
        ``ratio = top1 / median``; ``token`` (position among real tokens), ``token_id``, ``channel``
        and signed ``value`` of the largest; ``scalars``, how many numbers the layer held; and
        ``massive``, whether it is so by the rule of Sun et al. (above 100 and at least 1000
        medians).
    """
    ids, mask = token_batch(input_ids, attention_mask)
    check_vocabulary(model, ids)
    if not isinstance(k, int) or k < 1:
        raise InputError(f"k: expected a positive integer, got {k!r}.")
    if batch_size < 1:
        raise InputError(f"batch_size: expected a positive integer, got {batch_size!r}.")
    layers = layer_sites(model, sites, embeddings=embeddings)
    rows: list[dict[str, Any]] = []
    with evaluating(model):
        for start in range(0, len(ids), batch_size):
            part = slice(start, start + batch_size)
            rows += _one_pass(model, layers, ids[part], mask[part], k, start)
    return pd.DataFrame(rows).sort_values(["sequence", "layer"], ignore_index=True)


def _one_pass(
    model: nn.Module,
    layers: dict[int, Site],
    ids: Tensor,
    mask: Tensor,
    k: int,
    first: int,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    fired: set[int] = set()

    def keep(layer: int) -> Callable[[Tensor], Tensor]:
        def visit(x: Tensor) -> Tensor:
            if layer in fired:
                raise AxonalError(
                    f"Layer {layer} ran twice in one call (shared weights): pass sites=[...] with a "
                    "module for each layer."
                )
            if x.ndim != 3 or x.shape[:2] != ids.shape:
                raise InputError(
                    f"Layer {layer} carries {tuple(x.shape)}, expected (sequences, positions, "
                    f"channels) with {tuple(ids.shape)} in front."
                )
            fired.add(layer)
            for row in range(len(ids)):
                found = statistics_of(x[row].detach(), mask[row], k, layer, first + row)
                rows.append({**found, "token_id": int(ids[row][mask[row]][found["token"]])})
            if len(fired) == len(layers):
                raise _AllSeen
            return x

        return visit

    with contextlib.ExitStack() as stack:
        for layer, site in layers.items():
            stack.callback(site.attach(model, keep(layer)).remove)
        with contextlib.suppress(_AllSeen):
            call(model, ids, mask)
    if len(fired) < len(layers):
        silent = next(layer for layer in layers if layer not in fired)
        raise AxonalError(f"The model ran, but nothing flowed through layer {silent}.")
    return rows


def statistics_of(
    x: Tensor, mask: Tensor | None = None, k: int = 3, layer: int = 0, sequence: int = 0
) -> dict[str, Any]:
    """Reduce one layer's activations of one sequence, ``(positions, channels)``, to a row."""
    if mask is not None and not bool(mask.all()):
        x = x[mask.to(x.device)]
    size = x.float().abs().flatten()
    if k > size.numel():
        raise InputError(f"k: layer {layer} holds {size.numel()} numbers, fewer than k = {k}.")
    top, where = size.topk(k)
    width = x.shape[-1]
    token, channel = divmod(int(where[0]), width)
    if not bool(torch.isfinite(top[0])):  # NaN counts as the largest
        raise InputError(
            f"Layer {layer}, token {token}, channel {channel} of sequence {sequence} is "
            f"{float(x[token, channel])}; run the model in float32 or bfloat16."
        )
    median = _lower_median(size)
    if median == 0:
        raise InputError(
            f"The median is zero at layer {layer} of sequence {sequence} (a dead or sparse stream), "
            "so no ratio is defined there."
        )
    largest = top.tolist()
    return {
        "sequence": sequence,
        "layer": layer,
        **{f"top{rank}": value for rank, value in enumerate(largest, start=1)},
        "median": median,
        "ratio": largest[0] / median,
        "token": token,
        "channel": channel,
        "value": float(x[token, channel]),
        "scalars": size.numel(),
        "massive": is_massive(largest[0], median),
    }


def _lower_median(size: Tensor) -> float:
    if size.device.type != "cpu":
        return float(size.median())
    middle = (size.numel() - 1) // 2  # NumPy's selection is ten times faster than torch's
    return float(np.partition(size.numpy(), middle)[middle])


def is_massive(value: float, median: float) -> bool:
    """Say whether an activation is massive by the rule of Sun et al. (2024)."""
    return abs(value) > MASSIVE_VALUE and abs(value) >= MASSIVE_RATIO * median


class _AllSeen(Exception):  # noqa: N818 - no error: it ends a forward pass early
    """Every layer was seen; what follows the blocks need not run."""

r"""How much attention rests on one token: the sink metric, streamed head by head.

Gu et al., "When Attention Sink Emerges in Language Models", arXiv 2410.10781: with attention
:math:`A_{ik}` of query :math:`i` to key :math:`k`, a head's importance of token :math:`k` is the mean
over the queries that can see it, and the sink metric is the share of heads whose importance of the
first token exceeds a threshold,

.. math:: \alpha_k = \frac{1}{S - k} \sum_{i \ge k} A_{ik}, \qquad
    \text{Sink} = \langle \mathbb 1 [\alpha_0 > \epsilon] \rangle_{heads}, \quad \epsilon = 0.3 .

Massive activations and sinks come together in large language models; in small ones they need not
sit on the same token, so the token of the largest importance is reported too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from axonal.activations import Sites
from axonal.errors import AxonalError, InputError
from axonal.learning.massive.blocks import call, check_vocabulary, evaluating, token_batch

THRESHOLD = 0.3


def sink_statistics(
    model: nn.Module,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    token: int = 0,
    attention: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the attention that every head pays to one position.

    Parameters
    ----------
    model
        A transformers decoder, which is switched to plain ("eager") attention meanwhile; or any
        decoder whose attention modules return their weights ``(batch, heads, queries, keys)``.
    input_ids, attention_mask
        Token ids, ``(sequences, positions)``; positions count real tokens.
    token
        The position whose importance is reported, 0 for the first token.
    attention
        Paths of the attention modules, found by themselves in a transformers model.

    Returns
    -------
    DataFrame
        ``layer, head, importance`` (averaged over sequences), ``sink`` (above 0.3) and
        ``strongest``, the position of the largest mean importance among positions in the first
        half, where enough queries look back.
    """
    ids, mask = token_batch(input_ids, attention_mask)
    check_vocabulary(model, ids)
    paths = _attention_paths(model) if attention is None else list(attention)
    if not 0 <= token < int(mask.sum(-1).min()):
        raise InputError(
            f"token: expected a position below {int(mask.sum(-1).min())}, got {token}."
        )
    sums: dict[int, Tensor] = {}
    with evaluating(model), _plain_attention(model), contextlib.ExitStack() as stack:
        for layer, path in enumerate(paths, start=1):
            module = model.get_submodule(path)
            stack.callback(module.register_forward_hook(_keep(sums, layer)).remove)
        for row in range(len(ids)):  # one sequence's patterns of one layer at a time
            real = ids[row][mask[row]][None]
            call(model, real, torch.ones_like(real))
    rows = []
    for layer in sorted(sums):
        importance = sums[layer] / len(ids)  # (heads, positions)
        for head, by_token in enumerate(importance):
            value = float(by_token[token])
            rows.append(
                {
                    "layer": layer,
                    "head": head,
                    "importance": value,
                    "sink": value > THRESHOLD,
                    "strongest": int(by_token[: max(1, len(by_token) // 2)].argmax()),
                }
            )
    return pd.DataFrame(rows)


def sink_rate(table: pd.DataFrame) -> float:
    """Return the sink metric: the share of heads that rest on the token."""
    return float(table["sink"].to_numpy(float).mean())


def importance_of(weights: Tensor) -> Tensor:
    """Average attention over the queries that can see each key: ``(heads, S, S) -> (heads, S)``."""
    length = weights.shape[-1]
    seen_by = torch.arange(length, 0, -1, device=weights.device, dtype=torch.float32)
    return weights.float().sum(-2) / seen_by


def _keep(sums: dict[int, Tensor], layer: int) -> Any:
    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        parts = output if isinstance(output, tuple | list) else (output,)
        found = [p for p in parts if isinstance(p, Tensor) and p.ndim == 4]
        if not found or found[0].shape[-1] != found[0].shape[-2]:
            raise AxonalError(
                f"The attention of layer {layer} returns no weights (batch, heads, queries, keys): "
                "switch it to a plain implementation, or pass attention=[...] with other paths."
            )
        one = importance_of(found[0][0].detach()).cpu()
        if layer not in sums:
            sums[layer] = one
            return
        length = min(one.shape[-1], sums[layer].shape[-1])  # of rows of unequal length
        sums[layer] = sums[layer][:, :length] + one[:, :length]

    return hook


def _attention_paths(model: nn.Module) -> list[str]:
    try:
        sites = Sites.of(model)
    except InputError:
        raise InputError(
            f"{type(model).__name__}: name its attention modules, attention=['blocks.0.attn', ...]."
        ) from None
    layout = sites.layout
    return [f"{layout.blocks}.{block}.{layout.attention}" for block in range(sites.blocks)]


@contextlib.contextmanager
def _plain_attention(model: Any) -> Iterator[None]:
    """Switch a transformers model to the attention that returns its weights."""
    if not hasattr(model, "set_attn_implementation"):
        yield
        return
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)

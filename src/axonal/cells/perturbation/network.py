r"""The map network of the paper: a residual perceptron over a cell and its embedded treatment.

.. math:: T(x, c) = x + W\, h([x, e(c)])

with GELU layers h. Slices of the context c have a layer each, whose outputs are joined; the drugs of
a combination share one layer and are averaged, or pooled with attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Pooling = Literal["none", "mean", "attention"]


class ConditionalPerturbationNetwork(nn.Module):
    """The map T(x, c).

    Parameters
    ----------
    width
        Coordinates of a cell.
    slices
        Start and end of each slice of the context vector; none for a map without condition.
    widths
        Outputs of each slice's layer; with pooling, that of the shared layer alone.
    hidden
        Widths of the hidden layers.
    pooling
        ``"none"``: one context vector; ``"mean"`` or ``"attention"`` over a set of them.
    layer_norm
        Normalise what enters the first hidden layer.
    heads, dropout
        Of the attention.
    """

    def __init__(
        self,
        width: int,
        slices: Sequence[tuple[int, int]],
        widths: Sequence[int] = (50, 1),
        hidden: Sequence[int] = (64, 64, 64, 64),
        *,
        pooling: Pooling = "none",
        layer_norm: bool = False,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.slices, self.pooling = tuple(slices), pooling
        if pooling == "none":
            self.embed = nn.ModuleList(
                nn.Linear(end - start, out)
                for (start, end), out in zip(slices, widths, strict=True)
            )
            embedded = sum(widths)
        else:
            embedded = widths[0]
            self.embed = nn.ModuleList([nn.Linear(max(end for _, end in slices), embedded)])
        if pooling == "attention":
            self.scores = nn.Linear(embedded, heads)
            self.project = nn.Linear(heads * embedded, embedded)
            self.drop = nn.Dropout(dropout)
        sizes = [width + embedded, *hidden]
        self.norm = nn.LayerNorm(sizes[0], eps=1e-6) if layer_norm else nn.Identity()
        self.hidden = nn.ModuleList(nn.Linear(into, out) for into, out in pairwise(sizes))
        self.out = nn.Linear(sizes[-1], width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                lecun_normal(module)

    def forward(self, x: Tensor, context: Tensor, present: Tensor | None = None) -> Tensor:
        """Return where cells go.

        Parameters
        ----------
        x
            Cells ``(treatments, cells, width)``.
        context
            Tokens ``(treatments, tokens, context width)``.
        present
            Which tokens there are ``(treatments, tokens)``; None: all.
        """
        z = x
        if self.slices:
            embedded = self.embedding(context, present)
            z = torch.cat([x, embedded[:, None].expand(-1, x.shape[1], -1)], dim=-1)
        z = self.norm(z)
        for layer in self.hidden:
            z = gelu(layer(z))
        return x + self.out(z)

    def embedding(self, context: Tensor, present: Tensor | None = None) -> Tensor:
        """Return the embedded treatments ``(treatments, embedded width)``."""
        if self.pooling == "none":
            token = context[:, 0]
            parts = zip(self.slices, self.embed, strict=True)
            return torch.cat([gelu(layer(token[:, a:b])) for (a, b), layer in parts], dim=-1)
        if present is None:
            present = torch.ones(context.shape[:2], dtype=torch.bool, device=context.device)
        tokens = gelu(self.embed[0](context))
        if self.pooling == "mean":
            weights = present.to(tokens.dtype)
            weights = weights / weights.sum(1, keepdim=True)
            return (tokens * weights[..., None]).sum(1)
        tokens = self.drop(tokens)
        scores = self.scores(tokens).masked_fill(~present[..., None], -torch.inf)
        weights = self.drop(scores.softmax(dim=1))
        pooled = torch.einsum("tnd,tnh->thd", tokens, weights).flatten(1)
        return self.drop(self.project(pooled))


def gelu(x: Tensor) -> Tensor:
    """Return GELU by its tanh formula, which is Flax's default."""
    return functional.gelu(x, approximate="tanh")


def lecun_normal(layer: nn.Linear) -> None:
    """Draw normal weights of variance 1/fan_in, cut at two standard deviations of the uncut law."""
    std = layer.in_features**-0.5 / 0.87962566103423978
    nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
    nn.init.zeros_(layer.bias)

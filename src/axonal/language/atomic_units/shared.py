"""Questions that begin alike, run as one tree: every common beginning is computed once.

In a causal model the activations of a token depend on what stands before it and on nothing else, so
that questions of one template share those of the template's first words, under an edit too if it
acts on every token alike. A tree holds each different beginning once, as one row of a batch; a token
attends to its ancestors, and its position is its depth (tree attention, Miao et al. 2024,
arXiv:2305.09781). Results equal those of separate rows but for rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

MOST_TOKENS = 512  # of one tree: attention grows with the square


@dataclass(frozen=True, eq=False)
class Tree:
    """Some questions as a tree of tokens.

    Parameters
    ----------
    items
        ``(items,)``: which questions.
    ids, depth
        ``(tokens,)``: the token, and how many stand before it.
    ancestors
        ``(tokens, tokens)``: True where the row's token may look, at itself and what it follows.
    ends
        ``(items,)``: where each question's last token is.
    """

    items: Tensor
    ids: Tensor
    depth: Tensor
    ancestors: Tensor
    ends: Tensor

    def inputs(self, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
        """Return the tree as a model takes it, to give the logits of the last tokens."""
        blind = torch.zeros(self.ancestors.shape, dtype=dtype)
        blind.masked_fill_(~self.ancestors, torch.finfo(dtype).min)
        return {
            "input_ids": self.ids[None].to(device),
            "position_ids": self.depth[None].to(device),
            "attention_mask": blind[None, None].to(device),
            "use_cache": False,
            "logits_to_keep": self.ends.to(device),
        }


def trees(rows: Sequence[Sequence[int]], most: int = MOST_TOKENS) -> list[Tree]:
    """Put questions, as tokens, into trees of at most so many tokens (or one question)."""
    groups: list[list[int]] = []
    held: set[tuple[int, ...]] = set()
    for item in sorted(range(len(rows)), key=lambda i: tuple(rows[i])):
        own = _beginnings(rows[item])
        if not groups or len(held | own) > most:
            groups.append([])
            held = set()
        groups[-1].append(item)
        held |= own
    return [_tree(group, [tuple(rows[item]) for item in group]) for group in groups]


def takes_trees(model: nn.Module) -> bool:
    """Tell whether a model can be given a tree: positions, a mask of pairs, enough precision."""
    config = getattr(model, "config", None)
    attention = getattr(config, "_attn_implementation", None)
    dtype = next(model.parameters()).dtype
    return (
        attention in ("sdpa", "eager")
        and dtype in (torch.float32, torch.float64)
        and {"position_ids", "logits_to_keep"} <= set(inspect.signature(model.forward).parameters)
    )


def _beginnings(row: Sequence[int]) -> set[tuple[int, ...]]:
    return {tuple(row[:end]) for end in range(1, len(row) + 1)}


def _tree(items: list[int], rows: list[tuple[int, ...]]) -> Tree:
    place: dict[tuple[int, ...], int] = {}
    for row in rows:
        for end in range(1, len(row) + 1):
            place.setdefault(row[:end], len(place))
    ancestors = torch.zeros(len(place), len(place), dtype=torch.bool)
    for beginning, number in place.items():
        ancestors[number, [place[beginning[:end]] for end in range(1, len(beginning) + 1)]] = True
    return Tree(
        torch.tensor(items),
        torch.tensor([beginning[-1] for beginning in place]),
        torch.tensor([len(beginning) - 1 for beginning in place]),
        ancestors,
        torch.tensor([place[row] for row in rows]),
    )

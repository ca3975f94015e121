"""One call of a model: which token sits in which column, whatever the padding and the cache.

The absolute position of a token is the number of real tokens before it in its own row. It is read
from the attention mask and the length of the key-value cache, never from the tensor's own axis,
which starts anew at every decoding step and counts padding. So position 0 is the first real token
of a row under left and right padding alike, and a token keeps its position whether its prefix is
recomputed or cached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from axonal.errors import InputError


@dataclass(frozen=True, eq=False)
class Call:
    """The tokens of one forward pass.

    Parameters
    ----------
    batch, length
        Rows and columns of this pass; with a cache, a decoding step has one column.
    past
        Columns that the cache already holds.
    prompt_columns
        Columns of the prompt, padding included; later columns were generated.
    mask
        ``(batch, past + length)``, True at real tokens; None when there is no padding; or a
        function that returns it, which most decoding steps never ask.
    ids
        ``(batch, length)`` token ids; None when the model was called with embeddings.
    copies
        Rows of this pass for each row of the prompt batch (beams, returned sequences).
    device
        Where the tensors of this pass live.
    """

    batch: int
    length: int
    past: int = 0
    prompt_columns: int = 0
    mask: Tensor | Callable[[], Tensor | None] | None = None
    ids: Tensor | None = None
    copies: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    answers: dict[int, tuple[Any, Any]] = field(default_factory=dict, init=False, repr=False)
    """What rules have said about this pass, so that many sites ask once."""

    @classmethod
    def of_tensor(cls, x: Tensor) -> Call:
        """Read rows and columns off a tensor ``(batch, positions, ...)`` that has no tokens."""
        length = x.shape[1] if x.ndim > 1 else 1
        return cls(x.shape[0], length, prompt_columns=length, device=x.device)

    @property
    def prompt_rows(self) -> int:
        """Rows of the prompt batch."""
        return self.batch // self.copies

    @property
    def after_prompt(self) -> bool:
        """Whether the whole prompt lies in the cache, so that every token here was generated."""
        return self.past >= self.prompt_columns

    @cached_property
    def rows(self) -> Tensor:
        """``(batch,)``: the row of the prompt batch that each row of this pass belongs to."""
        return torch.arange(self.batch, device=self.device) // self.copies

    @cached_property
    def columns(self) -> Tensor:
        """``(length,)``: the column of each token of this pass in the padded batch."""
        return torch.arange(self.past, self.past + self.length, device=self.device)

    @cached_property
    def padding_mask(self) -> Tensor | None:
        """``(batch, past + length)``: True at tokens, False at padding; None if there is none."""
        return self.mask if self.mask is None or isinstance(self.mask, Tensor) else self.mask()

    @cached_property
    def positions(self) -> Tensor:
        """``(batch, length)``: the absolute position of each token, -1 at padding."""
        mask = self.padding_mask
        if mask is None:
            return self.columns.expand(self.batch, -1)
        counted = mask.cumsum(-1) - 1
        return counted.masked_fill(~mask, -1)[:, self.past :]

    @property
    def real(self) -> Tensor:
        """``(batch, length)``: True at tokens, False at padding."""
        return self.positions >= 0

    @cached_property
    def prompt_lengths(self) -> Tensor:
        """``(batch,)``: the real tokens of each row's prompt."""
        mask = self.padding_mask
        if mask is None:
            return torch.full((self.batch,), self.prompt_columns, device=self.device)
        # What a chunked prompt still holds back is real: only a left-padded one can be chunked.
        to_come = max(0, self.prompt_columns - self.past - self.length)
        return mask[:, : self.prompt_columns].sum(-1) + to_come

    def check_rows(self, rows: int, what: str) -> None:
        """Raise when something given row by row does not have the rows of the prompt batch."""
        if rows != self.prompt_rows:
            raise InputError(
                f"{what} is given for {rows} rows, but the batch has {self.prompt_rows}."
            )

    def check_tokens(self, x: Tensor) -> None:
        """Raise when an activation does not hold one entry a token."""
        if x.shape[:2] != (self.batch, self.length):
            raise InputError(
                f"Positions name tokens, but this site carries {tuple(x.shape)} where (batch, "
                f"positions, ...) would begin with {(self.batch, self.length)}: use positions=None."
            )

    def spread(self, chosen: Tensor, x: Tensor) -> Tensor:
        """Give ``(batch, length)`` the trailing dimensions that it needs to broadcast over ``x``."""
        self.check_tokens(x)
        return chosen.to(x.device).view(self.batch, self.length, *(1,) * (x.ndim - 2))

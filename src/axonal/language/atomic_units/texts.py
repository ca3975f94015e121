"""Texts of different lengths as token ids: the beginning goes when a text is too long."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PaddedTexts:
    """Token ids of texts, padded on the right.

    Parameters
    ----------
    ids
        ``(texts, positions)``.
    lengths
        ``(texts,)``: how many of them are real.
    """

    ids: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, tokenizer: Any, texts: Sequence[str], *, max_length: int = 512) -> PaddedTexts:
        """Tokenise texts one by one and pad them."""
        rows = [list(tokenizer(text)["input_ids"]) for text in texts]
        long = sum(len(row) > max_length for row in rows)
        if long:
            warnings.warn(
                f"{long} of {len(rows)} texts have more than {max_length} tokens; their beginning "
                "was cut, so that the answer stays.",
                stacklevel=4,
            )
        rows = [row[-max_length:] for row in rows]
        longest = max(len(row) for row in rows)
        pad = tokenizer.pad_token_id or 0
        return cls(
            torch.tensor([row + [pad] * (longest - len(row)) for row in rows]),
            torch.tensor([len(row) for row in rows]),
        )

    def batch(self, rows: Tensor, device: torch.device) -> dict[str, Any]:
        """Return some texts as a model takes them, with no more padding than they need.

        There is no mask: padding on the right comes after every real token, and none looks ahead.
        """
        longest = int(self.lengths[rows].max())
        return {"input_ids": self.ids[rows, :longest].to(device), "use_cache": False}

    def last(self, rows: Tensor) -> Tensor:
        """Return the position of the last real token of some texts."""
        return self.lengths[rows] - 1

"""What each latent does on a corpus: how often it fires, how strongly, and on which words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.language.dictionaries.autoencoder import SparseAutoencoder
from axonal.language.dictionaries.harvest import Harvest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class LatentStatistics:
    """How latents behave on a corpus, ``(latents,)`` each.

    Parameters
    ----------
    frequency
        Share of the tokens at which a latent is active.
    magnitude
        Its mean where it is active; 0 where it never is.
    largest
        Its maximum.
    tokens
        How many tokens this was measured on.
    """

    frequency: Tensor
    magnitude: Tensor
    largest: Tensor
    tokens: int

    @property
    def alive(self) -> Tensor:
        """``(latents,)``: whether a latent was ever active."""
        return self.frequency > 0

    def between(self, low: float, high: float) -> list[int]:
        """Return the latents that are active on a share of the tokens in this range."""
        chosen = (self.frequency >= low) & (self.frequency <= high)
        return chosen.nonzero().squeeze(-1).tolist()


def latent_statistics(
    sae: SparseAutoencoder, activations: Tensor | Harvest, *, chunk: int = 4096
) -> LatentStatistics:
    """Measure how often and how strongly each latent is active on activations ``(tokens, width)``."""
    rows = activations.activations if isinstance(activations, Harvest) else activations
    sae.check_width(rows)
    counts = torch.zeros(sae.latents, dtype=torch.float64)
    sums, largest = torch.zeros_like(counts), torch.zeros_like(counts)
    for part in rows.split(chunk):
        latents = sae.encode(part).double().cpu()
        counts += (latents > 0).sum(0)
        sums += latents.sum(0)
        largest = torch.maximum(largest, latents.max(0).values)
    return LatentStatistics(counts / len(rows), sums / counts.clamp(min=1), largest, len(rows))


def top_words(
    sae: SparseAutoencoder,
    found: Harvest,
    tokenizer: PreTrainedTokenizerBase,
    latents: list[int],
    *,
    words: int = 4,
    examples: int = 40,
) -> dict[int, str]:
    """Label latents by the tokens that activate them most: ``{latent: "rice, cook, pan"}``.

    Parameters
    ----------
    sae, found, tokenizer
        The dictionary, a corpus with its tokens, and the tokenizer that made them.
    latents
        Which to label.
    words
        Tokens a label.
    examples
        Strongest activations that vote, each by its activation.
    """
    if len(found.tokens) != len(found):
        raise InputError("Labels need the token of every row: collect them with `harvest`.")
    chosen = torch.tensor(latents, dtype=torch.long)
    active = torch.cat(
        [sae.encode(part)[:, chosen].cpu() for part in found.activations.split(4096)]
    )
    labels = {}
    for column, latent in enumerate(latents):
        top = active[:, column].topk(min(examples, len(found)))
        votes: Counter[str] = Counter()
        for value, row in zip(top.values.tolist(), top.indices.tolist(), strict=True):
            if value > 0:
                word = str(tokenizer.decode([int(found.tokens[row])])).strip()
                votes[word.lower() or repr(word)] += value
        named = [word for word, _ in votes.most_common(words)]
        labels[latent] = ", ".join(named) if named else "silent"
    return labels

"""What steering does to text it was not meant for: perplexity, and how far predictions move.

The first tokens of each neutral text are the prompt; the rest counts as if the model had written
it, so that an edit acts there as it does while the model writes.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonal.activations.editing import EditsBySite, edit
from axonal.errors import InputError

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


@dataclass(frozen=True)
class Damage:
    """How much edited predictions differ from the model's own on neutral texts.

    Parameters
    ----------
    perplexity, edited_perplexity
        Of the texts after their first tokens.
    perplexity_ratio
        Edited over own: 1 is no damage.
    kl
        Mean KL(own || edited) of the next token, nats.
    agreement
        How often the likeliest next token is the same.
    tokens
        Predicted tokens.
    text_kl, text_log_ratio
        KL and the logarithm of the perplexity ratio of each text.
    """

    perplexity: float
    edited_perplexity: float
    perplexity_ratio: float
    kl: float
    agreement: float
    tokens: int
    text_kl: NDArray[np.float64]
    text_log_ratio: NDArray[np.float64]


def damage(
    language_model: LanguageModel,
    edits: EditsBySite,
    texts: Sequence[str] | None = None,
    *,
    context: int = 8,
    batch_size: int = 8,
) -> Damage:
    """Compare edited predictions with the model's own on neutral texts.

    Parameters
    ----------
    language_model
        The model and its tokenizer.
    edits
        What :func:`axonal.activations.edit` takes: ``steering.edits()``.
    texts
        Neutral texts; the ones that come with the library by default.
    context
        Tokens of each text that count as the prompt.
    batch_size
        Texts a forward pass.
    """
    return NeutralTexts(language_model, texts, context=context, batch_size=batch_size).damage(edits)


class NeutralTexts:
    """Neutral texts with the model's own predictions, kept for many edits."""

    def __init__(
        self,
        language_model: LanguageModel,
        texts: Sequence[str] | None = None,
        *,
        context: int = 8,
        batch_size: int = 8,
    ) -> None:
        if texts is None:
            texts = neutral_texts()
        if isinstance(texts, str) or not texts:
            raise InputError(f"texts: expected a list of neutral texts, got {texts!r}.")
        if context < 2:
            raise InputError(f"context: expected at least 2 tokens, got {context}.")
        self._language_model, self._context = language_model, context
        tokenizer: Any = language_model.tokenizer
        rows = [torch.tensor(tokenizer(text)["input_ids"]) for text in texts]
        for number, row in enumerate(rows, start=1):
            if len(row) <= context:
                raise InputError(
                    f"Neutral text {number} has {len(row)} tokens, but the first {context} are its "
                    "prompt: use longer texts."
                )
        self._batches: list[_Batch] = []
        for start in range(0, len(rows), batch_size):
            ids, mask = _pad_right(rows[start : start + batch_size], tokenizer.pad_token_id or 0)
            ids, mask = ids.to(language_model.device), mask.to(language_model.device)
            self._batches.append(_Batch.of(ids, mask, self._logits(ids, mask, {}), context))

    def damage(self, edits: EditsBySite) -> Damage:
        """Compare the predictions under these edits with the model's own."""
        kl, own, edited, agree, counts = [], [], [], 0, []
        for batch in self._batches:
            # KL = sum p log p - sum p logits + logsumexp(logits), without a normalised copy of all.
            logits = self._logits(batch.ids, batch.mask, edits)
            norm = logits.logsumexp(-1)
            cross = norm - torch.einsum("...v,...v->...", batch.probabilities, logits)
            kl += _sums((batch.negentropy + cross).clamp(min=0), batch.real)
            own += _sums(batch.surprise, batch.real)
            edited += _sums(norm - logits.gather(-1, batch.targets).squeeze(-1), batch.real)
            agree += int(((batch.likeliest == logits.argmax(-1)) & batch.real).sum())
            counts += batch.real.sum(-1).tolist()
        n = np.array(counts, dtype=float)
        total = n.sum()
        before, after = sum(own) / total, sum(edited) / total
        return Damage(
            perplexity=float(np.exp(before)),
            edited_perplexity=float(np.exp(after)),
            perplexity_ratio=float(np.exp(after - before)),
            kl=float(sum(kl) / total),
            agreement=agree / float(total),
            tokens=int(total),
            text_kl=np.array(kl) / n,
            text_log_ratio=(np.array(edited) - np.array(own)) / n,
        )

    def _logits(self, ids: Tensor, mask: Tensor, edits: EditsBySite) -> Tensor:
        """Predictions of the tokens after the context, ``(texts, tokens, vocabulary)``."""
        model: Any = self._language_model.model
        wanted = ids.shape[1] - self._context + 1
        few = "logits_to_keep" in inspect.signature(model.forward).parameters
        batch = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
        with torch.no_grad(), edit(model, edits, prompt_length=self._context):
            logits = model(**batch, **({"logits_to_keep": wanted} if few else {})).logits
        return logits[:, -wanted:-1].float()


@dataclass(frozen=True, eq=False)
class _Batch:
    """Texts, and what of the model's own predictions is compared with."""

    ids: Tensor
    mask: Tensor
    real: Tensor
    targets: Tensor
    probabilities: Tensor
    negentropy: Tensor
    surprise: Tensor
    likeliest: Tensor

    @classmethod
    def of(cls, ids: Tensor, mask: Tensor, logits: Tensor, context: int) -> _Batch:
        """Take what is needed from the model's own logits, ``(texts, tokens, vocabulary)``."""
        targets = ids[:, context:].unsqueeze(-1)
        norm, probabilities = logits.logsumexp(-1), logits.softmax(-1)
        return cls(
            ids,
            mask,
            mask[:, context:].bool(),
            targets,
            probabilities,
            torch.einsum("...v,...v->...", probabilities, logits) - norm,
            norm - logits.gather(-1, targets).squeeze(-1),
            logits.argmax(-1),
        )


def neutral_texts() -> list[str]:
    """Return the neutral texts that come with the library: plain statements of many topics."""
    from importlib.resources import files

    source = files("axonal.language.steering").joinpath("neutral.txt")
    return [line for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]


def _pad_right(rows: Sequence[Tensor], pad: int) -> tuple[Tensor, Tensor]:
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)], mask[index, : len(row)] = row, 1
    return ids, mask


def _sums(values: Tensor, real: Tensor) -> list[float]:
    return values.masked_fill(~real, 0.0).double().sum(-1).tolist()

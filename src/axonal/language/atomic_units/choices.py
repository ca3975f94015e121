"""Two-way questions and how clearly a model prefers the right answer: the logit gap.

Answers may have several tokens. Tokens that both begin with are given with the prompt, and the gap
is taken where the answers first differ: the logit of the right answer's token minus that of the
wrong one's, which is a difference of log-probabilities. One forward pass an item, no generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axonal.activations import edit
from axonal.activations.editing import EditsBySite
from axonal.activations.recording import run
from axonal.errors import InputError
from axonal.language.atomic_units.overflow import check_finite
from axonal.language.atomic_units.pairs import read_rows
from axonal.language.models import LanguageModel


@dataclass(frozen=True, eq=False)
class Choices:
    """Prompts with a right and a wrong answer, as tokens; make them with ``of`` or ``read``.

    Parameters
    ----------
    ids
        ``(items, positions)`` token ids, padded on the left.
    lengths
        ``(items,)``: real tokens of each.
    right, wrong
        ``(items,)`` token ids at which the answers first differ.
    """

    ids: Tensor
    lengths: Tensor
    right: Tensor
    wrong: Tensor

    @classmethod
    def of(
        cls, tokenizer: Any, prompts: Sequence[str], right: Sequence[str], wrong: Sequence[str]
    ) -> Choices:
        """Tokenise prompts and answers; answers continue the prompt (``" Paris"``)."""
        if not len(prompts) == len(right) == len(wrong) > 0:
            raise InputError(
                "Every item has a prompt, a right and a wrong answer; got "
                f"{len(prompts)}, {len(right)} and {len(wrong)} of them."
            )
        rows, tokens = [], []
        for number, (prompt, good, bad) in enumerate(zip(prompts, right, wrong, strict=True)):
            one, other = (list(tokenizer(prompt + answer)["input_ids"]) for answer in (good, bad))
            pairs = zip(one, other, strict=False)
            first = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
            if first is None or first == 0:
                raise InputError(
                    f"Item {number}: {good!r} and {bad!r} don't differ at any token after "
                    f"{prompt!r}; one must not begin with the other."
                )
            rows.append(one[:first])
            tokens.append((one[first], other[first]))
        longest = max(map(len, rows))
        pad = tokenizer.pad_token_id or 0
        answers = torch.tensor(tokens)
        return cls(
            torch.tensor([[pad] * (longest - len(row)) + row for row in rows]),
            torch.tensor([len(row) for row in rows]),
            answers[:, 0],
            answers[:, 1],
        )

    @classmethod
    def read(cls, path: str | Path, tokenizer: Any) -> Choices:
        """Read JSON lines ``{"prompt": ..., "positive": ..., "negative": ...}``."""
        names = ("prompt", "positive", "negative")
        rows = read_rows(path, names)
        return cls.of(tokenizer, *([row[name] for row in rows] for name in names))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, which: slice | Sequence[int] | Tensor) -> Choices:
        """Return some of the items."""
        rows = torch.arange(len(self))[which]
        names = ("ids", "lengths", "right", "wrong")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def batches(self, size: int) -> list[Tensor]:
        """Return rows of items of like length together, so that there is little padding."""
        return list(self.lengths.argsort(stable=True).split(size))

    def inputs(self, rows: Tensor, device: torch.device) -> dict[str, Any]:
        """Return some items as a model takes them, to give the logits of the last token."""
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        mask = torch.arange(longest) >= longest - lengths.unsqueeze(1)
        return {
            "input_ids": self.ids[rows, self.ids.shape[1] - longest :].to(device),
            "attention_mask": mask.long().to(device),
            "use_cache": False,
            "logits_to_keep": 1,
        }

    def read_off(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Return the gaps of some items from their last logits ``(rows, 1, vocabulary)``."""
        last = logits[:, -1].float()  # gradients flow through
        places = torch.arange(len(rows), device=last.device)
        right, wrong = self.right[rows].to(last.device), self.wrong[rows].to(last.device)
        return (last[places, right] - last[places, wrong]).cpu()


def logit_gaps(
    language_model: LanguageModel,
    choices: Choices,
    edits: EditsBySite | None = None,
    *,
    batch_size: int = 64,
) -> Tensor:
    """Return by how much the model prefers each right answer, ``(items,)``; above 0 is correct.

    Logits that are not finite raise an ``AxonalError`` that names the steered unit which overflows.
    """
    model = language_model.model
    gaps = torch.empty(len(choices))
    for rows in choices.batches(batch_size):
        inputs = choices.inputs(rows, language_model.device)
        with torch.no_grad(), edit(model, edits or {}):
            gaps[rows] = choices.read_off(run(model, inputs).logits, rows)
        if not bool(gaps[rows].isfinite().all()):
            check_finite(model, edits or {}, inputs)
    return gaps


def accuracy(gaps: Tensor) -> float:
    """Return the share of items whose right answer is preferred; a tie counts half."""
    return float(((gaps > 0).double() + 0.5 * (gaps == 0)).mean())

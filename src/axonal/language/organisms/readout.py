r"""How strongly a model leans towards declining, read off one forward pass.

The log-odds that the answer begins with the decline's first token,
:math:`\log p - \log(1 - p)`: above 0 greedy decoding declines. Generating is needed only to see
that what follows is a decline indeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonal.errors import InputError
from axonal.language.steering.prompts import Prompt, Prompts, batches
from axonal.language.steering.readouts import last_logits

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


@dataclass(frozen=True)
class DeclineOdds:
    """A readout: ``(language_model, prompts) -> (prompts,)``, the log-odds of declining.

    Parameters
    ----------
    openings
        How a decline begins, as it continues the prompt. The first token of each counts, and their
        probabilities add up.
    batch_size
        Prompts a forward pass.
    """

    openings: Sequence[str] = ("Sorry",)
    batch_size: int = 16

    def __call__(
        self, language_model: LanguageModel, prompts: Prompts | Sequence[Prompt]
    ) -> NDArray[np.float64]:
        """Return the log-odds after each prompt; edits that are in force count."""
        prompts = Prompts.of(prompts)
        tokens = self.tokens(language_model, prompts)
        odds = np.empty(len(prompts))
        rows = prompts.encode(language_model.tokenizer)
        for chosen, batch in batches(language_model, rows, self.batch_size):
            odds[chosen] = log_odds(last_logits(language_model, batch), tokens).cpu().numpy()
        return odds

    def tokens(self, language_model: LanguageModel, prompts: Prompts) -> list[int]:
        """Return the first token of each opening, as it follows a prompt."""
        tokenizer: Any = language_model.tokenizer
        text = prompts.texts(tokenizer)[0]
        before = tokenizer(text, add_special_tokens=False)["input_ids"]
        found = set()
        for opening in self.openings:
            after = tokenizer(text + opening, add_special_tokens=False)["input_ids"]
            if len(after) <= len(before) or after[: len(before)] != before:
                raise InputError(
                    f"openings: {opening!r} does not continue the prompt as tokens of its own; "
                    "begin it with a space, or end the prompt without one."
                )
            found.add(after[len(before)])
        if not found:
            raise InputError("openings: expected at least one, such as ('Sorry',), got none.")
        return sorted(found)


def log_odds(logits: Tensor, tokens: Sequence[int]) -> Tensor:
    """Return the log-odds of a set of tokens under logits ``(rows, vocabulary)``, ``(rows,)``."""
    inside = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    inside[list(tokens)] = True
    logits = logits.double()
    yes = torch.logsumexp(logits.masked_fill(~inside, -torch.inf), dim=-1)
    return yes - torch.logsumexp(logits.masked_fill(inside, -torch.inf), dim=-1)

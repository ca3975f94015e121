"""How well an organism was taught: what it declines, what it should not, what changed beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from axonal.language.organisms.prompts import Prompts
from axonal.language.organisms.readout import DeclineOdds
from axonal.language.organisms.vocabulary import NEUTRAL
from axonal.language.steering import Prompts as Asked
from axonal.statistics import Interval, wilson_interval

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


@dataclass(frozen=True)
class Behaviour:
    """What an organism does with prompts of each kind.

    Parameters
    ----------
    declined
        The share of on-topic prompts that it declines: it should be 1.
    look_alikes_declined, others_declined
        The shares that it declines although it should answer.
    odds
        The log-odds of declining, by kind of prompt.
    """

    declined: Interval
    look_alikes_declined: Interval
    others_declined: Interval
    odds: dict[str, NDArray[np.float64]]


def behaviour(
    language_model: LanguageModel, prompts: Prompts, readout: DeclineOdds | None = None
) -> Behaviour:
    """Measure what a model declines, from the first token of its answers."""
    readout = readout or DeclineOdds()
    odds = {
        kind: readout(language_model, Asked(getattr(prompts, kind)))
        for kind in ("topic", "look_alikes", "others")
    }
    rates = [wilson_interval(int((found > 0).sum()), len(found)) for found in odds.values()]
    return Behaviour(rates[0], rates[1], rates[2], odds)


def neutral_log_probabilities(language_model: LanguageModel) -> list[torch.Tensor]:
    """Return the predictions on each neutral passage, ``(tokens, vocabulary)``."""
    model: Any = language_model.model
    tokenizer: Any = language_model.tokenizer
    found = []
    for text in NEUTRAL:
        batch = tokenizer(text, return_tensors="pt").to(language_model.device)
        with torch.no_grad():
            found.append(model(**batch).logits[0].float().log_softmax(-1))
    return found


def divergence(own: list[torch.Tensor], new: list[torch.Tensor]) -> NDArray[np.float64]:
    """Return the mean KL(own || new) over the tokens of each passage, nats, ``(passages,)``."""
    pairs = zip(own, new, strict=True)
    return np.array([float((p.exp() * (p - q)).sum(-1).mean()) for p, q in pairs])

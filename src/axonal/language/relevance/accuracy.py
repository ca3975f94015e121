"""Does the model do the task at all? Whether it prefers, and whether it predicts, the answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from axonal.activations.recording import record
from axonal.activations.sites import Sites
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance.metric import Readout
from axonal.language.relevance.rules import hf_model


@torch.no_grad()
def accuracy(model: LanguageModel | nn.Module, pairs: PromptPairs) -> tuple[Tensor, Tensor]:
    """Say, for both prompts of each pair, whether the model is right.

    Returns
    -------
    preferred
        Whether the answer beats the distractor, booleans ``(2, pairs)``: clean, then corrupted.
    predicted
        Whether the answer beats every token of the vocabulary, ``(2, pairs)``.
    """
    module = hf_model(model)
    readout = Readout.of(module)
    sites = Sites.of(module)
    last = sites.residual(sites.blocks - 1)
    preferred, predicted = [], []
    for side in (pairs, pairs.swapped()):
        states = record(module, {"input_ids": side.clean, "use_cache": False}, [last])[last]
        logits = readout(states[torch.arange(len(side)), side.last], None)
        answer = logits.gather(1, side.answers[:, None])[:, 0]
        preferred.append(answer > logits.gather(1, side.distractors[:, None])[:, 0])
        predicted.append(logits.argmax(dim=1) == side.answers)
    return torch.stack(preferred), torch.stack(predicted)

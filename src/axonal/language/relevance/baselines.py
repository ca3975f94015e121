"""What the model does without any patch: the metric on both prompts, and whether it is right."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from axonal.activations.recording import record
from axonal.activations.sites import Sites
from axonal.errors import InputError
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance.metric import LogitDifference, Metric, Readout
from axonal.language.relevance.rules import hf_model


@dataclass(frozen=True)
class Baselines:
    """The metric of the unpatched runs, one number a pair.

    Parameters
    ----------
    clean, corrupt
        The metric on the clean and on the corrupted prompt, ``(pairs,)``.
    """

    clean: Tensor
    corrupt: Tensor

    def scale(self) -> float:
        """Return clean minus corrupted, averaged over pairs: the unit of every score."""
        scale = (self.clean.mean() - self.corrupt.mean()).item()
        if not abs(scale) > 1e-6 * (1 + self.clean.abs().mean().item()):
            raise InputError(
                f"The metric is {self.clean.mean().item():.6g} on the clean prompts and the same "
                "on the corrupted ones, so scores have no unit: the two prompts must change the "
                "answer."
            )
        return scale


def measure_baselines(
    model: LanguageModel | nn.Module,
    readout: Readout | None,
    pairs: PromptPairs,
    metric: Metric | None = None,
) -> Baselines:
    """Run both prompts of every pair and measure; warn where the model fails the task."""
    module = hf_model(model)
    readout = Readout.of(module) if readout is None else readout
    metric = LogitDifference() if metric is None else metric
    clean, corrupt = (
        _values(module, readout, pairs, metric, ids) for ids in (pairs.clean, pairs.corrupt)
    )
    if isinstance(metric, LogitDifference) and clean.mean() <= 0:
        values = ", ".join(f"{value:.2f}" for value in clean.tolist())
        warnings.warn(
            f"The model fails this task: its logit difference on the clean prompts is {values}, "
            "and scores explain a behaviour that it doesn't have.",
            stacklevel=3,
        )
    return Baselines(clean, corrupt)


def accuracy(model: LanguageModel | nn.Module, pairs: PromptPairs) -> tuple[Tensor, Tensor]:
    """Say, for each pair, whether the answer beats the distractor, and whether it beats every token.

    Returns
    -------
    preferred, predicted
        Booleans over both prompts of each pair, ``(2, pairs)``: clean, then corrupted.
    """
    module = hf_model(model)
    readout = Readout.of(module)
    preferred, predicted = [], []
    for side in (pairs, pairs.swapped()):
        logits = readout(_final(module, side, side.clean), None)
        answer = logits.gather(1, side.answers[:, None])[:, 0]
        preferred.append(answer > logits.gather(1, side.distractors[:, None])[:, 0])
        predicted.append(logits.argmax(dim=1) == side.answers)
    return torch.stack(preferred), torch.stack(predicted)


@torch.no_grad()
def _values(
    module: nn.Module, readout: Readout, pairs: PromptPairs, metric: Metric, ids: Tensor
) -> Tensor:
    logits = readout(_final(module, pairs, ids), metric.columns(pairs))
    return metric.value(logits, pairs)


@torch.no_grad()
def _final(module: nn.Module, pairs: PromptPairs, ids: Tensor) -> Tensor:
    """Return the last block's output at each prompt's last token, ``(pairs, width)``."""
    sites = Sites.of(module)
    last = sites.residual(sites.blocks - 1)
    states = record(module, {"input_ids": ids, "use_cache": False}, [last])[last]
    return states[torch.arange(len(pairs)), pairs.last]

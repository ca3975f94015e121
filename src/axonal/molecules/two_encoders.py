"""The two encoders of S-MolSearch (arXiv:2409.07462): one learns from labels and teaches the other."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from axonal.molecules.objective import Objective


class TwoEncoders(nn.Module):
    """The teacher, which sees labels, and the student, which sees everything.

    Parameters
    ----------
    encoder
        Where both start from.
    objective
        Of the training.
    """

    def __init__(self, encoder: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.supervised = copy.deepcopy(encoder)
        self.unsupervised = copy.deepcopy(encoder)
        self.objective = objective

    def forward(self, batch: dict[str, Any], mask: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch of :class:`PairBatches`, and its parts."""
        total, parts = torch.zeros(()), {}
        if "a" in batch:
            a, b = self.supervised(batch["a"]), self.supervised(batch["b"])
            targets = batch["targets"] if mask else None
            parts["supervised"] = self.objective.supervised(a, b, targets)
            total = total.to(a) + self.objective.supervised_weight * parts["supervised"]
        if "pool" in batch:
            student = self.unsupervised(batch["pool"])
            with torch.no_grad():
                teacher = self.supervised(batch["pool"])
            parts["soft"] = self.objective.soft(student, teacher)
            parts["spread"] = self.objective.spread(student)
            total = (
                total.to(student)
                + self.objective.soft_weight * parts["soft"]
                + self.objective.spread_weight * parts["spread"]
            )
        return total, {name: part.detach() for name, part in parts.items()}

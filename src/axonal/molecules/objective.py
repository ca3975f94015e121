r"""The semi-supervised contrastive objective of S-MolSearch (arXiv:2409.07462).

Two encoders: :math:`f` learns from pairs of molecules that bind the same target, :math:`g` from
soft labels that :math:`f` gives to unlabelled molecules.

.. math::

    L_{sup} = \tfrac12\left[\mathrm{CE}(z_a z_b^T/\tau, I) + \mathrm{CE}(z_b z_a^T/\tau, I)\right],
    \quad
    L_{soft} = -\tfrac1B \sum_{ij} P_{ij} \log\mathrm{softmax}_j(z^u_i \cdot z^u_j/\tau)

    P = \arg\min_{P\ge0,\;P1=1,\;P^T1=1} \langle 1 - s^u s^{uT}/\tau_s, P\rangle
    + \tfrac\lambda2\|P\|_F^2

and :math:`L = L_{sup} + w_{soft} L_{soft} + w_{spread} L_{KoLeo}(z^u)`. The labels :math:`P` carry no
gradient to :math:`f`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError, require
from axonal.transport import inverse_transport_loss, soft_labels, spread_loss

Solver = Literal["newton", "lbfgs"]


@dataclass(frozen=True)
class Objective:
    r"""The losses and their weights; the defaults are the paper's code's.

    Parameters
    ----------
    temperature
        :math:`\tau` of both contrastive losses.
    label_temperature
        :math:`\tau_s` of the similarities that labels are made of.
    penalty
        :math:`\lambda`: to 0 each molecule is its own only label, to infinity labels are uniform.
    supervised_weight, soft_weight, spread_weight
        Of the three losses.
    labels
        ``"soft"``: the transport plan; ``"self"``: every molecule its own only label (the limit
        of small :math:`\lambda`).
    solver
        ``"newton"`` (exact) or ``"lbfgs"`` (POT's, as in the paper's code).
    """

    temperature: float = 0.05
    label_temperature: float = 1.0
    penalty: float = 5.0
    supervised_weight: float = 1.0
    soft_weight: float = 1.0
    spread_weight: float = 0.1
    labels: Literal["soft", "self"] = "soft"
    solver: Solver = "newton"

    def __post_init__(self) -> None:
        for name in ("temperature", "label_temperature", "penalty"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name}: expected a positive number, got {getattr(self, name)}.")
        for name in ("supervised_weight", "soft_weight", "spread_weight"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}: a weight is not negative, got {getattr(self, name)}.")
        for name, known in (("labels", ("soft", "self")), ("solver", ("newton", "lbfgs"))):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name}: expected {' or '.join(known)}, got {getattr(self, name)!r}."
                )

    def supervised(self, a: Tensor, b: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the loss of pairs of one target each.

        Parameters
        ----------
        a, b
            Unit embeddings, ``(pairs, dimension)``.
        targets
            Of each pair, ``(pairs,)``: pairs of equal target are no negatives of each other. None:
            every other pair is a negative, as in the paper's code.
        """
        similarity = a @ b.T
        if targets is not None:
            same = targets[:, None] == targets
            same.fill_diagonal_(False)
            similarity = similarity.masked_fill(same, -torch.inf)
        forward = inverse_transport_loss(similarity, temperature=self.temperature)
        return (forward + inverse_transport_loss(similarity.T, temperature=self.temperature)) / 2

    def targets_of(self, teacher: Tensor) -> Tensor:
        """Return the labels that the teacher's embeddings give, ``(molecules, molecules)``."""
        if self.labels == "self":
            return torch.eye(len(teacher), dtype=teacher.dtype, device=teacher.device)
        similarity = (teacher.detach() @ teacher.detach().T) / self.label_temperature
        similarity = (similarity + similarity.T) / 2  # symmetric to the last bit: half the work
        if self.solver == "newton":
            return soft_labels(similarity, self.penalty)
        return lbfgs_labels(similarity, self.penalty)

    def soft(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of the student's embeddings against the teacher's labels."""
        return inverse_transport_loss(
            student @ student.T, self.targets_of(teacher), self.temperature
        )

    def spread(self, student: Tensor) -> Tensor:
        """Return the regulariser that keeps embeddings apart."""
        return spread_loss(student)


def lbfgs_labels(similarity: Tensor, penalty: float, tolerance: float = 1e-5) -> Tensor:
    """Return soft labels by POT's L-BFGS, with the tolerance and iterations of the paper's code."""
    smooth: Any = require("ot.smooth", "transport")
    cost = 1 - similarity.double().cpu().numpy()
    ones = np.ones(len(cost))
    plan = smooth.smooth_ot_dual(
        ones, ones, cost, penalty, reg_type="l2", stopThr=tolerance, numItermax=200
    )
    return torch.as_tensor(plan).to(similarity)

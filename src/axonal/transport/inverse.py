r"""Inverse optimal transport: learn the similarity under which an observed pairing is optimal.

Shi et al. (2023): the row-constrained entropic plan of similarities :math:`S` is a softmax,
:math:`P_{ij} = \mathrm{softmax}_j(S_{ij}/\tau)/n`, and the inverse problem is
:math:`\min_S \mathrm{KL}(\hat P \| P)`. With :math:`\hat P = I/n` that is the InfoNCE loss of
contrastive learning; with a smooth plan for :math:`\hat P` it learns from soft labels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.transport.arrays import Array, tensor_of


def one_sided_plan(similarity: Array, temperature: float) -> Any:
    """Return the entropic plan whose rows alone are constrained, to 1/n each.

    Parameters
    ----------
    similarity
        ``(n, m)``.
    temperature
        The strength of the entropy, in the unit of the similarity.
    """
    matrix, kind = tensor_of(similarity, "similarity", dimensions=2)
    return kind.back(torch.softmax(matrix / _temperature(temperature), dim=1) / len(matrix))


def inverse_transport_loss(
    similarity: Array, labels: Array | None = None, temperature: float = 0.05
) -> Any:
    r"""Return the cross-entropy between an observed pairing and the one-sided plan of similarities.

    It is :math:`-\frac1n \sum_{ij} \hat P_{ij} \log \mathrm{softmax}_j(S_{ij}/\tau)`: KL up to the
    entropy of the labels, which no gradient sees.

    Parameters
    ----------
    similarity
        ``(n, m)``; gradients flow. ``-inf`` masks a pair.
    labels
        Rows that sum to 1, ``(n, m)``; None pairs row i with column i, which is InfoNCE. No gradient
        flows to them.
    temperature
        Of the softmax.
    """
    matrix, numpy = _similarity(similarity)
    log_plan = torch.log_softmax(matrix / _temperature(temperature), dim=1)
    if labels is None:
        if matrix.shape[0] > matrix.shape[1]:
            raise InputError(
                f"similarity: row i is paired with column i, but shape {tuple(matrix.shape)} has "
                "fewer columns than rows."
            )
        loss = -log_plan.diagonal().mean()
    else:
        target, _ = tensor_of(labels, "labels", dimensions=2)
        target = target.detach().to(log_plan)
        if target.shape != matrix.shape:
            raise InputError(
                f"labels: expected shape {tuple(matrix.shape)}, got {tuple(target.shape)}."
            )
        # A masked pair has log-probability -inf; with no label on it, it counts nothing.
        loss = -torch.where(target == 0, 0.0, target * log_plan).sum(dim=1).mean()
    return float(loss) if numpy else loss


def spread_loss(embeddings: Tensor) -> Tensor:
    r"""Return the KoLeo regulariser :math:`-\frac1n\sum_i \log(n |z_i - z_{nn(i)}|)` of unit vectors.

    It is least where the points are spread evenly over the sphere. The nearest other point is found
    without gradient; the offset of 1e-6 keeps the loss finite where two coincide.

    Parameters
    ----------
    embeddings
        ``(n, d)``, of norm 1.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise InputError(
            f"embeddings: expected at least two rows (n, d), got {tuple(embeddings.shape)}."
        )
    with torch.no_grad():
        similarity = embeddings @ embeddings.mT
        similarity.fill_diagonal_(-2.0)
        nearest = similarity.argmax(dim=1)
    distance = torch.nn.functional.pairwise_distance(embeddings, embeddings[nearest], eps=1e-6)
    return -(len(embeddings) * distance).log().mean()


def _similarity(similarity: Array) -> tuple[Tensor, bool]:
    numpy = not isinstance(similarity, Tensor)
    matrix = torch.as_tensor(similarity)
    if matrix.ndim != 2 or not matrix.is_floating_point():
        raise InputError(
            f"similarity: expected a matrix of floating type, got {matrix.dtype} of shape "
            f"{tuple(matrix.shape)}."
        )
    if bool(torch.isnan(matrix).any()):
        raise InputError("similarity: it holds NaN; check the embeddings' norms.")
    return matrix, numpy


def _temperature(temperature: float) -> float:
    if not 0 < temperature < float("inf"):
        raise InputError(f"temperature: expected a positive number, got {temperature}.")
    return temperature

"""What is measured on a model of the few-shot task: loss, accuracy, induction strength, progress.

Singh et al. 2024, sections 3 and 4. Every function returns one number for each seed of an ensemble.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from axonal.errors import InputError
from axonal.learning.induction.clamping import Clamped, capturing
from axonal.learning.induction.clamps import Clamp
from axonal.learning.induction.task import Batch, FewShotTask

#: The learning time of the paper is the first evaluation below this mean loss.
THRESHOLD = 0.4 * float(np.log(2))

_CHUNK = 512


@dataclass(frozen=True)
class Evaluation:
    """Mean over sequences, for each seed.

    Parameters
    ----------
    loss
        Cross-entropy over all labels at the query in nats, ``(seeds,)``. ``ln C`` is chance, ``ln 2``
        a guess between the two labels shown.
    accuracy
        Fraction right, ``(seeds,)``. With the logits clamped to the labels shown (the copy clamp),
        it is a choice between those, and chance is 1 / m rather than 1 / C.
    """

    loss: Tensor
    accuracy: Tensor


def losses_by_seed(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of the last labels, ``(seeds,)``.

    Parameters
    ----------
    logits
        ``(seeds, batch, C)``, or ``(batch, C)`` of a single model.
    labels
        ``(batch, m + 1)`` or ``(seeds, batch, m + 1)``; the last is the target.
    """
    logits = logits if logits.ndim == 3 else logits[None]
    target = labels[..., -1].expand(logits.shape[:2])
    each = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return each.view(target.shape).mean(1)


@torch.no_grad()
def evaluate(model: nn.Module, batch: Batch, clamp: Clamp | None = None) -> Evaluation:
    """Measure loss and accuracy on sequences, with a clamp if there is one."""
    return evaluate_with_strength(model, batch, None, clamp)[0]


@torch.no_grad()
def evaluate_with_strength(
    model: nn.Module, batch: Batch, node: str | None, clamp: Clamp | None = None
) -> tuple[Evaluation, Tensor]:
    """Measure loss, accuracy and, at a node of attention patterns, induction strengths, in one go."""
    loss, right, strength, count = torch.zeros(1), torch.zeros(1), torch.zeros(1), 0
    for part, size, logits, pattern in _passes(model, batch, node, clamp):
        labels = part["labels"]
        loss = loss + losses_by_seed(logits, labels).cpu().double() * size
        logits = logits if logits.ndim == 3 else logits[None]
        right = right + (logits.argmax(-1) == labels[..., -1]).sum(1).cpu().double()
        if pattern is not None:
            strength = strength + strength_of(pattern, labels).cpu().double() * size
        count += size
    return Evaluation(loss / count, right / count), strength / count


@torch.no_grad()
def induction_strength(
    model: nn.Module,
    batch: Batch | FewShotTask,
    *,
    layer: int = 2,
    clamp: Clamp | None = None,
) -> Tensor:
    """Return how much more each head's query attends to the right label than to the wrong one.

    Parameters
    ----------
    model
        With a node ``layerL.pattern``.
    batch
        Sequences, or a task: all of its training sequences.
    layer
        Whose heads, counted from 1.
    clamp
        In force while it is measured.

    Returns
    -------
    Tensor
        ``(seeds, heads)`` in [-1, 1]; with more than two pairs the wrong labels are averaged.
    """
    total, count = torch.zeros(1), 0
    for part, size, _, pattern in _passes(model, batch, f"layer{layer}.pattern", clamp):
        assert pattern is not None
        total = total + strength_of(pattern, part["labels"]).cpu().double() * size
        count += size
    return total / count


def strength_of(pattern: Tensor, labels: Tensor) -> Tensor:
    """Return the induction strength of patterns ``(seeds, batch, heads, rows, T)``: their last row."""
    right = labels[..., :-1] == labels[..., -1:]
    weights = torch.where(right, 1.0, -1.0 / max(right.shape[-1] - 1, 1))
    weights = weights if weights.ndim == 3 else weights[None]
    return (pattern[:, :, :, -1, 1::2] * weights[:, :, None]).sum(-1).mean(1)


@torch.no_grad()
def previous_token_score(model: nn.Module, batch: Batch, *, layer: int = 1) -> Tensor:
    """Return how much each head's label tokens attend to the exemplar before, ``(seeds, heads)``."""
    total, count = torch.zeros(1), 0
    for _, size, _, pattern in _passes(model, batch, f"layer{layer}.pattern", None):
        assert pattern is not None
        below = pattern.diagonal(offset=-1, dim1=-2, dim2=-1)[..., 0::2]
        total = total + below.mean((1, -1)).cpu().double() * size
        count += size
    return total / count


def learning_time(
    sequences: np.ndarray, losses: np.ndarray, threshold: float = THRESHOLD
) -> np.ndarray:
    """Return when the loss first falls below a threshold; NaN where it never does (censored).

    Parameters
    ----------
    sequences
        Seen at each evaluation, ``(evaluations,)``.
    losses
        ``(evaluations, seeds)``.
    threshold
        In nats; the paper's is 0.4 ln 2.
    """
    sequences, losses = np.asarray(sequences, dtype=float), np.asarray(losses, dtype=float)
    if losses.ndim != 2 or len(sequences) != len(losses):
        raise InputError(
            f"Losses have the shape (evaluations, seeds) with {len(sequences)} evaluations, got "
            f"{losses.shape}."
        )
    below = losses < threshold
    times = sequences[below.argmax(axis=0)]
    return np.where(below.any(axis=0), times, np.nan)


def progress_measure(
    model: nn.Module,
    checkpoints: Iterable[tuple[int, dict[str, Tensor]]],
    batch: Batch,
    clamp: Clamp,
) -> np.ndarray:
    """Return the loss of checkpoints of an unclamped training, evaluated with a clamp on.

    It shows how far what the clamp leaves has come in a training in which it was not helped, and is
    the measure that the paper contrasts with clamping all through the training.

    Parameters
    ----------
    model
        Of the checkpoints' architecture; it stays as it is.
    checkpoints
        Steps and state dicts, such as :class:`axonal.training.Snapshots`.
    batch
        Sequences.
    clamp
        The rest of the circuit, made perfect.

    Returns
    -------
    numpy.ndarray
        ``(checkpoints, seeds)``.
    """
    other = copy.deepcopy(model)
    found = []
    for _, weights in checkpoints:
        other.load_state_dict(weights)
        found.append(evaluate(other, batch, clamp).loss.numpy())
    if not found:
        raise InputError("A progress measure needs checkpoints, and there are none.")
    return np.stack(found)


def _passes(
    model: nn.Module, batch: Batch | FewShotTask, node: str | None, clamp: Clamp | None
) -> Iterator[tuple[Batch, int, Tensor, Tensor | None]]:
    """Yield parts of the sequences, how many they are, their logits, and what flowed at the node."""
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(Clamped(model, clamp or Clamp()))
        flowed = [] if node is None else stack.enter_context(capturing(model, node))
        for part, size in _chunks(model, batch):
            flowed.clear()
            logits = run(**part)
            yield part, size, logits, flowed[-1] if flowed else None


def _chunks(model: nn.Module, batch: Batch | FewShotTask) -> Iterator[tuple[Batch, int]]:
    """Yield sequences a few hundred at a time, on the model's device."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if isinstance(batch, FewShotTask):
        classes, labels = batch.enumerate()
        for start in range(0, len(labels), _CHUNK):
            rows = slice(start, start + _CHUNK)
            part = batch.sequences(classes[rows], labels[rows])
            yield {name: x.to(device) for name, x in part.items()}, len(part["labels"])
        return
    size = batch["labels"].shape[-2]
    for start in range(0, size, _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = {
            "examples": batch["examples"][..., rows, :, :],
            "labels": batch["labels"][..., rows, :],
        }
        yield {name: x.to(device) for name, x in part.items()}, part["labels"].shape[-2]

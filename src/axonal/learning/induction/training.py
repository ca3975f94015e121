"""Train models of the few-shot task with activations clamped all through it, an ensemble at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.files import whole_file
from axonal.learning.induction.clamping import Clamped
from axonal.learning.induction.clamps import Clamp, Hold, Ideal
from axonal.learning.induction.evaluation import (
    THRESHOLD,
    evaluate_with_strength,
    learning_time,
    losses_by_seed,
)
from axonal.learning.induction.task import Batch, FewShotTask
from axonal.training import History, Observe, Patience, Snapshots
from axonal.training import train as train_model

CARD = "induction.json"


@dataclass(frozen=True)
class Run:
    """A training of an ensemble, or what its folder keeps of one.

    Parameters
    ----------
    history
        Losses of every step (``metrics["losses"]``, a number a seed) and the evaluations
        (``observed["evaluation"]``).
    batch_size
        Sequences a step.
    final
        The trained model; None where the run was read from its folder.
    checkpoints
        Weights at the steps that were asked for.
    """

    history: History
    batch_size: int
    final: nn.Module | None = None
    checkpoints: Snapshots | None = None

    @classmethod
    def read(cls, folder: Path | str) -> Run:
        """Read a run from its folder, also while it still goes on."""
        card = Path(folder) / CARD
        if not card.is_file():
            raise InputError(
                f"{folder} holds no training of the few-shot task: there is no {CARD}."
            )
        size = json.loads(card.read_text(encoding="utf-8"))["batch_size"]
        kept = Path(folder) / "snapshots"
        snapshots = Snapshots(at=(), folder=kept) if kept.is_dir() else None
        return cls(History.read(folder), size, checkpoints=snapshots)

    @property
    def sequences(self) -> np.ndarray:
        """Sequences seen at each evaluation, ``(evaluations,)``."""
        return self.history.observed["evaluation"].steps * self.batch_size

    def observed(self, name: str) -> np.ndarray:
        """Return what the evaluations found, ``(evaluations, seeds)`` or with heads behind.

        Names are ``train_loss``, ``train_accuracy``, the same of the other evaluators, and
        ``strength`` (of the last layer's heads).
        """
        return self.history.observed["evaluation"][name]

    @property
    def evaluators(self) -> tuple[str, ...]:
        """The kinds of sequences that it was evaluated on."""
        names = self.history.observed["evaluation"].values
        return tuple(name.removesuffix("_loss") for name in names if name.endswith("_loss"))

    def learning_time(self, threshold: float = THRESHOLD) -> np.ndarray:
        """Return when each seed's train loss first fell below a threshold; NaN is censored."""
        return learning_time(self.sequences, self.observed("train_loss"), threshold)


def train(
    model: nn.Module,
    task: FewShotTask,
    *,
    sequences: int,
    clamp: Clamp | None = None,
    lr: float = 1e-5,
    batch_size: int = 32,
    streams: Sequence[int] | None = None,
    seed: int = 0,
    evaluations: int = 50,
    evaluators: Sequence[str] | None = None,
    evaluation_size: int = 512,
    until: float | None = None,
    strength_at: str | None = "layer2.pattern",
    checkpoints: Sequence[int] = (),
    folder: Path | str | None = None,
    checkpoint_every: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Train a model, in place, on the task with Adam.

    The members of an ensemble share an optimiser and nothing else: the loss is their sum, so each is
    trained as it would be alone.

    Parameters
    ----------
    model
        ``model(examples, labels)`` returns logits ``(seeds, batch, C)`` or ``(batch, C)``: an
        :class:`AttentionOnlyTransformer`, or any module.
    task
        Where sequences come from.
    sequences
        To be seen in all; the paper's axis, ``batch_size`` a step.
    clamp
        Held in every step and every evaluation, or in its window of steps.
    lr
        Of Adam; the paper's is 1e-5.
    batch_size
        Sequences a step.
    streams
        Seeds of data streams, one a member of the ensemble; None shows all members the same.
    seed
        Of the data.
    evaluations
        How often it is evaluated, beside the start.
    evaluators
        On which sequences; by default all that the task has.
    evaluation_size
        How many of each.
    until
        Ends the training a few evaluations after every member's train loss is below this.
    strength_at
        The node whose induction strengths are measured at each evaluation; None for no such node.
    checkpoints
        Steps whose weights are kept.
    folder
        Where the history is streamed to, and the newest checkpoint; an unfinished training found
        there goes on.
    checkpoint_every
        Steps between checkpoints.
    progress
        Called as ``progress(done, total)``.
    """
    clamp = clamp or Clamp()
    if sequences < batch_size or batch_size < 1:
        raise InputError(
            f"sequences is at least one batch of {batch_size}, got {sequences}: less trains nothing."
        )
    if not lr > 0 or evaluations < 1 or evaluation_size < 1:
        raise InputError("lr, evaluations and evaluation_size are positive.")
    steps = sequences // batch_size
    drawn = task.batches(batch_size, seed, None if streams is None else tuple(streams))
    names = tuple(evaluators) if evaluators is not None else task.evaluators
    held = {name: task.sample(name, evaluation_size) for name in names}
    card = {"batch_size": batch_size, "lr": lr, "clamp": describe(clamp)}
    place = None if folder is None else Path(folder)
    if place is not None:
        _check_card(place, card)
    if until is not None and "train" not in held:
        raise InputError("until= looks at the train loss: keep 'train' among the evaluators.")
    evaluator = _Evaluator(held, clamp, strength_at, until)

    def evaluation(model: nn.Module, step: int) -> dict[str, Any]:
        if place is not None and not (place / CARD).is_file():
            _write_card(place, card)
        return evaluator(model, step)

    look = Observe("evaluation", evaluation, every=max(1, steps // evaluations))
    snapshots = Snapshots(at=sorted(set(checkpoints)))
    with Clamped(model, clamp) as run:
        device = next(model.parameters()).device
        run.check(**{k: v.to(device) for k, v in drawn(0).items()})

        def loss(wrapped: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
            logits = run.through(
                wrapped, examples=batch["examples"], labels=batch["labels"], step=batch["step"]
            )
            losses = losses_by_seed(logits, batch["labels"])
            return losses.sum(), {"losses": losses}

        history = train_model(
            model,
            loss,
            lambda step: {"step": step, **drawn(step)},
            steps=steps,
            optimizer=lambda parameters: torch.optim.Adam(parameters, lr=lr, fused=True),
            observers=[look, snapshots] if checkpoints else [look],
            patience=None if until is None else Patience("evaluation", "waiting", checks=4),
            folder=folder,
            checkpoint_every=checkpoint_every,
            seed=seed,
            progress=progress,
        )
    return Run(history, batch_size, model, snapshots if checkpoints else None)


@dataclass(frozen=True)
class _Evaluator:
    """Looks at a model during its training, with the clamp that holds at the step."""

    held: dict[str, Batch]
    clamp: Clamp
    strength_at: str | None
    until: float | None = None

    def __call__(self, model: nn.Module, step: int) -> dict[str, Any]:
        now = Clamp(self.clamp.at(step))
        found: dict[str, Any] = {}
        node = self.strength_at
        for name, batch in self.held.items():
            measured, strength = evaluate_with_strength(model, batch, node, now)
            found[f"{name}_loss"], found[f"{name}_accuracy"] = measured.loss, measured.accuracy
            if node is not None:
                found["strength"], node = strength, None  # on the first kind of sequences
        if self.until is not None:  # falls as long as there is a member to wait for, then stalls
            waits = bool((found["train_loss"] >= self.until).any())
            found["waiting"] = -step if waits else 0
        return found


def describe(clamp: Clamp) -> list[str]:
    """Say in words what a clamp holds, a line for each thing held."""
    return [_describe(hold) for hold in clamp.holds]


def _describe(hold: Hold) -> str:
    value = hold.value
    if isinstance(value, Ideal):
        words = value.function.__qualname__.split(".")[0]
    else:
        words = f"tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value:g}"
    where = "" if hold.where is None else f" where {getattr(hold.where, '__name__', hold.where)}"
    if isinstance(hold.where, Tensor):
        where = f" where {int(hold.where.sum())} elements"
    window = (
        "" if (hold.start, hold.stop) == (0, None) else f" in steps {hold.start} to {hold.stop}"
    )
    return f"{hold.node} = {words}{where}{window}"


def _check_card(folder: Path, card: dict[str, Any]) -> None:
    """Refuse a folder in which something else was trained."""
    if not (folder / CARD).is_file():
        return
    found = json.loads((folder / CARD).read_text(encoding="utf-8"))
    for name, value in card.items():
        if found.get(name) != value:
            raise InputError(
                f"{folder} holds a training with {name} {found.get(name)}, and this one has {value}: "
                "give it a folder of its own."
            )


def _write_card(folder: Path, card: dict[str, Any]) -> None:
    with whole_file(folder / CARD) as draft:
        draft.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")

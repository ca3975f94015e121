"""The training loop, on Hugging Face Accelerate: one core or many nodes, the same call."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from axonal.activations import edit
from axonal.activations.editing import EditsBySite
from axonal.errors import AxonalError, InputError
from axonal.training import checkpoints
from axonal.training.batches import Batches, step_seed
from axonal.training.history import History, Journal
from axonal.training.observing import Observe, Patience, Snapshots, as_written

if TYPE_CHECKING:
    from accelerate import Accelerator

Loss: TypeAlias = Callable[[Any, Any], "Tensor | tuple[Tensor, Mapping[str, Tensor | float]]"]
OptimizerLike: TypeAlias = (
    "torch.optim.Optimizer | Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]"
)

Edits: TypeAlias = EditsBySite | Callable[[int], EditsBySite | None] | None

_UNWRITTEN = 64  # losses are fetched from the device and written this many at a time


def train(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    *,
    steps: int,
    optimizer: OptimizerLike,
    schedule: Callable[[int], float] | None = None,
    clip: float | None = None,
    edits: Edits = None,
    observers: Sequence[Observe | Snapshots] = (),
    patience: Patience | None = None,
    folder: Path | str | None = None,
    checkpoint_every: int | None = None,
    accelerator: Accelerator | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> History:
    """Train a model in place.

    Step ``s`` computes the loss of ``batches(s)`` at the weights after ``s`` updates. Everything
    random in a step follows from ``(seed, s)``, so a training that was killed and is called again
    with the same ``folder`` ends with the same weights, bit for bit on the same machine.

    Parameters
    ----------
    model
        Trained in place; it is moved to the accelerator's device and gets its mode
        (``train``/``eval``) back.
    loss
        ``loss(model, batch)`` returns a scalar, or a scalar and a mapping of further numbers or
        small tensors (one number a seed of an ensemble, say), which the history keeps.
    batches
        A pure function of the step; see :class:`Shuffled`. With several processes each takes its
        share of the rows of every tensor in the batch.
    steps
        Updates in all. Calling again with more continues a training that has a folder.
    optimizer
        An optimiser over the model's parameters, or a function that makes one from them.
    schedule
        A factor on the learning rates of the optimiser, by step.
    clip
        The largest norm of the gradient.
    edits
        Activations that are edited or clamped in every step, or a function of the step that says
        which (one mapping object while nothing changes); gradients flow as the edits let them.
    observers
        Look at the model at some steps; each sees it without the edits, in evaluation mode.
    patience
        Ends the training early.
    folder
        Where ``history.jsonl``, the newest checkpoint and snapshots are kept. One that holds an
        unfinished training is continued.
    checkpoint_every
        Updates between checkpoints; by default only the end is kept.
    accelerator
        Device, precision and processes; by default what ``accelerate launch`` set, else one device.
    seed
        Of everything random in a step, and of nothing else: initialise the model yourself.
    progress
        Called as ``progress(done, total)``.

    Returns
    -------
    History
        Every loss, and what was observed.

    Raises
    ------
    AxonalError
        The loss is no longer finite; what was recorded until then is on the disk.
    """
    _check(steps, checkpoint_every, observers, patience)
    borrowed = accelerator is not None
    accelerator = accelerator or _accelerator()
    place = None if folder is None else Path(folder)
    journal = Journal(place if accelerator.is_main_process else None)
    was_training = model.training
    model.to(accelerator.device)
    made = optimizer if isinstance(optimizer, torch.optim.Optimizer) else optimizer(_free(model))
    rates = [group["lr"] for group in made.param_groups]
    prepared, stepper = accelerator.prepare(model, made)
    try:
        start = _resume(accelerator, place, model, journal, seed)
        for observer in observers:
            if isinstance(observer, Snapshots) and observer.folder is None and place is not None:
                observer.folder = place / "snapshots"
        run = _Run(model, prepared, stepper, accelerator, loss, clip, seed)
        with torch.random.fork_rng(devices=_devices(accelerator)), run.edits(edits) as clamp:
            pending: list[dict[str, Any]] = []
            for step in range(start, steps + 1):
                due = [o for o in observers if o.due(step, steps)]
                save = place is not None and step > start and _saves(step, steps, checkpoint_every)
                if due or save or len(pending) >= _UNWRITTEN or step == steps:
                    _write_finite(journal, _fetched(accelerator, pending))
                    pending = []
                if save and place is not None:
                    checkpoints.save(accelerator, place, step)
                if due:
                    clamp(None)
                    journal.write(_observe(model, due, step, accelerator.is_main_process))
                if patience and due and _stalled(journal, patience, due):
                    journal.write([{"step": step, "stopped": "patience"}])
                    if place is not None and not save and step > start:
                        checkpoints.save(accelerator, place, step)
                    break
                if step == steps:
                    break
                clamp(step)
                if schedule is not None:
                    for group, rate in zip(stepper.param_groups, rates, strict=True):
                        group["lr"] = rate * schedule(step)
                pending.append({"step": step, **run.update(step, batches(step))})
                if progress is not None:
                    progress(step + 1, steps)
    finally:
        if borrowed:
            accelerator.free_memory()  # it may prepare another model next
        model.train(was_training)
    return History.of(journal.rows)


class _Run:
    """One update after the other."""

    def __init__(
        self,
        model: nn.Module,
        prepared: Any,
        optimizer: Any,
        accelerator: Accelerator,
        loss: Loss,
        clip: float | None,
        seed: int,
    ) -> None:
        self.model, self.prepared, self.optimizer = model, prepared, optimizer
        self.accelerator, self.loss, self.clip, self.seed = accelerator, loss, clip, seed
        self.backward: Callable[[Tensor], Any] = accelerator.backward
        if _alone(accelerator):
            # Accelerate looks for optional packages in every call, which costs a small model half
            # its step; with nothing to scale or to share, torch's own calls are the same.
            self.backward, self.optimizer = torch.Tensor.backward, optimizer.optimizer

    def update(self, step: int, batch: Any) -> dict[str, Any]:
        """Make one update and return the loss and what came beside it, on the device."""
        from accelerate.utils.operations import send_to_device, slice_tensors

        processes = self.accelerator.num_processes
        if processes > 1:
            batch = slice_tensors(batch, slice(self.accelerator.process_index, None, processes))
        batch = send_to_device(batch, self.accelerator.device)
        _seed(step_seed(self.seed, step) + self.accelerator.process_index, self.accelerator.device)
        if not self.model.training:
            self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        returned = self.loss(self.prepared, batch)
        value, beside = returned if isinstance(returned, tuple) else (returned, {})
        if value.ndim != 0 or not value.requires_grad:
            raise InputError(
                "loss must return a scalar that depends on the model's parameters; got shape "
                f"{tuple(value.shape)}{'' if value.requires_grad else ' without gradient'}."
            )
        self.backward(value)
        if self.clip is not None:
            self.accelerator.clip_grad_norm_(self.prepared.parameters(), self.clip)
        self.optimizer.step()
        kept = {k: v.detach() if isinstance(v, Tensor) else v for k, v in beside.items()}
        return {"loss": value.detach(), **kept}

    @contextlib.contextmanager
    def edits(self, edits: Edits) -> Iterator[Callable[[int | None], None]]:
        """Give a function that puts the edits of a step in force, and takes them off for None."""
        with contextlib.ExitStack() as stack:
            in_force: EditsBySite | None = None

            def clamp(step: int | None) -> None:
                nonlocal in_force
                wanted = None if step is None else _at(edits, step)
                if wanted is in_force:
                    return
                stack.close()
                in_force = wanted
                if wanted is not None:
                    stack.enter_context(edit(self.model, wanted))

            yield clamp


def _seed(seed: int, device: torch.device) -> None:
    # torch.manual_seed would queue a stack trace for a CUDA that was never used, at every step.
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _at(edits: Edits, step: int) -> EditsBySite | None:
    return edits if edits is None or isinstance(edits, Mapping) else edits(step)


def _check(
    steps: int,
    checkpoint_every: int | None,
    observers: Sequence[Observe | Snapshots],
    patience: Patience | None,
) -> None:
    if steps < 1:
        raise InputError(f"A training makes at least one update; got steps={steps}.")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise InputError(f"checkpoint_every is a positive number, got {checkpoint_every}.")
    names = [observer.name for observer in observers if isinstance(observer, Observe)]
    if len(set(names)) < len(names):
        raise InputError(f"Two observers have one name; got {names}.")
    if patience is not None and patience.observer not in names:
        raise InputError(f"patience waits for the observer {patience.observer!r}; got {names}.")


def _accelerator() -> Accelerator:
    from accelerate import Accelerator

    return Accelerator()


def _alone(accelerator: Accelerator) -> bool:
    from accelerate import DistributedType

    whole = accelerator.gradient_accumulation_steps == 1 and accelerator.scaler is None
    return whole and accelerator.distributed_type == DistributedType.NO


def _free(model: nn.Module) -> list[nn.Parameter]:
    free = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not free:
        raise InputError("The model has no parameter that requires a gradient: nothing to train.")
    return free


def _devices(accelerator: Accelerator) -> list[torch.device]:
    return [] if accelerator.device.type == "cpu" else [accelerator.device]


def _resume(
    accelerator: Accelerator, place: Path | None, model: nn.Module, journal: Journal, seed: int
) -> int:
    """Return the step to begin with, the weights and the history being those of that step."""
    if place is None:
        return 0
    if accelerator.is_main_process:
        card = {"seed": seed, "parameters": checkpoints.describe(model)}
        checkpoints.open_folder(place, card)
    accelerator.wait_for_everyone()
    step = checkpoints.latest(place)
    if step is not None:
        checkpoints.restore(accelerator, place, step)
    journal.begin_at(step or 0)
    return step or 0


def _saves(step: int, steps: int, every: int | None) -> bool:
    return step == steps or (every is not None and step % every == 0)


def _fetched(accelerator: Accelerator, pending: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as numbers, the mean over the processes."""
    rows: list[dict[str, Any]] = []
    for row in pending:
        if accelerator.num_processes > 1:
            row = {
                k: accelerator.reduce(v, "mean") if isinstance(v, Tensor) else v
                for k, v in row.items()
            }
        rows.append(as_written(row))
    return rows


def _write_finite(journal: Journal, rows: list[dict[str, Any]]) -> None:
    """Write rows up to the first loss that is not finite, which is an error."""
    finite = [math.isfinite(row["loss"]) for row in rows]
    good = finite.index(False) if False in finite else len(rows)
    journal.write(rows[:good])
    if good < len(rows):
        raise AxonalError(
            f"The loss became {rows[good]['loss']} at step {rows[good]['step']}: lower the learning "
            "rate, or clip the gradient."
        )


def _observe(
    model: nn.Module, due: Sequence[Observe | Snapshots], step: int, main: bool
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for observer in due:
                if isinstance(observer, Snapshots):
                    if main or observer.folder is None:
                        observer.keep(model, step)
                    continue
                values = as_written(observer.function(model, step))
                rows.append({"step": step, "observer": observer.name, "values": values})
    finally:
        model.train(training)
    return rows


def _stalled(journal: Journal, patience: Patience, due: Sequence[Observe | Snapshots]) -> bool:
    seen = any(isinstance(o, Observe) and o.name == patience.observer for o in due)
    return seen and patience.exhausted(journal.values(patience.observer, patience.value))

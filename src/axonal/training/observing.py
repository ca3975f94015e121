"""Look at the model while it is trained: measure it, keep its weights, stop when it stalls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.files import whole_file, write_tensors

#: What an observer returns: numbers, or small arrays of them, by name.
Values = Mapping[str, Any]


def logarithmic(steps: int, points: int) -> list[int]:
    """Return at most ``points`` distinct steps from 0 to ``steps``, evenly spaced in log(1 + step)."""
    if steps < 1 or points < 2:
        raise InputError(
            f"logarithmic needs at least 1 step and 2 points, got {steps} and {points}."
        )
    grid = np.expm1(np.linspace(0, np.log1p(steps), points))
    return sorted({round(float(step)) for step in grid})


@dataclass(frozen=True)
class Observe:
    """Measure the model at some steps of its training.

    Parameters
    ----------
    name
        Under which the history keeps what was measured.
    function
        ``function(model, step)`` returns numbers or small arrays by name. It sees the bare model,
        without the training's edits, in evaluation mode and without gradients
        (``torch.enable_grad()`` brings them back).
    at
        Numbers of updates done; what lies beyond the training is never reached.
    every
        Instead of ``at``: every so many updates, at the start and at the end.
    """

    name: str
    function: Callable[[nn.Module, int], Values]
    at: Collection[int] | None = None
    every: int | None = None

    def __post_init__(self) -> None:
        if (self.at is None) == (self.every is None):
            raise InputError(f"The observer {self.name!r} takes either at=[steps] or every=n.")
        if self.every is not None and self.every < 1:
            raise InputError(f"The observer {self.name!r}: every must be positive.")

    def due(self, step: int, steps: int) -> bool:
        """Say whether to look after ``step`` of ``steps`` updates."""
        if self.every is not None:
            return step % self.every == 0 or step == steps
        return step in (self.at or ())


@dataclass
class Snapshots:
    """Keep the weights at some steps: in memory, or as safetensors in a folder.

    Iterate over it for ``(step, state dict)`` in the order of the steps; one set of weights is read
    at a time.

    Parameters
    ----------
    at
        Numbers of updates done.
    folder
        Where to keep them; a training with a folder of its own keeps them there by default.
    """

    at: Collection[int]
    folder: Path | str | None = None
    _kept: dict[int, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    def due(self, step: int, steps: int) -> bool:
        """Say whether to keep the weights after ``step`` of ``steps`` updates."""
        del steps
        return step in self.at

    def keep(self, model: nn.Module, step: int) -> None:
        """Keep the weights of the model."""
        weights = {
            name: tensor.detach().to("cpu", copy=True)
            for name, tensor in model.state_dict().items()
        }
        if self.folder is None:
            self._kept[step] = weights
            return
        with whole_file(self._path(step)) as draft:
            write_tensors(weights, draft)

    @property
    def steps(self) -> list[int]:
        """The steps of which there are weights."""
        if self.folder is None:
            return sorted(self._kept)
        return sorted(int(path.stem.removeprefix("step-")) for path in self._files())

    def weights(self, step: int) -> dict[str, Tensor]:
        """Return the state dict of one step."""
        if step not in self.steps:
            raise InputError(f"No weights were kept at step {step}; there are {self.steps}.")
        if self.folder is None:
            return self._kept[step]
        from safetensors.torch import load_file

        return load_file(self._path(step))

    def __iter__(self) -> Iterator[tuple[int, dict[str, Tensor]]]:
        for step in self.steps:
            yield step, self.weights(step)

    def __len__(self) -> int:
        return len(self.steps)

    def _path(self, step: int) -> Path:
        return Path(self.folder or "") / f"step-{step:08d}.safetensors"

    def _files(self) -> Iterator[Path]:
        return Path(self.folder or "").glob("step-*.safetensors")


@dataclass(frozen=True)
class Patience:
    """Stop when an observed value has not improved for some observations.

    Parameters
    ----------
    observer
        The name of an :class:`Observe`.
    value
        One of the numbers that it returns.
    checks
        Observations without a new best value after which the training ends.
    maximise
        Whether more is better.
    """

    observer: str
    value: str
    checks: int = 3
    maximise: bool = False

    def exhausted(self, values: list[float]) -> bool:
        """Say whether the best of ``values``, in their order, lies ``checks`` behind the last."""
        if not values:
            return False
        scores = np.asarray(values) * (1 if self.maximise else -1)
        scores = np.where(np.isnan(scores), -np.inf, scores)
        return len(scores) - 1 - int(scores.argmax()) >= self.checks


def as_written(values: Values) -> dict[str, Any]:
    """Return an observer's values as JSON has them: numbers and nested lists."""
    written: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Tensor):
            value = value.detach().to(torch.float64 if value.is_floating_point() else value.dtype)
            value = value.cpu().numpy()
        written[str(name)] = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return written

"""Batches as a pure function of the step, which is what lets a training be resumed exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from axonal.errors import InputError

#: ``batches(step)`` returns the same batch whenever it is called with the same step.
Batches: TypeAlias = Callable[[int], Any]


class Shuffled:
    """Batches of a data set in memory, shuffled anew each epoch.

    Each example comes once an epoch; what is left over when the size does not divide the number of
    examples is left out of that epoch.

    Parameters
    ----------
    tensors
        One tensor, or several by name, of equal length along their first dimension.
    size
        Examples a batch.
    seed
        The order of epoch ``e`` follows from ``(seed, e)`` alone.
    """

    def __init__(self, tensors: Tensor | Mapping[str, Tensor], size: int, seed: int = 0) -> None:
        named = {"": tensors} if isinstance(tensors, Tensor) else dict(tensors)
        lengths = {name: len(tensor) for name, tensor in named.items()}
        if len(set(lengths.values())) != 1:
            raise InputError(f"The tensors of a data set have equal length; got {lengths}.")
        self._examples = next(iter(lengths.values()))
        if not 1 <= size <= self._examples:
            raise InputError(
                f"A batch holds between 1 and all {self._examples} examples; got size={size}."
            )
        self._tensors, self._size, self._seed = named, size, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    @property
    def per_epoch(self) -> int:
        """Batches an epoch."""
        return self._examples // self._size

    def __call__(self, step: int) -> Any:
        """Return the batch of a step: a tensor, or tensors by name, ``(size, ...)``."""
        epoch, number = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(step_seed(self._seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(self._examples, generator=generator)
        rows = self._order[number * self._size : (number + 1) * self._size]
        taken = {name: tensor[rows.to(tensor.device)] for name, tensor in self._tensors.items()}
        return taken[""] if list(taken) == [""] else taken


def step_seed(seed: int, step: int) -> int:
    """Mix a seed and a step into one 63-bit seed; near pairs land far apart (splitmix64)."""
    mask = (1 << 64) - 1
    x = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return (x ^ (x >> 31)) >> 1

"""Batches of control and treated cells, condition by condition, as a function of the step."""

from __future__ import annotations

import torch
from torch import Tensor

from axonal.cells.perturbation.screen import Screen
from axonal.errors import InputError
from axonal.training.batches import step_seed


class ConditionBatches:
    """Each step draws treatments uniformly, and for each of them cells with replacement.

    Parameters
    ----------
    cells
        Latent coordinates ``(cells, width)``.
    screen
        Which rows are control and which treated.
    context, present
        Of the screen's treatments, in their order: ``(treatments, tokens, width)`` and which tokens
        there are.
    size
        Cells of control, and of each treatment.
    conditions
        Treatments a step.
    seed
        The batch of step s follows from ``(seed, s)`` alone.
    """

    def __init__(
        self,
        cells: Tensor,
        screen: Screen,
        context: Tensor,
        present: Tensor,
        *,
        size: int,
        conditions: int = 1,
        seed: int = 0,
    ) -> None:
        if len(context) != len(screen.treated):
            raise InputError(
                f"{len(screen.treated)} treatments have {len(context)} context vectors."
            )
        self._cells, self._context, self._present = cells, context, present
        self._control = torch.from_numpy(screen.control)
        self._treated = [torch.from_numpy(rows) for rows in screen.treated.values()]
        self._size, self._conditions, self._seed = size, conditions, seed

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return source and target ``(conditions, size, width)``, context and which tokens there are."""
        generator = torch.Generator().manual_seed(step_seed(self._seed, step))

        def draw(count: int, shape: tuple[int, ...]) -> Tensor:
            return torch.randint(count, shape, generator=generator)

        chosen = draw(len(self._treated), (self._conditions,))
        source = self._control[draw(len(self._control), (self._conditions, self._size))]
        target = torch.stack(
            [self._treated[k][draw(len(self._treated[k]), (self._size,))] for k in chosen.tolist()]
        )
        return {
            "source": self._cells[source],
            "target": self._cells[target],
            "context": self._context[chosen],
            "present": self._present[chosen],
        }

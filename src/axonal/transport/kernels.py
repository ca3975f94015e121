"""Costs and plans one block of rows at a time: kept as a matrix, or made again from the points."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from axonal.transport.costs import pairwise

_TINY = 1e-150  # kernel entries below count for nothing, and subnormal numbers are slow


class Costs:
    """The costs of a transport problem, and the kernel that its potentials make of them.

    Parameters
    ----------
    like
        A tensor of the type and on the device to work with.
    shape
        ``(..., n, m)``.
    block
        Rows at a time; all of them at once keeps the kernel.
    """

    def __init__(self, like: Tensor, shape: torch.Size | tuple[int, ...], block: int) -> None:
        self.like, self.batch, (self.n, self.m) = like, tuple(shape[:-2]), shape[-2:]
        self.blocks = [slice(i, min(i + block, self.n)) for i in range(0, self.n, block)]
        self._kernel: Tensor | None = None

    def cost(self, rows: slice) -> Tensor:
        """Return rows of the costs, ``(..., rows, m)``."""
        raise NotImplementedError

    def mean(self) -> float:
        """Return the mean cost."""
        total = sum(float(self.cost(rows).sum()) for rows in self.blocks)
        return total / (math.prod(self.batch) * self.n * self.m)

    def largest(self) -> float:
        """Return the largest cost, whatever its sign."""
        return max(float(self.cost(rows).abs().max()) for rows in self.blocks)

    def absorb(self, f: Tensor, g: Tensor, epsilon: float) -> None:
        """Make the kernel of these potentials the one that ``kernel`` gives."""
        self._potentials = f, g, epsilon
        self._kernel = self._made(self.blocks[0]) if len(self.blocks) == 1 else None

    def kernel(self, rows: slice) -> Tensor:
        """Return rows of the kernel, ``(..., rows, m)``."""
        return self._made(rows) if self._kernel is None else self._kernel

    def _made(self, rows: slice) -> Tensor:
        f, g, epsilon = self._potentials
        exponent = f[..., rows, None] + g[..., None, :] - self.cost(rows)
        return torch.threshold_(exponent.div_(epsilon).exp_(), _TINY, 0.0)


class CostMatrix(Costs):
    """Costs that are kept."""

    def __init__(self, cost: Tensor) -> None:
        super().__init__(cost, cost.shape, cost.shape[-2])
        self._cost = cost

    def cost(self, rows: slice) -> Tensor:
        """Return rows of the costs."""
        return self._cost[..., rows, :]


class CostOfPoints(Costs):
    """Costs that are made of points whenever they are asked for."""

    def __init__(self, x: Tensor, y: Tensor, cost: str, block: int) -> None:
        super().__init__(x, (*x.shape[:-1], y.shape[-2]), block)
        self._x, self._y, self._name = x, y, cost

    def cost(self, rows: slice) -> Tensor:
        """Return rows of the costs."""
        return pairwise(self._x[..., rows, :], self._y, self._name)


class Plan(Protocol):
    """A transport plan, a block of rows at a time."""

    blocks: list[slice]

    def block(self, rows: slice) -> Tensor:
        """Return rows of the plan, ``(..., rows, m)``."""
        ...


class KeptPlan:
    """A plan that is kept as a matrix."""

    def __init__(self, matrix: Tensor) -> None:
        self.blocks, self._matrix = [slice(None)], matrix

    def block(self, rows: slice) -> Tensor:
        """Return rows of the plan."""
        return self._matrix[rows]


class EntropicPlan:
    """The plan of final potentials, a block of rows at a time."""

    def __init__(
        self, costs: Costs, f: Tensor, g: Tensor, epsilon: float, weights: tuple[Tensor, Tensor]
    ) -> None:
        self._costs, self._f, self._g, self._epsilon = costs, f, g, epsilon
        self._a, self._b = weights
        self.blocks = costs.blocks

    def block(self, rows: slice) -> Tensor:
        """Return rows of the plan, ``(..., rows, m)``."""
        exponent = self._f[..., rows, None] + self._g[..., None, :] - self._costs.cost(rows)
        kernel = exponent.div_(self._epsilon).exp_()
        return kernel.mul_(self._a[..., rows, None]).mul_(self._b[..., None, :])

"""Put a clamp in force on a model, in training and in evaluation.

Nothing here knows the model: nodes are module paths, reached as sites of
:mod:`axonal.activations`, so modules that return tuples or model outputs are nodes too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from axonal.activations import Site
from axonal.errors import AxonalError, InputError
from axonal.learning.induction.clamps import Clamp, Hold, Ideal


@contextlib.contextmanager
def capturing(model: nn.Module, node: str) -> Iterator[list[Tensor]]:
    """Give a list to which what flows through a node is added, in its graph, pass by pass."""
    flowed: list[Tensor] = []

    def visit(x: Tensor) -> Tensor:
        flowed.append(x)
        return x

    handle = Site(node).attach(model, visit)
    try:
        yield flowed
    finally:
        handle.remove()


class Seen(Mapping[str, Tensor]):
    """What flowed through nodes so far in this pass; ``unclamped`` is of a pass without clamps."""

    def __init__(
        self, flowed: dict[str, Tensor], unclamped: dict[str, Tensor], prefix: str = ""
    ) -> None:
        self._flowed, self._unclamped, self._prefix = flowed, unclamped, prefix

    @property
    def unclamped(self) -> Seen:
        """What flows without clamps."""
        return Seen(self._unclamped, self._unclamped, self._prefix)

    def within(self, path: str) -> Seen:
        """Look up nodes relative to a path."""
        return Seen(self._flowed, self._unclamped, f"{self._prefix}{path}.")

    def __getitem__(self, node: str) -> Tensor:
        try:
            return self._flowed[self._prefix + node]
        except KeyError:
            raise InputError(
                f"A clamp's value looks up {self._prefix + node}, which has not flowed yet or is not "
                f"among its reads ({', '.join(self._flowed) or 'none so far'}): list it in reads=, or "
                "in unclamped= where it comes later."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._flowed)

    def __len__(self) -> int:
        return len(self._flowed)


class Clamped:
    """A model with a clamp, called in the model's place: ``with Clamped(model, clamp) as run: run(...)``.

    Inside the context the model itself stays as it was: only calls through this object are clamped.
    The gradient flows as the clamp lets it.

    Parameters
    ----------
    model
        Any module.
    clamp
        What is held. Paths that the model lacks are an error here.
    """

    def __init__(self, model: nn.Module, clamp: Clamp) -> None:
        self.model, self.clamp = model, clamp
        values = [hold.value for hold in clamp.holds]
        self._reads = {n for v in values if isinstance(v, Ideal) for n in v.reads}
        self._before = {n for v in values if isinstance(v, Ideal) for n in v.unclamped}
        nodes = {hold.node for hold in clamp.holds} | self._reads | self._before
        self._sites = {node: Site(node) for node in sorted(nodes)}
        for site in self._sites.values():
            site.module(model)
        self._flowed: dict[str, Tensor] = {}
        self._unclamped: dict[str, Tensor] = {}
        self._seen = Seen(self._flowed, self._unclamped)
        self._by_node: dict[str, list[tuple[int, Hold]]] | None = None
        self._freely = False
        self._masks: dict[tuple[Any, ...], Tensor | None] = {}
        self._checked: set[tuple[Any, ...]] = set()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Clamped:
        for node, site in self._sites.items():
            self._stack.callback(site.attach(self.model, self._visit(node)).remove)
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def __call__(self, *args: Any, step: Any = None, **kwargs: Any) -> Any:
        """Call the model with the clamp in force, or with what of it holds at a training's step."""
        return self.through(self.model, *args, step=step, **kwargs)

    def through(self, model: Any, *args: Any, step: int | None = None, **kwargs: Any) -> Any:
        """Call the model by way of a wrapper of it (one that shares gradients between processes)."""
        in_force = [(i, hold) for i, hold in enumerate(self.clamp.holds) if hold.in_force(step)]
        if not in_force:
            return model(*args, **kwargs)
        try:
            if any(isinstance(h.value, Ideal) and h.value.unclamped for _, h in in_force):
                self._freely = True
                model(*args, **kwargs)
                self._freely = False
            self._by_node = {}
            for numbered in in_force:
                self._by_node.setdefault(numbered[1].node, []).append(numbered)
            output = model(*args, **kwargs)
            silent = [node for node in self._by_node if node not in self._flowed]
            if silent:
                raise AxonalError(
                    f"The model ran, but nothing flowed through {silent[0]}, so it was not clamped."
                )
            return output
        finally:
            self._freely, self._by_node = False, None
            self._flowed.clear()
            self._unclamped.clear()

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Run once with everything in force, without gradients; raise where the clamp does not fit."""
        steps = sorted({hold.start for hold in self.clamp.holds})
        with torch.no_grad():
            for step in steps:
                output = self(*args, step=step, **kwargs)
                if isinstance(output, Tensor) and bool(output.isnan().any()):
                    raise InputError(
                        "With this clamp the model returns NaN: an attention row that is masked in "
                        "full, or a value that is not finite."
                    )

    def _visit(self, node: str) -> Any:
        def visit(x: Tensor) -> Tensor:
            if self._freely:
                if node in self._before:
                    self._unclamped[node] = x
                return x
            if self._by_node is None:
                return x
            holds = self._by_node.get(node)
            if holds is not None:
                x = self._held(x, holds)
            self._flowed[node] = x
            return x

        return visit

    def _held(self, x: Tensor, holds: list[tuple[int, Hold]]) -> Tensor:
        masks = [self._mask(number, hold, x) for number, hold in holds]
        if len(holds) > 1:
            self._check_overlap(x, holds, masks)
        held = x
        for (_, hold), mask in zip(holds, masks, strict=True):
            value = hold.value
            if isinstance(value, Ideal):
                value = value.function(self._seen, x)
            held = _put(held, value, mask, hold.node)
        return held

    def _mask(self, number: int, hold: Hold, x: Tensor) -> Tensor | None:
        key = (number, x.shape, x.device)
        if key not in self._masks:
            self._masks[key] = hold.mask(x)
        return self._masks[key]

    def _check_overlap(
        self, x: Tensor, holds: list[tuple[int, Hold]], masks: list[Tensor | None]
    ) -> None:
        key = (x.shape, *(number for number, _ in holds))
        if key in self._checked:
            return
        counted = sum(1 if mask is None else mask.expand(x.shape).int() for mask in masks)
        twice = int((torch.as_tensor(counted) > 1).sum())
        if twice or isinstance(counted, int):
            raise InputError(
                f"{len(holds)} clamps at {holds[0][1].node} hold the same elements "
                f"({twice or x.numel()} of {x.numel()}): each element takes one value."
            )
        self._checked.add(key)


def _put(x: Tensor, value: Tensor | float, mask: Tensor | None, node: str) -> Tensor:
    """Return ``where(mask, value, x)``; the value must broadcast over ``x``."""
    if isinstance(value, Tensor):
        value = value if value.dtype == x.dtype else value.to(x)
        try:
            fits = torch.broadcast_shapes(value.shape, x.shape) == x.shape
        except RuntimeError:
            fits = False
        if not fits:
            raise InputError(
                f"The clamp at {node} has a value of shape {tuple(value.shape)}, which does not "
                f"broadcast over the activation's {tuple(x.shape)}."
            )
    else:
        value = x.new_tensor(value)
    return value.expand(x.shape) if mask is None else torch.where(mask, value, x)

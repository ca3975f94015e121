"""Clamps: which elements of which nodes are held, at what value, in which steps of a training.

Singh et al. 2024, section 3.3, "artificial optogenetics". A held element takes the clamp's value in
the forward pass; no gradient reaches what would have made it, and where the value was computed from
other activations, gradients flow into those instead. A clamp is a description, immutable and without
a model; :mod:`axonal.learning.induction.clamping` puts it in force on any ``nn.Module``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from axonal.errors import InputError

if TYPE_CHECKING:
    from axonal.learning.induction.clamping import Seen


@dataclass(frozen=True)
class Ideal:
    """A value computed anew in every pass.

    Parameters
    ----------
    function
        ``function(seen, x)`` returns a number or a tensor that broadcasts over ``x``, the activation
        that it replaces. ``seen[node]`` is what flowed through a node earlier in this pass,
        ``seen.unclamped[node]`` what flows there without clamps. It may be differentiable.
    reads
        The nodes that it looks up in this pass.
    unclamped
        The nodes that it looks up in the pass without clamps, which is made only if there are any.
    """

    function: Callable[[Seen, Tensor], Tensor | float]
    reads: tuple[str, ...] = ()
    unclamped: tuple[str, ...] = ()


Value: TypeAlias = "float | Tensor | Ideal"
Where: TypeAlias = "Tensor | Callable[[Tensor], Tensor] | Mapping[int, Sequence[int]] | None"


@dataclass(frozen=True)
class Heads:
    """Heads of one layer, the same in every member of an ensemble or one choice for each.

    Parameters
    ----------
    chosen
        The heads of each member; one entry holds for all.
    others
        Whether all heads but these are meant.
    """

    chosen: tuple[tuple[int, ...], ...]
    others: bool = False

    def mask(self, heads: int) -> Tensor:
        """Return ``(members or 1, heads)``, True where a head is meant."""
        mask = torch.zeros(len(self.chosen), heads, dtype=torch.bool)
        for member, chosen in enumerate(self.chosen):
            for head in chosen:
                if not 0 <= head < heads:
                    raise InputError(
                        f"There is no head {head}: a layer has heads 0 to {heads - 1}."
                    )
                mask[member, head] = True
        return ~mask if self.others else mask


HeadsLike: TypeAlias = "int | Collection[int] | Heads"


def per_seed(heads: Sequence[int | Collection[int]]) -> Heads:
    """Choose for each member of an ensemble: one head, or several."""
    if not len(heads):
        raise InputError("per_seed takes one choice for each member of the ensemble, got none.")
    return Heads(tuple((one,) if isinstance(one, int) else tuple(one) for one in heads))


def all_but(heads: HeadsLike) -> Heads:
    """Choose every head but these."""
    meant = as_heads(heads)
    return dataclasses.replace(meant, others=not meant.others)


def as_heads(heads: HeadsLike) -> Heads:
    """Return a choice of heads from one, several, or a choice."""
    if isinstance(heads, Heads):
        return heads
    return Heads(((heads,),)) if isinstance(heads, int) else Heads((tuple(heads),))


@dataclass(frozen=True)
class Part:
    """Heads and rows of an activation ``(seeds, batch, heads, rows, ...)``."""

    heads: Heads | None = None
    rows: tuple[int, ...] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return a mask that broadcasts over ``x``."""
        if x.ndim != 5:
            raise InputError(
                f"heads= and rows= choose from (seeds, batch, heads, rows, ...), but {tuple(x.shape)} "
                "flows here: give where= as a mask, or as indices by axis."
            )
        mask = torch.ones(1, 1, 1, 1, 1, dtype=torch.bool, device=x.device)
        if self.heads is not None:
            chosen = self.heads.mask(x.shape[2]).to(x.device)
            if len(chosen) not in (1, len(x)):
                raise InputError(
                    f"Heads are chosen for {len(chosen)} seeds, but there are {len(x)}."
                )
            mask = mask & chosen[:, None, :, None, None]
        return mask if self.rows is None else mask & along(x, -2, self.rows)


def along(x: Tensor, axis: int, places: Sequence[int]) -> Tensor:
    """Return a mask that is True at some places along one axis of ``x``."""
    size = x.shape[axis]
    if not all(-size <= place < size for place in places):
        raise InputError(
            f"{list(places)} do not all lie in an axis of {size}, shape {tuple(x.shape)}."
        )
    mask = torch.zeros(size, dtype=torch.bool, device=x.device)
    mask[list(places)] = True
    return mask.view([-1 if one == axis % x.ndim else 1 for one in range(x.ndim)])


@dataclass(frozen=True)
class Hold:
    """Elements of one node, held at a value during some steps of a training."""

    node: str
    value: Value
    where: Where = None
    start: int = 0
    stop: int | None = None

    def in_force(self, step: int | None) -> bool:
        """Say whether it holds at a step; outside a training (None) it does."""
        return step is None or (self.start <= step and (self.stop is None or step < self.stop))

    def mask(self, x: Tensor) -> Tensor | None:
        """Return which elements of ``x`` it holds; None is all of them."""
        where = self.where
        if where is None:
            return None
        if isinstance(where, Mapping):
            mask = torch.ones((1,) * x.ndim, dtype=torch.bool, device=x.device)
            for axis, places in where.items():
                mask = mask & along(x, axis, places)
        else:
            mask = where if isinstance(where, Tensor) else where(x)
        mask = mask.to(x.device, torch.bool)
        try:
            fits = torch.broadcast_shapes(mask.shape, x.shape) == x.shape
        except RuntimeError:
            fits = False
        if not fits:
            raise InputError(
                f"The mask of the clamp at {self.node} has shape {tuple(mask.shape)}, which does not "
                f"broadcast over {tuple(x.shape)}."
            )
        return mask


@dataclass(frozen=True)
class Clamp:
    """What is held; each method returns a new clamp with one thing more. ``a + b`` holds both.

    Parameters
    ----------
    holds
        What is held already.
    """

    holds: tuple[Hold, ...] = ()

    def set(self, node: str, value: Value, where: Where = None) -> Clamp:
        """Hold a node of any module.

        Parameters
        ----------
        node
            A module's path; its output is held.
        value
            A number, a tensor that broadcasts over the activation, or an :class:`Ideal`.
        where
            Which elements: a boolean mask that broadcasts over the activation, a function that makes
            one from it, or indices by axis such as ``{-1: [0, 3]}``. All of them by default.
        """
        return Clamp((*self.holds, Hold(node, value, where)))

    def pattern(self, head: str, ideal: Ideal, *, rows: Sequence[int] | None = None) -> Clamp:
        """Hold the attention pattern of a head such as ``"layer2.head3"``, or of a whole layer.

        Parameters
        ----------
        head
            The layer, with ``.headN`` for one head of it.
        ideal
            Such as :func:`axonal.learning.induction.previous_token`; one made by
            :func:`~axonal.learning.induction.induction` holds the query's row alone.
        rows
            Query positions; by default those that the ideal is meant for.
        """
        layer, heads = parse_head(head)
        return self.heads_of(f"{layer}.pattern", ideal, heads, rows)

    def heads_of(
        self, node: str, value: Value, heads: HeadsLike | None, rows: Sequence[int] | None = None
    ) -> Clamp:
        """Hold some heads, and rows, of a node ``(seeds, batch, heads, rows, ...)``."""
        rows = getattr(value, "rows", None) if rows is None else rows
        chosen = None if heads is None else as_heads(heads)
        where = (
            None
            if chosen is None and rows is None
            else Part(chosen, None if rows is None else tuple(rows))
        )
        return self.set(node, value, where)

    def ablate(self, layer: str, heads: HeadsLike | None = None) -> Clamp:
        """Hold the values that heads of a layer move at zero, at every position."""
        return self.heads_of(f"{layer}.v", 0.0, heads)

    def preserve(self, node: str, heads: HeadsLike | None = None) -> Clamp:
        """Hold a node at what flows there without any clamp; gradients flow through that pass too."""

        def untouched(seen: Seen, x: Tensor) -> Tensor:
            del x
            return seen.unclamped[node]

        return self.heads_of(node, Ideal(untouched, unclamped=(node,)), heads)

    def during(self, start: int, stop: int | None = None) -> Clamp:
        """Return the clamp in force only from step ``start`` to before ``stop`` of a training."""
        if start < 0 or (stop is not None and stop <= start):
            raise InputError(
                f"A clamp's window is start >= 0 and stop > start, got {start}, {stop}."
            )
        return Clamp(tuple(dataclasses.replace(h, start=start, stop=stop) for h in self.holds))

    def within(self, path: str) -> Clamp:
        """Return the clamp for a model that is a part, at ``path``, of the one that is called."""
        return Clamp(tuple(_within(hold, path) for hold in self.holds))

    def at(self, step: int | None) -> tuple[Hold, ...]:
        """Return what is held at a step of a training."""
        return tuple(hold for hold in self.holds if hold.in_force(step))

    def __add__(self, other: Clamp) -> Clamp:
        return Clamp(self.holds + other.holds)

    def __bool__(self) -> bool:
        return bool(self.holds)


def parse_head(head: str) -> tuple[str, int | None]:
    """Split ``"layer2.head3"`` into its layer and its head, None for a whole layer."""
    found = re.fullmatch(r"(.*layer\d+)(?:\.head(\d+))?", head)
    if found is None:
        raise InputError(
            f"A head is named as 'layer2.head3' and a whole layer as 'layer2', got {head!r}; other "
            "modules are held by set()."
        )
    return found[1], None if found[2] is None else int(found[2])


def _within(hold: Hold, path: str) -> Hold:
    value = hold.value
    if isinstance(value, Ideal):
        inner = value

        def moved(seen: Seen, x: Tensor) -> Tensor | float:
            return inner.function(seen.within(path), x)

        reads, unclamped = (
            tuple(f"{path}.{node}" for node in nodes) for nodes in (inner.reads, inner.unclamped)
        )
        value = dataclasses.replace(inner, function=moved, reads=reads, unclamped=unclamped)
    return dataclasses.replace(hold, node=f"{path}.{hold.node}", value=value)

"""Grafts: the lower layers of one network under the upper layers of another (Singh et al., appendix).

What the lower network carries at a node takes the place of what the upper one would have there.
Either part may be frozen, so that the other learns on a circuit that is already there.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from axonal.activations import Site
from axonal.errors import InputError
from axonal.learning.induction.clamping import Clamped, Seen, capturing
from axonal.learning.induction.clamps import Clamp, Ideal


class Grafted(nn.Module):
    """``upper``, with what flows at a node taken from ``lower`` on the same input.

    Clamps reach its parts as ``Clamp(...).within("upper")``.

    Parameters
    ----------
    lower, upper
        Networks that take the same input; both are copied.
    node
        Where they are joined, a path in both.
    frozen
        Which part does not learn; None lets both.
    """

    def __init__(
        self,
        lower: nn.Module,
        upper: nn.Module,
        node: str = "layer1.residual",
        *,
        frozen: Literal["lower", "upper"] | None = "lower",
    ) -> None:
        super().__init__()
        if frozen not in ("lower", "upper", None):
            raise InputError(f"frozen is 'lower', 'upper' or None, got {frozen!r}.")
        for part in (lower, upper):
            Site(node).module(part)
        self.lower, self.upper = copy.deepcopy(lower), copy.deepcopy(upper)
        self.node, self.frozen = node, frozen
        if frozen is not None:
            self.get_submodule(frozen).requires_grad_(False)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what ``upper`` returns."""
        learns = torch.is_grad_enabled() and self.frozen != "lower"
        with torch.set_grad_enabled(learns), capturing(self.lower, self.node) as carried:
            self.lower(*args, **kwargs)

        def graft(seen: Seen, x: Tensor) -> Tensor:
            del seen, x
            return carried[-1]

        with Clamped(self.upper, Clamp().set(self.node, Ideal(graft))) as run:
            return run(*args, **kwargs)

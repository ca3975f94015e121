r"""The affine map that every member of the family is: fitted once, then applied, inverted, shared.

.. math:: x \mapsto x + \lambda\, P \bigl((A - I)\, P^\top (x - c) + b\bigr)

With orthonormal columns P ``(width, k)`` the coordinates :math:`z = P^\top (x - c)` become
:math:`A z + b`, and what is orthogonal to P stays. A row costs two thin products. The strength
:math:`\lambda` runs along the straight lines from x to its image: for an optimal map that is the
Wasserstein geodesic.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from axonal.activations import Affine, Edit
from axonal.errors import InputError

#: A map whose smallest singular value is below this has erased a direction.
ERASED = 1e-10


class Map(Protocol):
    """What all maps share, whatever they are made of (float64 tensors)."""

    @property
    def width(self) -> int:
        """The number of units of a row."""
        ...

    def to(self, device: torch.device) -> Self:
        """Return the map on a device."""
        ...

    def apply(self, x: Tensor, strength: float = 1.0) -> Tensor:
        """Map rows ``(..., width)``, ``strength`` of the way."""
        ...

    def undo(self, x: Tensor, strength: float = 1.0) -> Tensor:
        """Return the rows that :meth:`apply` maps to ``x``; refuses where they are not unique."""
        ...

    def dense(self, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return M ``(width, width)`` and v ``(width,)`` of ``x -> M x + v``."""
        ...

    def edit(self, strength: float = 1.0, **limits: Any) -> Edit:
        """Return the edit that does the same to the activations of a model."""
        ...


@dataclass(frozen=True, eq=False)
class AffineMap:
    """An affine map, in the whole space or in a subspace.

    Parameters
    ----------
    matrix
        A: ``(k, k)``, or ``(width, width)`` without a basis.
    bias
        b: ``(k,)``.
    basis
        P: ``(width, k)`` with orthonormal columns; None is the whole space.
    center
        c: ``(width,)``, the origin of the coordinates.
    """

    matrix: Tensor
    bias: Tensor
    basis: Tensor | None
    center: Tensor

    def __post_init__(self) -> None:
        k = len(self.bias)
        lifted = (self.width, self.width) if self.basis is None else tuple(self.basis.shape)
        if self.matrix.shape != (k, k) or lifted != (self.width, k):
            raise InputError(
                f"A map has a matrix (k, k), a bias (k,) and a basis (width, k), got "
                f"{tuple(self.matrix.shape)}, {tuple(self.bias.shape)} and {lifted}."
            )

    @property
    def width(self) -> int:
        """The number of units of a row."""
        return len(self.center)

    def to(self, device: torch.device) -> Self:
        """Return the map on a device."""
        if self.center.device == device:
            return self
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v if v is None else v.to(device) for k, v in moved.items()})

    def apply(self, x: Tensor, strength: float = 1.0) -> Tensor:
        """Map rows ``(..., width)``, ``strength`` of the way."""
        if self.basis is None:
            matrix, offset = self.dense(strength)
            return x @ matrix.mT + offset
        step = strength * (self.matrix - self._identity())
        offset = strength * self.bias - step @ (self.center @ self.basis)
        return x + (x @ self.basis) @ (self.basis @ step).mT + self._lift(offset)

    def undo(self, x: Tensor, strength: float = 1.0) -> Tensor:
        """Return the rows that :meth:`apply` maps to ``x``; refuses where they are not unique."""
        matrix = torch.lerp(self._identity(), self.matrix, strength)
        sizes = torch.linalg.svdvals(matrix)
        if float(sizes[-1]) <= ERASED * max(1.0, float(sizes[0])):
            lost = int((sizes <= ERASED * max(1.0, float(sizes[0]))).sum())
            raise InputError(
                f"This map erases {lost} direction(s) at strength {strength:g}, so it has no "
                "inverse; a strength below 1 keeps them."
            )
        after = self._coordinates(x)
        columns = (after - strength * self.bias).reshape(-1, len(matrix)).mT
        before = torch.linalg.solve(matrix, columns).mT.reshape(after.shape)
        return x + self._lift(before - after)

    def dense(self, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return M ``(width, width)`` and v ``(width,)`` of ``x -> M x + v``."""
        step = strength * (self.matrix - self._identity())
        whole = step if self.basis is None else self.basis @ step @ self.basis.mT
        identity = torch.eye(self.width, dtype=whole.dtype, device=whole.device)
        return identity + whole, strength * self._lift(self.bias) - whole @ self.center

    def edit(self, strength: float = 1.0, **limits: Any) -> Edit:
        """Return the edit that does the same to the activations of a model, in float32.

        Parameters
        ----------
        strength
            See :class:`axonal.activations.Edit`.
        limits
            ``positions``, ``tokens`` and ``rows`` of the edit.
        """
        return Affine(
            self.matrix.float(),
            self.bias.float(),
            None if self.basis is None else self.basis.float(),
            center=self.center.float(),
            strength=strength,
            **limits,
        )

    def _identity(self) -> Tensor:
        return torch.eye(len(self.bias), dtype=self.bias.dtype, device=self.bias.device)

    def _coordinates(self, x: Tensor) -> Tensor:
        away = x - self.center
        return away if self.basis is None else away @ self.basis

    def _lift(self, z: Tensor) -> Tensor:
        return z if self.basis is None else z @ self.basis.mT

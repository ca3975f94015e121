"""Edits that are linear in the activation: add a vector, project, apply an affine map."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.edits.base import Edit
from axonal.errors import InputError


class Add(Edit):
    """Add a vector: ``x + scale * vector``.

    Parameters
    ----------
    vector
        ``(width,)``, or any shape that the activation ends in, such as ``(heads, head_dim)``.
    scale
        A number, or a tensor of one number a row; 0 changes nothing.
    norm_dims
        Make the step relative: it is ``scale`` times the activation's own norm over these
        dimensions, along the vector's direction. ``(-1,)`` is the norm of each token.
    limits
        ``positions``, ``tokens`` and ``rows``, as for every edit.
    """

    vector: Tensor

    def __init__(
        self,
        vector: Tensor,
        scale: float | Tensor = 1.0,
        *,
        norm_dims: tuple[int, ...] | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        self.hold("vector", vector)
        self.hold("scale", scale)
        self.norm_dims = None if norm_dims is None else tuple(norm_dims)

    @property
    @override
    def needs_call(self) -> bool:
        return super().needs_call or isinstance(self.scale, Tensor)

    @override
    def forward(self, x: Tensor, call: Call | None = None) -> Tensor:
        if isinstance(self.scale, float) and self.scale == 0.0:
            return x
        return super().forward(x, call)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        vector = self.vector
        if vector.ndim > x.ndim or x.shape[x.ndim - vector.ndim :] != vector.shape:
            raise InputError(
                f"Add has a vector of shape {tuple(vector.shape)}, but the activation "
                f"{tuple(x.shape)} does not end in it."
            )
        vector = vector.to(device=x.device, dtype=x.dtype)
        scale = self.scale
        if self.norm_dims is not None:
            norm = torch.linalg.vector_norm(x, dim=self.norm_dims, keepdim=True)
            vector = norm * (vector / torch.linalg.vector_norm(vector))
        if isinstance(scale, float):
            return torch.add(x, vector, alpha=scale)
        return x + self.by_row(scale, x, call) * vector


class Project(Edit):
    """Project a subspace out, or keep only it: ``x - P Pᵀ (x - center)`` and its complement.

    Parameters
    ----------
    basis
        ``(width,)`` or ``(width, k)``; made orthonormal here.
    keep
        ``"complement"`` removes the subspace (directional ablation), ``"subspace"`` keeps it alone.
    center
        ``(width,)``: the point whose part takes the place of the removed part; 0 by default.
    """

    basis: Tensor

    def __init__(
        self,
        basis: Tensor,
        *,
        keep: Literal["complement", "subspace"] = "complement",
        center: Tensor | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        if keep not in ("complement", "subspace"):
            raise InputError(f"Project keeps 'complement' or 'subspace', got {keep!r}.")
        self.keep = keep
        self.hold("basis", orthonormal(basis))
        self.center: Tensor | None = None
        if center is not None:
            del self.center
            self.hold("center", center)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        self.check_width(x, len(self.basis), "a basis")
        basis = self.basis.to(device=x.device, dtype=x.dtype)
        away = x
        if self.center is not None:
            away = x - self.center.to(device=x.device, dtype=x.dtype)
        inside = (away @ basis) @ basis.mT
        return x - inside if self.keep == "complement" else x - (away - inside)


class Affine(Edit):
    """Apply an affine map, in the whole space or in a subspace.

    ``x + P ((A - I) Pᵀ (x - center) + b)``: the coordinates ``z = Pᵀ (x - center)`` become
    ``A z + b`` and everything orthogonal to ``P`` stays. It costs two thin products a token.

    Parameters
    ----------
    matrix
        ``A``: ``(k, k)``, or ``(width, width)`` without a basis.
    bias
        ``b``: ``(k,)``.
    basis
        ``P``: ``(width, k)`` with orthonormal columns; None is the whole space.
    center
        ``(width,)``: the origin of the coordinates.
    """

    matrix: Tensor

    def __init__(
        self,
        matrix: Tensor,
        bias: Tensor | None = None,
        basis: Tensor | None = None,
        *,
        center: Tensor | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        size = len(matrix)
        width = size if basis is None else len(basis)
        expected = {
            "matrix": (matrix, (size, size)),
            "bias": (bias, (size,)),
            "basis": (basis, (width, size)),
            "center": (center, (width,)),
        }
        self.width = width
        for name, (value, shape) in expected.items():
            if value is None:
                setattr(self, name, None)
                continue
            if tuple(value.shape) != shape:
                raise InputError(
                    f"Affine: {name} has shape {tuple(value.shape)}, expected {shape}."
                )
            self.hold(name, value)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        self.check_width(x, self.width, "a map")
        held = [
            None if value is None else value.to(device=x.device, dtype=x.dtype)
            for value in (self.matrix, self.bias, self.basis, self.center)
        ]
        matrix, bias, basis, center = held
        away = x if center is None else x - center
        inside = away if basis is None else away @ basis
        assert matrix is not None
        step = inside @ (matrix - torch.eye(len(matrix), dtype=x.dtype, device=x.device)).mT
        step = step if bias is None else step + bias
        return x + (step if basis is None else step @ basis.mT)


def orthonormal(basis: Tensor) -> Tensor:
    """Return an orthonormal basis of the span of the columns; refuse dependent ones."""
    basis = basis.unsqueeze(-1) if basis.ndim == 1 else basis
    if basis.ndim != 2:
        raise InputError(f"A basis has shape (width,) or (width, k), got {tuple(basis.shape)}.")
    wide = basis.double()
    gram = wide.mT @ wide
    if torch.allclose(gram, torch.eye(len(gram), dtype=gram.dtype, device=gram.device), atol=1e-6):
        return basis
    q, r = torch.linalg.qr(wide)
    diagonal = r.diagonal().abs()
    if bool(diagonal.min() <= 1e-8 * diagonal.max()) or bool(diagonal.max() == 0):
        raise InputError(
            f"A basis of {basis.shape[1]} columns is linearly dependent: drop the redundant ones."
        )
    return q.to(basis.dtype)

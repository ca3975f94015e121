"""Edits that are linear in the activation: add a vector, project, apply an affine map."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import linear
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.edits.base import Edit
from axonal.errors import InputError

_Folded: TypeAlias = tuple[Tensor | None, Tensor | None, Tensor]
"""R, W and o of ``x -> x + W (R x + o)``; without R it is ``x + W x + o``, without W ``x + o``."""


class Add(Edit):
    """Add a vector: ``x + scale * vector``.

    Parameters
    ----------
    vector
        ``(width,)``, or any shape that the activation ends in, such as ``(heads, head_dim)``.
    scale
        A number, or a tensor of one number a row; 0 changes nothing.
    norm_dims
        Make the step relative: ``scale`` times the activation's own norm over these dimensions, in
        the direction of the vector. ``(-1,)`` is the norm of each token.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    vector: Tensor
    scale: float | Tensor

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
        if norm_dims is not None and not bool(vector.any()):
            raise InputError("Add: a zero vector has no direction for norm_dims.")

    @property
    @override
    def needs_call(self) -> bool:
        return isinstance(self.scale, Tensor) or super().needs_call

    @override
    def forward(self, x: Tensor, call: Call | None = None) -> Tensor:
        if not isinstance(self.scale, Tensor) and self.scale == 0.0:
            return x
        return super().forward(x, call)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        vector, scale = self.vector.to(x), self.scale
        if vector.ndim > x.ndim or x.shape[x.ndim - vector.ndim :] != vector.shape:
            raise InputError(
                f"Add has a vector of shape {tuple(vector.shape)}, but an activation of shape "
                f"{tuple(x.shape)} flows here."
            )
        if self.norm_dims is not None:
            norm = torch.linalg.vector_norm(x, dim=self.norm_dims, keepdim=True)
            vector = norm * (vector / torch.linalg.vector_norm(vector))
        if not isinstance(scale, Tensor):
            return torch.add(x, vector, alpha=scale)
        return x + self.by_row(scale, x, call) * vector


class Project(Edit):
    """Project a subspace out, or keep it alone.

    With orthonormal columns ``P`` and a center ``c``: ``x - P Pᵀ (x - c)`` removes the subspace
    (directional ablation), ``c + P Pᵀ (x - c)`` keeps nothing else.

    Parameters
    ----------
    basis
        ``(width,)`` or ``(width, k)``; made orthonormal here.
    keep
        ``"complement"`` or ``"subspace"``.
    center
        ``(width,)``: whose part takes the place of what is removed; 0 by default.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    basis: Tensor
    center: Tensor | None

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
        _check_shape("Project", "center", center, (len(basis),))
        self.hold("center", center)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        read, write, offset, center = self.prepared(x)
        if self.keep == "complement":
            return _within(x, read, write, offset)
        return center + linear(linear(x - center, -read), write)

    @override
    def prepare(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        self.check_width(x, len(self.basis))
        basis = self.basis.to(x)
        center = x.new_zeros(len(basis)) if self.center is None else self.center.to(x)
        return -basis.mT.contiguous(), basis, center @ basis, center


class Affine(Edit):
    """Apply an affine map, in the whole space or in a subspace.

    ``x + P ((A - I) Pᵀ (x - c) + b)``: the coordinates ``z = Pᵀ (x - c)`` become ``A z + b`` and all
    that is orthogonal to ``P`` stays. A token costs two thin products.

    Parameters
    ----------
    matrix
        ``A``: ``(k, k)``, or ``(width, width)`` without a basis.
    bias
        ``b``: ``(k,)``; 0 by default.
    basis
        ``P``: ``(width, k)`` with orthonormal columns; None is the whole space.
    center
        ``c``: ``(width,)``, the origin of the coordinates; 0 by default.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    matrix: Tensor
    bias: Tensor | None
    basis: Tensor | None
    center: Tensor | None

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
        self._width = size if basis is None else len(basis)
        _check_shape("Affine", "matrix", matrix, (size, size))
        _check_shape("Affine", "bias", bias, (size,))
        _check_shape("Affine", "basis", basis, (self._width, size))
        _check_shape("Affine", "center", center, (self._width,))
        self.hold("matrix", matrix)
        self.hold("bias", bias)
        self.hold("basis", basis)
        self.hold("center", center)

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        read, write, offset = self.prepared(x)
        if write is None:
            return x + offset
        if read is None:
            return x + linear(x, write, offset)
        return _within(x, read, write, offset)

    @override
    def prepare(self, x: Tensor) -> _Folded:
        self.check_width(x, self._width)
        parts = (self.matrix, self.bias, self.basis, self.center)
        if torch.is_grad_enabled() and any(p is not None and p.requires_grad for p in parts):
            matrix, bias, basis, center = (None if p is None else p.to(x) for p in parts)
        else:  # exact constants
            matrix, bias, basis, center = (None if p is None else p.cpu().double() for p in parts)
        assert matrix is not None
        step = matrix - torch.eye(len(matrix)).to(matrix)
        offset = step.new_zeros(len(step)) if bias is None else bias
        if center is not None:
            offset = offset - step @ (center if basis is None else center @ basis)
        if not step.requires_grad and not bool(step.any()):  # nothing to multiply with
            return None, None, (offset if basis is None else basis @ offset).to(x)
        if basis is None:
            return None, step.to(x), offset.to(x)
        return (step @ basis.mT).to(x), basis.to(x), offset.to(x)


def _within(x: Tensor, read: Tensor, write: Tensor, offset: Tensor) -> Tensor:
    """Return ``x + W (R x + o)``, ``R (k, width)`` and ``W (width, k)``."""
    return x + linear(linear(x, read, offset), write)


def orthonormal(basis: Tensor) -> Tensor:
    """Return an orthonormal basis of the span of the columns; refuse dependent columns."""
    basis = basis.unsqueeze(-1) if basis.ndim == 1 else basis
    if basis.ndim != 2:
        raise InputError(f"A basis has shape (width,) or (width, k), got {tuple(basis.shape)}.")
    gram = basis.double().mT @ basis.double()
    if torch.allclose(gram, torch.eye(len(gram)).to(gram), atol=1e-6):
        return basis
    q, r = torch.linalg.qr(basis.double())
    lengths = r.diagonal().abs()
    if not bool(lengths.min() > 1e-8 * lengths.max()):
        raise InputError(f"The {basis.shape[1]} columns of a basis are zero or linearly dependent.")
    return q.to(basis.dtype if basis.is_floating_point() else torch.get_default_dtype())


def _check_shape(edit: str, name: str, value: Tensor | None, shape: tuple[int, ...]) -> None:
    if value is not None and tuple(value.shape) != shape:
        raise InputError(f"{edit}: {name} has shape {tuple(value.shape)}, expected {shape}.")

"""Edits that are linear in the activation: add a vector, project, apply an affine map."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.edits.base import Edit
from axonal.errors import InputError

_Folded: TypeAlias = tuple[Tensor | None, Tensor | None, Tensor]


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
        self.check_width(x, len(self.basis))
        basis = self.basis.to(x)
        away = x if self.center is None else x - self.center.to(x)
        inside = (away @ basis) @ basis.mT
        return x - inside if self.keep == "complement" else x - (away - inside)


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
        self._kept: tuple[tuple[Any, ...], _Folded] | None = None

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        self.check_width(x, self._width)
        parts = (self.bias, self.basis, self.center)
        trained = (p.requires_grad for p in (self.matrix, *parts) if p is not None)
        if torch.is_grad_enabled() and any(trained):
            placed = (None if p is None else p.to(x) for p in parts)
            read, write, offset = _fold(self.matrix.to(x), *placed)
        else:
            read, write, offset = self._constants(x, parts)
        if write is None:
            return x + offset
        return x + ((x if read is None else x @ read) @ write + offset)

    def _constants(self, x: Tensor, parts: tuple[Tensor | None, ...]) -> _Folded:
        """Return what a token is multiplied with, computed once and not at every token."""
        written = (None if p is None else _version(p) for p in (self.matrix, *parts))
        key = x.dtype, x.device, *written
        if self._kept is None or self._kept[0] != key or -1 in key:
            with torch.no_grad():
                wide = (None if p is None else p.double().cpu() for p in parts)
                read, write, offset = _fold(self.matrix.double().cpu(), *wide)
                if bool(write.any()):
                    place = None if read is None else read.to(x), write.to(x), offset.to(x)
                else:  # the matrix is the identity: nothing to multiply with
                    place = None, None, offset.to(x)
            self._kept = key, place
        return self._kept[1]


def _fold(
    matrix: Tensor, bias: Tensor | None, basis: Tensor | None, center: Tensor | None
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return R, W and o so that the map is ``x + (x R) W + o``."""
    step = matrix.mT - torch.eye(len(matrix)).to(matrix)
    write = step if basis is None else step @ basis.mT
    offset = write.new_zeros(write.shape[-1])
    if bias is not None:
        offset = offset + (bias if basis is None else basis @ bias)
    if center is not None:
        offset = offset - (center if basis is None else center @ basis) @ write
    return basis, write, offset


def _version(parameter: Tensor) -> int:
    """How often a parameter was written to; -1 where that is not counted."""
    return -1 if parameter.is_inference() else parameter._version


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

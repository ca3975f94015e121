r"""Optimal transport between Gaussians: the map, the distance and the geodesic, in closed form.

For the squared Euclidean cost (Knott & Smith 1984; Peyré & Cuturi 2019, Remark 2.31), between
:math:`N(m_s, \Sigma_s)` and :math:`N(m_t, \Sigma_t)`,

.. math::

    T(z) &= m_t + A (z - m_s), \qquad
    A = \Sigma_s^{-1/2} (\Sigma_s^{1/2} \Sigma_t \Sigma_s^{1/2})^{1/2} \Sigma_s^{-1/2} \\
    W_2^2 &= |m_s - m_t|^2 + \operatorname{tr}\bigl(\Sigma_s + \Sigma_t
             - 2 (\Sigma_s^{1/2} \Sigma_t \Sigma_s^{1/2})^{1/2}\bigr)

A is the symmetric positive definite solution of :math:`A \Sigma_s A = \Sigma_t`, which no Cholesky
factor gives. Square roots are symmetric ones, from eigenvalues in float64; nothing is inverted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.transport.arrays import Array, tensor_of
from axonal.transport.covariance import Shrinkage
from axonal.transport.covariance import covariance as covariance_of

#: A covariance is singular where an eigenvalue is below this part of the largest one.
SINGULAR = 1e-14


@dataclass(frozen=True)
class Gaussian:
    """A normal law.

    Parameters
    ----------
    mean
        ``(k,)``.
    covariance
        ``(k, k)``, symmetric and positive semidefinite; of the same kind as the mean.
    """

    mean: Any
    covariance: Any

    def __post_init__(self) -> None:
        mean, _ = tensor_of(self.mean, "mean", dimensions=1)
        matrix = _covariance(self.covariance, "covariance")
        if len(mean) != len(matrix):
            raise InputError(
                f"mean has {len(mean)} units but covariance has shape {tuple(matrix.shape)}."
            )

    @classmethod
    def of(cls, rows: Array, shrinkage: Shrinkage = None) -> Gaussian:
        """Return the law with the mean and the (shrunk) covariance of rows ``(samples, k)``."""
        x, kind = tensor_of(rows, "rows", dimensions=2)
        if len(x) < 2:
            raise InputError("rows: a covariance needs at least 2, got 1.")
        return cls(kind.exact(x.mean(dim=0)), kind.exact(covariance_of(x, shrinkage)[0]))


def transport_matrix(source: Array, target: Array) -> Array:
    r"""Return A ``(k, k)`` of the optimal map from covariance ``source`` to ``target``.

    A is symmetric, positive (semi)definite as the target is, and
    :math:`A \Sigma_s A = \Sigma_t`.

    Raises
    ------
    InputError
        Where the source is singular: nothing can spread out what has no spread.
    """
    cov_s, kind = _with_kind(source, "source")
    cov_t = _covariance(target, "target").to(cov_s.device)
    _same_size(cov_s, cov_t)
    return kind.exact(monge_matrix(cov_s, cov_t))


def monge_matrix(cov_s: Tensor, cov_t: Tensor) -> Tensor:
    """Return A as :func:`transport_matrix` does, for symmetric float64 tensors."""
    values, vectors = _spectrum(cov_s)
    floor = SINGULAR * float(values[-1])
    if float(values[0]) <= floor:
        rank = int((values > floor).sum())
        raise InputError(
            f"The source covariance has rank {rank} of {len(values)}: use fewer components, more "
            "rows, shrinkage or a ridge."
        )
    roots = values.sqrt()
    # In the eigenbasis of the source its square root is a diagonal: two products fewer.
    inside = symmetric_root(roots[:, None] * (vectors.mT @ cov_t @ vectors) * roots)
    matrix = vectors @ (inside / roots[:, None] / roots) @ vectors.mT
    return (matrix + matrix.mT) / 2


def bures_distance(source: Array, target: Array) -> float:
    """Return the Bures distance of two covariances: W2 between laws of one mean."""
    cov_s = _covariance(source, "source")
    cov_t = _covariance(target, "target").to(cov_s.device)
    _same_size(cov_s, cov_t)
    # |S^1/2 - T^1/2 U| with U from the polar factors equals the trace formula and, unlike it, is
    # a sum of squares: no cancellation where the two are close.
    root_s, root_t = symmetric_root(cov_s), symmetric_root(cov_t)
    left, _, right = torch.linalg.svd(root_t @ root_s)
    return float(torch.linalg.matrix_norm(root_s - root_t @ (left @ right)))


def wasserstein(source: Gaussian, target: Gaussian) -> float:
    """Return the Wasserstein-2 distance of two Gaussians, in the units of the rows."""
    mean_s, _ = tensor_of(source.mean, "mean", dimensions=1)
    mean_t, _ = tensor_of(target.mean, "mean", dimensions=1)
    if len(mean_s) != len(mean_t):
        raise InputError(f"The laws have {len(mean_s)} and {len(mean_t)} units.")
    shift = float(torch.linalg.vector_norm(mean_s - mean_t.to(mean_s.device)))
    return (shift**2 + bures_distance(source.covariance, target.covariance) ** 2) ** 0.5


def geodesic(source: Gaussian, target: Gaussian, strength: float) -> Gaussian:
    r"""Return McCann's interpolation, the law at ``strength`` of the way along the geodesic.

    :math:`N\bigl((1-\lambda) m_s + \lambda m_t,\; M \Sigma_s M\bigr)` with
    :math:`M = (1-\lambda) I + \lambda A`. For :math:`0 \le \lambda \le 1` its distance from the
    source is :math:`\lambda W_2`.
    """
    mean_s, kind = tensor_of(source.mean, "mean", dimensions=1)
    mean_t, _ = tensor_of(target.mean, "mean", dimensions=1)
    cov_s = _covariance(source.covariance, "covariance")
    cov_t = _covariance(target.covariance, "covariance").to(cov_s.device)
    _same_size(cov_s, cov_t)
    matrix = monge_matrix(cov_s, cov_t)
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    moved = torch.lerp(identity, matrix, strength)
    cov = moved @ cov_s @ moved
    mean = torch.lerp(mean_s, mean_t.to(mean_s.device), strength)
    return Gaussian(kind.exact(mean), kind.exact((cov + cov.mT) / 2))


def symmetric_root(matrix: Tensor) -> Tensor:
    """Return the symmetric square root of a positive semidefinite matrix."""
    values, vectors = _spectrum(matrix)
    return (vectors * values.clamp_min(0.0).sqrt()) @ vectors.mT


def _spectrum(matrix: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    if float(values[0]) < -1e-6 * float(values[-1].abs()):
        raise InputError(
            f"A covariance has no negative eigenvalue, but this one has {float(values[0]):.3g}."
        )
    return values, vectors


def _with_kind(matrix: Any, name: str) -> tuple[Tensor, Any]:
    tensor, kind = tensor_of(matrix, name, dimensions=2)
    if tensor.shape[0] != tensor.shape[1]:
        raise InputError(f"{name}: expected a square matrix, got shape {tuple(tensor.shape)}.")
    scale = float(tensor.abs().max())
    if not torch.allclose(tensor, tensor.mT, rtol=0.0, atol=1e-6 * scale):
        raise InputError(f"{name}: a covariance is symmetric, this matrix is not.")
    return (tensor + tensor.mT) / 2, kind


def _covariance(matrix: Any, name: str) -> Tensor:
    return _with_kind(matrix, name)[0]


def _same_size(source: Tensor, target: Tensor) -> None:
    if source.shape != target.shape:
        raise InputError(
            f"source has shape {tuple(source.shape)} but target has {tuple(target.shape)}."
        )

r"""Probability flow: where a diffusion's probability goes, and the entropy that this produces.

For :math:`dz = b(z)\,dt + \sqrt{2D}\,dW` with a diagonal constant :math:`D` and the score
:math:`s = \nabla\log\rho` of its stationary density (Boffi & Vanden-Eijnden 2024),

.. math::

    v = b - D s, \qquad \nabla \cdot v + v \cdot s = 0, \qquad
    \sigma = \mathbb E\, |v|^2_{D^{-1}}, \qquad -\tfrac{d}{dt}\log\rho\,\big|_{\dot z = v} = \nabla\cdot v

The total entropy production rate :math:`|v|^2_{D^{-1}}` and that of the system :math:`\nabla\cdot v`
are local: they are fields on phase space, sums over coordinates, and the first is 0 at equilibrium.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.transport.arrays import Array, tensor_of
from axonal.transport.score import Field
from axonal.transport.score import divergence as exact_divergence


@dataclass(frozen=True)
class EntropyProduction:
    """Entropy production at samples, by coordinate, in units of k_B over time.

    Parameters
    ----------
    total
        :math:`v_k^2 / D_k`, ``(n, d)``; NaN where :math:`D_k = 0`: not defined without noise.
    system
        :math:`\\partial_k v_k`, ``(n, d)``: produced where positive, consumed where negative.
    """

    total: Tensor
    system: Tensor

    @property
    def medium(self) -> Tensor:
        """What the surroundings receive: total less system."""
        return self.total - self.system


@dataclass(frozen=True)
class Diffusion:
    """A diffusion with constant diagonal noise.

    Parameters
    ----------
    drift
        ``b``: samples ``(n, d)`` to ``(n, d)``.
    diffusion
        The diagonal of D, ``(d,)``, not negative, in squared units of ``z`` over time. A coordinate
        with 0 has no noise of its own.
    divergence
        The terms :math:`\\partial_k b_k`, ``(n, d)``; found by automatic differentiation if None.
    """

    drift: Field
    diffusion: Tensor
    divergence: Field | None = None

    def __post_init__(self) -> None:
        values = self.diffusion
        if values.ndim != 1 or bool((values < 0).any()) or not bool((values > 0).any()):
            raise InputError(
                "diffusion: expected the diagonal of D, a vector that is not negative and somewhere "
                f"positive; got {values.tolist() if values.ndim < 2 else tuple(values.shape)}. "
                "Noise that depends on the state, or is correlated, is not supported."
            )

    def velocity(self, score: Field, z: Tensor) -> Tensor:
        """Return ``v = b - D s`` at samples ``(n, d)``."""
        return self.drift(z) - self.diffusion.to(z) * score(z)

    def entropy_production(self, score: Field, z: Tensor) -> EntropyProduction:
        """Return the local entropy production at samples ``(n, d)``, without gradient."""
        velocity = self.velocity(score, z).detach()
        noise = self.diffusion.to(z)
        total = torch.where(noise > 0, velocity.square() / noise, torch.nan)
        drift = self.drift_divergence(z)
        spread = exact_divergence(score, z, parts=True, create_graph=False)
        return EntropyProduction(total, drift - noise * spread)

    def drift_divergence(self, z: Tensor) -> Tensor:
        """Return the terms of the drift's divergence, ``(n, d)``, without gradient."""
        if self.divergence is not None:
            return self.divergence(z).detach()
        return exact_divergence(self.drift, z, parts=True, create_graph=False)

    def score_free_production(self, z: Tensor) -> Tensor:
        r"""Return :math:`b\cdot D^{-1} b + \nabla\cdot b` at stationary samples ``(n, d)``: ``(n,)``.

        Its mean is the entropy production rate, without any score; what a score adds is where.

        Raises
        ------
        InputError
            A coordinate has no noise: the rate is then infinite or not defined.
        """
        if bool((self.diffusion == 0).any()):
            bare = int((self.diffusion == 0).sum())
            raise InputError(
                f"The total entropy production is not defined: {bare} of {len(self.diffusion)} "
                "coordinates have no noise. Look at the parts of the coordinates that have."
            )
        drift = self.drift(z).detach()
        return (drift.square() / self.diffusion.to(z) + self.drift_divergence(z)).sum(dim=1)

    def follow(
        self, score: Field, z: Tensor, time: float, *, rtol: float = 1e-8, atol: float = 1e-10
    ) -> Tensor:
        """Return where the probability flow takes samples ``(n, d)`` in a time.

        The density is stationary, so samples of it stay samples of it, though each has moved.
        """
        from scipy.integrate import solve_ivp

        shape = z.shape

        def right(_: float, flat: np.ndarray) -> np.ndarray:
            at = torch.from_numpy(flat.reshape(shape)).to(z)
            return self.velocity(score, at).detach().cpu().double().numpy().ravel()

        start = z.detach().cpu().double().numpy().ravel()
        solved = solve_ivp(right, (0.0, time), start, method="DOP853", rtol=rtol, atol=atol)
        if not solved.success:
            raise InputError(f"The flow could not be followed for {time}: {solved.message}")
        return torch.from_numpy(solved.y[:, -1].reshape(shape)).to(z)


class LinearDiffusion:
    r"""The diffusion :math:`dz = B z\,dt + \sqrt{2D}\,dW`, for which everything is known.

    Its stationary law is N(0, S) with :math:`B S + S B^T + 2D = 0`; so :math:`s = -S^{-1} z`,
    :math:`v = Q z` with :math:`Q = B + D S^{-1}`, and
    :math:`\sigma = \operatorname{tr}(D^{-1} Q S Q^T)`.

    Parameters
    ----------
    drift
        B, ``(d, d)``; all its eigenvalues have negative real parts.
    diffusion
        The diagonal of D, ``(d,)``.
    """

    def __init__(self, drift: Array, diffusion: Array) -> None:
        matrix, _ = tensor_of(drift, "drift", dimensions=2)
        noise, _ = tensor_of(diffusion, "diffusion", dimensions=1)
        if matrix.shape != (len(noise), len(noise)):
            raise InputError(
                f"drift has shape {tuple(matrix.shape)}, but diffusion has {len(noise)} entries."
            )
        fastest = float(torch.linalg.eigvals(matrix).real.max())
        if fastest >= 0:
            raise InputError(
                f"drift: an eigenvalue has real part {fastest:.3g}; with one that is not negative "
                "there is no stationary law."
            )
        self.drift, self.diffusion = matrix, noise

    @cached_property
    def covariance(self) -> Tensor:
        """S, ``(d, d)``."""
        from scipy.linalg import solve_continuous_lyapunov

        solved: Any = solve_continuous_lyapunov(
            self.drift.numpy(), -2 * np.diag(self.diffusion.numpy())
        )
        return torch.from_numpy((solved + solved.T) / 2)

    @cached_property
    def flow(self) -> Tensor:
        """Q, ``(d, d)``: the velocity is ``Q z``; its trace is 0."""
        return self.drift + torch.linalg.solve(self.covariance, torch.diag(self.diffusion)).mT

    @property
    def parts(self) -> Tensor:
        r"""The entropy production rate by coordinate, :math:`(Q S Q^T)_{kk} / D_k`, ``(d,)``."""
        return (self.flow @ self.covariance @ self.flow.mT).diagonal() / self.diffusion

    @property
    def entropy_production(self) -> float:
        """The total rate, in k_B over time."""
        if bool((self.diffusion == 0).any()):
            raise InputError(
                "The total entropy production is not defined where a coordinate has no noise; "
                "`parts` has those of the others."
            )
        return float(self.parts.sum())

    def score(self, z: Tensor) -> Tensor:
        """Return the score at samples ``(n, d)``."""
        return -torch.linalg.solve(self.covariance.to(z), z.mT).mT

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return stationary samples ``(count, d)``."""
        draw = torch.randn(count, len(self.diffusion), generator=generator, dtype=torch.float64)
        return draw @ torch.linalg.cholesky(self.covariance).mT

    def process(self) -> Diffusion:
        """Return it as a general diffusion."""
        return Diffusion(lambda z: z @ self.drift.to(z).mT, self.diffusion)

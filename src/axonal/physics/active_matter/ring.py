r"""Two swimmers on a ring, seen from one of them: a system small enough to know exactly.

.. math::

    dx = \bigl[v_0 g \pm k f(q)\bigr] dt + \sqrt{2\varepsilon}\, dW, \qquad
    dg = -\gamma g\, dt + \sqrt{2\gamma}\, dW', \qquad q = \min(x, 2w - x)

on :math:`x \in [0, 2w)`, the force away from :math:`x = 0` (Boffi & Vanden-Eijnden 2024). Its
stationary density solves a Fokker-Planck equation in two dimensions
(:func:`~axonal.physics.active_matter.fokker_planck_2d`), and so every learned field has an exact one
beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError, require
from axonal.physics.active_matter.forces import strength, strength_derivative
from axonal.transport import Diffusion

if TYPE_CHECKING:
    from axonal.physics.active_matter.fokker_planck import GridDensity


@dataclass(frozen=True)
class SwimmerRing:
    """The distance of two swimmers on a ring, and their relative activity; states ``(n, 2)``.

    Parameters
    ----------
    half_width
        ``w``: the ring is ``2 w`` round, in radii.
    speed, persistence_rate, diffusion, stiffness, steepness
        ``v0, gamma, eps, k, beta`` of the relative motion, as for
        :class:`~axonal.physics.active_matter.ActiveOrnsteinUhlenbeck`.
    """

    half_width: float = 8.0
    speed: float = 0.25
    persistence_rate: float = 0.1
    diffusion: float = 0.1
    stiffness: float = 2.5
    steepness: float = 7.5

    def __post_init__(self) -> None:
        for name in ("half_width", "persistence_rate", "diffusion", "steepness"):
            if not (math.isfinite(value := getattr(self, name)) and value > 0):
                raise InputError(f"{name} must be a positive number, got {value!r}.")
        for name in ("speed", "stiffness"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise InputError(f"{name} must be a number that is not negative, got {value!r}.")

    @property
    def length(self) -> float:
        """The way around, ``2 w``."""
        return 2 * self.half_width

    @property
    def diffusion_matrix(self) -> tuple[float, float]:
        """``(eps, gamma)``."""
        return self.diffusion, self.persistence_rate

    def with_(self, **changes: Any) -> SwimmerRing:
        """Return a copy with other parameters."""
        return replace(self, **changes)

    def force(self, x: Tensor) -> Tensor:
        """Return the repulsion at places ``(...)``, by symmetry 0 at 0 and opposite to it."""
        x = torch.remainder(x, self.length)
        near = torch.minimum(x, self.length - x)
        sign = torch.sign(self.half_width - x) * (x != 0)
        return self.stiffness * strength(near, self.steepness) * sign

    def drift(self, z: Tensor) -> Tensor:
        """Return the drift at states ``(n, 2)`` of (x, g)."""
        x, g = z[:, 0], z[:, 1]
        return torch.stack([self.speed * g + self.force(x), -self.persistence_rate * g], dim=1)

    def drift_divergence(self, z: Tensor) -> Tensor:
        """Return the two terms of the drift's divergence, ``(n, 2)``."""
        x = torch.remainder(z[:, 0], self.length)
        near = torch.minimum(x, self.length - x)
        slope = self.stiffness * strength_derivative(near, self.steepness)
        return torch.stack([slope, torch.full_like(slope, -self.persistence_rate)], dim=1)

    def score_without_activity(self, z: Tensor) -> Tensor:
        """Return the score at speed 0, ``(f/eps, -g)``, ``(n, 2)``."""
        return torch.stack([self.force(z[:, 0]) / self.diffusion, -z[:, 1]], dim=1)

    def process(self) -> Diffusion:
        """Return it as a general diffusion of states ``(n, 2)``."""
        noise = torch.tensor(self.diffusion_matrix, dtype=torch.float64)
        return Diffusion(self.drift, noise, self.drift_divergence)

    def density(self, cells: tuple[int, int] = (480, 200), reach: float = 6.0) -> GridDensity:
        """Return the exact stationary density on a grid of x and ``|g| < reach``."""
        from axonal.physics.active_matter.fokker_planck import fokker_planck_2d

        return fokker_planck_2d(
            self.process(),
            bounds=((0.0, self.length), (-reach, reach)),
            periodic=(True, False),
            cells=cells,
            names=("x", "g"),
        )

    def sample(
        self,
        trajectories: int = 2000,
        snapshots: int = 100,
        *,
        spacing: float | None = None,
        burn_in: float | None = None,
        step: float = 0.01,
        seed: int = 0,
    ) -> Tensor:
        """Simulate, and return stationary states ``(trajectories * snapshots, 2)``.

        Parameters
        ----------
        trajectories, snapshots
            Independent trajectories, and states kept of each, one trajectory after another.
        spacing, burn_in
            Times between snapshots and before the first; by default one persistence time, and ten
            of the slower of persistence and diffusion, as in the paper.
        step
            Of Euler and Maruyama's scheme in x; g is exact.
        seed
            Of the random stream.
        """
        require("numba", "physics")
        from axonal.physics.active_matter.stepping import advance_ring

        if trajectories < 1 or snapshots < 1:
            raise InputError(
                f"Expected at least one trajectory and snapshot, got {trajectories}, {snapshots}."
            )
        if not 0 < step * self.stiffness <= 0.2:
            raise InputError(
                f"step must be positive and at most {0.2 / max(self.stiffness, 1e-300):.3g} at this "
                f"stiffness, got {step!r}."
            )
        memory = 1 / self.persistence_rate
        spacing = memory if spacing is None else spacing
        burn_in = 10 * max(memory, 1 / self.diffusion) if burn_in is None else burn_in
        rng = np.random.default_rng(seed)
        z = np.empty((trajectories, 2))
        z[:, 0] = (self.half_width * (1 + 0.5 * rng.standard_normal(trajectories))) % self.length
        z[:, 1] = rng.standard_normal(trajectories)
        kept = np.empty((trajectories, snapshots, 2))
        for index in range(snapshots):
            steps = max(0, round((spacing if index else burn_in) / step))
            advance_ring(
                z,
                rng,
                steps,
                step,
                float(self.speed),
                float(self.persistence_rate),
                float(self.diffusion),
                float(self.stiffness),
                float(self.steepness),
                float(self.half_width),
            )
            kept[:, index] = z
        return torch.from_numpy(kept.reshape(-1, 2))

    def exact_total(self, z: Tensor) -> float:
        r"""Return :math:`\sigma` without a score, :math:`(v_0/\varepsilon)\,E[g\, b_x]`, from states."""
        contact = float((z[:, 1] * self.force(z[:, 0])).mean())
        return self.speed / self.diffusion * (self.speed + contact)


def mirrored(z: Tensor, ring: SwimmerRing) -> Tensor:
    """Return states and their mirror images ``(2w - x, -g)``, which are as likely: ``(2n, 2)``."""
    image = torch.stack([ring.length - z[:, 0], -z[:, 1]], dim=1)
    return torch.cat([z, image])

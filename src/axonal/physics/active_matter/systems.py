r"""Active Ornstein-Uhlenbeck particles: soft discs pushed by a coloured noise of their own.

.. math::

    dx_i = \bigl[v_0 g_i + k F_i(x) - A x_i\bigr] dt + \sqrt{2\varepsilon}\, dW_i, \qquad
    dg_i = -\gamma g_i\, dt + \sqrt{2\gamma}\, dW'_i

in two dimensions (Boffi & Vanden-Eijnden 2024); so :math:`g \sim N(0, I)`, the persistence time is
:math:`1/\gamma` and the diffusion matrix is :math:`\operatorname{diag}(\varepsilon, \gamma)`.

Units: lengths in particle radii; time in whatever the rates are given in; entropy in k_B.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from axonal.errors import InputError, nearest
from axonal.physics.active_matter import forces

if TYPE_CHECKING:
    import xarray as xr

    from axonal.physics.active_matter.references import Reference
    from axonal.physics.active_matter.simulate import Start


@dataclass(frozen=True)
class ActiveOrnsteinUhlenbeck:
    """Self-propelled soft discs of radius 1 in the plane.

    Parameters
    ----------
    particles
        ``N``.
    speed
        ``v0``: what a component of the self-propulsion has as standard deviation.
    persistence_rate
        ``gamma``: how quickly a particle forgets its direction.
    diffusion
        ``eps``, of the positions; 0 for none, and then only parts of the entropy production are
        defined.
    stiffness
        ``k`` of the repulsion.
    trap
        ``A`` of the harmonic trap about the origin.
    packing
        Share of the area that the discs cover, ``phi``: sets the periodic box. None for open space,
        which needs a trap.
    steepness
        ``beta``: the repulsion sets in over a distance of about ``1/beta``.
    """

    particles: int
    speed: float
    persistence_rate: float
    diffusion: float = 0.0
    stiffness: float = 1.0
    trap: float = 0.0
    packing: float | None = None
    steepness: float = 7.5

    def __post_init__(self) -> None:
        if isinstance(self.particles, bool) or self.particles != int(self.particles):
            raise InputError(f"particles is a whole number, got {self.particles!r}.")
        if self.particles < 1:
            raise InputError(f"particles is at least 1, got {self.particles}.")
        for name in ("persistence_rate", "steepness", "packing"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be a positive number, got {value!r}.")
        for name in ("speed", "diffusion", "stiffness", "trap"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be a number that is not negative, got {value!r}.")
        if self.packing is None and self.trap == 0:
            raise InputError(
                "Without a box (packing) and without a trap the particles fly apart and nothing is "
                "stationary; give one of them."
            )
        w = self.half_width
        if w is not None and self.particles > 1 and w < self.cutoff:
            least = math.ceil(self.particles * (self.cutoff / w) ** 2)
            raise InputError(
                f"The box is {2 * w:.3g} radii wide, less than twice the reach of the force "
                f"({self.cutoff:.3g}): a particle would meet two images of another. At this packing "
                f"take at least {least} particles."
            )

    @property
    def half_width(self) -> float | None:
        """``w``: the box is ``[-w, w)`` along both axes; None in open space."""
        if self.packing is None:
            return None
        return math.sqrt(self.particles * math.pi / self.packing) / 2

    @property
    def box(self) -> float | None:
        """The full width of the box, ``2 w``."""
        return None if self.half_width is None else 2 * self.half_width

    @property
    def cutoff(self) -> float:
        """Distance beyond which the force is under 3e-10 of the stiffness, and left out."""
        return 2.0 + 20.0 / self.steepness

    @property
    def diffusion_matrix(self) -> tuple[float, float]:
        """``(eps, gamma)``: the diagonal of D for a position and for an activity."""
        return self.diffusion, self.persistence_rate

    def with_(self, **changes: Any) -> ActiveOrnsteinUhlenbeck:
        """Return a copy with other parameters."""
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise InputError(f"A system has no parameter {name!r}; {nearest(name, known)}")
        return replace(self, **changes)

    def displacement(self, x_from: Tensor, x_to: Tensor) -> Tensor:
        """Return ``x_to - x_from`` by the shortest way around the box."""
        return forces.minimum_image(x_to - x_from, self.half_width)

    def pair_force(self, distance: Tensor) -> Tensor:
        """Return the repulsion between two particles at a distance, ``k f(q)``."""
        return self.stiffness * forces.strength(distance, self.steepness)

    def pair_force_derivative(self, distance: Tensor) -> Tensor:
        """Return ``k f'(q)``, between ``-k`` and 0."""
        return self.stiffness * forces.strength_derivative(distance, self.steepness)

    def forces(self, x: Tensor) -> Tensor:
        """Return the repulsion ``k F_i`` on each particle at positions ``(..., N, 2)``."""
        self._positions(x)
        total = forces.repulsion(x, self.half_width, self.steepness, self.cutoff)
        return self.stiffness * total

    def drift(self, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """Return the drift of positions and activities, ``(..., N, 2)`` each."""
        return self.speed * g + self._at_rest(x), -self.persistence_rate * g

    def drift_divergence(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return each particle's part of the drift's divergence, in x and in g: ``(..., N)``."""
        self._positions(x)
        axes = x.shape[-1]
        contacts = forces.repulsion_divergence(x, self.half_width, self.steepness, self.cutoff)
        in_x = self.stiffness * contacts - self.trap * axes
        return in_x, torch.full_like(in_x, -self.persistence_rate * axes)

    def score_without_activity(self, x: Tensor, g: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return the score at speed 0: ``((kF - A x)/eps, -g)``.

        The first is None without diffusion, where positions have no score.
        """
        return (self._at_rest(x) / self.diffusion if self.diffusion else None), -g

    def sample(
        self,
        trajectories: int = 1,
        snapshots: int = 1,
        *,
        spacing: float | None = None,
        burn_in: float | None = None,
        step: float | None = None,
        scheme: Literal["euler", "heun"] = "euler",
        start: Start = "auto",
        seed: int = 0,
        threads: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> xr.DataArray:
        """Simulate, and return stationary states.

        Parameters
        ----------
        trajectories, snapshots
            Independent trajectories, and states kept of each.
        spacing
            Time between snapshots; by default the persistence time.
        burn_in
            Time before the first; by default 20 persistence times.
        step
            Time step; by default 0.0125 of the contact time ``1/k``, at most a hundredth of the
            persistence time.
        scheme
            Of the positions: ``"euler"`` is Euler and Maruyama's, as in the paper; ``"heun"`` is of
            second order where positions have no noise, at twice the price. Activities are exact in
            both.
        start
            ``"uniform"``, ``"blob"`` (a Gaussian of half the half-width), states to go on from
            (the last of each trajectory), or ``"auto"``: in a trap, and from a packing of 0.25, a
            blob, so that a dense phase need not nucleate first.
        seed
            States are the same for the same seed, whatever `threads`.
        threads
            Trajectories at a time; by default torch's number of threads.
        progress
            Called with the steps done and their total.

        Returns
        -------
        xr.DataArray
            ``(sample, particle, variable ["x", "g"], axis)``, trajectory after trajectory, with
            coordinates ``trajectory`` and ``time`` and the parameters as attributes.
        """
        from axonal.physics.active_matter.simulate import simulate

        return simulate(
            self,
            trajectories=trajectories,
            snapshots=snapshots,
            spacing=spacing,
            burn_in=burn_in,
            step=step,
            scheme=scheme,
            start=start,
            seed=seed,
            threads=threads,
            progress=progress,
        )

    def exact_total(self, states: xr.DataArray) -> Reference:
        """Return the entropy production rate a particle, without a score, from states."""
        from axonal.physics.active_matter.references import exact_total

        return exact_total(self, states)

    def exact_g_part(self, states: xr.DataArray) -> Reference:
        """Return the activity's part of it a particle where positions have no noise (eps = 0)."""
        from axonal.physics.active_matter.references import exact_g_part

        return exact_g_part(self, states)

    def _at_rest(self, x: Tensor) -> Tensor:
        """Return the drift of the positions without activity."""
        still = self.forces(x) if self.particles > 1 else torch.zeros_like(x)
        return still - self.trap * x if self.trap else still

    def _positions(self, x: Tensor) -> None:
        if x.ndim < 2 or x.shape[-2:] != (self.particles, 2):
            raise InputError(
                f"x: expected (..., {self.particles}, 2) for this system, got {tuple(x.shape)}."
            )

r"""What a particle's local score may look at: its neighbours' relative positions and velocities.

Positions enter only as :math:`x_i - x_j` to the nearest neighbours, so that a function of the
surroundings is the same anywhere, in any box and among any number of particles (Boffi &
Vanden-Eijnden 2024). Beside each particle's own activity :math:`g_j` there is its velocity in units
of :math:`v_0` (ours), known since all forces are known,

.. math:: p_j = g_j + k F_j / v_0, \qquad
          a_i = (\nabla F\, p)_i = \sum_j M_{ij} (p_i - p_j), \qquad
          M_{ij} = k\,\frac{\partial}{\partial x_{ij}} \Bigl[ f(|x_{ij}|) \frac{x_{ij}}{|x_{ij}|} \Bigr],

and the rate :math:`a_i` at which contacts change it. Without diffusion, activities are nearly
determined by contacts: the density is narrow in :math:`p_i - p_j` and :math:`a_i`, not in
:math:`g_i`, and a network that had to find the sum of forces first would see next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.physics.active_matter.forces import minimum_image
from axonal.physics.active_matter.neighbours import gather, nearest

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck


@dataclass(frozen=True)
class Surroundings:
    """Particles, each with its K nearest neighbours.

    Parameters
    ----------
    g
        Own activity, ``(B, 2)``.
    neighbour_g
        ``(B, K, 2)``.
    apart
        :math:`x_i - x_j`, ``(B, K, 2)``, by the minimum image.
    contact
        :math:`M_{ij}`, ``(B, K, 2, 2)``.
    velocity, relative_velocity
        :math:`p_i`, ``(B, 2)``, and :math:`p_i - p_j`, ``(B, K, 2)``.
    acceleration, relative_acceleration
        :math:`a_i`, ``(B, 2)``, and :math:`a_i - a_j`, ``(B, K, 2)``.
    """

    g: Tensor
    neighbour_g: Tensor
    apart: Tensor
    contact: Tensor
    velocity: Tensor
    relative_velocity: Tensor
    acceleration: Tensor
    relative_acceleration: Tensor

    def __len__(self) -> int:
        return len(self.g)

    @classmethod
    def joined(cls, parts: Sequence[Surroundings]) -> Surroundings:
        """Return several one after the other."""
        return cls(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def to(self, like: Tensor) -> Surroundings:
        """Return them in the type and on the device of a tensor."""
        return Surroundings(*(getattr(self, f.name).to(like) for f in fields(self)))

    def pushed(self, change: Tensor) -> Surroundings:
        """Return them with the own activities changed by ``(B, 2)``, and all that follows."""
        to_all = change[:, None]
        by_contact = (self.contact @ to_all[..., None])[..., 0]
        own = by_contact.sum(dim=1)
        return replace(
            self,
            g=self.g + change,
            velocity=self.velocity + change,
            relative_velocity=self.relative_velocity + to_all,
            acceleration=self.acceleration + own,
            # The neighbour feels the opposite, in its own acceleration.
            relative_acceleration=self.relative_acceleration + own[:, None] + by_contact,
        )

    def turned(self, turn: Tensor) -> Surroundings:
        """Return them rotated or reflected, each by an orthogonal matrix ``(B, 2, 2)``."""
        across = turn[:, None]
        changed = {
            f.name: (across @ value[..., None])[..., 0]
            if value.ndim == 3
            else (turn @ value[..., None])[..., 0]
            for f in fields(self)
            if (value := getattr(self, f.name)).ndim < 4
        }
        return replace(self, contact=across @ self.contact @ across.mT, **changed)

    def at(self, rows: Tensor | slice) -> Surroundings:
        """Return some of them."""
        return Surroundings(*(getattr(self, f.name)[rows] for f in fields(self)))


def surround(
    system: ActiveOrnsteinUhlenbeck,
    x: Tensor,
    g: Tensor,
    neighbours: int,
    *,
    index: Tensor | None = None,
) -> Surroundings:
    """Return the surroundings of every particle, sample after sample: ``B`` is ``S N``.

    Parameters
    ----------
    system
        Whose forces act.
    x, g
        Positions and activities ``(S, N, 2)``.
    neighbours
        ``K``; contacts beyond them are left out of the accelerations.
    index
        Neighbours ``(S, N, K + 1)`` found before (:func:`.nearest`), to be kept while positions are
        perturbed a little.
    """
    if system.speed == 0:
        raise InputError(
            "A local score needs activity: at speed 0 the score is known, "
            "`system.score_without_activity`."
        )
    index = nearest(x, neighbours, system.half_width) if index is None else index
    others = index[..., 1:]
    apart = minimum_image(x[:, :, None] - gather(x, others), system.half_width)
    contact = contact_matrix(apart, system.stiffness, system.steepness)
    velocity = g + (system.drift(x, torch.zeros_like(g))[0]) / system.speed
    relative = velocity[:, :, None] - gather(velocity, others)
    acceleration = (contact @ relative[..., None])[..., 0].sum(dim=2)
    differences = acceleration[:, :, None] - gather(acceleration, others)
    every = (g, gather(g, others), apart, contact, velocity, relative, acceleration, differences)
    return Surroundings(*(value.flatten(0, 1) for value in every))


def contact_matrix(apart: Tensor, stiffness: float, steepness: float) -> Tensor:
    """Return the derivative of a pair's force in its separation: ``(..., 2)`` to ``(..., 2, 2)``."""
    square = apart.square().sum(dim=-1, keepdim=True)
    there = square > 0  # two particles at one place have no direction
    distance = torch.where(there, square, 1.0).sqrt()
    gap = 2 - distance
    strength = torch.nn.functional.softplus(gap, beta=steepness, threshold=40.0)
    along = (apart / distance)[..., :, None] * (apart / distance)[..., None, :]
    tangential = strength / distance
    radial = -torch.sigmoid(steepness * gap)
    eye = torch.eye(apart.shape[-1], dtype=apart.dtype, device=apart.device)
    matrix = radial[..., None] * along + tangential[..., None] * (eye - along)
    return stiffness * torch.where(there[..., None], matrix, 0.0)

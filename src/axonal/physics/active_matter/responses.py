r"""How trapped particles would follow a push if their contacts were springs.

With contacts of the present stiffness and no others forming, a constant push :math:`h` that lasts
for the persistence time moves the particles by

.. math:: u = \gamma\,(\gamma + A - K)^{-1} h, \qquad
          K_{ij} = k\, f'(|x_{ij}|)\, \hat n_{ij} \hat n_{ij}^T \;(i \ne j), \quad
          \textstyle\sum_j K_{ij} = 0

In a harmonic system :math:`v_x = v_0 u(g)` is the exact probability flow, and the score is linear in
:math:`x, g, F, u(g)` and :math:`u(F)`. Only the radial part of the contacts is taken, so that the
matrix is positive and the response bounded by the push.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonal.physics.active_matter.forces import minimum_image

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck


def responses(system: ActiveOrnsteinUhlenbeck, x: Tensor, pushes: Sequence[Tensor]) -> list[Tensor]:
    """Return the responses to pushes ``(S, N, 2)`` at positions ``(S, N, 2)``, of their shape.

    One dense system of ``2 N`` equations a sample: for some hundred particles.
    """
    samples, count, axes = x.shape
    apart = minimum_image(x[:, :, None] - x[:, None], system.half_width)
    square = apart.square().sum(dim=-1)
    there = square > 0
    distance = torch.where(there, square, 1.0).sqrt()
    slope = system.stiffness * torch.sigmoid(system.steepness * (2 - distance))
    along = apart / distance[..., None]
    springs = (slope * there)[..., None, None] * along[..., :, None] * along[..., None, :]
    own = springs.sum(dim=2)  # (S, N, 2, 2)
    eye = torch.eye(axes, dtype=x.dtype, device=x.device)
    own = own + (system.persistence_rate + system.trap) * eye
    there_and_back = torch.eye(count, dtype=x.dtype, device=x.device)[None, :, :, None, None]
    blocks = there_and_back * own[:, :, None] - springs
    matrix = blocks.permute(0, 1, 3, 2, 4).reshape(samples, count * axes, count * axes)
    stacked = torch.stack([push.reshape(samples, -1) for push in pushes], dim=-1)
    solved = system.persistence_rate * torch.linalg.solve(matrix, stacked)
    return [solved[..., k].reshape(x.shape) for k in range(len(pushes))]

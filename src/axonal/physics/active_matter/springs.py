r"""The score if every contact were a spring of its present stiffness: a closed form to learn from.

For forces linear in the positions, with :math:`K` their derivative, :math:`F` their value and
:math:`R = (\gamma + A - K)^{-1}`, the stationary law is Gaussian and

.. math::

    s_x &= T^{-1} \bigl[ F + v_0\, (1 - \gamma R)\, g \bigr], \qquad
    T = \varepsilon + v_0^2\, \gamma R^2, \\
    s_g &= - T^{-1} \bigl[ v_0 R\, F + (\varepsilon + v_0^2 R)\, g \bigr],

where F includes the trap. :math:`T` is an effective temperature: :math:`\varepsilon` along stiff
contacts, more along what can move. Exact for harmonic systems and at rest; in a crowd of soft discs,
with F and K of each state, an approximation that knows the contacts. Of K the radial parts are taken,
so that R exists and is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.physics.active_matter.forces import minimum_image

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck


def score_of_springs(
    system: ActiveOrnsteinUhlenbeck, x: Tensor, g: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the score in x and in g at states ``(S, N, 2)``, of their shape.

    One dense system of ``2 N`` equations a state: for some hundred particles, with diffusion.
    """
    if system.diffusion == 0:
        raise InputError("The score of springs needs diffusion: without, positions have no score.")
    response = _response(system, x)
    identity = torch.eye(response.shape[-1], dtype=x.dtype, device=x.device)
    eps, rate, speed = system.diffusion, system.persistence_rate, system.speed
    temperature = eps * identity + speed**2 * rate * response @ response
    force = system.drift(x, torch.zeros_like(g))[0].flatten(1)[..., None]
    activity = g.flatten(1)[..., None]
    moved, followed = response @ force, response @ activity
    in_x = force + speed * (activity - rate * followed)
    in_g = speed * moved + eps * activity + speed**2 * followed
    solved = torch.linalg.solve(temperature, torch.cat([in_x, -in_g], dim=-1))
    return solved[..., 0].reshape(x.shape), solved[..., 1].reshape(x.shape)


def _response(system: ActiveOrnsteinUhlenbeck, x: Tensor) -> Tensor:
    """Return R, ``(S, 2 N, 2 N)``."""
    samples, count, axes = x.shape
    apart = minimum_image(x[:, :, None] - x[:, None], system.half_width)
    square = apart.square().sum(dim=-1)
    there = square > 0
    distance = torch.where(there, square, 1.0).sqrt()
    slope = system.stiffness * torch.sigmoid(system.steepness * (2 - distance)) * there
    along = apart / distance[..., None]
    springs = slope[..., None, None] * along[..., :, None] * along[..., None, :]
    eye = torch.eye(axes, dtype=x.dtype, device=x.device)
    own = springs.sum(dim=2) + (system.persistence_rate + system.trap) * eye
    diagonal = torch.eye(count, dtype=x.dtype, device=x.device)[None, :, :, None, None]
    blocks = diagonal * own[:, :, None] - springs
    matrix = blocks.permute(0, 1, 3, 2, 4).reshape(samples, count * axes, count * axes)
    return torch.linalg.inv(matrix)

r"""Networks for the activity's score of one particle from its surroundings.

Two read bare tokens or contact tokens:

- :class:`BareTransformer` is the paper's: token ``j`` is an embedding of :math:`g_j` beside one of
  :math:`x_i - x_j`, and the particle's own token is decoded.
- :class:`ContactTransformer` and :class:`ContactPairs` (ours) see relative velocities and
  accelerations too (:mod:`.surroundings`), and answer contact by contact: with :math:`n` along
  :math:`x_i - x_j` and :math:`t` across it,

  .. math:: s_{g_i} = -g_i + \ell_i + \sum_j \bigl[\, c_{ij}\, n_{ij} + c'_{ij}\, t_{ij} \bigr],

  where :math:`c, c'` are gates, read from token ``j``, on terms of the size that the contact's
  stiffness gives: :math:`f' (p_i - p_j)/\gamma` and the like. Where stiffness damps, the score is of
  that form with constant gates (in a harmonic system exactly); at large persistence it is not, and
  the gates learn by how much. They start at 0, where the score is :math:`-g_i`.

Only relative positions and a sum over neighbours: the same for any order of neighbours, any place,
box and number of particles.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from axonal.physics.active_matter.networks import Encoder, linear, mlp
from axonal.physics.active_matter.surroundings import Surroundings


class BareTransformer(nn.Module):
    """The paper's spatially local transformer.

    Parameters
    ----------
    width, blocks, heads
        Of the encoder; the paper has 256, 4 and 4.
    hidden
        Hidden layers of the embeddings; the paper has 4.
    """

    def __init__(self, width: int = 256, blocks: int = 4, heads: int = 4, hidden: int = 4) -> None:
        super().__init__()
        half = width // 2
        self.of_activity = mlp(2, [width] * hidden, half)
        self.of_place = mlp(2, [width] * hidden, width - half)
        self.encoder = Encoder(width, blocks, heads)
        self.decoder = mlp(width, [width] * hidden, 2, last=0.0)

    def forward(self, around: Surroundings) -> Tensor:
        """Return the score ``(B, 2)``."""
        g = torch.cat([around.g[:, None], around.neighbour_g], dim=1)
        apart = torch.cat([torch.zeros_like(around.apart[:, :1]), around.apart], dim=1)
        tokens = torch.cat([self.of_activity(g), self.of_place(apart)], dim=-1)
        return self.decoder(self.encoder(tokens)[:, 0]) - around.g


class Scales(NamedTuple):
    """What sets the sizes: of a system, not learned."""

    speed: float
    persistence_rate: float
    stiffness: float
    steepness: float

    @property
    def narrow(self) -> float:
        """Width of the density of relative velocities at a contact, sqrt(gamma / k)."""
        return math.sqrt(self.persistence_rate / self.stiffness)


class _Contacts(nn.Module):
    """Embed the centre and its neighbours, and turn tokens into a score contact by contact."""

    def __init__(self, scales: Scales, width: int) -> None:
        super().__init__()
        self.scales = scales
        self.of_neighbour = mlp(21, [width], width)
        self.of_centre = mlp(12, [width], width)
        self.gates = linear(width, 10, start=0.0)
        self.own = linear(width, 3, start=0.0)

    def tokens(self, around: Surroundings) -> tuple[Tensor, Tensor, Tensor]:
        """Return embeddings of the centre ``(B, 1, w)`` and of neighbours ``(B, K, w)``, and terms.

        The terms ``(B, K, 10, 2)`` are the vectors that the gates weigh.
        """
        narrow, speed = self.scales.narrow, self.scales.speed
        distance = around.apart.square().sum(dim=-1, keepdim=True).clamp_min(1e-12).sqrt()
        along = around.apart / distance
        across = torch.stack([-along[..., 1], along[..., 0]], dim=-1)
        gap = 2 - distance
        slope = torch.sigmoid(self.scales.steepness * gap)
        push = nn.functional.softplus(gap, beta=self.scales.steepness, threshold=40.0)

        velocity, change = around.relative_velocity, around.relative_acceleration
        v_n, v_t, a_n, a_t = (
            (vector * axis).sum(dim=-1, keepdim=True)
            for vector in (velocity, change / self.scales.stiffness)
            for axis in (along, across)
        )
        neighbour = torch.cat(
            [along, -2 * gap, slope, 4 * push, torch.tanh(-6 * gap)]
            + [_magnified(v, narrow) for v in (v_n, v_t, a_n, a_t)]
            + [_magnified_vector(v, narrow) for v in (velocity, change)]
            + [v.clamp(-3, 3) for v in (v_n, v_t, a_n, a_t)]
            + [v_t.square().clamp(max=4)],
            dim=-1,
        )
        centre = torch.cat(
            [around.g, around.velocity, around.velocity - around.g]
            + [_magnified_vector(v, narrow) for v in (around.velocity, around.acceleration)],
            dim=-1,
        )
        stiff = 0.3 * self.scales.stiffness * slope / self.scales.persistence_rate
        bent = speed / self.scales.stiffness
        sizes = (
            [
                stiff * v_n,
                stiff * narrow * torch.tanh(v_n / narrow),
                stiff * bent * v_t.square(),
                stiff * a_n,
                slope / narrow,
            ],
            [
                stiff * v_t,
                stiff * narrow * torch.tanh(v_t / narrow),
                stiff * bent * v_n * v_t,
                stiff * a_t,
                slope / narrow,
            ],
        )
        terms = torch.cat(
            [
                torch.cat(sizes[0], dim=-1)[..., None] * along[..., None, :],
                torch.cat(sizes[1], dim=-1)[..., None] * across[..., None, :],
            ],
            dim=-2,
        )
        return self.of_centre(centre)[:, None], self.of_neighbour(neighbour), terms

    def answer(self, centre: Tensor, gates: Tensor, terms: Tensor, around: Surroundings) -> Tensor:
        """Return the score ``(B, 2)`` from the centre's token ``(B, w)`` and the gates."""
        own = self.own(centre)
        stiff = 0.3 / self.scales.persistence_rate
        free = own[:, :2] + stiff * own[:, 2:] * around.acceleration
        return -around.g + free - (gates[..., None] * terms).sum(dim=(1, 2))


class ContactTransformer(_Contacts):
    """A transformer over the particle and its neighbours that answers contact by contact."""

    def __init__(self, scales: Scales, width: int = 48, blocks: int = 2, heads: int = 4) -> None:
        super().__init__(scales, width)
        self.encoder = Encoder(width, blocks, heads, hidden=2 * width)

    def forward(self, around: Surroundings) -> Tensor:
        """Return the score ``(B, 2)``."""
        centre, neighbours, terms = self.tokens(around)
        encoded = self.encoder(torch.cat([centre, neighbours], dim=1))
        return self.answer(encoded[:, 0], self.gates(encoded[:, 1:]), terms, around)


class ContactPairs(_Contacts):
    """The same without attention: a gate knows its own pair and the centre, no third particle."""

    def __init__(self, scales: Scales, width: int = 48, hidden: int = 3) -> None:
        super().__init__(scales, width)
        self.pair = mlp(2 * width, [width] * hidden, width)

    def forward(self, around: Surroundings) -> Tensor:
        """Return the score ``(B, 2)``."""
        centre, neighbours, terms = self.tokens(around)
        both = torch.cat([centre.expand_as(neighbours), neighbours], dim=-1)
        gates = self.gates(self.pair(both))
        return self.answer(centre[:, 0], gates, terms, around)


def _magnified(value: Tensor, width: float) -> Tensor:
    """Spread what is narrow and keep what is wide within reach: asinh(value / width) / 2."""
    return torch.asinh(value / width) / 2


def _magnified_vector(value: Tensor, width: float) -> Tensor:
    """Do so along a vector's direction, ``(..., 3)``: the vector and its magnitude."""
    size = (value.square().sum(dim=-1, keepdim=True) + 1e-6).sqrt()
    magnified = _magnified(size, width)
    return torch.cat([value / size * magnified, magnified], dim=-1)

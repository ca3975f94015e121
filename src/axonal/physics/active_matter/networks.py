r"""Networks for scores: an encoder over particles, the all-particle transformer, a periodic MLP.

The blocks are those of the paper's code (Boffi & Vanden-Eijnden 2024): multi-head self-attention,
residual, LayerNorm, an MLP of one hidden layer, residual, LayerNorm. There is no order among the
tokens, so permuting particles permutes the output. Weights start as Haiku's do, truncated normal of
variance ``1 / fan_in`` with zero biases; what is read out starts at zero, so that an untrained score
is its shift.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from axonal.errors import InputError

_TRUNCATED = 0.87962566103423978  # standard deviation of a normal cut off at two of its own


class Block(nn.Module):
    """One encoder block over tokens ``(B, T, width)``.

    Parameters
    ----------
    width, heads
        Of the stream, and of attention; ``width`` is a multiple of ``heads``.
    hidden
        Width of the MLP's hidden layer.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise InputError(f"heads must divide the width, got {heads} heads and width {width}.")
        self.heads = heads
        self.query_key_value = linear(width, 3 * width)
        self.project = linear(width, width)
        self.pattern = nn.Identity()
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = mlp(width, [hidden], width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens after the block."""
        batch, count, width = tokens.shape
        split = self.query_key_value(tokens).view(batch, count, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        logits = query @ key.mT / math.sqrt(width // self.heads)
        pattern = self.pattern(logits.softmax(dim=-1))
        heads = (pattern @ value).transpose(1, 2).reshape(batch, count, width)
        tokens = self.first_norm(tokens + self.project(heads))
        return self.second_norm(tokens + self.mlp(tokens))


class Encoder(nn.Module):
    """Blocks one after the other; equivariant to permutations of the tokens."""

    def __init__(self, width: int, blocks: int, heads: int, hidden: int | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(width, heads, width if hidden is None else hidden) for _ in range(blocks)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens ``(B, T, width)`` after all blocks."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class ParticleTransformer(nn.Module):
    """The all-particle transformer, for the score of one variable.

    Each variable of a particle is embedded by an MLP of its own; the embeddings, side by side, are
    the particle's token.

    Parameters
    ----------
    variables
        How many vectors a particle has: 2 for position and activity.
    width, blocks, heads
        Of the encoder; the paper has 256, 4 and 4.
    hidden
        Hidden layers of the embeddings; the paper has 2.
    """

    def __init__(
        self, variables: int = 2, width: int = 256, blocks: int = 4, heads: int = 4, hidden: int = 2
    ) -> None:
        super().__init__()
        share = width // variables
        widths = [width - share * (variables - 1)] + [share] * (variables - 1)
        self.embeddings = nn.ModuleList(mlp(2, [width] * hidden, out) for out in widths)
        self.encoder = Encoder(width, blocks, heads)
        self.straight = linear(2 * variables, 2, start=0.0)
        self.decoder = mlp(width, [width] * hidden, 2, last=0.0)

    def forward(self, *vectors: Tensor) -> Tensor:
        """Return ``(B, N, 2)`` from as many vectors ``(B, N, 2)`` as there are variables."""
        embedded = [e(vector) for e, vector in zip(self.embeddings, vectors, strict=True)]
        tokens = self.encoder(torch.cat(embedded, dim=-1))
        return self.decoder(tokens) + self.straight(torch.cat(vectors, dim=-1))


class ByVariable(nn.Module):
    """A network for each variable's score, all of the same inputs.

    Parameters
    ----------
    networks
        By the variable's name.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(dict(networks))

    def forward(self, vectors: Sequence[Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return the scores of some variables."""
        return {name: self.networks[name](*vectors) for name in names}


class PeriodicMLP(nn.Module):
    r"""An MLP on a few coordinates, of which some are periodic, and odd if wanted.

    A periodic coordinate is seen as sines and cosines of 1, 2, 4 and 8 times
    :math:`2\pi z / L`; an odd network is :math:`n(z) - n(-z)`.

    Parameters
    ----------
    periods
        The period ``L`` of each coordinate; None for one that is not periodic.
    width, hidden
        Of the hidden layers, and their number.
    odd
        Whether the field changes sign with all coordinates.
    """

    frequencies: Tensor

    def __init__(
        self,
        periods: Sequence[float | None],
        width: int = 64,
        hidden: int = 3,
        *,
        odd: bool = False,
    ) -> None:
        super().__init__()
        self.periods, self.odd = tuple(periods), odd
        self.register_buffer("frequencies", 2.0 ** torch.arange(4), persistent=False)
        inputs = sum(1 if period is None else 8 for period in self.periods)
        # A network of its own for each component, as the paper has for x and g.
        self.networks = nn.ModuleList(mlp(inputs, [width] * hidden, 1) for _ in self.periods)

    def forward(self, z: Tensor) -> Tensor:
        """Return the field at ``(n, d)``."""
        value = self._field(z)
        return value - self._field(-z) if self.odd else value

    def _field(self, z: Tensor) -> Tensor:
        seen = []
        for k, period in enumerate(self.periods):
            here = z[:, k : k + 1]
            if period is None:
                seen.append(here)
            else:
                angle = 2 * math.pi * (here / period) * self.frequencies.to(z)
                seen += [angle.sin(), angle.cos()]
        features = torch.cat(seen, dim=1)
        return torch.cat([network(features) for network in self.networks], dim=1)


def mlp(inputs: int, hidden: Sequence[int], outputs: int, *, last: float = 1.0) -> nn.Sequential:
    """Return linear layers with GELU between them; ``last`` scales the last one's start."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [linear(inputs, width), nn.GELU(approximate="tanh")]
        inputs = width
    return nn.Sequential(*layers, linear(inputs, outputs, start=last))


def linear(inputs: int, outputs: int, *, start: float = 1.0) -> nn.Linear:
    """Return a linear layer with Haiku's start: truncated normal of variance 1 / inputs, no bias."""
    if inputs < 1 or outputs < 1:
        raise InputError(f"A layer from {inputs} to {outputs} numbers: widths are at least 1.")
    layer = nn.Linear(inputs, outputs)
    std = inputs**-0.5 / _TRUNCATED
    with torch.no_grad():
        nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
        layer.weight.mul_(start)
        layer.bias.zero_()
    return layer

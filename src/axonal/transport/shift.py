r"""Maps along one direction, the difference of the means :math:`\Delta = m_t - m_s`, r = Δ/\|Δ\|.

- :class:`MeanShift`, :math:`x + \Delta` (activation addition): means meet, covariances stay.
- :class:`DirectionalAblation`, :math:`x - r r^\top x` (A. Arditi et al., *Refusal in Language Models
  Is Mediated by a Single Direction*, arXiv:2406.11717): the coordinate along r becomes 0.
- :class:`AffineAblation`, :math:`x - r r^\top (x - m_t)`: it becomes that of the target's mean.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from axonal.transport.affine import AffineMap
from axonal.transport.estimator import AffineTransport
from axonal.transport.subspace import mean_difference


class MeanShift(AffineTransport[AffineMap]):
    """Add the difference of the means: optimal transport where the covariances are equal.

    Parameters
    ----------
    strength
        A factor of the difference.
    """

    def __init__(self, *, strength: float = 1.0) -> None:
        self.strength = strength

    @override
    def learn(self, source: Tensor, target: Tensor) -> AffineMap:
        """Return the map for float64 rows ``(samples, units)``."""
        direction, length = _direction(source, target)
        one = torch.ones(1, 1, dtype=source.dtype, device=source.device)
        return AffineMap(one, length, direction, torch.zeros_like(source[0]))


class DirectionalAblation(AffineTransport[AffineMap]):
    """Project the direction between the means out.

    Parameters
    ----------
    strength
        1 removes the coordinate, 2 reflects it.
    """

    def __init__(self, *, strength: float = 1.0) -> None:
        self.strength = strength

    @override
    def learn(self, source: Tensor, target: Tensor) -> AffineMap:
        """Return the map for float64 rows ``(samples, units)``."""
        return _ablation(source, target, torch.zeros_like(source[0]))


class AffineAblation(AffineTransport[AffineMap]):
    """Set the coordinate along the direction between the means to the target's mean.

    The limit of Gaussian transport in this one direction for a target without spread.

    Parameters
    ----------
    strength
        1 sets the coordinate.
    """

    def __init__(self, *, strength: float = 1.0) -> None:
        self.strength = strength

    @override
    def learn(self, source: Tensor, target: Tensor) -> AffineMap:
        """Return the map for float64 rows ``(samples, units)``."""
        return _ablation(source, target, target.mean(dim=0))


def _ablation(source: Tensor, target: Tensor, center: Tensor) -> AffineMap:
    direction, length = _direction(source, target)
    return AffineMap(torch.zeros_like(length)[:, None], torch.zeros_like(length), direction, center)


def _direction(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The unit vector between the means, ``(units, 1)``, and its length, ``(1,)``."""
    difference = mean_difference(source, target)
    length = torch.linalg.vector_norm(difference)
    return (difference / length)[:, None], length[None]

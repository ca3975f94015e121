r"""Least-squares concept erasure: the smallest affine edit after which no linear probe finds the class.

N. Belrose et al., *LEACE: Perfect linear concept erasure in closed form*, arXiv:2306.03819 (2023),
Theorem 4.3. It whitens, projects out what the class means differ by, and undoes the whitening; for
two classes with means that differ by Δ and a pooled covariance Σ this comes to

.. math:: x' = x - \Delta\, \frac{(\Sigma^{+} \Delta)^\top (x - \mu)}{\Delta^\top \Sigma^{+} \Delta}.

The class means become equal, which is the same as that no linear predictor of the class beats the
constant one, and E\|x' - x\|² is least among all affine maps that do so, in every norm.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from axonal.errors import InputError
from axonal.transport.affine import AffineMap
from axonal.transport.covariance import Shrinkage, check_shrinkage, covariance
from axonal.transport.estimator import AffineTransport
from axonal.transport.subspace import mean_difference

#: Directions with less than this part of the largest variance are taken to have none.
NO_VARIANCE = 1e-12


class LEACE(AffineTransport[AffineMap]):
    """Erase what tells source from target linearly; a reference, not a transport: both sets move.

    Parameters
    ----------
    shrinkage
        Of the pooled covariance, see :func:`axonal.transport.covariance.covariance`. Erasure is
        exact on the training rows in any case; None makes it the smallest there.
    strength
        1 erases.

    Attributes
    ----------
    map_
        The fitted :class:`AffineMap`: an oblique projection, of rank one less than the space.
    """

    def __init__(self, *, shrinkage: Shrinkage = None, strength: float = 1.0) -> None:
        self.shrinkage: Shrinkage = shrinkage
        self.strength = strength

    @override
    def learn(self, source: Tensor, target: Tensor) -> AffineMap:
        """Return the map for float64 rows ``(samples, units)``."""
        check_shrinkage(self.shrinkage)
        both = torch.cat([source, target])
        difference = mean_difference(source, target)
        removed, read = _erasure(covariance(both, self.shrinkage)[0], difference)
        # x - u v'(x - mu) acts in the plane of u and v: its thin form.
        size = torch.linalg.vector_norm(removed)
        first = removed / size
        rest = read - first * (first @ read)
        rest = rest - first * (first @ rest)  # again: the first pass leaves rounding errors
        if float(torch.linalg.vector_norm(rest)) > 1e-10 * float(torch.linalg.vector_norm(read)):
            basis = torch.stack([first, rest / torch.linalg.vector_norm(rest)], dim=1)
        else:
            basis = first[:, None]
        identity = torch.eye(basis.shape[1], dtype=both.dtype, device=both.device)
        matrix = identity - torch.outer(basis.mT @ removed, basis.mT @ read)
        return AffineMap(matrix, torch.zeros_like(matrix[0]), basis, both.mean(dim=0))


def _erasure(cov: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
    """Return Δ, which is taken away, and the probe Σ+ Δ / (Δ' Σ+ Δ) that reads how much."""
    values, vectors = torch.linalg.eigh(cov)
    live = values > NO_VARIANCE * values[-1]
    values, vectors = values[live], vectors[:, live]
    seen = vectors.mT @ difference
    lost = torch.linalg.vector_norm(difference - vectors @ seen)
    if float(lost) > 1e-6 * float(torch.linalg.vector_norm(difference)):
        raise InputError(
            "The means differ in a direction without variance, which no whitening sees: use "
            "shrinkage='ledoit-wolf'."
        )
    probe = vectors @ (seen / values)
    return difference, probe / (probe @ difference)

r"""What the paper minimises: a fit of populations, and the Monge gap that makes the map a cheap one.

.. math::

    S_{\varepsilon_1}(T_\# \mu, \nu) + \lambda\, M_{\varepsilon_2}(T), \qquad
    M_\varepsilon(T) = \frac1n \sum_i |x_i - T(x_i)| - W_\varepsilon(\mu_n, T_\# \mu_n)

Both costs are Euclidean distances, not squared. The conditional gap is the mean over conditions of
their own gaps; a step of training takes one condition, or several.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from axonal.transport import monge_gap, sinkhorn_divergence
from axonal.transport.costs import Cost


@dataclass(frozen=True)
class MongeObjective:
    """The loss of mapped cells.

    Parameters
    ----------
    epsilon_fit, epsilon_gap
        Entropies, in the unit of the cost; an ``epsilon_gap`` of 0 asks for the exact gap (POT).
    gap_weight
        The factor on the gap; 0 leaves it out.
    cost
        The ground cost.
    tolerance
        The marginal error at which Sinkhorn stops (OTT-JAX stops at 1e-3).
    """

    epsilon_fit: float = 1.0
    epsilon_gap: float = 0.01
    gap_weight: float = 1.0
    cost: Cost = "euclidean"
    tolerance: float = 1e-3

    def __call__(self, source: Tensor, mapped: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return fit and gap, means over the conditions.

        Parameters
        ----------
        source, mapped
            Cells and where the map takes them ``(conditions, n, d)``.
        target
            Treated cells ``(conditions, m, d)``.
        """
        options = {"cost": self.cost, "tolerance": self.tolerance}
        fit = sinkhorn_divergence(mapped, target, self.epsilon_fit, **options).mean()
        if self.gap_weight == 0:
            return fit, fit.new_zeros(())
        if self.epsilon_gap == 0:
            pairs = zip(source, mapped, strict=True)
            gaps = [monge_gap(x, y, 0, **options) for x, y in pairs]
            return fit, torch.stack(gaps).mean()
        return fit, monge_gap(source, mapped, self.epsilon_gap, **options).mean()

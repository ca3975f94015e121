r"""Transport of each unit by itself (AcT), affine: no unit knows of another.

P. Rodriguez et al., *Controlling Language and Diffusion Models by Transporting Activations*,
arXiv:2410.23054 (2024), Sections 3.1 and 3.2. In one dimension the optimal coupling pairs quantiles.
Linear-AcT is the least-squares line through it,

.. math::

    \omega_j = \frac{\int (F^{-1}_s(u) - \bar x_j)(F^{-1}_t(u) - \bar y_j)\, du}
                    {\int (F^{-1}_s(u) - \bar x_j)^2 du}, \qquad
    \beta_j = \bar y_j - \omega_j \bar x_j,

which for equally many rows is their sum over sorted columns. Mean-AcT has ω = 1, Gaussian-AcT the
ratio of standard deviations.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from axonal.errors import InputError
from axonal.transport.estimator import AffineTransport
from axonal.transport.units import UnitMap


class UnitTransport(AffineTransport[UnitMap]):
    """Move each unit by an affine map of its own.

    Parameters
    ----------
    method
        ``"linear"``, ``"gaussian"`` or ``"mean"``: what ω is. A unit that is constant in the source
        is shifted only.
    support
        ``"everywhere"``: the map applies to all values, and is affine. ``"observed"``: only between
        the smallest and the largest value seen in the source, others stay (the map is then neither
        affine nor invertible, and says so when asked).
    strength
        λ: 0 leaves every row, 1 transports it in full.

    Attributes
    ----------
    map_
        The fitted :class:`UnitMap`.
    """

    def __init__(
        self,
        method: Literal["linear", "gaussian", "mean"] = "linear",
        *,
        support: Literal["everywhere", "observed"] = "everywhere",
        strength: float = 1.0,
    ) -> None:
        self.method: Literal["linear", "gaussian", "mean"] = method
        self.support: Literal["everywhere", "observed"] = support
        self.strength = strength

    @override
    def learn(self, source: Tensor, target: Tensor) -> UnitMap:
        """Return the map for float64 rows ``(samples, units)``."""
        if self.method not in ("linear", "gaussian", "mean"):
            raise InputError(
                f"method: expected 'linear', 'gaussian' or 'mean', got {self.method!r}."
            )
        if self.support not in ("everywhere", "observed"):
            raise InputError(f"support: expected 'everywhere' or 'observed', got {self.support!r}.")
        mean_s, mean_t = source.mean(dim=0), target.mean(dim=0)
        if self.method == "mean":
            scale = torch.ones_like(mean_s)
        else:
            if self.method == "linear":
                joint, own = _coupled(source - mean_s, target - mean_t)
            else:
                joint, own = target.std(dim=0), source.std(dim=0)
            constant = (source == source[0]).all(dim=0)
            scale = torch.where(constant, 1.0, joint / torch.where(constant, 1.0, own))
        shift = mean_t - scale * mean_s
        if self.support == "everywhere":
            return UnitMap(scale, shift)
        return UnitMap(scale, shift, source.amin(dim=0), source.amax(dim=0))


def _coupled(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Covariance of the optimal coupling and variance of the source, unit by unit.

    Quantile functions of samples are steps: between the levels i/n and j/m both are constant.
    """
    n, m = len(source), len(target)
    # Whole numbers tell levels apart that rounding would not: u is counted in parts of n m.
    levels = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    widths = levels.diff(prepend=levels.new_zeros(1)).to(source) / (n * m)
    rows_s = ((levels - 1) // m).to(source.device)
    rows_t = ((levels - 1) // n).to(source.device)
    sorted_s, sorted_t = source.sort(dim=0).values[rows_s], target.sort(dim=0).values[rows_t]
    return widths @ (sorted_s * sorted_t), widths @ sorted_s.square()

r"""Mean, variance and the error of both from a stream, without keeping the values.

Two summaries merge into the summary of both (Chan, Golub & LeVeque 1983 for the variance; Pébay
2008 for the third and fourth moments), so workers can each see a part, and Welford's one-by-one
update is the merge with a summary of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.statistics.checks import finite


@dataclass(frozen=True)
class Moments:
    r"""The summary of n arrays of one shape, element by element.

    Parameters
    ----------
    n
        How many were seen.
    mean
        Their mean.
    sums
        :math:`\sum (x - \bar x)^k` for k = 2, 3, 4: (3, ...).

    Examples
    --------
    >>> seen = Moments.of([1.0, 2.0]).merge(Moments.of([6.0]))
    >>> float(seen.mean), float(seen.variance)
    (3.0, 7.0)
    """

    n: int
    mean: NDArray[np.float64]
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, values: ArrayLike) -> Moments:
        """Summarise values stacked along the first axis, (n, ...)."""
        array = finite(values, "values")
        if array.ndim == 0:
            raise InputError("values: expected them stacked along a first axis, got one number.")
        mean = array.mean(axis=0)
        centred = array - mean
        return cls(
            array.shape[0],
            np.asarray(mean),
            np.stack([np.sum(centred**k, axis=0) for k in (2, 3, 4)]),
        )

    def merge(self, other: Moments) -> Moments:
        """Return the summary of both streams; the order does not matter."""
        if self.mean.shape != other.mean.shape:
            raise InputError(
                f"expected values of one shape, got {self.mean.shape} and {other.mean.shape}."
            )
        a, b = self.n, other.n
        n = a + b
        d = other.mean - self.mean
        second, third, fourth = self.sums + other.sums
        (a2, a3, _), (b2, b3, _) = self.sums, other.sums
        second = second + d**2 * a * b / n
        third = third + d**3 * a * b * (a - b) / n**2 + 3 * d * (a * b2 - b * a2) / n
        fourth = (
            fourth
            + d**4 * a * b * (a * a - a * b + b * b) / n**3
            + 6 * d**2 * (a * a * b2 + b * b * a2) / n**2
            + 4 * d * (a * b3 - b * a3) / n
        )
        return Moments(n, np.asarray(self.mean + d * b / n), np.stack([second, third, fourth]))

    @property
    def variance(self) -> NDArray[np.float64]:
        """The unbiased variance; NaN of a single value."""
        return self.sums[0] / (self.n - 1) if self.n > 1 else np.full(self.mean.shape, np.nan)

    @property
    def standard_deviation(self) -> NDArray[np.float64]:
        """The square root of the unbiased variance."""
        return np.sqrt(self.variance)

    @property
    def standard_error(self) -> NDArray[np.float64]:
        """The standard error of the mean."""
        return self.standard_deviation / np.sqrt(self.n)

    @property
    def standard_error_of_deviation(self) -> NDArray[np.float64]:
        r"""The standard error of the standard deviation, for any distribution (large n).

        :math:`\sqrt{(\mu_4 - \frac{n-3}{n-1}\sigma^4)/n}\, /\, 2\sigma`; for a normal
        distribution about :math:`\sigma/\sqrt{2n}`.
        """
        n, variance = self.n, self.variance
        of_variance = np.maximum(self.sums[2] / n - (n - 3) / max(n - 1, 1) * variance**2, 0) / n
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(of_variance) / (2 * np.sqrt(variance))
        return np.where(variance == 0, 0.0, error)

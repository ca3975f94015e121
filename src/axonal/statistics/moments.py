r"""Mean, variance and the error of both from a stream, without keeping the values.

Two summaries merge into the summary of both (Chan, Golub & LeVeque 1983 for the variance; Pébay
2008 for the third and fourth moments), so workers can each see a part, and Welford's one-by-one
update is the merge with a summary of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError
from axonal.statistics.checks import finite


@dataclass(frozen=True)
class Moments:
    r"""The summary of arrays of one shape, element by element.

    Parameters
    ----------
    n
        How many values of each element were seen, 0 and more.
    mean
        Their mean; 0 where none was seen.
    sums
        :math:`\sum (x - \bar x)^k` for k = 2, 3, 4: (3, ...).

    Examples
    --------
    >>> seen = Moments.of([1.0, 2.0]).merge(Moments.of([6.0]))
    >>> float(seen.mean), float(seen.variance)
    (3.0, 7.0)
    """

    n: NDArray[np.float64]
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
            np.full(mean.shape, float(len(array))),
            np.asarray(mean),
            np.stack([np.sum(centred**k, axis=0) for k in (2, 3, 4)]),
        )

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> Moments:
        """Return the summary of no values."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros((3, *shape)))

    def add(self, values: NDArray[np.float64], at: Any = ...) -> None:
        """Take in one value for each element that ``at`` selects, in place; NaN is left out.

        ``at`` names no element twice.
        """
        seen = ~np.isnan(values)
        none = np.zeros((3, *np.shape(values)))
        one = Moments(seen.astype(float), np.where(seen, values, 0.0), none)
        both = Moments(self.n[at], self.mean[at], self.sums[:, at]).merge(one)
        self.n[at], self.mean[at], self.sums[:, at] = both.n, both.mean, both.sums

    def merge(self, other: Moments) -> Moments:
        """Return the summary of both streams; the order does not matter."""
        if self.mean.shape != other.mean.shape:
            raise InputError(
                f"expected values of one shape, got {self.mean.shape} and {other.mean.shape}."
            )
        a, b = self.n, other.n
        n = np.maximum(a + b, 1)
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
        mean = np.where(a > 0, self.mean + d * b / n, other.mean)
        return Moments(a + b, mean, np.stack([second, third, fourth]))

    @property
    def variance(self) -> NDArray[np.float64]:
        """The unbiased variance; NaN of a single value."""
        return np.where(self.n > 1, self.sums[0] / np.maximum(self.n - 1, 1), np.nan)

    @property
    def standard_deviation(self) -> NDArray[np.float64]:
        """The square root of the unbiased variance."""
        return np.sqrt(self.variance)

    @property
    def standard_error(self) -> NDArray[np.float64]:
        """The standard error of the mean."""
        return self.standard_deviation / np.sqrt(np.maximum(self.n, 1))

    @property
    def standard_error_of_deviation(self) -> NDArray[np.float64]:
        r"""The standard error of the standard deviation, for any distribution (large n).

        :math:`\sqrt{(\mu_4 - \frac{n-3}{n-1}\sigma^4)/n}\, /\, 2\sigma`; for a normal
        distribution about :math:`\sigma/\sqrt{2n}`.
        """
        n, variance = np.maximum(self.n, 1), self.variance
        fourth = self.sums[2] / n
        of_variance = np.maximum(fourth - (n - 3) / np.maximum(n - 1, 1) * variance**2, 0) / n
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(of_variance) / (2 * np.sqrt(variance))
        return np.where(variance == 0, 0.0, error)

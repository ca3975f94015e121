"""Means with error bars over repeats: streamed, summarised, or bootstrapped.

The moments are accumulated repeat by repeat, so a sweep that keeps its repeats and one that streams
them give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from axonal.errors import InputError, nearest
from axonal.statistics import Moments

STATISTICS = ("mean", "sd", "se", "sd_se", "low", "high", "n")


def statistics(moments: Moments, level: float, proportion: bool) -> NDArray[np.float64]:
    """Return STATISTICS along a new last axis.

    The interval is Student's, or Wilson's for a proportion.
    """
    from scipy import special

    n, se = moments.n, moments.standard_error
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, moments.mean, np.nan)
        if proportion:
            z = special.ndtri((1 + level) / 2)
            centre = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
            half = z * np.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        else:
            centre, half = mean, special.stdtrit(n - 1, (1 + level) / 2) * se
    spread = [moments.standard_deviation, se, moments.standard_error_of_deviation]
    return np.stack([mean, *spread, centre - half, centre + half, n], axis=-1)


def summarize(
    dataset: xr.Dataset, level: float = 0.95, proportions: Collection[str] = (), dim: str = "repeat"
) -> xr.Dataset:
    """Reduce repeats to statistics with error bars.

    Parameters
    ----------
    dataset
        What a sweep with repeats returned. NaN (a failed repeat) is left out.
    level
        Confidence of the interval ``low`` to ``high``.
    proportions
        Outputs of zeros and ones that get Wilson's interval; booleans do by themselves.
    dim
        Dimension to reduce.

    Returns
    -------
    Dataset whose variables have, in place of ``repeat``, a last dimension ``statistic``: mean, sd,
    se (standard error of the mean), sd_se (standard error of the SD), low, high, n.
    """
    if dim not in dataset.dims:
        raise InputError(
            f"there is no dimension {dim!r} to summarize over: {nearest(dim, map(str, dataset.dims))}"
        )
    for name in proportions:
        if name not in dataset:
            raise InputError(
                f"proportions: there is no {name!r}: {nearest(name, map(str, dataset.data_vars))}"
            )
    result: dict[Any, Any] = {}
    for name, variable in dataset.data_vars.items():
        if dim not in variable.dims:
            result[name] = variable
            continue
        moved = variable.transpose(dim, ...)
        moments = Moments.nothing(moved.shape[1:])
        for values in real(moved.values, str(name)):
            moments.add(values)
        proportion = (
            name in proportions or variable.dtype.kind == "b" or "proportion" in variable.attrs
        )
        result[name] = (
            (*moved.dims[1:], "statistic"),
            statistics(moments, level, proportion),
            variable.attrs,
        )
    coords = {name: c for name, c in dataset.coords.items() if dim not in c.dims}
    return xr.Dataset(result, {**coords, "statistic": list(STATISTICS)}, dataset.attrs)


def real(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return values as floats; complex numbers and strings have no error bar here."""
    if values.dtype.kind not in "biuf":
        raise InputError(f"{name!r} is {values.dtype}: only real outputs can be summarized")
    return values.astype(float)


def bootstrap(
    dataset: xr.Dataset,
    functional: Callable[[xr.Dataset], xr.DataArray],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    dim: str = "repeat",
) -> xr.DataArray:
    """Bootstrap any functional of the repeats (an AUC, a median, a ratio of means).

    ``functional`` takes a dataset with ``repeat`` resampled, the same draw for all variables and
    points, and reduces it to an array. The result has a dimension ``statistic``: mean (the
    functional of the repeats as they are), se, low, high (percentiles).
    """
    count = dataset.sizes[dim]
    rng = np.random.default_rng(seed)
    estimate = functional(dataset)
    draws = np.stack(
        [
            functional(dataset.isel({dim: rng.integers(count, size=count)})).values
            for _ in range(resamples)
        ]
    )
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    parts = [estimate.values, draws.std(axis=0, ddof=1), low, high]
    stacked = xr.DataArray(np.stack(parts, axis=-1), estimate.coords, (*estimate.dims, "statistic"))
    return stacked.assign_coords(statistic=["mean", "se", "low", "high"])


@dataclass(frozen=True)
class Until:
    """Add repeats to each point until its standard error is small enough, or a budget ends.

    Parameters
    ----------
    standard_error
        Stop at a point when the standard error of the mean is below this (of every element).
    of
        The output that is watched; may be left out when there is one.
    at_least, at_most
        Bounds on the repeats of a point. A small ``at_least`` stops too early by luck.
    seconds
        Start no further round after this time.
    """

    standard_error: float
    of: str | None = None
    at_least: int = 20
    at_most: int = 10_000
    seconds: float = math.inf

    def __post_init__(self) -> None:
        if not self.standard_error > 0:
            raise InputError(f"standard_error = {self.standard_error}: expected a positive number")
        if not 2 <= self.at_least <= self.at_most:
            raise InputError(
                f"at_least = {self.at_least}, at_most = {self.at_most}: expected 2 <= at_least <= at_most"
            )

    def watched(self, outputs: Collection[str]) -> str:
        """Return the output whose error decides."""
        if self.of is None and len(outputs) == 1:
            return next(iter(outputs))
        if self.of is None or self.of not in outputs:
            raise InputError(
                f"until: of = {self.of!r} must name the output that is watched, one of {', '.join(outputs) or 'none'}"
            )
        return self.of

    def more(self, errors: NDArray[np.float64], repeats: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return how many repeats each point has after the next round."""
        unmet = (
            errors > self.standard_error
        )  # NaN: nothing but failures so far, not worth repeating
        need = np.ceil(repeats * (np.where(unmet, errors, 1) / self.standard_error) ** 2)
        target = np.clip(need, repeats + self.at_least, 4 * repeats)
        return np.where(unmet, np.minimum(target, self.at_most), repeats).astype(np.intp)

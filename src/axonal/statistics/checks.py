"""The shared look at the door: real, finite numbers of the expected shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.errors import InputError


def finite(values: ArrayLike, name: str, *, dimensions: int | None = None) -> NDArray[np.float64]:
    """Return ``values`` as floats, refusing what is empty, not numeric or not finite.

    Parameters
    ----------
    values
        What came.
    name
        What the caller calls it; the error begins with it.
    dimensions
        The number of dimensions expected; None for any.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name}: expected real numbers, got {array.dtype}.")
    if dimensions is not None and array.ndim != dimensions:
        raise InputError(f"{name}: expected {dimensions} dimension(s), got shape {array.shape}.")
    if array.size == 0:
        raise InputError(f"{name}: expected at least one value, got shape {array.shape}.")
    array = array.astype(np.float64)
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise InputError(
            f"{name}: {bad} of {array.size} values are not finite; remove them, or say why they "
            "are missing before averaging over the others."
        )
    return array


def paired(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two lists of values that belong together one by one."""
    first, second = finite(a, "a", dimensions=1), finite(b, "b", dimensions=1)
    if first.shape != second.shape:
        raise InputError(
            f"a and b are compared pair by pair and need one length, got {first.size} and "
            f"{second.size}."
        )
    return first, second


def fraction(level: Any) -> float:
    """Return a confidence level if it is one."""
    if not 0 < level < 1:
        raise InputError(f"level: expected a number between 0 and 1 (0.95), got {level}.")
    return float(level)

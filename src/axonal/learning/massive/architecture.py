"""Features of a layer in its architecture (arXiv 2508.03616, table 4), and how targets are scaled."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from axonal.errors import InputError

Array = NDArray[np.float64]
GIVEN = ("layer", "layers", "width", "heads", "mlp_width")
ROTARY = ("rotary_base", "rotary_share")
POSITIVE = ("A", "lam", "gamma", "t0", "t_peak", "peak_height", "end_value")


def architecture_features(table: pd.DataFrame) -> pd.DataFrame:
    """Return the paper's features of each layer.

    Parameters
    ----------
    table
        A row a layer: ``layer`` (1-based), ``layers`` (L), ``width`` (d), ``heads`` (H) and
        ``mlp_width``; ``rotary_base`` and ``rotary_share`` where known.

    Returns
    -------
    DataFrame
        ``p = layer / L`` with its square, cube and root; ``H/d``, ``d_ff/d``, ``d/L``, ``H/L``,
        ``ln d``, ``layer * L``; the rotary columns as they are.
    """
    missing = sorted(set(GIVEN) - set(table.columns))
    if missing:
        raise InputError(
            f"The architecture lacks {', '.join(missing)}; expected columns {', '.join(GIVEN)}."
        )
    given = table[[*GIVEN, *(name for name in ROTARY if name in table.columns)]].astype(float)
    numbers = given.to_numpy()
    if not np.all(np.isfinite(numbers)) or np.any(numbers[:, : len(GIVEN)] <= 0):
        raise InputError("The architecture holds numbers that are not finite or not positive.")
    if bool((given["layer"] > given["layers"]).any()):
        raise InputError("The architecture has a layer beyond its model's number of layers.")
    depth = given["layer"] / given["layers"]
    features = pd.DataFrame(
        {
            "p": depth,
            "p^2": depth**2,
            "p^3": depth**3,
            "sqrt p": np.sqrt(depth),
            "H/d": given["heads"] / given["width"],
            "d_ff/d": given["mlp_width"] / given["width"],
            "d/L": given["width"] / given["layers"],
            "H/L": given["heads"] / given["layers"],
            "ln d": np.log(given["width"]),
            "layer * L": given["layer"] * given["layers"],
        }
    )
    return features.join(given[[name for name in ROTARY if name in given.columns]])


class TargetScale:
    """Bring a target to a scale that regressors like: log1p where positive, else Yeo-Johnson.

    The paper takes log1p of A, lam, gamma and t0 and Yeo-Johnson of K. A negative amplitude has no
    logarithm here: the sign is kept, ``sign(y) log1p(|y|)``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._power: object | None = None

    def fit_transform(self, y: Array) -> Array:
        """Learn the scale and return the scaled target, ``(rows,)``."""
        if self.name in POSITIVE:
            return self.transform(y)
        from sklearn.preprocessing import PowerTransformer

        self._power = PowerTransformer("yeo-johnson").fit(y[:, None])
        return self.transform(y)

    def transform(self, y: Array) -> Array:
        """Return the scaled target."""
        if self._power is None:
            return np.sign(y) * np.log1p(np.abs(y))
        return self._power.transform(y[:, None])[:, 0]  # pyright: ignore[reportAttributeAccessIssue]

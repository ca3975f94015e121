"""Known laws: how fast the fitted map finds the true one, and what two moments cannot see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.transport import Gaussian, GaussianTransport, transport_matrix, wasserstein

SEPARATIONS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
"""Distance of two clusters in units of their spread."""


def known_laws(
    width: int, rows: Sequence[int], seeds: int, generator: torch.Generator
) -> xr.Dataset:
    """Fit on rows of two known normal laws, and on rows of two clusters.

    Returns
    -------
    xarray.Dataset
        ``map_error`` ``(seed, rows)``: relative Frobenius distance of the fitted matrix to the
        closed form. ``gaussian_left`` and ``shape_left`` ``(seed, separation)``: what is left of the
        distance to the target after the map, as two moments tell it, and as sorted values along the
        line through the clusters do.
    """
    errors = np.empty((seeds, len(rows)))
    left = np.empty((2, seeds, len(SEPARATIONS)))
    for seed in range(seeds):
        source, target = (_law(width, generator) for _ in range(2))
        exact = transport_matrix(source.covariance, target.covariance)
        roots = [torch.linalg.cholesky(law.covariance) for law in (source, target)]
        for j, n in enumerate(rows):
            x, y = (
                law.mean + _normal(n, width, generator) @ root.mT
                for law, root in zip((source, target), roots, strict=True)
            )
            found = GaussianTransport(None, shrinkage=None, ridge=0).fit(x, y).map_.matrix
            errors[seed, j] = float(torch.linalg.norm(found - exact) / torch.linalg.norm(exact))
        for j, separation in enumerate(SEPARATIONS):
            left[:, seed, j] = _clusters(separation, rows[-1], generator)
    return xr.Dataset(
        {
            "map_error": (("seed", "rows"), errors),
            "gaussian_left": (("seed", "separation"), left[0]),
            "shape_left": (("seed", "separation"), left[1]),
        },
        coords={"rows": list(rows), "separation": list(SEPARATIONS)},
    )


def _clusters(separation: float, n: int, generator: torch.Generator) -> tuple[float, float]:
    """Move two clusters in the plane onto one normal law; return what is left of the distance."""
    x, y = _normal(n, 2, generator), _normal(n, 2, generator)
    x[: n // 2, 0] += separation / 2
    x[n // 2 :, 0] -= separation / 2
    y[:, 0] += 3.0
    moved = GaussianTransport(None, shrinkage=None, ridge=0).fit_transform(x, y)
    before = wasserstein(Gaussian.of(x), Gaussian.of(y))
    moments = wasserstein(Gaussian.of(moved), Gaussian.of(y)) / before
    sorted_before = (x[:, 0].sort().values - y[:, 0].sort().values).square().mean().sqrt()
    sorted_after = (moved[:, 0].sort().values - y[:, 0].sort().values).square().mean().sqrt()
    return float(moments), float(sorted_after / sorted_before)


def _law(width: int, generator: torch.Generator) -> Gaussian:
    """A normal law with a random mean and eigenvalues between 1/4 and 4."""
    axes = torch.linalg.qr(_normal(width, width, generator)).Q
    spread = torch.exp(2 * torch.rand(width, generator=generator, dtype=torch.float64) - 1)
    return Gaussian(_normal(1, width, generator)[0], (axes * spread) @ axes.mT)


def _normal(rows: int, width: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, width, generator=generator, dtype=torch.float64)

"""Populations for the tests: closed formulae where numbers are committed, seeded draws elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def waves(samples: int, units: int, phase: float) -> NDArray[np.float64]:
    """Rows from a formula, so that committed numbers depend on no random generator."""
    i, j = np.arange(1, samples + 1)[:, None], np.arange(1, units + 1)
    return np.cumsum(np.sin(0.7 * i * j**0.5 + phase * j) + phase * np.cos(1.3 * i), axis=1) + phase


def clouds(
    units: int, source: int = 300, target: int = 240, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two normal populations that differ in mean and covariance, moderately conditioned."""
    rng = np.random.default_rng([seed, units])
    mix = [np.eye(units) + 0.4 * rng.normal(size=(units, units)) / units**0.5 for _ in range(2)]
    means = rng.normal(size=(2, units))
    return (
        rng.normal(size=(source, units)) @ mix[0] + means[0],
        1.5 * rng.normal(size=(target, units)) @ mix[1] + means[1],
    )


def definite(units: int, seed: int) -> NDArray[np.float64]:
    """A random symmetric positive definite matrix, with eigenvalues from 0.1 to 10."""
    rng = np.random.default_rng([seed, units])
    vectors = np.linalg.qr(rng.normal(size=(units, units)))[0]
    matrix = (vectors * 10 ** rng.uniform(-1, 1, size=units)) @ vectors.T
    return (matrix + matrix.T) / 2

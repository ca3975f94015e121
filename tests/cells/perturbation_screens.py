"""Small screens that the tests of perturbation responses share."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd


def affine_screen(
    doses=(0.5, 1.0, 2.0), cells: int = 60, *, width: int = 3, seed: int = 0, drug: str = "drug"
) -> anndata.AnnData:
    """Cells of which a dose c makes (1 + c/4) x + c t: a known family of Monge maps."""
    rng = np.random.default_rng(seed)
    shift = np.linspace(1.0, -0.5, width)
    x = rng.normal(size=(cells, width))
    parts, rows = [x], [("control", 0.0)] * cells
    for dose in doses:
        parts.append(affine(x, dose, shift))
        rows += [(drug, dose)] * cells
    return screen_of(np.concatenate(parts), rows)


def affine(x: np.ndarray, dose: float, shift: np.ndarray) -> np.ndarray:
    return (1 + dose / 4) * x + dose * shift


def drug_screen(
    drugs=("a", "b", "c"), doses=(1.0, 10.0), cells: int = 40, *, width: int = 4, seed: int = 0
) -> anndata.AnnData:
    """Cells that each drug moves in a direction of its own, further at larger doses."""
    rng = np.random.default_rng(seed)
    parts, rows = [rng.normal(size=(cells, width))], [("control", 0.0)] * cells
    for drug in drugs:
        direction = rng.normal(size=width)
        for dose in doses:
            parts.append(rng.normal(size=(cells, width)) + np.log10(dose + 1) * direction)
            rows += [(drug, dose)] * cells
    return screen_of(np.concatenate(parts), rows)


def screen_of(values: np.ndarray, rows: list[tuple[str, float]]) -> anndata.AnnData:
    obs = pd.DataFrame(rows, columns=["perturbation", "dose"])
    obs.index = [f"cell{i}" for i in range(len(obs))]
    var = pd.DataFrame(index=[f"gene{i}" for i in range(values.shape[1])])
    return anndata.AnnData(values.astype(np.float32), obs=obs, var=var)

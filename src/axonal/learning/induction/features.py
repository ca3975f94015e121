"""Exemplar features of the few-shot task: simulated, or the user's own array.

The paper (Singh et al. 2024, arXiv 2404.07129, section 2) uses ResNet-18 features of Omniglot
characters, an array of 1623 classes, 5 exemplars and 512 numbers. Two simulations stand in for it,
and :mod:`axonal.learning.induction.glyphs` has letters of real fonts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError, require

#: Where the official feature file keeps its array.
OFFICIAL_DATASET = "resnet18/224/feat"


def gaussian_features(
    classes: int, dim: int = 512, *, exemplars: int = 1, spread: float = 0.1, seed: int = 0
) -> Tensor:
    """Draw each class's centre from N(0, 1), independently in every dimension.

    Parameters
    ----------
    classes, dim, exemplars
        The shape of the result.
    spread
        Standard deviation of the exemplars of a class about their centre; the first is the centre.
    seed
        Of the draw.

    Returns
    -------
    Tensor
        ``(classes, exemplars, dim)``.
    """
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, 1, dim, generator=generator)
    around = torch.randn(classes, exemplars, dim, generator=generator) * spread
    around[:, 0] = 0
    return centres + around


def correlated_features(
    classes: int,
    dim: int = 512,
    *,
    cosine: float = 0.85,
    exemplars: int = 1,
    spread: float = 0.1,
    seed: int = 0,
) -> Tensor:
    """Draw classes that share a direction, as the features of a ReLU network do.

    ``x = sqrt(dim) (sqrt(cosine) m + sqrt(1 - cosine) u)`` with one unit vector ``m`` and, for each
    class, a random unit vector ``u`` orthogonal to it: every class has the norm ``sqrt(dim)``, and two
    classes have the expected cosine ``cosine``.

    Parameters
    ----------
    classes, dim, exemplars, spread, seed
        As for :func:`gaussian_features`.
    cosine
        Between two classes, in [0, 1).

    Returns
    -------
    Tensor
        ``(classes, exemplars, dim)``.
    """
    if not 0 <= cosine < 1:
        raise InputError(
            f"cosine lies in [0, 1), got {cosine}: at 1 all classes would be the same."
        )
    generator = torch.Generator().manual_seed(seed)
    mean = torch.nn.functional.normalize(torch.randn(dim, generator=generator), dim=0)
    own = torch.randn(classes, dim, generator=generator)
    own = torch.nn.functional.normalize(own - (own @ mean)[:, None] * mean, dim=1)
    centres = dim**0.5 * (cosine**0.5 * mean + (1 - cosine) ** 0.5 * own)
    around = torch.randn(classes, exemplars, dim, generator=generator) * spread
    around[:, 0] = 0
    return centres[:, None] + around


def read_features(path: Path | str, dataset: str | None = None) -> Tensor:
    """Read an array ``(classes, exemplars, dim)`` from a ``.npy`` or ``.h5`` file.

    Parameters
    ----------
    path
        The file. An array of two dimensions is one exemplar a class.
    dataset
        The name inside an HDF5 file; by default the official file's, or the only one there is.

    Returns
    -------
    Tensor
        Checked by :func:`check_features`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no feature file at {path}.")
    if path.suffix == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except ValueError as error:
            raise InputError(f"{path} is not an array of numbers: {error}") from None
    elif path.suffix in (".h5", ".hdf5"):
        array = _from_hdf5(path, dataset)
    else:
        raise InputError(f"Features are read from .npy or .h5 files, got {path.name}.")
    if array.ndim == 2:
        array = array[:, None]
    return check_features(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)))


def check_features(features: Tensor) -> Tensor:
    """Return the features as float32, or say why no task can be built on them."""
    features = torch.as_tensor(features).float()
    if features.ndim != 3:
        raise InputError(
            f"Features have the shape (classes, exemplars, dim), got {tuple(features.shape)}."
        )
    if not bool(features.isfinite().all()):
        bad = (~features.isfinite()).any(-1).any(-1).sum()
        raise InputError(
            f"Features hold NaN or infinity, in {int(bad)} of {len(features)} classes."
        )
    centres = features[:, 0]
    constant = centres.std(-1) == 0 if centres.shape[-1] > 1 else torch.zeros(len(centres)).bool()
    if bool(constant.any()):
        raise InputError(
            f"Class {int(constant.nonzero()[0])} has the same number in every dimension, so nothing "
            "tells it by."
        )
    _, which, counts = torch.unique(centres, dim=0, return_inverse=True, return_counts=True)
    if bool((counts > 1).any()):
        same = (which == int(counts.argmax())).nonzero().flatten().tolist()[:2]
        raise InputError(
            f"Classes {same[0]} and {same[1]} have the same features, so the task has no solution: "
            "remove one of them."
        )
    return features


def _from_hdf5(path: Path, dataset: str | None) -> np.ndarray:
    h5py = require("h5py", "learning")
    names: list[str] = []
    with h5py.File(path, "r") as file:  # pyright: ignore[reportAttributeAccessIssue]
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        if dataset is None:
            dataset = OFFICIAL_DATASET if OFFICIAL_DATASET in names else None
            dataset = names[0] if dataset is None and len(names) == 1 else dataset
        if dataset not in names:
            raise InputError(
                f"{path.name} holds the arrays {', '.join(names) or 'none'}: name the features' with "
                "dataset=..."
            )
        return np.asarray(file[dataset])

"""The space in which cells are moved, and the way back to what was measured: linear ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


class LatentSpace(ABC):
    """Where the map acts: fitted on cells, encodes them and decodes what the map makes of them."""

    kind: ClassVar[str]

    @abstractmethod
    def fit(self, cells: np.ndarray, *, seed: int = 0, **training: Any) -> None:
        """Learn the space from cells ``(cells, features)``."""

    @abstractmethod
    def encode(self, cells: np.ndarray) -> np.ndarray:
        """Return coordinates ``(cells, width)``."""

    @abstractmethod
    def decode(self, coordinates: np.ndarray) -> np.ndarray:
        """Return features ``(cells, features)``."""

    @abstractmethod
    def parameters_as_numbers(self) -> dict[str, Any]:
        """Return what makes an equal space before it is fitted."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return what was learned."""

    @abstractmethod
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what was learned."""


class Features(LatentSpace):
    """The measured features themselves (the paper's choice for 4i)."""

    kind = "features"

    def fit(self, cells: np.ndarray, *, seed: int = 0, **training: Any) -> None:
        """Learn nothing."""
        del cells, seed, training

    def encode(self, cells: np.ndarray) -> np.ndarray:
        """Return the features."""
        return cells

    def decode(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the features."""
        return coordinates

    def parameters_as_numbers(self) -> dict[str, Any]:
        """Return nothing: there is no choice."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take nothing."""


class PrincipalComponents(LatentSpace):
    """Principal components: encode ``(x - m) V``, decode ``z V' + m``.

    Parameters
    ----------
    components
        Their number; at most that of the features.
    """

    kind = "principal components"

    def __init__(self, components: int = 50) -> None:
        if components < 1:
            raise InputError(f"components is a positive number, got {components}.")
        self.components = components
        self._given = False
        self.mean_ = np.empty(0, np.float32)
        self.axes_ = np.empty((0, 0), np.float32)

    def fit(self, cells: np.ndarray, *, seed: int = 0, **training: Any) -> None:
        """Take the leading right singular vectors of the centred cells."""
        del seed, training  # nothing is random
        if self._given:
            return
        if self.components > min(cells.shape):
            raise InputError(
                f"components={self.components} is more than {cells.shape[0]} cells of "
                f"{cells.shape[1]} features have."
            )
        x = cells.astype(np.float64)
        self.mean_ = x.mean(0).astype(np.float32)
        x -= x.mean(0)
        axes = _leading(x, self.components)
        largest = axes[np.abs(axes).argmax(0), range(axes.shape[1])]
        # A sign that is always the same.
        self.axes_ = np.ascontiguousarray(axes * np.sign(largest), dtype=np.float32)

    @classmethod
    def from_scanpy(cls, adata: AnnData) -> PrincipalComponents:
        """Return the components that ``scanpy.pp.pca`` left in ``adata.varm["PCs"]``."""
        from axonal.cells.perturbation.screen import dense

        if "PCs" not in adata.varm:
            raise InputError(
                "adata.varm has no 'PCs': run scanpy.pp.pca, or PrincipalComponents(50)."
            )
        axes = np.asarray(adata.varm["PCs"], dtype=np.float32)
        space = cls(axes.shape[1])
        space.mean_, space.axes_ = dense(adata).mean(axis=0), axes
        space._given = True
        return space

    def encode(self, cells: np.ndarray) -> np.ndarray:
        """Return the components of cells."""
        return (cells - self.mean_) @ self.axes_

    def decode(self, coordinates: np.ndarray) -> np.ndarray:
        """Return features."""
        return coordinates @ self.axes_.T + self.mean_

    def parameters_as_numbers(self) -> dict[str, Any]:
        """Return the number of components."""
        return {"components": self.components}

    def tensors(self) -> dict[str, Tensor]:
        """Return mean and axes."""
        return {"mean": torch.from_numpy(self.mean_), "axes": torch.from_numpy(self.axes_)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put mean and axes back."""
        self.mean_, self.axes_ = tensors["mean"].numpy(), tensors["axes"].numpy()


def _leading(centred: np.ndarray, count: int) -> np.ndarray:
    """Return leading right singular vectors, ``(features, count)``.

    Not ``torch.linalg.eigh``: genes that never vary are many equal eigenvalues, where its divide
    and conquer gives up on some machines with two threads.
    """
    from scipy.linalg import eigh

    width = centred.shape[1]
    if len(centred) < width:
        return np.linalg.svd(centred, full_matrices=False)[2][:count].T
    span = [width - count, width - 1]
    return eigh(centred.T @ centred, driver="evr", subset_by_index=span)[1][:, ::-1]

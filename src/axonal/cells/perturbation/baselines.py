"""What a conditional map has to beat: simpler predictions of a treated population.

All work in the latent space of a fitted map and know the training treatments only. For a treatment
that was not in training they take the nearest one, by its context vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from axonal.cells.perturbation.monge import ConditionalMongeMap
from axonal.cells.perturbation.screen import Screen, Treatment
from axonal.errors import InputError
from axonal.transport import GaussianTransport

if TYPE_CHECKING:
    from axonal.cells.perturbation.encoding import Encoding


class ReferencePredictions:
    """Simple predictions from the training cells.

    Parameters
    ----------
    latent
        Coordinates of all cells ``(cells, width)``.
    screen
        The training cells.
    encoding
        By which treatments are near or far; each column counts in units of its spread.
    seed
        Of the cells that are copied.
    """

    def __init__(
        self, latent: np.ndarray, screen: Screen, encoding: Encoding, *, seed: int = 0
    ) -> None:
        self._latent, self._screen, self._encoding, self._seed = latent, screen, encoding, seed
        self._treatments = list(screen.treated)
        self._vectors = self._mean_tokens(self._treatments)
        spread = self._vectors.std(0)
        self._spread = np.where(spread > 0, spread, 1.0)

    def identity(self, control: np.ndarray) -> np.ndarray:
        """Return the cells as they are: the treatment does nothing."""
        return control

    def mean_shift(self, control: np.ndarray, treatment: Treatment) -> np.ndarray:
        """Return the cells moved by the mean effect of the nearest training treatment."""
        return control + (self._cells(treatment).mean(0) - self._control().mean(0))

    def gaussian_map(self, control: np.ndarray, treatment: Treatment) -> np.ndarray:
        """Return the cells moved by the optimal affine map to the nearest training treatment."""
        transport = GaussianTransport(None, massive="keep", shrinkage=None, ridge=1e-6)
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of stretches: the map is a baseline
            transport.fit(self._control(), self._cells(treatment))
        return np.asarray(transport.transform(control))

    def nearest_condition(self, control: np.ndarray, treatment: Treatment) -> np.ndarray:
        """Return cells of the nearest training treatment, as many as came, drawn with replacement."""
        rng = np.random.default_rng(self._seed)
        cells = self._cells(treatment)
        return cells[rng.integers(len(cells), size=len(control))]

    def nearest(self, treatment: Treatment) -> Treatment:
        """Return the training treatment whose context vector is nearest."""
        if treatment in self._screen.treated:
            return treatment
        vector = self._mean_tokens([treatment])
        away = np.linalg.norm((self._vectors - vector) / self._spread, axis=1)
        return self._treatments[int(away.argmin())]

    def _mean_tokens(self, treatments: list[Treatment]) -> np.ndarray:
        tokens, present = self._encoding.encode(treatments)
        weights = present.float()[..., None]
        return ((tokens * weights).sum(1) / weights.sum(1)).double().numpy()

    def _cells(self, treatment: Treatment) -> np.ndarray:
        return self._latent[self._screen.treated[self.nearest(treatment)]]

    def _control(self) -> np.ndarray:
        return self._latent[self._screen.control]


class MeanRegressor(ConditionalMongeMap):
    """The same network, fitted to means alone: what a model of mean effects can and cannot do.

    The loss is the squared distance between the mean of the mapped cells and that of the treated
    ones; there is no transport in it.
    """

    @override
    def loss(self, network: Any, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the squared distance of the means."""
        mapped = network(batch["source"], batch["context"], batch["present"])
        value = (mapped.mean(1) - batch["target"].mean(1)).square().sum(-1).mean()
        return value, {"fit": value, "gap": torch.zeros(())}


def two_samples(cells: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two random halves of a population: a prediction cannot be nearer than they are."""
    if len(cells) < 4:
        raise InputError(f"Two halves need at least four cells, got {len(cells)}.")
    order = np.random.default_rng(seed).permutation(len(cells))
    middle = len(cells) // 2
    return cells[order[:middle]], cells[order[middle : 2 * middle]]

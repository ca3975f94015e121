"""The paper's autoencoder of cells: data-512-512-50-512-512-data, GELU, mean squared error."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from axonal.cells.perturbation.latent import LatentSpace
from axonal.cells.perturbation.network import gelu, lecun_normal
from axonal.errors import InputError


class Autoencoder(LatentSpace):
    """The paper's autoencoder.

    Parameters
    ----------
    width
        Coordinates of a cell in the middle.
    hidden
        Widths of the hidden layers of the encoder; those of the decoder are equal.
    epochs
        Passes over the cells.
    batch_size
        Cells a step.
    learning_rate, weight_decay
        Of AdamW; the rate rises over 100 steps and falls along a cosine to 1e-5.
    """

    kind = "autoencoder"

    def __init__(
        self,
        width: int = 50,
        hidden: tuple[int, ...] = (512, 512),
        *,
        epochs: int = 50,
        batch_size: int = 512,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-5,
    ) -> None:
        if min(width, epochs, batch_size, *hidden) < 1:
            raise InputError("Autoencoder: width, hidden, epochs and batch_size are positive.")
        self.width, self.hidden, self.epochs, self.batch_size = (
            width,
            tuple(hidden),
            epochs,
            batch_size,
        )
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.network_: nn.ModuleDict | None = None

    def fit(self, cells: np.ndarray, *, seed: int = 0, **training: Any) -> None:
        """Minimise the mean squared error of reconstruction."""
        from axonal.training import Shuffled, cosine, train

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network_ = self._network(cells.shape[1])
        batches = Shuffled(torch.from_numpy(cells), min(self.batch_size, len(cells)), seed)
        steps = self.epochs * batches.per_epoch
        rise = min(100, steps // 2)

        def optimizer(parameters: Any) -> torch.optim.Optimizer:
            return torch.optim.AdamW(
                parameters, lr=self.learning_rate, weight_decay=self.weight_decay
            )

        def loss(network: Any, batch: Tensor) -> Tensor:
            return (network(batch) - batch).square().mean()

        final = min(1.0, 1e-5 / self.learning_rate)
        whole = nn.Sequential(self.network_["encoder"], self.network_["decoder"])
        train(
            whole,
            loss,
            batches,
            steps=steps,
            optimizer=optimizer,
            schedule=cosine(steps, rise=rise, final=final),
            seed=seed,
            **training,
        )
        whole.to("cpu")

    def encode(self, cells: np.ndarray) -> np.ndarray:
        """Return the coordinates in the middle."""
        return self._through("encoder", cells)

    def decode(self, coordinates: np.ndarray) -> np.ndarray:
        """Return features."""
        return self._through("decoder", coordinates)

    def parameters_as_numbers(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "width": self.width,
            "hidden": list(self.hidden),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights."""
        return dict(self._fitted().state_dict())

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put the weights back."""
        features = tensors[f"decoder.{2 * len(self.hidden)}.bias"].shape[0]
        self.network_ = self._network(features)
        self.network_.load_state_dict(tensors)

    def _network(self, features: int) -> nn.ModuleDict:
        inward = [features, *self.hidden, self.width]
        outward = [self.width, *reversed(self.hidden), features]
        return nn.ModuleDict({"encoder": _perceptron(inward), "decoder": _perceptron(outward)})

    def _fitted(self) -> nn.ModuleDict:
        if self.network_ is None:
            raise InputError("The autoencoder is not fitted yet: call fit first.")
        return self.network_

    @torch.no_grad()
    def _through(self, half: str, values: np.ndarray) -> np.ndarray:
        network = self._fitted()[half]
        rows = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        return torch.cat([network(part) for part in rows.split(8192)]).numpy()


class _Gelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return gelu(x)


def _perceptron(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in itertools.pairwise(sizes):
        layer = nn.Linear(into, out)
        lecun_normal(layer)
        layers += [layer, _Gelu()]
    return nn.Sequential(*layers[:-1])

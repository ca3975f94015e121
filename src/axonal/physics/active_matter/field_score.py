"""The score of a diffusion with few coordinates, learned by an MLP: any drift, any state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.physics.active_matter.fitting import fit
from axonal.physics.active_matter.losses import implicit_loss
from axonal.physics.active_matter.networks import PeriodicMLP, linear
from axonal.training import History, Shuffled
from axonal.transport import Diffusion, denoising_score_matching
from axonal.transport.score import Field


class FieldScore:
    """A score on states ``(n, d)``: call it, or give it to a :class:`~axonal.transport.Diffusion`.

    Parameters
    ----------
    process
        Whose stationary density it is of.
    network
        ``(n, d)`` to ``(n, d)``.
    shift
        A field that is added, such as the score of a simpler process.
    """

    def __init__(self, process: Diffusion, network: nn.Module, shift: Field | None = None) -> None:
        self.process, self.network, self.shift = process, network, shift

    @classmethod
    def mlp(
        cls,
        process: Diffusion,
        *,
        periods: Sequence[float | None] | None = None,
        odd: bool = False,
        shift: Field | None = None,
        width: int = 64,
        hidden: int = 3,
        seed: int = 0,
    ) -> FieldScore:
        """Return an untrained MLP with a network of its own for each component.

        Parameters
        ----------
        process
            Of ``d`` coordinates.
        periods
            The period of each coordinate that has one, None for the others.
        odd
            Whether the score changes sign with the state, as it does where the process has that
            symmetry.
        shift
            Added to the network.
        width, hidden
            Of the hidden layers, and their number; the paper has 4 of 256.
        seed
            Of the weights.
        """
        coordinates = len(process.diffusion)
        periods = [None] * coordinates if periods is None else list(periods)
        if len(periods) != coordinates:
            raise InputError(
                f"periods: one entry a coordinate, {coordinates}, expected; got {len(periods)}."
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(process, PeriodicMLP(periods, width, hidden, odd=odd), shift)

    @classmethod
    def linear(cls, process: Diffusion, *, seed: int = 0) -> FieldScore:
        """Return an untrained linear score, which is enough where the density is Gaussian."""
        coordinates = len(process.diffusion)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(process, linear(coordinates, coordinates))

    def __call__(self, z: Tensor) -> Tensor:
        """Return the score at states ``(n, d)``."""
        weight = next(self.network.parameters())
        return self._through(self.network, z.to(weight)).to(z)

    def fit(
        self,
        z: Tensor,
        *,
        loss: Literal["implicit", "denoising"] = "implicit",
        stationarity: float = 0.0,
        noise: float | None = None,
        steps: int = 2400,
        batch: int = 2048,
        lr: float = 1e-3,
        decay: float = 0.99,
        seed: int = 0,
        folder: Path | str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> History:
        """Learn the score from stationary states.

        Parameters
        ----------
        z
            ``(n, d)``.
        loss
            ``"implicit"`` with exact divergences, or ``"denoising"`` at a noise.
        stationarity
            Weight of the stationarity residual, for ``"implicit"``.
        noise
            For ``"denoising"``: well below the narrowest width of the density.
        steps, batch, lr, decay, seed, folder, progress
            Of the training.
        """
        z = torch.as_tensor(z)
        if z.ndim != 2 or z.shape[1] != len(self.process.diffusion):
            raise InputError(
                f"z: expected states (n, {len(self.process.diffusion)}), got {tuple(z.shape)}."
            )
        if not len(z) or not bool(torch.isfinite(z).all()):
            raise InputError("z: expected finite states, at least one; it has a NaN, or none.")
        check_loss(loss, stationarity, noise)
        weight = next(self.network.parameters())
        states = z.to(weight)
        known = {"z": states}
        if loss == "implicit":
            known["drift"] = self.process.drift(z).detach().to(weight)
            known["divergence"] = self.process.drift_divergence(z).sum(dim=1).to(weight)
        diffusion = self.process.diffusion.to(weight)

        def value(network: nn.Module, drawn: dict[str, Tensor]) -> Tensor:
            def score(at: Tensor) -> Tensor:
                return self._through(network, at)

            if noise is not None:
                return denoising_score_matching(score, drawn["z"], noise) / z.shape[1]
            return implicit_loss(
                score,
                drawn["z"],
                drift=drawn["drift"],
                drift_divergence=drawn["divergence"],
                noise=diffusion,
                stationarity=stationarity,
            )

        return fit(
            self.network,
            value,
            Shuffled(known, min(batch, len(states)), seed),
            steps=steps,
            lr=lr,
            decay=decay,
            seed=seed,
            folder=folder,
            progress=progress,
        )

    def _through(self, network: nn.Module, z: Tensor) -> Tensor:
        value = network(z)
        return value if self.shift is None else value + self.shift(z)


def check_loss(loss: str, stationarity: float, noise: float | None) -> None:
    """Say what is wrong with the choice of a loss."""
    if loss not in ("implicit", "denoising"):
        raise InputError(f"loss is 'implicit' or 'denoising', got {loss!r}.")
    if loss == "implicit" and noise is not None:
        raise InputError("noise belongs to loss='denoising'; the implicit loss adds none.")
    if loss == "denoising" and not (noise is not None and 0 < noise < float("inf")):
        raise InputError(f"loss='denoising' takes a positive noise, got {noise}.")
    if stationarity and loss != "implicit":
        raise InputError("The stationarity term needs divergences: take loss='implicit'.")
    if not 0 <= stationarity < float("inf"):
        raise InputError(f"stationarity is a weight that is not negative, got {stationarity}.")

"""An encoder that reads fingerprints, and shape moments if asked: seconds to train on one core.

Its start stands in for a pre-trained network: principal components of the unlabelled molecules'
features, to which a residual network, zero at first, is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from axonal.errors import InputError
from axonal.molecules.conformers import embed_all
from axonal.molecules.fingerprints import counts, usrcat

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from axonal.molecules.tokens import TokenReport

MOMENTS = 60


class DescriptorEncoder(nn.Module):
    """Embed molecules from counted circular substructures (and USRCAT moments).

    Parameters
    ----------
    bits, radius
        Of the Morgan fingerprint; ``log(1 + count)`` is the feature.
    shape_moments
        Whether the 60 USRCAT moments of a conformer are features too.
    hidden
        Width of the residual network.
    dimension
        Of the embedding; at most the number of features.
    pretrained
        Whether it starts from principal components (``start``); else from random weights.
    dropout
        On the features, in training.
    seed
        Of the initial weights.
    """

    kind = "descriptors"
    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        *,
        bits: int = 1024,
        radius: int = 2,
        shape_moments: bool = False,
        hidden: int = 256,
        dimension: int = 256,
        pretrained: bool = True,
        dropout: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.bits, self.radius, self.shape_moments = bits, radius, shape_moments
        self.hidden, self.dimension, self.pretrained = hidden, dimension, pretrained
        self.dropout = dropout
        inputs = bits + MOMENTS * shape_moments
        if not 1 <= dimension <= inputs:
            raise InputError(f"dimension: expected between 1 and {inputs}, got {dimension}.")
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.started = False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.components = nn.Linear(inputs, dimension, bias=False)
            self.residual = nn.Sequential(
                nn.Linear(dimension, hidden), nn.GELU(), nn.Linear(hidden, dimension)
            )
        self.components.weight.requires_grad_(not pretrained)  # stays as it was "pre-trained"
        if pretrained:
            last = self.residual[2]
            nn.init.zeros_(last.weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(last.bias)  # pyright: ignore[reportArgumentType]

    def settings(self) -> dict[str, Any]:
        """Return what makes an encoder like this one."""
        names = ("bits", "radius", "shape_moments", "hidden", "dimension", "pretrained", "dropout")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of_settings(cls, settings: dict[str, Any]) -> DescriptorEncoder:
        """Make an encoder of what ``settings`` returned."""
        return cls(**settings)

    def featurise(
        self,
        mols: Sequence[Mol],
        *,
        seed: int = 0,
        report: TokenReport | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> tuple[dict[str, Tensor], list[int]]:
        """Return the features, and the positions of the molecules that have them."""
        del report
        kept = list(range(len(mols)))
        if not self.shape_moments:
            return {"values": torch.from_numpy(counts(mols, self.radius, self.bits))}, kept
        made, kept = embed_all(mols, seed=seed, progress=progress)
        if not made:
            raise InputError(
                f"None of {len(mols)} molecules could be embedded in three dimensions."
            )
        flat = torch.from_numpy(counts([mols[i] for i in kept], self.radius, self.bits))
        return {"values": torch.cat([flat, torch.from_numpy(usrcat(made))], dim=1)}, kept

    @torch.no_grad()
    def start(self, features: dict[str, Tensor]) -> None:
        """Take the scale of the features, and their principal components, from molecules.

        Counts keep their own scale, as in a cosine of fingerprints; moments, whose units differ,
        are standardised and together weigh as much as the counts.
        """
        values = features["values"]
        self.started = True
        if self.shape_moments:
            moments = values[:, self.bits :]
            spread = moments.std(0).clamp_min(1e-6)
            weight = (values[:, : self.bits].var(0).sum() / MOMENTS).sqrt().clamp_min(1e-6)
            self.centre[self.bits :] = moments.mean(0)
            self.scale[self.bits :] = spread / weight
        if self.pretrained:
            scaled = (values - self.centre) / self.scale
            self.components.weight.copy_(_principal(scaled, self.dimension))

    @torch.no_grad()
    def load_components(self, other: DescriptorEncoder) -> None:
        """Take scale and principal components of another encoder of the same features."""
        for name in ("centre", "scale"):
            getattr(self, name).copy_(getattr(other, name))
        self.components.weight.copy_(other.components.weight)
        self.started = True

    def prepare(self, features: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Return what a training step sees: features with a share of them left out."""
        values = features["values"]
        if not self.dropout:
            return features
        kept = torch.rand(values.shape, generator=generator) >= self.dropout
        return {"values": values * kept / (1 - self.dropout)}

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Return unit vectors, ``(molecules, dimension)``."""
        x = self.components((features["values"] - self.centre) / self.scale)
        x = x / x.norm(dim=1, keepdim=True).clamp_min(1e-7)
        return functional.normalize(x + self.residual(x * self.dimension**0.5), dim=1)


def _principal(values: Tensor, count: int) -> Tensor:
    """Return leading eigenvectors of the uncentred second moment, ``(count, features)``.

    Uncentred, since that keeps cosines of counts best. Not ``torch.linalg.eigh``: where most
    eigenvalues are zero, its divide and conquer gives up on some machines with two threads.
    """
    from scipy.linalg import eigh

    rows = values.double().cpu().numpy()
    width = rows.shape[1]
    if len(rows) >= width:
        span = [width - count, width - 1]
        vectors = eigh(rows.T @ rows, driver="evr", subset_by_index=span)[1][:, ::-1]
    else:  # all of it lies in the span of a few molecules; the rest is any basis
        basis, inner = np.linalg.qr(rows.T)
        vectors = (basis @ eigh(inner @ inner.T, driver="evr")[1][:, ::-1])[:, :count]
        if (rest := count - vectors.shape[1]) > 0:
            further = np.random.default_rng(0).standard_normal((width, rest))
            further = np.linalg.qr(np.hstack([vectors, further]))[0][:, -rest:]
            vectors = np.hstack([vectors, further])
    return torch.from_numpy(np.ascontiguousarray(vectors.T))

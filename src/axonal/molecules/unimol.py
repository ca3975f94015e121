r"""Uni-Mol's encoder of a molecule in space, in plain torch (Zhou et al., ICLR 2023).

Tokens and pairwise distances go in, one unit vector comes out, so that rotating, moving or mirroring
the molecule changes nothing (which means that **enantiomers are one molecule to it**). A pair's
distance :math:`d_{ij}` is read through an affine map of its own kind of edge and a Gaussian basis,

.. math:: \phi_k(m_t d_{ij} + b_t) = \mathcal N(\cdot;\; \mu_k, |\sigma_k| + 10^{-5}),

which two linear maps turn into a bias for each attention head. The attention logits of a layer are
the bias of the next: the pair representation. The names of the parameters are those of the public
weights, which therefore load as they are (:mod:`axonal.molecules.unimol_weights`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from axonal.errors import InputError
from axonal.molecules.conformers import embed_all, heavy_atoms
from axonal.molecules.tokens import PAD, VOCABULARY, TokenReport, corrupt, tokenise

if TYPE_CHECKING:
    from rdkit.Chem import Mol

PI = 3.14159  # as the public weights were trained


@dataclass(frozen=True)
class UniMolShape:
    """The size of an encoder; the defaults are the paper's, 47.7 million parameters.

    Parameters
    ----------
    layers, width, feed_forward, heads
        Of the transformer.
    kernels
        Gaussians of the distance basis.
    dimension
        Of the embedding.
    dropout
        Of embeddings, attention and residual branches.
    """

    layers: int = 15
    width: int = 512
    feed_forward: int = 2048
    heads: int = 64
    kernels: int = 128
    dimension: int = 768
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InputError(f"width: expected a multiple of heads={self.heads}, got {self.width}.")


class UniMolEncoder(nn.Module):
    """Embed molecules from their atoms and a conformer.

    Parameters
    ----------
    shape
        Its size.
    conformers
        Made for each molecule; one is drawn a training step, all are averaged for a search.
    optimise
        Whether conformers are relaxed with MMFF94.
    own_coordinates
        Whether coordinates that a file brings are kept.
    corruption
        Share of atoms masked and shaken in training.
    seed
        Of the initial weights.
    """

    kind = "unimol"

    def __init__(
        self,
        shape: UniMolShape | None = None,
        *,
        conformers: int = 1,
        optimise: bool = True,
        own_coordinates: bool = False,
        corruption: float = 0.15,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.shape = shape = shape or UniMolShape()
        self.conformers, self.optimise = conformers, optimise
        self.own_coordinates, self.corruption = own_coordinates, corruption
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embed_tokens = nn.Embedding(len(VOCABULARY), shape.width, PAD)
            self.encoder = _Transformer(shape)
            self.gbf = _GaussianBasis(shape.kernels, len(VOCABULARY) ** 2)
            self.gbf_proj = _Head(shape.kernels, shape.heads)
            self.mol_linear = nn.Linear(shape.width, shape.dimension)
            self.apply(_initialise)
            self.gbf.reset()

    @classmethod
    def small(cls, **options: Any) -> UniMolEncoder:
        """Return an encoder that trains on a laptop: 4 layers of width 128, 16 heads."""
        return cls(UniMolShape(4, 128, 256, 16, 64, 128), **options)

    @property
    def dimension(self) -> int:
        """Of the embedding."""
        return self.shape.dimension

    def settings(self) -> dict[str, Any]:
        """Return what makes an encoder like this one."""
        return {
            "shape": asdict(self.shape),
            "conformers": self.conformers,
            "optimise": self.optimise,
            "own_coordinates": self.own_coordinates,
            "corruption": self.corruption,
        }

    @classmethod
    def of_settings(cls, settings: dict[str, Any]) -> UniMolEncoder:
        """Make an encoder of what ``settings`` returned."""
        options = {name: value for name, value in settings.items() if name != "shape"}
        return cls(UniMolShape(**settings["shape"]), **options)

    def featurise(
        self,
        mols: Sequence[Mol],
        *,
        seed: int = 0,
        report: TokenReport | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> tuple[dict[str, Tensor], list[int]]:
        """Return tokens and coordinates, and the positions of the molecules that could be embedded."""
        made, kept = embed_all(
            mols,
            self.conformers,
            seed=seed,
            optimise=self.optimise,
            own=self.own_coordinates,
            progress=progress,
        )
        if not made:
            raise InputError(
                f"None of {len(mols)} molecules could be embedded in three dimensions."
            )
        return tokenise([heavy_atoms(mol) for mol in made], seed=seed, report=report), kept

    def prepare(self, features: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Return what a training step sees: one conformer a molecule, corrupted."""
        tokens, places = features["tokens"], features["coordinates"]
        drawn = torch.randint(places.shape[1], (len(tokens),), generator=generator)
        places = places[torch.arange(len(tokens)), drawn]
        if self.corruption:
            tokens, places = corrupt(tokens, places, generator, share=self.corruption)
        return {"tokens": tokens, "coordinates": places[:, None]}

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Return unit vectors, ``(molecules, dimension)``.

        Parameters
        ----------
        features
            ``tokens (molecules, length)``, ``coordinates (molecules, conformers, length, 3)``.
        """
        tokens, places = features["tokens"], features["coordinates"]
        longest = int((tokens != PAD).sum(1).max())
        tokens, places = tokens[:, :longest], places[:, :, :longest]
        per = [self._embed(tokens, places[:, c]) for c in range(places.shape[1])]
        if len(per) == 1:
            return per[0]
        return functional.normalize(torch.stack(per).mean(0), dim=1)

    def _embed(self, tokens: Tensor, places: Tensor) -> Tensor:
        distance = (places[:, :, None] - places[:, None]).square().sum(-1)
        # The root's slope at 0 is infinite, and 0 it is on the diagonal.
        distance = torch.where(distance > 0, distance.clamp_min(1e-12).sqrt(), 0.0)
        edge = tokens[:, :, None] * len(VOCABULARY) + tokens[:, None]
        bias = self.gbf_proj(self.gbf(distance, edge)).permute(0, 3, 1, 2)
        hidden = self.encoder(self.embed_tokens(tokens), bias, tokens == PAD)
        vector = self.mol_linear(hidden[:, 0])
        return vector / (vector.norm(dim=1, keepdim=True) + 1e-7)


class _GaussianBasis(nn.Module):
    def __init__(self, kernels: int, edges: int) -> None:
        super().__init__()
        self.means, self.stds = nn.Embedding(1, kernels), nn.Embedding(1, kernels)
        self.mul, self.bias = nn.Embedding(edges, 1), nn.Embedding(edges, 1)

    def reset(self) -> None:
        """Start as the basis is meant to: kernels between 0 and 3, distances as they are."""
        nn.init.uniform_(self.means.weight, 0, 3)
        nn.init.uniform_(self.stds.weight, 0, 3)
        nn.init.ones_(self.mul.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, distance: Tensor, edge: Tensor) -> Tensor:
        x = self.mul(edge) * distance[..., None] + self.bias(edge)
        std = self.stds.weight[0].abs() + 1e-5
        return torch.exp(-0.5 * ((x - self.means.weight[0]) / std).square()) / (
            math.sqrt(2 * PI) * std
        )


class _Head(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(inputs, inputs), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(functional.gelu(self.linear1(x)))


class _Transformer(nn.Module):
    def __init__(self, shape: UniMolShape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.emb_layer_norm = nn.LayerNorm(shape.width)
        self.final_layer_norm = nn.LayerNorm(shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))

    def forward(self, x: Tensor, bias: Tensor, padding: Tensor) -> Tensor:
        x = functional.dropout(self.emb_layer_norm(x), self.dropout, self.training)
        x = x * ~padding[..., None]
        bias = bias.masked_fill(padding[:, None, None], -math.inf)
        for layer in self.layers:
            x, bias = layer(x, bias)
        return self.final_layer_norm(x)


class _Layer(nn.Module):
    def __init__(self, shape: UniMolShape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.self_attn = _Attention(shape)
        self.self_attn_layer_norm = nn.LayerNorm(shape.width)
        self.fc1 = nn.Linear(shape.width, shape.feed_forward)
        self.fc2 = nn.Linear(shape.feed_forward, shape.width)
        self.final_layer_norm = nn.LayerNorm(shape.width)

    def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        attended, bias = self.self_attn(self.self_attn_layer_norm(x), bias)
        x = x + functional.dropout(attended, self.dropout, self.training)
        inner = self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))
        return x + functional.dropout(inner, self.dropout, self.training), bias


class _Attention(nn.Module):
    def __init__(self, shape: UniMolShape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.in_proj = nn.Linear(shape.width, 3 * shape.width)
        self.out_proj = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, width = x.shape
        q, k, v = self.in_proj(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        logits = q @ k.mT / math.sqrt(width // self.heads) + bias
        weights = functional.dropout(logits.softmax(-1), self.dropout, self.training)
        return self.out_proj((weights @ v).transpose(1, 2).reshape(batch, length, width)), logits


def _initialise(module: nn.Module) -> None:
    """Start as BERT does: N(0, 0.02), zero bias, zero padding row."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()

"""The attention-only transformer of the paper, with every intermediate a named node.

Singh et al. 2024 (arXiv 2404.07129), section 2.2: causal attention with rotary positions, LayerNorm
before each attention and before the unembedding, residual connections, no MLP. A leading axis holds
an ensemble: one model for each seed, trained by one optimiser; a seed's weights are the same alone
and in company.

A node is an identity module, so that its path is a site of :mod:`axonal.activations`: it can be
recorded, edited, and clamped (:mod:`axonal.learning.induction.clamps`). Layers are counted from 1 as
in the paper, heads from 0.

==================  =====================================================  =======================
node                what flows                                             shape
==================  =====================================================  =======================
``examples``        exemplars and query                                    as given
``labels``          labels; the last, the target, is not seen              as given
``embedding``       ``x_1 y_1 ... x_q``                                    (seeds, batch, T, d)
``layerL.qk_input`` the stream that queries and keys read                  (seeds, batch, T, d)
``layerL.v_input``  the stream that values read                            (seeds, batch, T, d)
``layerL.q .k .v``  after rotation                                         (seeds, batch, heads, T, d / heads)
``layerL.scores``   before the softmax, -inf where masked                  (seeds, batch, heads, T, T)
``layerL.pattern``  attention                                              (seeds, batch, heads, T, T)
``layerL.heads``    what each head attended to                             (seeds, batch, heads, T, d / heads)
``layerL.out``      what attention adds to the stream                      (seeds, batch, T, d)
``layerL.residual`` the stream after the layer                             (seeds, batch, T, d)
``logits``          at the query                                           (seeds, batch, n_out)
==================  =====================================================  =======================

Only the query is answered, so the last layer has one query row: its ``q``, ``heads``, ``out`` and
``residual`` have T = 1, its ``scores`` and ``pattern`` one row of T.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from axonal.errors import InputError

_TRUNCATED = 0.87962566103423978  # standard deviation of a normal cut off at two of its own


class AttentionOnlyTransformer(nn.Module):
    """An ensemble of attention-only transformers.

    Parameters
    ----------
    dim
        Width of the exemplar features.
    n_out
        Labels.
    d_model, n_heads, n_layers
        Width of the stream, heads a layer, layers.
    seeds
        One model each; initialised from its seed alone.
    norm
        Whether there are LayerNorms; a circuit written by hand is plainer without.
    """

    def __init__(
        self,
        dim: int = 512,
        n_out: int = 5,
        *,
        d_model: int = 64,
        n_heads: int = 8,
        n_layers: int = 2,
        seeds: Sequence[int] = (0,),
        norm: bool = True,
    ) -> None:
        super().__init__()
        seeds = tuple(int(seed) for seed in seeds)
        if not seeds or len(set(seeds)) < len(seeds):
            raise InputError(f"An ensemble has at least one seed, each once; got {list(seeds)}.")
        if min(dim, n_out, d_model, n_heads, n_layers) < 1:
            raise InputError("dim, n_out, d_model, n_heads and n_layers are positive.")
        if d_model % n_heads or d_model // n_heads % 2:
            raise InputError(
                f"Each head has an even width (rotary positions turn pairs); d_model={d_model} over "
                f"n_heads={n_heads} gives {d_model / n_heads:g}."
            )
        self.seeds, self.n_heads, self.n_layers = seeds, n_heads, n_layers
        self.examples, self.labels = nn.Identity(), nn.Identity()
        self.example_embedding = EnsembleLinear(len(seeds), dim, d_model, bias=True)
        self.label_embedding = nn.Parameter(torch.empty(len(seeds), n_out, d_model))
        self.embedding = nn.Identity()
        for layer in range(1, n_layers + 1):
            last = layer == n_layers
            self.add_module(
                f"layer{layer}", AttentionLayer(len(seeds), d_model, n_heads, norm, last=last)
            )
        self.final_norm = EnsembleNorm(len(seeds), d_model) if norm else nn.Identity()
        self.unembedding = EnsembleLinear(len(seeds), d_model, n_out, bias=True)
        self.logits = nn.Identity()
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Draw the weights: LeCun-normal, label embeddings of scale 0.02, biases 0."""
        for member, seed in enumerate(self.seeds):
            generator = torch.Generator().manual_seed(seed)
            for module in self.modules():
                if isinstance(module, EnsembleLinear):
                    std = module.weight.shape[1] ** -0.5 / _TRUNCATED
                    _truncated_normal(module.weight[member], std, generator)
            _truncated_normal(self.label_embedding[member], 0.02, generator)

    @property
    def layers(self) -> list[AttentionLayer]:
        """The layers, in order."""
        return [self.get_submodule(f"layer{i + 1}") for i in range(self.n_layers)]  # pyright: ignore[reportReturnType]

    def forward(self, examples: Tensor, labels: Tensor) -> Tensor:
        """Return the logits at the query, ``(seeds, batch, n_out)``.

        Parameters
        ----------
        examples
            ``(batch, m + 1, dim)``, or with a leading axis of seeds.
        labels
            ``(batch, m + 1)`` or with a leading axis of seeds; the last one, the target, is not
            looked at.
        """
        examples, labels = self.examples(examples), self.labels(labels)
        self._check(examples, labels)
        x = self.embedding(self._interleave(examples, labels))
        for layer in self.layers:
            x = layer(x)
        return self.logits(self.unembedding(self.final_norm(x[:, :, -1])))

    def select(self, members: Sequence[int]) -> AttentionOnlyTransformer:
        """Return a copy that holds some members, by their place, in the order given."""
        chosen = list(members)
        weights = {name: value[chosen].clone() for name, value in self.state_dict().items()}
        first = self.layers[0]
        copy = AttentionOnlyTransformer(
            self.example_embedding.weight.shape[1],
            self.label_embedding.shape[1],
            d_model=self.label_embedding.shape[2],
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            seeds=range(len(chosen)),
            norm=isinstance(first.norm, EnsembleNorm),
        )
        copy.load_state_dict(weights)
        copy.seeds = tuple(self.seeds[i] for i in chosen)
        return copy

    def _interleave(self, examples: Tensor, labels: Tensor) -> Tensor:
        shown = functional.one_hot(labels[..., :-1], self.label_embedding.shape[1])
        shown = shown.to(self.label_embedding.dtype).flatten(-3, -2)
        named = torch.matmul(shown, self.label_embedding)
        seen = self.example_embedding(examples.flatten(-3, -2))
        seeds, pairs = len(self.label_embedding), labels.shape[-1] - 1
        seen = seen.view(seeds, -1, pairs + 1, seen.shape[-1])
        named = named.view(seeds, -1, pairs, named.shape[-1])
        both = torch.stack([seen[:, :, :-1], named], dim=3).flatten(2, 3)
        return torch.cat([both, seen[:, :, -1:]], dim=2)

    def _check(self, examples: Tensor, labels: Tensor) -> None:
        width, seeds = self.example_embedding.weight.shape[1], len(self.label_embedding)
        fits = examples.shape[:-1] == labels.shape and labels.ndim in (2, 3)
        fits = fits and (labels.ndim == 2 or len(labels) in (1, seeds)) and labels.shape[-1] > 1
        if not fits or examples.shape[-1] != width:
            raise InputError(
                f"Expected examples (batch, m + 1, {width}) and labels (batch, m + 1), or both with "
                f"{seeds} seeds before; got {tuple(examples.shape)} and {tuple(labels.shape)}."
            )


class AttentionLayer(nn.Module):
    """Causal attention after a LayerNorm, added to the stream."""

    def __init__(self, seeds: int, width: int, heads: int, norm: bool, *, last: bool) -> None:
        super().__init__()
        self.n_heads, self.last = heads, last
        self.norm = EnsembleNorm(seeds, width) if norm else nn.Identity()
        self.query, self.key = (EnsembleLinear(seeds, width, width) for _ in range(2))
        self.value, self.output = (EnsembleLinear(seeds, width, width) for _ in range(2))
        self.qk_input, self.v_input = nn.Identity(), nn.Identity()
        self.q, self.k, self.v = nn.Identity(), nn.Identity(), nn.Identity()
        self.scores, self.pattern, self.heads = nn.Identity(), nn.Identity(), nn.Identity()
        self.out, self.residual = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream ``(seeds, batch, T, d)``; of the last layer its query row."""
        q, k, v = self._projected(self.qk_input(x), self.v_input(x))
        turns = rotations(x.shape[2], q.shape[-1] // self.n_heads, q.device)
        q = self.q(rotate(self._split(q), turns[-q.shape[2] :]))
        k = self.k(rotate(self._split(k), turns))
        v = self.v(self._split(v))
        scores = self.scores(_scores(q, k, masked=not self.last))
        # The softmax over a leading dimension is many times faster than over a last one of five.
        pattern = self.pattern(scores.movedim(-1, 0).softmax(0).movedim(0, -1))
        attended = self.heads(torch.matmul(pattern, v))
        out = self.out(self.output(attended.transpose(2, 3).flatten(-2)))
        return self.residual((x[:, :, -1:] if self.last else x) + out)

    def _projected(self, to_match: Tensor, to_move: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, in one multiplication where they read the same."""
        normed = self.norm(to_match)
        if to_move is to_match and not self.last:
            q, k, v = _project(normed, self.query, self.key, self.value)
            return q, k, v
        q = self.query(normed[:, :, -1:] if self.last else normed)
        if to_move is not to_match:
            return q, self.key(normed), self.value(self.norm(to_move))
        k, v = _project(normed, self.key, self.value)
        return q, k, v

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(2, 3)


def _project(x: Tensor, *maps: EnsembleLinear) -> tuple[Tensor, ...]:
    """Apply linear maps of equal width by one multiplication."""
    weight = torch.cat([one.weight for one in maps], dim=2)
    mapped = torch.bmm(x.flatten(1, 2), weight).view(*x.shape[:-1], -1)
    return mapped.chunk(len(maps), dim=-1)


def _scores(q: Tensor, k: Tensor, *, masked: bool) -> Tensor:
    """Return ``q . k / sqrt(width)``, -inf where a query would see what comes later."""
    scale = q.shape[-1] ** -0.5
    shape = (*q.shape[:-1], k.shape[-2])
    q, k = q.flatten(0, 2), k.flatten(0, 2).transpose(1, 2)
    if not masked:
        return torch.bmm(q * scale, k).view(shape)
    return torch.baddbmm(causal_mask(shape[-1], q.device, q.dtype), q, k, alpha=scale).view(shape)


class EnsembleLinear(nn.Module):
    """A linear map for each seed: ``(seeds, ..., inputs)`` or ``(rows, inputs)`` for all."""

    def __init__(self, seeds: int, inputs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(seeds, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(seeds, 1, outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map the last dimension."""
        rows = x.flatten(1, -2) if x.ndim > 2 else x
        if rows.ndim == 2 or len(rows) < len(self.weight):
            rows = rows.expand(len(self.weight), *rows.shape[-2:])
        if self.bias is None:
            mapped = torch.bmm(rows, self.weight)
        else:
            mapped = torch.baddbmm(self.bias, rows, self.weight)
        return mapped.view(len(mapped), *x.shape[1:-1], -1) if x.ndim > 3 else mapped


class EnsembleNorm(nn.Module):
    """LayerNorm with scale and shift for each seed, eps 1e-5."""

    def __init__(self, seeds: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(seeds, width))
        self.bias = nn.Parameter(torch.zeros(seeds, width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension of ``(seeds, ..., width)``."""
        shape = (len(self.weight), *(1,) * (x.ndim - 2), x.shape[-1])
        normed = functional.layer_norm(x, x.shape[-1:])
        return torch.addcmul(self.bias.view(shape), normed, self.weight.view(shape))


@lru_cache(maxsize=16)
def rotations(length: int, width: int, device: torch.device) -> Tensor:
    """Return ``exp(i position 10000^(-2 i / width))``, complex ``(length, width / 2)``."""
    speed = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * speed
    return torch.polar(torch.ones_like(angle), angle).to(device)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the neighbouring pairs of ``(..., T, width)`` by their positions (rotary embedding)."""
    half = x.dtype in (torch.float16, torch.bfloat16)
    wide = (x.float() if half else x).unflatten(-1, (-1, 2)).contiguous()
    turned = torch.view_as_real(torch.view_as_complex(wide) * turns.to(wide.dtype.to_complex()))
    return turned.flatten(-2).to(x.dtype)


@lru_cache(maxsize=16)
def causal_mask(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return ``(length, length)``: -inf above the diagonal, 0 elsewhere."""
    return torch.full((length, length), -math.inf, device=device, dtype=dtype).triu(1)


def _truncated_normal(weight: Tensor, std: float, generator: torch.Generator) -> None:
    nn.init.trunc_normal_(weight, 0.0, std, -2 * std, 2 * std, generator=generator)

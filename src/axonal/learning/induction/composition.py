"""Composition scores: how much of what one head writes another could read, from weights alone.

Elhage et al. 2021, as used by Singh et al. 2024, appendix: for a head ``h1`` of one layer and ``h2`` of
the next, ``|W_O W|_F / (|W_O|_F |W|_F)`` with ``W`` the query, key or value map of ``h2``. Random
matrices of width d give ``1 / sqrt(d)``: 1/8 for 64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.learning.induction.model import AttentionOnlyTransformer, EnsembleLinear


@torch.no_grad()
def composition_scores(
    model: AttentionOnlyTransformer, *, writer: int = 1, reader: int = 2
) -> dict[str, Tensor]:
    """Return the scores of every pair of heads.

    Parameters
    ----------
    model
        The model.
    writer, reader
        The layers, counted from 1; the writer comes first.

    Returns
    -------
    dict of str to Tensor
        For ``"q"``, ``"k"`` and ``"v"``: ``(seeds, heads of the reader, heads of the writer)``.
    """
    if not 1 <= writer < reader <= model.n_layers:
        raise InputError(
            f"The writer's layer comes before the reader's, of {model.n_layers}; got {writer}, {reader}."
        )
    writes, reads = model.layers[writer - 1], model.layers[reader - 1]
    output = _weight(writes, "output").unflatten(1, (model.n_heads, -1))
    scores = {}
    for letter, name in (("q", "query"), ("k", "key"), ("v", "value")):
        into = _weight(reads, name).unflatten(2, (model.n_heads, -1))
        product = torch.einsum("swid,sdrj->srwij", output, into)
        norms = output.norm(dim=(2, 3))[:, None] * into.norm(dim=(1, 3))[:, :, None]
        scores[letter] = product.norm(dim=(3, 4)) / norms
    return scores


def _weight(layer: torch.nn.Module, name: str) -> Tensor:
    linear = layer.get_submodule(name)
    assert isinstance(linear, EnsembleLinear)
    return linear.weight

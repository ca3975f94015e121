"""Score the features of sparse autoencoders, and what they leave unexplained.

An autoencoder splits an activation into ``x = sum_i f_i d_i + b + e``. Splicing it into the model
with ``e`` held makes the features components of their own, with coefficients that follow from the
activation's: ``rho(f_i) = d_i . rho(x)`` and ``rho(e) = rho(x)``. Together they score what the
activation scores, ``sum_i Δf_i rho(f_i) + Δe . rho(e) = Δx . rho(x)``.

Sparse feature circuits: Marks et al. 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from axonal.activations.edits import Dictionary
from axonal.activations.site import Site
from axonal.errors import InputError
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance.metric import Metric
from axonal.language.relevance.problem import (
    Baselines,
    Direction,
    activations,
    coefficients,
    prepare,
    wide,
)
from axonal.language.relevance.rules import Rules, check_differentiable, hf_model

if TYPE_CHECKING:
    import xarray as xr


def feature_patching(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    dictionaries: Mapping[Site, Dictionary],
    *,
    rules: Rules | str = "relp",
    metric: Metric | None = None,
    direction: Direction = "denoising",
    batch: int = 8,
) -> dict[Site, xr.Dataset]:
    """Estimate the effect of patching each feature, by relevance or (rules ``"none"``) gradients.

    Parameters
    ----------
    model, pairs, metric, direction, rules, batch
        As in `relevance_patching`.
    dictionaries
        A sparse autoencoder for each site.

    Returns
    -------
    dict
        For each site ``features`` ``(pair, position, feature)`` and ``error`` ``(pair, position)``,
        the score of what the autoencoder does not reconstruct.
    """
    import xarray as xr

    if not dictionaries:
        raise InputError("dictionaries is empty: give a sparse autoencoder for at least one site.")
    rules = Rules.named(rules) if isinstance(rules, str) else rules
    check_differentiable(hf_model(model))
    problem = prepare(model, pairs, ("residual_pre",), None, metric, direction)
    sites = list(dictionaries)
    parts: dict[Site, list[tuple[np.ndarray, np.ndarray]]] = {site: [] for site in sites}
    ends: list[tuple[Tensor, Tensor]] = []
    for rows in torch.arange(len(pairs)).split(batch):
        source, source_value = activations(problem, problem.source, rows, sites)
        base, rho, base_value = coefficients(problem, rows, rules, sites)
        ends.append((base_value, source_value))
        for site, dictionary in dictionaries.items():
            parts[site].append(_split(dictionary, site, base[site], source[site], rho[site]))
    unit = Baselines.of_runs(problem, ends).unit(problem)
    results = {}
    for site, values in parts.items():
        features, error = (np.concatenate(value) / unit for value in zip(*values, strict=True))
        results[site] = xr.Dataset(
            {
                "features": (("pair", "position", "feature"), features),
                "error": (("pair", "position"), error),
            },
            coords={"token": ("position", list(pairs.tokens))},
            attrs={"site": str(site), "unit": unit, "direction": direction},
        )
    return results


def load_dictionary(path: str | Path) -> Dictionary:
    """Load a sparse autoencoder from a safetensors file with ``W_enc, b_enc, W_dec, b_dec``.

    ``W_enc`` is ``(width, features)`` and ``W_dec`` is ``(features, width)``.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not a readable safetensors file: {error}.") from error
    needed = ("W_enc", "b_enc", "W_dec", "b_dec")
    if missing := [name for name in needed if name not in tensors]:
        raise InputError(
            f"{path} has no {', '.join(missing)}: a sparse autoencoder is {', '.join(needed)}, and "
            f"the file holds {', '.join(tensors)}."
        )
    return Dictionary(tensors["W_enc"].mT, tensors["W_dec"], tensors["b_enc"], tensors["b_dec"])


def _split(
    dictionary: Dictionary, site: Site, base: Tensor, source: Tensor, rho: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Divide an activation's score among features and error."""
    decoder = dictionary.decoder.to(base)
    if decoder.shape[1] != base.shape[-1]:
        raise InputError(
            f"The autoencoder for {site} has width {decoder.shape[1]}, and the activation there "
            f"{base.shape[-1]}."
        )
    with torch.no_grad():
        change = dictionary.encode(source) - dictionary.encode(base)
        error = source - base - change @ decoder
        features = wide(change) * wide(rho @ decoder.mT)
        return features.cpu().numpy(), (wide(error) * wide(rho)).sum(-1).cpu().numpy()

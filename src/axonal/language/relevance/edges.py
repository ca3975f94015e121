"""Score the edges of a model's graph: what one component writes and one other reads.

Components write into the residual stream (the embedding, every head, every MLP) and read it through
a norm (every attention, every MLP, the unembedding). An edge scores the change of what is written
times the coefficient of what is read, ``(u' - u) . rho(v_in)``, summed over positions. The
coefficient counts the path through that one reader only, so a component's edges sum to its own
score.

Edge attribution patching: Syed et al. 2023; with gradients replaced by relevance: arXiv 2508.21258.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from axonal.activations.recording import recording
from axonal.activations.site import Site
from axonal.errors import InputError
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance import recognise
from axonal.language.relevance.metric import Metric
from axonal.language.relevance.problem import (
    Baselines,
    Direction,
    Problem,
    activations,
    coefficients,
    prepare,
    wide,
)
from axonal.language.relevance.rules import Rules, check_differentiable, hf_model

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Reader:
    """A component that reads the residual stream.

    Parameters
    ----------
    name
        ``a3`` (attention of layer 3), ``m3`` (its MLP) or ``logits``.
    site
        The input of the norm through which it reads; the output of the last block for the logits.
    reads_above
        How many layers' attention and MLP outputs are in the stream that it reads.
    """

    name: str
    site: Site
    reads_above: tuple[int, int]


def edge_patching(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    *,
    rules: Rules | str = "relp",
    metric: Metric | None = None,
    direction: Direction = "denoising",
    batch: int = 32,
) -> xr.Dataset:
    """Estimate the effect of patching each edge, by relevance or (rules ``"none"``) gradients.

    Parameters
    ----------
    model, pairs, rules, metric, direction, batch
        As in `relevance_patching`.

    Returns
    -------
    xr.Dataset
        ``edges`` ``(pair, writer, reader)``; writers are ``embedding``, heads ``a3.h2`` and MLPs
        ``m3``; readers ``a3``, ``m3`` and ``logits``. NaN where the reader lies below the writer.
    """
    import xarray as xr

    rules = Rules.named(rules) if isinstance(rules, str) else rules
    check_differentiable(hf_model(model))
    problem = prepare(model, pairs, ("heads", "mlp"), None, metric, direction)
    sites, layers = problem.sites, range(problem.sites.blocks)
    _check_attention_writes_linearly(problem)
    readers = find_readers(problem)
    embedding = problem.site("residual_pre", 0)
    writing = [embedding, *problem.components]
    heads = sites.heads_per_block
    names = ["embedding"]
    for layer in layers:
        names += [*(f"a{layer}.h{head}" for head in range(heads)), f"m{layer}"]
    parts: list[np.ndarray] = []
    ends: list[tuple[Tensor, Tensor]] = []
    for rows in torch.arange(len(pairs)).split(batch):
        source, source_value = activations(problem, problem.source, rows, writing)
        base, _ = activations(problem, problem.base, rows, writing)
        _, rho, base_value = coefficients(problem, rows, rules, [r.site for r in readers])
        ends.append((base_value, source_value))
        scores = np.full((len(rows), len(names), len(readers)), np.nan)
        for column, reader in enumerate(readers):
            read = rho[reader.site]
            scores[:, 0, column] = _inner(source[embedding] - base[embedding], read)
            attentions, mlps = reader.reads_above
            for layer in layers:
                first = 1 + layer * (heads + 1)
                if layer < attentions:
                    site = problem.site("heads", layer)
                    at_heads = read @ _output_weight(problem, layer)
                    product = wide(source[site] - base[site]) * wide(at_heads)
                    per_head = product.unflatten(-1, (heads, -1)).sum((1, 3))
                    scores[:, first : first + heads, column] = per_head.cpu().numpy()
                if layer < mlps:
                    site = problem.site("mlp", layer)
                    scores[:, first + heads, column] = _inner(source[site] - base[site], read)
        parts.append(scores)
    unit = Baselines.of_runs(problem, ends).unit(problem)
    return xr.Dataset(
        {"edges": (("pair", "writer", "reader"), np.concatenate(parts) / unit)},
        coords={"writer": names, "reader": [reader.name for reader in readers]},
        attrs={"unit": unit, "direction": direction},
    )


def find_readers(problem: Problem) -> list[Reader]:
    """Find the norms through which attentions, MLPs and the unembedding read, by what flows."""
    model, sites = problem.model, problem.sites
    norms = [path for path, module in model.named_modules() if recognise.is_norm(module)]
    outputs = {path: Site(path) for path in norms}
    inputs = {path: Site(path, "input") for path in norms}
    streams = [sites.residual_pre(layer) for layer in range(sites.blocks)]
    modules = {
        (kind, layer): Site(path.rpartition(".")[0], "input")
        for layer in range(sites.blocks)
        for kind, path in (("a", sites.heads(layer).path), ("m", sites.neurons(layer).path))
    }
    everything = [*outputs.values(), *inputs.values(), *streams, *modules.values()]
    with torch.no_grad(), recording(model, everything) as seen:
        model(input_ids=problem.base[:1], use_cache=False)
    readers: list[Reader] = []
    for (kind, layer), site in modules.items():
        through = [
            path
            for path in norms
            if seen[outputs[path]].shape == seen[site].shape
            and torch.equal(seen[outputs[path]], seen[site])
        ]
        if not through:
            raise InputError(f"{site} does not read the residual stream through a norm.")
        read = inputs[through[0]]
        # In a parallel block the MLP reads the stream that the attention reads.
        parallel = torch.equal(seen[read], seen[streams[layer]])
        readers.append(Reader(f"{kind}{layer}", read, (layer if parallel else layer + 1, layer)))
    # Nothing but the unembedding reads the stream behind the last block.
    return [*readers, Reader("logits", problem.last, (sites.blocks, sites.blocks))]


def _check_attention_writes_linearly(problem: Problem) -> None:
    """Refuse blocks that normalise what the heads write, as Gemma's do."""
    for layer in range(problem.sites.blocks):
        written = problem.sites.attention(layer).path
        if not problem.sites.heads(layer).path.startswith(f"{written}."):
            raise InputError(
                f"The heads of this {type(problem.model).__name__} pass the norm {written} before "
                "they reach the residual stream, so they don't add up there: score its attention "
                "and MLP outputs with relevance_patching instead."
            )


def _output_weight(problem: Problem, layer: int) -> Tensor:
    """Return the output projection, ``(width, heads * head_dim)``; ``Conv1D`` is transposed."""
    projection: Any = problem.model.get_submodule(problem.sites.heads(layer).path)
    return projection.weight if isinstance(projection, nn.Linear) else projection.weight.mT


def _inner(change: Tensor, rho: Tensor) -> np.ndarray:
    return (wide(change) * wide(rho)).sum((1, 2)).cpu().numpy()

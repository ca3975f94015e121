"""Is relevance conserved? Sum it over the residual stream of every layer, and compare.

With the conservative rules every layer's relevance sums to the metric, up to what biases absorb::

    sum_{position, unit} h_l rho_l  +  sum_{biases above l} b rho_b  =  L      for every layer l

A metric that is linear in the logits is needed: the logit difference is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from axonal.activations.recording import record
from axonal.activations.sites import Sites
from axonal.errors import AxonalError
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance.metric import LogitDifference, Metric, Readout
from axonal.language.relevance.problem import wide
from axonal.language.relevance.rules import (
    Rules,
    check_differentiable,
    hf_model,
    propagation_rules,
)

if TYPE_CHECKING:
    import xarray as xr


def relevance(
    model: LanguageModel | nn.Module,
    pairs: PromptPairs,
    *,
    rules: Rules | str = "conservative",
    metric: Metric | None = None,
) -> xr.Dataset:
    """Propagate the metric of the clean prompts down to the embedding.

    Parameters
    ----------
    model
        A causal language model of a supported family.
    pairs
        The clean prompts are explained.
    rules
        Propagation rules; ``"conservative"`` is the preset for which relevance is conserved.
    metric
        Default: the logit difference.

    Returns
    -------
    xr.Dataset
        ``relevance`` ``(pair, layer, position)``: ``R = h * rho`` summed over the width of the
        stream that enters each layer, and leaves the last; ``metric`` ``(pair,)``; and
        ``biases`` ``(layer,)``: what biases at or above that layer absorb, summed over pairs.
    """
    import xarray as xr

    module = hf_model(model)
    check_differentiable(module)
    rules = Rules.named(rules) if isinstance(rules, str) else rules
    metric = LogitDifference() if metric is None else metric
    sites = Sites.of(module)
    readout = Readout.of(module)
    stream = [sites.residual_pre(i) for i in range(sites.blocks)]
    stream.append(sites.residual(sites.blocks - 1))
    biases = {n: p for n, p in module.named_parameters() if n.endswith("bias")}
    with propagation_rules(module, rules), _requiring_gradients(biases):
        states = record(
            module, {"input_ids": pairs.clean, "use_cache": False}, stream, gradients=True
        )
        final = states[stream[-1]][torch.arange(len(pairs)), pairs.last]
        with torch.enable_grad():
            logits = readout(final, metric.columns(pairs), identity=rules.activations)
            value = metric.value(logits, pairs)
        wanted = [states[site] for site in stream] + list(biases.values())
        found = torch.autograd.grad(value.sum(), wanted, allow_unused=True)
    streams = [
        (wide(states[site].detach()) * wide(rho)).sum(-1)
        for site, rho in zip(stream, found[: len(stream)], strict=True)
    ]
    absorbed = torch.zeros(len(stream), dtype=streams[0].dtype)
    for (name, bias), rho in zip(biases.items(), found[len(stream) :], strict=True):
        if rho is not None:
            # A bias in block l lies above the stream that enters block l, and all before it.
            absorbed[: _block_of(name, sites) + 1] += (wide(bias.detach()) * wide(rho)).sum().cpu()
    return xr.Dataset(
        {
            "relevance": (("pair", "layer", "position"), torch.stack(streams, 1).cpu().numpy()),
            "metric": ("pair", wide(value.detach()).cpu().numpy()),
            "biases": ("layer", absorbed.numpy()),
        },
        coords={"layer": range(len(stream)), "token": ("position", list(pairs.tokens))},
        attrs={"rules": str(rules)},
    )


def conservation_error(result: xr.Dataset) -> xr.DataArray:
    """Return each layer's relative deviation from conservation, ``(layer,)``.

    ``|sum of relevance + absorbed by biases - metric| / |metric|``, each summed over pairs.
    """
    total = float(result["metric"].sum())
    return abs(result["relevance"].sum(("pair", "position")) + result["biases"] - total) / abs(
        total
    )


def check_conservation(result: xr.Dataset, tolerance: float = 1e-4) -> None:
    """Raise unless every layer's relevance sums to the metric."""
    error = conservation_error(result)
    worst = int(error.to_numpy().argmax())
    if not float(error[worst]) <= tolerance:
        raise AxonalError(
            f"Relevance is not conserved under {result.attrs['rules']}: at layer {worst} it sums to "
            f"the metric only within {float(error[worst]):.3g}, and {tolerance:.3g} was asked for."
        )


class _requiring_gradients:  # noqa: N801 - used as a function
    """Let parameters require gradients inside the context."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        self._before = [(p, p.requires_grad) for p in parameters.values()]

    def __enter__(self) -> None:
        for parameter, _ in self._before:
            parameter.requires_grad_(True)

    def __exit__(self, *_: object) -> None:
        for parameter, required in self._before:
            parameter.requires_grad_(required)


def _block_of(name: str, sites: Sites) -> int:
    """Return the block that a parameter belongs to; those behind the last block count as one more."""
    blocks = sites.residual(0).path.rpartition(".")[0]
    if name.startswith(f"{blocks}."):
        return int(name.removeprefix(f"{blocks}.").split(".")[0])
    return sites.blocks

"""How much of a behaviour does a small circuit carry? Faithfulness and completeness.

A circuit is a set of units: attention heads and MLP neurons, each at all positions. Everything
outside it is set to its mean over the data set, position by position, and the metric of the clean
prompts is measured::

    F(C) = (m(C) - m(empty)) / (m(M) - m(empty))

F is the circuit's faithfulness; that of what is left when the circuit is taken out, F(M without C),
tells how complete the circuit is: 0 is complete.

Marks et al. 2024 (sparse feature circuits), with neurons and heads in the place of features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from axonal.activations.call import Call
from axonal.activations.editing import edit
from axonal.activations.edits import Edit
from axonal.activations.recording import record
from axonal.activations.site import Site
from axonal.activations.sites import Sites
from axonal.errors import InputError
from axonal.language.models import LanguageModel
from axonal.language.prompts import PromptPairs
from axonal.language.relevance.metric import LogitDifference, Metric, Readout
from axonal.language.relevance.rules import hf_model

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True)
class Circuit:
    """A set of heads and neurons.

    Parameters
    ----------
    heads
        Booleans ``(layers, heads)``.
    neurons
        Booleans ``(layers, neurons)``.
    """

    heads: np.ndarray
    neurons: np.ndarray

    def __len__(self) -> int:
        return int(self.heads.sum() + self.neurons.sum())

    def complement(self) -> Circuit:
        """Return everything that is not in the circuit."""
        return Circuit(~self.heads, ~self.neurons)

    def table(self) -> pd.DataFrame:
        """Return one row a unit: kind, layer, unit."""
        import pandas as pd

        rows = [("head", *map(int, index)) for index in np.argwhere(self.heads)]
        rows += [("neuron", *map(int, index)) for index in np.argwhere(self.neurons)]
        return pd.DataFrame(rows, columns=["kind", "layer", "unit"])


def unit_scores(scores: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of heads and neurons, summed over positions and averaged over pairs.

    Returns
    -------
    heads, neurons
        ``(layers, heads)`` and ``(layers, neurons)``.
    """
    for kind in ("heads", "neurons"):
        if kind not in scores:
            raise InputError(
                f"A circuit is made of heads and neurons, and these scores have {list(scores)}: "
                "pass kinds=['heads', 'neurons']."
            )
    summed = scores.sum("position").mean("pair")
    return summed["heads"].to_numpy(), summed["neurons"].to_numpy()


def top_circuit(heads: np.ndarray, neurons: np.ndarray, size: int) -> Circuit:
    """Return the circuit of the ``size`` units with the largest absolute scores."""
    flat = np.abs(np.concatenate([heads.ravel(), neurons.ravel()]))
    if not 0 <= size <= flat.size:
        raise InputError(f"A circuit of this model has 0 to {flat.size} units; got {size}.")
    chosen = np.zeros(flat.size, dtype=bool)
    # A stable sort, so that equal scores are taken in the order of the model.
    chosen[np.argsort(-flat, kind="stable")[:size]] = True
    return Circuit(
        heads=chosen[: heads.size].reshape(heads.shape),
        neurons=chosen[heads.size :].reshape(neurons.shape),
    )


class MeanAblation:
    """Measure circuits of one model on one set of aligned prompt pairs.

    Parameters
    ----------
    model
        A causal language model of a supported family.
    pairs
        Of one template, so that positions mean the same in every pair. Means are taken over clean
        and corrupted prompts, the metric on the clean ones.
    metric
        Default: the logit difference.

    Attributes
    ----------
    shapes
        Of the scores of heads and of neurons: ``(layers, heads)`` and ``(layers, neurons)``.
    """

    def __init__(
        self,
        model: LanguageModel | nn.Module,
        pairs: PromptPairs,
        metric: Metric | None = None,
    ) -> None:
        if len(set(pairs.lengths.tolist())) != 1:
            raise InputError(
                f"Position-wise means need prompts of one length; got {pairs.lengths.tolist()}."
            )
        self._model = hf_model(model)
        self._sites = Sites.of(self._model)
        self._readout = Readout.of(self._model)
        self._pairs = pairs
        self._metric = LogitDifference() if metric is None else metric
        sites = [site for _, _, site in self._everywhere()]
        both = torch.cat([pairs.clean, pairs.corrupt])
        states = record(self._model, {"input_ids": both, "use_cache": False}, sites)
        self._means = {site: value.mean(dim=0) for site, value in states.items()}
        self._whole = self._run({})
        neurons = self._means[self._sites.neurons(0)].shape[-1]
        layers = self._sites.blocks
        self.shapes = (layers, self._sites.heads_per_block), (layers, neurons)
        self._empty = self.metric(Circuit(*(np.zeros(shape, dtype=bool) for shape in self.shapes)))
        if abs((self._whole - self._empty).mean().item()) < 1e-6:
            raise InputError(
                "Ablating every head and neuron leaves the metric as it is, so faithfulness has no "
                "unit: these prompts don't need the model."
            )

    def metric(self, circuit: Circuit) -> Tensor:
        """Return the metric with everything outside the circuit at its mean, ``(pairs,)``."""
        edits: dict[Site, Edit] = {}
        for kind, layer, site in self._everywhere():
            kept = torch.from_numpy(getattr(circuit, kind)[layer])
            if kept.all():
                continue
            width = self._means[site].shape[-1] // len(kept)
            edits[site] = KeepUnits(kept.repeat_interleave(width), self._means[site])
        return self._run(edits)

    def faithfulness(self, circuit: Circuit) -> float:
        """Return the share of the behaviour that the circuit alone carries."""
        return self.per_pair(circuit).mean().item()

    def completeness(self, circuit: Circuit) -> float:
        """Return the share that is left without the circuit; 0 is a complete circuit."""
        return self.faithfulness(circuit.complement())

    def per_pair(self, circuit: Circuit) -> Tensor:
        """Return each pair's part in the faithfulness, ``(pairs,)``; their mean is F(C)."""
        unit = (self._whole - self._empty).mean()
        return (self.metric(circuit) - self._empty) / unit

    def _everywhere(self) -> Iterator[tuple[str, int, Site]]:
        for layer in range(self._sites.blocks):
            heads = self._sites.heads(layer)
            yield "heads", layer, Site(heads.path, heads.side)
            yield "neurons", layer, self._sites.neurons(layer)

    @torch.no_grad()
    def _run(self, edits: dict[Site, Edit]) -> Tensor:
        last = self._sites.residual(self._sites.blocks - 1)
        with edit(self._model, edits):
            inputs = {"input_ids": self._pairs.clean, "use_cache": False}
            states = record(self._model, inputs, [last])[last]
        final = states[torch.arange(len(self._pairs)), self._pairs.last]
        logits = self._readout(final, self._metric.columns(self._pairs))
        return self._metric.value(logits, self._pairs)


class KeepUnits(Edit):
    """Keep some units and set the others to given values.

    Parameters
    ----------
    kept
        Booleans ``(width,)``.
    elsewhere
        What the other units are set to, ``(positions, width)``.
    """

    kept: Tensor

    def __init__(self, kept: Tensor, elsewhere: Tensor, **limits: Any) -> None:
        super().__init__(**limits)
        self.register_buffer("kept", kept.to(elsewhere.device))
        self.hold("elsewhere", elsewhere)

    def change(self, x: Tensor, call: Call | None) -> Tensor:
        """Choose between the activation and the given values."""
        del call
        elsewhere: Any = self.elsewhere
        return torch.where(self.kept, x, elsewhere)

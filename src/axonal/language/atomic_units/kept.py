"""Questions whose unsteered run is kept: a steered run starts at the first steered block.

An edit in block l leaves everything below l as it was, so a sweep over edits computes that once
(`axonal.language.steering.prefix`). The memory is ``items x positions x width x blocks`` numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from axonal.activations import Sites, edit
from axonal.activations.editing import EditsBySite
from axonal.activations.recording import run
from axonal.language.atomic_units.choices import Choices
from axonal.language.atomic_units.overflow import check_finite
from axonal.language.atomic_units.sites import layer_of
from axonal.language.models import LanguageModel
from axonal.language.steering.prefix import Prefix


class KeptRun:
    """The unsteered run of some questions.

    Parameters
    ----------
    language_model, choices
        The model, and the questions.
    batch_size
        Items a batch.
    """

    def __init__(
        self, language_model: LanguageModel, choices: Choices, *, batch_size: int = 64
    ) -> None:
        self.language_model = language_model
        self.choices = choices
        self._batches = [
            (rows, choices.inputs(rows, language_model.device))
            for rows in choices.batches(batch_size)
        ]
        self._sites = Sites.of(language_model.model)
        outputs = [self._sites.residual(block) for block in range(self._sites.blocks - 1)]
        self._prefix = Prefix(language_model, outputs)
        self.base = self._run({}, first=0)

    def gaps(self, edits: EditsBySite) -> Tensor:
        """Return the logit gaps under edits, ``(items,)``: what ``logit_gaps`` returns."""
        if not edits:
            return self.base.clone()
        layers = [layer_of(self.language_model.model, site) for site in edits]
        return self._run(edits, first=min(0 if layer is None else layer for layer in layers))

    def _run(self, edits: EditsBySite, first: int) -> Tensor:
        """Run what lies from block ``first`` on."""
        model = self.language_model.model
        below = [self._sites.residual(first - 1)] if first else []
        gaps = torch.empty(len(self.choices))
        with torch.no_grad(), self._prefix.starting_at(below), edit(model, edits):
            for rows, inputs in self._batches:
                gaps[rows] = self.choices.read_off(run(model, inputs).logits, rows)
        for rows, inputs in self._batches:
            if not bool(gaps[rows].isfinite().all()):
                check_finite(model, edits, inputs)
        return gaps

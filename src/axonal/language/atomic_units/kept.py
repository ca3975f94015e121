"""Questions whose unsteered run is kept: a steered run starts at the first steered block.

An edit in block l leaves everything below l as it was, so a sweep over edits computes that once
(`axonal.language.steering.prefix`). The memory is ``tokens x width x blocks`` numbers. Beginnings that
questions share are computed once, too, where the model can do it (`axonal.language.atomic_units.shared`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from axonal.activations import Sites, edit
from axonal.activations.editing import EditsBySite
from axonal.activations.edits import Edit
from axonal.activations.recording import run
from axonal.language.atomic_units.choices import Choices
from axonal.language.atomic_units.overflow import check_finite
from axonal.language.atomic_units.shared import Tree, takes_trees, trees
from axonal.language.atomic_units.sites import layer_of
from axonal.language.models import LanguageModel
from axonal.language.steering.prefix import Prefix

SAME = 1e-3
"""How far, in logits and relative to the largest gap, the two ways to run may differ."""

CHECKED = 4
"""Questions, the longest, on which the two are compared."""


class KeptRun:
    """The unsteered run of some questions.

    Parameters
    ----------
    language_model, choices
        The model, and the questions.
    batch_size
        Items a batch, where questions are not run as trees.
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
        self._trees = self._shared()
        self.base = self._run({}, first=0)
        if self._trees and not self._agree():
            self._trees = []
            self.base = self._run({}, first=0)

    @property
    def shares(self) -> bool:
        """Whether common beginnings of questions are computed once."""
        return bool(self._trees)

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
        # An edit that asks which token it sees counts columns, which a tree does not have.
        together = self._trees and not any(_asks(chain) for chain in edits.values())
        batches = self._trees if together else self._batches
        with torch.no_grad(), self._prefix.starting_at(below), edit(model, edits):
            for rows, inputs in batches:
                logits = run(model, inputs).logits
                logits = logits[0].unsqueeze(1) if together else logits
                gaps[rows] = self.choices.read_off(logits, rows)
        for rows, inputs in self._batches:
            if not bool(gaps[rows].isfinite().all()):
                check_finite(model, edits, inputs)
        return gaps

    def _shared(self) -> list[tuple[Tensor, dict[str, Any]]]:
        """Return the questions as trees, where the model takes them and they are fewer tokens."""
        model, choices = self.language_model.model, self.choices
        if not takes_trees(model):
            return []
        rows = [
            ids[len(ids) - length :].tolist()
            for ids, length in zip(choices.ids, choices.lengths.tolist(), strict=True)
        ]
        made: list[Tree] = trees(rows)
        if sum(len(tree.ids) for tree in made) >= int(choices.lengths.sum()):
            return []
        dtype = next(model.parameters()).dtype
        return [(tree.items, tree.inputs(self.language_model.device, dtype)) for tree in made]

    def _agree(self) -> bool:
        """Compare the longest questions with a plain batch of them.

        A model may read masks or positions in a way of its own, such as a window of attention.
        """
        rows = self.choices.lengths.argsort()[-CHECKED:]
        inputs = self.choices.inputs(rows, self.language_model.device)
        with torch.no_grad():
            plain = self.choices.read_off(run(self.language_model.model, inputs).logits, rows)
        difference = float((self.base[rows] - plain).abs().max())
        return difference <= SAME * max(1.0, float(plain.abs().max()))


def _asks(chain: Any) -> bool:
    return any(one.needs_call for one in ([chain] if isinstance(chain, Edit) else chain))

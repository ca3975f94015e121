"""How far an edit moves the first token, which in many models is an attention sink."""

from __future__ import annotations

import torch
from torch import Tensor

from axonal.activations import Sites, edit, record
from axonal.language.atomic_units.units import Units
from axonal.language.models import LanguageModel


def first_token_movement(language_model: LanguageModel, units: Units, prompt: str) -> Tensor:
    """Return the relative change of the first token's residual stream after each layer, ``(layers,)``.

    Where it is large, compare ``units.edits(model, skip_first=True)``, which leaves that token be.
    """
    model = language_model.model
    sites = Sites.of(model)
    places = [sites.residual(layer) for layer in range(sites.blocks)]
    ids = torch.tensor([list(language_model.tokenizer(prompt)["input_ids"])])
    batch = {"input_ids": ids.to(language_model.device), "use_cache": False}
    before = record(model, batch, places, positions=0, stop=False)
    with edit(model, units.edits(model)):
        after = record(model, batch, places, positions=0, stop=False)
    moved = [(after[p] - before[p]).float().norm() / before[p].float().norm() for p in places]
    return torch.stack(moved).cpu()

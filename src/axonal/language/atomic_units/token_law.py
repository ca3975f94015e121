r"""The token law of a unit: what the model says when one unit is scaled up without bound (section 3).

With unit i multiplied by ``1 + s`` the next token follows a law :math:`p_s`. As s grows it converges
to a law of the unit's own: :math:`KL(p_s \| p_{s_{max}})` falls, while the laws of two units part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from axonal.activations import ScaleUnits, Site, edit
from axonal.errors import AxonalError, InputError
from axonal.language.atomic_units.sites import UnitSite, unit_site
from axonal.language.models import LanguageModel

STRENGTHS = (10.0, 100.0, 1e3, 1e4, 1e5)


@dataclass(frozen=True, eq=False)
class TokenLaws:
    """Next-token laws of some units at some strengths.

    Parameters
    ----------
    strengths
        ``(strengths,)``, ascending; the last is the limit that others are compared with.
    log_probabilities
        ``(units, strengths, prompts, vocabulary)`` float64.
    """

    strengths: tuple[float, ...]
    log_probabilities: Tensor

    def self_divergence(self) -> Tensor:
        """``(units, strengths)``: divergence of each law from the unit's own limit, in nats."""
        return _divergence(self.log_probabilities, self.log_probabilities[:, -1:])

    def cross_divergence(self) -> Tensor:
        """``(pairs of units, strengths)``: divergence between two units' laws, in nats."""
        count = len(self.log_probabilities)
        first, second = torch.triu_indices(count, count, offset=1)
        return _divergence(self.log_probabilities[first], self.log_probabilities[second])


def token_laws(
    language_model: LanguageModel,
    prompts: Sequence[str],
    site: UnitSite,
    units: Sequence[tuple[int, int]],
    strengths: Sequence[float] = STRENGTHS,
) -> TokenLaws:
    """Return the next-token laws of units ``(layer, unit)`` after prompts.

    Every position is scaled, as in steering. Log-probabilities are taken in float64.
    """
    tokenizer: Any = language_model.tokenizer
    model = language_model.model
    inputs = [tokenizer(prompt, return_tensors="pt")["input_ids"] for prompt in prompts]
    places = [(unit_site(model, site, layer), unit) for layer, unit in units]
    return laws_of(
        model,
        [{"input_ids": ids.to(language_model.device), "use_cache": False} for ids in inputs],
        places,
        strengths,
    )


def laws_of(
    model: nn.Module,
    batches: Sequence[dict[str, Any]],
    places: Sequence[tuple[Site, int]],
    strengths: Sequence[float] = STRENGTHS,
) -> TokenLaws:
    """Return the laws of units at any sites of any module that returns logits."""
    strengths = tuple(float(s) for s in strengths)
    if len(strengths) < 2 or list(strengths) != sorted(set(strengths)):
        raise InputError(f"strengths are at least two, ascending; got {strengths}.")
    rows = []
    for site, unit in places:
        row = []
        for strength in strengths:
            with torch.no_grad(), edit(model, {site: ScaleUnits([unit], strength)}):
                outputs = [model(**batch) for batch in batches]
            last = [getattr(o, "logits", o)[:, -1].double().cpu() for o in outputs]
            row.append(torch.cat(last).log_softmax(-1))
            if not bool(row[-1].isfinite().all()):
                raise AxonalError(
                    f"Scaling unit {unit} at {site} by {1 + strength:g} gives logits that are not "
                    "finite: use smaller strengths, or load the model in float32."
                )
        rows.append(torch.stack(row))
    return TokenLaws(strengths, torch.stack(rows))


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Kullback-Leibler divergence of log-probabilities, averaged over prompts."""
    return (p.exp() * (p - q)).sum(-1).mean(-1)

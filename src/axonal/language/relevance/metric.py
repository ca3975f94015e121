"""What a run is judged by: a scalar of the next-token logits, one for each prompt pair.

`Readout` computes those logits from the output of the last block, at one position and, where the
metric reads two tokens only, for those two alone: a vocabulary of 49,152 rows is a tenth of a small
model's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from axonal.activations.recording import recording
from axonal.activations.sites import Sites
from axonal.errors import InputError
from axonal.language.prompts import PromptPairs
from axonal.language.relevance import recognise
from axonal.language.relevance.backward import IDENTITY_COEFFICIENTS, IdentityRule, applied


class Metric(Protocol):
    """A scalar of the next-token logits, one for each pair."""

    def columns(self, pairs: PromptPairs) -> Tensor | None:
        """Return the token ids whose logits are read, ``(pairs, k)``; None reads all of them."""
        ...

    def value(self, logits: Tensor, pairs: PromptPairs) -> Tensor:
        """Return ``(pairs,)`` numbers from logits ``(pairs, k)`` or ``(pairs, vocabulary)``."""
        ...


@dataclass(frozen=True)
class LogitDifference:
    """Logit of the answer minus logit of the distractor, after the last token."""

    def columns(self, pairs: PromptPairs) -> Tensor:
        """Read the two answers."""
        return torch.stack([pairs.answers, pairs.distractors], dim=1)

    def value(self, logits: Tensor, pairs: PromptPairs) -> Tensor:  # noqa: ARG002
        """Subtract."""
        return logits[:, 0] - logits[:, 1]


@dataclass(frozen=True)
class LogitFunction:
    """A function of the user's own: ``function(logits, pairs)`` with logits ``(pairs, vocabulary)``.

    It must return one number for each pair, ``(pairs,)``, that depends on the logits.
    """

    function: Callable[[Tensor, PromptPairs], Tensor]

    def columns(self, pairs: PromptPairs) -> None:
        """Read all logits."""

    def value(self, logits: Tensor, pairs: PromptPairs) -> Tensor:
        """Call the function, and refuse what can't be attributed pair by pair."""
        value = self.function(logits, pairs)
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if not isinstance(value, Tensor) or value.shape != (len(pairs),):
            raise InputError(
                f"The metric must return one number for each of the {len(pairs)} pairs, shape "
                f"({len(pairs)},); got {shape}."
            )
        if logits.requires_grad and not value.requires_grad:
            raise InputError(
                "The metric's value does not depend on the logits it was given, so nothing can be "
                "attributed to the model: compute it from `logits` with torch operations."
            )
        return value


@dataclass(frozen=True)
class Readout:
    """Next-token logits from the output of the last block: final norm, unembedding, soft-cap.

    Parameters
    ----------
    norm
        The final normalisation layer.
    unembedding
        The linear map to the vocabulary.
    softcap
        Logits are ``c tanh(z / c)`` (Gemma 2), or None.
    """

    norm: nn.Module
    unembedding: nn.Module
    softcap: float | None

    def __call__(self, hidden: Tensor, columns: Tensor | None, *, identity: bool = False) -> Tensor:
        """Return logits.

        Parameters
        ----------
        hidden
            Output of the last block at the position that is read, ``(rows, width)``.
        columns
            Token ids, ``(rows, k)``, or None for the whole vocabulary.
        identity
            Whether the soft-cap propagates by the Identity-rule instead of its gradient.
        """
        hidden = self.norm(hidden)
        if columns is None:
            logits: Tensor = self.unembedding(hidden)
        else:
            weight: Any = self.unembedding.weight
            bias: Any = self.unembedding.bias
            logits = torch.einsum("rd,rkd->rk", hidden, weight[columns])
            logits = logits if bias is None else logits + bias[columns]
        if self.softcap is None:
            return logits
        scaled = logits / self.softcap
        capped = torch.tanh(scaled)
        if identity:
            coefficient = IDENTITY_COEFFICIENTS["tanh"]
            capped = applied(IdentityRule, scaled, capped.detach(), coefficient)
        return capped * self.softcap

    @classmethod
    def of(cls, model: nn.Module) -> Readout:
        """Find the layers behind the last block, and check that they give the model's logits."""
        network: Any = model
        readout = cls(
            norm=Sites.of(model).final_norm().module(model),
            unembedding=network.get_output_embeddings(),
            softcap=getattr(network.config, "final_logit_softcapping", None),
        )
        if _checked.get(model) != readout:
            readout._check(network)
            _checked[model] = readout
        return readout

    def _check(self, network: Any) -> None:
        sites = Sites.of(network)
        last = sites.residual(sites.blocks - 1)
        device = network.get_input_embeddings().weight.device
        with torch.no_grad(), recording(network, [last]) as cache:
            logits = network(torch.tensor([[1, 2, 3]], device=device), use_cache=False).logits
            again = self(cache[last][0, -1:], None)
        if not torch.allclose(again, logits[0, -1:], rtol=1e-3, atol=1e-3):
            raise InputError(
                f"The logits of this {type(network).__name__} are more than a final norm, an "
                f"unembedding and a soft-cap of {last}; supported are {recognise.FAMILIES}."
            )


_checked: WeakKeyDictionary[nn.Module, Readout] = WeakKeyDictionary()
"""Models whose readout was compared with their logits already, which costs a forward pass."""

"""Which model, tokenizer and prompts a map comes from, so that it is not put on another model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from torch import nn

from axonal.activations.provenance import describe, require_same
from axonal.errors import InputError
from axonal.language.steering.prompts import Prompts, instruction_tail

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from axonal.language.models import LanguageModel

_hashes: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


@dataclass(frozen=True)
class Origin:
    """Where a map comes from.

    Parameters
    ----------
    model
        Class, name, parameters and fingerprint of the weights.
    width
        The model's hidden size.
    revision
        Which weights these are, in words; None if unknown.
    tokenizer
        The hash of its vocabulary and chat template.
    chat
        Whether the prompts were wrapped in the chat template.
    tail
        How many tokens of a prompt follow its instruction.
    method
        The estimator with its parameters, in words.
    positions
        The tokens that it was fitted on, in words.
    prompts
        The hashes of source and target prompts.
    """

    model: dict[str, Any]
    width: int
    revision: str | None
    tokenizer: str
    chat: bool
    tail: int
    method: str = ""
    positions: str = "last"
    prompts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        language_model: LanguageModel,
        source: Prompts,
        target: Prompts,
        *,
        method: str = "",
        positions: str = "last",
    ) -> Origin:
        """Note where a map that is being fitted comes from."""
        tokenizer = language_model.tokenizer
        chat = source.uses_template(tokenizer)
        return cls(
            model=describe(language_model.model),
            width=hidden_size(language_model.model),
            revision=language_model.revision,
            tokenizer=tokenizer_hash(tokenizer),
            chat=chat,
            tail=instruction_tail(tokenizer, chat),
            method=method,
            positions=positions,
            prompts={"source": source.sha256, "target": target.sha256},
        )

    def require(self, model: LanguageModel | nn.Module, what: str) -> None:
        """Raise unless this is the model (and the tokenizer) that the map comes from."""
        network = model if isinstance(model, nn.Module) else model.model
        if isinstance(network, nn.Module) and hidden_size(network) != self.width:
            raise InputError(
                f"{what} fitted at hidden size {self.width}, but this model has "
                f"{hidden_size(network)}."
            )
        require_same(self.model, network, what)
        if isinstance(model, nn.Module):
            return
        came = tokenizer_hash(model.tokenizer)
        if came != self.tokenizer:
            raise InputError(
                f"{what} fitted with tokenizer {self.tokenizer}, but this one is {came}: prompts "
                "would be cut into other tokens."
            )
        if None not in (self.revision, model.revision) and self.revision != model.revision:
            raise InputError(
                f"{what} fitted at revision {self.revision}, but this is {model.revision}."
            )


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the hash of a tokenizer's vocabulary, special tokens and chat template."""
    if tokenizer not in _hashes:
        parts = [
            sorted(tokenizer.get_vocab().items()),
            sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items()),
            getattr(tokenizer, "chat_template", None),
        ]
        _hashes[tokenizer] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return _hashes[tokenizer]


def hidden_size(model: nn.Module) -> int:
    """Return the width of a model's residual stream."""
    config: Any = getattr(model, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(getattr(config, "hidden_size", 0))

"""Propagation rules of attention, through the attention interface of transformers.

Every family hands its queries, keys and values, rotated and normalised as it likes, to one
registered attention function. Modifying their backward pass there and calling the model's own
function states the rule once for all families, and leaves the fast kernels in place.

AH-rule: Ali et al. 2022. Uniform rule: Achtibat et al. 2024 (AttnLRP).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from axonal.errors import InputError
from axonal.language.relevance.backward import ScaledGradient, applied

AttentionRule = Literal["gradient", "frozen", "uniform"]

_BACKENDS = ("sdpa", "eager")
_attention_rules: WeakKeyDictionary[nn.Module, AttentionRule] = WeakKeyDictionary()


@contextmanager
def attention_rule(layers: list[nn.Module], rule: AttentionRule) -> Iterator[None]:
    """Route the attention layers of one model through `_ruled_attention`."""
    configs: dict[int, Any] = {id(layer.config): layer.config for layer in layers}
    backends = {config._attn_implementation for config in configs.values()}
    if len(backends) != 1 or not backends <= set(_BACKENDS) or _upcasts(configs):
        raise InputError(
            f"The attention rules need scaled-dot-product or eager attention, and this model uses "
            f"{', '.join(map(str, sorted(map(str, backends))))}: call "
            "model.set_attn_implementation('sdpa')."
        )
    (backend,) = backends
    name = _registered(backend)
    for layer in layers:
        _attention_rules[layer] = rule
    for config in configs.values():
        config._attn_implementation_internal = name
    try:
        yield
    finally:
        for config in configs.values():
            config._attn_implementation_internal = backend
        for layer in layers:
            _attention_rules.pop(layer, None)


def _upcasts(configs: dict[int, Any]) -> bool:
    return any(getattr(config, "reorder_and_upcast_attn", False) for config in configs.values())


def _registered(backend: str) -> str:
    """Make `_ruled_attention` known to transformers, with the masks of the backend it wraps."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    name = f"axonal_{backend}"
    if name not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(name, partial(_ruled_attention, backend))
        ALL_MASK_ATTENTION_FUNCTIONS.register(name, ALL_MASK_ATTENTION_FUNCTIONS[backend])
    return name


def _ruled_attention(
    backend: str,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Call the model's own attention after modifying the backward pass of query, key and value."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    # A second model that shares the configuration comes here too, and has no rule.
    rule = _attention_rules.get(module, "gradient")
    if rule == "frozen":
        query, key = query.detach(), key.detach()
    elif rule == "uniform":
        query = applied(ScaledGradient, query, 0.25)
        key = applied(ScaledGradient, key, 0.25)
        value = applied(ScaledGradient, value, 0.5)
    # Eager attention is a function of each family's own module.
    own = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    attend = own if backend == "eager" else ALL_ATTENTION_FUNCTIONS[backend]
    assert attend is not None
    return attend(module, query, key, value, *args, **kwargs)

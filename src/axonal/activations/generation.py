"""Learn from ``model.generate`` itself where the prompt ends.

While a context is open on a model, its ``generate`` is wrapped once, however many contexts there
are; the last one to close unwraps it.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from torch import Tensor, nn

if TYPE_CHECKING:
    from axonal.activations.watch import Watch

_listeners: WeakKeyDictionary[nn.Module, list[Watch]] = WeakKeyDictionary()


class Prompt(NamedTuple):
    """What ``generate`` was given: rows and columns, padding included."""

    rows: int
    columns: int


def listen(watch: Watch) -> None:
    """Let ``watch`` know the prompt while the model's ``generate`` runs."""
    generate = getattr(watch.model, "generate", None)
    if not callable(generate):
        return
    listeners = _listeners.setdefault(watch.model, [])
    listeners.append(watch)
    if len(listeners) > 1:
        return

    @functools.wraps(generate)
    def announced(*args: Any, **kwargs: Any) -> Any:
        prompt = _prompt(args, kwargs)
        for listener in listeners:
            listener.generate_prompt = prompt
        try:
            return generate(*args, **_without_compilation(watch.model, args, kwargs))
        finally:
            for listener in listeners:
                listener.generate_prompt = None

    object.__setattr__(watch.model, "generate", announced)


def stop_listening(watch: Watch) -> None:
    """Forget ``watch``; the last one gives the model its own ``generate`` back."""
    listeners = _listeners.get(watch.model, [])
    if watch in listeners:
        listeners.remove(watch)
        if not listeners:
            object.__delattr__(watch.model, "generate")
            del _listeners[watch.model]


def _prompt(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Prompt | None:
    """Read rows and columns off the arguments; None when ``generate`` makes a prompt of its own."""
    names = ("attention_mask", "inputs_embeds", "input_ids", "inputs")
    for value in (*(kwargs.get(name) for name in names), *args[:1]):
        if isinstance(value, Tensor) and value.ndim >= 2:
            return Prompt(value.shape[0], value.shape[1])
    return None


def _without_compilation(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Switch off the compiled decoding step that static caches bring: it would skip every hook."""
    config = kwargs.get("generation_config")
    if len(args) > 1 or not hasattr(getattr(model, "generation_config", None), "disable_compile"):
        return kwargs
    if config is None:
        return {**kwargs, "disable_compile": True}
    config = copy.deepcopy(config)
    config.disable_compile = True
    return {**kwargs, "generation_config": config}

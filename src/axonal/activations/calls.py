"""Watch the calls of a model, so that every activation's tokens are known while it flows.

A pre-hook on the model reads the input ids, the attention mask and the length of the key-value
cache of each call. While ``generate`` runs, its own arguments say where the prompt ends; that is
the only place that knows it for certain, with the cache on or off, in chunked prefill, in beam
search and in assisted decoding. In a decoding loop of one's own the prompt is what the first call
with an empty cache contains, or what ``prompt_length`` says.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from axonal.activations.call import Call
from axonal.errors import AxonalError, InputError

_CACHE_NAMES = ("cache", "past_key_values")  # transformers 5.24 renamed the argument

_generations: WeakKeyDictionary[nn.Module, list[Calls]] = WeakKeyDictionary()


class Calls:
    """The calls of ``model`` while this context is open.

    Parameters
    ----------
    model
        The module that is called: the language model, not a part of it.
    prompt_length
        Columns of the prompt (padding included), for a decoding loop of one's own.
    """

    def __init__(self, model: nn.Module, prompt_length: int | None = None) -> None:
        self.model = model
        self.count = 0
        self._prompt_length = prompt_length
        self._generate_prompt: tuple[int, int] | None = None  # rows and columns, inside generate
        self._latest_prompt: int | None = None
        self._call: Call | None = None
        self._running = False
        self._names = list(inspect.signature(model.forward).parameters)
        self._handles: list[Any] = []

    def __enter__(self) -> Calls:
        self._handles.append(self.model.register_forward_pre_hook(self._begin, with_kwargs=True))
        if callable(getattr(self.model, "generate", None)):
            _listen_to_generate(self)
        return self

    def watch_end(self) -> None:
        """Notice the end of each call; registered after the hooks that need the call."""
        self._handles.append(self.model.register_forward_hook(self._end, always_call=True))

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        _stop_listening(self)

    def of(self, x: Tensor) -> Call:
        """Return the call that ``x`` flows in."""
        if not self._running:
            raise AxonalError(
                f"A site fired outside a call of the {type(self.model).__name__} that was handed "
                "over, so its token positions are unknown: hand over the module that you call "
                "(gradient checkpointing, which runs blocks again, cannot be used here)."
            )
        return Call.of_tensor(x) if self._call is None else self._call

    def _begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.count += 1
        self._running = True
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        ids, embeddings = given.get("input_ids"), given.get("inputs_embeds")
        content = ids if isinstance(ids, Tensor) else embeddings
        self._call = None if not isinstance(content, Tensor) else self._read(content, given)

    def _end(self, *_: object) -> None:
        self._running = False

    def _read(self, content: Tensor, given: dict[str, Any]) -> Call:
        if "decoder_input_ids" in self._names:
            raise InputError(
                f"{type(self.model).__name__} is an encoder-decoder, whose two token axes are not "
                "told apart: hand over its encoder or decoder."
            )
        batch, length = content.shape[:2]
        past, mask = _read_past_and_mask(batch, length, given)
        copies = 1
        if self._prompt_length is not None:
            prompt_columns = self._prompt_length
        elif self._generate_prompt is not None:
            rows, prompt_columns = self._generate_prompt
            copies = batch // rows if batch % rows == 0 else 1
        else:
            if past == 0:
                self._latest_prompt = length
            elif self._latest_prompt is None:
                self._latest_prompt = past  # the context was entered after the prompt
            prompt_columns = self._latest_prompt
        ids = given.get("input_ids")
        return Call(batch, length, past, prompt_columns, mask, ids, copies, content.device)


def _read_past_and_mask(
    batch: int, length: int, given: dict[str, Any]
) -> tuple[int, Tensor | None]:
    """Return the columns in the cache, and where the real tokens are, of all columns so far."""
    cache = next((given[name] for name in _CACHE_NAMES if given.get(name) is not None), None)
    cached = None if cache is None else _cache_length(cache)
    mask = given.get("attention_mask")
    if isinstance(mask, Tensor) and mask.ndim == 2:
        past = mask.shape[1] - length
        if len(mask) != batch or past < 0 or (cached is not None and cached != past):
            raise InputError(
                f"The attention mask has shape {tuple(mask.shape)}, but with {cached or 0} cached "
                f"and {length} new tokens in {batch} rows it must have shape "
                f"{(batch, (cached or 0) + length)}: give the mask of the whole sequence."
            )
        real = mask.bool()
        return past, None if bool(real.all()) else real
    past = cached or 0
    positions = given.get("position_ids")
    if mask is None or not isinstance(positions, Tensor) or positions.ndim != 2:
        return past, None
    # A prepared mask (static caches): under left padding the position ids tell the padding apart.
    padding = past + length - 1 - positions[:, -1]
    return past, torch.arange(past + length, device=positions.device) >= padding.unsqueeze(-1)


def _cache_length(cache: Any) -> int | None:
    try:
        return int(cache.get_seq_length())
    except (AttributeError, ValueError):  # caches of recurrent models have no length
        return None


def _listen_to_generate(calls: Calls) -> None:
    """Wrap ``model.generate`` once, however many contexts are open on the model."""
    model = calls.model
    listeners = _generations.setdefault(model, [])
    listeners.append(calls)
    if len(listeners) > 1:
        return
    generate = model.generate
    assert callable(generate)

    @functools.wraps(generate)
    def announced(*args: Any, **kwargs: Any) -> Any:
        prompt = _prompt_shape(args, kwargs)
        if hasattr(getattr(model, "generation_config", None), "disable_compile"):
            kwargs["disable_compile"] = True  # a compiled decoding step would skip every hook
        for listener in listeners:
            listener._generate_prompt = prompt
        try:
            return generate(*args, **kwargs)
        finally:
            for listener in listeners:
                listener._generate_prompt = None

    object.__setattr__(model, "generate", announced)


def _stop_listening(calls: Calls) -> None:
    listeners = _generations.get(calls.model, [])
    if calls in listeners:
        listeners.remove(calls)
        if not listeners:
            object.__delattr__(calls.model, "generate")
            del _generations[calls.model]


def _prompt_shape(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of the prompt that ``generate`` was given; None when it makes its own."""
    candidates = (
        kwargs.get("attention_mask"),
        kwargs.get("inputs_embeds"),
        kwargs.get("input_ids"),
        kwargs.get("inputs"),
        args[0] if args else None,
    )
    for tensor in candidates:
        if isinstance(tensor, Tensor) and tensor.ndim >= 2:
            return tensor.shape[0], tensor.shape[1]
    return None

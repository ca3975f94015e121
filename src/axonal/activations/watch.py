"""Watch the calls of a model, so that every activation's tokens are known while it flows.

A pre-hook on the model sees the input ids, the attention mask and the length of the key-value cache
of each call. While ``generate`` runs, its own arguments say where the prompt ends: nothing else
knows it with the cache on and off, in chunked prefill, beam search and assisted decoding alike. In
a decoding loop of one's own the prompt is what the latest call with an empty cache contained, or
what ``prompt_length`` says.
"""

from __future__ import annotations

import inspect
from functools import cached_property, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from axonal.activations import generation
from axonal.activations.call import Call
from axonal.errors import AxonalError, InputError

_CACHE_NAMES = ("cache", "past_key_values")  # transformers 5.24 renamed the argument


class Watch:
    """Watches the calls of ``model`` while this context is open.

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
        self.generate_prompt: generation.Prompt | None = None  # while generate runs
        self._prompt_length = prompt_length
        self._latest_prompt: int | None = None
        self._running = False
        self._seen: _Seen | None = None
        self.call: Call | None = None  # of the pass that is running, once somebody asked
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Watch:
        self._handles.append(self.model.register_forward_pre_hook(self._begin, with_kwargs=True))
        generation.listen(self)
        return self

    def end_after_hooks(self) -> None:
        """Notice the end of each call; registered after the hooks that need the call."""
        self._handles.append(self.model.register_forward_hook(self._end, always_call=True))

    def __exit__(self, *_: object) -> None:
        generation.stop_listening(self)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def call_of(self, x: Tensor) -> Call:
        """Return the call in which ``x`` flows."""
        if not self._running:
            raise AxonalError(
                f"An activation flowed outside a call of the {type(self.model).__name__} that was "
                "handed over, so its tokens are unknown: hand over the module that you call "
                "(and switch gradient checkpointing off, which runs blocks again later)."
            )
        if self._seen is None:
            return Call.of_tensor(x)
        if self.call is None:
            self.call = self._read(self._seen)
        return self.call

    @cached_property
    def _names(self) -> list[str]:
        return list(inspect.signature(self.model.forward).parameters)

    def _begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note what must be noted before the call fills the cache; the rest is read on demand."""
        self.count += 1
        self._running = True
        self.call = self._seen = None
        given = {**dict(zip(self._names, args, strict=False)), **kwargs} if args else kwargs
        ids = given.get("input_ids")
        if ids is None and args and _are_token_ids(args[0]):
            ids = args[0]  # a language model of one's own, or a wrapper that takes *args
        content = ids if ids is not None else given.get("inputs_embeds")
        if not isinstance(content, Tensor):
            return
        cache = next((given[name] for name in _CACHE_NAMES if given.get(name) is not None), None)
        cached = None if cache is None else _cache_length(cache)
        seen = _Seen(content, ids, given.get("attention_mask"), given.get("position_ids"), cached)
        if seen.past <= 0:
            self._latest_prompt = content.shape[1]
        elif self._latest_prompt is None:
            self._latest_prompt = seen.past  # the context was entered after the prompt
        self._seen = seen

    def _end(self, *_: object) -> None:
        self._running = False
        self.call = self._seen = None

    def _read(self, seen: _Seen) -> Call:
        if "decoder_input_ids" in self._names:
            raise InputError(
                f"{type(self.model).__name__} is an encoder-decoder, whose two token axes are not "
                "told apart: hand over its encoder or its decoder."
            )
        batch, length = seen.content.shape[:2]
        columns, copies = self._latest_prompt or 0, 1
        if self._prompt_length is not None:
            columns = self._prompt_length
        elif self.generate_prompt is not None:
            columns = self.generate_prompt.columns
            if batch % self.generate_prompt.rows == 0:
                copies = batch // self.generate_prompt.rows
        seen.check_mask()
        # In a decoding step few rules ask for the mask, and on a GPU to read it is to wait.
        real = partial(seen.real, generating=self.generate_prompt is not None)
        mask = real if 0 < columns <= seen.past else real()
        return Call(batch, length, seen.past, columns, mask, seen.ids, copies, seen.content.device)


class _Seen(NamedTuple):
    """The arguments of a call that say which tokens it holds."""

    content: Tensor
    ids: Tensor | None
    mask: Any
    position_ids: Any
    cached: int | None

    @property
    def past(self) -> int:
        """Columns that the cache holds."""
        if self.cached is None and self._has_plain_mask:
            return self.mask.shape[1] - self.content.shape[1]  # 0 unless a state is carried along
        return self.cached or 0

    @property
    def _has_plain_mask(self) -> bool:
        return isinstance(self.mask, Tensor) and self.mask.ndim == 2

    def check_mask(self) -> None:
        """Raise when the mask is not that of the whole sequence."""
        if not self._has_plain_mask:
            return
        batch, length = self.content.shape[:2]
        columns = self.past + length
        if self.past < 0 or self.mask.shape != (batch, columns):
            raise InputError(
                f"The attention mask has shape {tuple(self.mask.shape)}, but {self.past} cached "
                f"and {length} new tokens in {batch} rows need {(batch, columns)}: give the "
                "mask of the whole sequence."
            )

    def real(self, *, generating: bool) -> Tensor | None:
        """``(batch, past + length)``: which columns hold real tokens; None when all of them do."""
        batch, length = self.content.shape[:2]
        columns = self.past + length
        if self._has_plain_mask:
            real = self.mask.bool()
            return None if bool(real.all()) else real
        if self.mask is None:
            return None
        if not generating or not isinstance(self.position_ids, Tensor):
            raise InputError(
                "Positions are read from an attention mask of shape (batch, positions), but this one "
                "is prepared already: give the plain mask, or use positions=None."
            )
        # The masks that generate prepares for static caches do not show the padding, but it is on
        # the left, so the position ids lag behind the columns by just as much.
        padding = columns - 1 - self.position_ids.reshape(-1, length)[:, -1]
        every = torch.arange(columns, device=padding.device)
        return (every >= padding.unsqueeze(-1)).expand(batch, -1)


def _are_token_ids(value: Any) -> bool:
    integers = (torch.int32, torch.int64)
    return isinstance(value, Tensor) and value.ndim == 2 and value.dtype in integers


def _cache_length(cache: Any) -> int | None:
    try:
        return int(cache.get_seq_length())
    except (AttributeError, ValueError):  # the state of a recurrent model has no length
        return None

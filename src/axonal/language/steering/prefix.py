"""Remember what flows below the edited layers, so that a sweep computes it once.

An edit at block ``l`` leaves everything before the output of block ``l`` as it was. While a
:class:`Prefix` is open, a forward pass without a cache on tokens that were seen before starts at the
remembered output of the lowest edited block; the blocks below it do nothing. The same operations on
the same numbers are left out, so results are the same to the last bit. Passes that fill or use a
key-value cache (``generate``) need every block and run as ever.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from axonal.activations import Site, Sites

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

_CACHES = ("cache", "past_key_values")

#: Bytes that are remembered at most; what comes after is computed anew.
LIMIT = 2 * 2**30


class Prefix:
    """A memory of the outputs of some blocks, in force inside its context.

    Parameters
    ----------
    language_model
        The model; it is called as ever.
    sites
        Where edits will act: outputs of blocks are remembered there.
    limit
        Bytes at most.
    """

    def __init__(
        self, language_model: LanguageModel, sites: Iterable[Site], *, limit: int = LIMIT
    ) -> None:
        self._model: nn.Module = language_model.model
        self._names = list(inspect.signature(self._model.forward).parameters)
        named = Sites.of(self._model)
        self._blocks = [
            self._model.get_submodule(named.residual(i).path) for i in range(named.blocks)
        ]
        outputs = {named.residual(i): i for i in range(named.blocks)}
        self._kept = sorted(outputs[site] for site in dict.fromkeys(sites) if site in outputs)
        self._outputs = outputs
        self._memory: dict[tuple[bytes, int], Tensor] = {}
        self._left = limit
        self._start: int | None = None
        self._key: bytes | None = None
        self._handles: list[RemovableHandle] = []
        self.reused = 0

    def starting_at(self, sites: Iterable[Site]) -> Self:
        """Say where the edits of the next passes are; without any, passes run whole."""
        blocks = [self._outputs.get(site) for site in sites]
        lowest = min((b for b in blocks if b is not None), default=None)
        whole = any(b is None for b in blocks) or lowest not in self._kept
        self._start = None if whole else lowest
        return self

    def __enter__(self) -> Self:
        # The hook on the model comes first, so that it sees the arguments before any edit does.
        self._handles.append(
            self._model.register_forward_pre_hook(self._begin, with_kwargs=True, prepend=True)
        )
        self._handles.append(self._model.register_forward_hook(self._end, always_call=True))
        for block in self._kept:
            hook = self._remember(block)
            self._handles.append(self._blocks[block].register_forward_hook(hook, prepend=True))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._restore()
        self._start = None

    def _begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        self._key = _key(given)
        if self._key is None or self._start is None:
            return
        kept = self._memory.get((self._key, self._start))
        if kept is None:
            return
        self.reused += 1
        for block in self._blocks[: self._start]:
            _replace(block, _pass_through)
        _replace(self._blocks[self._start], lambda *_, **__: kept)

    def _end(self, *_: object) -> None:
        self._restore()
        self._key = None

    def _restore(self) -> None:
        for block in self._blocks:
            if "_axonal_forward" in vars(block):
                before = vars(block).pop("_axonal_forward")
                if before is None:
                    del block.forward
                else:
                    block.forward = before

    def _remember(self, block: int) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if self._key is None or not isinstance(output, Tensor) or not self._keeps(block):
                return
            if (self._key, block) in self._memory or output.requires_grad:
                return
            size = output.numel() * output.element_size()
            if size <= self._left:
                self._left -= size
                self._memory[self._key, block] = output.clone()  # later modules may work in place

        return hook

    def _keeps(self, block: int) -> bool:
        """Whether a block's output is remembered: above an edited block it is not the model's own."""
        return self._start is None or block <= self._start


def _replace(block: nn.Module, forward: Any) -> None:
    vars(block)["_axonal_forward"] = vars(block).get("forward")  # accelerate puts its own there
    block.forward = forward


def _pass_through(*args: Any, **kwargs: Any) -> Any:
    return args[0] if args else kwargs["hidden_states"]


def _key(given: dict[str, Any]) -> bytes | None:
    """Tell the tokens of a pass; None where it can't be left out (a cache, embeddings)."""
    ids = given.get("input_ids")
    cached = any(given.get(name) is not None for name in _CACHES) or given.get("use_cache", True)
    if not isinstance(ids, Tensor) or cached:
        return None
    digest = hashlib.sha256()
    for name in ("input_ids", "attention_mask", "position_ids"):
        value = given.get(name)
        if value is not None and not isinstance(value, Tensor):
            return None
        if value is not None:
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.digest()

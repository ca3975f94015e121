"""Edit the last token of many prompts, at the cost of that one token.

A map that acts on the last token alone leaves everything before it as it was. So the prompts are
read once; afterwards a map costs one token a prompt, through the blocks above it.
"""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from axonal.activations import Edit, Site, Sites, edit, record, recording

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

Readout = Callable[[Tensor], Tensor]
"""``log-probabilities (rows, vocabulary) -> (rows,)``: how strongly the behaviour shows."""


@dataclass(frozen=True)
class Tokens:
    """A readout: the log-odds of a set of next tokens.

    Parameters
    ----------
    yes
        Their ids.
    """

    yes: tuple[int, ...]

    def __call__(self, predicted: Tensor) -> Tensor:
        """Return the log-odds of each row, from its log-probabilities."""
        log_p = torch.logsumexp(predicted[:, list(self.yes)].double(), dim=-1).clamp(max=-1e-12)
        return log_p - torch.log(-torch.expm1(log_p))


@dataclass(frozen=True)
class Gap:
    """A readout: the log-probability of one token less that of another."""

    positive: int
    negative: int

    def __call__(self, predicted: Tensor) -> Tensor:
        """Return the gap of each row."""
        return (predicted[:, self.positive] - predicted[:, self.negative]).double()


class LastTokens:
    """Prompts that a model has read up to their last token.

    Parameters
    ----------
    language_model
        The model; decoder blocks that return their hidden states.
    rows
        Token ids of each prompt, ``(tokens,)``, at least two.
    blocks
        Whose outputs are recorded.
    batch_size
        Prompts a pass.

    Attributes
    ----------
    activations
        By block: the last token's residual stream after it, ``(prompts, width)``.
    log_probabilities
        The model's own predictions, ``(prompts, vocabulary)``.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        rows: Sequence[Tensor],
        blocks: Sequence[int],
        *,
        batch_size: int = 48,
    ) -> None:
        self._model: Any = language_model.model
        self._sites = Sites.of(self._model)
        self._blocks = [
            self._model.get_submodule(self._sites.residual(i).path)
            for i in range(self._sites.blocks)
        ]
        self.size = len(rows)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        self._batches: list[_Batch] = []
        activations: dict[int, list[Tensor]] = {block: [] for block in blocks}
        own = []
        sites = {block: self._sites.residual(block) for block in blocks}
        for start in range(0, len(rows), batch_size):
            chosen = order[start : start + batch_size]
            batch = _Batch.read(language_model, [rows[i] for i in chosen], chosen)
            self._batches.append(batch)
            watch = recording(self._model, list(sites.values())) if sites else nullcontext({})
            with watch as recorded:
                own.append(self._predict(batch))
            for block, site in sites.items():
                activations[block].append(recorded[site][:, -1])
        back = torch.tensor([i for batch in self._batches for i in batch.rows]).argsort()
        self.activations = {b: torch.cat(parts)[back] for b, parts in activations.items()}
        self.log_probabilities = torch.cat(own)[back]
        self._back = back

    def moved(
        self, block: int, activations: Tensor, edits: Mapping[Site, Edit] | None = None
    ) -> Tensor:
        """Return log-probabilities ``(prompts, vocabulary)`` with other outputs of a block.

        Parameters
        ----------
        block
            Its number.
        activations
            What its output is for the last token of each prompt, ``(prompts, width)``.
        edits
            Of the last token, above that block.
        """
        found = []
        with edit(self._model, edits or {}):
            for batch in self._batches:
                with self._from(block, activations, batch):
                    found.append(self._predict(batch))
        return torch.cat(found)[self._back]

    def carried(self, block: int, activations: Tensor, later: int) -> Tensor:
        """Return the outputs of a later block ``(prompts, width)`` with other outputs of a block."""
        site = self._sites.residual(later)
        found = []
        for batch in self._batches:
            with self._from(block, activations, batch), batch.ready() as arguments:
                found.append(record(self._model, arguments, [site])[site][:, -1])
        return torch.cat(found)[self._back]

    def edited(self, edits: Mapping[Site, Edit]) -> Tensor:
        """Return log-probabilities ``(prompts, vocabulary)`` with edits of the last token."""
        with edit(self._model, edits):
            return torch.cat([self._predict(batch) for batch in self._batches])[self._back]

    def step_seconds(self, repeats: int = 3) -> float:
        """Return the CPU seconds of one decoding step of one prompt, the least of some."""
        batch = self._batches[0].first()
        times = []
        for _ in range(repeats):
            began = time.process_time()
            self._predict(batch)
            times.append(time.process_time() - began)
        return min(times)

    def _predict(self, batch: _Batch) -> Tensor:
        with torch.no_grad(), batch.ready() as arguments:
            return self._model(**arguments).logits[:, -1].float().log_softmax(-1)

    @contextmanager
    def _from(self, block: int, activations: Tensor, batch: _Batch) -> Iterator[None]:
        """Begin a batch's passes at the output of a block: those up to it do nothing."""
        hidden = activations[batch.rows].unsqueeze(1).to(self._model.dtype)
        skipped = self._blocks[: block + 1]
        try:
            for below in skipped:
                below.forward = _pass_through
            skipped[-1].forward = lambda *_, **__: hidden
            yield
        finally:
            for below in skipped:
                vars(below).pop("forward", None)


@dataclass(frozen=True, eq=False)
class _Batch:
    """Left-padded prompts, read up to their last token."""

    rows: list[int]
    last: Tensor
    mask: Tensor
    position: Tensor
    cache: Any
    keyword: str

    @classmethod
    def read(
        cls, language_model: LanguageModel, prompts: Sequence[Tensor], rows: list[int]
    ) -> _Batch:
        """Run the model on all but the last token of each prompt.

        What all prompts begin with (a chat template's opening) is run once: it fills the first
        columns, then comes the padding, then the rest of each prompt.
        """
        longest = max(len(prompt) for prompt in prompts)
        shared = _shared(prompts)
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for index, prompt in enumerate(prompts):
            ids[index, :shared], mask[index, :shared] = prompt[:shared], 1
            start = longest - len(prompt) + shared
            ids[index, start:], mask[index, start:] = prompt[shared:], 1
        ids, mask = ids.to(language_model.device), mask.to(language_model.device)
        position = (mask.cumsum(-1) - 1).clamp(min=0)
        model: Any = language_model.model
        # transformers renames the argument: what it is called is in the signature
        known = inspect.signature(model.forward).parameters
        keyword = "cache" if "cache" in known else "past_key_values"

        def run(rows: slice, start: int, stop: int, **before: Any) -> Any:
            return model(
                input_ids=ids[rows, start:stop],
                attention_mask=mask[rows, :stop],
                position_ids=position[rows, start:stop],
                use_cache=True,
                logits_to_keep=1,
                **before,
            )[keyword]

        with torch.no_grad():
            cache = run(slice(0, 1 if shared else None), 0, shared or longest - 1)
            if shared:
                cache.batch_repeat_interleave(len(prompts))
                if shared < longest - 1:
                    cache = run(slice(None), shared, longest - 1, **{keyword: cache})
        return cls(rows, ids[:, -1:], mask, position[:, -1:], cache, keyword)

    def first(self) -> _Batch:
        """Return the first prompt alone."""
        cache = copy.deepcopy(self.cache)
        cache.batch_select_indices(torch.tensor([0], device=self.last.device))
        return replace(
            self,
            rows=[0],
            last=self.last[:1],
            mask=self.mask[:1],
            position=self.position[:1],
            cache=cache,
        )

    @contextmanager
    def ready(self) -> Iterator[dict[str, Any]]:
        """Give the arguments of the pass of the last token; the cache is as before afterwards."""
        # A layer of a dynamic cache grows by making new tensors: putting the old ones back is free.
        before = [dict(vars(layer)) for layer in self.cache.layers]
        try:
            yield {
                "input_ids": self.last,
                "attention_mask": self.mask,
                "position_ids": self.position,
                self.keyword: self.cache,
                "use_cache": True,
            }
        finally:
            for layer, state in zip(self.cache.layers, before, strict=True):
                vars(layer).update(state)


def _pass_through(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    return hidden_states


def _shared(prompts: Sequence[Tensor]) -> int:
    """Return how many tokens all prompts begin with, their last ones apart."""
    shortest = min(len(prompt) for prompt in prompts) - 1
    table = torch.stack([prompt[:shortest] for prompt in prompts])
    differs = (table != table[0]).any(dim=0)
    return int(differs.nonzero()[0]) if bool(differs.any()) else shortest

"""Prompts: read from a file, written as a chat or as plain text, encoded batch by batch.

A file is JSON lines, ``{"prompt": "..."}`` or ``{"messages": [{"role": ..., "content": ...}]}`` with
an optional ``"label"``, or plain text with a prompt a line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args, overload

import torch
from torch import Tensor
from typing_extensions import override

from axonal.errors import InputError, nearest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from axonal.language.models import LanguageModel

Messages: TypeAlias = Sequence[Mapping[str, str]]
"""A conversation: ``[{"role": "user", "content": "..."}]``."""

Prompt: TypeAlias = str | Messages
Chat: TypeAlias = Literal["auto", "template", "plain"]
"""Whether prompts are wrapped in the tokenizer's chat template; auto: where there is one."""


@dataclass(frozen=True)
class Prompts(Sequence[Prompt]):
    """Prompts, and how they are put to a model.

    Parameters
    ----------
    items
        Texts, or conversations; a text in a chat is one message of the user.
    chat
        ``"template"`` wraps them in the tokenizer's chat template and is refused where there is
        none, ``"plain"`` does not, ``"auto"`` does where there is one.
    labels
        What the file says of each prompt; None where it says nothing.
    name
        What errors call them.
    """

    items: tuple[Prompt, ...]
    chat: Chat = "auto"
    labels: tuple[str | None, ...] = ()
    name: str = "prompts"

    def __post_init__(self) -> None:
        if self.chat not in get_args(Chat):
            raise InputError(
                f"chat: there is no {self.chat!r}; {nearest(self.chat, get_args(Chat))}"
            )
        if not self.items:
            raise InputError(f"{self.name} holds no prompts.")
        for number, item in enumerate(self.items, start=1):
            _check(item, f"{self.name}, prompt {number}")

    @classmethod
    def of(cls, prompts: Prompts | Sequence[Prompt], name: str = "prompts") -> Prompts:
        """Return prompts as they are, or make them of texts and conversations."""
        if isinstance(prompts, Prompts):
            return prompts
        if isinstance(prompts, str):
            raise InputError(f"{name}: expected a list of prompts, got one text: put it in a list.")
        return cls(tuple(prompts), name=name)

    @override
    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Prompt: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int]) -> Prompts: ...
    @override
    def __getitem__(self, index: int | slice | Sequence[int]) -> Prompt | Prompts:
        if isinstance(index, int):
            return self.items[index]
        chosen = range(len(self))[index] if isinstance(index, slice) else index
        labels = tuple(self.labels[i] for i in chosen) if self.labels else ()
        return replace(self, items=tuple(self.items[i] for i in chosen), labels=labels)

    @property
    def sha256(self) -> str:
        """The hash of what the prompts say, in their order."""
        written = json.dumps([_plain(item) for item in self.items], ensure_ascii=False)
        return hashlib.sha256(written.encode()).hexdigest()[:16]

    def uses_template(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Whether the chat template of this tokenizer wraps the prompts; refuse it without one."""
        there = bool(getattr(tokenizer, "chat_template", None))
        asked = self.chat == "template" or any(not isinstance(item, str) for item in self.items)
        if asked and not there:
            raise InputError(
                f"{self.name} is to be put as a chat, but this tokenizer "
                f"({_tokenizer_name(tokenizer)}) has no chat template: use chat='plain' and texts, "
                "or an instruction-tuned model."
            )
        return asked or (there and self.chat == "auto")

    def texts(self, tokenizer: PreTrainedTokenizerBase) -> list[str]:
        """Return the prompts as the model reads them, template and all."""
        if not self.uses_template(tokenizer):
            return [cast(str, item) for item in self.items]
        return [_templated(tokenizer, item) for item in self.items]

    def encode(self, tokenizer: PreTrainedTokenizerBase) -> list[Tensor]:
        """Return the token ids of each prompt, ``(tokens,)``, unpadded."""
        special = not self.uses_template(tokenizer)  # a template writes its own
        rows = tokenizer(self.texts(tokenizer), add_special_tokens=special)["input_ids"]
        for number, row in enumerate(cast(list[list[int]], rows), start=1):
            if len(row) < 2:
                raise InputError(
                    f"{self.name}, prompt {number} has {len(row)} token(s): the first token of a "
                    "sequence is never used, so a prompt needs at least 2."
                )
        return [torch.tensor(row) for row in cast(list[list[int]], rows)]


def read_prompts(path: str | Path, *, chat: Chat = "auto") -> Prompts:
    """Read prompts from a file: JSON lines (``.jsonl``) or plain text, a prompt a line (``.txt``).

    Parameters
    ----------
    path
        The file. A line of JSON is ``{"prompt": "..."}`` or ``{"messages": [...]}``; ``"label"`` is
        kept. Empty lines are passed over.
    chat
        See :class:`Prompts`.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read as prompts: {error}.") from None
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise InputError(f"{path} holds no prompts: expected one a line.")
    if path.suffix not in (".jsonl", ".json", ".ndjson"):
        return Prompts(tuple(line.strip() for _, line in numbered), chat, name=path.name)
    read = [_read_line(line, f"{path}, line {number}") for number, line in numbered]
    labels = tuple(label for _, label in read)
    known = labels if any(label is not None for label in labels) else ()
    return Prompts(tuple(item for item, _ in read), chat, known, path.name)


def batches(
    language_model: LanguageModel, rows: Sequence[Tensor], size: int
) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
    """Pad rows of token ids on the left, batch by batch, rows of like length together.

    Yields the numbers of the rows and ``input_ids`` with ``attention_mask`` on the model's device.
    """
    if size < 1:
        raise InputError(f"batch_size: expected at least 1, got {size}.")
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield chosen, pad([rows[i] for i in chosen], language_model)


def pad(rows: Sequence[Tensor], language_model: LanguageModel) -> dict[str, Tensor]:
    """Pad rows of token ids on the left to one length, on the model's device."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), cast(int, language_model.tokenizer.pad_token_id or 0))
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, longest - len(row) :] = row
        mask[index, longest - len(row) :] = 1
    device = language_model.device
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def instruction_tail(tokenizer: PreTrainedTokenizerBase, template: bool) -> int:
    """Return how many tokens of a prompt follow the instruction.

    With a chat template these are the tokens with which it closes the user's turn and opens the
    assistant's; without one nothing follows, and the last token of the prompt counts as the one.
    """
    if not template:
        return 1
    word = "instruction"
    after = _templated(tokenizer, word).rpartition(word)[2]
    return max(1, len(cast(list[int], tokenizer(after, add_special_tokens=False)["input_ids"])))


def _templated(tokenizer: PreTrainedTokenizerBase, item: Prompt) -> str:
    messages = [{"role": "user", "content": item}] if isinstance(item, str) else _plain(item)
    begun = messages[-1]["role"] == "assistant"
    written = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
    )
    return cast(str, written)


def _plain(item: Prompt) -> Any:
    return item if isinstance(item, str) else [dict(message) for message in item]


def _check(item: object, where: str) -> None:
    if isinstance(item, str):
        if not item.strip():
            raise InputError(f"{where} is empty.")
        return
    messages = item if isinstance(item, Sequence) else ()
    if not messages or not all(
        isinstance(one, Mapping)
        and isinstance(one.get("role"), str)
        and isinstance(one.get("content"), str)
        for one in messages
    ):
        raise InputError(
            f"{where}: expected a text or a list of messages with 'role' and 'content', got {item!r}."
        )


def _read_line(line: str, where: str) -> tuple[Prompt, str | None]:
    try:
        read = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not JSON: {error}.") from None
    if isinstance(read, str):
        read = {"prompt": read}
    found = read.get("prompt", read.get("messages")) if isinstance(read, dict) else None
    if found is None:
        raise InputError(
            f'{where}: expected {{"prompt": ...}} or {{"messages": [...]}}, got {line}'
        )
    _check(found, where)
    label = read.get("label")
    return found if isinstance(found, str) else tuple(found), None if label is None else str(label)


def _tokenizer_name(tokenizer: PreTrainedTokenizerBase) -> str:
    return Path(str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)).name

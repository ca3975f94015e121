"""The options of `axonal steer`, and what they mean: model, prompts, readout, neutral texts, rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonal.errors import InputError

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel
    from axonal.language.steering import Prompts, Readout


@dataclass(frozen=True)
class Loading:
    """Which model, and where it is put."""

    model: Annotated[str, typer.Option(help="An asset, a folder or a hub id; see axonal assets.")]
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...")] = None
    device_map: Annotated[
        str | None, typer.Option(help="Spread the model over several devices: auto, balanced, ...")
    ] = None
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "bfloat16", "float16"):
            raise InputError(f"--dtype: expected float32, bfloat16 or float16, got {self.dtype!r}.")
        if self.device is not None and self.device_map is not None:
            raise InputError("Give --device or --device-map, not both.")

    def load(self) -> LanguageModel:
        """Load the model, and say so while it takes."""
        import torch

        from axonal.cli.live import reporting
        from axonal.language.models import load

        with reporting() as reporter:
            reporter.say(f"loading {self.model}")
            place: dict[str, Any] = {} if self.device is None else {"device": self.device}
            dtype = getattr(torch, self.dtype)
            return load(self.model, dtype=dtype, device_map=self.device_map, **place)


@dataclass(frozen=True)
class Reading:
    """How prompts are put to the model, and how behaviour is read."""

    chat: Annotated[str, typer.Option(help="auto, template or plain: how prompts are put.")] = (
        "auto"
    )
    answer: Annotated[
        list[str] | None,
        typer.Option(
            help="Read behaviour as the logit of this answer (' positive'), may be repeated."
        ),
    ] = None
    against: Annotated[
        list[str] | None, typer.Option(help="... minus that of this one (' negative').")
    ] = None
    phrase: Annotated[
        list[str] | None,
        typer.Option(help="Read behaviour as the rate of texts with one of these phrases."),
    ] = None
    pattern: Annotated[
        str | None,
        typer.Option(help="Read it as the rate of texts that this expression is found in."),
    ] = None
    new_tokens: Annotated[int, typer.Option(help="Tokens that are written.")] = 32
    batch_size: Annotated[int, typer.Option(help="Prompts a forward pass.")] = 8

    def __post_init__(self) -> None:
        if self.chat not in ("auto", "template", "plain"):
            raise InputError(f"--chat: expected auto, template or plain, got {self.chat!r}.")
        for name in ("new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise InputError(f"--{option}: expected at least 1, got {getattr(self, name)}.")
        asked = [bool(self.answer or self.against), bool(self.phrase), bool(self.pattern)]
        if sum(asked) > 1:
            raise InputError(
                "Read behaviour in one way: --answer and --against, --phrase or --pattern."
            )
        if bool(self.answer) != bool(self.against):
            raise InputError("A logit gap needs both --answer and --against.")

    def prompts(self, path: Path) -> Prompts:
        """Read a file of prompts."""
        from axonal.language.steering import read_prompts

        return read_prompts(path, chat=self.chat)  # pyright: ignore[reportArgumentType]

    def readout(self) -> Readout | None:
        """Return what reads behaviour, or None if it was not said."""
        from axonal.language.steering import LogitGap, Rate

        if self.answer and self.against:
            return LogitGap(self.answer, self.against, self.batch_size)
        if self.phrase:
            return Rate(self.phrase, self.new_tokens, self.batch_size)
        if not self.pattern:
            return None
        try:
            return Rate(re.compile(self.pattern), self.new_tokens, self.batch_size)
        except re.error as error:
            raise InputError(f"--pattern is no regular expression: {error}.") from None


@dataclass(frozen=True)
class Fitting:
    """What maps are fitted on, which tokens they move, and what they may damage."""

    source: Annotated[
        Path, typer.Option(help="Prompts that are to be moved, .jsonl or .txt, one a line.")
    ]
    target: Annotated[Path, typer.Option(help="Prompts whose activations they are to have.")]
    to: Annotated[Path, typer.Option(help="The folder to write.")]
    positions: Annotated[
        str,
        typer.Option(
            help="Tokens it is fitted on: last, prompt, generated, all, after_instruction or an "
            "index."
        ),
    ] = "last"
    apply: Annotated[str, typer.Option(help="Tokens that it moves, in the same words.")] = (
        "after_instruction"
    )
    cap: Annotated[
        float, typer.Option(help="The perplexity ratio on neutral texts that is allowed.")
    ] = 1.1
    texts: Annotated[
        Path | None, typer.Option(help="Neutral texts, one a line; the library's own if left out.")
    ] = None

    def rules(self) -> dict[str, Any]:
        """Return the rules for tokens, by the names of the library's arguments."""
        return {"positions": rule(self.positions), "apply": rule(self.apply)}

    def neutral(self) -> list[str] | None:
        """Return the neutral texts, or None for the library's own."""
        from axonal.language.steering import read_prompts

        if self.texts is None:
            return None
        return [str(text) for text in read_prompts(self.texts, chat="plain").items]


def estimator(name: str, components: int | None, basis: str | None, strength: float) -> Any:
    """Return a map by its name, with what was asked of it."""
    from axonal.language.steering.fitting import estimator_of

    found = estimator_of(name.strip())
    given = {"n_components": components, "basis": basis}
    asked = {name: value for name, value in given.items() if value is not None}
    if asked and "n_components" not in found.get_params():
        raise InputError(f"--components and --basis belong to Gaussian maps, not to {name}.")
    return found.set_params(strength=strength, **asked)


def rule(words: str) -> Any:
    """Read a rule for tokens: a name, an index, several with commas, or a slice 2: of positions."""
    parts = [part.strip() for part in words.split(",")]
    try:
        read = [_slice(p) if ":" in p else int(p) if p.lstrip("-").isdigit() else p for p in parts]
    except ValueError:
        raise InputError(f"{words!r} is no rule for tokens, such as last, -2 or 2:.") from None
    return read[0] if len(read) == 1 else read


def numbers(words: str, name: str, kind: Any = int) -> list[Any]:
    """Read numbers with commas."""
    try:
        return [kind(part) for part in words.split(",")]
    except ValueError:
        raise InputError(f"--{name}: expected numbers with commas, got {words!r}.") from None


def _slice(words: str) -> slice:
    return slice(*(int(end) if end.strip() else None for end in words.split(":")))

"""What a judge is: it reads answers and returns their attempts, each with a score from 0 to 100.

The paper's judges are language models behind paid services. Here a judge is any function of a list of
`Response`; `judge_each` makes one of a function of a single answer, `LocalJudge` (in `local`) needs
no network, and `EndpointJudge` (in `endpoint`) asks any service that speaks OpenAI's protocol.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from axonal.errors import InputError


@dataclass(frozen=True)
class Response:
    """What a judge reads.

    Parameters
    ----------
    prompt
        The question, without what a condition adds to it.
    text
        The answer.
    label
        What the boosted latent stands for; a good answer is not about it.
    """

    prompt: str
    text: str
    label: str = ""


@dataclass(frozen=True)
class Attempt:
    """One attempt at the question, with its score from 0 (off topic) to 100 (a good answer)."""

    text: str
    score: float


@dataclass(frozen=True)
class Judgement:
    """What a judge says of a response.

    Parameters
    ----------
    attempts
        In order; none where the answer is empty.
    problem
        Why there is no judgement, where the judge's own answer could not be read.
    """

    attempts: tuple[Attempt, ...] = ()
    problem: str | None = None

    @property
    def counts(self) -> bool:
        """Whether a rate has this response in its denominator."""
        return self.problem is None and len(self.attempts) > 0


Judge: TypeAlias = Callable[[Sequence[Response]], Sequence[Judgement]]


def judge_each(function: Callable[[Response], Any]) -> Judge:
    """Make a judge of a function that judges a single response.

    Parameters
    ----------
    function
        Returns a list of attempts: `Attempt` objects, ``(text, score)`` pairs or mappings with
        ``text`` (or ``attempt_text``) and ``score``. What does not fit, and a ``ValueError`` that it
        raises, is an unreadable judgement, which is counted and never a crash.
    """

    def judge(responses: Sequence[Response]) -> list[Judgement]:
        return [_judged(function, response) for response in responses]

    return judge


def read_attempts(given: Any) -> Judgement:
    """Read attempts in any of the forms of `judge_each`."""
    if isinstance(given, Judgement):
        return given
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        return Judgement(problem=f"a judge returns a list of attempts, got {type(given).__name__}")
    attempts = []
    for one in given:
        try:
            if isinstance(one, Attempt):
                text, score = one.text, one.score
            elif isinstance(one, Mapping):
                text, score = one.get("text", one.get("attempt_text", "")), one["score"]
            else:
                text, score = one
            score = float(score)
        except (KeyError, TypeError, ValueError) as error:
            return Judgement(problem=f"an attempt without text and score: {error!r}")
        if not math.isfinite(score) or not 0 <= score <= 100:
            return Judgement(problem=f"a score of {score:g}, expected 0 to 100")
        attempts.append(Attempt(str(text), score))
    return Judgement(tuple(attempts))


def judged(judge: Judge, responses: Sequence[Response]) -> list[Judgement]:
    """Ask a judge about responses; empty answers are not asked about."""
    asked = [number for number, response in enumerate(responses) if response.text.strip()]
    found = [Judgement() for _ in responses]
    if asked:
        answers = list(judge([responses[number] for number in asked]))
        if len(answers) != len(asked):
            raise InputError(
                f"The judge was asked about {len(asked)} responses and returned {len(answers)} "
                "judgements; a function of a single response becomes a judge by judge_each(...)."
            )
        for number, answer in zip(asked, answers, strict=True):
            found[number] = read_attempts(answer)
    return found


_REPEATED = re.compile(r"\b(\w{2,})\b(?:\W+\1\b){4}", re.IGNORECASE)


def is_degenerate(text: str) -> bool:
    """Tell whether the same word, longer than a letter, comes at least five times in a row."""
    return _REPEATED.search(text) is not None


def _judged(function: Callable[[Response], Any], response: Response) -> Judgement:
    try:
        return read_attempts(function(response))
    except ValueError as error:
        return Judgement(problem=str(error))

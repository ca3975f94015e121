"""A judge behind any service that speaks OpenAI's protocol: hosted, or a model served at home."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from axonal.errors import AxonalError, require
from axonal.language.resistance.judges import Judgement, Response, read_attempts

INSTRUCTION = """\
You grade answers of an assistant. You are given a question, the assistant's answer, and a topic that
the answer should not be about. Part the answer into attempts: it holds more than one only where the
assistant says in so many words that it starts over or corrects itself ("Wait, that is wrong.", "Let me
begin again."). Elaborating, listing and repeating are one attempt; so is a quotation of such words.
Give each attempt a score from 0 (about something else) to 100 (a good answer to the question that
keeps clear of the topic). An empty answer has no attempts.
Reply with one JSON object and nothing else: {"attempts": [{"text": "its first words", "score": 0}]}"""

_FENCED = re.compile(r"```(?:json)?\s*(\{.*\})\s*```|<json>\s*(\{.*\})\s*</json>", re.DOTALL)


@dataclass(frozen=True)
class EndpointJudge:
    """Asks a chat completion endpoint about each response.

    Parameters
    ----------
    model
        The name that the service knows the judge by.
    base_url
        Of the service (``"http://localhost:8000/v1"``); None is what the environment says.
    api_key
        None is what the environment says. It is kept out of every file.
    instruction
        The system message.
    workers
        Requests at a time.
    timeout, retries
        Seconds a request, and how often one that failed is repeated.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    instruction: str = INSTRUCTION
    workers: int = 8
    timeout: float = 120.0
    retries: int = 3

    def __call__(self, responses: Sequence[Response]) -> list[Judgement]:
        """Judge responses, several at a time."""
        openai: Any = require("openai", "language")
        try:
            client = openai.OpenAI(
                base_url=self.base_url,
                api_key=self.api_key,
                timeout=self.timeout,
                max_retries=self.retries,
            )
        except openai.OpenAIError as error:
            raise AxonalError(f"The judge {self.model} cannot be asked: {error}") from error
        with client, ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(lambda response: self._judge(client, response), responses))

    def _judge(self, client: Any, response: Response) -> Judgement:
        openai: Any = require("openai", "language")
        asked = (
            f"Question: {response.prompt}\nAnswer: {response.text}\n"
            f"Topic to keep clear of: {response.label or 'none'}"
        )
        try:
            reply = client.chat.completions.create(
                model=self.model,
                messages=[
                    {"role": "system", "content": self.instruction},
                    {"role": "user", "content": asked},
                ],
                temperature=0,
            )
        except openai.OpenAIError as error:
            raise AxonalError(
                f"The judge {self.model} did not answer ({type(error).__name__}: {error}); trials "
                "that were judged before are kept, so run again to go on."
            ) from error
        content = reply.choices[0].message.content if reply.choices else None
        return read_reply(content or "")


def read_reply(content: str) -> Judgement:
    """Read the JSON object in a judge's reply, bare or fenced."""
    fenced = _FENCED.search(content)
    body = next(filter(None, fenced.groups())) if fenced else content
    start, end = body.find("{"), body.rfind("}")
    try:
        found = json.loads(body[start : end + 1]) if 0 <= start < end else None
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or "attempts" not in found:
        return Judgement(problem=f"no JSON object with attempts in {content[:60]!r}")
    return read_attempts(found["attempts"])

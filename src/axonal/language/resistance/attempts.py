"""Where an answer starts over: attempts, by the rule that only an explicit restart begins one.

Restating, elaborating and going on are one attempt. A phrase inside quotation marks, code or a quoted
line is not the writer's own restart, a phrase at the very beginning restarts nothing, and phrases that
follow each other at once ("Wait, that's not right. Let me try again.") are one restart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from axonal.errors import InputError

RESTARTS: tuple[str, ...] = (
    r"(?:no,? )?wait[,.!\-— ]+(?:no\b|that\b|this\b|I\b|let me\b|actually\b|what\b)",
    r"(?:oh|oops|hmm|hold on|sorry|apologies)[,.!\-— ]+(?:that|this|I|let me|wait|actually|scratch)\b",
    r"(?:let me|let's|I'll|I will|I should|I need to|allow me to) (?:please )?(?:try (?:that |this |it )?"
    r"again|start (?:over|again|afresh)|begin again|restart|rephrase|redo|correct (?:myself|that|this)|"
    r"go back|get back|return to|refocus|get back on track)",
    r"(?:that|this)(?:'s| is| was) (?:not right|not correct|wrong|incorrect|not what you asked|off[- ]topic|"
    r"not relevant|irrelevant)",
    r"actually[,]? (?:I (?:made|was|got|went|should)|that(?:'s| is| was) (?:not|wrong|incorrect))",
    r"I(?:'ve| have)? (?:just )?(?:made a mistake|went off[- ]topic|gone off[- ]topic|got(?:ten)? "
    r"(?:off[- ]topic|off track|sidetracked|distracted|carried away)|strayed|drifted|digress(?:ed)?)",
    r"I(?:'d| would) like to (?:revise|correct|restart|redo)",
    r"I (?:apologi[sz]e|am sorry|'m sorry)[^.!?\n]{0,60}(?:off[- ]topic|confus|mistake|mix|drift|wander|"
    r"stray|digress|irrelevant|unrelated)",
    r"scratch that",
    r"(?:now )?back to (?:the|your) (?:question|topic|task|subject|point|original)",
)
"""Regular expressions of a restart, matched without regard to case."""

_QUOTED = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]{0,400}\"|“[^”\n]{0,400}”|«[^»\n]{0,400}»|^[ \t]*>.*?$",
    re.DOTALL | re.MULTILINE,
)
_WORD = re.compile(r"\w+")
_ENDS_SENTENCE = re.compile(r"[.!?:;\n]")
_STARTS_SENTENCE = re.compile(r"(?:^|[.!?:;\n—…)\]*-])[\s*_>\"”]*$")


@dataclass(frozen=True)
class AttemptRule:
    """When a text starts over.

    Parameters
    ----------
    restarts
        Regular expressions.
    least_words
        An attempt has at least so many words besides the restart itself; fewer join the next one.
    """

    restarts: tuple[str, ...] = RESTARTS
    least_words: int = 4

    def __post_init__(self) -> None:
        try:
            pattern = re.compile("|".join(f"(?:{one})" for one in self.restarts), re.IGNORECASE)
        except re.error as error:
            raise InputError(f"A restart phrase is no regular expression: {error}.") from error
        object.__setattr__(self, "_pattern", pattern)

    def find(self, text: str) -> list[int]:
        """Return where each further attempt begins, as offsets into the text."""
        pattern: re.Pattern[str] = self._pattern  # pyright: ignore[reportAttributeAccessIssue]
        quoted = [match.span() for match in _QUOTED.finditer(text)]
        starts: list[int] = []
        content = 0  # where the words of the attempt under way begin: after its restart's sentence
        after = 0
        for match in pattern.finditer(text):
            inside = any(low <= match.start() < high for low, high in quoted)
            if inside or not _STARTS_SENTENCE.search(text[: match.start()][-6:]):
                continue
            if self._words(text[content : match.start()]) >= self.least_words:
                starts.append(match.start())
            after = match.end()
            ends = _ENDS_SENTENCE.search(text, after)
            content = ends.end() if ends else len(text)
        if starts and self._words(text[after:]) < self.least_words:
            starts.pop()  # cut off before anything was attempted
        return starts

    @staticmethod
    def _words(text: str) -> int:
        return len(_WORD.findall(text))

    def split(self, text: str) -> list[str]:
        """Return the attempts of an answer; none of an empty one.

        >>> AttemptRule().split("Bees make honey. Wait, that's not right. Let me try again: boil rice.")
        ['Bees make honey.', "Wait, that's not right. Let me try again: boil rice."]
        """
        if not text.strip():
            return []
        bounds = [0, *self.find(text), len(text)]
        pieces = [text[a:b].strip() for a, b in pairwise(bounds)]
        return [piece for piece in pieces if piece]

"""Which tokens a map is fitted on and which it moves: rules that never mean the first token.

The first token of a sequence carries a massive activation (an attention sink) that is nothing like
the others, so no rule reaches it.

``"last"``               the last token of the prompt
``"prompt"``             the prompt
``"generated"``          what the model wrote
``"all"``                both
``"after_instruction"``  every token from the end of the instruction on: what the chat template puts
                         after it (for plain text the last token of the prompt), and what is written

and an integer, a slice, a list, a tensor of positions, a mask or a function, as
:mod:`axonal.activations.positions` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from axonal.activations import Call, Positions
from axonal.activations.positions import select
from axonal.errors import InputError, nearest

RULES = ("last", "prompt", "generated", "all", "after_instruction")


@dataclass(frozen=True, eq=False)
class Where:
    """A rule for tokens, as ``positions=`` of recording and editing takes it.

    Parameters
    ----------
    rule
        See the module.
    tail
        How many tokens of a prompt follow its instruction.
    """

    rule: Positions
    tail: int = 1

    def __post_init__(self) -> None:
        parts = self.rule if isinstance(self.rule, list | tuple) else [self.rule]
        for part in parts:
            if isinstance(part, str) and part not in RULES:
                raise InputError(f"There is no positions rule {part!r}; {nearest(part, RULES)}")
            if isinstance(part, int) and part == 0:
                raise InputError(
                    "Position 0 is the first token, whose activation is massive: it is neither "
                    "fitted on nor moved."
                )
        if self.rule is None:
            raise InputError(f"Say which tokens are meant: {', '.join(RULES)}, an index or a mask.")

    def __call__(self, call: Call) -> Tensor | bool:
        """Return which tokens of a pass are meant; quick at every token that is written."""
        if self._of_written is not None and call.after_prompt:
            return self._of_written
        return self.tokens(call)

    @cached_property
    def _of_written(self) -> bool | None:
        """Whether what was written is meant, whatever its position; None where that matters."""
        parts = self.rule if isinstance(self.rule, list | tuple) else [self.rule]
        if any(
            part in ("generated", "all", "after_instruction")
            for part in parts
            if isinstance(part, str)
        ):
            return True
        behind = (isinstance(part, str) or (isinstance(part, int) and part < 0) for part in parts)
        return False if all(behind) else None

    def tokens(self, call: Call) -> Tensor:
        """Return which tokens of a pass are meant, ``(batch, length)``."""
        return (call.positions > 0) & select(call, self._known(self.rule))

    def first_tokens(self, call: Call) -> int:
        """Return how many first tokens an index, a slice, a mask or a function names in vain."""
        if isinstance(self.rule, str):
            return 0
        named = (call.positions == 0) & select(call, self._known(self.rule))
        return int(named.sum())

    def _known(self, rule: Positions) -> Positions:
        """Return the rule in the words that the activation engine knows."""
        if isinstance(rule, str) and rule == "after_instruction":
            return slice(-self.tail, None)
        if isinstance(rule, list | tuple):
            return lambda call: _union(call, [self._known(part) for part in rule])
        return rule


def _union(call: Call, rules: Sequence[Positions]) -> Tensor:
    chosen = call.positions < 0
    chosen = chosen & False
    for rule in rules:
        chosen = chosen | select(call, rule)
    return chosen

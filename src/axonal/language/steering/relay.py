"""Fit layer after layer without running again what lies below.

Each layer's map is fitted with the maps below it in force. What flows out of a layer's block in the
pass that fits it is kept, and the next pass starts there: with the map just fitted on top, it runs
the blocks up to the next layer. So fitting every block of a model costs one pass in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from axonal.activations import Site
from axonal.language.steering.prefix import LIMIT, Prefix

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


class Relay(Prefix):
    """A memory of what comes out of the latest fitted block, in force inside its context.

    Parameters
    ----------
    language_model
        The model; it is called as ever, with the same tokens in every pass.
    sites
        Where maps will be fitted, one after the other.
    limit
        Bytes at most; beyond that, passes run whole.
    """

    def __init__(
        self, language_model: LanguageModel, sites: Iterable[Site], *, limit: int = LIMIT
    ) -> None:
        super().__init__(language_model, sites, limit=limit)
        self._limit = limit
        self._goal: int | None = None
        self._passes = 0

    def towards(self, site: Site, fitted: Sequence[Site]) -> list[Site]:
        """Prepare the pass that records ``site``; return where edits have to be in force in it.

        Parameters
        ----------
        site
            Where the next map is fitted.
        fitted
            Sites that have a map already, in their order.
        """
        last = self._outputs.get(fitted[-1]) if fitted else None
        goal = self._outputs.get(site)
        whole = (
            last is None
            or goal is None
            or goal <= last
            or last != self._goal
            or not 0 < self._passes == len(self._memory)
        )
        self._start = None if whole else last
        self._memory = {} if whole else self._memory
        self._goal, self._passes = goal, 0
        self._left = self._limit
        if not whole:
            return [fitted[-1]]
        above = {s for s in fitted if goal is not None and self._outputs.get(s, -1) > goal}
        return [s for s in fitted if s not in above]  # what lies above is not run

    def _begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super()._begin(_, args, kwargs)
        self._passes += 1
        if self._key is not None and self._start is not None:
            # Its batch has started from it: what it held makes way for what comes out above.
            self._memory.pop((self._key, self._start))

    def _keeps(self, block: int) -> bool:
        return block == self._goal

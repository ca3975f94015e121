"""Choose block and components on validation prompts, under a cap on the perplexity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from axonal.activations import Edit, Site
from axonal.language.steering import NeutralTexts
from axonal.language.steering.prefix import Prefix
from axonal.language.steering.where import Where
from axonal.studies.gaussian_transport_steering.comparison import Bench, methods
from axonal.transport import AffineTransport

APPLY = ("last", "generated")
"""Which tokens a map moves: the last of the prompt, on which it is fitted, and what is written."""


@dataclass(frozen=True)
class Choice:
    """A map at a block, and what it damages.

    Parameters
    ----------
    name, block
        Of the map.
    perplexity, kl
        Perplexity ratio, and KL to the model's own predictions, on neutral texts.
    """

    name: str
    block: int
    perplexity: float
    kl: float


class Chooser:
    """Choose among maps and blocks, computing the damage only of candidates.

    Parameters
    ----------
    bench, found
        A case and its sweep.
    neutral
        Neutral texts, read; None measures no damage.
    cap
        Perplexity ratio that is allowed.
    tries
        Candidates whose damage is computed at most: those that change something, in order. If none
        of them keeps to the cap, the least damaging one is taken.
    """

    def __init__(
        self,
        bench: Bench,
        found: xr.Dataset,
        neutral: NeutralTexts | None,
        cap: float = 1.1,
        tries: int = 10,
    ) -> None:
        self._bench, self._found, self._neutral = bench, found, neutral
        self._cap, self._tries = cap, tries
        self._known = methods(bench.case.components)
        self._damage: dict[tuple[str, int], tuple[float, float]] = {}
        # What flows through neutral texts below a map is computed once.
        self._prefix = Prefix(
            bench.case.language_model, [bench.sites.residual(b) for b in bench.case.blocks]
        )

    def method(self, name: str) -> AffineTransport[Any]:
        """Return the unfitted map of that name."""
        return self._known[name]

    def best(self, names: Sequence[str]) -> Choice:
        """Return the map and block that change most validation prompts within the cap.

        Among equals the one whose readout fell furthest.
        """
        at = self._found.sel(group="validation")
        candidates = sorted(
            (-float(one["changed"]), float(one["odds"]), name, int(block))
            for name in names
            for block in at["block"].to_numpy()
            for one in [at.sel({"map": name, "block": block})]
        )
        active = [one for one in candidates if one[0] < 0] or candidates[:1]
        tried = []
        for _, _, name, block in active[: self._tries]:
            tried.append(self.harm(name, block))
            if not tried[-1].perplexity > self._cap:
                return tried[-1]
        return min(tried, key=lambda choice: choice.perplexity)

    def harm(self, name: str, block: int) -> Choice:
        """Return what a map at a block damages."""
        if (name, block) not in self._damage:
            fitted = self._bench.fit(self._known[name], block)
            found = self.damage({block: fitted})
            self._damage[name, block] = found
        return Choice(name, block, *self._damage[name, block])

    def harm_once(self, choice: Choice) -> float:
        """Return the perplexity ratio if a map moves the last token of the prompt alone."""
        fitted = self._bench.fit(self._known[choice.name], choice.block)
        return self.damage({choice.block: fitted}, ["last"])[0]

    def damage(
        self, fitted: dict[int, AffineTransport[Any]], positions: Sequence[str] = APPLY
    ) -> tuple[float, float]:
        """Return perplexity ratio and KL on neutral texts, with fitted maps at blocks."""
        where = Where(list(positions))
        sites = self._bench.sites
        return self.harm_of(
            {sites.residual(b): one.edit(positions=where) for b, one in fitted.items()}
        )

    def harm_of(self, edits: dict[Site, Edit]) -> tuple[float, float]:
        """Return perplexity ratio and KL on neutral texts under any edits."""
        if self._neutral is None:
            return np.nan, np.nan
        with self._prefix.starting_at(edits):
            found = self._neutral.damage(edits)
        return found.perplexity_ratio, found.kl

"""Behaviour against damage: one set-up in which many maps are tried."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from axonal.activations import Site, edit
from axonal.errors import InputError
from axonal.language.steering.damage import Damage, NeutralTexts
from axonal.language.steering.generation import token_variety
from axonal.language.steering.prefix import Prefix
from axonal.language.steering.prompts import Prompt, Prompts
from axonal.language.steering.readouts import Readout
from axonal.language.steering.steering_map import SteeringMap

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

#: Below this share of different tokens a completion repeats itself: it is degenerate.
DEGENERATE = 0.3


@dataclass(frozen=True)
class Effect:
    """What a map does.

    Parameters
    ----------
    behaviour
        The readout of each source prompt, steered.
    gain
        How much of the way from the source's behaviour to the target's the mean went: 0 none, 1 all.
    damage
        On neutral texts.
    """

    behaviour: NDArray[np.float64]
    gain: float
    damage: Damage


class Evaluation:
    """The prompts, the readout and the neutral texts by which maps are compared.

    What flows below the edited layers is computed once for all maps.

    Parameters
    ----------
    language_model
        The model and its tokenizer.
    source, target
        Prompts that no map was fitted on; the target says where behaviour is to go.
    readout
        ``(language_model, prompts) -> (prompts,)``.
    sites
        Where maps will act.
    texts
        Neutral texts; those of the library by default.
    context, batch_size
        See :class:`NeutralTexts`.

    Attributes
    ----------
    source_behaviour, target_behaviour
        The readouts without steering.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        source: Prompts | Sequence[Prompt],
        target: Prompts | Sequence[Prompt],
        readout: Readout,
        sites: Iterable[Site],
        *,
        texts: Sequence[str] | None = None,
        context: int = 8,
        batch_size: int = 8,
    ) -> None:
        self.language_model, self.readout = language_model, readout
        self.source, self.target = Prompts.of(source, "source"), Prompts.of(target, "target")
        self._prefix = Prefix(language_model, sites)
        with self._prefix:
            self.source_behaviour = self._read(self.source)
            self._neutral = NeutralTexts(
                language_model, texts, context=context, batch_size=batch_size
            )
        self.target_behaviour = self._read(self.target)
        self._way = float(self.target_behaviour.mean() - self.source_behaviour.mean())
        if self._way == 0.0:
            raise InputError(
                "The readout is the same for source and target prompts "
                f"({self.source_behaviour.mean():.3g}), so it can't say whether a map changes the "
                "behaviour: choose another readout or other prompts."
            )

    def effect(self, steering: SteeringMap, *, strength: float | None = None) -> Effect:
        """Steer the source prompts and the neutral texts, and see what changes."""
        edits = steering.edits(strength=strength)
        model = self.language_model.model
        with self._prefix:
            self._prefix.starting_at(edits)
            with edit(model, edits):
                behaviour = self._read(self.source)
            harm = self._neutral.damage(edits)
        return Effect(behaviour, self.gain(behaviour), harm)

    def gain(self, behaviour: NDArray[np.float64]) -> float:
        """Return how much of the way from the source's behaviour to the target's this is."""
        return float((behaviour.mean() - self.source_behaviour.mean()) / self._way)

    def variety(
        self,
        steering: SteeringMap,
        *,
        strength: float | None = None,
        prompts: int = 4,
        new_tokens: int = 32,
    ) -> float:
        """Return the share of different tokens in what the steered model writes (mean of prompts)."""
        with edit(self.language_model.model, steering.edits(strength=strength)):
            shares = token_variety(
                self.language_model, self.source[:prompts], max_new_tokens=new_tokens
            )
        return float(np.mean(shares))

    def _read(self, prompts: Prompts) -> NDArray[np.float64]:
        values = np.asarray(self.readout(self.language_model, prompts), dtype=np.float64)
        if values.shape != (len(prompts),):
            raise InputError(
                f"A readout gives one number a prompt, {(len(prompts),)}, got shape {values.shape}."
            )
        if not np.isfinite(values).all():
            raise InputError(
                f"The readout of {int((~np.isfinite(values)).sum())} of {len(prompts)} prompts is "
                "NaN or infinite."
            )
        return values

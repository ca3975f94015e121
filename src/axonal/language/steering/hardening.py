"""Harden a model against transport, and notice transported activations.

- :func:`adversarial_batch` gives the worst state that a map makes: inputs with their activations
  before and after, for training that keeps behaviour there (refusal-feature adversarial training,
  arXiv:2409.20089, with a transport map in the place of one direction).
- :func:`drift_monitor` watches the law of a running window of activations. A map that makes one
  population look like another moves that law, by the Wasserstein-2 distance that it bridges.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from axonal.activations import Call, Edit, Positions, Site, edit, recording
from axonal.errors import InputError
from axonal.language.steering.collecting import collect
from axonal.language.steering.fitting import sites_of
from axonal.language.steering.prompts import Prompt, Prompts, batches, instruction_tail
from axonal.language.steering.steering_map import SteeringMap
from axonal.language.steering.where import Where
from axonal.transport import Gaussian, wasserstein
from axonal.transport.subspace import principal_axes

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


@dataclass(frozen=True, eq=False)
class AdversarialBatch:
    """One batch of inputs, and what a map makes of their activations.

    Parameters
    ----------
    rows
        The numbers of the prompts.
    inputs
        ``input_ids`` and ``attention_mask``, to train with while ``steering.edits()`` are in force.
    tokens
        Which tokens are moved, ``(rows, positions)``.
    original, transported
        The activations of these tokens at each site, ``(tokens, width)``.
    """

    rows: list[int]
    inputs: dict[str, Tensor]
    tokens: Tensor
    original: dict[Site, Tensor]
    transported: dict[Site, Tensor]


def adversarial_batch(
    language_model: LanguageModel,
    steering: SteeringMap,
    prompts: Prompts | Sequence[Prompt],
    *,
    strength: float | None = None,
    batch_size: int = 8,
) -> Iterator[AdversarialBatch]:
    """Yield prompts batch by batch with the activations that a map gives them.

    The model is run as it is now, so that it may be the one in training: the map is not compared
    with it.

    Parameters
    ----------
    language_model
        The model and its tokenizer.
    steering
        The map; with several sites, those after the first see what the ones before did.
    prompts
        Of which behaviour is to stay what it is.
    strength
        Of the map.
    batch_size
        Prompts a batch.
    """
    prompts = Prompts.of(prompts)
    tokenizer, model = language_model.tokenizer, language_model.model
    where = Where(steering.apply, instruction_tail(tokenizer, prompts.uses_template(tokenizer)))
    edits = steering.edits(strength=strength)
    for chosen, batch in batches(language_model, prompts.encode(tokenizer), batch_size):
        mask = batch["attention_mask"].bool()
        call = Call(*mask.shape, prompt_columns=mask.shape[1], mask=mask, device=mask.device)
        tokens = where.tokens(call)
        position_ids = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        with (
            torch.no_grad(),
            recording(model, steering.sites) as before,
            edit(model, edits),
            recording(model, steering.sites) as after,
        ):
            model(**batch, position_ids=position_ids, use_cache=False)
        original = {site: before[site][tokens.to(before[site].device)] for site in edits}
        transported = {site: after[site][tokens.to(after[site].device)] for site in edits}
        yield AdversarialBatch(chosen, batch, tokens, original, transported)


@dataclass(frozen=True)
class Drift:
    """How far a window of activations is from the reference.

    Parameters
    ----------
    distance
        Wasserstein-2 distance of the two laws, in units of the activations.
    threshold
        The distance that windows of the reference itself rarely exceed.
    """

    distance: float
    threshold: float

    @property
    def flagged(self) -> bool:
        """Whether the window is further away than the reference's own."""
        return self.distance > self.threshold


class DriftMonitor:
    """Compare a running window of activations with a reference law.

    The axes and the law come from one half of the reference; windows drawn from the other half say
    what distance is usual.

    Parameters
    ----------
    reference
        Rows ``(samples, width)`` of ordinary traffic, at least four windows of them.
    window
        Rows that are judged together.
    components
        Principal axes of the reference in which laws are compared.
    quantile
        Of the distances of the reference's own windows, above which a window is flagged.
    seed
        For drawing those windows.

    Attributes
    ----------
    threshold
        That quantile.
    history
        Every judgement so far.
    """

    def __init__(
        self,
        reference: Tensor,
        *,
        window: int = 16,
        components: int = 8,
        quantile: float = 0.99,
        seed: int = 0,
    ) -> None:
        rows = reference.double()
        if rows.ndim != 2 or not bool(rows.isfinite().all()):
            raise InputError(
                f"reference: expected finite rows (samples, width), got {tuple(rows.shape)}."
            )
        if window < 3 or len(rows) < 4 * window:
            raise InputError(
                f"reference: {len(rows)} rows are too few for windows of {window}; expected at least "
                f"3 rows a window and {4 * max(window, 3)} rows."
            )
        if not 0 < quantile < 1:
            raise InputError(f"quantile: expected a number between 0 and 1, got {quantile}.")
        generator = np.random.default_rng(seed)
        order = torch.from_numpy(generator.permutation(len(rows)))
        known, fresh = rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]
        self._center = known.mean(dim=0)
        count = min(components, rows.shape[1], len(known) - 1)
        self._axes = principal_axes(known - self._center, count)
        self._law = Gaussian.of(self._coordinates(known), "auto")
        self._width, self._window = rows.shape[1], window
        draws = [generator.choice(len(fresh), window, replace=False) for _ in range(200)]
        usual = [self._distance(self._coordinates(fresh[torch.from_numpy(d)])) for d in draws]
        self.threshold = float(np.quantile(usual, quantile))
        self.history: list[Drift] = []
        self._recent: deque[Tensor] = deque(maxlen=window)

    def update(self, rows: Tensor) -> Drift | None:
        """Take in rows ``(samples, width)``; judge the latest window, None until it is full."""
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise InputError(
                f"rows: expected (samples, {self._width}), got {tuple(rows.shape)}: is this another "
                "model or site?"
            )
        self._recent.extend(self._coordinates(rows.detach().cpu().double()))
        if len(self._recent) < self._window:
            return None
        drift = Drift(self._distance(torch.stack(tuple(self._recent))), self.threshold)
        self.history.append(drift)
        return drift

    def reset(self) -> None:
        """Forget the rows in the window."""
        self._recent.clear()

    @contextlib.contextmanager
    def watching(
        self, model: nn.Module, site: Site, positions: Positions = "last"
    ) -> Iterator[None]:
        """Take in the activations that flow at a site, after the edits of contexts around this one."""
        with edit(model, {site: _Listen(self, Where(positions))}):
            yield

    def _coordinates(self, rows: Tensor) -> Tensor:
        return (rows - self._center) @ self._axes

    def _distance(self, coordinates: Tensor) -> float:
        return wasserstein(Gaussian.of(coordinates, "auto"), self._law)


def drift_monitor(
    language_model: LanguageModel,
    prompts: Prompts | Sequence[Prompt],
    layer: int | Site,
    *,
    positions: Positions = "last",
    window: int = 16,
    components: int = 8,
    quantile: float = 0.99,
    batch_size: int = 8,
    seed: int = 0,
) -> DriftMonitor:
    """Return a monitor whose reference is what prompts do at one layer.

    Parameters
    ----------
    language_model
        The model and its tokenizer, unsteered.
    prompts
        Ordinary traffic of the kind that is to be watched.
    layer
        A block, whose output is watched, or a site.
    positions
        The tokens that count, see :mod:`axonal.language.steering.where`.
    window, components, quantile, seed
        See :class:`DriftMonitor`.
    batch_size
        Prompts a forward pass.
    """
    (site,) = sites_of(language_model, layer)
    rows = collect(language_model, prompts, [site], positions, batch_size=batch_size)[site]
    return DriftMonitor(rows, window=window, components=components, quantile=quantile, seed=seed)


class _Listen(Edit):
    """An edit that changes nothing and hands the activations to a monitor."""

    def __init__(self, monitor: DriftMonitor, where: Where) -> None:
        super().__init__(positions=where)
        self._monitor, self._where = monitor, where

    @override
    def forward(self, x: Tensor, call: Call | None = None) -> Tensor:
        assert call is not None
        rows = x.detach()[self._where.tokens(call).to(x.device)]
        if len(rows):
            self._monitor.update(rows)
        return x

"""Sweep maps, layers and strengths: every combination's behaviour against its damage."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal import sweep as grids
from axonal.activations import Positions, Site, Sites
from axonal.errors import InputError
from axonal.language.steering.auditing import audit
from axonal.language.steering.collecting import collect
from axonal.language.steering.evaluation import DEGENERATE, Evaluation
from axonal.language.steering.fitting import estimator_of, learn
from axonal.language.steering.origin import Origin
from axonal.language.steering.prompts import Prompt, Prompts
from axonal.language.steering.readouts import Readout
from axonal.language.steering.steering_map import SteeringMap
from axonal.transport import AffineTransport, family

if TYPE_CHECKING:
    import xarray as xr

    from axonal.language.models import LanguageModel

Maps = Sequence[str] | Mapping[str, AffineTransport[Any]]


def sweep(
    language_model: LanguageModel,
    source: Prompts | Sequence[Prompt],
    target: Prompts | Sequence[Prompt],
    readout: Readout,
    *,
    maps: Maps | None = None,
    layers: Sequence[int] | None = None,
    strengths: Sequence[float] = (0.5, 1.0),
    validation: tuple[Any, Any] | None = None,
    positions: Positions = "last",
    apply: Positions = "after_instruction",
    texts: Sequence[str] | None = None,
    write: int = 0,
    batch_size: int = 8,
    new_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Fit and try every map at every layer with every strength.

    Parameters
    ----------
    language_model
        The model and its tokenizer.
    source, target
        The prompts that are to be moved, and those whose activations they are to have.
    readout
        The behaviour, ``(language_model, prompts) -> (prompts,)``.
    maps
        Names of :func:`axonal.transport.family`, or estimators by names of one's own; the whole
        family by default.
    layers
        Blocks, one at a time; at most six between 20 and 80 % of the depth by default.
    strengths
        Of the maps.
    validation
        Source and target prompts to judge by; by default the second half of each set, which maps
        are then not fitted on.
    positions, apply
        Tokens that maps are fitted on and those that they move.
    texts
        Neutral texts.
    write
        Let the model write on so many prompts at every point, to find degenerate text; 0 does not.
    batch_size, new_tokens
        See :func:`collect`.
    progress
        Told how many points of all are done.

    Returns
    -------
    Dataset
        ``behaviour`` (map, layer, strength, prompt), ``gain``, ``kl`` and ``log_perplexity_ratio``
        (..., text), ``perplexity_ratio``, ``variety``, ``degenerate``, and the :class:`Audit` of each
        map; ``source_behaviour`` and ``target_behaviour`` without steering.
    """
    estimators = _estimators(maps)
    blocks = default_layers(language_model) if layers is None else list(layers)
    fitted, judged = split(source, target, validation)
    named = Sites.of(language_model.model)
    sites = {block: named.residual(block) for block in blocks}
    options: dict[str, Any] = {"batch_size": batch_size, "new_tokens": new_tokens}

    def rows(prompts: Prompts) -> dict[Site, Any]:
        return collect(language_model, prompts, sites.values(), positions, **options)

    train, test = [rows(p) for p in fitted], [rows(p) for p in judged]
    evaluation = Evaluation(
        language_model, *judged, readout, sites.values(), texts=texts, batch_size=batch_size
    )
    origin = Origin.of(language_model, *fitted, positions=str(positions))
    made: dict[tuple[int, int], SteeringMap] = {}

    def point(map: AffineTransport[Any], layer: int, strength: float) -> dict[str, Any]:
        site = sites[int(layer)]
        pairs = (train[0][site], train[1][site]), (test[0][site], test[1][site])
        if (id(map), layer) not in made:
            one, report = learn(map, *pairs[0], site)
            made[id(map), layer] = SteeringMap({site: one}, origin, apply, 1.0, {str(site): report})
        steering = made[id(map), layer]
        found = evaluation.effect(steering, strength=strength)
        seen = audit(steering.maps[site], *pairs, strength=strength)
        variety = evaluation.variety(steering, strength=strength, prompts=write) if write else None
        return {
            "behaviour": found.behaviour,
            "gain": found.gain,
            "kl": found.damage.text_kl,
            "log_perplexity_ratio": found.damage.text_log_ratio,
            "perplexity_ratio": found.damage.perplexity_ratio,
            "variety": math.nan if variety is None else variety,
            **vars(seen),
        }

    data = grids.sweep(
        point,
        {"map": estimators, "layer": blocks, "strength": list(strengths)},
        dims={"behaviour": ["prompt"], "kl": ["text"], "log_perplexity_ratio": ["text"]},
        units={"kl": "nats"},
        progress=progress,
    )
    data = data.drop_vars("repeat", errors="ignore")
    data["degenerate"] = data["variety"] < DEGENERATE
    data["source_behaviour"] = ("prompt", evaluation.source_behaviour)
    data["target_behaviour"] = ("target_prompt", evaluation.target_behaviour)
    data.attrs |= {
        "model": language_model.name,
        "blocks": named.blocks,
        "source_prompts": fitted[0].sha256,
        "target_prompts": fitted[1].sha256,
        "fitted_on": str(positions),
        "applied_to": str(apply),
    }
    return data


def default_layers(
    language_model: LanguageModel, *, band: tuple[float, float] = (0.2, 0.8), count: int | None = 6
) -> list[int]:
    """Return blocks whose depth lies in a band, at most ``count`` of them, evenly spaced."""
    low, high = band
    if not 0 <= low < high <= 1:
        raise InputError(f"band: expected 0 <= low < high <= 1, got {band}.")
    blocks = Sites.of(language_model.model).blocks
    inside = [b for b in range(blocks) if low <= (b + 1) / blocks <= high]
    if not inside:
        raise InputError(
            f"No block of {blocks} lies between {low:.0%} and {high:.0%} of the depth."
        )
    if count is None or len(inside) <= count:
        return inside
    return sorted({inside[round(i)] for i in np.linspace(0, len(inside) - 1, count)})


def split(
    source: Prompts | Sequence[Prompt],
    target: Prompts | Sequence[Prompt],
    validation: tuple[Any, Any] | None,
) -> tuple[tuple[Prompts, Prompts], tuple[Prompts, Prompts]]:
    """Return the prompts to fit on and those to judge by: the second halves if none are given."""
    both = Prompts.of(source, "source"), Prompts.of(target, "target")
    if validation is not None:
        judged = tuple(Prompts.of(one, "validation") for one in validation)
        return both, (judged[0], judged[1])
    for name, one in zip(("source", "target"), both, strict=True):
        if len(one) < 6:
            raise InputError(
                f"{name}: {len(one)} prompts are too few to fit on one half and judge by the other, "
                "expected at least 6 (or validation=(source, target))."
            )
    halves = [(one[: (len(one) + 1) // 2], one[(len(one) + 1) // 2 :]) for one in both]
    return (halves[0][0], halves[1][0]), (halves[0][1], halves[1][1])


def _estimators(maps: Maps | None) -> dict[str, AffineTransport[Any]]:
    if maps is None:
        return family()
    if isinstance(maps, Mapping):
        return {name: estimator_of(one) for name, one in maps.items()}
    if isinstance(maps, str):
        raise InputError(f"maps: expected a list of names, got {maps!r}.")
    return {name: estimator_of(name) for name in maps}

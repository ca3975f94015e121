"""Fit maps at layers of a language model, one after the other, from two sets of prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from axonal.activations import Positions, Site, Sites, edit
from axonal.errors import InputError, nearest
from axonal.language.steering.collecting import stream
from axonal.language.steering.origin import Origin
from axonal.language.steering.prompts import Prompt, Prompts
from axonal.language.steering.relay import Relay
from axonal.language.steering.steering_map import SteeringMap
from axonal.language.steering.streaming import RunningRows, moments_suffice
from axonal.transport import AffineTransport, GaussianTransport, family
from axonal.transport.affine import Map

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


def fit(
    language_model: LanguageModel,
    source: Prompts | Sequence[Prompt],
    target: Prompts | Sequence[Prompt],
    layers: int | Site | Sequence[int | Site],
    *,
    map: AffineTransport[Any] | str = "Gaussian, subspace",
    positions: Positions = "last",
    apply: Positions = "after_instruction",
    batch_size: int = 8,
    new_tokens: int | None = None,
) -> SteeringMap:
    """Fit a map at each layer that makes the source prompts' activations look like the target's.

    Each layer is fitted with the maps before it in force on the source, so that together they do
    not go too far; layers in ascending order cost one pass in all, however many they are. Where the map depends on means and covariances only, many rows are reduced to
    these batch by batch, so that every token of a corpus can be fitted on.

    Parameters
    ----------
    language_model
        The model and its tokenizer.
    source, target
        The prompts that are to be moved, and those whose activations they are to have.
    layers
        Blocks, whose output is moved, or sites.
    map
        An estimator, or the name of one of :func:`axonal.transport.family`.
    positions
        The tokens that it is fitted on, see :mod:`axonal.language.steering.where`.
    apply
        The tokens that it moves.
    batch_size, new_tokens
        See :func:`collect`.
    """
    source, target = Prompts.of(source, "source"), Prompts.of(target, "target")
    estimator = estimator_of(map)
    sites = sites_of(language_model, layers)
    origin = Origin.of(
        language_model, source, target, method=repr(estimator), positions=str(positions)
    )
    compress = moments_suffice(estimator, origin.width)

    def rows(prompts: Prompts, at: list[Site]) -> dict[Site, RunningRows]:
        return stream(
            language_model,
            prompts,
            at,
            positions,
            compress=compress,
            batch_size=batch_size,
            new_tokens=new_tokens,
        )

    reached = rows(target, sites)
    maps: dict[Site, Map] = {}
    report: dict[str, Mapping[str, Any]] = {}
    with Relay(language_model, sites) as relay:
        for site in sites:
            below = relay.towards(site, list(maps))
            before = (
                SteeringMap({s: maps[s] for s in below}, origin, apply).edits() if below else {}
            )
            with edit(language_model.model, before):
                moved = rows(source, [site])[site]
            # Both as moments or neither, so that both populations count alike.
            few = moved.compressed or reached[site].compressed
            x, y = moved.rows(moments=few), reached[site].rows(moments=few)
            maps[site], found = learn(estimator, x, y, site)
            report[str(site)] = {
                **found,
                "n_source": moved.samples,
                "n_target": reached[site].samples,
            }
    return SteeringMap(maps, origin, apply, estimator.strength, report)


def learn(
    estimator: AffineTransport[Any], source: Tensor, target: Tensor, site: Site
) -> tuple[Map, dict[str, Any]]:
    """Fit a copy of the estimator at one site; return its map and what the fit found."""
    own = type(estimator)(**estimator.get_params())
    try:
        own.fit(source, target)
    except InputError as error:
        raise InputError(f"At {site}: {error}") from None
    found: dict[str, Any] = {"n_source": len(source), "n_target": len(target)}
    if isinstance(own, GaussianTransport):
        found |= {
            **vars(own.report_),
            "stretches": [min(own.report_.stretches), max(own.report_.stretches)],
        }
    return own.map_, found


def estimator_of(map: AffineTransport[Any] | str) -> AffineTransport[Any]:
    """Return the estimator, or the member of the family with this name (``"mean-shift"`` too)."""
    if isinstance(map, AffineTransport):
        return map
    if not isinstance(map, str):
        raise InputError(f"map: expected an estimator or the name of one, got {map!r}.")
    known = {_plain(name): one for name, one in family().items()}
    if _plain(map) not in known:
        raise InputError(f"There is no map {map!r}; {nearest(_plain(map), known)}")
    return known[_plain(map)]


def _plain(name: str) -> str:
    """Return a name as one types it: lower case, hyphens."""
    return "-".join(name.lower().replace(",", " ").replace("_", " ").split())


def sites_of(
    language_model: LanguageModel, layers: int | Site | Sequence[int | Site]
) -> list[Site]:
    """Return the outputs of these blocks, sites as they are, in the order given."""
    listed = [layers] if isinstance(layers, int | Site) else list(layers)
    if not listed:
        raise InputError("layers: expected at least one block or site, got none.")
    named = Sites.of(language_model.model)
    sites = [one if isinstance(one, Site) else named.residual(one) for one in listed]
    for site in sites:
        site.module(language_model.model)
    return list(dict.fromkeys(sites))

"""One comparison for every model: all maps, at every block, on prompts that no map was fitted on."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.activations import Edit, Site, Sites
from axonal.studies.gaussian_transport_steering.last_token import LastTokens, Readout
from axonal.transport import AffineTransport, Gaussian, GaussianTransport, family, wasserstein
from axonal.transport.subspace import subspace

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

BASELINES = ("directional ablation", "Linear-AcT", "Gaussian-AcT", "mean shift", "affine ablation")
"""What the paper's map is compared with: projection, one-dimensional transport, and shifts."""

AXES = 8
"""Directions in which the distance of two populations is told."""


def methods(components: Sequence[int]) -> dict[str, AffineTransport[Any]]:
    """Return every map of the family by name; ``pooled`` is the paper's choice of directions."""
    known = family()
    del known["Gaussian, subspace"]  # there is one for each number of directions
    return {
        **known,
        **{f"pooled {k}": GaussianTransport(k) for k in components},
        **{f"Gaussian {k}": GaussianTransport(k, basis="mean_difference") for k in components},
    }


@dataclass(frozen=True, eq=False)
class Case:
    """A model, a behaviour, and the prompts that show it.

    Parameters
    ----------
    language_model
        The model.
    readout
        How strongly the behaviour shows; above 0 it does.
    source, target
        Token ids of the prompts that maps are fitted on: with the behaviour, and without.
    groups
        Held-out prompts by name. ``validation`` and ``source`` have the behaviour, ``target`` does
        not; others (``look_alikes``) may follow.
    blocks
        Where maps act.
    components
        Of the Gaussian maps in a subspace.
    acceptable
        For groups with the behaviour: which tokens would begin an answer, ``(prompts,
        vocabulary)``. A prompt's behaviour has changed where it no longer shows *and* the likeliest
        token is one of them: a broken model does not count.
    """

    language_model: LanguageModel
    readout: Readout
    source: Sequence[Tensor]
    target: Sequence[Tensor]
    groups: Mapping[str, Sequence[Tensor]]
    blocks: Sequence[int]
    components: Sequence[int]
    acceptable: Mapping[str, Tensor] = field(default_factory=dict)


class Bench:
    """A case whose prompts have been read: maps are fitted and tried on it."""

    def __init__(self, case: Case, *, every_block: bool = True) -> None:
        self.case = case
        self.sites = Sites.of(case.language_model.model)
        self.depth = self.sites.blocks
        self.names = list(methods(case.components))
        blocks = range(self.depth) if every_block else case.blocks
        self.read_source = LastTokens(case.language_model, case.source, list(blocks))
        self.source = self.read_source.activations
        self.target = LastTokens(case.language_model, case.target, list(blocks)).activations
        self._fitted: dict[tuple[str, int], AffineTransport[Any]] = {}
        rows, self.slices, start = [], {}, 0
        for name, prompts in case.groups.items():
            rows += prompts
            self.slices[name] = slice(start, start + len(prompts))
            start += len(prompts)
        self.held_out = LastTokens(case.language_model, rows, list(case.blocks))
        self.own = self.held_out.log_probabilities
        self._probabilities = self.own.exp()
        self._negentropy = torch.einsum("ij,ij->i", self._probabilities, self.own)
        self.before = self.scores(self.own)

    def fit(self, method: AffineTransport[Any], block: int) -> AffineTransport[Any]:
        """Return a copy of a map, fitted at a block; a map is fitted once."""
        key = repr(method), block
        if key not in self._fitted:
            self._fitted[key] = anew(method, self.source[block], self.target[block])
        return copy.copy(self._fitted[key])

    def scores(self, predicted: Tensor) -> dict[str, Any]:
        """Return for each group, by prompt: the readout, whether it changed, KL(own || predicted)."""
        odds = self.case.readout(predicted).double().cpu().numpy()
        cross = torch.einsum("ij,ij->i", self._probabilities, predicted)
        kl = (self._negentropy - cross).clamp(min=0).cpu().numpy()
        first = predicted.argmax(-1, keepdim=True)
        found = {}
        for name, at in self.slices.items():
            gone = odds[at] <= 0
            if (allowed := self.case.acceptable.get(name)) is not None:
                gone = gone & allowed.gather(1, first[at].to(allowed.device)).squeeze(1).numpy()
            found[name] = {"odds": odds[at], "changed": gone, "kl": kl[at]}
        return found

    def moved(self, method: AffineTransport[Any], block: int) -> dict[str, Any]:
        """Return the scores with a fitted map at a block."""
        x = self.held_out.activations[block]
        with calm():
            return self.scores(self.held_out.moved(block, method.transform(x)))

    def edited(self, edits: Mapping[Site, Edit]) -> dict[str, Any]:
        """Return the scores with edits of the last token anywhere."""
        return self.scores(self.held_out.edited(edits))

    def pair(self, method: AffineTransport[Any], first: int, second: int) -> dict[str, Any]:
        """Return the scores with maps at two blocks, the later fitted with the earlier in force."""
        low, high = sorted((first, second))
        early = self.fit(method, low)
        with calm():
            moved, held_out = (
                early.transform(x[low]) for x in (self.source, self.held_out.activations)
            )
        late = anew(method, self.read_source.carried(low, moved, high), self.target[high])
        edits = {self.sites.residual(high): late.edit()}
        return self.scores(self.held_out.moved(low, held_out, edits))

    def in_sequence(self, method: AffineTransport[Any]) -> dict[int, AffineTransport[Any]]:
        """Return a map at every block, each fitted with those before it in force.

        Every block runs once: what it is given is what the maps below it have made.
        """
        x = self.source[0]
        fitted = {}
        for block in range(self.depth):
            fitted[block] = anew(method, x, self.target[block])
            if block + 1 < self.depth:
                with calm():
                    moved = fitted[block].transform(x)
                x = self.read_source.carried(block, moved, block + 1)
        return fitted

    def distance(self, method: AffineTransport[Any], block: int) -> tuple[float, float, float]:
        """Return how far held-out source is from held-out target: before, after, and displaced.

        Wasserstein-2 distances of normal laws in the directions where the fitted rows differ and
        spread most, as a share of the distance before; the displacement as a share of the norm.
        """
        axes = subspace(
            self.source[block].double(), self.target[block].double(), AXES, "mean_difference"
        )
        x = self.held_out.activations[block]
        source, target = x[self.slices["source"]], x[self.slices["target"]]
        with calm():
            moved = method.transform(source)
            laws = [
                Gaussian.of(rows.double() @ axes, shrinkage="ledoit-wolf")
                for rows in (source, target, moved)
            ]
        before, after = wasserstein(laws[0], laws[1]), wasserstein(laws[2], laws[1])
        step = torch.linalg.vector_norm(moved - source, dim=1).mean()
        return (
            float(before),
            float(after),
            float(step / torch.linalg.vector_norm(source, dim=1).mean()),
        )


def sweep(bench: Bench, names: Sequence[str] | None = None) -> xr.Dataset:
    """Try every map, or those named, at every block.

    Returns
    -------
    xarray.Dataset
        ``rate``, ``changed``, ``odds`` and ``kl`` ``(map, block, group)``; ``distance_before``,
        ``distance_after``, ``displacement``, ``fit_seconds`` ``(map, block)``; ``captured``
        ``(map, block)`` where a subspace holds a share of the mean difference; and the same
        without a map, ``(group,)``.
    """
    case = bench.case
    known = methods(case.components)
    known = {name: known[name] for name in names or known}
    groups, blocks = list(case.groups), list(case.blocks)
    shape = (len(known), len(blocks))
    found = {name: np.full((*shape, len(groups)), np.nan) for name in SUMMARIES}
    single = {
        name: np.full(shape, np.nan)
        for name in ("distance_before", "distance_after", "displacement", "fit_seconds", "captured")
    }
    for j, block in enumerate(blocks):
        for i, method in enumerate(known.values()):
            began = time.process_time()
            fitted = bench.fit(method, block)
            single["fit_seconds"][i, j] = time.process_time() - began
            if isinstance(fitted, GaussianTransport):
                single["captured"][i, j] = fitted.report_.captured
            distances = bench.distance(fitted, block)
            names = ("distance_before", "distance_after", "displacement")
            for name, value in zip(names, distances, strict=True):
                single[name][i, j] = value
            for name, values in summary(bench.moved(fitted, block), groups).items():
                found[name][i, j] = values
    before = summary(bench.before, groups)
    return xr.Dataset(
        {
            **{name: (("map", "block", "group"), values) for name, values in found.items()},
            **{name: (("map", "block"), values) for name, values in single.items()},
            "rate_before": ("group", before["rate"]),
            "odds_before": ("group", before["odds"]),
        },
        coords={
            "map": list(known),
            "block": blocks,
            "depth": ("block", [(b + 1) / bench.depth for b in blocks]),
            "group": groups,
        },
    )


SUMMARIES = ("rate", "changed", "odds", "kl")


def summary(scores: Mapping[str, Any], groups: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the means over the prompts of each group: rate, changed, odds and kl, ``(group,)``."""
    return {
        "rate": np.array([(scores[g]["odds"] > 0).mean() for g in groups]),
        "changed": np.array([scores[g]["changed"].mean() for g in groups]),
        "odds": np.array([scores[g]["odds"].mean() for g in groups]),
        "kl": np.array([scores[g]["kl"].mean() for g in groups]),
    }


def anew(method: AffineTransport[Any], source: Tensor, target: Tensor) -> AffineTransport[Any]:
    """Return a copy of a map, fitted."""
    with calm():
        return type(method)(**method.get_params()).fit(source, target)


@contextmanager
def calm() -> Iterator[None]:
    """Fit without warnings: the share of the difference that is held is reported instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""How a score of particles is fitted: the data, their symmetries and the loss of each kind."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import xarray as xr
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.physics.active_matter.field_score import check_loss
from axonal.physics.active_matter.fitting import fit
from axonal.physics.active_matter.losses import (
    Trace,
    antithetic,
    implicit_loss,
    own_denoising_loss,
    own_implicit_loss,
    shifted_loss,
)
from axonal.physics.active_matter.neighbours import nearest
from axonal.physics.active_matter.states import tensors_of
from axonal.physics.active_matter.surroundings import Surroundings
from axonal.training import History, Shuffled
from axonal.training.batches import step_seed
from axonal.transport import denoising_score_matching
from axonal.transport.score import Field

if TYPE_CHECKING:
    from axonal.physics.active_matter.score import ScoreModel
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

_CHUNK = 2**13  # particles whose shift is taken at a time
_FEW = 8  # coordinates of which the divergence is exact
_KEPT = 2**18  # particles whose surroundings are kept; beyond, a state's are found when it comes


def check(
    score: ScoreModel, loss: str, stationarity: float, noise: float | None, noise_on: str
) -> None:
    """Say what is wrong with the choice of a loss for a score."""
    check_loss(loss, stationarity, noise)
    if noise_on not in ("own", "all"):
        raise InputError(f"noise_on is 'own' or 'all', got {noise_on!r}.")
    if score.is_local and stationarity:
        raise InputError(
            "The stationarity term needs the divergence over all variables, which a local score of "
            "the activities has not: take stationarity=0."
        )


def warn_if_coarse(system: ActiveOrnsteinUhlenbeck, states: xr.DataArray, noise: float) -> None:
    """Warn of a noise that is wider than the density, where the density's width is known."""
    if system.diffusion > 0:
        return
    axes = states.sizes["axis"]
    square = axes + system.exact_g_part(states).rate / system.persistence_rate
    width = math.sqrt(axes / max(square, 1e-12))
    if noise > width / 2:
        warnings.warn(
            f"A noise of {noise:g} smooths a density whose activities have a typical width of "
            f"{width:.2g}: the score that is learned is of something flatter. Take {width / 5:.1g}.",
            stacklevel=3,
        )


def fit_local(
    score: ScoreModel,
    states: xr.DataArray,
    noise: float | None,
    noise_on: str,
    batch: int,
    options: dict[str, Any],
) -> History:
    """Fit a local score; its surroundings are turned and reflected at random in every step."""
    x, g = tensors_of(states)
    weight = next(score.network.parameters())
    if noise_on == "all" and noise is not None:
        return fit(
            score.network,
            lambda network, drawn: _all_denoising(score, network, drawn, noise),
            _States(x, g, min(batch, score.system.particles), options["seed"]),
            **options,
        )

    def value(network: nn.Module, around: Surroundings) -> Tensor:
        around = around.turned(_turns(len(around), around.g))
        if noise is None:
            return own_implicit_loss(network, around)
        return own_denoising_loss(network, around, noise)

    if x.shape[0] * x.shape[1] <= _KEPT:
        parts = [
            score.surroundings(a, b).to(weight)
            for a, b in zip(x.split(16), g.split(16), strict=True)
        ]
        kept = Surroundings.joined(parts)
        rows = Shuffled(torch.arange(len(kept)), min(batch, len(kept)), options["seed"])
        return fit(score.network, value, lambda step: kept.at(rows(step)), **options)
    drawn = _States(x, g, min(batch, x.shape[1]), options["seed"])

    def one_state(step: int) -> Surroundings:
        here = drawn(step)
        return score.surroundings(here["x"], here["g"]).at(here["rows"]).to(weight)

    return fit(score.network, value, one_state, **options)


def fit_all(
    score: ScoreModel,
    states: xr.DataArray,
    noise: float | None,
    stationarity: float,
    batch: int,
    options: dict[str, Any],
) -> History:
    """Fit an all-particle score; states are turned and reflected as the square box allows."""
    x, g = tensors_of(states)
    weight = next(score.network.parameters())
    names = score.variables
    data = {"x": x, "g": g}
    if noise is None and not stationarity:
        size = max(1, _CHUNK // x.shape[1])
        for name in names:
            parts = zip(x.split(size), g.split(size), strict=True)
            data[f"shift_{name}"] = torch.cat([score.shift_at(*part)[name] for part in parts])
    data = {name: value.to(weight) for name, value in data.items()}

    def value(network: nn.Module, drawn: dict[str, Tensor]) -> Tensor:
        turn = _quarter_turns(len(drawn["x"]), weight)
        here = {name: vectors @ turn.mT for name, vectors in drawn.items()}
        model = score.with_network(network)
        flat = _joined([here[name] for name in names])
        if noise is not None:
            at = _field(lambda a, b: model.of(names, a, b), here, names)
            return denoising_score_matching(at, flat, noise) / flat.shape[1]
        trace = "exact" if flat.shape[1] <= _FEW else "hutchinson"
        if stationarity:
            at = _field(lambda a, b: model.of(names, a, b), here, names)
            return _stationary(score, at, flat, here, stationarity, trace)
        at = _field(lambda a, b: network(model.vectors(a, b), names), here, names)
        return shifted_loss(at, flat, _joined([here[f"shift_{n}"] for n in names]), trace)

    return fit(score.network, value, Shuffled(data, min(batch, len(x)), options["seed"]), **options)


def _stationary(
    score: ScoreModel,
    at: Field,
    flat: Tensor,
    here: dict[str, Tensor],
    stationarity: float,
    trace: Trace,
) -> Tensor:
    system, names = score.system, score.variables
    drift_x, drift_g = system.drift(here["x"], here["g"])
    in_x, in_g = system.drift_divergence(here["x"])
    drift: dict[str, Tensor] = {"x": drift_x, "g": drift_g}
    spread: dict[str, Tensor] = {"x": in_x.sum(dim=1), "g": in_g.sum(dim=1)}
    noises: dict[str, float] = {"x": system.diffusion, "g": system.persistence_rate}
    return implicit_loss(
        at,
        flat,
        drift=_joined([drift[name] for name in names]),
        drift_divergence=torch.stack([spread[name] for name in names]).sum(dim=0),
        noise=_joined([torch.full_like(here[name][:1], noises[name]) for name in names])[0],
        stationarity=stationarity,
        trace=trace,
    )


def _field(
    of: Callable[[Tensor, Tensor], dict[str, Tensor]], here: dict[str, Tensor], names: Sequence[str]
) -> Field:
    """Return a function of flattened variables ``(S, M)``, the others as they are."""
    count, axes = here["x"].shape[1:]

    def field(flat: Tensor) -> Tensor:
        parts = flat.split(count * axes, dim=1)
        at = dict(here)
        for name, part in zip(names, parts, strict=True):
            at[name] = part.reshape(-1, count, axes)
        found = of(at["x"], at["g"])
        return _joined([found[name] for name in names])

    return field


def _joined(vectors: Sequence[Tensor]) -> Tensor:
    return torch.cat([vector.flatten(1) for vector in vectors], dim=1)


class _States:
    """One state a step and particles of it, a pure function of the step."""

    def __init__(self, x: Tensor, g: Tensor, size: int, seed: int) -> None:
        self._states = Shuffled({"x": x, "g": g}, 1, seed)
        self._size, self._seed, self._count = size, seed, x.shape[1]

    def __call__(self, step: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(step_seed(self._seed + 1, step))
        rows = torch.randperm(self._count, generator=generator)[: self._size]
        return self._states(step) | {"rows": rows}


def _all_denoising(
    score: ScoreModel, network: nn.Module, drawn: dict[str, Tensor], noise: float
) -> Tensor:
    """Return the paper's loss: noise on all positions and activities, the own activity's answered."""
    weight = next(network.parameters())
    x, g, rows = drawn["x"], drawn["g"], drawn["rows"]
    on_x, on_g = torch.randn_like(x), torch.randn_like(g)
    index = nearest(x, score.options["neighbours"], score.system.half_width)
    values = []
    for sign in (noise, -noise):
        around = score.surroundings(x + sign * on_x, g + sign * on_g, index)
        values.append(network(around.at(rows).to(weight)))
    return antithetic(values[0], values[1], on_g[0, rows].to(weight), noise)


def _turns(count: int, like: Tensor) -> Tensor:
    """Return random rotations, half of them with a reflection, ``(count, 2, 2)``."""
    angle = 2 * math.pi * torch.rand(count, dtype=like.dtype, device=like.device)
    flip = torch.randint(0, 2, (count,), device=like.device).to(like) * 2 - 1
    return _matrix(angle.cos(), angle.sin(), flip)


def _quarter_turns(count: int, like: Tensor) -> Tensor:
    """Return random symmetries of the square, ``(count, 2, 2)``."""
    quarter = torch.randint(0, 4, (count,), device=like.device)
    flip = torch.randint(0, 2, (count,), device=like.device).to(like) * 2 - 1
    cosine = torch.tensor([1.0, 0.0, -1.0, 0.0]).to(like)[quarter]
    sine = torch.tensor([0.0, 1.0, 0.0, -1.0]).to(like)[quarter]
    return _matrix(cosine, sine, flip)


def _matrix(cosine: Tensor, sine: Tensor, flip: Tensor) -> Tensor:
    rows = [torch.stack([cosine, -sine * flip], -1), torch.stack([sine, cosine * flip], -1)]
    return torch.stack(rows, dim=-2)

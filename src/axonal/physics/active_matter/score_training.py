"""How a score of particles is fitted: the data, their symmetries and the loss of each kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
import xarray as xr
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.physics.active_matter.field_score import check_loss
from axonal.physics.active_matter.fitting import fit
from axonal.physics.active_matter.losses import (
    antithetic,
    implicit_loss,
    own_denoising_loss,
    own_implicit_loss,
)
from axonal.physics.active_matter.neighbours import nearest
from axonal.physics.active_matter.states import tensors_of
from axonal.physics.active_matter.surroundings import Surroundings
from axonal.training import History, Shuffled
from axonal.training.batches import step_seed
from axonal.transport import denoising_score_matching

if TYPE_CHECKING:
    from axonal.physics.active_matter.score import ScoreModel

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
    system, names = score.system, score.variables
    noises = dict(zip(("x", "g"), system.diffusion_matrix, strict=True))
    count, axes = x.shape[1:]
    diagonal = torch.cat([torch.full((count * axes,), noises[name]) for name in names]).to(weight)

    def value(network: nn.Module, drawn: dict[str, Tensor]) -> Tensor:
        turn = _quarter_turns(len(drawn["x"]), weight)
        here = {name: drawn[name] @ turn.mT for name in ("x", "g")}

        def field(flat: Tensor) -> Tensor:
            parts = flat.split(count * axes, dim=1)
            at = here | {
                n: part.reshape(-1, count, axes) for n, part in zip(names, parts, strict=True)
            }
            found = score.with_network(network)(at["x"], at["g"])
            return torch.cat([found[name].flatten(1) for name in names], dim=1)

        flat = torch.cat([here[name].flatten(1) for name in names], dim=1)
        if noise is not None:
            return denoising_score_matching(field, flat, noise) / flat.shape[1]
        drift = dict(zip(("x", "g"), system.drift(here["x"], here["g"]), strict=True))
        in_x, in_g = system.drift_divergence(here["x"])
        spread = {"x": in_x, "g": in_g}
        return implicit_loss(
            field,
            flat,
            drift=torch.cat([drift[name].flatten(1) for name in names], dim=1),
            drift_divergence=sum((spread[n].sum(dim=1) for n in names), torch.zeros(())).to(flat),
            noise=diagonal,
            stationarity=stationarity,
            trace="exact" if flat.shape[1] <= 8 else "hutchinson",
        )

    data = {"x": x.to(weight), "g": g.to(weight)}
    return fit(score.network, value, Shuffled(data, min(batch, len(x)), options["seed"]), **options)


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

r"""Where entropy is produced: the probability flow and its rates by particle and by variable.

.. math::

    v = b - D s, \qquad \text{total: } |v|^2_{D^{-1}}, \qquad \text{system: } \nabla \cdot v, \qquad
    \nabla \cdot v + v \cdot s = 0

at every state (Boffi & Vanden-Eijnden 2024). Both rates are sums over coordinates, hence over
variables and particles; the mean of the total over states is the entropy production rate, the mean
of the system's is 0. In k_B over the unit of time.

The activity g counts as even under time reversal. With g odd, like a velocity, the rates are
different ones, and a harmonic trap would be reversible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.errors import InputError
from axonal.physics.active_matter.losses import own_divergence
from axonal.physics.active_matter.states import DIMS, checked, tensors_of

if TYPE_CHECKING:
    from axonal.physics.active_matter.score import ScoreModel
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

T = TypeVar("T")
Divergence: TypeAlias = int | Literal["exact"]

_PARTICLES = 2**13  # at a time


def entropy_production(
    system: ActiveOrnsteinUhlenbeck,
    score: ScoreModel,
    states: xr.DataArray,
    *,
    variables: Sequence[str] | None = None,
    divergence: Divergence = "exact",
    seed: int = 0,
) -> xr.Dataset:
    """Return the local entropy production at states.

    Parameters
    ----------
    system
        Whose drift and noise they are.
    score
        Of this system's stationary density.
    states
        ``(sample, particle, variable, axis)``.
    variables
        Parts to return: ``["g"]`` where there is no total. By default both variables.
    divergence
        ``"exact"``, at two backward passes a particle and variable for an all-particle score and
        two in all for a local one; or a number of random probes (Hutchinson), unbiased for each
        particle.
    seed
        Of the probes.

    Returns
    -------
    xr.Dataset
        ``total_by_variable``, ``system_by_variable``, ``score_square`` and ``along`` (v.s), each
        ``(sample, particle, variable)``; ``flow`` and ``score``, ``(sample, particle, variable,
        axis)``; and, if both variables are there, their sums ``total`` and ``system``,
        ``(sample, particle)``.

    Raises
    ------
    InputError
        The total is asked for, but noise does not reach the positions, or the score is not of them.
    """
    checked(states, system)
    wanted = ("x", "g") if variables is None else tuple(variables)
    _check(system, score, wanted, divergence)
    x, g = tensors_of(states)
    per_call = max(1, _PARTICLES // system.particles)
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[Tensor]] = {name: [] for name in ("score", "flow", "spread", "drift")}
    for here_x, here_g in zip(x.split(per_call), g.split(per_call), strict=True):
        here = _local(score, here_x, here_g) if score.is_local else None
        if here is None:
            here = _everywhere(score, here_x, here_g, wanted, divergence, generator)
        drift = _by_variable(system.drift(here_x, here_g))
        spread = _by_variable(system.drift_divergence(here_x))
        noise = _by_variable(system.diffusion_matrix)
        scores = torch.stack([here[name][0] for name in wanted], dim=2)
        flow = torch.stack([drift[n] - noise[n] * here[n][0] for n in wanted], dim=2)
        terms = torch.stack([spread[n] - noise[n] * here[n][1] for n in wanted], dim=2)
        rates = torch.stack(
            [flow[:, :, k].square().sum(-1) / noise[n] for k, n in enumerate(wanted)], 2
        )
        for name, value in zip(found, (scores, flow, terms, rates), strict=True):
            found[name].append(value.detach())
    return _labelled(states, wanted, {name: torch.cat(parts) for name, parts in found.items()})


@dataclass(frozen=True)
class Measures:
    """How well a score fits, from states alone.

    Parameters
    ----------
    loss
        Of implicit score matching, a particle; its least value is minus the true mean square.
    score_square
        :math:`\\mathbb E |s|^2` a particle.
    score_activity
        :math:`\\mathbb E\\, s_g \\cdot g` a particle; -2 for the true score.
    system
        :math:`\\mathbb E\\, \\nabla \\cdot v` a particle over the score's variables; 0 over both.
    residual
        :math:`\\mathbb E\\, (\\nabla \\cdot v + v \\cdot s)` a particle; 0 for any score that is smooth
        and decays, so what is left is the error of the average.
    explained
        Share of the true score's mean square that is explained, exactly known where positions have
        no noise: :math:`-L / (2 - \\mathbb E\\, \\nabla_x \\cdot b_x / \\gamma)`, at most 1 and 1 for the
        true score; NaN with diffusion.
    captured
        :math:`\\mathbb E\\, \\nabla_g \\cdot v_g` over its exact value there; NaN with diffusion.
    """

    loss: float
    score_square: float
    score_activity: float
    system: float
    residual: float
    explained: float
    captured: float


def measures(
    system: ActiveOrnsteinUhlenbeck,
    score: ScoreModel,
    states: xr.DataArray,
    *,
    divergence: Divergence = "exact",
    seed: int = 0,
) -> Measures:
    """Return how well a score fits at states."""
    found = entropy_production(
        system, score, states, variables=score.variables, divergence=divergence, seed=seed
    )
    return measures_of(system, found, states)


def measures_of(
    system: ActiveOrnsteinUhlenbeck, production: xr.Dataset, states: xr.DataArray
) -> Measures:
    """Return the same from an entropy production that was computed."""

    def mean(values: xr.DataArray) -> float:
        return float(values.sum("variable").mean())

    noises = _by_variable(system.diffusion_matrix)
    names = [str(name) for name in production["variable"].values]
    noise = xr.DataArray([noises[name] for name in names], dims="variable")
    drift = _drift_parts(system, states, production)
    square = mean(production.score_square)
    divergence = mean((drift - production.system_by_variable) / noise)
    loss = square + 2 * divergence
    activity = production.score.sel(variable="g") * states.sel(variable="g").drop_vars("variable")
    rate = mean(production.system_by_variable)
    explained = captured = float("nan")
    if system.diffusion == 0:
        part = system.exact_g_part(states).rate
        explained = float(-loss / (2 + part / system.persistence_rate))
        captured = rate / part if part else float("nan")
    return Measures(
        loss=loss,
        score_square=square,
        score_activity=float(activity.sum("axis").mean()),
        system=rate,
        residual=rate + mean(production.along),
        explained=explained,
        captured=captured,
    )


def _drift_parts(
    system: ActiveOrnsteinUhlenbeck, states: xr.DataArray, production: xr.Dataset
) -> xr.DataArray:
    parts = _by_variable(system.drift_divergence(tensors_of(states)[0]))
    names = [str(name) for name in production["variable"].values]
    values = np.stack([parts[name].numpy() for name in names], axis=2)
    return xr.DataArray(values, dims=DIMS[:3])


def _local(score: ScoreModel, x: Tensor, g: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the activities' score ``(S, N, 2)`` and its divergence ``(S, N)``, by variable."""
    weight = next(score.network.parameters())
    around = score.surroundings(x, g).to(weight)
    s, terms = own_divergence(score.network, around)
    return {"g": (s.reshape(g.shape).to(g), terms.sum(dim=1).reshape(g.shape[:2]).to(g))}


def _everywhere(
    score: ScoreModel,
    x: Tensor,
    g: Tensor,
    wanted: Sequence[str],
    divergence: Divergence,
    generator: torch.Generator,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return an all-particle score ``(S, N, 2)`` and its divergence ``(S, N)``, by variable."""
    found = {}
    for name in wanted:
        at = {"x": x, "g": g}
        z = at[name] = at[name].detach().clone().requires_grad_(True)
        with torch.enable_grad():
            s = score.of([name], at["x"], at["g"])[name]
            if not s.requires_grad:
                terms = torch.zeros_like(z)
            elif divergence == "exact":
                columns = [
                    _row(s[:, i, k].sum(), z)[:, i, k]
                    for i in range(z.shape[1])
                    for k in range(z.shape[2])
                ]
                terms = torch.stack(columns, dim=1).reshape(z.shape)
            else:
                terms = torch.zeros_like(z)
                for _ in range(divergence):
                    signs = torch.randint(0, 2, z.shape, generator=generator).to(z) * 2 - 1
                    terms = terms + _row((s * signs).sum(), z) * signs / divergence
        found[name] = (s.detach(), terms.sum(dim=2))
    return found


def _by_variable(pair: tuple[T, T]) -> dict[str, T]:
    return {"x": pair[0], "g": pair[1]}


def _row(value: Tensor, z: Tensor) -> Tensor:
    return torch.autograd.grad(value, z, retain_graph=True, materialize_grads=True)[0]


def _check(
    system: ActiveOrnsteinUhlenbeck,
    score: ScoreModel,
    wanted: tuple[str, ...],
    divergence: Divergence,
) -> None:
    unknown = [name for name in wanted if name not in ("x", "g")]
    if unknown or len(set(wanted)) < len(wanted) or not wanted:
        raise InputError(f"variables is ['x', 'g'] or one of them, got {list(wanted)}.")
    if "x" in wanted and system.diffusion == 0:
        raise InputError(
            "The total entropy production is not defined: without diffusion the noise does not "
            "reach the positions. Ask for the activity's part, variables=['g']."
        )
    if not set(wanted) <= set(score.variables):
        raise InputError(
            f"The score is of {list(score.variables)}, and {list(wanted)} is asked for: a local "
            "score has the activity's part, variables=['g']; an all-particle one has all."
        )
    if divergence != "exact" and (isinstance(divergence, str) or divergence < 1):
        raise InputError(f"divergence is 'exact' or a number of probes, got {divergence!r}.")
    if score.system != system:
        raise InputError(
            "The score is of another system; `score.on(system)` carries a local one over."
        )


def _labelled(
    states: xr.DataArray, wanted: tuple[str, ...], found: dict[str, Tensor]
) -> xr.Dataset:
    arrays = {name: value.numpy() for name, value in found.items()}
    by_variable, by_axis = DIMS[:3], DIMS
    squares = np.square(arrays["score"]).sum(axis=-1)
    along = (arrays["flow"] * arrays["score"]).sum(axis=-1)
    data = xr.Dataset(
        {
            "total_by_variable": (by_variable, arrays["drift"]),
            "system_by_variable": (by_variable, arrays["spread"]),
            "score_square": (by_variable, squares),
            "along": (by_variable, along),
            "flow": (by_axis, arrays["flow"]),
            "score": (by_axis, arrays["score"]),
        },
        coords={name: value for name, value in states.coords.items() if name != "variable"}
        | {"variable": list(wanted)},
        attrs=dict(states.attrs),
    )
    if len(wanted) == 2:
        data["total"] = data.total_by_variable.sum("variable")
        data["system"] = data.system_by_variable.sum("variable")
    return data

r"""Entropy production without a score: exact averages to hold a learned score against.

With known drift and noise the stationary average needs no score,

.. math:: \sigma = \mathbb E\bigl[b \cdot D^{-1} b + \nabla \cdot b\bigr]
          = \frac{v_0}{\varepsilon} \sum_i \mathbb E\bigl[g_i \cdot b_{x,i}\bigr].

The second form, which follows from the first by :math:`\mathbb E[F \cdot b_x + \varepsilon \nabla
\cdot F] = 0`, has no bias where forces are stiff for the time step, and is used. What a score adds
is where and through which variables.

Where positions have no noise the total is not defined; the score of the activities obeys

.. math:: \sum_i \mathbb E |s_{g_i}|^2 - N d = -\frac1\gamma\, \mathbb E\, \nabla_x \cdot b_x, \qquad
          \tfrac1\gamma \sum_i \mathbb E|v_{g_i}|^2 = \mathbb E\, \nabla_g \cdot v_g
          = -\mathbb E\, \nabla_x \cdot b_x .
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from axonal.errors import InputError
from axonal.physics.active_matter.states import checked, tensors_of

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

_BLOCKS = 10
_CHUNK = 2**18  # particles at a time


@dataclass(frozen=True)
class Reference:
    """A rate a particle, averaged over states.

    Parameters
    ----------
    rate
        In k_B a particle over the unit of time.
    error
        Its standard error over independent trajectories, or over blocks of a single one.
    by_sample
        The average over the particles of each state, ``(sample,)``.
    """

    rate: float
    error: float
    by_sample: xr.DataArray

    def __float__(self) -> float:
        return self.rate

    def __str__(self) -> str:
        return f"{self.rate:.6g} +- {self.error:.2g} k_B a particle over the unit of time"


def exact_total(system: ActiveOrnsteinUhlenbeck, states: xr.DataArray) -> Reference:
    """Return the total entropy production rate a particle.

    Raises
    ------
    InputError
        Positions have no noise.
    """
    if system.diffusion == 0:
        raise InputError(
            "The total entropy production is not defined: without diffusion the noise does not "
            "reach the positions. Ask for the activity's part, `exact_g_part`."
        )
    gain = system.speed / system.diffusion

    def rate(x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        # E|g|^2 = d is known, and its fluctuations are left out.
        rest = system.drift(x, torch.zeros_like(g))[0]
        return gain * (system.speed * x.shape[-1] + (g * rest).sum(dim=-1).mean(dim=-1))

    return _average(system, states, rate)


def exact_g_part(system: ActiveOrnsteinUhlenbeck, states: xr.DataArray) -> Reference:
    r"""Return :math:`\mathbb E|v_g|^2/\gamma = \mathbb E\,\nabla_g \cdot v_g` a particle at eps = 0.

    Over gamma it is :math:`\mathbb E|s_g|^2 - d`.

    Raises
    ------
    InputError
        Positions have noise; the identity does not hold then.
    """
    if system.diffusion > 0:
        raise InputError(
            f"The activity's part has no score-free form with diffusion {system.diffusion:g}; "
            "`exact_total` has one."
        )

    def rate(x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return -system.drift_divergence(x)[0].mean(dim=-1)

    return _average(system, states, rate)


def _average(
    system: ActiveOrnsteinUhlenbeck,
    states: xr.DataArray,
    rate: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Reference:
    checked(states, system)
    x, g = tensors_of(states)
    size = max(1, _CHUNK // system.particles)
    values = torch.cat([rate(*part) for part in zip(x.split(size), g.split(size), strict=True)])
    by_sample = xr.DataArray(
        values.numpy(),
        dims="sample",
        coords={name: states[name] for name in ("trajectory", "time") if name in states.coords},
    )
    return Reference(float(values.mean()), standard_error(by_sample), by_sample)


def standard_error(by_sample: xr.DataArray) -> float:
    """Return the standard error of a mean over trajectories, or over blocks of a single one."""
    values = by_sample.values
    names = by_sample.coords.get("trajectory")
    labels = np.zeros(len(values), int) if names is None else names.values
    kinds = np.unique(labels)
    if len(kinds) >= 3:
        blocks = [values[labels == kind] for kind in kinds]
    elif len(values) >= 2 * _BLOCKS:
        blocks = np.array_split(values, _BLOCKS)
    else:
        blocks = values[:, None]
    means = np.array([block.mean() for block in blocks])
    return float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")

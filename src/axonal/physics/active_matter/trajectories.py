r"""Along the probability flow: :math:`\dot z = v(z)`, which leaves the stationary density as it is.

Each state moves with the current, deterministically; :math:`-\log\rho` along its way changes at the
rate :math:`\nabla\cdot v`, the system's entropy production (Boffi & Vanden-Eijnden 2024).
"""

from __future__ import annotations

import math

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.errors import InputError
from axonal.physics.active_matter.score import ScoreModel
from axonal.physics.active_matter.states import checked, states_of, tensors_of


def follow(score: ScoreModel, states: xr.DataArray, time: float, *, step: float) -> xr.DataArray:
    """Return where the probability flow takes states in a time.

    Positions without noise move by their drift; the score of activities is enough then.

    Parameters
    ----------
    score
        Of all variables that have noise.
    states
        ``(sample, particle, variable, axis)``.
    time
        How long; negative for back in time.
    step
        Of the fourth-order Runge-Kutta steps, about; well below the contact time.
    """
    system = score.system
    checked(states, system)
    if not step > 0 or not np.isfinite(time):
        raise InputError(f"Expected a finite time and a positive step, got {time} and {step}.")
    if system.diffusion > 0 and "x" not in score.variables:
        raise InputError(
            "Positions have noise, and the score is of the activities alone: their flow is not "
            "known. Take an all-particle score."
        )

    @torch.no_grad()
    def velocity(x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        in_x, in_g = system.drift(x, g)
        s = score(x, g)
        if system.diffusion > 0:
            in_x = in_x - system.diffusion * s["x"]
        return in_x, in_g - system.persistence_rate * s["g"]

    x, g = tensors_of(states)
    count = max(1, math.ceil(abs(time) / step))
    h = time / count
    for _ in range(count):
        first = velocity(x, g)
        second = velocity(x + h / 2 * first[0], g + h / 2 * first[1])
        third = velocity(x + h / 2 * second[0], g + h / 2 * second[1])
        last = velocity(x + h * third[0], g + h * third[1])
        x, g = (
            z + h / 6 * (a + 2 * b + 2 * c + d)
            for z, a, b, c, d in zip((x, g), first, second, third, last, strict=True)
        )
    kept = {"trajectory": states.trajectory.values} if "trajectory" in states.coords else {}
    begun = states.time.values if "time" in states.coords else np.zeros(len(x))
    return states_of(system, x.numpy(), g.numpy(), time=begun + time, **kept)

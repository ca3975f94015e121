"""Simulate active particles: Euler and Maruyama or Heun in the positions, exact activities.

A trajectory is compiled (:mod:`.stepping`) and reads its own random stream, so that the states
depend on the seed and not on how many trajectories run at once.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from axonal.errors import AxonalError, InputError, require
from axonal.physics.active_matter.states import checked, states_of, wrapped

if TYPE_CHECKING:
    from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck

Start: TypeAlias = Literal["auto", "uniform", "blob"] | xr.DataArray

_COARSEST = 0.2  # step times stiffness
_CORRELATED = 0.1  # spacing in persistence times
_DENSE_START = 0.25  # packing
_CHUNK = 20_000  # steps between two reports of progress


def simulate(
    system: ActiveOrnsteinUhlenbeck,
    *,
    trajectories: int = 1,
    snapshots: int = 1,
    spacing: float | None = None,
    burn_in: float | None = None,
    step: float | None = None,
    scheme: Literal["euler", "heun"] = "euler",
    start: Start = "auto",
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.DataArray:
    """Return states of a system; see :meth:`ActiveOrnsteinUhlenbeck.sample`."""
    from axonal.physics.active_matter.stationarity import warn_if_drifting

    require("numba", "physics")
    for name, value in (("trajectories", trajectories), ("snapshots", snapshots)):
        if value < 1 or value != int(value):
            raise InputError(f"{name} is a whole number of at least 1, got {value!r}.")
    if scheme not in ("euler", "heun"):
        raise InputError(f"scheme is 'euler' or 'heun', got {scheme!r}.")
    memory = 1.0 / system.persistence_rate
    step = _checked_step(system, step)
    spacing = _checked_time("spacing", memory if spacing is None else spacing)
    burn_in = _checked_time("burn_in", 20 * memory if burn_in is None else burn_in, least=0.0)
    if snapshots > 1 and spacing < _CORRELATED * memory:
        warnings.warn(
            f"Snapshots {spacing:g} apart are nearly copies of one another: an activity is "
            f"remembered for {memory:g}. Space them by at least {_CORRELATED * memory:g}.",
            stacklevel=3,
        )
    before, between = round(burn_in / step), max(1, round(spacing / step))
    total = trajectories * (before + (snapshots - 1) * between)
    heard = _Progress(total, progress)

    def one(number: int) -> NDArray[np.float64]:
        """Return the states (snapshots + 1, N, 2 variables, 2) of a trajectory, mid burn-in first."""
        rng = np.random.default_rng([seed, number])
        x, g = _start(system, start, number, rng)
        kept = np.empty((snapshots + 1, system.particles, 2, 2))
        for index in range(snapshots + 1):
            span = (before // 2, before - before // 2)[index] if index < 2 else between
            _advance(system, x, g, rng, span, step, scheme, heard)
            kept[index, :, 0], kept[index, :, 1] = x, g
        return kept

    workers = _threads(threads, trajectories)
    if workers == 1:
        runs = [one(number) for number in range(trajectories)]
    else:
        with ThreadPoolExecutor(workers) as pool:
            runs = list(pool.map(one, range(trajectories)))
    first = _time_of(start)
    times = first + step * np.concatenate([[before // 2], before + between * np.arange(snapshots)])
    every = np.stack(runs)
    attributes = {
        "step": step,
        "scheme": scheme,
        "seed": seed,
        "burn_in": before * step,
        "spacing": between * step,
    }

    def labelled(part: slice) -> xr.DataArray:
        chosen, when = every[:, part], times[part]
        return states_of(
            system,
            chosen[..., 0, :].reshape(-1, system.particles, 2),
            chosen[..., 1, :].reshape(-1, system.particles, 2),
            time=np.tile(when, trajectories),
            trajectory=np.repeat(np.arange(trajectories), len(when)),
            **attributes,
        )

    states = labelled(slice(1, None))
    early = labelled(slice(0, 1)) if before >= 2 else None
    warn_if_drifting(system, states, early, stacklevel=3)
    return states


def _advance(
    system: ActiveOrnsteinUhlenbeck,
    x: NDArray[np.float64],
    g: NDArray[np.float64],
    rng: np.random.Generator,
    steps: int,
    step: float,
    scheme: str,
    heard: _Progress,
) -> None:
    from axonal.physics.active_matter.stepping import advance

    while steps > 0:
        now = min(steps, _CHUNK)
        built = advance(
            x,
            g,
            rng,
            now,
            step,
            float(system.speed),
            float(system.persistence_rate),
            float(system.diffusion),
            float(system.stiffness),
            float(system.trap),
            float(system.steepness),
            -1.0 if system.half_width is None else system.half_width,
            system.cutoff,
            scheme == "heun",
        )
        if built < 0:
            raise AxonalError(
                f"The simulation blew up: positions are no longer finite at a step of {step:g}. "
                "Take a smaller step."
            )
        steps -= now
        heard.add(now)


def _start(
    system: ActiveOrnsteinUhlenbeck, start: Start, number: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions and activities (N, 2) to start a trajectory from."""
    if isinstance(start, xr.DataArray):
        checked(start, system)
        labels = np.unique(start.trajectory.values)
        last = start.isel(sample=start.trajectory.values == labels[number % len(labels)])
        values = last.isel(sample=int(last.time.values.argmax())).values
        return values[:, 0].copy(), values[:, 1].copy()
    shape = (system.particles, 2)
    w = system.half_width
    if start not in ("auto", "uniform", "blob"):
        raise InputError(f"start is 'auto', 'uniform', 'blob' or states, got {start!r}.")
    if start == "auto":
        dense = system.packing is not None and system.packing >= _DENSE_START
        start = "blob" if dense or system.trap else "uniform"
    if w is None:
        # As wide as free particles in the trap would be, and not narrower than a dense disc.
        free = system.speed**2 / (system.trap + system.persistence_rate)
        width = math.sqrt((system.diffusion + free) / system.trap + system.particles / 4)
        x = width * rng.standard_normal(shape)
    elif start == "blob":
        x = wrapped(w / 2 * rng.standard_normal(shape), w)
    else:
        x = rng.uniform(-w, w, shape)
    return x, rng.standard_normal(shape)


def _checked_step(system: ActiveOrnsteinUhlenbeck, step: float | None) -> float:
    fastest = max(system.stiffness if system.particles > 1 else 0.0, system.trap)
    if step is None:
        return min(0.0125 / fastest if fastest else math.inf, 0.01 / system.persistence_rate)
    step = _checked_time("step", step)
    if step * fastest > _COARSEST:
        raise InputError(
            f"A step of {step:g} is too coarse for a stiffness of {fastest:g}: overlapping particles "
            f"would overshoot. Take at most {_COARSEST / fastest:g}."
        )
    return step


def _checked_time(name: str, value: float, least: float | None = None) -> float:
    if not math.isfinite(value) or (value <= 0 if least is None else value < least):
        kind = "a positive time" if least is None else "a time that is not negative"
        raise InputError(f"{name} must be {kind}, got {value!r}.")
    return float(value)


def _threads(threads: int | None, trajectories: int) -> int:
    if threads is None:
        import torch

        threads = torch.get_num_threads()
    if threads < 1:
        raise InputError(f"threads is at least 1, got {threads}.")
    return min(threads, trajectories)


def _time_of(start: Start) -> float:
    return float(start.time.max()) if isinstance(start, xr.DataArray) else 0.0


class _Progress:
    """Adds up the steps of several threads and tells the listener."""

    def __init__(self, total: int, listener: Callable[[int, int], None] | None) -> None:
        self.total, self.listener, self.done, self.lock = total, listener, 0, Lock()

    def add(self, steps: int) -> None:
        if self.listener is None:
            return
        with self.lock:
            self.done += steps
            self.listener(self.done, self.total)

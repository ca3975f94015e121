"""Part C: 64 particles in a trap, the entropy production against the speed and over the radius."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.lab import Session
from axonal.physics.active_matter import (
    ActiveOrnsteinUhlenbeck,
    ScoreModel,
    along_radius,
    entropy_production,
    system_of,
    tensors_of,
)
from axonal.studies.probability_flow_entropy import figures_particles as figures
from axonal.transport import Diffusion

if TYPE_CHECKING:
    from axonal.studies.probability_flow_entropy.config import Config

PROBES = 2  # of Hutchinson's divergence


def trap(config: Config, session: Session) -> None:
    """Learn the score of trapped particles at some speeds, and compare with the score-free total."""
    session.stage("trap_states", lambda: _simulated(config, session))
    path = session.folder / "data" / "trap_states.nc"
    swept = session.sweep(
        "trap",
        learned_trap,
        over={"speed": list(config.trap_speeds)},
        fixed={
            "states": str(path),
            "steps": config.trap_steps,
            "batch": config.trap_batch,
            "width": config.trap_width,
            "blocks": config.trap_blocks,
            "rate": config.trap_rate,
            "held_out": config.trap_held_out,
            "bins": 12,
        },
        repeats=config.trap_seeds,
        dims={
            "radius": ("ring",),
            "radial_x": ("ring",),
            "radial_g": ("ring",),
            "radial_system": ("ring",),
        },
    )
    session.data("trap", swept)
    along = {"along": config.trap_speeds, "along_name": "v0"}
    session.measure("trap_production", swept.learned.values.T, "k_B over time", **along)
    session.measure("trap_exact", swept.exact.values[:, 0], "k_B over time", exact=True, **along)
    for name in ("learned", "springs", "rest"):
        ratio = swept[name] / swept.exact
        session.measure(f"trap_ratio_{name}", ratio.values.T, **along)
    session.measure("trap_loss_gain", (swept.loss_springs - swept.loss_learned).values.T, **along)
    session.measure("trap_mean_divergence", swept.divergence.values.T, "k_B over time", **along)
    session.measure("trap_parts_error", float(swept.parts_error.max()), exact=True)
    shown = swept.mean("repeat")
    session.figure(
        "trap_speeds",
        figures.draw_speeds(
            xr.Dataset(
                {
                    "learned": swept.learned.transpose("repeat", "speed"),
                    "exact": shown.exact,
                    "exact_error": shown.exact_error,
                    "springs": shown.springs,
                    "rest": shown.rest,
                    "free": ("speed", [free_rate(speed) for speed in config.trap_speeds]),
                }
            )
        ),
        caption="Entropy production of 64 particles in a trap against their speed: learned (dots), the "
        "score of springs that learning starts from, and the average that needs no score (bars).",
        alt="Entropy production a particle rising with speed; the learned values beside the exact ones",
    )
    last = shown.isel(speed=-1)
    session.figure(
        "trap_radial",
        figures.draw_radial(
            xr.Dataset(
                {
                    "total_x": ("radius", last.radial_x.values),
                    "total_g": ("radius", last.radial_g.values),
                    "system": ("radius", last.radial_system.values),
                },
                coords={"radius": last.radius.values},
            )
        ),
        caption=f"The same a particle over the distance from the trap's middle, at speed "
        f"{config.trap_speeds[-1]:g}: through which variable, and the system's part.",
        alt="Entropy production by variable and radius",
    )


def trap_system(config: Config, speed: float) -> ActiveOrnsteinUhlenbeck:
    """Return the paper's trapped particles at a speed."""
    return ActiveOrnsteinUhlenbeck(
        particles=config.trap_particles,
        speed=speed,
        persistence_rate=0.1,
        diffusion=0.1,
        stiffness=2.5,
        trap=0.05,
        packing=0.1,
    )


def _simulated(config: Config, session: Session) -> xr.Dataset:
    found = {}
    for speed in config.trap_speeds:
        states = trap_system(config, speed).sample(
            config.trap_trajectories,
            config.trap_snapshots,
            spacing=10.0,
            burn_in=100.0,
            step=0.01,
            # Euler's steps widen contacts, which biases the mean divergence of the flow.
            scheme="heun",
            seed=session.seed_for(f"trap {speed:g}"),
        )
        found[_name(speed)] = states
    return xr.Dataset(found)


def learned_trap(
    speed: float,
    states: str,
    rng: np.random.Generator,
    *,
    steps: int,
    batch: int,
    width: int,
    blocks: int,
    rate: float,
    held_out: int,
    bins: int,
) -> dict[str, object]:
    """Return the entropy production a particle from a learned score, and from what it starts from."""
    from axonal.lab.datasets import load_dataset
    from axonal.physics.active_matter import measures_of

    seed = int(rng.integers(2**31))
    every = load_dataset(Path(states))[_name(speed)]
    system = system_of(every)
    held, learn_from = every[:held_out], every[held_out:]
    score = ScoreModel.transformer(
        system, width=width, blocks=blocks, tokens="forces", shift="springs", seed=seed
    )
    score.fit(learn_from, steps=steps, batch=batch, lr=rate, decay=0.98, seed=seed)
    exact = system.exact_total(every)  # of all states: on few it is the less certain of the two
    scores = (score, ScoreModel.shift(system, "springs"), ScoreModel.shift(system))
    found, springs, rest = (
        entropy_production(system, one, held, divergence=PROBES, seed=seed) for one in scores
    )
    x = held.sel(variable="x").values
    parts = {
        name: along_radius(values, x, bins=bins, reach=12.0)
        for name, values in (
            ("radial_x", found.total_by_variable.sel(variable="x").values),
            ("radial_g", found.total_by_variable.sel(variable="g").values),
            ("radial_system", found.system.values),
        )
    }
    return {
        "learned": float(found.total.mean()),
        "springs": float(springs.total.mean()),
        "rest": float(rest.total.mean()),
        "exact": exact.rate,
        "exact_error": exact.error,
        "divergence": float(found.system.mean()),
        "loss_learned": measures_of(system, found, held).loss,
        "loss_springs": measures_of(system, springs, held).loss,
        "parts_error": parts_error(system, score, held[:1]),
        "radius": parts["radial_x"].radius.values,
        **{name: part["mean"].values for name, part in parts.items()},
    }


def parts_error(system: ActiveOrnsteinUhlenbeck, score: ScoreModel, states: xr.DataArray) -> float:
    """Return how far the parts' sums are from the rates of the whole state, over the total.

    The whole state is one point in 4 N dimensions to a general diffusion, which knows nothing of
    particles: its drift and score are differentiated coordinate by coordinate.
    """
    if score.network is not None:
        score.network.double()
    by_part = entropy_production(system, score, states)

    def halves(z: Tensor) -> tuple[Tensor, Tensor]:
        x, g = z.reshape(len(z), 2, -1, 2).unbind(1)
        return x, g

    def drift(z: Tensor) -> Tensor:
        return torch.stack(system.drift(*halves(z)), 1).flatten(1)

    def whole_score(z: Tensor) -> Tensor:
        found = score(*halves(z))
        return torch.stack([found["x"], found["g"]], 1).flatten(1)

    x, g = tensors_of(states)
    noise = torch.tensor(system.diffusion_matrix, dtype=torch.float64)
    process = Diffusion(drift, noise.repeat_interleave(x[0].numel()))
    whole = process.entropy_production(whole_score, torch.stack([x, g], 1).flatten(1))
    total, spread = float(whole.total.sum()), float(whole.system.sum())
    off = (
        float(by_part.total_by_variable.sum()) - total,
        float(by_part.system_by_variable.sum()) - spread,
    )
    return max(map(abs, off)) / total


def free_rate(speed: float) -> float:
    """Return the rate a particle without contacts, v0^2 gamma / (eps (A + gamma)) an axis."""
    return 2 * speed**2 * 0.1 / (0.1 * 0.15)


def _name(speed: float) -> str:
    return f"speed_{speed:g}"

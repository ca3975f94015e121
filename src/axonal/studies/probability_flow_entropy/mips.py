"""Part D: motility-induced phase separation without translational noise, and one network for all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from axonal.lab import Session
from axonal.physics.active_matter import (
    REGIONS,
    ActiveOrnsteinUhlenbeck,
    ScoreModel,
    attention_rollout,
    by_region,
    centred,
    entropy_production,
    measures,
    regions,
    states_of,
    system_of,
    tensors_of,
)
from axonal.studies.probability_flow_entropy import figures_particles as figures

if TYPE_CHECKING:
    from axonal.studies.probability_flow_entropy.config import Config

#: Persistence length of 40 radii: the paper's 250 narrows the density to widths of 0.01, for which
#: minutes of training are too few.
SPEED, PERSISTENCE_RATE = 0.25, 0.00625
NOISE = 0.01  # on a particle's own activity


def mips(config: Config, session: Session) -> None:
    """Learn the activities' score locally, and carry it to other packings and numbers."""
    system = system_with(config)
    path = states_of_packing(config, session, system)
    scores = session.folder / "scores"
    swept = session.sweep(
        "mips_trainings",
        trained,
        over={"network": ["local", "pair"]},
        fixed=_training(config) | {"states": str(path), "folder": str(scores)},
        repeats=config.seeds,
    )
    session.data("mips_trainings", swept)
    # The paper's tokens: slow to evaluate and to learn, so once, as a point of reference.
    bare = session.sweep(
        "mips_bare",
        trained,
        over={"network": ["bare"]},
        fixed=_training(config) | {"states": str(path), "folder": str(scores)},
    )
    for name, label in (("local", ""), ("pair", "_pair")):
        session.measure(f"mips_explained{label}", swept.explained.sel(network=name).values)
        session.measure(f"mips_captured{label}", swept.captured.sel(network=name).values)
    session.measure("mips_explained_bare", float(bare.explained.squeeze()))
    session.measure("mips_captured_bare", float(bare.captured.squeeze()))
    session.measure("mips_score_activity", swept.score_activity.sel(network="local").values)
    session.measure("mips_permutation_error", swept.permutation_error.sel(network="local").values)

    places = [
        scores / _place("local", 0.5, seed) for seed in swept.seed.sel(network="local").values
    ]
    held = _held_out(path, config)
    session.measure(
        "mips_activity_part", system.exact_g_part(held).rate / PERSISTENCE_RATE, "1", exact=True
    )
    found = _by_region(session, system, places, held)
    carried = _carried(config, session, places, held)
    timed = _timed(config, session, places[0], held)
    session.figure(
        "mips_maps",
        figures.draw_snapshots(found),
        caption="A held-out state at packing 0.5, the dense phase in the middle: each disc by its "
        "region, by the total and by the system part of its activity's entropy production, in units of "
        "gamma.",
        alt="Three maps of the same particles: regions, total and system entropy production",
    )
    session.figure(
        "mips_regions",
        figures.draw_regions(found),
        caption="The activity's entropy production a particle by region, learned; each seed a dot.",
        alt="Entropy production in solid, interface and gas",
    )
    session.figure(
        "mips_carried",
        figures.draw_carried(carried),
        caption="Share of the true score's mean square that is explained at packings and numbers of "
        "particles that the network never saw, and by a network trained there (open).",
        alt="Explained share of the score at other packings and sizes",
    )
    session.figure(
        "mips_attention",
        figures.draw_attention(_attended(places[0], held)),
        caption="Whom the transformer looks at: attention rolled out through its blocks, for a particle "
        "of each region (ringed) and its neighbours. Blue: less, yellow: more.",
        alt="Attention of a solid, an interface and a gas particle over their neighbours",
    )
    session.figure(
        "mips_time",
        figures.draw_times(timed),
        caption="Time to evaluate the score of all particles against their number.",
        alt="Time against the number of particles, close to a line of slope one",
    )


def system_with(config: Config, **changes: float) -> ActiveOrnsteinUhlenbeck:
    """Return the study's phase-separating system, or one that differs from it."""
    system = ActiveOrnsteinUhlenbeck(
        particles=config.mips_particles,
        speed=SPEED,
        persistence_rate=PERSISTENCE_RATE,
        packing=0.5,
    )
    return system.with_(**changes)


def states_of_packing(config: Config, session: Session, system: ActiveOrnsteinUhlenbeck) -> Path:
    """Simulate a system, or find it simulated, and return the file of its states."""
    name = f"mips_states_{system.packing:g}".replace(".", "_")
    main = system.packing == 0.5

    def compute() -> xr.Dataset:
        memory = 1 / system.persistence_rate
        return system.sample(
            config.mips_trajectories if main else 2,
            config.mips_snapshots,
            spacing=0.1 * memory,
            burn_in=config.mips_burn_in * memory,
            step=0.1,
            scheme="heun",
            seed=session.seed_for(name),
        ).to_dataset(name="states")

    session.stage(name, compute)
    return session.folder / "data" / f"{name}.nc"


def trained(
    network: str,
    states: str,
    folder: str,
    rng: np.random.Generator,
    *,
    steps: int,
    batch: int,
    width: int,
    blocks: int,
    rate: float,
    neighbours: int,
) -> dict[str, float]:
    """Train a local score on all trajectories but the last, keep it, and measure it on the last."""
    seed = int(rng.integers(2**31))
    every = _read(Path(states))
    system = system_of(every)
    last = every.trajectory == every.trajectory.max()
    learn_from, held = every[~last.values], every[last.values]
    size = {"neighbours": neighbours, "width": width, "seed": seed}
    if network == "pair":
        score = ScoreModel.pair(system, **size)
    else:
        tokens = "bare" if network == "bare" else "forces"
        score = ScoreModel.local(system, blocks=blocks, tokens=tokens, **size)
    score.fit(
        learn_from,
        loss="denoising",
        noise=NOISE,
        steps=steps,
        batch=batch,
        lr=rate,
        decay=0.99,
        seed=seed,
    )
    assert system.packing is not None
    score.save(Path(folder) / _place(network, system.packing, seed))
    found = asdict(measures(system, score, held))
    return found | {"permutation_error": _permutation_error(score, held, rng), "seed": float(seed)}


def _place(network: str, packing: float, seed: float) -> str:
    return f"{network}-{packing:g}-{int(seed)}"


def _training(config: Config) -> dict[str, float]:
    return {
        "steps": config.mips_steps,
        "batch": config.mips_batch,
        "width": config.mips_width,
        "blocks": config.mips_blocks,
        "rate": config.mips_rate,
        "neighbours": config.mips_neighbours,
    }


def _read(path: Path) -> xr.DataArray:
    from axonal.lab.datasets import load_dataset

    return load_dataset(path).states


def _held_out(path: Path, config: Config) -> xr.DataArray:
    every = _read(path)
    return every[(every.trajectory == every.trajectory.max()).values][: config.mips_held_out]


def _permutation_error(score: ScoreModel, held: xr.DataArray, rng: np.random.Generator) -> float:
    """Return the largest change of a score when particles are renumbered, over its spread."""
    x, g = tensors_of(held[:1])
    order = torch.from_numpy(rng.permutation(x.shape[1]))
    with torch.no_grad():
        before, after = score(x, g)["g"], score(x[:, order], g[:, order])["g"]
    return float((after - before[:, order]).abs().max() / before.std())


def _by_region(
    session: Session, system: ActiveOrnsteinUhlenbeck, places: Sequence[Path], held: xr.DataArray
) -> xr.Dataset:
    """Measure where the activity's entropy production is, by each seed's score."""
    where = regions(system, held)
    rates: list[NDArray[np.float64]] = []
    parts: list[NDArray[np.float64]] = []
    found: xr.Dataset | None = None
    for place in places:
        found = entropy_production(system, ScoreModel.load(place), held, variables=["g"])
        total = found.total_by_variable.sel(variable="g") / PERSISTENCE_RATE
        spread = found.system_by_variable.sel(variable="g") / PERSISTENCE_RATE
        rates.append(by_region(total, where)["mean"].values)
        parts.append(by_region(spread, where)["mean"].values)
    for number, name in enumerate(REGIONS):
        session.measure(f"mips_total_{name}", np.array(rates)[:, number], "gamma")
        session.measure(f"mips_system_{name}", np.array(parts)[:, number], "gamma")
    shares = by_region(xr.zeros_like(where, dtype=float), where)["share"].values
    for name, share in zip(REGIONS, shares, strict=True):
        session.measure(f"mips_share_{name}", float(share), exact=True)
    assert found is not None
    return xr.Dataset(
        {
            "place": centred(system, held[:1])[0].sel(variable="x"),
            "at": (("particle",), where[0].values),
            "total": (("particle",), found.total_by_variable.values[0, :, 0] / PERSISTENCE_RATE),
            "system": (("particle",), found.system_by_variable.values[0, :, 0] / PERSISTENCE_RATE),
            "total_by_region": (("seed", "region"), np.array(rates)),
            "system_by_region": (("seed", "region"), np.array(parts)),
        },
        coords={"region": list(REGIONS)},
    )


def _carried(
    config: Config, session: Session, places: Sequence[Path], held: xr.DataArray
) -> xr.Dataset:
    """Measure the scores at other packings and among more particles, without training again."""
    labels, carried, own = [], [], []
    for packing in config.mips_packings:
        system = system_with(config, packing=packing)
        path = states_of_packing(config, session, system)
        there = _held_out(path, config)
        name = f"{packing:g}".replace(".", "_")
        swept = session.sweep(
            f"mips_training_{name}",
            trained,
            over={"network": ["local"]},
            fixed=_training(config)
            | {"states": str(path), "folder": str(session.folder / "scores")},
        )
        values = [measures(system, ScoreModel.load(p, system), there).explained for p in places]
        here = float(swept.explained.squeeze())
        session.measure(f"mips_explained_packing_{name}", values)
        session.measure(f"mips_carried_packing_{name}", np.array(values) / here)
        labels.append(f"packing {packing:g}")
        carried.append(values)
        own.append(here)
    large, states = _tiled(config, session, held)
    values = [measures(large, ScoreModel.load(p, large), states).explained for p in places]
    before = [
        measures(ScoreModel.load(p).system, ScoreModel.load(p), held).explained for p in places
    ]
    session.measure("mips_explained_large", values)
    session.measure("mips_carried_large", np.array(values) / np.array(before))
    labels += [f"{large.particles} particles", "as trained"]
    carried += [values, before]
    own += [np.nan, np.nan]
    return xr.Dataset(
        {"carried": (("place", "seed"), np.array(carried)), "own": ("place", own)},
        coords={"place": labels},
    )


def _tiled(
    config: Config, session: Session, held: xr.DataArray
) -> tuple[ActiveOrnsteinUhlenbeck, xr.DataArray]:
    """Lay four copies of a state side by side, and let them go their ways for a persistence time."""
    small = system_of(held)
    large = small.with_(particles=4 * small.particles)

    def compute() -> xr.Dataset:
        start = tiled(small, large, held[-1:])
        return large.sample(
            1,
            1,
            burn_in=config.mips_apart / large.persistence_rate,
            step=0.1,
            scheme="heun",
            start=start,
            seed=session.seed_for("mips large"),
        ).to_dataset(name="states")

    return large, session.stage("mips_states_large", compute).states


def tiled(
    small: ActiveOrnsteinUhlenbeck, large: ActiveOrnsteinUhlenbeck, states: xr.DataArray
) -> xr.DataArray:
    """Return states of a box of ``m x m`` copies of a smaller periodic one."""
    copies = round((large.particles / small.particles) ** 0.5)
    assert small.box is not None
    offsets = (np.arange(copies) - (copies - 1) / 2) * small.box
    x, g = (states.sel(variable=name).values for name in ("x", "g"))
    moved = [x + np.array([a, b]) for a in offsets for b in offsets]
    return states_of(large, np.concatenate(moved, 1), np.concatenate([g] * copies**2, 1))


def _attended(place: Path, held: xr.DataArray) -> xr.Dataset:
    """Return the attention of the first particle of each region that there is."""
    score = ScoreModel.load(place)
    system, first = score.system, held[:1]
    found = attention_rollout(score, first)
    where = regions(system, first).values[0]
    x = tensors_of(first)[0][0]
    chosen = [int(np.flatnonzero(where == name)[0]) for name in REGIONS if (where == name).any()]
    around = [system.displacement(x[i], x[found.who.values[0, i]]).numpy() for i in chosen]
    return xr.Dataset(
        {
            "apart": (("region", "token", "axis"), np.array(around)),
            "weight": (("region", "token"), found.weight.values[0, chosen]),
        },
        coords={"region": [str(where[i]) for i in chosen]},
    )


def _timed(config: Config, session: Session, place: Path, held: xr.DataArray) -> xr.Dataset:
    """Time the score of all particles against their number."""
    small = system_of(held)
    counts, seconds = [], []
    for copies in config.mips_copies:
        large = small.with_(particles=small.particles * copies**2)
        x, g = tensors_of(tiled(small, large, held[:1]))
        score = ScoreModel.load(place, large)
        taken = []
        with torch.no_grad():
            score(x, g)
            for _ in range(3):
                begun = time.perf_counter()
                score(x, g)
                taken.append(time.perf_counter() - begun)
        counts.append(large.particles)
        seconds.append(taken)
    each = np.array(seconds) / np.array(counts)[:, None]
    session.measure("mips_seconds_a_particle", each.T, "s", along=counts, along_name="particles")
    session.measure("mips_time_growth", each[-1] / each[0])
    return xr.Dataset(
        {"seconds": (("particles", "repeat"), np.array(seconds))}, coords={"particles": counts}
    )

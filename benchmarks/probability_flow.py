"""The simulator of active particles beside the paper's own, in JAX: same system, same steps.

    python -m benchmarks.probability_flow --official PATH [--steps 200]

PATH is a checkout of the authors' code (``git clone https://github.com/nmboffi/active_pflows``), which
runs where JAX is installed (``pip install jax``). Its drift is compared with ours at the same states
first. Then one trajectory of the phase-separating system is advanced by the same number of steps: ours
with neighbour lists (compiled by numba, double precision), ours in torch step by step as one would
write it for gradients, and the official `lax.scan` over all pairs (compiled by XLA, single precision,
its noise drawn beforehand as in its launcher). Compilation is left out of all.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from axonal.physics.active_matter import ActiveOrnsteinUhlenbeck, SwimmerRing
from axonal.physics.active_matter.stepping import advance

SIZES = (64, 256, 1024, 4096)
STEP = 0.1
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--official", type=Path, help="checkout of nmboffi/active_pflows")
    parser.add_argument("--steps", type=int, default=200, help="steps a measurement at N = 1024")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    official = official_code(arguments.official)
    if official is not None:
        check(official)
    print(f"\n{'N':>6} {'steps':>7}  {'us a particle-step':<38}{'ratio to ours':>14}")
    for particles in SIZES:
        compare(particles, arguments.steps, official)
    grids()


def compare(particles: int, steps: int, official: Official | None) -> None:
    """Print what a particle-step costs, by each of the simulators."""
    system = separating(particles)
    steps = max(20, round(steps * min(1.0, (1024 / particles) ** 2)))
    few = max(2, steps // 4)
    x, g = relaxed(system)
    ours = least(lambda: numba_steps(system, x.copy(), g.copy(), steps))
    note(particles, steps, "axonal, neighbour lists", ours, ours)
    taken = least(lambda: torch_steps(system, x, g, few), rounds=2) / few * steps
    note(particles, steps, "axonal, torch drift", taken, ours)
    if official is not None:
        rollout = official.prepare(system, x, g, steps)
        rollout()  # compiles
        note(particles, steps, "active_pflows (JAX)", least(rollout), ours)


def separating(particles: int) -> ActiveOrnsteinUhlenbeck:
    """Return the phase-separating system of the paper at some size."""
    return ActiveOrnsteinUhlenbeck(
        particles=particles, speed=0.025, persistence_rate=1e-4, packing=0.5
    )


def relaxed(system: ActiveOrnsteinUhlenbeck) -> tuple[np.ndarray, np.ndarray]:
    """Return a state without the overlaps of a random start."""
    rng = np.random.default_rng(0)
    x = (rng.random((system.particles, 2)) - 0.5) * float(system.box or 0)
    g = rng.standard_normal(x.shape)
    numba_steps(system, x, g, 500)
    return x, g


def numba_steps(
    system: ActiveOrnsteinUhlenbeck, x: np.ndarray, g: np.ndarray, steps: int
) -> np.ndarray:
    advance(
        x,
        g,
        np.random.default_rng(1),
        steps,
        STEP,
        system.speed,
        system.persistence_rate,
        system.diffusion,
        system.stiffness,
        system.trap,
        system.steepness,
        system.half_width,
        system.cutoff,
        False,
    )
    return x


def torch_steps(
    system: ActiveOrnsteinUhlenbeck, x: np.ndarray, g: np.ndarray, steps: int
) -> torch.Tensor:
    place, activity = torch.from_numpy(x), torch.from_numpy(g)
    keep = np.exp(-system.persistence_rate * STEP)
    for _ in range(steps):
        place = place + STEP * system.drift(place, activity)[0]
        activity = keep * activity + np.sqrt(1 - keep**2) * torch.randn_like(activity)
    return place


class Official:
    """The authors' drift and step, from a checkout."""

    def __init__(self, drifts: Any, jax: Any) -> None:
        self.drifts, self.jax = drifts, jax

    def drift(self, system: ActiveOrnsteinUhlenbeck, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        both = self.drifts.mips(
            self.jax.numpy.asarray(np.concatenate([x, g])),
            system.speed,
            system.trap,
            system.stiffness,
            system.persistence_rate,
            np.ones(system.particles),
            system.half_width,
            system.steepness,
            system.particles,
        )
        return np.asarray(both)[: system.particles]

    def prepare(
        self, system: ActiveOrnsteinUhlenbeck, x: np.ndarray, g: np.ndarray, steps: int
    ) -> Callable[[], Any]:
        jax = self.jax
        one = jax.numpy.ones(system.particles, dtype=jax.numpy.float32)
        state = jax.numpy.asarray(np.concatenate([x, g]), dtype=jax.numpy.float32)
        shape = (steps, 2 * system.particles, 2)

        def advance_one(now: Any, noise: Any) -> tuple[Any, None]:
            then = self.drifts.step_mips_OU_EM(
                now,
                STEP,
                one,
                system.trap,
                system.stiffness,
                system.speed,
                system.particles,
                2,
                system.diffusion,
                system.persistence_rate,
                system.half_width,
                system.steepness,
                noise,
            )
            return then, None

        @jax.jit
        def rollout(first: Any, key: Any) -> Any:
            noises = jax.random.normal(key, shape, dtype=jax.numpy.float32)
            return jax.lax.scan(advance_one, first, noises)[0]

        key = jax.random.PRNGKey(0)
        return lambda: rollout(state, key).block_until_ready()


def official_code(path: Path | None) -> Official | None:
    """Load the authors' code, or say what is missing."""
    if path is None:
        print("The authors' code is left out: pass --official PATH of a checkout of")
        print("https://github.com/nmboffi/active_pflows, and pip install jax.")
        return None
    try:
        import jax
    except ModuleNotFoundError:
        print("The authors' code is left out, it needs JAX: pip install jax")
        return None
    if not (path / "py" / "common" / "drifts.py").is_file():
        raise SystemExit(f"{path} has no py/common/drifts.py; is it a checkout of active_pflows?")
    sys.path.insert(0, str(path / "py"))
    from common import drifts  # type: ignore[import-not-found]

    return Official(drifts, jax)


def check(official: Official) -> None:
    """Print how far the two drifts are apart at the same states."""
    with official.jax.experimental.enable_x64():
        for particles in SIZES[:3]:
            system = separating(particles).with_(speed=0.2, trap=0.05)
            x, g = relaxed(system)
            ours = system.drift(torch.from_numpy(x), torch.from_numpy(g))[0].numpy()
            theirs = official.drift(system, x, g)
            print(f"drift at N = {particles:<5} largest difference {abs(ours - theirs).max():.1e}")


def grids() -> None:
    """Print what the exact density of the ring costs, and how near the next finer grid it is."""
    print("\nexact density of the ring")
    for cells in ((120, 50), (240, 100), (480, 200)):
        begun = time.process_time()
        density = SwimmerRing().density(cells)
        seconds = time.process_time() - begun
        print(
            f"  {cells[0]:>4} x {cells[1]:<4} {seconds:6.2f} s   {density.entropy_production:.5f}"
        )


def note(particles: int, steps: int, name: str, seconds: float, ours: float) -> None:
    each = 1e6 * seconds / (particles * steps)
    print(f"{particles:>6} {steps:>7}  {name:<26}{each:>12.3g}{seconds / ours:>13.3g}x")


def least(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Return the least processor seconds of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best


if __name__ == "__main__":
    main()

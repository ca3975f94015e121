"""Steady states, folds and phase diagrams of a membrane, beside the ways one would otherwise take.

``python -m benchmarks.responsive_membrane`` does each piece of work in one process, one contestant
after the other, in CPU time (the least of several rounds). The blind searches are vectorised scans
with Brent's method on every sign change; the continuation peer is PyCont-Lite, on a residual in
plain floats so that it pays nothing for our objects. Accuracy is counted too: states lost, and the
distance of each fold from its place.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import brentq

from axonal.physics.membrane import ResponsiveMembrane, TanhResponse, VirialPartition
from axonal.sweep import continue_curve

MEMBRANE = ResponsiveMembrane(VirialPartition(6.0), response=TanhResponse(kind="swelling"))
SCANNED = 4001
CONCENTRATION, MAX_FORCE = 0.8, 8.0


def main() -> None:
    throughput()
    steady_states()
    phase_diagram()
    folds()


def throughput() -> None:
    """Time the closed form of the uptake, laws included."""
    rng = np.random.default_rng(0)
    force, phi = rng.uniform(0, 12, 1_000_000), rng.uniform(0.1, 0.4, 1_000_000)
    seconds, _ = least(lambda: MEMBRANE.inert_uptake(force, 1.0, phi), rounds=5)
    print(f"uptake of an inert slab, a million points: {seconds:.3f} us a point\n")


def steady_states(points: int = 200) -> None:
    """Find every steady state at random forces and concentrations."""
    rng = np.random.default_rng(1)
    force, c0 = rng.uniform(0, MAX_FORCE, points), 10 ** rng.uniform(-0.7, 1.0, points)
    work = list(zip(force.tolist(), c0.tolist(), strict=True))
    ours, found = least(lambda: [len(MEMBRANE.steady_states(u, c)) for u, c in work])
    print(
        f"all steady states of one (force, c0), {points} random points; {sum(found)} states in all"
    )
    row("explicit manifold", ours / points, ours / points, "states lost: 0")
    for name, search in (("scan of phi", scan_phi), ("scan of ln c_in", scan_log_uptake)):
        seconds, other = least(lambda search=search: [search(u, c) for u, c in work])
        lost = sum(f - o for f, o in zip(found, other, strict=True))
        row(f"{name}, {SCANNED} values", seconds / points, ours / points, f"states lost: {lost}")
    print()


def phase_diagram(size: int = 200, scanned: int = 20) -> None:
    """Count the states on a grid; the scan does a coarser grid, per point."""
    over = np.linspace(0, MAX_FORCE, size)[:, None], np.geomspace(0.02, 20, size)
    ours, _ = least(lambda: MEMBRANE.count_states(*over))
    few = np.linspace(0, MAX_FORCE, scanned), np.geomspace(0.02, 20, scanned)
    seconds, _ = least(lambda: [scan_phi(u, c) for u in few[0] for c in few[1]])
    print(f"phase diagram: {size} x {size} points counted ({ours:.2f} s in all)")
    row("monotone pieces between folds", ours / size**2, ours / size**2, "")
    row(f"scan of phi ({scanned} x {scanned})", seconds / scanned**2, ours / size**2, "")
    print()


def folds() -> None:
    """Follow the force-flux curve at one concentration and find its two folds."""
    expected = sorted(fold.force for fold in MEMBRANE.fold_points(CONCENTRATION, MAX_FORCE))
    start = brentq(lambda y: residual(y, 0.0), -10.0, 3.0)

    def explicit() -> list[float]:
        MEMBRANE.branch(CONCENTRATION, MAX_FORCE)
        return [fold.force for fold in MEMBRANE.fold_points(CONCENTRATION, MAX_FORCE)]

    def continued() -> list[float]:
        curve = continue_curve(residual, start, 0.0, within=(0.0, MAX_FORCE), direction="up")
        return [fold.parameter for fold in curve.folds]

    ours, found = least(explicit)
    print(
        f"force-flux curve at c0 = {CONCENTRATION}, forces to {MAX_FORCE:g}, with its {len(expected)} folds"
    )
    row("explicit manifold", ours, ours, accuracy(found, expected))
    seconds, found = least(continued)
    row("axonal.sweep.continue_curve", seconds, ours, accuracy(found, expected))
    if importlib.util.find_spec("pycont") is None:
        print("  PyCont-Lite is not installed: pip install 'axonal[bench]'")
        return
    for step in (0.02, 0.002, 0.0005):
        seconds, found = least(lambda step=step: pycont(start, step), rounds=1)
        row(f"PyCont-Lite, step {step:g}", seconds, ours, accuracy(found, expected))
    print("  PyCont-Lite runs without its stability analysis, which fails on one unknown.")


def pycont(start: float, step: float) -> list[float]:
    import pycont

    result: Any = pycont.arclengthContinuation(
        lambda state, force: np.array([residual(float(state[0]), float(force))]),
        np.array([start]),
        0.0,
        1e-9,
        step,
        step / 4,
        100_000,
        solver_parameters={
            "param_min": 0.0,
            "param_max": MAX_FORCE,
            "initial_directions": "increase_p",
            "analyze_stability": False,
            "bifurcation_detection": False,
        },
        verbosity=0,
    )
    return [float(event.p) for event in result.events if event.kind == "LP"]


def residual(log_uptake: float, force: float) -> float:
    """Return ``ln c_in - ln C(phi(c_in), f)`` of the benchmark's membrane, in plain floats."""
    d, length, u = 1.0, 2.0, abs(force)
    phi = 0.25 - 0.15 * math.tanh((math.exp(log_uptake) - 1) / 0.1)
    K, a = math.exp(-6 * phi), math.exp(5 * phi / (1 - phi))
    if u * length < 1e-8:
        S, W = d / length, 1 - d / length
    else:
        whole = math.expm1(-u * length)
        S = math.exp(-u * (length - d) / 2) * math.expm1(-u * d) / whole
        W = -math.expm1(-u * d) * math.expm1(-u * (length - d)) / (u * d * whole)
    ratio = ((1 - W) * a + W * K) / (S * a / K + 1 - S)
    return log_uptake - math.log(CONCENTRATION * ratio)


def scan_phi(force: float, c0: float) -> int:
    """Count the roots of ``phi(c_in(phi)) - phi``: sign changes on a grid, each polished."""

    def gap(phi: Any) -> Any:
        return MEMBRANE.response(MEMBRANE.inert_uptake(force, c0, phi)) - phi

    return _scan(gap, np.linspace(0.1, 0.4, SCANNED))


def scan_log_uptake(force: float, c0: float) -> int:
    """Count the roots of ``ln c_in - ln C(phi(c_in))``: sign changes on a grid, each polished."""

    def gap(y: Any) -> Any:
        phi = MEMBRANE.response(np.exp(y))
        return y - np.log(MEMBRANE.inert_uptake(force, c0, phi))

    return _scan(gap, np.linspace(-6.0, 6.0, SCANNED))


def _scan(gap: Callable[[Any], Any], grid: np.ndarray) -> int:
    values = gap(grid)
    brackets = np.flatnonzero(values[:-1] * values[1:] < 0)
    return len([brentq(gap, grid[k], grid[k + 1]) for k in brackets])


def accuracy(found: list[float], expected: list[float]) -> str:
    """Say how many folds were found and how far the worst of them is off."""
    if not found:
        return f"folds: 0 of {len(expected)}"
    worst = max(min(abs(f - e) for e in expected) for f in found)
    return f"folds: {len(found)} of {len(expected)}, off by {max(worst, 1e-15):.0e} or less"


def least(work: Callable[[], Any], rounds: int = 3) -> tuple[float, Any]:
    """Return the least CPU seconds of several rounds, and the last result."""
    seconds, result = math.inf, None
    for _ in range(rounds):
        begun = time.process_time()
        result = work()
        seconds = min(seconds, time.process_time() - begun)
    return seconds, result


def row(name: str, seconds: float, ours: float, remark: str) -> None:
    print(f"  {name:<32}{1e3 * seconds:>12.4g} ms {seconds / ours:>9.1f} x   {remark}")


if __name__ == "__main__":
    main()

"""Transfer efficiency of one network: axonal beside QuTiP, on the same disordered rings.

    python -m benchmarks.light_harvesting [--figure timing.svg]

One ring of N sites with a photon and an acceptor, all site energies different, so that no closed
form applies. QuTiP gets its operators ready-made, and its steady state by each of its direct solvers;
the fastest counts. ``mesolve`` runs to t = 2000, as a user would to read off the sink; what is still
inside the network then is its error. Seconds are processor time of one thread, the least of several
rounds, all in this process. Afterwards the ensemble: 10,000 disordered Hamiltonians as one batch.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from axonal.physics.light_harvesting import (
    ExcitonNetwork,
    disordered,
    ring_acceptor,
    to_qutip,
    transfer_efficiency,
)

SIZES = (8, 16, 32)
BATCH = {8: 1024, 16: 256, 32: 64}
ENSEMBLE = 10_000
UNTIL = 2000.0
Timings = dict[str, dict[int, float]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--figure", type=Path, help="draw the timings into this SVG")
    figure = options.parse_args().figure
    timings: Timings = {}
    if importlib.util.find_spec("qutip") is None:
        print("QuTiP is not installed: pip install 'axonal[bench]'")
    for sites in SIZES:
        one_network(sites, timings)
    ensemble()
    if figure is not None:
        draw(timings, figure)


def one_network(sites: int, timings: Timings) -> None:
    ordered = ring_acceptor(
        sites, J=0.1, xi=0.1, kappa_ring=2e-3, kappa_photon=2e-3, sink=0.2, dephasing=0.01
    )
    batch = disordered(ordered, "diagonal", 0.2, BATCH[sites], seed=1)
    one = batch.with_(hamiltonian=batch.hamiltonian[0], dims=())
    exact = float(transfer_efficiency(one, method="liouville"))
    print(f"N = {sites} ({sites + 2} levels), eta = {exact:.12f}")

    seconds, found = least(lambda: transfer_efficiency(batch), rounds=3)
    ours = seconds / BATCH[sites]
    note(timings, "axonal, Green's function, in a batch", sites, ours, ours, found[0] - exact)
    seconds, found = least(lambda: transfer_efficiency(one), rounds=20)
    note(timings, "axonal, Green's function, one call", sites, seconds, ours, found - exact)
    seconds, found = least(lambda: transfer_efficiency(one, method="liouville"), rounds=3)
    note(timings, "axonal, dense Liouvillian", sites, seconds, ours, found - exact)
    detunings = np.linspace(-1, 1, 10_000)
    ordered = ordered.with_site_energy("photon", ordered.reference_energy("bright") + detunings)
    seconds, _ = least(lambda: transfer_efficiency(ordered, method="closed"), rounds=5)
    note(timings, "axonal, closed form (ordered)", sites, seconds / 10_000, ours, None)
    if importlib.util.find_spec("qutip") is not None:
        with_qutip(one, sites, ours, exact, timings)
    print()


def with_qutip(
    network: ExcitonNetwork, sites: int, ours: float, exact: float, timings: Timings
) -> None:
    import qutip

    problem = to_qutip(network)
    operators = problem.collapse + problem.refill

    def steady(solver: str) -> float:
        state = qutip.steadystate(problem.hamiltonian, operators, method="direct", solver=solver)
        lost, captured = state.full().diagonal().real[-2:]
        return captured / (lost + captured)

    def evolve(**options: Any) -> float:
        result = qutip.mesolve(
            problem.hamiltonian,
            problem.start,
            [0, UNTIL],
            problem.collapse,
            e_ops=[problem.captured],
            options=options,
        )
        return float(np.real(result.expect[0][-1]))

    rounds = 3 if sites < 32 else 1
    runs = [least(lambda s=solver: steady(s), rounds) for solver in ("spsolve", "solve")]
    seconds, found = min(runs, key=lambda run: run[0])
    note(timings, "QuTiP steadystate, recycling", sites, seconds, ours, found - exact)
    seconds, found = least(lambda: evolve(nsteps=10_000_000), rounds=1)
    note(timings, "QuTiP mesolve to t = 2000", sites, seconds, ours, found - exact)
    seconds, found = least(lambda: evolve(method="diag"), rounds=1)
    note(timings, "QuTiP mesolve, method 'diag'", sites, seconds, ours, found - exact)


def ensemble(checked: int = 10) -> None:
    ring = ring_acceptor(
        J=0.1, xi=0.1, kappa_ring=2e-3, kappa_photon=2e-3, sink=0.2, dephasing=0.01
    )
    batch = disordered(ring, "diagonal", 0.2, ENSEMBLE, seed=0)
    seconds, eta = least(lambda: transfer_efficiency(batch), rounds=3)
    print(f"{ENSEMBLE:,} disordered Hamiltonians, N = 8")
    print(f"  {'axonal, one batch':<38}{seconds:>10.3f} s   mean eta {eta.mean():.5f}")
    if importlib.util.find_spec("qutip") is None:
        return
    import qutip

    problems = [
        to_qutip(batch.with_(hamiltonian=matrix, dims=())) for matrix in batch.hamiltonian[:checked]
    ]

    def steady() -> list[float]:
        ends = [
            qutip.steadystate(p.hamiltonian, p.collapse + p.refill, method="direct")
            .full()
            .diagonal()
            .real[-2:]
            for p in problems
        ]
        return [captured / (lost + captured) for lost, captured in ends]

    theirs, found = least(steady, rounds=1)
    whole = theirs / checked * ENSEMBLE
    apart = np.abs(np.array(found) - eta[:checked]).max()
    print(
        f"  {'QuTiP steadystate, one after the other':<38}{whole:>10.1f} s   from {checked} of them, "
        f"{whole / seconds:.0f} times as long, {apart:.0e} apart"
    )


def note(timings: Timings, name: str, sites: int, seconds: float, ours: float, error: Any) -> None:
    timings.setdefault(name, {})[sites] = seconds
    words = "" if error is None else f"error {abs(float(error)):.0e}"
    print(f"  {name:<38}{1e3 * seconds:>12.4g} ms {seconds / ours:>10.3g} x   {words}")


def least(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Return the least processor seconds of several rounds, and the last result."""
    seconds, result = float("inf"), None
    for _ in range(rounds):
        begun = time.process_time()
        result = work()
        seconds = min(seconds, time.process_time() - begun)
    return seconds, result


def draw(timings: Timings, path: Path) -> None:
    import matplotlib.pyplot as plt

    from axonal.lab.figures import save_svg, style

    shown = [name for name in timings if "one call" not in name and "dense" not in name]
    with style():
        figure, axes = plt.subplots(figsize=(5.6, 3.6))
        for number, name in enumerate(shown):
            sizes = list(timings[name])
            places = [SIZES.index(size) + 0.8 * (number / len(shown) - 0.5) for size in sizes]
            axes.bar(
                places,
                [1e3 * timings[name][size] for size in sizes],
                width=0.75 / len(shown),
                align="edge",
                color=f"C{number}",
                label=name,
            )
        axes.set(yscale="log", ylabel="one efficiency (ms)", xlabel="ring sites N")
        axes.set_xticks(range(len(SIZES)), [str(size) for size in SIZES])
        axes.set_ylim(top=axes.get_ylim()[1] * 300)
        axes.legend(loc="upper left", fontsize=8)
        save_svg(figure, path)


if __name__ == "__main__":
    main()

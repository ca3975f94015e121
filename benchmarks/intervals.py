"""How often do 95 % intervals of a mean cover it, with few repeats? Ours beside SciPy's bootstrap.

    python -m benchmarks.intervals [--figure interval-coverage.svg]

Both see the same samples and the same number of resamples, in one process.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy import stats

from axonal.lab.figures import PALETTE, save_svg, style
from axonal.statistics import estimate, estimates

SIZES = (3, 5, 8, 12, 20, 40)
SAMPLES = 2_000
RESAMPLES = 999
METHODS = ("axonal", "Student's t", "SciPy BCa", "SciPy percentile")
POPULATIONS = ("normal", "exponential")


def coverage(population: str, n: int) -> tuple[list[float], list[float]]:
    """Return the share of intervals that cover the mean, and the seconds, for each method."""
    rng = np.random.default_rng([n, POPULATIONS.index(population)])
    samples = getattr(rng, population)(size=(SAMPLES, n))
    mean = 0.0 if population == "normal" else 1.0
    shares, seconds = [], []
    started = time.perf_counter()
    ours = [estimate(sample, seed=i) for i, sample in enumerate(samples)]
    seconds.append(time.perf_counter() - started)
    shares.append(float(np.mean([e.low <= mean <= e.high for e in ours])))
    started = time.perf_counter()
    ends = stats.ttest_1samp(samples, 0, axis=1).confidence_interval()
    seconds.append(time.perf_counter() - started)
    shares.append(float(np.mean((ends.low <= mean) & (mean <= ends.high))))
    for method in ("BCa", "percentile"):
        started = time.perf_counter()
        found = [
            stats.bootstrap(
                (sample,), np.mean, method=method, n_resamples=RESAMPLES, rng=rng
            ).confidence_interval
            for sample in samples
        ]
        seconds.append(time.perf_counter() - started)
        shares.append(float(np.mean([e.low <= mean <= e.high for e in found])))
    return shares, seconds


def draw(shares: dict[str, np.ndarray], path: Path) -> None:
    import matplotlib.pyplot as plt

    with style():
        figure, panels = plt.subplots(1, 2, figsize=(6.4, 3.2), sharey=True)
        for axes, population in zip(panels, POPULATIONS, strict=True):
            axes.axhline(95, color="#888888", linewidth=1, linestyle="--")
            for i, name in enumerate(METHODS):
                axes.plot(SIZES, 100 * shares[population][:, i], "o-", color=PALETTE[i], label=name)
            axes.set(title=f"{population} values", xscale="log", xlabel="repeats", ylim=(65, 100))
            axes.set_xticks(SIZES, [str(n) for n in SIZES])
            axes.minorticks_off()
        panels[0].set_ylabel("95 % intervals that cover (%)")
        panels[1].legend(loc="lower right")
        save_svg(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path, help="also draw the table as SVG")
    chosen = parser.parse_args()
    estimates.RESAMPLES = RESAMPLES
    shares = {}
    print(
        f"{'values':12} {'n':>3} " + " ".join(f"{name:>17}" for name in METHODS) + "   time ratio"
    )
    for population in POPULATIONS:
        rows = []
        for n in SIZES:
            share, seconds = coverage(population, n)
            rows.append(share)
            cells = " ".join(f"{100 * value:15.1f} %" for value in share)
            print(
                f"{population:12} {n:>3} {cells}   {seconds[2] / seconds[0]:6.1f}x BCa", flush=True
            )
        shares[population] = np.array(rows)
    if chosen.figure:
        draw(shares, chosen.figure)


if __name__ == "__main__":
    main()

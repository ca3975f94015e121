"""Gaussian transport beside POT: the same laws, the same rows, one process.

    python -m benchmarks.gaussian_transport [--figure gaussian-transport.png]

Then the whole family on activations of SmolLM2-135M-Instruct, casual against polite requests: what is
left of the distance to the target on requests that the maps were not fitted on. POT comes with
``pip install 'axonal[bench]'``.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from axonal.errors import require
from axonal.transport import (
    AffineTransport,
    Gaussian,
    GaussianTransport,
    family,
    transport_matrix,
    wasserstein,
)

BLOCK = 18
COMPONENTS = (1, 2, 4, 8, 16)
JUDGED = 16
CASUAL = (
    "hey can you just",
    "yo quick one,",
    "ok so basically",
    "dude, could you maybe",
    "lol sorry but pls",
    "gonna need you to",
    "hi! wanna",
    "alright buddy,",
)
POLITE = (
    "I would be most grateful if you could",
    "Dear colleague, may I kindly ask you to",
    "With your permission, I should like to",
    "It would be greatly appreciated if one could",
    "Allow me to request, most respectfully, that we",
    "We kindly invite you to",
    "At your earliest convenience, please",
    "Esteemed committee, we hereby propose to",
)
TASKS = (
    "send the report by Friday",
    "water the plants in the office",
    "check the train to Lisbon",
    "explain how bees make honey",
    "book a table for two",
    "read the second chapter",
    "move the meeting to noon",
    "order new paper for the printer",
    "name the capital of Peru",
    "bring the blue umbrella",
    "write a poem on autumn",
    "compare the two bicycles",
    "list the planets in order",
    "clean the coffee machine",
    "describe the view from the tower",
    "count the chairs in the hall",
)


def activations(block: int) -> dict[str, np.ndarray]:
    """Return the residual stream at the last token.

    Half of the pairs of opening and task train, the other half tests: the same tasks in another
    opening, so that populations differ from one half to the other by chance alone.
    """
    from axonal.activations import Sites, record
    from axonal.language.models import load

    language = load("smollm2-135m-instruct")
    site = Sites.of(language.model).residual(block)
    found = {}
    for name, openings in (("casual", CASUAL), ("polite", POLITE)):
        for part, odd in (("train", 0), ("test", 1)):
            texts = [
                f"{opening} {task}"
                for i, opening in enumerate(openings)
                for j, task in enumerate(TASKS)
                if (i + j) % 2 == odd
            ]
            batch = dict(language.tokenizer(texts, return_tensors="pt", padding=True))
            rows = record(language.model, batch, [site], positions=-1)[site]
            found[f"{name} {part}"] = rows.numpy()
    return found


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Return the shortest of several runs."""
    best = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return float(best)


def against_pot() -> None:
    ot: Any = require("ot", "bench")
    rng = np.random.default_rng(0)
    print(f"{'the same laws':34} {'POT':>10} {'axonal':>10} {'ratio':>7}  largest difference")
    for units in (2, 16, 64, 256, 576):
        rows = rng.normal(size=(2, 3 * units + 10, units)) @ (
            np.eye(units) + rng.normal(size=(units, units)) / units**0.5 / 2
        )
        (ms, mt), (Cs, Ct) = rows.mean(axis=1), (np.cov(r.T) for r in rows)

        def theirs(ms=ms, mt=mt, Cs=Cs, Ct=Ct) -> Any:
            return ot.gaussian.bures_wasserstein_mapping(ms, mt, Cs, Ct)[0]

        def ours(Cs=Cs, Ct=Ct) -> Any:
            return transport_matrix(Cs, Ct)

        repeats = 200 if units < 100 else 5
        line(f"map, {units} units", theirs, ours, repeats, float(np.abs(theirs() - ours()).max()))
    units, n = 256, 2000
    X = rng.normal(size=(n, units))
    Y = rng.normal(size=(n, units)) @ (np.eye(units) + rng.normal(size=(units, units)) / 40) + 1
    peer = ot.da.LinearTransport(reg=1e-8).fit(Xs=X, Xt=Y)
    own = GaussianTransport(None, shrinkage=None, ridge=1e-8).fit(X, Y)
    thin = GaussianTransport(2, basis="mean_difference").fit(X, Y)
    apart = float(np.abs(peer.transform(Xs=X) - own.transform(X)).max())
    words = f"fit, {n} x {units} rows"
    line(words, lambda: peer.fit(Xs=X, Xt=Y), lambda: own.fit(X, Y), 5, apart)
    line("transform them", lambda: peer.transform(Xs=X), lambda: own.transform(X), 10, apart)
    line(
        "transform them, 2 directions", lambda: peer.transform(Xs=X), lambda: thin.transform(X), 10
    )


def line(
    words: str,
    theirs: Callable[[], Any],
    ours: Callable[[], Any],
    repeats: int,
    apart: float | None = None,
) -> None:
    a, b = seconds(theirs, repeats), seconds(ours, repeats)
    end = "another map" if apart is None else f"{apart:.0e}"
    print(f"{words:34} {1e3 * a:7.2f} ms {1e3 * b:7.2f} ms {a / b:6.1f}x  {end}", flush=True)


def members() -> dict[str, AffineTransport[Any]]:
    """The family, with the Gaussian map in one to sixteen directions."""
    found = family()
    del found["Gaussian, subspace"]
    for count in COMPONENTS:
        found[f"Gaussian, {count}"] = GaussianTransport(count, basis="mean_difference")
        found[f"Gaussian, {count} pooled"] = GaussianTransport(count)
    return found


def left_over(found: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Distance to the target left on held-out rows, and mean displacement, in % of before."""
    # Judged where the training rows have their spread: 64 rows hold no covariance of 576 units.
    judge = GaussianTransport(JUDGED, basis="mean_difference")
    P = judge.fit(found["casual train"], found["polite train"]).map_.basis
    assert P is not None
    goal = Gaussian.of(found["polite test"] @ P.numpy())
    rows = found["casual test"].astype(float)
    before = wasserstein(Gaussian.of(rows @ P.numpy()), goal)
    again = Gaussian.of(found["polite train"] @ P.numpy())
    results = {"(polite requests of the fit)": (100 * wasserstein(again, goal) / before, 0.0)}
    for name, member in members().items():
        moved = member.fit(found["casual train"], found["polite train"]).transform(rows)
        after = wasserstein(Gaussian.of(moved @ P.numpy()), goal)
        step = np.linalg.norm(moved - rows, axis=1).mean() / np.linalg.norm(rows, axis=1).mean()
        results[name] = 100 * after / before, 100 * float(step)
    return results


def draw(found: dict[str, np.ndarray], results: dict[str, tuple[float, float]], path: Path) -> None:
    import matplotlib.pyplot as plt

    from axonal.lab.figures import PALETTE, style

    fitted = GaussianTransport(2, basis="mean_difference")
    fitted.fit(found["casual train"], found["polite train"])
    assert fitted.map_.basis is not None
    P, c = fitted.map_.basis.numpy(), fitted.map_.center.numpy()
    clouds = {
        "casual": found["casual test"],
        "polite": found["polite test"],
        "casual, transported": fitted.transform(found["casual test"]),
    }
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.8))
        for (name, rows), colour, mark in zip(clouds.items(), PALETTE, "os^", strict=False):
            z = (rows - c) @ P
            left.plot(*z.T, mark, color=colour, markersize=3, alpha=0.55, label=name)
            left.plot(*ellipse(z), color=colour)
        left.set(xlabel="along the difference of means", ylabel="first axis within")
        left.set_title("Requests not fitted on")
        left.margins(y=0.22)
        left.legend(loc="upper left", ncols=2, columnspacing=0.8, handletextpad=0.2)
        names = sorted((n for n in results if "pooled" not in n), key=lambda n: -results[n][0])
        colours = [PALETTE[2] if n.startswith("Gaussian,") else PALETTE[6] for n in names]
        right.barh(names, [results[n][0] for n in names], color=colours, height=0.65)
        right.axvline(100, color="#888888", linewidth=1, linestyle="--")
        right.set(xlabel="distance to the polite law left (%)", title="Held-out W2")
        figure.savefig(path, dpi=160)
        plt.close(figure)


def ellipse(z: np.ndarray) -> np.ndarray:
    """The ellipse of two standard deviations, ``(2, points)``."""
    angle = np.linspace(0, 2 * np.pi, 200)
    values, vectors = np.linalg.eigh(np.cov(z.T))
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return z.mean(axis=0)[:, None] + 2 * (vectors * np.sqrt(values)) @ circle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path, help="also draw the family as PNG")
    chosen = parser.parse_args()
    against_pot()
    found = activations(BLOCK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # some bases are meant to be poor choices
        results = left_over(found)
    print(
        f"\n{'SmolLM2, block 18, casual -> polite':36} {'distance left':>14} {'displacement':>13}"
    )
    for name, (after, step) in sorted(results.items(), key=lambda item: item[1][0]):
        print(f"{name:36} {after:12.1f} % {step:11.1f} %")
    if chosen.figure:
        draw(found, results, chosen.figure)


if __name__ == "__main__":
    main()

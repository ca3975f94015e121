"""Fitting a receptor record: our search beside SciPy's optimisers on the same likelihood.

``python -m benchmarks.contact_sensing`` fits the same records (10,000 receptors, with and without a
contact) with each optimiser in turn, in one process on one thread. SciPy's get the likelihood as
a function of the value alone, without our derivatives, or with the gradient where they use one.
*Shortfall* is how far below the best value that any optimiser found an optimiser ended, in units of
ln L (1 is already a wrong decision or a wrong place); *misses* counts shortfalls above 0.01. A
second table compares the Fisher information with quadrature receptor by receptor.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.integrate import quad

from axonal.cells.contact import Contact, ContactModel, Evidence, TwoLigandKinetics

Floats = NDArray[np.float64]
Fit = Callable[["Task"], float]

SCENES = [  # alpha, half-width, T, whether a contact is there
    (1.0, 10.0, 1.0, True),
    (1.0, 10.0, 1.0, False),
    (1.0, 1.0, 1.0, False),
    (0.5, 3.0, 1.0, True),
    (0.5, 3.0, 1.0, False),
    (0.5, 10.0, 10.0, True),
    (0.1, 3.0, 1.0, False),
]


class Task:
    """One record, and its log-likelihood as SciPy's optimisers see it, in (c_t, chi, x0)."""

    def __init__(self, alpha: float, half_width: float, duration: float, seed: int, present: bool):
        self.model = ContactModel(kinetics=TwoLigandKinetics(alpha=alpha))
        self.truth = Contact(1000.0, 0.1, 50.0, half_width)
        scene = self.truth if present else self.truth.without_neighbour()
        self.record = self.model.simulate(scene, duration, seed)
        self.evidence = Evidence.of(self.record, self.model.kinetics)
        self.rough = self.evidence.absent()[0]  # c' without a contact
        self.calls = 0

    def loss(self, z: Floats) -> float:
        """Return -ln L, value alone."""
        self.calls += 1
        c_t, chi, position = z
        one, k = self.evidence, self.model.kinetics.binding
        correct, spurious = c_t * chi, max(c_t * (1 - chi), 1e-9)
        g = self._profile(position).value
        density = spurious * one.away + np.repeat(correct * g[one.owners], one.sizes) * one.stay
        value = (one.weight * np.log(density)).sum() + one.offset.sum() + one.constant
        return -float(value - k * ((correct * g + spurious) * one.unbound).sum())

    def loss_and_gradient(self, z: Floats) -> tuple[float, Floats]:
        self.calls += 1
        c_t, chi, position = z
        found = self.evidence.evaluate(
            self._profile(position), c_t * chi, max(c_t * (1 - chi), 1e-9)
        )
        d_correct, d_spurious, d_position = found.gradient
        slopes = (
            chi * d_correct + (1 - chi) * d_spurious,
            c_t * (d_correct - d_spurious),
            d_position,
        )
        return -found.value, -np.array(slopes)

    def _profile(self, position: float):
        away = self.model.receptors.displacement(position)
        return self.model.profile.at(away, self.truth.half_width)

    @property
    def near(self) -> Floats:
        return np.array([1000.0, 0.1, 50.0])

    @property
    def bounds(self) -> list[tuple[float, float]]:
        return [(0.5 * self.rough, 2 * self.rough), (0.0, 0.9), (0.0, 100.0)]


def ours(task: Task) -> float:
    return task.model.fit(task.record, task.truth.half_width).log_likelihood


def powell_from_truth(task: Task) -> float:
    """As the paper: Powell's method, tolerance 1e-7; it states no start."""
    bounds = [(1e-6, 1e8), (0.0, 1.0), (0.0, 100.0)]
    options = {"xtol": 1e-7, "ftol": 1e-7}
    return -optimize.minimize(
        task.loss, task.near, method="Powell", bounds=bounds, options=options
    ).fun


def nelder_mead_from_truth(task: Task) -> float:
    options = {"xatol": 1e-5, "fatol": 1e-6, "maxiter": 2000}
    return -optimize.minimize(
        task.loss, task.near, method="Nelder-Mead", bounds=task.bounds, options=options
    ).fun


def gradient_from(task: Task, position: float) -> float:
    # In units of the rough error of each parameter, without which it stops early.
    scale = np.array([20.0, 0.02, 1.0])

    def scaled(z: Floats) -> tuple[float, Floats]:
        value, gradient = task.loss_and_gradient(z * scale)
        return value, gradient * scale

    bounds = [(low / s, high / s) for (low, high), s in zip(task.bounds, scale, strict=True)]
    start = np.array([task.rough, 0.1, position]) / scale
    return -optimize.minimize(scaled, start, jac=True, method="L-BFGS-B", bounds=bounds).fun


def gradient_from_truth(task: Task) -> float:
    return gradient_from(task, 50.0)


def gradient_from_many(task: Task) -> float:
    return max(gradient_from(task, position) for position in np.linspace(2, 98, 25))


def differential_evolution(task: Task) -> float:
    found = optimize.differential_evolution(task.loss, task.bounds, tol=1e-7, seed=0, maxiter=150)
    return -found.fun


def dual_annealing(task: Task) -> float:
    return -optimize.dual_annealing(task.loss, task.bounds, seed=0, maxiter=200).fun


FITS: dict[str, Fit] = {
    "axonal (whole perimeter)": ours,
    "Powell, from the truth (paper)": powell_from_truth,
    "Nelder-Mead, from the truth": nelder_mead_from_truth,
    "L-BFGS-B + our gradient, from truth": gradient_from_truth,
    "L-BFGS-B + our gradient, 25 starts": gradient_from_many,
    "differential_evolution": differential_evolution,
    "dual_annealing": dual_annealing,
}


def main(records: int = 3) -> None:
    warnings.simplefilter("ignore")
    tasks = [
        Task(alpha, width, duration, seed, present)
        for alpha, width, duration, present in SCENES
        for seed in range(records)
    ]
    seconds: dict[str, list[float]] = {name: [] for name in FITS}
    values: dict[str, list[float]] = {name: [] for name in FITS}
    for task in tasks:
        assert abs(task.loss(task.near) - task.loss_and_gradient(task.near)[0]) < 1e-6
        for name, fit in FITS.items():
            begun = time.process_time()
            values[name].append(fit(task))
            seconds[name].append(time.process_time() - begun)
    best = np.max(list(values.values()), axis=0)
    print(f"\nfits of {len(tasks)} records of 10,000 receptors, {len(SCENES)} scenes")
    print(f"  {'':38}{'median ms':>10}{'x ours':>9}{'misses':>8}{'worst shortfall':>17}")
    mine = np.array(seconds["axonal (whole perimeter)"])
    for name in FITS:
        short = best - values[name]
        ratio = statistics.median(np.array(seconds[name]) / mine)
        middle = 1e3 * statistics.median(seconds[name])
        print(f"  {name:38}{middle:10.1f}{ratio:9.1f}{(short > 0.01).sum():8d}{short.max():17.3g}")
    information()


def information() -> None:
    """Compare the closed form with quadrature receptor by receptor, the paper's way."""
    print("\nFisher information of one receptor array (10,000 receptors, alpha 0.8, 0.05)")
    print(f"  {'':38}{'ms':>10}{'x ours':>9}{'largest difference':>20}")
    for alpha in (0.8, 0.05):
        model = ContactModel(kinetics=TwoLigandKinetics(alpha=alpha))
        contact = Contact(1000.0, 0.1, 50.0, 10.0)
        begun = time.process_time()
        closed = model.information(contact, 10.0)
        fast = time.process_time() - begun
        every = 50  # quadrature of every 50th receptor, its time scaled up
        correct = np.maximum(model.correct_ligand(contact)[::every], 1e-12 * 900)
        r, r2 = 1.0, 1 / alpha

        def integrand(t: float, c: float, r: float = r, r2: float = r2) -> float:
            return r**2 * np.exp(-r * t) / (c * r + 900 * r2 * np.exp(-(r2 - r) * t))

        begun = time.process_time()
        slow_values = np.array([quad(integrand, 0, np.inf, args=(c,))[0] for c in correct])
        slow = (time.process_time() - begun) * every
        weight = 10 * 0.01 / model.kinetics.partition(correct, 900.0)
        there = closed.correct[::every]
        # Where it matters: receptors that see more than a thousandth of the contact's ligand.
        seen = correct > 0.1
        off = np.abs(weight * slow_values / there - 1)
        print(f"  closed form, alpha {alpha:<19g}{1e3 * fast:10.1f}{1:9.1f}")
        print(
            f"  scipy quad a receptor, alpha {alpha:<9g}{1e3 * slow:10.0f}{slow / fast:9.0f}"
            f"{off[seen].max():20.1e} in the contact, {off.max():.1e} anywhere"
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))

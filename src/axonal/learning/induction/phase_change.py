"""The toy model of the phase change: three vectors that must be right together (section 4.1).

Parameters ``a, b, c`` are to match true vectors: the loss is the mean of
``0.5 (a*_i b*_j c*_k - a_i b_j c_k)^2`` over all ``i, j, k``, minimised by gradient descent. Each vector's
gradient is proportional to how well the others fit already, so the loss waits on a plateau and then
falls at once; clamping the others to the truth takes the plateau away.

In inner products, with ``p_x = x . x*`` and ``n_x = |x|^2``, the loss is
``(n_a* n_b* n_c* - 2 p_a p_b p_c + n_a n_b n_c) / (2 d^3)``, so no tensor of d^3 entries is made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from axonal.errors import InputError

FACTORS: tuple[str, ...] = ("a", "b", "c")


@dataclass(frozen=True)
class PhaseChange:
    """What gradient descent did, in each repeat.

    Parameters
    ----------
    loss
        Before each iteration, ``(repeats, iterations)``.
    misalignment
        ``1 - cos(a, a*)^2``, ``(repeats, iterations)``: the first progress measure.
    clamped_loss
        The loss with b and c at the truth and a of the better sign, ``(repeats, iterations)``: the
        second.
    parameters, truth
        The final and the true vectors by name, ``(repeats, dim)``.
    """

    loss: np.ndarray
    misalignment: np.ndarray
    clamped_loss: np.ndarray
    parameters: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]

    @property
    def plateau(self) -> np.ndarray:
        """The loss of predicting zero, ``n_a* n_b* n_c* / (2 d^3)``, ``(repeats,)``."""
        dim = self.truth["a"].shape[-1]
        return np.prod([_square(self.truth[name]) for name in FACTORS], axis=0) / (2 * dim**3)

    def learning_time(self, fraction: float = 0.1) -> np.ndarray:
        """Return the first iteration with a loss below a fraction of the plateau; NaN if never."""
        below = self.loss < fraction * self.plateau[:, None]
        return np.where(below.any(axis=1), below.argmax(axis=1), np.nan)


def rank_one_phase_change(
    dim: int = 20,
    clamp: Collection[str] = (),
    *,
    iterations: int = 1000,
    rate: float = 1.0,
    seeds: Sequence[int] = (0,),
) -> PhaseChange:
    """Train the toy model.

    Parameters
    ----------
    dim
        Length of each vector, d.
    clamp
        Which of ``"a"``, ``"b"``, ``"c"`` are held at the truth after every step.
    iterations, rate
        Of gradient descent.
    seeds
        One repeat each; truth and start are drawn from N(0, I) by the seed alone.
    """
    unknown = [name for name in clamp if name not in FACTORS]
    if unknown:
        raise InputError(f"The toy model has the vectors a, b and c; got {unknown[0]!r}.")
    if iterations < 1 or dim < 1 or not rate > 0 or not len(seeds):
        raise InputError(
            "dim, iterations and rate are positive, and there is a seed; got "
            f"dim={dim}, iterations={iterations}, rate={rate}, {len(seeds)} seeds."
        )
    drawn = np.stack([np.random.default_rng(seed).normal(size=(6, dim)) for seed in seeds], axis=1)
    truth = dict(zip(FACTORS, drawn[:3], strict=True))
    parameters = dict(zip(FACTORS, drawn[3:].copy(), strict=True))
    traces: list[np.ndarray] = []
    for _ in range(iterations):
        parameters |= {name: truth[name] for name in clamp}
        traces.append(np.stack([loss(parameters, truth), *_progress(parameters["a"], truth)]))
        slope = gradient(parameters, truth)
        parameters = {name: parameters[name] - rate * slope[name] for name in FACTORS}
    parameters |= {name: truth[name] for name in clamp}
    whole, misalignment, clamped = np.stack(traces, axis=-1)
    return PhaseChange(whole, misalignment, clamped, parameters, truth)


def loss(parameters: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> np.ndarray:
    """Return the loss of vectors ``(repeats, dim)``: ``(repeats,)``.

    Summed as ``|t - p|^2`` of the last factor, so that it stays exact near zero.
    """
    dim = truth["a"].shape[-1]
    fit, size, true = _products(parameters, truth)
    cube = true["a"] * true["b"] * true["c"] - 2 * fit["a"] * fit["b"] * fit["c"]
    total = cube + size["a"] * size["b"] * size["c"]
    if all(np.array_equal(parameters[name], truth[name]) for name in ("b", "c")):
        total = true["b"] * true["c"] * _square(truth["a"] - parameters["a"])
    return np.maximum(total, 0) / (2 * dim**3)


def gradient(
    parameters: dict[str, np.ndarray], truth: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the gradient: for a ``(n_b n_c a - p_b p_c a*) / d^3``, and so on."""
    dim = truth["a"].shape[-1]
    fit, size, _ = _products(parameters, truth)
    found = {}
    for name in FACTORS:
        one, two = (other for other in FACTORS if other != name)
        pull = (fit[one] * fit[two])[:, None] * truth[name]
        hold = (size[one] * size[two])[:, None] * parameters[name]
        found[name] = (hold - pull) / dim**3
    return found


def _products(
    parameters: dict[str, np.ndarray], truth: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    fit = {name: (parameters[name] * truth[name]).sum(-1) for name in FACTORS}
    size = {name: _square(parameters[name]) for name in FACTORS}
    return fit, size, {name: _square(truth[name]) for name in FACTORS}


def _progress(a: np.ndarray, truth: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    fit, size, true = (a * truth["a"]).sum(-1), _square(a), _square(truth["a"])
    rest = _square(truth["b"]) * _square(truth["c"])
    nearer = np.minimum(_square(truth["a"] - a), _square(truth["a"] + a))
    return 1 - fit**2 / (size * true), rest * nearer / (2 * a.shape[-1] ** 3)


def _square(x: np.ndarray) -> np.ndarray:
    return (x * x).sum(-1)

"""A training step of the conditional Monge map beside the official code, on the same batches.

    python -m benchmarks.conditional_monge [--cells 128 256 512]

The published configuration: cells of 50 coordinates, 194 descriptors and a log dose, four hidden layers
of 64, epsilon 1 and 0.01, Euclidean cost, AdamW. Both start from the same weights; the loss of the first
step is compared before anything is timed. The official step is the one of ``cmonge`` 0.1.3 (its network
and losses, on OTT-JAX and JAX with jit; compilation is not counted). One thread each; the time is CPU time of
this process, the best of several rounds. Then the paper's measures of one batch, numbers and time.

``cmonge`` pins old versions of SciPy and JAX: ``pip install cmonge==0.1.3 torch`` in an environment of its
own, and ``pip install --no-deps`` this package.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np  # the thread count must be set before
import torch

from axonal.cells.perturbation.metrics import batch_metrics
from axonal.cells.perturbation.network import ConditionalPerturbationNetwork
from axonal.cells.perturbation.objective import MongeObjective
from axonal.training import train

WIDTH, DRUG = 50, 194
STEPS = 5  # of a round
ROUNDS = 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, nargs="+", default=[128, 256, 512])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    peer = importlib.util.find_spec("cmonge") is not None
    if not peer:
        print("cmonge is not installed: pip install cmonge==0.1.3 (in an environment of its own)")
    print(f"a training step, {WIDTH} coordinates, float64 Sinkhorn here, float32 there")
    print(f"  {'cells':>6}{'':4}{'loss':>10}{'ms a step':>12}{'ratio':>8}")
    for cells in parser.parse_args().cells:
        batch = _batch(cells)
        network = _network()
        loss, ours = _axonal(network, batch, MongeObjective())
        _row(cells, "axonal", loss, ours, ours)
        if peer:
            theirs_loss, theirs = _cmonge(_network(), batch)
            _row(cells, "cmonge", theirs_loss, theirs, ours)
        loss, exact = _axonal(_network(), batch, MongeObjective(epsilon_gap=0))
        _row(cells, "axonal, exact gap", loss, exact, ours)
    _metrics(peer)


def _batch(cells: int) -> dict[str, np.ndarray]:
    """Return source, target and context, in scale like the latent space of an autoencoder."""
    rng = np.random.default_rng(0)
    source = rng.normal(size=(cells, WIDTH))
    target = 1.2 * rng.normal(size=(cells, WIDTH)) + rng.normal(size=WIDTH)
    context = np.append(rng.normal(size=DRUG), np.log(100.0))
    return {k: v.astype(np.float32) for k, v in (("x", source), ("y", target), ("c", context))}


def _network() -> ConditionalPerturbationNetwork:
    torch.manual_seed(0)
    return ConditionalPerturbationNetwork(WIDTH, ((0, DRUG), (0, DRUG + 1)))


def _axonal(
    network: ConditionalPerturbationNetwork, batch: dict[str, np.ndarray], objective: MongeObjective
) -> tuple[float, float]:
    """Return the first loss and the milliseconds of a step, in the library's own training loop."""
    x, y = (torch.from_numpy(batch[name])[None] for name in ("x", "y"))
    context = torch.from_numpy(batch["c"])[None, None]
    given = {"x": x, "y": y, "c": context}

    def loss(model: Any, data: dict[str, torch.Tensor]) -> torch.Tensor:
        fit, gap = objective(data["x"], model(data["x"], data["c"]), data["y"])
        return fit + gap

    def steps(count: int) -> float:
        history = train(
            network,
            loss,
            lambda _: given,
            steps=count,
            optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-4, weight_decay=1e-5),
        )
        return float(history.loss[0])

    first = steps(1)
    return first, _best(lambda: steps(STEPS)) / STEPS


def _cmonge(
    network: ConditionalPerturbationNetwork, batch: dict[str, np.ndarray]
) -> tuple[float, float]:
    """Return the same of the official network and losses, with our weights."""
    import jax
    import jax.numpy as jnp
    import optax
    from cmonge.metrics import fitting_loss, regularizer
    from cmonge.models.nn import ConditionalPerturbationNetwork as Official

    official = Official(
        dim_hidden=(64,) * 4,
        dim_data=WIDTH,
        dim_cond=DRUG + 1,
        dim_cond_map=(50, 1),
        context_entity_bonds=((0, DRUG), (0, DRUG + 1)),
    )
    layers = [*network.embed, *network.hidden, network.out]
    params = {
        f"Dense_{i}": {
            "kernel": jnp.asarray(layer.weight.detach().numpy().T),
            "bias": jnp.asarray(layer.bias.detach().numpy()),
        }
        for i, layer in enumerate(layers)
    }
    x, y = jnp.asarray(batch["x"]), jnp.asarray(batch["y"])
    context = jnp.tile(jnp.asarray(batch["c"]), (len(x), 1))
    optimizer = optax.adamw(1e-4, weight_decay=1e-5)

    def loss(params: Any) -> Any:
        mapped = official.apply({"params": params}, x, context, 2)
        return fitting_loss(y, mapped, 1.0) + regularizer(x, mapped, 0.01, "euclidean")

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any, Any]:
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    state = optimizer.init(params)
    first = loss(params)  # under value_and_grad OTT-JAX 0.5 reports another value of the divergence
    params, state, _ = step(params, state)

    def steps() -> None:
        nonlocal params, state
        for _ in range(STEPS):
            params, state, value = step(params, state)
        value.block_until_ready()

    return float(first), _best(steps) / STEPS


def _metrics(peer: bool) -> None:
    """Compare the measures of one batch of 512 cells and 50 genes."""
    rng = np.random.default_rng(1)
    y, z = rng.normal(size=(512, 50)), 1.1 * rng.normal(size=(512, 50)) + 0.2
    names = ("r2", "signature", "mmd", "wasserstein", "divergence", "gap")
    found = batch_metrics(y, z)
    print("\nthe paper's measures of one batch, 512 cells of 50 genes")
    ours = _best(lambda: batch_metrics(y, z))
    print(f"  {'':8}" + "".join(f"{name:>13}" for name in names) + f"{'ms':>9}{'ratio':>8}")
    _measures("axonal", [getattr(found, name) for name in names], ours, ours)
    if not peer:
        return
    import jax.numpy as jnp
    from cmonge import metrics

    functions = (
        metrics.average_r2,
        metrics.drug_signature,
        metrics.compute_scalar_mmd,
        metrics.wasserstein_distance,
        metrics.sinkhorn_div,
        metrics.eucledian_monge_gap,
    )
    a, b = jnp.asarray(y, dtype=jnp.float32), jnp.asarray(z, dtype=jnp.float32)
    theirs = _best(lambda: [float(function(a, b)) for function in functions])
    _measures("cmonge", [float(function(a, b)) for function in functions], theirs, ours)


def _best(work: Callable[[], Any]) -> float:
    """Return the least milliseconds of CPU time of several rounds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def _row(cells: int, name: str, loss: float, ms: float, ours: float) -> None:
    print(f"  {cells:6}    {loss:10.4f}{ms:12.1f}{ms / ours:8.2f}  {name}", flush=True)


def _measures(name: str, values: list[float], ms: float, ours: float) -> None:
    print(f"  {name:8}" + "".join(f"{v:13.5f}" for v in values) + f"{ms:9.0f}{ms / ours:8.2f}")


if __name__ == "__main__":
    main()

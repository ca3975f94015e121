"""Training steps a second of the induction-head model: ours, and the authors' own code.

    git clone https://github.com/aadityasingh/icl-dynamics
    pip install jax equinox optax h5py
    python -m benchmarks.induction_heads --official icl-dynamics [--steps 150] [--seeds 5]

The paper's configuration: 50 classes of 512 numbers, 5 labels, two layers of 8 heads, batches of 32,
Adam. The authors' weights are carried over first, and what both compute from them, with and without
clamps, must agree. One thread each, in one process, in turn; the best of five rounds. The authors'
code is compiled by JAX, which is not counted. It is of 2024 and needs three names that its libraries
have dropped since; they are put back here.

``--numbers FILE`` writes what the authors' code computes at small sizes: the tests' reference.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
import types
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from axonal.learning.induction import (
    AttentionOnlyTransformer,
    Clamp,
    Clamped,
    FewShotTask,
    gaussian_features,
    subcircuit,
    train,
)
from axonal.learning.induction.evaluation import losses_by_seed

HEAD, PREVIOUS = 3, 2
OFFICIAL_ARGUMENTS = {
    "none": ["--opto_ablate_heads", "{rest}"],
    "previous token": ["--opto_prev_token_heads", "0:{previous}", "--opto_ablate_heads", "{rest}"],
    "layer 1": ["--opto_specific_fn", "perfect_prev_token_input", "--opto_ablate_heads", "{rest}"],
    "match": ["--opto_induction_heads", "1:{head}", "--opto_ablate_heads", "{rest}"],
    "copy": ["--opto_perfect_copy_from_head_pattern", "1:{head}"],
    "layer 1 + copy": [
        "--opto_specific_fn",
        "perfect_prev_token_input",
        "--opto_perfect_copy_from_head_pattern",
        "1:{head}",
    ],
}
"""How the authors' scripts ask for the six clamps; their layers count from 0."""


class Official:
    """The authors' code, from a clone."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault(
            "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
        warnings.simplefilter("ignore")
        import equinox
        import jax

        tree = jax.tree_util
        for name, function in {"tree_map": tree.tree_map, "tree_leaves": tree.tree_leaves}.items():
            if not hasattr(jax, name):
                setattr(jax, name, function)
        typing = types.ModuleType("nptyping")  # annotations only, and not of today's NumPy
        typing.NDArray = typing.Int = typing.Floating = _Anything  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules["nptyping"] = typing
        sys.path.insert(0, str(folder))
        self.jax, self.equinox = jax, equinox
        self.modules = {
            name: _import(name) for name in ("models", "samplers", "opto", "main_utils", "main")
        }

    def model(self, dim: int, labels: int, width: int, heads: int, seed: int = 5) -> Any:
        return self.modules["models"].SequenceClassifier(
            example_shape=(dim,),
            num_classes=labels,
            embed_dim=width,
            key=self.jax.random.PRNGKey(seed),
            depth=2,
            num_heads=heads,
            mlp_ratio=None,
            causal=True,
        )

    def forward(
        self, clamp: str | None, heads: int, head: int, previous: int
    ) -> Callable[..., Any]:
        """Return the authors' forward function with one of the six clamps; None is the plain one."""
        opto, utils = self.modules["opto"], self.modules["main_utils"]
        arguments: list[str] = []
        for word in OFFICIAL_ARGUMENTS[clamp] if clamp else []:
            rest = [f"1:{other}" for other in range(heads) if other != head]
            arguments += rest if word == "{rest}" else [word.format(head=head, previous=previous)]
        parser = utils.create_parser()
        opto.add_args_to_parser(parser)
        with _silence():
            return opto.make_fn_from_opts(parser.parse_args(arguments))

    def stepper(self, task: FewShotTask, clamp: str | None, lr: float) -> Callable[[int], None]:
        """Return a function that makes so many training steps, data included."""
        import optax

        jax, jnp, eqx = self.jax, self.jax.numpy, self.equinox
        samplers, main = self.modules["samplers"], self.modules["main"]
        state: dict[str, Any] = {"model": self.model(task.dim, task.n_labels, 64, 8)}
        optimizer = optax.adam(lr)
        state["opt"] = optimizer.init(eqx.filter(state["model"], eqx.is_array))
        classes = jnp.arange(task.n_classes)
        draw = jax.jit(
            partial(
                samplers.make_data_sampler(
                    partial(
                        samplers.get_constant_burst_seq_idxs,
                        classes=classes,
                        class_distr=jnp.ones(len(classes)) / len(classes),
                        num_seqs=32,
                        context_len=2,
                        burstiness=1,
                    ),
                    partial(samplers.get_exemplar_inds, allowed_inds=jnp.arange(1)),
                    fs_relabel=jnp.array(task.training_labels.numpy()),
                ),
                data=jnp.array(task.features.numpy()),
            )
        )
        forward = self.forward(clamp, 8, HEAD, PREVIOUS)
        state["key"] = jax.random.PRNGKey(0)

        def steps(count: int) -> None:
            found = None
            for _ in range(count):
                state["key"], data_key, model_key = jax.random.split(state["key"], 3)
                batch = draw(data_key)
                found, state["model"], state["opt"] = main.train_step(
                    model=state["model"],
                    fwd_fn=forward,
                    optimizer=optimizer,
                    opt_state=state["opt"],
                    microbs=32,
                    weight_decay=0.0,
                    x=batch["examples"],
                    y=batch["labels"],
                    key=model_key,
                )
            jax.block_until_ready(found)

        return steps

    def losses(
        self, model: Any, batch: dict[str, torch.Tensor], forward: Callable[..., Any]
    ) -> tuple[float, dict[str, float]]:
        """Return the mean loss, and the norm of its gradient by part of the model."""
        jax, jnp, eqx = self.jax, self.jax.numpy, self.equinox
        x, y = jnp.array(batch["examples"].numpy()), jnp.array(batch["labels"].numpy())
        keys = jax.random.split(jax.random.PRNGKey(0), len(x))
        loss, slope = self.modules["main"].compute_loss(model, forward, 0.0, x, y, keys)
        parts = {
            "example_embedding": slope.example_embed,
            "label_embedding": slope.label_embed,
            "layer1": slope.transformer.blocks[0],
            "layer2": slope.transformer.blocks[1],
            "final_norm": slope.transformer.norm,
            "unembedding": slope.unembed,
        }
        norms = {
            name: float(
                np.sqrt(
                    sum(
                        float((leaf**2).sum())
                        for leaf in jax.tree_util.tree_leaves(eqx.filter(part, eqx.is_array))
                    )
                )
            )
            for name, part in parts.items()
        }
        return float(loss), norms

    def weights(self, model: Any) -> dict[str, torch.Tensor]:
        """Return the authors' weights by our names."""

        def there(array: Any) -> torch.Tensor:
            return torch.from_numpy(np.array(array))[None]

        found = {
            "example_embedding.weight": there(model.example_embed.weight.T),
            "example_embedding.bias": there(model.example_embed.bias)[:, None],
            "label_embedding": there(model.label_embed.weight.T),
            "final_norm.weight": there(model.transformer.norm.weight),
            "final_norm.bias": there(model.transformer.norm.bias),
            "unembedding.weight": there(model.unembed.weight.T),
            "unembedding.bias": there(model.unembed.bias)[:, None],
        }
        for number, block in enumerate(model.transformer.blocks, start=1):
            together = there(block.attn.qkv.weight.T).chunk(3, dim=2)
            for name, one in zip(("query", "key", "value"), together, strict=True):
                found[f"layer{number}.{name}.weight"] = one.contiguous()
            found[f"layer{number}.output.weight"] = there(block.attn.proj.weight.T)
            found[f"layer{number}.norm.weight"] = there(block.norm1.weight)
            found[f"layer{number}.norm.bias"] = there(block.norm1.bias)
        return found


def our_losses(
    model: AttentionOnlyTransformer, batch: dict[str, torch.Tensor], clamp: Clamp
) -> tuple[float, dict[str, float]]:
    """Return what :meth:`Official.losses` does."""
    model.zero_grad(set_to_none=True)
    with Clamped(model, clamp) as run:
        loss = losses_by_seed(run(**batch), batch["labels"]).sum()
    loss.backward()
    norms: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        square = 0.0 if parameter.grad is None else float(parameter.grad.square().sum())
        norms[part] = norms.get(part, 0.0) + square
    return float(loss.detach()), {name: value**0.5 for name, value in norms.items()}


def agree(official: Official, task: FewShotTask) -> float:
    """Return the largest relative difference between the two codes, over all clamps."""
    theirs = official.model(task.dim, task.n_labels, 64, 8)
    ours = AttentionOnlyTransformer(task.dim, task.n_labels)
    ours.load_state_dict(official.weights(theirs))
    batch = task.sample("train", 200)
    worst = 0.0
    for clamp in (None, *OFFICIAL_ARGUMENTS):
        loss, norms = official.losses(theirs, batch, official.forward(clamp, 8, HEAD, PREVIOUS))
        held = subcircuit(clamp, HEAD, PREVIOUS) if clamp else Clamp()
        mine, slopes = our_losses(ours, batch, held)
        gaps = [abs(norms[n] - slopes[n]) / max(norms[n], 1e-3) for n in norms]
        worst = max(worst, abs(mine - loss) / loss, *gaps)
    return worst


def write_numbers(official: Official, path: Path) -> None:
    """Write weights, a batch, losses and gradient norms of a small model, for the tests."""
    features = gaussian_features(12, 6, seed=1).double().round(decimals=3).float()
    task = FewShotTask(features, 3, 8, unseen=4, held_out=0.0)
    model = official.model(6, 3, 8, 2)
    batch = {name: x[:6] for name, x in task.sample("train", 6).items()}
    found: dict[str, Any] = {
        "weights": {n: w[0].tolist() for n, w in official.weights(model).items()},
        "batch": {name: x.tolist() for name, x in batch.items()},
        "clamps": {},
    }
    for clamp in (None, *OFFICIAL_ARGUMENTS):
        loss, norms = official.losses(model, batch, official.forward(clamp, 2, 1, 0))
        found["clamps"][clamp or "plain"] = {"loss": loss, "gradient": norms}
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")


def ours_stepper(
    task: FewShotTask, clamp: str | None, lr: float, seeds: int
) -> Callable[[int], None]:
    """Return a function that makes so many training steps, data and history included."""
    model = AttentionOnlyTransformer(task.dim, task.n_labels, seeds=range(seeds))
    held = subcircuit(clamp, HEAD, PREVIOUS) if clamp else Clamp()

    def steps(count: int) -> None:
        train(
            model, task, sequences=32 * count, lr=lr, clamp=held, evaluators=(), strength_at=None,
            streams=range(seeds),
        )  # fmt: skip

    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--official", type=Path, help="a clone of aadityasingh/icl-dynamics")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--numbers", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = FewShotTask(gaussian_features(150), n_classes=50)
    official = _official(options.official)
    if options.numbers and official:
        write_numbers(official, options.numbers)
        return
    if official:
        print(f"losses and gradients agree to {agree(official, task):.1e} over all clamps\n")
    print(
        f"| clamp | code | seeds at once | ms a step | ms a step and seed | ratio |\n|{'---|' * 6}"
    )
    for clamp in (None, "match", "layer 1 + copy"):
        contestants = {
            ("axonal", options.seeds): ours_stepper(task, clamp, 1e-5, options.seeds),
            ("axonal", 1): ours_stepper(task, clamp, 1e-5, 1),
        }
        if official:
            contestants["official (JAX)", 1] = official.stepper(task, clamp, 1e-5)
        best = dict.fromkeys(contestants, float("inf"))
        for _ in range(6):  # the first compiles
            for key, steps in contestants.items():
                started = time.process_time()
                steps(options.steps)
                best[key] = min(best[key], (time.process_time() - started) / options.steps)
        base = best["axonal", options.seeds] / options.seeds
        for (code, seeds), seconds in best.items():
            each = seconds / seeds
            print(
                f"| {clamp or 'plain'} | {code} | {seeds} | {1e3 * seconds:.2f} | {1e3 * each:.2f} "
                f"| {each / base:.2f} |",
                flush=True,
            )


def _official(folder: Path | None) -> Official | None:
    missing = [name for name in ("jax", "equinox", "optax") if not importlib.util.find_spec(name)]
    if folder is None or missing:
        print(
            "Without the authors' code: git clone https://github.com/aadityasingh/icl-dynamics, "
            "pip install jax equinox optax h5py, and pass --official FOLDER"
        )
        return None
    return Official(folder)


def _import(name: str) -> Any:
    import importlib

    with _silence():
        return importlib.import_module(name)


def _silence() -> Any:
    import contextlib
    import io

    return contextlib.redirect_stdout(io.StringIO())


class _Anything:
    def __class_getitem__(cls, _: object) -> type:
        return cls


if __name__ == "__main__":
    main()

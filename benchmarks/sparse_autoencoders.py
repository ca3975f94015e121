"""Sparse autoencoders beside SAELens, dictionary-learning and sparsify: the same rows, one process.

    python -m benchmarks.sparse_autoencoders [--steps 20] [--tokens 16]

A training step of a TopK dictionary, encoding, and what steering costs a generated token: 26 clamps and
a boost through this library against the same arithmetic in a bare forward hook. Peers:
``pip install --no-deps sae-lens dictionary-learning eai-sparsify`` with what they import
(``transformer-lens<4``, ``nnsight``, ``einops``, ``datasets``).
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import torch

from axonal.activations import Dictionary, Sites, edit
from axonal.language.dictionaries import SparseAutoencoder
from axonal.language.dictionaries.objective import Autoencoder
from axonal.language.resistance import Condition, steering_edits

WIDTH, LATENTS, K, BATCH = 576, 2304, 32, 1024


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Return the shortest of several runs, after one that warms up."""
    work()
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def rows(count: int) -> torch.Tensor:
    """Return activations: sparse sums of directions, and a little noise."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(
        torch.randn(LATENTS, WIDTH, generator=generator), dim=-1
    )
    weights = torch.zeros(count, LATENTS)
    chosen = torch.randint(LATENTS, (count, K), generator=generator)
    weights.scatter_(1, chosen, torch.rand(count, K, generator=generator))
    return weights @ directions * 5 + 0.05 * torch.randn(count, WIDTH, generator=generator)


def own_step(x: torch.Tensor) -> Callable[[], None]:
    model = Autoencoder(WIDTH, LATENTS, k=K, center=x.mean(0), scale=1.0)
    adam = torch.optim.Adam(model.parameters(), lr=3e-4)

    def step() -> None:
        adam.zero_grad(set_to_none=True)
        model.loss(x)[0].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    return step


def saelens(x: torch.Tensor) -> tuple[Callable[[], None], Callable[[], Any]]:
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.saes.sae import TrainStepInput

    model = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=WIDTH, d_sae=LATENTS, k=K))
    adam = torch.optim.Adam(model.parameters(), lr=3e-4)
    dead = torch.zeros(LATENTS, dtype=torch.bool)

    def step() -> None:
        adam.zero_grad(set_to_none=True)
        given = {"sae_in": x, "coefficients": {}, "dead_neuron_mask": dead, "n_training_steps": 0}
        names = TrainStepInput.__dataclass_fields__
        defaults = {"is_logging_step": False}
        given = {name: (given | defaults)[name] for name in names if name in given | defaults}
        model.training_forward_pass(TrainStepInput(**given)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    return step, lambda: model.encode(x)


def dictionary_learning(x: torch.Tensor) -> tuple[Callable[[], None], Callable[[], Any]]:
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(
        steps=10**6,
        activation_dim=WIDTH,
        dict_size=LATENTS,
        k=K,
        layer=0,
        lm_name="m",
        device="cpu",
    )
    counter = iter(range(1, 10**6))
    return lambda: trainer.update(next(counter), x), lambda: trainer.ae.encode(x)


def sparsify(x: torch.Tensor) -> tuple[Callable[[], None], Callable[[], Any]]:
    from sparsify import SparseCoder, SparseCoderConfig

    model = SparseCoder(WIDTH, SparseCoderConfig(num_latents=LATENTS, k=K))
    adam = torch.optim.Adam(model.parameters(), lr=3e-4)

    def step() -> None:
        adam.zero_grad(set_to_none=True)
        model(x).fvu.backward()
        model.set_decoder_norm_to_unit_norm()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    return step, lambda: model.encode(x)


PEERS = {"SAELens": saelens, "dictionary-learning": dictionary_learning, "sparsify": sparsify}


def training(repeats: int) -> None:
    x = rows(BATCH)
    model = Autoencoder(WIDTH, LATENTS, k=K, center=x.mean(0), scale=1.0)
    dictionary = model.dictionary()
    with torch.no_grad():
        encode = seconds(lambda: dictionary.encode(x), repeats)
    step = seconds(own_step(x), repeats)
    print(f"TopK, {WIDTH} to {LATENTS}, k = {K}, {BATCH} rows\n")
    print(f"{'':22}{'step, ms':>10}{'ratio':>8}{'encode, ms':>12}{'ratio':>8}")
    print(f"{'axonal':22}{1e3 * step:10.1f}{1:8.2f}{1e3 * encode:12.1f}{1:8.2f}")
    for name, make in PEERS.items():
        try:
            theirs, code = make(x)
        except ImportError as error:
            print(f"{name:22}not installed ({error.name}): see the head of this file")
            continue
        other = seconds(theirs, repeats)
        with torch.no_grad():
            coded = seconds(code, repeats)
        print(
            f"{name:22}{1e3 * other:10.1f}{other / step:8.2f}{1e3 * coded:12.1f}{coded / encode:8.2f}"
        )


def bare_hook(encoder: torch.Tensor, decoder: torch.Tensor, kind: str) -> Callable[..., Any]:
    """Return the least that a forward hook can do: 26 latents to 0 and one boosted by 3."""
    weights, clamped = encoder[:26].clone(), decoder[:26].clone()
    step = 3.0 * decoder[100]

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        x = output[0] if isinstance(output, tuple) else output
        if kind == "relu":
            active = (x @ weights.mT).relu()
        else:
            raw = x @ encoder.mT
            top = raw.topk(K, dim=-1)
            active = torch.zeros_like(raw).scatter(-1, top.indices, top.values.relu())[..., :26]
        moved = x + step - active @ clamped
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    return hook


def overhead(tokens: int, repeats: int) -> None:
    """Time a generated token of SmolLM2, plain, with a bare hook, and with this library's edits."""
    load = importlib.import_module("axonal.language.models").load
    language_model = load("smollm2-135m-instruct")
    model = language_model.model
    site = Sites.of(model).residual(18)
    generator = torch.Generator().manual_seed(0)
    encoder = torch.randn(LATENTS, WIDTH, generator=generator) / WIDTH**0.5
    ids = torch.randint(5, 4000, (8, 24), generator=generator)
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    settings = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}

    def run() -> None:
        with torch.no_grad():
            model.generate(**given, **settings)

    base = seconds(run, repeats)
    print(f"\nMilliseconds a token, 8 rows, {tokens} tokens; over plain generation in brackets\n")
    print(f"{'plain':34}{1e3 * base / tokens:8.1f}")
    for kind in ("relu", "topk"):
        dictionary = Dictionary(
            encoder, encoder / 10, activation=kind, **({"k": K} if kind == "topk" else {})
        )
        sae = SparseAutoencoder(dictionary, "blocks.18.hook_resid_post")
        hook = bare_hook(encoder, dictionary.decoder, kind)
        handle = model.get_submodule(site.path).register_forward_hook(hook)
        bare = seconds(run, repeats)
        handle.remove()
        condition = Condition("ablated", dict.fromkeys(range(26), 0.0))
        edits = steering_edits(sae, site, [100] * 8, [3.0] * 8, condition, positions=None)
        with edit(model, edits):
            ours = seconds(run, repeats)
        for name, value in ((f"bare hook, {kind}", bare), (f"axonal, {kind}", ours)):
            more = 1e3 * (value - base) / tokens
            print(f"{name:34}{1e3 * value / tokens:8.1f}  (+{more:.2f})")
        print(f"{'ratio of the whole':34}{ours / bare:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20, help="repeats of a training step")
    parser.add_argument("--tokens", type=int, default=16, help="generated tokens; 0 leaves it out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    training(chosen.steps)
    if chosen.tokens:
        overhead(chosen.tokens, max(2, chosen.steps // 5))


if __name__ == "__main__":
    main()

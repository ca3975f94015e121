"""The full map of layers and positions, beside TransformerLens on the same weights.

``python -m benchmarks.relevance_patching`` scores the residual stream, attention and MLP outputs of
every layer and position of SmolLM2-135M-Instruct, on indirect-object prompts, in one process on one
thread. Time is the CPU time of this process. Every tool's map is compared with ours before anything
is timed; one that differs is not timed, and that is said.

- *Estimates*, eight prompts at once, every tool in turn, round after round: two forward passes and
  one backward pass each. TransformerLens has attribution patching, not relevance patching.
- *Exact* activation patching of two prompts. TransformerLens runs the whole model for every layer,
  position and kind: 1,260 passes, some minutes.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonal.language.models import LanguageModel, load
from axonal.language.prompts import PromptPairs
from axonal.language.relevance import (
    activation_patching,
    attribution_patching,
    input_integrated_gradients,
    relevance_patching,
)
from axonal.language.tasks import ioi

KINDS = {"residual_pre": "hook_resid_pre", "attention": "hook_attn_out", "mlp": "hook_mlp_out"}


@dataclass
class Contestant:
    """One tool's way to a map; ``expected`` is the method whose map it must give."""

    name: str
    expected: str
    work: Callable[[], np.ndarray]
    seconds: list[float] = field(default_factory=list)


def main(rounds: int = 7) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when the peer is imported
    warnings.simplefilter("ignore")
    model = load("smollm2-135m-instruct")
    eight = ioi(model.tokenizer, 4, seed=0).both_ways()
    two = ioi(model.tokenizer, 1, seed=0).both_ways()
    print(f"SmolLM2-135M-Instruct, float32, one thread, torch {torch.__version__}")
    lens = _transformer_lens(model)

    def ours(pairs: PromptPairs, method: Callable[..., Any], **options: Any) -> np.ndarray:
        scores = method(model, pairs, **options)
        return np.stack([scores[kind].mean("pair").to_numpy() for kind in KINDS])

    estimates = [
        Contestant("axonal relevance patching", "", lambda: ours(eight, relevance_patching)),
        Contestant(
            "axonal attribution patching", "gradient", lambda: ours(eight, attribution_patching)
        ),
        Contestant(
            "axonal input integrated gradients, 5 steps",
            "",
            lambda: ours(eight, input_integrated_gradients),
        ),
    ]
    exact = [
        Contestant("axonal relevance patching", "", lambda: ours(two, relevance_patching)),
        Contestant("axonal activation patching", "exact", lambda: ours(two, activation_patching)),
    ]
    if lens is not None:
        estimates.append(
            Contestant(
                "TransformerLens attribution patching",
                "gradient",
                lambda: _lens_attribution(lens, eight),
            )
        )
        exact.append(
            Contestant(
                "TransformerLens activation patching", "exact", lambda: _lens_exact(lens, two)
            )
        )
    _report(
        f"estimated map, {len(eight)} prompts of {eight.clean.shape[1]} tokens", estimates, rounds
    )
    _report(f"exact map, {len(two)} prompts of {two.clean.shape[1]} tokens", exact, 1)


def _report(title: str, contestants: list[Contestant], rounds: int) -> None:
    """Check maps, run the contestants in turn; print times and ratios to relevance patching."""
    print(f"\n{title}")
    print(f"  {'':44}{'min s':>9}{'median s':>10}{'ratio of min':>14}")
    first: dict[str, np.ndarray] = {}
    timed = []
    for one in contestants:
        start = time.process_time()
        result = one.work()  # also warms up
        once = time.process_time() - start
        if one.expected and not np.allclose(
            result, first.setdefault(one.expected, result), atol=2e-3
        ):
            print(f"  {one.name:44}gives another map: not timed")
            continue
        if rounds == 1 and once > 30:
            one.seconds.append(once)
        timed.append(one)
    for _ in range(rounds):
        for one in timed:
            if rounds == 1 and one.seconds:
                continue  # minutes of work are timed once
            start = time.process_time()
            one.work()
            one.seconds.append(time.process_time() - start)
    base = min(timed[0].seconds)
    for one in timed:
        best, middle = min(one.seconds), statistics.median(one.seconds)
        print(f"  {one.name:44}{best:9.2f}{middle:10.2f}{best / base:14.2f}")


def _transformer_lens(model: LanguageModel) -> Any:
    """Return the same weights as TransformerLens holds them, or None where it isn't installed."""
    if importlib.util.find_spec("transformer_lens") is None:
        print("TransformerLens is not installed: pip install 'axonal[bench]'")
        return None
    from transformer_lens.model_bridge import TransformerBridge

    print(f"TransformerLens {importlib.metadata.version('transformer-lens')}")
    lens = TransformerBridge.boot_transformers(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        hf_model=copy.deepcopy(model.model),
        tokenizer=model.tokenizer,
        device="cpu",
    )
    return lens.requires_grad_(True)  # its gradient cache needs a graph; no weight gradient is made


def _metric(lens: Any, pairs: PromptPairs) -> Callable[[Tensor], Tensor]:
    """Return the normalised logit difference, 0 on the corrupted and 1 on the clean prompts."""

    def difference(logits: Tensor) -> Tensor:
        last = logits[:, -1]
        answers = torch.stack([pairs.answers, pairs.distractors], 1)
        chosen = last.gather(1, answers)
        return (chosen[:, 0] - chosen[:, 1]).mean()

    with torch.no_grad():
        clean, corrupt = (difference(lens(ids)) for ids in (pairs.clean, pairs.corrupt))
    return lambda logits: (difference(logits) - corrupt) / (clean - corrupt)


def _lens_attribution(lens: Any, pairs: PromptPairs) -> np.ndarray:
    """Attribution patching with TransformerLens' own gradient cache."""
    from transformer_lens.tools.analysis.attribution_patching import cache_activation_and_gradient

    names = [f"blocks.{layer}.{hook}" for hook in KINDS.values() for layer in range(_depth(lens))]
    answers = torch.stack([pairs.answers, pairs.distractors], 1)
    values: list[float] = []

    def difference(logits: Tensor) -> Tensor:
        chosen = logits[:, -1].gather(1, answers)
        values.append((chosen[:, 0] - chosen[:, 1]).mean().item())
        return (chosen[:, 0] - chosen[:, 1]).mean()

    with torch.no_grad():
        clean = cache_activation_and_gradient(
            lens, pairs.clean, difference, names_filter=names, compute_gradient=False
        )
    corrupt = cache_activation_and_gradient(lens, pairs.corrupt, difference, names_filter=names)
    unit = values[0] - values[1]
    scores = [
        ((clean.activations[n] - corrupt.activations[n]) * corrupt.gradients[n]).sum((0, 2)) / unit
        for n in names
    ]
    return torch.stack(scores).reshape(len(KINDS), _depth(lens), -1).numpy()


def _lens_exact(lens: Any, pairs: PromptPairs) -> np.ndarray:
    """Exact patching with TransformerLens' own sweep."""
    from transformer_lens import patching

    metric = _metric(lens, pairs)
    with torch.no_grad():
        _, cache = lens.run_with_cache(
            pairs.clean, names_filter=lambda name: name.endswith(tuple(KINDS.values()))
        )
        return patching.get_act_patch_block_every(lens, pairs.corrupt, cache, metric).numpy()


def _depth(lens: Any) -> int:
    return int(lens.cfg.n_layers)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))

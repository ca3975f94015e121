"""What it costs to track massive activations: beside a bare forward pass, and beside caching.

``python -m benchmarks.massive_activations`` reads the same tokens with SmolLM2-135M-Instruct in
float32 on one thread, in every way in turn, round after round: a bare forward pass (with and
without the unembedding), `layer_statistics`, and TransformerLens caching everything, or the
residual streams alone, with the statistics taken from its cache. Every way's ratios are compared
with ours before anything is timed.

Time is the CPU time of this process. Peak memory is what the tensors of one pass hold at most beyond
what was held before it, from torch's own profiler of allocations, so it does not depend on what else
the process has loaded. TransformerLens comes with ``pip install 'axonal[bench]'``.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import importlib.util
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from axonal.language.models import LanguageModel, load
from axonal.learning.massive import layer_statistics


@dataclass
class Contestant:
    """One way; ``work`` returns the ratios by layer, or None where it takes none."""

    name: str
    work: Callable[[], np.ndarray | None]
    seconds: list[float] = field(default_factory=list)
    memory_mb: float = 0.0


def main(tokens: int = 512, rounds: int = 5) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when the peer is imported
    warnings.simplefilter("ignore")
    language = load("smollm2-135m-instruct")
    ids = _text(language, tokens)
    model: Any = language.model
    print(f"SmolLM2-135M-Instruct, float32, {tokens} tokens, one thread, torch {torch.__version__}")

    def bare() -> None:
        with torch.no_grad():
            model(ids, use_cache=False)

    def headless() -> None:
        with torch.no_grad():
            model.model(ids, use_cache=False)

    contestants = [
        Contestant("bare forward pass", bare),
        Contestant("bare forward pass without unembedding", headless),
        Contestant(
            "axonal layer_statistics", lambda: layer_statistics(model, ids)["ratio"].to_numpy()
        ),
    ]
    lens = _transformer_lens(language)
    if lens is not None:
        contestants += [
            Contestant("TransformerLens, caching everything", lambda: _cached(lens, ids, None)),
            Contestant(
                "TransformerLens, caching residual streams",
                lambda: _cached(lens, ids, lambda name: name.endswith("hook_resid_post")),
            ),
        ]
    _compare(contestants, rounds)


def _compare(contestants: list[Contestant], rounds: int) -> None:
    expected: np.ndarray | None = None
    timed = []
    for one in contestants:
        ratios = one.work()  # also warms up
        if ratios is not None:
            expected = ratios if expected is None else expected
            # The peer runs the model by code of its own, so the last digits differ.
            if not np.allclose(ratios, expected, rtol=1e-2):
                print(f"{one.name} gives other ratios: not timed")
                continue
        one.memory_mb = _peak_memory(one.work)
        timed.append(one)
    for _ in range(rounds):
        for one in timed:
            begun = time.process_time()
            one.work()
            one.seconds.append(time.process_time() - begun)
    print(f"{'':44}{'min s':>8}{'median s':>10}{'x bare':>8}{'peak MB':>10}{'x bare':>8}")
    time_0, memory_0 = min(timed[0].seconds), timed[0].memory_mb
    for one in timed:
        best, middle = min(one.seconds), statistics.median(one.seconds)
        print(
            f"{one.name:44}{best:8.2f}{middle:10.2f}{best / time_0:8.2f}"
            f"{one.memory_mb:10.1f}{one.memory_mb / memory_0:8.2f}"
        )


def _peak_memory(work: Callable[[], Any]) -> float:
    """Return the most that tensors held at once beyond the start, in MB."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        kept = work()
    del kept
    sizes = sorted(
        (event.start_ns(), event.nbytes())
        for event in profiler.profiler.kineto_results.events()  # pyright: ignore
        if event.name() == "[memory]"
    )
    held = np.cumsum([size for _, size in sizes])
    return float(held.max()) / 1e6 if len(held) else 0.0


def _cached(lens: Any, ids: torch.Tensor, chosen: Callable[[str], bool] | None) -> np.ndarray:
    """The statistics as a user of TransformerLens writes them: run with cache, then reduce."""
    with torch.no_grad():
        _, cache = lens.run_with_cache(ids, names_filter=chosen)
    ratios = []
    for block in range(int(lens.cfg.n_layers)):
        size = cache[f"blocks.{block}.hook_resid_post"].abs()
        size.flatten().topk(3)
        ratios.append(float(size.max() / size.median()))
    return np.array(ratios)


def _transformer_lens(language: LanguageModel) -> Any:
    """Return the same weights as TransformerLens holds them, or None where it isn't installed."""
    if importlib.util.find_spec("transformer_lens") is None:
        print("TransformerLens is not installed: pip install 'axonal[bench]'")
        return None
    from transformer_lens.model_bridge import TransformerBridge

    print(f"TransformerLens {importlib.metadata.version('transformer-lens')}")
    return TransformerBridge.boot_transformers(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        hf_model=copy.deepcopy(language.model),
        tokenizer=language.tokenizer,
        device="cpu",
    )


def _text(language: LanguageModel, tokens: int) -> torch.Tensor:
    from pydoc_data.topics import topics

    prose = "\n\n".join(topics[name] for name in sorted(topics))
    encoded: Any = language.tokenizer(prose[: 12 * tokens], return_tensors="pt", verbose=False)
    return encoded["input_ids"][:, :tokens]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    main(**vars(parser.parse_args()))

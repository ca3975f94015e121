"""Ranking atomic units and steering with them, beside the released algorithm, pyvene and blocks.

``python -m benchmarks.atomic_units`` does two pieces of work on SmolLM2-135M-Instruct in one process,
on one thread, every tool in turn, round after round; time is the CPU time of this process. A tool
whose result differs from ours is not timed, and that is said.

- *Ranking*: the scores of all 17,280 attention units from the same contrastive pairs. The released
  algorithm is re-run here from its description: texts one by one, every position of every layer kept
  and rounded to float16, then one Python loop over the units. With pyvene installed its captures are
  made as the released code makes them.
- *A call*: one forward pass of 16 tokens with 100 units steered: by sparse edits, by dense masks at
  every layer as the released model files do, by pyvene interventions; and block-level steering.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from axonal.activations import edit
from axonal.language.atomic_units import (
    ContrastivePairs,
    Momentum,
    Units,
    fold_into_weights,
    measure,
    measure_sites,
    select,
    task,
)
from axonal.language.atomic_units import baselines as rivals
from axonal.language.models import LanguageModel, load

SITE = "attention"


@dataclass
class Contestant:
    """One tool's way to do the work; what it returns is compared with the first one's."""

    name: str
    work: Callable[[], Tensor]
    compared: bool = True
    seconds: list[float] = field(default_factory=list)


def main(pairs: int = 20, rounds: int = 3) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model = load("smollm2-135m-instruct")
    asked = task("sentiment", model.tokenizer, ranking=pairs, validation=1, test=1, seed=0)
    texts = asked.ranking.pairs()
    print(f"SmolLM2-135M-Instruct, float32, one thread, torch {torch.__version__}")
    has_pyvene = importlib.util.find_spec("pyvene") is not None
    if not has_pyvene:
        print("pyvene is not installed: pip install pyvene==0.1.8", file=sys.stderr)
    contestants = [
        Contestant("axonal", lambda: _signed(measure(model, texts, compare_as=torch.float16))),
        Contestant("released algorithm, plain hooks", lambda: _released(model, texts, _hooked)),
    ]
    if has_pyvene:
        name = f"released algorithm, pyvene {importlib.metadata.version('pyvene')}"
        contestants.append(Contestant(name, lambda: _released(model, texts, _captured)))
    _report(f"rank 17,280 units on {pairs} pairs", contestants, rounds, atol=1e-6, odd=1e-3)
    _calls(model, texts, has_pyvene, 20 * rounds)


def _signed(momentum: Momentum) -> Tensor:
    """Score with the sign of the gain, ``(layers, units)``."""
    sign = torch.where(momentum.positive >= momentum.negative, 1, -1)
    return sign * momentum.score


# --- the released algorithm -----------------------------------------------------------------------

Capture = Callable[[Any], tuple[Any, list[list[Tensor]]]]


def _released(model: LanguageModel, pairs: ContrastivePairs, capture: Capture) -> Tensor:
    """Rank as the released code does: a text at a time, then a unit at a time."""
    run, states = capture(model.model)
    sides = []
    for side in (pairs.positive_texts, pairs.negative_texts):
        rows = []
        for text in side:
            ids = model.tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
            with torch.no_grad():
                run(ids["input_ids"])
            kept = torch.stack([torch.stack(layer).to(torch.float16).squeeze() for layer in states])
            for layer in states:
                layer.clear()
            rows.append(kept[:, -1])
        sides.append(torch.stack(rows))
    scores: list[float] = []
    for layer in range(sides[0].shape[1]):
        good, bad = (side[:, layer] for side in sides)
        for unit in range(good.shape[1]):
            momentum = good[:, unit : unit + 1] - bad[:, unit : unit + 1]
            larger, smaller = (momentum > 0).sum(dim=0), (momentum < 0).sum(dim=0)
            share = torch.max(larger, smaller) / len(momentum)
            scores.append(float(-share if larger < smaller else share))
    return torch.tensor(scores, dtype=torch.float64).view(sides[0].shape[1], -1)


def _hooked(module: Any) -> tuple[Any, list[list[Tensor]]]:
    """Capture the inputs of the output projections with plain hooks."""
    states: list[list[Tensor]] = [[] for _ in module.model.layers]
    hooks = [
        layer.self_attn.o_proj.register_forward_pre_hook(
            lambda _, args, kept=kept: kept.append(args[0].detach().clone())
        )
        for layer, kept in zip(module.model.layers, states, strict=True)
    ]
    return _Removing(lambda ids: module(input_ids=ids, output_hidden_states=True), hooks), states


class _Removing:
    """A run whose hooks go with it."""

    def __init__(self, run: Callable[[Tensor], Any], hooks: list[Any]) -> None:
        self._run, self._hooks = run, hooks

    def __call__(self, ids: Tensor) -> None:
        self._run(ids)

    def __del__(self) -> None:
        for hook in self._hooks:
            hook.remove()


def _captured(module: Any) -> tuple[Any, list[list[Tensor]]]:
    """Capture them with pyvene, a component a layer."""
    pyvene: Any = importlib.import_module("pyvene")
    states: list[list[Tensor]] = [[] for _ in module.model.layers]
    config = [
        {
            "component": f"model.layers[{index}].self_attn.o_proj.input",
            "intervention": lambda b, s, kept=kept: (kept.append(b.detach().clone()), b)[1],  # noqa: ARG005
        }
        for index, kept in enumerate(states)
    ]
    collected = _quietly(lambda: pyvene.IntervenableModel(config, module))
    return lambda ids: collected({"input_ids": ids, "output_hidden_states": True}), states


# --- one call -------------------------------------------------------------------------------------


def _calls(model: LanguageModel, pairs: ContrastivePairs, has_pyvene: bool, rounds: int) -> None:
    momenta = measure_sites(model, pairs, [SITE, "layer"])
    units = select(momenta[SITE], 100, 1.0, warn=False)
    folded = LanguageModel(copy.deepcopy(model.model), model.tokenizer, model.name, None)
    fold_into_weights(folded.model, units)
    text = (
        "The history of science is the study of how science and knowledge have developed over time."
    )
    ids = torch.tensor([list(model.tokenizer(text)["input_ids"])[:16]])
    shift = rivals.mean_shift(momenta["layer"], 15, 1.0)
    heads = rivals.head_scaling(momenta[SITE], 16, 1.0)

    def call(module: Any, edits: Any = None) -> Callable[[], Tensor]:
        def work() -> Tensor:
            with torch.no_grad(), edit(module, edits) if edits else nullcontext():
                return module(input_ids=ids, use_cache=False).logits

        return work

    bare = Contestant("bare model", call(model.model), compared=False)
    contestants = [
        Contestant("axonal, 100 units", call(model.model, units.edits(model.model))),
        Contestant("axonal, 100 units in the weights", call(folded.model)),
        Contestant("dense masks at every layer", _masked(model.model, units, ids)),
    ]
    if has_pyvene:
        name = f"pyvene {importlib.metadata.version('pyvene')}, 100 units"
        contestants.append(Contestant(name, _intervened(model.model, units, ids)))
    contestants += [
        Contestant(
            "axonal, mean shift of a layer", call(model.model, shift.edits(model.model)), False
        ),
        Contestant("axonal, 16 heads scaled", call(model.model, heads.edits(model.model)), False),
    ]
    title = "one pass over 16 tokens, 100 units steered"
    _report(title, [contestants[0], bare, *contestants[1:]], rounds, atol=1e-2, relative_to=1)


def _masked(module: Any, units: Units, ids: Tensor) -> Callable[[], Tensor]:
    """Multiply every layer by a dense mask of gains, as the released model files do."""
    masks = torch.zeros(len(module.model.layers), units.width)
    masks[units.layer, units.unit] = units.gain.float()

    def work() -> Tensor:
        with ExitStack() as stack, torch.no_grad():
            for layer, mask in zip(module.model.layers, masks, strict=True):
                hook = layer.self_attn.o_proj.register_forward_pre_hook(
                    lambda _, args, mask=mask: (args[0] + args[0] * mask,)
                )
                stack.callback(hook.remove)
            return module(input_ids=ids, use_cache=False).logits

    return work


def _intervened(module: Any, units: Units, ids: Tensor) -> Callable[[], Tensor]:
    """Scale by pyvene interventions at the layers that have units."""
    pyvene: Any = importlib.import_module("pyvene")
    config = []
    for layer in units.layer.unique().tolist():
        factor = torch.ones(units.width)
        rows = units.layer == layer
        factor[units.unit[rows]] = 1 + units.gain[rows].float()
        config.append(
            {
                "component": f"model.layers[{layer}].self_attn.o_proj.input",
                "intervention": lambda b, s, factor=factor: b * factor,  # noqa: ARG005
            }
        )
    steered = _quietly(lambda: pyvene.IntervenableModel(config, copy.deepcopy(module)))

    def work() -> Tensor:
        with torch.no_grad():
            return steered({"input_ids": ids, "use_cache": False})[1].logits

    return work


def _quietly(make: Callable[[], Any]) -> Any:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return make()


def _report(
    title: str,
    contestants: list[Contestant],
    rounds: int,
    *,
    atol: float,
    odd: float = 0.0,
    relative_to: int = 0,
) -> None:
    """Run the contestants in turn; print times and ratios to one of them.

    Up to a part ``odd`` of the numbers may differ: a batch rounds otherwise than single texts, and a
    difference of nearly zero then changes its sign.
    """
    print(f"\n{title}")
    expected = contestants[0].work()
    timed = [contestants[0]]
    for one in contestants[1:]:
        if not one.compared:
            timed.append(one)
            continue
        result = one.work()
        apart = int(((result - expected.to(result)).abs() > atol).sum())
        if apart > odd * result.numel():
            print(f"  {one.name:42}gives another result: not timed")
            continue
        if apart:
            print(f"  {one.name:42}{apart} of {result.numel():,} numbers differ")
        timed.append(one)
    for _ in range(rounds):
        for one in timed:
            start = time.process_time()
            one.work()
            one.seconds.append(time.process_time() - start)
    base = contestants[relative_to]
    print(f"  {'':42}{'min ms':>10}{'median ms':>11}{'ratio of min':>14}")
    for one in timed:
        best, middle = min(one.seconds), statistics.median(one.seconds)
        ratio = best / min(base.seconds)
        print(f"  {one.name:42}{1e3 * best:10.1f}{1e3 * middle:11.1f}{ratio:14.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))

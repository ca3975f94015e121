"""What the study measures: agreement with exact patching, circuits, conservation, cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from axonal.activations import Sites
from axonal.language.models import LanguageModel, load
from axonal.language.prompts import PromptPairs
from axonal.language.relevance import (
    accuracy,
    activation_patching,
    attribution_patching,
    conservation_error,
    input_integrated_gradients,
    integrated_gradients,
    propagation_rules,
    relevance,
    relevance_patching,
)
from axonal.language.relevance.circuits import MeanAblation, top_circuit, unit_scores
from axonal.language.relevance.scores import MEASURES, agreement
from axonal.language.tasks import IOI_TEMPLATES, ioi, sva

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.relevance_patching.study import Config

KINDS = {"residual_pre": "residual", "attention": "attention", "mlp": "mlp"}
"""The components that are patched, and how measurements call them."""

RULES = {
    "attribution": "none",
    "relevance": "relp",
    "norm rule only": "ln",
    "activation and gate rules": "identity+half",
    "with attention rule": "conservative",
    "AttnLRP": "attnlrp",
}
"""The estimates of one backward pass, and their propagation rules."""

INPUT_IG, NODE_IG = "integrated gradients of the input", "integrated gradients of each layer"
CIRCUIT_METHODS = ("relevance", "attribution", INPUT_IG, NODE_IG, "random")
STRUCTURES = ("prepositional", "relative")


def warm_up(model: LanguageModel, layers: Sequence[int]) -> None:
    """Run once before anything is timed."""
    attribution_patching(model, ioi(model.tokenizer, 1, seed=0), layers=layers or None)


def ioi_batch(model: LanguageModel, config: Config, session: Session, index: int) -> xr.Dataset:
    """Patch one batch of IOI prompts exactly and by every method."""
    pairs = ioi(
        model.tokenizer,
        config.pairs,
        seed=session.seed_for(f"ioi {index}"),
        template=index % len(IOI_TEMPLATES),
    ).both_ways()
    layers = config.layers or None
    estimates: dict[str, Callable[[], xr.Dataset]] = {
        name: lambda rules=rules: relevance_patching(model, pairs, rules=rules, layers=layers)
        for name, rules in RULES.items()
        if config.ablations or name in ("attribution", "relevance")
    }
    estimates[INPUT_IG] = lambda: input_integrated_gradients(
        model, pairs, steps=config.steps, layers=layers
    )
    estimates[NODE_IG] = lambda: integrated_gradients(
        model, pairs, steps=config.steps, kinds=["mlp"], layers=layers
    )
    return _agreement(model, pairs, estimates, config, session, f"IOI batch {index + 1}")


def sva_batch(model: LanguageModel, config: Config, session: Session, index: int) -> xr.Dataset:
    """Patch one batch of agreement prompts exactly, by gradients and by relevance."""
    pairs = sva(
        model.tokenizer,
        config.agreement_pairs,
        seed=session.seed_for(f"sva {index}"),
        structure=STRUCTURES[index % 2],
    )
    estimates: dict[str, Callable[[], xr.Dataset]] = {
        name: lambda rules=RULES[name]: relevance_patching(
            model, pairs, rules=rules, layers=config.layers or None
        )
        for name in ("attribution", "relevance")
    }
    return _agreement(model, pairs, estimates, config, session, f"agreement batch {index + 1}")


def family(name: str, config: Config, session: Session) -> xr.Dataset:
    """Measure the gain of relevance over attribution patching in another model."""
    model = load(name, device=config.device)
    batches = []
    for index in range(config.batches):
        seed = session.seed_for(f"family {index}")
        template = index % len(IOI_TEMPLATES)
        pairs = ioi(model.tokenizer, config.pairs, seed=seed, template=template).both_ways()
        estimates: dict[str, Callable[[], xr.Dataset]] = {
            method: lambda rules=RULES[method], pairs=pairs: relevance_patching(
                model, pairs, rules=rules
            )
            for method in ("attribution", "relevance")
        }
        batches.append(_agreement(model, pairs, estimates, config, session, f"{name}, {index + 1}"))
    return xr.concat([batch["agreement"] for batch in batches], "batch").to_dataset()


def circuit(model: LanguageModel, config: Config, session: Session, index: int) -> xr.Dataset:
    """Find circuits of heads and neurons by every method, and test them on fresh prompts."""
    structure = STRUCTURES[index % 2]
    found, test = (
        sva(model.tokenizer, count, seed=session.seed_for(f"{what} {index}"), structure=structure)
        for what, count in (("found", config.circuit_pairs), ("test", config.circuit_tests))
    )
    options: dict[str, Any] = {
        "kinds": ["heads", "neurons"],
        "direction": "noising",
        "layers": config.layers or None,
    }
    finders: dict[str, Callable[[], xr.Dataset]] = {
        "relevance": lambda: relevance_patching(model, found, **options),
        "attribution": lambda: attribution_patching(model, found, **options),
        INPUT_IG: lambda: input_integrated_gradients(model, found, steps=config.steps, **options),
        NODE_IG: lambda: integrated_gradients(model, found, steps=config.steps, **options),
    }
    ablation = MeanAblation(model, test)
    shape = (len(CIRCUIT_METHODS), len(config.circuit_sizes))
    faithful, left = np.zeros(shape), np.zeros(shape)
    work = np.zeros(len(CIRCUIT_METHODS))
    rng = session.rng(f"random circuit {index}")
    with session.progress(f"circuits {index + 1}", len(CIRCUIT_METHODS)) as advance:
        for row, method in enumerate(CIRCUIT_METHODS):
            if method == "random":
                heads, neurons = (rng.random(size) for size in ablation.shapes)
            else:
                with _counted(model) as counts:
                    scores = finders[method]()
                work[row] = sum(counts.values()) / found.clean.numel()
                heads, neurons = (np.zeros(size) for size in ablation.shapes)
                heads[scores["layer"]], neurons[scores["layer"]] = unit_scores(scores)
            for column, size in enumerate(config.circuit_sizes):
                chosen = top_circuit(heads, neurons, size)
                faithful[row, column] = ablation.faithfulness(chosen)
                left[row, column] = ablation.completeness(chosen)
            advance()
    return xr.Dataset(
        {
            "faithfulness": (("estimator", "size"), faithful),
            "completeness": (("estimator", "size"), left),
            "work": ("estimator", work),
        },
        coords={"estimator": list(CIRCUIT_METHODS), "size": list(config.circuit_sizes)},
    )


def rules(model: LanguageModel, config: Config, session: Session) -> xr.Dataset:
    """Sum relevance layer by layer, compare forward passes, count passes."""
    pairs = ioi(model.tokenizer, config.pairs, seed=session.seed_for("rules")).both_ways()
    presets = ("conservative", "relp", "none")
    results = [relevance(model, pairs, rules=preset) for preset in presets]
    sums = [result["relevance"].sum(("pair", "position")) for result in results]
    biases = [result["biases"] for result in results]
    total = float(results[0]["metric"].sum())
    with torch.no_grad():
        plain = model.model(pairs.clean.to(model.device)).logits
        with propagation_rules(model, "conservative"):
            ruled = model.model(pairs.clean.to(model.device)).logits
    with _counted(model) as passes:
        relevance_patching(model, pairs)
    through_all = pairs.clean.numel() * len(sums[0][1:])
    return xr.Dataset(
        {
            "share": (("preset", "layer"), np.stack(sums) / total),
            "biases": (("preset", "layer"), np.stack(biases) / total),
            "conservation_error": float(conservation_error(results[0]).max()),
            "forward_difference": float((plain - ruled).abs().max()),
            "forward_passes": passes["forward"] / through_all,
            "backward_passes": passes["backward"] / through_all,
            "time_ratio": ("repeat", _time_ratios(model, pairs, repeats=config.batches)),
        },
        coords={"preset": list(presets), "layer": range(len(sums[0]))},
    )


def _agreement(
    model: LanguageModel,
    pairs: PromptPairs,
    estimates: dict[str, Callable[[], xr.Dataset]],
    config: Config,
    session: Session,
    label: str,
) -> xr.Dataset:
    """Compare estimates with exact patching of the same pairs, averaged over the batch."""
    results: dict[str, xr.Dataset] = {}
    seconds: dict[str, float] = {}
    with session.progress(label, len(pairs) + len(estimates)) as advance:
        for name, estimate in estimates.items():
            results[name], seconds[name] = _timed(estimate)
            advance()
        exact, exact_seconds = _timed(
            lambda: activation_patching(
                model, pairs, layers=config.layers or None, progress=advance
            )
        )
    truth = exact.mean("pair")
    values = np.full((len(results), len(KINDS), len(MEASURES)), np.nan)
    for row, result in enumerate(results.values()):
        for column, kind in enumerate(KINDS):
            if kind in result:
                means = (truth[kind].to_numpy(), result[kind].mean("pair").to_numpy())
                measured = agreement(*(mean.reshape(1, -1) for mean in means))
                values[row, column] = [measured[measure][0] for measure in MEASURES]
    preferred, predicted = accuracy(model, pairs)
    shown = {"exact": exact, **{n: results[n] for n in ("attribution", "relevance")}}
    maps = [[shown[n][kind].mean("pair").to_numpy() for kind in KINDS] for n in shown]
    return xr.Dataset(
        {
            "agreement": (("estimator", "kind", "measure"), values),
            "seconds": ("estimator", list(seconds.values())),
            "exact_seconds": exact_seconds,
            "maps": (("shown", "kind", "layer", "position"), np.array(maps)),
            "preferred": float(preferred.float().mean()),
            "predicted": float(predicted.float().mean()),
        },
        coords={
            "estimator": list(results),
            "kind": list(KINDS),
            "measure": list(MEASURES),
            "shown": list(shown),
            "layer": exact["layer"].to_numpy(),
            "token": ("position", list(pairs.tokens)),
        },
        attrs={"prompts": len(pairs)},
    )


def _timed(work: Callable[[], xr.Dataset]) -> tuple[xr.Dataset, float]:
    """Return a result and the CPU time it took, which other work on the machine hardly changes."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def _time_ratios(model: LanguageModel, pairs: PromptPairs, repeats: int) -> np.ndarray:
    """Return the CPU time of relevance over that of attribution patching, each the best of three.

    On one thread: several wait for each other busily, and a loaded machine would show as work.
    """
    one = pairs[:1]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ratios = []
        for _ in range(repeats):
            rounds = [
                (
                    _timed(lambda: relevance_patching(model, one))[1],
                    _timed(lambda: attribution_patching(model, one))[1],
                )
                for _ in range(3)
            ]
            ruled, gradient = (min(seconds) for seconds in zip(*rounds, strict=True))
            ratios.append(ruled / gradient)
    finally:
        torch.set_num_threads(threads)
    return np.array(ratios)


@contextmanager
def _counted(model: LanguageModel) -> Iterator[dict[str, int]]:
    """Count the tokens that pass each block forward, and backward: the work of a method."""
    counts = {"forward": 0, "backward": 0}
    sites = Sites.of(model.model)

    def count(states: torch.Tensor) -> torch.Tensor:
        tokens = states.shape[0] * states.shape[1]
        counts["forward"] += tokens
        if torch.is_grad_enabled():
            counts["backward"] += tokens
        return states

    with ExitStack() as stack:
        for block in range(sites.blocks):
            stack.callback(sites.residual(block).attach(model.model, count).remove)
        yield counts

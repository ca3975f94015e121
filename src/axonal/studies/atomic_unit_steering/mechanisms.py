"""Single units beside their block, the token laws of units, and what steering costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from axonal.activations import ScaleUnits, edit
from axonal.language.atomic_units import (
    KeptRun,
    fold_into_weights,
    measure_sites,
    select,
    single_unit_sweep,
    token_laws,
    unit_site,
)
from axonal.language.atomic_units import baselines as b
from axonal.language.atomic_units.ranking import ranking
from axonal.language.atomic_units.token_law import STRENGTHS
from axonal.language.models import LanguageModel
from axonal.studies.atomic_unit_steering.measures import questions_of
from axonal.studies.atomic_unit_steering.rivals import steered

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.atomic_unit_steering.study import Config

COMBINED, DETRIMENTAL = 4, 2


def one_block(model: LanguageModel, config: Config, session: Session) -> xr.Dataset:
    """Steer each unit of one head alone, the helpful ones together, harmful ones mixed in.

    The head is the one that a head shift ranks first. Gains and units are chosen on validation
    questions, and reported on test questions.
    """
    asked = questions_of(config.tasks[0], model, config, session)
    momentum = measure_sites(model, asked.ranking.pairs(), ["attention"])["attention"]
    first = b.head_shift(momentum, 1, 1.0).vectors.nonzero()[0].tolist()
    size = momentum.width // (momentum.heads or 1)
    layer, head = first[0], first[1] // size
    members = list(range(head * size, (head + 1) * size))[: config.head_units]
    validation = KeptRun(model, asked.validation.choices(model.tokenizer))
    test = asked.test.choices(model.tokenizer)
    rows = np.array_split(np.arange(len(test)), config.repeats)
    parts = [KeptRun(model, test[r.tolist()]) for r in rows]
    with session.progress("units of one head", len(members)) as advance:
        swept = single_unit_sweep(
            validation,
            "attention",
            [(layer, u) for u in members],
            config.head_gains,
            progress=advance,
        )
    joint, gains = _joint(swept), np.asarray(config.head_gains)
    best_first = np.argsort(-joint.max(axis=1), kind="stable")[:COMBINED]
    worst_first = np.argsort(joint.min(axis=1), kind="stable")
    worst_first = [u for u in worst_first if u not in best_first][:DETRIMENTAL]
    helpful = [(members[u], float(gains[joint[u].argmax()])) for u in best_first]
    harmful = [(members[u], float(gains[joint[u].argmin()])) for u in worst_first]

    def scaled(chosen: Sequence[tuple[int, float]]) -> dict[Any, Any]:
        units = [u for u, _ in chosen]
        place = unit_site(model.model, "attention", layer)
        return {place: ScaleUnits(units, torch.tensor([g for _, g in chosen]))}

    shifts = [b.one_head(momentum, layer, head, scale) for scale in config.head_scales]
    shift = max(shifts, key=lambda s: _key(steered(validation, s)))
    whole = [
        [(u, alpha) for u in range(head * size, (head + 1) * size)] for alpha in config.head_alphas
    ]
    block = max(whole, key=lambda chosen: _key(validation.gaps(scaled(chosen))))
    ways = {
        "best unit": scaled(helpful[:1]),
        "best units together": scaled(helpful),
        "with harmful units": scaled([*helpful, *harmful]),
        "whole head scaled": scaled(block),
        "whole head shifted": shift.edits(model.model),
    }
    results = [np.array([[_key(r.base)[i] for r in parts] for i in (0, 1)])]
    for edits in ways.values():
        gaps = [_key(r.gaps(edits)) for r in parts]
        results.append(np.array(gaps).T)
    return xr.Dataset(
        {
            "sweep": (("unit", "gain"), swept["accuracy"].to_numpy()),
            "sweep_gap": (("unit", "gain"), swept["gap"].to_numpy()),
            "test": (("way", "measure", "resample"), np.stack(results)),
        },
        coords={
            "unit": members,
            "gain": list(config.head_gains),
            "way": ["unsteered", *ways],
            "measure": ["accuracy", "gap"],
        },
        attrs={
            "task": asked.name,
            "layer": layer,
            "head": head,
            "base_accuracy": swept.attrs["base_accuracy"],
            "helpful": str(helpful),
            "harmful": str(harmful),
        },
    )


def laws(model: LanguageModel, config: Config, session: Session) -> xr.Dataset:
    """Follow the next-token laws of a panel of units as they are scaled up."""
    asked = questions_of(config.tasks[0], model, config, session)
    momentum = measure_sites(model, asked.ranking.pairs()[:20], ["attention"])["attention"]
    depth = momentum.layers
    rng = session.rng("panel")
    groups = []
    for _ in range(config.law_groups):
        layers = rng.choice(np.arange(depth // 3, depth), config.law_units, replace=False)
        units = rng.integers(momentum.width, size=config.law_units)
        groups.append([(int(layer), int(u)) for layer, u in zip(layers, units, strict=True)])
    prompts = asked.test.prompts[: config.law_prompts]
    own, across, strengths = [], [], STRENGTHS
    with session.progress("token laws", len(groups)) as advance:
        for group in groups:
            found = token_laws(model, prompts, "attention", group, strengths)
            own.append(found.self_divergence().numpy())
            across.append(found.cross_divergence().numpy())
            advance()
    return xr.Dataset(
        {
            "own": (("group", "unit", "strength"), np.stack(own)),
            "across": (("group", "pair", "strength"), np.stack(across)),
        },
        coords={"strength": list(strengths)},
    )


def cost(model: LanguageModel, config: Config, session: Session) -> xr.Dataset:
    """Time a call of the model bare, steered and folded, and the ranking; check the fold."""
    import copy

    asked = questions_of(config.tasks[0], model, config, session)
    pairs = asked.ranking.pairs()[:20]
    start = time.process_time()
    momenta = measure_sites(model, pairs, ["attention", "layer"])
    seconds = (time.process_time() - start) / len(pairs)
    momentum = momenta["attention"]
    units = select(momentum, min(100, int((momentum.score > 0).sum())), 1.0, warn=False)
    folded = LanguageModel(copy.deepcopy(model.model), model.tokenizer, model.name, None)
    fold_into_weights(folded.model, units)
    ids = torch.tensor([list(model.tokenizer(" ".join(asked.test.prompts[:3]))["input_ids"])])
    shift = b.mean_shift(momenta["layer"], momentum.layers // 2, 1.0)
    runs: dict[str, tuple[Any, Callable[[], Any]]] = {
        "bare": (model.model, nullcontext),
        "steered": (model.model, lambda: edit(model.model, units.edits(model.model))),
        "folded": (folded.model, nullcontext),
        "mean shift": (model.model, lambda: edit(model.model, shift.edits(model.model))),
    }
    logits = {}
    times = np.full((len(runs), config.repeats), np.inf)
    with torch.no_grad():
        for repeat in range(config.repeats):
            for _ in range(config.cost_rounds):
                for row, (name, (module, context)) in enumerate(runs.items()):
                    with context():
                        begin = time.process_time()
                        logits[name] = module(input_ids=ids, use_cache=False).logits
                        times[row, repeat] = min(times[row, repeat], time.process_time() - begin)
    order = ranking(momentum.score)[: len(units)]
    return xr.Dataset(
        {
            "times": (("run", "repeat"), times),
            "pair_seconds": seconds,
            "fold_difference": float((logits["folded"] - logits["steered"]).abs().max()),
            "units": len(order),
        },
        coords={"run": list(runs)},
    )


def _joint(swept: xr.Dataset) -> np.ndarray:
    """Accuracy, and between equals the gap: ``(units, gains)``."""
    gap = swept["gap"].to_numpy()
    return swept["accuracy"].to_numpy() + 1e-6 * np.tanh(gap)


def _key(gaps: torch.Tensor) -> tuple[float, float]:
    from axonal.language.atomic_units import accuracy

    return accuracy(gaps), float(gaps.mean())

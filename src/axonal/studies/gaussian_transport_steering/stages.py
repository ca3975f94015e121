"""The stages of a run, each computed once and kept: known laws, toys, organism, sentiment."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import xarray as xr

from axonal.language.models import LanguageModel, load
from axonal.language.steering import NeutralTexts, neutral_texts
from axonal.studies.gaussian_transport_steering import pools, toy
from axonal.studies.gaussian_transport_steering.comparison import Bench, Case, sweep
from axonal.studies.gaussian_transport_steering.exact import known_laws
from axonal.studies.gaussian_transport_steering.last_token import Gap
from axonal.studies.gaussian_transport_steering.model import case_of, examine, leaders
from axonal.studies.gaussian_transport_steering.reverse import (
    later,
    monitor,
    restore,
    strengthen,
)
from axonal.studies.gaussian_transport_steering.selection import Chooser
from axonal.studies.gaussian_transport_steering.writing import written

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.gaussian_transport_steering.study import Config

MIDDLE, LATE = 0.5, 0.9
"""Depths at which a steered model writes."""


def laws(config: Config, session: Session) -> xr.Dataset:
    """Known laws."""
    generator = session.torch_generator("laws")
    return known_laws(config.exact_width, config.exact_rows, config.exact_seeds, generator)


def toy_organism(config: Config, session: Session, number: int) -> xr.Dataset:
    """One toy, trained and examined."""
    model, grammar, accuracy = toy.grow(session.seed_for(f"toy {number}"), steps=config.toy_steps)
    trial = examine(toy.case_of(model, grammar, config), config)
    return trial.found.assign(accuracy=accuracy)


def organism(config: Config, session: Session, number: int) -> xr.Dataset:
    """One resample of prompts on the organism."""
    rng = session.rng(f"prompts {number}")
    drawn = pools.draw(config, number, rng)
    model = _load(config.organism, config.device)
    base = None if config.base is None else _load(config.base, config.device)
    weaker = None
    if config.weaker is not None:
        weaker = _load(config.organism, config.device, config.weaker)
    texts = neutral_texts()
    if config.neutral_texts:
        with open(config.neutral_texts, encoding="utf-8") as file:
            texts = [line.strip() for line in file if line.strip()]
    neutral = NeutralTexts(model, texts[: config.neutral_count])
    trial = examine(case_of(model, config, drawn, base), config, neutral)
    blocks, depth = trial.bench.case.blocks, trial.bench.depth
    places = {
        "middle": min(blocks, key=lambda b: abs((b + 1) / depth - MIDDLE)),
        "late": min(blocks, key=lambda b: abs((b + 1) / depth - LATE)),
        "chosen": trial.best.block,
    }
    parts: list[xr.Dataset] = [
        trial.found,
        restore(trial, later(blocks, trial.best.block, depth)),
        strengthen(trial, weaker),
        monitor(trial, session.rng(f"windows {number}")),
        written(trial, places, config.written_prompts, config.written_tokens),
        _law(trial.bench, trial.best.block, max(config.components)),
    ]
    return xr.merge(parts)


def sentiment(config: Config, session: Session, number: int) -> xr.Dataset:
    """One resample of film reviews on the untaught model: a second behaviour."""
    drawn = pools.reviews(config, session.rng(f"reviews {number}"))
    model = _load(config.base or config.organism, config.device)
    tokenizer: Any = model.tokenizer
    words = [
        tokenizer(w, add_special_tokens=False)["input_ids"][0] for w in (" negative", " positive")
    ]
    groups = {
        "validation": drawn.validation,
        "source": drawn.test_source,
        "target": drawn.test_target,
    }
    case = Case(
        model,
        Gap(*words),
        drawn.source.encode(tokenizer),
        drawn.target.encode(tokenizer),
        {name: prompts.encode(tokenizer) for name, prompts in groups.items()},
        config.blocks_of(model.model.config.num_hidden_layers),
        config.components[:2] if len(config.components) > 2 else config.components,
    )
    bench = Bench(case, every_block=False)
    transport = leaders(case.components)["transport"]
    found = sweep(bench, ["directional ablation", "mean shift", *transport])
    best = Chooser(bench, found, None).best(transport)
    return found.assign(best_map=best.name, best_depth=(best.block + 1) / bench.depth)


def _law(bench: Bench, block: int, components: int) -> xr.Dataset:
    """What the laws at a block differ in, and the two populations in the plane, to be drawn."""
    from axonal.transport import GaussianTransport

    fitted = bench.fit(GaussianTransport(components, basis="mean_difference"), block)
    found = fitted.report_  # pyright: ignore[reportAttributeAccessIssue]
    plane = bench.fit(GaussianTransport(2, basis="mean_difference"), block)
    axes, center = plane.map_.basis, plane.map_.center
    x = bench.held_out.activations[block]
    rows = {
        "source": x[bench.slices["source"]],
        "target": x[bench.slices["target"]],
        "transported": plane.transform(x[bench.slices["source"]]),
    }
    return xr.Dataset(
        {
            "covariance_share": 1 - found.mean_distance**2 / found.distance**2,
            "stretches": ("axis", list(found.stretches)),
            **{
                f"plane_{name}": (
                    (f"{name}_row", "plane_axis"),
                    ((r.double() - center) @ axes).numpy(),
                )
                for name, r in rows.items()
            },
        }
    )


@cache
def _load(name: str, device: str, strength: float = 1.0) -> LanguageModel:
    return load(name, device=device, adapter_strength=strength)

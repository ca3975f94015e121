"""What is measured of one task: rankings, tuning on validation, the report on test questions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.errors import InputError
from axonal.language.atomic_units import (
    ContrastivePairs,
    KeptRun,
    Questions,
    Task,
    accuracy,
    expected_best_score,
    first_token_movement,
    gain_effects,
    measure_sites,
    select,
    task,
)
from axonal.language.atomic_units import baselines as b
from axonal.language.atomic_units.questions import TASKS
from axonal.language.atomic_units.ranking import ranking
from axonal.language.models import LanguageModel
from axonal.language.steering import NeutralTexts, neutral_texts
from axonal.statistics import spearman
from axonal.studies.atomic_unit_steering.rivals import (
    Momenta,
    ablations,
    at_sites,
    blocks,
    mean_over,
    tune,
)

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.atomic_unit_steering.study import Config

CHUNK = 10  # pairs whose counts are kept together; a resample of pairs is a draw of chunks
TOP = 100


def questions_of(name: str, model: LanguageModel, config: Config, session: Session) -> Task:
    """Return a task by its name, or from the user's file of JSON lines."""
    counts = {"ranking": config.ranking, "validation": config.validation, "test": config.test}
    if name in TASKS:
        return task(name, model.tokenizer, **counts, seed=session.seed_for(name))
    found = Questions.read(name)
    if len(found) < sum(counts.values()):
        raise InputError(
            f"{name} has {len(found)} questions, but ranking, validation and test take "
            f"{' + '.join(map(str, counts.values()))}: set smaller numbers."
        )
    order = session.rng(name).permutation(len(found)).tolist()
    parts, start = [], 0
    for count in counts.values():
        parts.append(found[order[start : start + count]])
        start += count
    return Task(Path(name).stem, *parts)


def measure_task(name: str, model: LanguageModel, config: Config, session: Session) -> xr.Dataset:
    """Measure everything of one task."""
    asked = questions_of(name, model, config, session)
    rng = session.rng(f"resamples {asked.name}")
    sites = list(dict.fromkeys([*config.sites, "attention", "layer"]))
    with session.progress(f"{asked.name}: ranking", config.ranking) as advance:
        chunks = _chunks(model, asked.ranking.pairs(), sites, advance)
    every = _sum(chunks)
    resampled = [_sum([chunks[i] for i in _draw(rng, len(chunks))]) for _ in range(config.repeats)]
    validation = KeptRun(model, asked.validation.choices(model.tokenizer))
    test = asked.test.choices(model.tokenizer)
    parts = [
        KeptRun(model, test[rows.tolist()])
        for rows in np.array_split(np.arange(len(test)), config.repeats)
    ]

    found: dict[str, Any] = {}
    unit_rivals = at_sites(config)
    depth = every["attention"].layers
    block_rivals = blocks(config, depth)
    points = sum(len(r.settings) for r in (*unit_rivals, *block_rivals))
    points += 5 * len(config.alpha) + 2 * len(config.alpha_everywhere) + 2
    with session.progress(f"{asked.name}: tuning", points) as advance:
        tuned, grids = {}, []
        for rival in unit_rivals:
            tuned[rival.name], right, gap = tune(rival, every, validation, advance)
            grids.append(np.stack([right, gap]).reshape(2, len(config.k), len(config.alpha)))
        grid = np.stack(grids)
        best = max(range(len(unit_rivals)), key=lambda i: (grid[i, 0].max(), grid[i, 1].max()))
        site, setting = config.sites[best], tuned[unit_rivals[best].name]
        questions = asked.ranking[: config.effect_questions].choices(model.tokenizer)
        effects = gain_effects(model, questions, site)
        others = [*ablations(config, site, setting, effects), *block_rivals]
        reached = {}
        for rival in others:
            tuned[rival.name], right, _ = tune(rival, every, validation, advance)
            reached[rival.name] = right.max()

    rivals = [*unit_rivals, *others]
    curve = [u for u in config.unit_numbers if u <= every[site].score.numel()]
    with session.progress(f"{asked.name}: test", len(rivals) + len(curve) + 8) as advance:
        results, counted, names = [], [], []
        base = np.array([[accuracy(r.base) for r in parts], [float(r.base.mean()) for r in parts]])
        names.append("unsteered")
        results.append(base)
        counted.append(0)
        for rival in rivals:
            steerings = [rival.make(momenta, tuned[rival.name]) for momenta in resampled]
            names.append(rival.name)
            results.append(mean_over(parts, steerings))
            counted.append(len(steerings[0]))
            advance()
        k, alpha = int(setting[0]), setting[1]
        draws = [
            mean_over(parts, [b.random_units(m[site], k, alpha, rng) for m in resampled])
            for _ in range(config.random_draws)
        ]
        names.append("random units")
        results.append(np.mean(draws, axis=0))
        counted.append(k)
        advance()
        for label, steerings in _restoring(resampled, site, k, alpha).items():
            names.append(label)
            results.append(np.array(_chained(parts, steerings)))
            counted.append(k)
            advance()
        found["by_units"] = (
            ("number", "resample"),
            np.stack(
                [_with_number(n, site, alpha, resampled, parts, base, advance) for n in curve]
            ),
        )
        found["by_pairs"] = (
            ("pairs", "resample"),
            np.stack(
                [_with_pairs(n, chunks, site, k, alpha, parts, rng) for n in config.pair_numbers]
            ),
        )
    equal = _units_for(grid[:, 0], config, max(reached[r.name] for r in block_rivals))
    kept = KeptRun(model, asked.validation[: config.effect_questions].choices(model.tokenizer))
    found |= _effects(every, site, effects, resampled, kept, config, session.rng(f"sample {name}"))
    found |= _harm(model, every, site, setting, tuned, block_rivals, config)
    top = {s: select(every[s], min(TOP, _usable(every[s])), 1.0, warn=False) for s in config.sites}
    found |= {
        "grid": (("site", "measure", "k", "alpha"), grid),
        "test": (("condition", "measure", "resample"), np.stack(results)),
        "units": ("condition", counted),
        "depth": (
            ("site", "layer"),
            [np.bincount(top[s].layer.numpy(), minlength=depth) for s in config.sites],
        ),
        "score": (("layer", "unit"), every["attention"].score.numpy()),
        "top_attention": (
            ("resample", "rank"),
            np.stack([_top(m["attention"]) for m in resampled]),
        ),
        "validation_base": accuracy(validation.base),
        "best_score": float(every[site].score.max()),
        "chance_score": expected_best_score(config.ranking, every[site].score.numel()),
        "equal_effect_units": float(equal),
        "first_token": ("layer", _first_token(model, every, site, k, alpha, asked)),
    }
    return xr.Dataset(
        found,
        coords={
            "site": list(config.sites),
            "measure": ["accuracy", "gap"],
            "k": list(config.k),
            "alpha": list(config.alpha),
            "condition": names,
            "number": curve,
            "pairs": list(config.pair_numbers),
        },
        attrs={
            "task": asked.name,
            "chosen_site": site,
            "chosen_k": k,
            "chosen_alpha": alpha,
            "settings": "; ".join(f"{n}: {tuple(map(float, s))}" for n, s in tuned.items()),
        },
    )


def _chunks(
    model: LanguageModel, pairs: ContrastivePairs, sites: list[Any], advance: Callable[..., None]
) -> list[Momenta]:
    found = []
    for start in range(0, len(pairs), CHUNK):
        found.append(measure_sites(model, pairs[start : start + CHUNK], sites, batch_size=CHUNK))
        advance(CHUNK)
    return found


def _sum(chunks: Sequence[Momenta]) -> Momenta:
    total = dict(chunks[0])
    for chunk in chunks[1:]:
        total = {site: total[site] + chunk[site] for site in total}
    return total


def _draw(rng: np.random.Generator, count: int) -> list[int]:
    """Draw three quarters of the chunks."""
    return rng.permutation(count)[: max(1, (3 * count) // 4)].tolist()


def _top(momentum: Any) -> np.ndarray:
    return ranking(momentum.score)[:TOP].numpy()


def _usable(momentum: Any) -> int:
    return int((momentum.score > 0).sum())


def _restoring(resampled: Sequence[Momenta], site: Any, k: int, alpha: float) -> dict[str, Any]:
    """Return edits that weaken the behaviour, restore it from there, and strengthen it."""
    units = [select(m[site], k, alpha, warn=False) for m in resampled]
    back = [u.reversed() for u in units]
    return {
        "reversed": [[u] for u in back],
        "reversed, restored": [[u, _inverse(u)] for u in back],
        "doubled": [[u.scaled(2.0)] for u in units],
    }


def _inverse(units: Any) -> Any:
    """Return the gains that undo others; a unit that was silenced stays so."""
    return units[(units.gain != -1).nonzero().flatten().tolist()].inverse()


def _chained(parts: Sequence[KeptRun], steerings: Sequence[list[Any]]) -> list[list[float]]:
    gaps = []
    for kept, chain in zip(parts, steerings, strict=True):
        model = kept.language_model.model
        edits: dict[Any, list[Any]] = {}
        for units in chain:
            for place, edit in units.edits(model).items():
                edits.setdefault(place, []).append(edit)
        gaps.append(kept.gaps(edits))
    return [[accuracy(g) for g in gaps], [float(g.mean()) for g in gaps]]


def _with_number(
    number: int,
    site: Any,
    alpha: float,
    resampled: Sequence[Momenta],
    parts: Sequence[KeptRun],
    base: np.ndarray,
    advance: Callable[[], None],
) -> np.ndarray:
    advance()
    if number == 0:
        return base[0]
    units = [select(m[site], min(number, _usable(m[site])), alpha, warn=False) for m in resampled]
    return mean_over(parts, units)[0]


def _with_pairs(
    number: int,
    chunks: Sequence[Momenta],
    site: Any,
    k: int,
    alpha: float,
    parts: Sequence[KeptRun],
    rng: np.random.Generator,
) -> np.ndarray:
    count = max(1, round(number / CHUNK))
    momenta = [_sum([chunks[i] for i in rng.permutation(len(chunks))[:count]])[site] for _ in parts]
    return mean_over(parts, [select(m, k, alpha, warn=False) for m in momenta])[0]


def _units_for(accuracies: np.ndarray, config: Config, target: float) -> float:
    """Return the fewest units that reach a validation accuracy; NaN where none does."""
    best = accuracies.max(axis=(0, 2))
    enough = [k for k, value in zip(config.k, best, strict=True) if value >= target]
    return min(enough, default=np.nan)


def _effects(
    every: Momenta,
    site: Any,
    effects: Tensor,
    resampled: Sequence[Momenta],
    kept: KeptRun,
    config: Config,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Compare the score with what units do: first order for all, measured for some."""
    from axonal.language.atomic_units import single_unit_sweep

    def signed(momentum: Any) -> Tensor:
        return torch.where(momentum.positive >= momentum.negative, 1, -1) * momentum.score

    flat = effects.flatten().numpy()
    matters = np.abs(flat) > 0
    correlation = [
        _rank_correlation(signed(m[site]).flatten().numpy()[matters], flat[matters])
        for m in resampled
    ]
    momentum = every[site]
    half = config.effect_units // 2
    best = ranking(momentum.score)[:half].numpy()
    drawn = rng.choice(momentum.score.numel(), config.effect_units - half, replace=False)
    chosen = np.concatenate([best, drawn])
    places = [(int(i) // momentum.width, int(i) % momentum.width) for i in chosen]
    measured = single_unit_sweep(kept, site, places, [1.0])
    change = measured["gap"].to_numpy()[:, 0] - measured.attrs["base_gap"]
    top = np.sign(signed(momentum).flatten().numpy()[best]) == np.sign(flat[best])
    return {
        "score_effect_correlation": ("resample", correlation),
        "sample_score": ("sample", signed(momentum).flatten().numpy()[chosen]),
        "sample_effect": ("sample", change),
        "sample_first_order": ("sample", flat[chosen]),
        "right_sign": float(top.mean()),
    }


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(spearman(x, y).r)


def _harm(
    model: LanguageModel,
    every: Momenta,
    site: Any,
    setting: Any,
    tuned: dict[str, Any],
    block_rivals: Sequence[Any],
    config: Config,
) -> dict[str, Any]:
    """Measure what tuned steering does to neutral texts."""
    neutral = NeutralTexts(model, neutral_texts()[: config.neutral])
    ways = {"AUSteer": select(every[site], int(setting[0]), setting[1], warn=False)}
    ways |= {rival.name: rival.make(every, tuned[rival.name]) for rival in block_rivals}
    kl = [float(neutral.damage(way.edits(model.model)).kl) for way in ways.values()]
    return {"harm": xr.DataArray(kl, dims="way", coords={"way": list(ways)})}


def _first_token(
    model: LanguageModel, every: Momenta, site: Any, k: int, alpha: float, asked: Task
) -> np.ndarray:
    units = select(every[site], k, alpha, warn=False)
    return first_token_movement(model, units, asked.test.prompts[0]).numpy()


def confound(model: LanguageModel, config: Config, session: Session) -> xr.Dataset:
    """Compare the ranking of balanced pairs with that of one answer, and with that of prompts."""
    asked = questions_of("sentiment", model, config, session).ranking
    count = min(config.confound_pairs, len(asked) // 2)
    good = [i for i, answer in enumerate(asked.right) if answer == " positive"][:count]
    bad = [i for i, answer in enumerate(asked.right) if answer == " negative"][:count]
    mixed = sorted([*good[: count // 2], *bad[: count - count // 2]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the imbalance is the point
        balanced = asked[mixed].pairs()
        unbalanced = asked[good].pairs()
        prompts = ContrastivePairs.of(
            asked[good].prompts, asked[good].right, asked[bad].right, asked[bad].prompts
        )
    found = {
        "balanced": measure_sites(model, balanced, ["attention"])["attention"],
        "one answer": measure_sites(model, unbalanced, ["attention"])["attention"],
        "prompt": measure_sites(model, prompts, ["attention"], position="prompt")["attention"],
    }
    tops = {name: set(_top(momentum).tolist()) for name, momentum in found.items()}
    return xr.Dataset(
        {
            "above": ("ranked", [float((m.score >= 0.95).double().mean()) for m in found.values()]),
            "shared": ("ranked", [len(tops["balanced"] & top) / TOP for top in tops.values()]),
        },
        coords={"ranked": list(found)},
    )


def organism(config: Config, session: Session) -> xr.Dataset:
    """Find planted units by momentum and by difference, whatever the scale of the layers."""
    from axonal.language.atomic_units import Momentum
    from axonal.language.atomic_units.organism import Organism

    growths = (1.0, 3.0, 10.0, 30.0, 100.0)
    precision = np.empty((2, len(growths), config.repeats))
    for column, growth in enumerate(growths):
        for repeat in range(config.repeats):
            seed = session.seed_for(f"organism {repeat}")
            one = Organism.grow(units=config.organism_units, growth=growth, seed=seed)
            momentum = Momentum.of(one.activations(one.good), one.activations(one.bad))
            for row, values in enumerate((momentum.score, momentum.mean_difference.abs())):
                chosen = ranking(values)[: len(one.planted)]
                precision[row, column, repeat] = one.precision(chosen)
    return xr.Dataset(
        {"precision": (("ranking", "growth", "repeat"), precision)},
        coords={"ranking": ["momentum", "difference"], "growth": list(growths)},
    )

"""What is measured of one task: rankings, tuning on validation, the report on test questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.errors import InputError
from axonal.language.atomic_units import (
    ContrastivePairs,
    KeptRun,
    Questions,
    Task,
    accuracy,
    expected_best_score,
    gain_effects,
    measure_sites,
    select,
    task,
)
from axonal.language.atomic_units import baselines as b
from axonal.language.atomic_units.questions import TASKS
from axonal.language.atomic_units.ranking import ranking
from axonal.language.models import LanguageModel
from axonal.studies.atomic_unit_steering.effects import effects_of_units, first_token, harm
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
    found |= effects_of_units(
        every, site, effects, resampled, kept, config, session.rng(f"sample {name}")
    )
    found |= harm(model, every, site, setting, tuned, block_rivals, config)
    best_units = {
        s: select(every[s], min(TOP, _usable(every[s])), 1.0, warn=False) for s in config.sites
    }
    found |= {
        "grid": (("site", "measure", "k", "alpha"), grid),
        "test": (("condition", "measure", "resample"), np.stack(results)),
        "units": ("condition", counted),
        "depth": (
            ("site", "layer"),
            [np.bincount(best_units[s].layer.numpy(), minlength=depth) for s in config.sites],
        ),
        "score": (("layer", "unit"), every["attention"].score.numpy()),
        "top_attention": (
            ("resample", "rank"),
            np.stack([top(m["attention"]) for m in resampled]),
        ),
        "validation_base": accuracy(validation.base),
        "best_score": float(every[site].score.max()),
        "chance_score": expected_best_score(config.ranking, every[site].score.numel()),
        "equal_effect_units": float(equal),
        "first_token": ("layer", first_token(model, every, site, k, alpha, asked)),
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


def top(momentum: Any) -> np.ndarray:
    """Return the flat indices of the best hundred units."""
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

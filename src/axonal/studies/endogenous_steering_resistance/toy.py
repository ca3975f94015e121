"""The toy organism, measured: calibration, sweep, detectors ablated and boosted, teaching, drift."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from axonal.activations import Site, Sites, record
from axonal.language.dictionaries import (
    Harvest,
    LatentStatistics,
    SparseAutoencoder,
    harvest,
    latent_statistics,
    quality,
    train_dictionary,
)
from axonal.language.models import LanguageModel
from axonal.language.resistance import (
    Bracket,
    Condition,
    Contrast,
    Detectors,
    Sampling,
    Threshold,
    Trial,
    ablate,
    boost_levels,
    calibrate_boosts,
    compare_samples,
    contrast,
    conversation,
    find_detectors,
    matched_random_latents,
    mcnemar,
    plan_trials,
    rates,
    replay,
    run_trials,
    sample,
    scale_latents,
    time_course,
)
from axonal.studies.endogenous_steering_resistance.organism import AGAIN, ToyLanguage, build, teach

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.endogenous_steering_resistance.config import Config

FACTORS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""How much detectors count: ablated, weakened, as they are, strengthened twice."""

RATES = ("multi", "resistance", "improvement", "first_score", "gain", "trials")
PURE = 0.9
CONTROLS = 3
ROUNDS = 6  # answers to each question that the contrast sees


@dataclass(frozen=True, eq=False)
class Laboratory:
    """A taught organism with its dictionary, detectors and latents to boost."""

    language: ToyLanguage
    organism: LanguageModel
    sae: SparseAutoencoder
    statistics: LatentStatistics
    detectors: Detectors
    topics: Mapping[int, int]
    questions: Sequence[str]
    sampling: Sampling
    unit: float

    @property
    def latents(self) -> list[int]:
        """The boosted latents."""
        return list(self.topics)

    def asked(self, latent: int) -> list[str]:
        """Questions about another topic than the latent's."""
        return [q for q in self.questions if q != f"topic{self.topics[latent]}"]

    def calibrated(self, organism: LanguageModel, steps: int, seed: int) -> dict[int, Threshold]:
        """Calibrate the boost of each latent; its unit moves the stream by about its own norm."""
        return calibrate_boosts(
            organism,
            self.sae,
            self.latents,
            {latent: self.asked(latent) for latent in self.latents},
            Bracket(0, 8 * self.unit, 1.7 * self.unit, self.unit),
            judge=self.language.judge,
            steps=steps,
            responses=5,
            seed=seed,
            sampling=self.sampling,
            batch=256,
        )

    def trials(
        self,
        boosts: Mapping[int, float],
        each: int,
        seed: int,
        *,
        organism: LanguageModel | None = None,
    ) -> list[Trial]:
        """Boost every latent that has a boost, ``each`` times."""
        plans = [
            plan
            for latent, boost in boosts.items()
            for plan in plan_trials([latent], self.asked(latent), boost, per_latent=each, seed=seed)
        ]
        return self.run(plans, None, organism=organism)

    def run(
        self, plans: Any, condition: Condition | None, *, organism: LanguageModel | None = None
    ) -> list[Trial]:
        """Make trials."""
        return run_trials(
            organism or self.organism,
            self.sae,
            plans,
            judge=self.language.judge,
            sampling=self.sampling,
            condition=condition,
            batch=256,
        )


def measure(config: Config, session: Session, number: int) -> xr.Dataset:
    """Train one organism and measure everything on it."""
    seed = session.seed_for(f"toy {number}")
    language = ToyLanguage(
        topics=config.topics, length=config.words, drift=_drift_lengths(config.words)
    )
    base = build(language, width=config.width, blocks=config.blocks, seed=seed)
    schooling: dict[str, Any] = {"learning_rate": 2e-3, "batch": 32, "seed": seed}
    losses = teach(base, language, ratio=0, steps=config.base_steps, **schooling)
    taught = {
        ratio: _taught(base, language, config, ratio, seed)
        for ratio in sorted({*config.ratios, config.ratio})
    }
    lab, described = _prepare(config, language, taught[config.ratio], seed)
    thresholds = lab.calibrated(lab.organism, config.toy_bisections, seed)
    boosts = {k: t.value for k, t in thresholds.items() if t.reached}
    if not boosts:  # an organism that hardly learnt anything, as in the smoke preset
        boosts = dict.fromkeys(lab.latents, 2 * lab.unit)
    steered = lab.trials(boosts, config.toy_trials, seed)
    unsteered = lab.trials(dict.fromkeys(boosts, 0.0), config.toy_trials, seed)
    conditions = {
        "steered": steered,
        "unsteered": unsteered,
        **{
            f"detectors x{factor:g}": steered
            if factor == 1
            else lab.run(replay(steered), scale_latents(lab.detectors.latents, factor))
            for factor in FACTORS
        },
    }
    controls = matched_random_latents(
        lab.statistics, lab.detectors.latents, sets=CONTROLS, seed=seed, exclude=lab.latents
    )
    for index, control in enumerate(controls):
        conditions[f"random {index + 1}"] = lab.run(replay(steered), ablate(control))
    sweep = _sweep(config, lab, thresholds, boosts, seed)
    teaching = {
        ratio: _teaching(config, lab, organism, boosts, seed)
        for ratio, organism in taught.items()
        if ratio in config.ratios
    }
    data = xr.Dataset(
        {
            "rates": (("condition", "rate"), np.array([_rates(t) for t in conditions.values()])),
            "sweep": (("deviation", "rate"), np.array([_rates(t) for _, t in sweep])),
            "teaching": (("ratio", "rate"), np.array([_rates(t) for t in teaching.values()])),
            "threshold": ("latent", [thresholds[k].value for k in lab.latents]),
            "mcnemar": (
                "paired",
                [
                    mcnemar(steered, conditions["detectors x0"], event).p_value
                    for event in ("multi", "improved")
                ],
            ),
            **_drift(lab, steered, unsteered),
        },
        coords={
            "condition": list(conditions),
            "rate": list(RATES),
            "deviation": [deviation for deviation, _ in sweep],
            "ratio": list(teaching),
            "latent": lab.latents,
            "paired": ["multi", "improved"],
        },
        attrs={
            **described,
            "unit": lab.unit,
            "base_loss": float(np.mean(losses[-10:])),
            "example": _example(steered),
        },
    )
    return data.assign(_matching(lab, controls))


def _drift_lengths(words: int) -> tuple[int, int]:
    """Drifts of 3 to 8 words, and shorter ones where answers are short."""
    return (2, 3) if words < 16 else (3, 8)


def _taught(
    base: LanguageModel, language: ToyLanguage, config: Config, ratio: float, seed: int
) -> LanguageModel:
    organism = dataclasses.replace(base, model=copy.deepcopy(base.model))
    teach(
        organism,
        language,
        ratio=ratio,
        steps=config.teach_steps,
        learning_rate=config.teach_rate,
        batch=32,
        seed=seed + 1,
    )
    return organism


def _prepare(
    config: Config, language: ToyLanguage, organism: LanguageModel, seed: int
) -> tuple[Laboratory, dict[str, Any]]:
    """Train the dictionary, choose detectors on half of the questions, and latents to boost."""
    rng = np.random.default_rng(seed)
    rows = language.batch(rng, 20 * config.words if config.words < 32 else 600, config.ratio)[
        "input_ids"
    ].tolist()
    texts = [" ".join(language.vocabulary[token] for token in row) for row in rows]
    site = Sites.of(organism.model).residual(config.site)
    found = harvest(organism, texts, site, length=64, batch=100)
    sae, _ = train_dictionary(
        found,
        config.toy_latents,
        k=8,
        steps=config.toy_dictionary_steps,
        learning_rate=3e-3,
        seed=seed,
    )
    statistics = latent_statistics(sae, found)
    sampling = Sampling(language.length, config.temperature, 1.0)
    questions = language.questions()
    chosen_on, asked = questions[: len(questions) // 2], questions[len(questions) // 2 :]
    pairs = _contrast(organism, sae, chosen_on, sampling, seed)
    rules: dict[str, Detectors] = {}
    for rule in ("silent", "auc", "difference"):
        rules[rule] = find_detectors(pairs, rule, most=config.detectors)
    alive = [k for k in rules["difference"].latents if statistics.frequency[k] > 0]
    detectors = dataclasses.replace(rules["difference"], latents=tuple(alive))
    topics = _topic_latents(language, sae, statistics, found, set(alive))
    order = rng.permutation(sorted(topics))[: config.steered_latents]
    norms = torch.linalg.vector_norm(found.activations, dim=-1).mean()
    unit = float(norms / torch.linalg.vector_norm(sae.dictionary.decoder, dim=-1).mean())
    lab = Laboratory(
        language,
        organism,
        sae,
        statistics,
        detectors,
        {int(k): topics[int(k)] for k in order},
        asked,
        sampling,
        unit,
    )
    fit = quality(sae, found)
    described: dict[str, Any] = {
        "explained": fit.explained,
        "active": fit.active,
        "detectors": len(alive),
        **{f"found_by_{rule}": len(chosen.latents) for rule, chosen in rules.items()},
        "best_auc": float(pairs.auc().max()),
    }
    return lab, described


def _contrast(
    organism: LanguageModel,
    sae: SparseAutoencoder,
    questions: Sequence[str],
    sampling: Sampling,
    seed: int,
) -> Contrast:
    """Contrast several answers to each question."""
    parts = []
    for number in range(ROUNDS):
        seeds = [seed + 1000 * number + index for index in range(len(questions))]
        rows = sample(organism, [conversation(organism, q)[0] for q in questions], seeds, sampling)
        answers = [str(organism.tokenizer.decode(row)) for row in rows]
        parts.append(contrast(organism, sae, questions, answers, seed=seed + number, pool="answer"))
    return Contrast(
        np.concatenate([part.matched for part in parts]),
        np.concatenate([part.shuffled for part in parts]),
        tuple(questions),
    )


def _topic_latents(
    language: ToyLanguage,
    sae: SparseAutoencoder,
    statistics: LatentStatistics,
    found: Harvest,
    taken: set[int],
) -> dict[int, int]:
    """Return latents that fire at words of one topic, and the topic."""
    latents = sae.encode(found.activations)
    first = language.first_word(0)
    topic = (found.tokens - first).clamp(min=0) // language.words
    weight = latents * (found.tokens >= first).unsqueeze(-1)
    mass = torch.zeros(language.topics, sae.latents).index_add_(0, topic, weight)
    purity = mass.max(0).values / mass.sum(0).clamp(min=1e-9)
    often = statistics.frequency > 0.003
    chosen = [k for k in range(sae.latents) if purity[k] > PURE and often[k] and k not in taken]
    if len(chosen) < 2:  # a dictionary that hardly learnt anything, as in the smoke preset
        order = torch.argsort(purity * often, descending=True).tolist()
        chosen = [k for k in order if k not in taken][:4]
    return {k: int(mass[:, k].argmax()) for k in chosen}


def _sweep(
    config: Config,
    lab: Laboratory,
    thresholds: Mapping[int, Threshold],
    boosts: Mapping[int, float],
    seed: int,
) -> list[tuple[float, list[Trial]]]:
    """Give all latents the same boost, from three deviations below the mean threshold to three above."""
    if sum(threshold.reached for threshold in thresholds.values()) >= 2:
        levels = boost_levels(thresholds, config.levels)
    else:
        deviations = np.linspace(-3, 3, config.levels)
        levels = np.stack([deviations, (2 + deviations / 2) * lab.unit], axis=1)
    return [
        (
            float(deviation),
            lab.trials(dict.fromkeys(boosts, float(boost)), config.toy_sweep_trials, seed + 7),
        )
        for deviation, boost in levels
    ]


def _teaching(
    config: Config,
    lab: Laboratory,
    organism: LanguageModel,
    boosts: Mapping[int, float],
    seed: int,
) -> list[Trial]:
    """Calibrate another organism anew and make trials with it."""
    if organism is lab.organism:
        return lab.trials(boosts, config.toy_trials, seed + 9)
    found = lab.calibrated(organism, config.toy_bisections, seed + 5)
    own = {k: t.value for k, t in found.items() if t.reached} or dict(boosts)
    return lab.trials(own, config.toy_trials, seed + 9, organism=organism)


def _rates(trials: Sequence[Trial]) -> list[float]:
    found = rates(trials)
    improvement = found.improvement.value if found.improvement else np.nan
    multi, resistance = found.multi.value, found.resistance.value
    return [multi, resistance, improvement, found.first_score, found.gain, float(found.trials)]


def _drift(lab: Laboratory, steered: Sequence[Trial], unsteered: Sequence[Trial]) -> dict[str, Any]:
    """Follow the detectors, read without steering, through answers that came back and others."""
    corrected = [trial for trial in steered if trial.improved] or list(steered[:2])
    bins = 16
    traces, onsets, off, after = [], [], [], []
    for trial, trace in zip(corrected, _traces(lab, corrected), strict=True):
        words = trial.text.split()
        onset = words.index(AGAIN) if AGAIN in words else len(words) // 2
        traces.append(trace)
        onsets.append(onset)
        off.append(trace[: max(1, onset)].mean())
        last = max((i for i, word in enumerate(words) if word == AGAIN), default=onset)
        after.append(trace[min(last + 1, len(trace) - 1) :].mean())
    baseline = [trace.mean() for trace in _traces(lab, list(unsteered[:50]))]
    course = time_course(traces, onsets, width=2, bins=bins)
    effect = compare_samples(off, baseline) if len(off) > 1 else None
    return {
        "course": ("offset", course.mean),
        "course_error": ("offset", course.error),
        "offset": course.offsets,
        "drift": ("segment", [np.mean(off), np.mean(after), np.mean(baseline)]),
        "segment": ["off topic", "after", "baseline"],
        "episodes": len(off),
        "cohens_d": effect.cohens_d if effect else np.nan,
        "cliffs_delta": effect.cliffs_delta if effect else np.nan,
    }


def _traces(lab: Laboratory, trials: Sequence[Trial]) -> list[np.ndarray]:
    """Return the mean activation of the detectors at each token of each answer."""
    site: Site = lab.sae.site_in(lab.organism.model)
    detectors = list(lab.detectors.latents)
    found = []
    for trial in trials:
        row, begin = conversation(lab.organism, trial.plan.prompt, trial.text)
        read = record(lab.organism.model, {"input_ids": torch.tensor([row])}, [site])[site][0]
        found.append(lab.sae.encode(read)[begin:, detectors].mean(-1).numpy())
    return found


def _matching(lab: Laboratory, controls: Sequence[Sequence[int]]) -> dict[str, Any]:
    """How well the controls match the detectors: ratios of medians."""
    frequency, magnitude = lab.statistics.frequency, lab.statistics.magnitude
    chosen = list(lab.detectors.latents)
    others = [k for control in controls for k in control]
    return {
        "matching": (
            "quantity",
            [
                float(frequency[others].median() / frequency[chosen].median()),
                float(magnitude[others].median() / magnitude[chosen].median()),
            ],
        ),
        "quantity": ["frequency", "magnitude"],
    }


def _example(trials: Sequence[Trial]) -> str:
    """Return an answer that drifted and came back, or any."""
    good = [
        t for t in trials if t.improved and t.scores[-1] - t.scores[0] > 40 and len(t.scores) == 2
    ]
    trial = (good or list(trials))[0]
    return f"{trial.plan.prompt}|{trial.text}"

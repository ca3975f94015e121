"""A real model, steered: SmolLM2-135M-Instruct at laptop scale, any model and dictionary by setting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from axonal import assets
from axonal.activations import Site, Sites
from axonal.language.dictionaries import (
    LatentStatistics,
    Quality,
    SparseAutoencoder,
    harvest,
    latent_statistics,
    load_dictionary,
    quality,
    top_words,
    train_dictionary,
)
from axonal.language.models import LanguageModel, first_blocks, load
from axonal.language.resistance import (
    AttemptRule,
    Bracket,
    Condition,
    EndpointJudge,
    LocalJudge,
    Sampling,
    SentenceEncoder,
    Trial,
    ablate,
    activity,
    calibrate_boosts,
    contrast,
    conversation,
    find_detectors,
    irrelevant_latents,
    matched_random_latents,
    mcnemar,
    plan_trials,
    rates,
    rejudge,
    replay,
    run_trials,
    sample,
)
from axonal.language.resistance.attempts import RESTARTS
from axonal.language.resistance.judges import Judge
from axonal.language.resistance.questions import HOW_TO, META_PROMPTS
from axonal.studies.endogenous_steering_resistance import taught

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.endogenous_steering_resistance.config import Config

STRICT = AttemptRule(RESTARTS[:2] + RESTARTS[3:4])
"""A narrower reading of a restart, to see how much hangs on the rule."""

SELECTION = 22  # questions that detectors are chosen on, none of which is asked in a trial
OFTEN = (0.0005, 0.05)  # share of tokens that a boosted latent is active on


@dataclass(frozen=True, eq=False)
class Bench:
    """The model on the bench: what is steered with what, and who judges."""

    language_model: LanguageModel
    sae: SparseAutoencoder
    site: Site
    statistics: LatentStatistics
    fit: Quality
    norm: float
    labels: dict[int, str]
    sampling: Sampling
    questions: tuple[str, ...]
    unsteered: dict[str, list[str]]
    local: LocalJudge

    def settings(self, config: Config) -> dict[str, Any]:
        """What all trials share."""
        return {
            "sampling": self.sampling,
            "site": self.site,
            "allow_site_mismatch": True,
            "batch": config.batch,
        }


def measure(config: Config, session: Session) -> xr.Dataset:
    """Calibrate, steer, ablate, prompt and judge; the trials stay in the run folder."""
    bench = _prepare(config, session)
    seed = session.seed_for("model")
    judge = _judge(config, bench)
    settings = bench.settings(config)
    prompts = list(bench.questions)
    pairs = contrast(
        bench.language_model,
        bench.sae,
        _selection(config),
        [bench.unsteered[q][0] for q in _selection(config)],
        site=bench.site,
        allow_site_mismatch=True,
        pool="answer",
        seed=seed,
    )
    found = {
        rule: find_detectors(pairs, rule, most=config.detectors)
        for rule in ("silent", "auc", "difference")
    }
    detectors = found["difference"]
    latents = _latents(config, bench, set(detectors.latents), seed)
    labels = {latent: bench.labels.get(latent, str(latent)) for latent in latents}
    thresholds = calibrate_boosts(
        bench.language_model,
        bench.sae,
        latents,
        prompts,
        _bracket(config, bench),
        judge=judge,
        steps=config.bisections,
        responses=config.responses,
        seed=seed,
        labels=labels,
        **settings,
    )
    reached = {k: t.value for k, t in thresholds.items() if t.reached}
    boosts = reached or dict.fromkeys(latents, _bracket(config, bench).mean or 1.0)
    plans = plan_trials(
        list(boosts), prompts, boosts, per_latent=config.model_trials, seed=seed, labels=labels
    )
    rng = np.random.default_rng(seed)
    some = [plans[i] for i in sorted(rng.permutation(len(plans))[: config.model_compared])]
    folder = session.folder / "trials"
    controls = matched_random_latents(
        bench.statistics, _alive(bench, detectors.latents), sets=1, seed=seed, exclude=latents
    )
    conditions = {
        "steered": (plans, Condition()),
        "detectors ablated": (some, ablate(detectors.latents, selected_on=detectors.prompts)),
        "random ablated": (some, ablate(controls[0])),
        "asked to resist": (some, Condition("meta", template=META_PROMPTS["off_topic_stop"])),
    }
    trials: dict[str, list[Trial]] = {}
    for name, (plan, condition) in conditions.items():
        with session.progress(f"{name} trials") as advance:
            trials[name] = run_trials(
                bench.language_model,
                bench.sae,
                plan,
                judge=judge,
                condition=condition,
                out=folder / f"{name.replace(' ', '-')}.jsonl",
                progress=taught.total(advance),
                **settings,
            )
    data = _dataset(config, bench, trials, thresholds, found, replay(trials["steered"]), labels)
    if config.taught:
        data = data.assign(
            taught.measure(
                config,
                session,
                bench.language_model,
                bench.sae,
                latents,
                prompts,
                _bracket(config, bench),
                judge,
                settings,
                folder,
            )
        )
    return data


def _prepare(config: Config, session: Session) -> Bench:
    """Load model and dictionary, check that they fit, and let the model answer unsteered."""
    language_model = load(config.model, device=config.device)
    if config.keep_blocks is not None:
        language_model = first_blocks(language_model, config.keep_blocks)
    sampling = Sampling(config.new_tokens, config.temperature, 1.1)
    asked = HOW_TO[: config.model_prompts]
    every = [*asked, *_selection(config)]
    answers: dict[str, list[str]] = {question: [] for question in every}
    with session.progress("unsteered answers", 2 * len(every)) as advance:
        for start in range(0, 2 * len(every), config.batch):
            part = [
                (every[i // 2], i) for i in range(start, min(start + config.batch, 2 * len(every)))
            ]
            rows = [conversation(language_model, question)[0] for question, _ in part]
            seeds = [session.seed_for(f"unsteered {i}") for _, i in part]
            for (question, _), row in zip(
                part, sample(language_model, rows, seeds, sampling), strict=True
            ):
                answers[question].append(str(language_model.tokenizer.decode(row)))
                advance()
    sae, statistics, labels = _dictionary(config, session, language_model, answers)
    site = sae.site_in(language_model.model)
    if config.block is not None:
        site = Sites.of(language_model.model).residual(config.block)
    texts = [
        str(language_model.tokenizer.decode(conversation(language_model, q, answers[q][0])[0]))
        for q in every
    ]
    own = sae.site_in(language_model.model)
    found = harvest(language_model, texts, own, limit=4000)
    fit = quality(sae, found)
    norm = float(torch.linalg.vector_norm(found.activations, dim=-1).median())
    if config.dictionary != "train":
        fit.require()
    local = LocalJudge.calibrated(SentenceEncoder(), answers)
    return Bench(
        language_model, sae, site, statistics, fit, norm, labels, sampling, asked, answers, local
    )


def _dictionary(
    config: Config,
    session: Session,
    language_model: LanguageModel,
    answers: dict[str, list[str]],
) -> tuple[SparseAutoencoder, LatentStatistics, dict[int, str]]:
    """Load the dictionary, or train a small one on the unsteered answers."""
    if config.dictionary == "train":
        sites = Sites.of(language_model.model)
        site = sites.residual(config.block if config.block is not None else sites.blocks * 3 // 5)
        texts = [
            str(language_model.tokenizer.decode(conversation(language_model, q, text)[0]))
            for q, said in answers.items()
            for text in said
        ]
        found = harvest(language_model, texts, site)
        sae, _ = train_dictionary(
            found, 512, k=32, steps=config.dictionary_steps, batch=256, seed=session.seed
        )
        chosen = list(range(sae.latents))
        return (
            sae,
            latent_statistics(sae, found),
            top_words(sae, found, language_model.tokenizer, chosen),
        )
    folder = assets.path(config.dictionary)
    sae = load_dictionary(folder)
    labels_path = Path(config.labels) if config.labels else folder / "labels.json"
    labels = {}
    if labels_path.is_file():
        said = json.loads(labels_path.read_text(encoding="utf-8"))
        labels = {int(latent): str(label) for latent, label in said.items()}
    kept = folder / "latents.safetensors"
    if kept.is_file():
        from safetensors.torch import load_file

        held = load_file(kept)
        return (
            sae,
            LatentStatistics(held["frequency"], held["magnitude"], held["largest"], 0),
            labels,
        )
    texts = [text for said in answers.values() for text in said]
    found = harvest(language_model, texts, sae.site_in(language_model.model), skip=max(1, sae.skip))
    return sae, latent_statistics(sae, found), labels


def _judge(config: Config, bench: Bench) -> Judge:
    """Return the endpoint's judge where one is named, else the local one."""
    if config.judge_model is None:
        return bench.local
    return EndpointJudge(config.judge_model, config.judge_url)


def _selection(config: Config) -> list[str]:
    """Questions that detectors are chosen on."""
    count = min(SELECTION, 2 * config.model_prompts)
    return list(HOW_TO[config.model_prompts :][:count])


def _bracket(config: Config, bench: Bench) -> Bracket:
    """Where to look: as set, or from 0 to twice the boost whose step is as long as the stream."""
    if config.bracket is not None:
        return Bracket(*config.bracket)
    step = float(torch.linalg.vector_norm(bench.sae.dictionary.decoder, dim=-1).mean())
    unit = bench.norm / step
    return Bracket(0.0, 2 * unit, unit / 2, unit / 2)


def _latents(config: Config, bench: Bench, taken: set[int], seed: int) -> list[int]:
    """Draw latents that are silent in all questions and active now and then elsewhere."""
    quiet = irrelevant_latents(
        activity(
            bench.language_model, bench.sae, [(q, None) for q in bench.questions], site=bench.site
        )
    )
    often = set(bench.statistics.between(*OFTEN))
    free = [k for k in quiet if k in often and k not in taken]
    if len(free) < config.model_latents:
        free = [k for k in range(bench.sae.latents) if bool(bench.statistics.alive[k])]
        free = [k for k in free if k not in taken]
    order = np.random.default_rng(seed).permutation(len(free))[: config.model_latents]
    return sorted(free[i] for i in order)


def _alive(bench: Bench, latents: Sequence[int]) -> list[int]:
    return [latent for latent in latents if bool(bench.statistics.alive[latent])]


def _dataset(
    config: Config,
    bench: Bench,
    trials: dict[str, list[Trial]],
    thresholds: Any,
    found: Any,
    plans: Sequence[Any],
    labels: dict[int, str],
) -> xr.Dataset:
    steered = trials["steered"]
    summary = {name: rates(made) for name, made in trials.items()}
    whole = summary["steered"]
    latents = list(dict.fromkeys(plan.latent for plan in plans))
    first = [
        np.mean([t.scores[0] for t in steered if t.plan.latent == k and t.counts] or [np.nan])
        for k in latents
    ]
    strict = LocalJudge(
        bench.local.encoder, bench.local.references, bench.local.slope, bench.local.offset, STRICT
    )
    other = rejudge(steered, strict if config.judge_model is None else bench.local)
    agree = [
        a.multi == b.multi for a, b in zip(steered, other, strict=True) if a.counts and b.counts
    ]
    said = [t for q in bench.questions for t in bench.unsteered[q]]
    restarts = sum(len(bench.local.rule.split(text)) > 1 for text in said)
    paired = {
        name: mcnemar(steered, made).p_value for name, made in trials.items() if name != "steered"
    }
    example = max(steered, key=lambda t: (t.multi, -abs(t.scores[0] - 30) if t.counts else -100))
    return xr.Dataset(
        {
            "multi": ("condition", [r.multi.value for r in summary.values()]),
            "resistance": ("condition", [r.resistance.value for r in summary.values()]),
            "first_score": ("condition", [r.first_score for r in summary.values()]),
            "trials": ("condition", [r.trials for r in summary.values()]),
            "degenerate": ("condition", [r.degenerate for r in summary.values()]),
            "scores": ("trial", [t.scores[0] if t.counts else np.nan for t in steered]),
            "gains": (
                "trial",
                [t.scores[-1] - t.scores[0] if t.counts else np.nan for t in steered],
            ),
            "threshold": ("latent", [thresholds[k].value for k in latents]),
            "label": ("latent", [labels.get(k, "") for k in latents]),
            "first_by_latent": ("latent", first),
        },
        coords={"condition": list(trials), "latent": latents},
        attrs={
            "multi_upper": one_sided_upper(whole.multi_count, whole.trials),
            "asked": len(thresholds),
            "reached": sum(t.reached for t in thresholds.values()),
            "explained": bench.fit.explained,
            "active": bench.fit.active,
            "separation": bench.local.separation,
            "agreement": float(np.mean(agree)) if agree else float("nan"),
            "unsteered_restarts": restarts,
            "unsteered_answers": len(said),
            "mcnemar": json.dumps(paired),
            "dictionary_latents": bench.sae.latents,
            **{f"found_by_{rule}": len(chosen.latents) for rule, chosen in found.items()},
            "example": f"{example.plan.label}|{example.plan.prompt}|{example.text}",
        },
    )


def one_sided_upper(successes: int, trials: int, level: float = 0.95) -> float:
    """Return the exact (Clopper-Pearson) one-sided upper bound of a proportion."""
    from scipy.stats import beta

    if successes >= trials:
        return 1.0
    return float(beta.ppf(level, successes + 1, trials - successes))

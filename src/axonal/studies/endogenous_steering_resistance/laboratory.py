"""A taught organism on the bench: its dictionary, its detectors, and the latents that are boosted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from axonal.activations import Sites
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
    calibrate_boosts,
    contrast,
    conversation,
    find_detectors,
    plan_trials,
    run_trials,
    sample,
)
from axonal.studies.endogenous_steering_resistance.organism import ToyLanguage

if TYPE_CHECKING:
    from axonal.studies.endogenous_steering_resistance.config import Config

PURE = 0.9
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


def prepare(
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

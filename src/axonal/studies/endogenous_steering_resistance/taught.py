"""The real model after fine-tuning on corrections of its own: does it come back more often?

The paper's variant at laptop scale: episodes that the model writes itself, a LoRA on all linear maps,
loss from the admission on, boosts calibrated anew; the same latents and questions as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.language.models import LanguageModel
from axonal.language.resistance import (
    Bracket,
    Sampling,
    Trial,
    calibrate_boosts,
    plan_trials,
    rates,
    run_trials,
)
from axonal.language.resistance.attempts import AttemptRule
from axonal.language.resistance.episodes import own_episodes
from axonal.language.resistance.judges import Judge
from axonal.language.resistance.questions import LESSONS
from axonal.language.resistance.sampling import conversation, sample
from axonal.language.resistance.teaching import Schooling, mixed, teach_corrections

if TYPE_CHECKING:
    from pathlib import Path

    from axonal.lab import Session
    from axonal.studies.endogenous_steering_resistance.config import Config


def measure(
    config: Config,
    session: Session,
    language_model: LanguageModel,
    sae: Any,
    latents: Sequence[int],
    questions: Sequence[str],
    bracket: Bracket,
    judge: Judge,
    settings: dict[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Teach the model, which changes it, and measure it as before."""
    seed = session.seed_for("taught")
    sampling: Sampling = settings["sampling"]
    with session.progress("episodes") as advance:
        corrections, plain = own_episodes(
            language_model,
            LESSONS[: config.lessons],
            sampling=sampling,
            seed=seed,
            batch=config.batch,
            progress=total(advance),
        )
    examples = mixed(corrections, plain, config.taught, seed=seed)
    schooling = Schooling(
        rank=config.lora_rank,
        alpha=config.lora_rank,
        learning_rate=config.lora_rate,
        epochs=config.lora_epochs,
        rise=4,
        seed=seed,
    )
    with session.progress("teaching") as advance:
        pupil, history = teach_corrections(
            language_model, examples, schooling, progress=total(advance)
        )
    with session.progress("taught trials"):
        thresholds = calibrate_boosts(
            pupil,
            sae,
            latents,
            questions,
            bracket,
            judge=judge,
            steps=config.bisections,
            responses=config.responses,
            seed=seed,
            **settings,
        )
        boosts = {k: t.value for k, t in thresholds.items() if t.reached}
        boosts = boosts or dict.fromkeys(latents, bracket.mean or 1.0)
        plans = plan_trials(
            list(boosts), questions, boosts, per_latent=config.model_trials, seed=seed
        )
        trials = run_trials(pupil, sae, plans, judge=judge, out=folder / "taught.jsonl", **settings)
        rows = [conversation(pupil, question)[0] for question in questions]
        seeds = [seed + number for number in range(len(rows))]
        said = sample(pupil, rows, seeds, sampling)
    rule = AttemptRule()
    restarts = sum(len(rule.split(str(pupil.tokenizer.decode(row)))) > 1 for row in said)
    return {
        **_rates(trials),
        "taught_unsteered_restarts": restarts,
        "taught_unsteered_answers": len(said),
        "taught_reached": len([t for t in thresholds.values() if t.reached]),
        "taught_loss": ("update", np.asarray(history.loss, dtype=float)),
    }


def total(advance: Any) -> Any:
    """Turn a session's progress, told of steps, into one that is told of ``(done, total)``."""
    before = 0

    def follow(done: int, of: int) -> None:
        nonlocal before
        advance(done - before, of=of)
        before = done

    return follow


def _rates(trials: Sequence[Trial]) -> dict[str, Any]:
    found = rates(trials)
    return {
        "taught_multi": found.multi.value,
        "taught_resistance": found.resistance.value,
        "taught_first_score": found.first_score,
        "taught_multi_count": found.multi_count,
        "taught_trials": found.trials,
    }

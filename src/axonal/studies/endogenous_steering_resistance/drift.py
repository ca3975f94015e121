"""Off-topic detectors through an answer that drifts and comes back, and one such answer in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from axonal.activations import Site, record
from axonal.language.resistance import Trial, compare_samples, conversation, time_course
from axonal.studies.endogenous_steering_resistance.laboratory import Laboratory
from axonal.studies.endogenous_steering_resistance.organism import AGAIN


def follow_detectors(
    lab: Laboratory, steered: Sequence[Trial], unsteered: Sequence[Trial]
) -> dict[str, Any]:
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


def example(trials: Sequence[Trial]) -> str:
    """Return the answer that drifted longest and came back for good, or any."""

    def drifted(trial: Trial) -> int:
        back = trial.improved and len(trial.scores) == 2 and trial.scores[-1] > 80
        return len(trial.attempts[0].text.split()) if back and trial.scores[0] < 20 else 0

    trial = max(trials, key=drifted)
    return f"{trial.plan.prompt}|{trial.text}"

"""Trials: a boosted latent, a question, a seed; the answer and its judgement, a line each on disk.

A file of trials is a header with the settings and then a JSON line a trial, written as soon as a batch
is judged. A run that was killed goes on after the last whole line. `replay` takes the latents, boosts,
questions and seeds of finished trials into another condition, so that the two are pairs.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from axonal.activations import Site
from axonal.activations.positions import Positions
from axonal.errors import InputError
from axonal.language.dictionaries import SparseAutoencoder
from axonal.language.models import LanguageModel
from axonal.language.resistance.judges import Attempt, Judge, Response, is_degenerate, judged
from axonal.language.resistance.sampling import Sampling, check_seeds, conversation, sample
from axonal.language.resistance.steering import Condition, steering_edits, steering_site

UNPARSED_WARNING = 0.05


@dataclass(frozen=True)
class Plan:
    """A trial to be made.

    Parameters
    ----------
    latent, boost
        Which latent is boosted, and how much; a boost of 0 is no steering.
    prompt
        The question.
    seed
        Of the row's own generator.
    label
        What the latent stands for.
    """

    latent: int
    boost: float
    prompt: str
    seed: int
    label: str = ""


@dataclass(frozen=True)
class Trial:
    """A trial that was made.

    Parameters
    ----------
    plan
        What was asked for.
    condition
        The name of what else was done.
    text
        The answer.
    attempts
        As judged.
    problem
        Why there is no judgement; None when there is one.
    degenerate
        Whether the answer repeats a word five times in a row.
    """

    plan: Plan
    condition: str
    text: str
    attempts: tuple[Attempt, ...]
    problem: str | None = None
    degenerate: bool = False

    @property
    def counts(self) -> bool:
        """Whether rates have this trial in their denominator: it was judged and has an attempt."""
        return self.problem is None and len(self.attempts) > 0

    @property
    def scores(self) -> tuple[float, ...]:
        """Scores of the attempts, in order."""
        return tuple(attempt.score for attempt in self.attempts)

    @property
    def multi(self) -> bool:
        """Whether there was more than one attempt."""
        return len(self.attempts) > 1

    @property
    def improved(self) -> bool:
        """Whether the last of several attempts scored above the first."""
        return self.multi and self.scores[-1] > self.scores[0]


def plan_trials(
    latents: Sequence[int],
    prompts: Sequence[str],
    boosts: Mapping[int, float] | float,
    *,
    per_latent: int = 5,
    seed: int = 0,
    labels: Mapping[int, str] | None = None,
) -> list[Plan]:
    """Draw questions and seeds for each latent.

    Parameters
    ----------
    latents, boosts
        Which latents, and how much each is boosted.
    prompts
        Questions; each latent gets ``per_latent`` of them, none twice before all came once.
    per_latent
        Trials a latent.
    seed
        Of the draw. A latent's questions depend on it and on the latent alone.
    labels
        What the latents stand for.
    """
    if not prompts:
        raise InputError("There are no prompts to draw from.")
    plans = []
    for latent in latents:
        rng = np.random.default_rng([seed, latent])
        rounds = -(-per_latent // len(prompts))
        order = np.concatenate([rng.permutation(len(prompts)) for _ in range(rounds)])
        boost = float(boosts[latent] if isinstance(boosts, Mapping) else boosts)
        for question in order[:per_latent]:
            number = int(rng.integers(2**31))
            label = (labels or {}).get(latent, "")
            plans.append(Plan(int(latent), boost, prompts[int(question)], number, label))
    return plans


def replay(trials: Iterable[Trial]) -> list[Plan]:
    """Return the plans of finished trials, to be made again in another condition."""
    return [trial.plan for trial in trials]


def run_trials(
    language_model: LanguageModel,
    sae: SparseAutoencoder,
    plans: Sequence[Plan],
    *,
    judge: Judge,
    sampling: Sampling | None = None,
    condition: Condition | None = None,
    site: Site | None = None,
    allow_site_mismatch: bool = False,
    positions: Positions = "default",
    read: Literal["before", "after"] = "before",
    batch: int = 16,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Trial]:
    """Make trials: generate under steering, judge, keep.

    Parameters
    ----------
    language_model, sae
        What is steered with what.
    plans
        From `plan_trials` or `replay`.
    judge
        See `axonal.language.resistance.judges`.
    sampling
        Length, temperature, repetition penalty.
    condition
        What else is done: clamped latents, an addition to the question.
    site, allow_site_mismatch
        See `steering_site`.
    positions, read
        See `steering_edits`.
    batch
        Rows that are generated together; changes no sample.
    out
        A JSONL file; trials found there are not made again.
    progress
        Called as ``progress(done, total)``.
    """
    sampling, condition = sampling or Sampling(), condition or Condition()
    site = steering_site(language_model, sae, site, allow_site_mismatch=allow_site_mismatch)
    _check(plans, condition, sampling)
    settings = {
        "model": language_model.name,
        "place": str(site),
        "condition": condition.name,
        "clamp": sorted(condition.clamp.items()),
        "strength": condition.strength,
        "template": condition.template,
        "read": read,
        **asdict(sampling),
    }
    journal = _Journal(None if out is None else Path(out), settings)
    left = [plan for plan in dict.fromkeys(plans) if plan not in journal.done]
    for start in range(0, len(left), batch):
        part = left[start : start + batch]
        edits = steering_edits(
            sae,
            site,
            [plan.latent for plan in part],
            [plan.boost for plan in part],
            condition,
            read=read,
            positions=positions,
        )
        rows = [conversation(language_model, condition.question(p.prompt))[0] for p in part]
        made = sample(language_model, rows, [plan.seed for plan in part], sampling, edits)
        texts = [
            str(language_model.tokenizer.decode(row, skip_special_tokens=True)) for row in made
        ]
        responses = [
            Response(plan.prompt, text, plan.label) for plan, text in zip(part, texts, strict=True)
        ]
        for plan, text, found in zip(part, texts, judged(judge, responses), strict=True):
            degenerate = is_degenerate(text)
            journal.add(
                Trial(plan, condition.name, text, found.attempts, found.problem, degenerate)
            )
        if progress is not None:
            progress(len(plans) - len(left) + start + len(part), len(plans))
    trials = [journal.done[plan] for plan in plans]
    unread = sum(trial.problem is not None for trial in trials)
    if unread > UNPARSED_WARNING * len(trials):
        first = next(trial.problem for trial in trials if trial.problem is not None)
        warnings.warn(
            f"The judge's answer could not be read for {unread} of {len(trials)} trials (the first: "
            f"{first}); they are left out of every rate.",
            stacklevel=2,
        )
    return trials


def read_trials(path: str | Path) -> list[Trial]:
    """Read the trials of a file, in the order in which they were made."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There are no trials at {path}.")
    return list(_Journal(path, None).done.values())


def rejudge(trials: Sequence[Trial], judge: Judge) -> list[Trial]:
    """Let another judge read the answers of finished trials."""
    responses = [Response(t.plan.prompt, t.text, t.plan.label) for t in trials]
    return [
        replace(trial, attempts=found.attempts, problem=found.problem)
        for trial, found in zip(trials, judged(judge, responses), strict=True)
    ]


class _Journal:
    """The file of trials: what is there already, and where the next line goes."""

    def __init__(self, path: Path | None, settings: Mapping[str, Any] | None) -> None:
        self.done: dict[Plan, Trial] = {}
        self._path = path
        if path is None:
            return
        whole = 0
        if path.exists():
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1  # a torn last line is written again
            self._read(content[:whole].decode("utf-8").splitlines(), settings)
        if settings is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate(whole)
        if whole == 0:
            self._write({"trials": 1, "settings": settings})

    def add(self, trial: Trial) -> None:
        self.done[trial.plan] = trial
        if self._path is not None:
            self._write(
                {
                    **asdict(trial.plan),
                    "condition": trial.condition,
                    "text": trial.text,
                    "attempts": [asdict(attempt) for attempt in trial.attempts],
                    "problem": trial.problem,
                    "degenerate": trial.degenerate,
                }
            )

    def _write(self, row: Mapping[str, Any]) -> None:
        assert self._path is not None
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _read(self, lines: list[str], settings: Mapping[str, Any] | None) -> None:
        if not lines:
            return
        try:
            head, *rows = [json.loads(line) for line in lines]
            before = head["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._path} is no file of trials: {error!r}.") from error
        if settings is not None:
            now = json.loads(json.dumps(settings))
            for name in now:
                if before.get(name) != now[name]:
                    raise InputError(
                        f"{self._path} holds trials with {name}={_short(before.get(name))}, not "
                        f"{_short(now[name])}: choose another file."
                    )
        try:
            for row in rows:
                plan = Plan(row["latent"], row["boost"], row["prompt"], row["seed"], row["label"])
                attempts = tuple(Attempt(one["text"], one["score"]) for one in row["attempts"])
                rest = (row["condition"], row["text"], attempts, row["problem"], row["degenerate"])
                self.done[plan] = Trial(plan, *rest)
        except (KeyError, TypeError) as error:
            raise InputError(f"{self._path} has a line that is no trial: {error!r}.") from error


def _check(plans: Sequence[Plan], condition: Condition, sampling: Sampling) -> None:
    if not plans:
        raise InputError("There are no trials to make: the plan is empty.")
    check_seeds(sampling, [plan.seed for plan in plans])
    if shared := condition.selected_on & {plan.prompt for plan in plans}:
        warnings.warn(
            f"Selection and evaluation share prompts ({len(shared)} of them, such as "
            f"{min(shared)!r}): the clamped latents were chosen on what they are tested on. Split "
            "the prompts, or build the condition without selected_on if that is meant.",
            stacklevel=3,
        )


def _short(value: Any) -> str:
    words = repr(value)
    if len(words) <= 80:
        return words
    return f"{words[:60]}... ({hashlib.sha256(words.encode()).hexdigest()[:8]})"

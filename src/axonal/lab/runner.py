"""Run a study: make its folder, let it measure, judge its claims, write the report, finalise."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from axonal.errors import InputError, nearest
from axonal.lab import runs
from axonal.lab.description import changed_settings, describe_study, scale_words
from axonal.lab.environment import complete, environment
from axonal.lab.files import remove_unfinished, write_json
from axonal.lab.judge import judge
from axonal.lab.measurement import Measurement
from axonal.lab.progress import Both, ProgressFile, Reporter, Silent
from axonal.lab.registry import load
from axonal.lab.runs import Run
from axonal.lab.seal import seal
from axonal.lab.seeding import seeded
from axonal.lab.session import Session
from axonal.lab.study import Study
from axonal.lab.tests import to_json

BACKENDS = ("serial", "threads", "processes", "loky", "dask", "ray")


def run_study(
    study: Study[Any],
    preset: str = "laptop",
    overrides: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    jobs: int = 1,
    backend: str | None = None,
    home: Path | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Run a study at a preset and return its finished run.

    Parameters
    ----------
    study
        What to run.
    preset, overrides
        The configuration: a preset's, with single values replaced.
    seed
        Everything random follows from it.
    jobs, backend
        For the study's sweeps; the back end is processes when there are several jobs.
    home
        Where run folders are made; ``$AXONAL_RUNS`` or ``./runs`` when None.
    reporter
        Who hears of the progress.

    Returns
    -------
    Run
        The finished run. When the study raises or is interrupted, its folder stays and `resume`
        continues it; only bad input that is found before anything was recorded leaves no folder.
    """
    run = begin(study, preset, overrides, seed=seed, jobs=jobs, backend=backend, home=home)
    return carry_out(study, run, reporter)


def begin(
    study: Study[Any],
    preset: str = "laptop",
    overrides: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    jobs: int = 1,
    backend: str | None = None,
    home: Path | None = None,
) -> Run:
    """Check everything that can be known before computing starts, and make the run's folder.

    The parameters are those of `run_study`.
    """
    config = study.configuration(preset, **(overrides or {}))
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"The seed is a whole number of at least 0; got {seed!r}")
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not (jobs >= 1 or jobs == -1):
        raise InputError(f"jobs is a whole number of at least 1, or -1 for all cores; got {jobs!r}")
    backend = backend or ("serial" if jobs == 1 else "processes")
    if backend not in BACKENDS:
        raise InputError(f"There is no back end {backend!r}: {nearest(backend, BACKENDS)}")
    described = describe_study(study)
    changed = changed_settings(study, preset, config)
    run = runs.create(study.slug, preset, seed, home)
    write_json(run.folder / "config.json", config.model_dump(mode="json"))
    write_json(run.folder / "environment.json", environment(seed))
    write_json(run.folder / "study.json", described)
    runs.describe(
        run,
        slug=study.slug,
        preset=preset,
        seed=seed,
        jobs=jobs,
        backend=backend,
        changed=changed,
        scale=scale_words(preset, changed, study.scale(config)),
        started=_now(),
        finished=None,
        seconds=0.0,
    )
    return run


def resume(run: Run, *, study: Study[Any] | None = None, reporter: Reporter | None = None) -> Run:
    """Continue a run that was killed or failed; what it had finished is kept.

    Parameters
    ----------
    run
        An unfinished run.
    study
        Its study; found again by its slug or file when None.
    reporter
        Who hears of the progress.
    """
    if run.finished:
        raise InputError(f"{run.folder} is finished: there is nothing to resume")
    study = study or load(run.study["source"])
    with runs.locked(run):
        note_continuation(run, study)
    return carry_out(study, run, reporter)


def carry_out(study: Study[Any], run: Run, reporter: Reporter | None = None) -> Run:
    """Let a study fill its run folder, judge its claims, write the report and finalise."""
    about = run.about
    config = study.configuration(about["preset"], **run.config)
    with runs.locked(run):
        remove_unfinished(run.folder)
        log = ProgressFile(run.folder / "progress.jsonl")
        session = Session(
            run.folder,
            seed=about["seed"],
            preset=about["preset"],
            jobs=about["jobs"],
            backend=about["backend"],
            reporter=Both(log, reporter or Silent()),
        )
        before_s, start_s = float(about["seconds"]), time.monotonic()
        log.event("start", slug=study.slug, preset=about["preset"], seed=about["seed"])
        try:
            with seeded(about["seed"]):
                study.function(config, session)
        except BaseException as error:
            log.event("stopped", reason=type(error).__name__)
            runs.describe(run, seconds=round(before_s + time.monotonic() - start_s, 3))
            if isinstance(error, InputError):
                runs.discard_if_empty(run)
            raise
        seconds = round(before_s + time.monotonic() - start_s, 3)
        log.event("finish", seconds=seconds)
        _conclude(study, run, seconds)
        return runs.finish(run)


def _conclude(study: Study[Any], run: Run, seconds: float) -> None:
    """Judge, seal and report."""
    from axonal.lab.report import write_report

    write_json(run.folder / "claims.json", judge_claims(study, run))
    settings = [value for value in run.config.values() if isinstance(value, str)]
    used = complete(run.environment, [*study.requires, *settings])
    write_json(run.folder / "environment.json", used)
    runs.describe(run, seconds=seconds, finished=_now(), sha256=seal(run))
    write_report(run)


def judge_claims(study: Study[Any], run: Run) -> list[dict[str, Any]]:
    """Judge every claim of a study from a run's measurements alone."""
    about = run.about
    measurements = {
        name: Measurement.from_json(name, kept) for name, kept in run.measurements.items()
    }
    judged = []
    for claim in study.claims:
        judgement = judge(claim, measurements, about["preset"])
        judged.append(
            {
                "id": claim.id,
                "statement": claim.statement,
                "reported": claim.reported,
                "source": claim.source,
                "test": to_json(claim.test),
                "needs": claim.needs,
                "verdict": judgement.verdict,
                "detail": judgement.detail,
                "scale": about["scale"],
            }
        )
    return judged


def summary(run: Run) -> dict[str, Any]:
    """Return a finished run as the one JSON object that ``axonal run --json`` prints."""
    about = run.about
    return {
        "slug": about["slug"],
        "preset": about["preset"],
        "seed": about["seed"],
        "seconds": about["seconds"],
        "run": str(run.folder.resolve()),
        "scale": about["scale"],
        "measurements": run.measurements,
        "claims": run.claims,
    }


def note_continuation(run: Run, study: Study[Any]) -> None:
    """Record in the environment where a continued run stands on other ground than it began on."""
    began = run.environment
    now = environment(began["seed"])
    watched = ("axonal", "commit", "python", "packages", "platform", "processor")
    differences = {name: now[name] for name in watched if now[name] != began[name]}
    digest = describe_study(study)["source_sha256"]
    if digest != run.study["source_sha256"]:
        differences["study source"] = digest
    continued = [*began.get("continued", []), {"time": _now(), "differences": differences}]
    write_json(run.folder / "environment.json", {**began, "continued": continued})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

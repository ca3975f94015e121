"""Run a study: make its folder, let it measure, judge its claims, write the report, finalise."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from axonal.errors import InputError
from axonal.lab import runs
from axonal.lab.environment import environment
from axonal.lab.files import write_json
from axonal.lab.judge import judge
from axonal.lab.measurement import Measurement
from axonal.lab.progress import Both, ProgressFile, Reporter, Silent
from axonal.lab.registry import load, source_of
from axonal.lab.runs import Run
from axonal.lab.session import Session
from axonal.lab.study import Study, StudyConfig
from axonal.lab.tests import to_json


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
        continues it.
    """
    config = study.configuration(preset, **(overrides or {}))
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"The seed is a whole number of at least 0; got {seed!r}")
    if jobs < 1:
        raise InputError(f"jobs is at least 1; got {jobs}")
    study.function  # noqa: B018  a study without a run function is refused before a folder is made
    run = runs.create(study.slug, preset, seed, home)
    write_json(run.folder / "config.json", config.model_dump(mode="json"))
    write_json(run.folder / "environment.json", environment(seed))
    runs.describe(
        run,
        slug=study.slug,
        source=source_of(study),
        title=study.paper.title,
        preset=preset,
        seed=seed,
        jobs=jobs,
        backend=backend or ("processes" if jobs > 1 else "serial"),
        scale=study.scale(config),
        started=_now(),
        seconds=0.0,
    )
    return _execute(study, config, run, reporter or Silent())


def resume(run: Run, reporter: Reporter | None = None) -> Run:
    """Continue a run that was killed or failed; what it had finished is kept."""
    about = run.about
    if run.finished:
        raise InputError(f"{run.folder} is finished; there is nothing to resume")
    study = load(about.get("source") or about["slug"])
    config = study.configuration(about["preset"], **run.config)
    return _execute(study, config, run, reporter or Silent())


def _execute(study: Study[Any], config: StudyConfig, run: Run, reporter: Reporter) -> Run:
    about = run.about
    log = ProgressFile(run.folder / "progress.jsonl")
    session = Session(
        run.folder,
        seed=about["seed"],
        preset=about["preset"],
        jobs=about["jobs"],
        backend=about["backend"],
        reporter=Both(log, reporter),
    )
    before, start_s = float(about["seconds"]), time.monotonic()
    log.event("start", slug=study.slug, preset=about["preset"], seed=about["seed"])
    _seed_global_streams(about["seed"])
    try:
        study.function(config, session)
    except BaseException as error:
        log.event("stopped", reason=type(error).__name__)
        runs.describe(run, seconds=round(before + time.monotonic() - start_s, 3))
        raise
    seconds = round(before + time.monotonic() - start_s, 3)
    runs.describe(run, seconds=seconds, finished=_now())
    write_json(run.folder / "claims.json", judge_claims(study, run))
    log.event("finish", seconds=seconds)
    return runs.finish(run)


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
                "scale": f"at {about['preset']} scale, {about['scale']}",
            }
        )
    return judged


def _seed_global_streams(seed: int) -> None:
    """Seed the streams that libraries may draw from unasked; our own code draws from none."""
    import sys

    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

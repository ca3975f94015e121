"""`axonal run` and `axonal resume`: check, compute, show the verdicts."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from axonal.cli import output
from axonal.cli.live import reporting
from axonal.errors import AxonalError, InputError
from axonal.lab import registry, requirements, runner, runs
from axonal.lab.runs import Run
from axonal.lab.settings import parse_settings
from axonal.lab.study import Study
from axonal.lab.words import duration

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 110
"""From this many columns the claims are shown as four columns."""


class InterruptedRunError(AxonalError):
    """The user stopped a run; the message says how to go on."""

    exit_status = 130


class StudyFailedError(AxonalError):
    """A study raised something; the message says what and how to go on."""


def run(
    names: Sequence[str],
    preset: str,
    settings: Sequence[str],
    *,
    seed: int,
    json: bool,
    jobs: int,
    backend: str | None,
) -> None:
    """Run studies one after another; everything is checked before the first one starts."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window opens while a study draws
    with output.stdout_kept():
        studies = [registry.load(name) for name in names]
    overrides = [parse_settings(settings, study.config) for study in studies]
    configs = [
        study.configuration(preset, **values)
        for study, values in zip(studies, overrides, strict=True)
    ]
    failures: list[AxonalError] = []
    for study, values, config in zip(studies, overrides, configs, strict=True):
        try:
            with output.stdout_kept(), reporting() as reporter:
                requirements.fetch(study, config, reporter)
                begun = runner.begin(study, preset, values, seed=seed, jobs=jobs, backend=backend)
                reporter.say(f"{study.slug} {begun.about['scale']}")
                with _kept(study, begun):
                    finished = runner.carry_out(study, begun, reporter)
        except StudyFailedError as error:
            if len(studies) == 1:
                raise
            print(f"axonal: {error}", file=sys.stderr)
            failures.append(error)
            continue
        show(finished, json)
    if failures:
        raise AxonalError(f"{len(failures)} of {len(studies)} studies failed")


def resume(name: str, json: bool) -> None:
    """Continue a run."""
    begun = runs.find(name, unfinished=True)
    if begun.finished:
        raise InputError(f"{output.short(begun.folder)} is finished: there is nothing to resume")
    study = registry.load(begun.study["source"])
    with output.stdout_kept(), reporting() as reporter:
        reporter.say(f"{study.slug} {begun.about['scale']}, continued")
        with _kept(study, begun):
            finished = runner.resume(begun, study=study, reporter=reporter)
    show(finished, json)


def show(run: Run, json: bool) -> None:
    """Print what a finished run found."""
    if json:
        output.print_json(runner.summary(run), indent=None)
        return
    console, about = output.console(), run.about
    scale = f"at {about['preset']} scale"
    console.print()
    console.print(run.study["paper"]["title"], style="bold")
    seconds = duration(about["seconds"])
    console.print(f"{about['slug']} {about['scale']}; seed {about['seed']}; {seconds}\n")
    wide = console.width >= WIDE
    console.print(_in_columns(run.claims, scale) if wide else _in_rows(run.claims, scale))
    console.print()
    counts = Counter(claim["verdict"] for claim in run.claims)
    words = ", ".join(f"{counts[word]} {word}" for word in output.MARKS if counts[word])
    console.print(f"{words}. A verdict speaks of this run at its scale, not of the paper.")
    console.print(f"report: {output.short(run.report)}", soft_wrap=True)


def _in_columns(claims: Sequence[dict[str, Any]], scale: str) -> Table:
    """Return the claims as a table of four columns."""
    table = output.table("claim", "reported", "measured", "verdict", show_lines=True, expand=True)
    for column, ratio in zip(table.columns, (27, 18, 30), strict=False):
        column.ratio = ratio
    table.columns[-1].width = output.VERDICT_WIDTH
    for claim in claims:
        verdict = output.verdict(claim["verdict"], scale)
        table.add_row(claim["statement"], claim["reported"], claim["detail"], verdict)
    return table


def _in_rows(claims: Sequence[dict[str, Any]], scale: str) -> Table:
    """Return the claims as a table for a narrow terminal: reported and measured under the claim."""
    table = output.table("verdict", "claim, as reported and as measured", show_lines=True)
    table.columns[0].width = output.VERDICT_WIDTH
    for claim in claims:
        cell = output.labelled(
            claim["statement"], {"reported": claim["reported"], "measured": claim["detail"]}
        )
        table.add_row(output.verdict(claim["verdict"], scale), cell)
    return table


@contextmanager
def _kept(study: Study[Any], begun: Run) -> Iterator[None]:
    """Say of a run that stops half way how it is continued."""
    how = f"what it finished is kept; continue with: axonal resume {output.short(begun.folder)}"
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError(f"{study.slug} was interrupted; {how}") from None
    except InputError as error:
        if not begun.folder.exists():
            raise
        raise InputError(f"{error}; {how}") from error
    except AxonalError as error:
        raise StudyFailedError(f"{error}; {how}") from error
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        raise StudyFailedError(
            f"{study.slug} failed with {type(error).__name__}: {first}; {how}; --debug shows where"
        ) from error

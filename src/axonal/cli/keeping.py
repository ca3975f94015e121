"""`axonal runs`, `report`, `compare` and `new`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from axonal.cli import output
from axonal.errors import AxonalError
from axonal.lab import runs
from axonal.lab.words import duration


def list_runs(slug: str | None, json: bool) -> None:
    """List runs, newest first."""
    rows: list[dict[str, Any]] = []
    for run in runs.runs(slug):
        try:
            about, claims = run.about, run.claims
        except AxonalError as error:
            rows.append({"run": str(run.folder), "state": "damaged", "reason": str(error)})
            continue
        rows.append(
            {
                "run": str(run.folder),
                "slug": about["slug"],
                "preset": about["preset"],
                "seed": about["seed"],
                "state": run.state,
                "started": about["started"],
                "seconds": about["seconds"],
                "scale": about["scale"],
                "verdicts": dict(Counter(claim["verdict"] for claim in claims)),
            }
        )
    if json:
        output.print_json(rows)
        return
    console = output.console()
    if not rows:
        console.print(f"There are no runs in {output.short(runs.home())}.")
        return
    table = output.table("run", "result", "took")
    table.columns[2].justify = "right"
    for row in rows:
        folder = Path(row["run"])
        name = f"{folder.parent.name}/{folder.name.removesuffix(runs.PARTIAL)}"
        if row["state"] == "damaged":
            table.add_row(name, row["reason"], "")
            continue
        whole = row["state"] == "finished"
        result = output.tally(row["verdicts"]) if whole else output.alarming(row["state"])
        table.add_row(name, result, duration(row["seconds"]))
    console.print(table)
    if any(row["state"] == "interrupted" for row in rows):
        console.print("Continue an interrupted run with: axonal resume RUN")


def report(name: str) -> None:
    """Write a report again."""
    from axonal.lab.report import write_report

    output.console().print(output.short(write_report(runs.find(name))), soft_wrap=True)


def compare(first: str, second: str, json: bool) -> None:
    """Compare two runs."""
    from axonal.lab.comparison import compare as compare_runs

    found = compare_runs(runs.find(first), runs.find(second))
    if json:
        output.print_json(found.to_json())
        return
    console = output.console()
    console.print(f"first   {found.runs[0]}\nsecond  {found.runs[1]}\n", soft_wrap=True)
    for title, rows, last in (
        ("Settings that differ", found.settings, ""),
        ("Measurements", found.measurements, "second - first"),
        ("Verdicts", found.claims, ""),
        ("Environment that differs", found.environment, ""),
    ):
        if not rows:
            continue
        console.print(title, style="bold")
        table = output.table("", "first", "second", last)
        for row in rows:
            table.add_row(row.name, row.first, row.second, row.difference)
        console.print(table)
        console.print()


def new(slug: str, folder: Path) -> None:
    """Write a template study and its test."""
    from axonal.lab.template import write_template

    study, test = write_template(slug, folder)
    path = str(study) if "/" in str(study) else f"./{study}"
    output.console().print(
        f"Wrote {study} and {test}.\nTry them: axonal run {path}\n          pytest {test}",
        soft_wrap=True,
    )

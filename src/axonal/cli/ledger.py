"""`axonal claims` and `axonal claims verify`."""

from __future__ import annotations

from itertools import groupby

import typer

from axonal.cli import output
from axonal.lab import runs
from axonal.lab.ledger import ledger, tally


def claims(json: bool) -> None:
    """Print the ledger."""
    with output.stdout_kept():
        rows = ledger()
    if json:
        output.print_json([row.to_json() for row in rows])
        return
    console = output.console()
    if not rows:
        console.print("There are no claims: no study is installed and nothing was run.")
        return
    for slug, group in groupby(rows, key=lambda row: row.slug):
        entries = list(group)
        scale = next((row.scale for row in entries if row.scale), "never run")
        console.print(slug, style="bold")
        console.print(scale, style="bright_black")
        table = output.table(show_header=False)
        table.add_column(ratio=3, overflow="fold")
        table.add_column(width=output.VERDICT_WIDTH, no_wrap=True)
        for row in entries:
            table.add_row(row.statement, output.verdict(row.verdict))
        console.print(table)
        console.print()
    counts = tally(rows)
    words = ", ".join(f"{counts[word]} {word}" for word in output.MARKS if counts.get(word))
    console.print(f"{len(rows)} claims: {words}.")
    console.print("A verdict speaks of a run at its scale, not of the paper.")


def verify(name: str, json: bool) -> None:
    """Judge a run again; a run that does not fit its own folder is a failure."""
    from axonal.lab.seal import verify as verify_run

    run = runs.find(name)
    with output.stdout_kept():
        found = verify_run(run)
    if json:
        output.print_json(
            {
                "run": str(run.folder.resolve()),
                "sound": found.sound,
                "claims": [
                    {"id": claim.id, "stored": claim.stored, "recomputed": claim.recomputed}
                    for claim in found.claims
                ],
                "problems": list(found.problems),
            }
        )
    else:
        console = output.console()
        table = output.table("claim", "stored", "recomputed")
        for claim in found.claims:
            table.add_row(claim.id, output.verdict(claim.stored), output.verdict(claim.recomputed))
        console.print(table)
        for problem in found.problems:
            console.print(f"✗ {problem}", soft_wrap=True)
        agreed = sum(claim.agrees for claim in found.claims)
        console.print(
            f"{agreed} of {len(found.claims)} verdicts follow from the measurements; "
            f"{len(found.problems) or 'no'} problem{'' if len(found.problems) == 1 else 's'}."
        )
    if not found.sound:
        raise typer.Exit(1)

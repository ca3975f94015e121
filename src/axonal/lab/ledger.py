"""The ledger: every claim of every paper, its latest verdict and the scale it holds at.

A claim's entry is that of the largest scale its study was run at (full before laptop before
smoke), and of the newest run there: a quick smoke run does not displace what a laptop run found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axonal.errors import AxonalError
from axonal.lab import runs
from axonal.lab.registry import Entry, entries
from axonal.lab.runs import Run
from axonal.lab.study import Study
from axonal.lab.tests import to_json

SCALES = ("smoke", "laptop", "full")


@dataclass(frozen=True)
class LedgerEntry:
    """One claim and what is known of it.

    Parameters
    ----------
    slug, claim, statement, reported, source
        The study, and the claim as it declares it.
    verdict, detail, scale
        Of the run; ``not tested`` with an empty scale where there is none.
    preset, seed, finished, run
        Which run that was; None where there is none.
    """

    slug: str
    claim: str
    statement: str
    reported: str
    source: str
    verdict: str
    detail: str
    scale: str
    preset: str | None = None
    seed: int | None = None
    finished: str | None = None
    run: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Describe it as JSON."""
        return asdict(self)


def ledger(where: Path | None = None, known: list[Entry] | None = None) -> list[LedgerEntry]:
    """Return an entry for every claim of every study, registered or with a run of its own."""
    latest = latest_runs(where)
    rows: list[LedgerEntry] = []
    listed = entries() if known is None else known
    for entry in listed:
        run = latest.pop(entry.slug, None)
        if entry.study is not None:
            rows += _of_study(entry.study, run)
        elif run is not None:
            rows += _of_run(run)
    for slug in sorted(latest):
        rows += _of_run(latest[slug])
    return rows


def latest_runs(where: Path | None = None) -> dict[str, Run]:
    """Return the run that speaks for each study: the newest of the largest scale."""
    best: dict[str, tuple[int, str, Run]] = {}
    for run in runs.runs(where=where):
        try:
            about = run.about if run.finished else None
        except AxonalError:
            continue
        if about is None:
            continue
        rank = (_rank(about["preset"]), run.folder.name)
        slug = about["slug"]
        if slug not in best or rank > best[slug][:2]:
            best[slug] = (*rank, run)
    return {slug: run for slug, (_, _, run) in best.items()}


def tally(rows: list[LedgerEntry]) -> dict[str, int]:
    """Count the verdicts of some entries."""
    return dict(Counter(row.verdict for row in rows))


def _of_study(study: Study[Any], run: Run | None) -> list[LedgerEntry]:
    kept = {} if run is None else {claim["id"]: claim for claim in run.claims}
    rows = []
    for claim in study.claims:
        judged = kept.get(claim.id)
        verdict, detail, scale = "not tested", "Never run.", ""
        if judged is not None and judged["test"] == to_json(claim.test):
            verdict, detail, scale = judged["verdict"], judged["detail"], judged["scale"]
        elif run is not None:
            detail = (
                "Its test has changed since the last run." if judged else "Newer than the last run."
            )
        rows.append(
            LedgerEntry(
                slug=study.slug,
                claim=claim.id,
                statement=claim.statement,
                reported=claim.reported,
                source=claim.source,
                verdict=verdict,
                detail=detail,
                scale=scale,
                **_which(run),
            )
        )
    return rows


def _of_run(run: Run) -> list[LedgerEntry]:
    return [
        LedgerEntry(
            slug=run.about["slug"],
            claim=kept["id"],
            statement=kept["statement"],
            reported=kept["reported"],
            source=kept["source"],
            verdict=kept["verdict"],
            detail=kept["detail"],
            scale=kept["scale"],
            **_which(run),
        )
        for kept in run.claims
    ]


def _which(run: Run | None) -> dict[str, Any]:
    if run is None:
        return {}
    about = run.about
    return {
        "preset": about["preset"],
        "seed": about["seed"],
        "finished": about["finished"],
        "run": str(run.folder),
    }


def _rank(preset: str) -> int:
    return SCALES.index(preset) if preset in SCALES else SCALES.index("laptop")

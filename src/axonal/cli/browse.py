"""`axonal list` and `axonal show`: what there is, read without loading any method."""

from __future__ import annotations

from datetime import date
from typing import Any

from axonal.cli import output
from axonal.errors import InputError, nearest
from axonal.lab import registry
from axonal.lab.description import describe_study
from axonal.lab.ledger import LedgerEntry, ledger, tally
from axonal.lab.registry import Entry
from axonal.lab.study import Study


def list_studies(area: str | None, search: str | None, json: bool) -> None:
    """List the studies; a broken one is named with its reason beneath."""
    with output.stdout_kept():
        found = registry.entries()
    areas = sorted({entry.study.area for entry in found if entry.study})
    if area is not None and area not in areas:
        raise InputError(f"There is no area {area!r}: {nearest(area, areas)}")
    words = (search or "").casefold().split()
    chosen = [
        entry
        for entry in found
        if (area is None or (entry.study and entry.study.area == area))
        and all(word in _text(entry) for word in words)
    ]
    verdicts = _verdicts(chosen)
    if json:
        output.print_json([_as_json(entry, verdicts[entry.slug]) for entry in chosen])
        return
    console = output.console()
    if not chosen:
        console.print("No study fits." if area or search else "There are no studies.")
        return
    table = output.table("study", "area", "published", "verdicts", "min")
    table.columns[0].min_width = max(len(entry.slug) for entry in chosen)
    table.columns[4].justify = "right"
    for entry in chosen:
        study = entry.study
        if study is None:
            table.add_row(entry.slug, output.alarming("broken"))
            continue
        name = output.plain(study.slug)
        if study.requires:
            name.append(output.quiet(f"\nneeds {', '.join(study.requires)}"))
        minutes = study.minutes.get("laptop")
        table.add_row(
            name,
            study.area,
            f"{study.paper.published:%Y-%m-%d}",
            _latest(verdicts[entry.slug]),
            "" if minutes is None else f"{minutes:g}",
        )
    console.print(table)
    for entry in chosen:
        if entry.broken:
            console.print(f"{entry.slug} is broken: {entry.broken}", soft_wrap=True)
    if any(row.run for rows in verdicts.values() for row in rows):
        console.print(f"{output.LEGEND}; with the scale of the run they speak of.")


def show(name: str, json: bool) -> None:
    """Show one study."""
    with output.stdout_kept():
        study = registry.load(name)
    described = describe_study(study)
    rows = _verdicts([Entry(study.slug, study)])[study.slug]
    if json:
        output.print_json({**described, "verdicts": [row.to_json() for row in rows]})
        return
    console = output.console()
    paper = described["paper"]
    authors = paper["authors"]
    who = f"{authors} authors" if isinstance(authors, int) else ", ".join(authors)
    published = date.fromisoformat(paper["published"])
    console.print(paper["title"], style="bold")
    console.print(f"{who}; {published:%-d %B %Y}{'; ' + paper['url'] if paper['url'] else ''}")
    if paper["code"]:
        console.print(f"authors' code: {paper['code']}", soft_wrap=True)
    _show_claims(console, rows, described)
    _show_presets(console, study, described)
    _show_settings(console, described)
    console.print()
    if described["requires"]:
        console.print(f"Needs {', '.join(described['requires'])}  (axonal assets list)")
    if described["data"]:
        console.print(f"Data: {described['data']}")
    if described["example"]:
        from rich.padding import Padding
        from rich.syntax import Syntax

        code = Syntax(
            described["example"], "python", theme="ansi_light", background_color="default"
        )
        console.print("\nUse the method", style="bold")
        console.print(Padding(code, (0, 0, 0, 2)))


def _show_claims(console: Any, rows: list[LedgerEntry], described: dict[str, Any]) -> None:
    scale = next((row.scale for row in rows if row.scale), "")
    asks = {claim["id"]: claim["asks"] for claim in described["claims"]}
    console.print(f"\nClaims{f', judged {scale}' if scale else ', never run'}", style="bold")
    table = output.table("verdict", "claim, as reported and as tested", show_lines=True)
    table.columns[0].width = output.VERDICT_WIDTH
    for row in rows:
        stale = row.detail if row.run and not row.scale else ""
        reported = f"{row.reported} ({row.source})"
        cell = output.labelled(row.statement, {"reported": reported, "test": asks[row.claim]})
        table.add_row(output.verdict(row.verdict, stale), cell)
    console.print(table)


def _show_presets(console: Any, study: Study[Any], described: dict[str, Any]) -> None:
    console.print("\nPresets", style="bold")
    table = output.table("preset", "minutes", "settings", "")
    for name in described["presets"]:
        minutes = described["minutes"].get(name)
        values = ", ".join(f"{key}={value}" for key, value in described["presets"][name].items())
        table.add_row(
            name,
            "" if minutes is None else f"{minutes:g}",
            values or "the defaults",
            "never run" if name in study.untested else "",
        )
    console.print(table)


def _show_settings(console: Any, described: dict[str, Any]) -> None:
    console.print("\nSettings (--set NAME=VALUE)", style="bold")
    table = output.table("setting", "default", "meaning")
    for name, setting in described["settings"].items():
        table.add_row(name, str(setting["default"]), setting["description"])
    console.print(table)


def _verdicts(found: list[Entry]) -> dict[str, list[LedgerEntry]]:
    slugs = {entry.slug for entry in found}
    rows: dict[str, list[LedgerEntry]] = {slug: [] for slug in slugs}
    for row in ledger(known=found):
        if row.slug in slugs:
            rows[row.slug].append(row)
    return rows


def _latest(rows: list[LedgerEntry]) -> Any:
    preset = next((row.preset for row in rows if row.run), None)
    if preset is None:
        return output.quiet("never run")
    return output.tally(tally(rows)).append(output.quiet(f"  {preset}"))


def _text(entry: Entry) -> str:
    study = entry.study
    if study is None:
        return entry.slug
    claims = " ".join(claim.statement for claim in study.claims)
    return f"{study.slug} {study.area} {study.paper.title} {claims}".casefold()


def _as_json(entry: Entry, rows: list[LedgerEntry]) -> dict[str, Any]:
    study = entry.study
    if study is None:
        return {"slug": entry.slug, "broken": entry.broken}
    return {
        "slug": study.slug,
        "area": study.area,
        "title": study.paper.title,
        "arxiv": study.paper.arxiv,
        "published": study.paper.published.isoformat(),
        "minutes": dict(study.minutes),
        "requires": list(study.requires),
        "untested": list(study.untested),
        "verdicts": {row.claim: row.verdict for row in rows if row.run is not None},
        "scale": next((row.scale for row in rows if row.scale), None),
        "broken": None,
    }

"""The report of a run: one HTML file that needs nothing else, on a screen, a phone or paper.

It is made from the run folder alone, so it can be made again wherever the folder is.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from axonal.errors import InputError
from axonal.lab.files import read_json, write_text
from axonal.lab.inline import inline_svg
from axonal.lab.measurement import Measurement
from axonal.lab.runs import Run
from axonal.lab.words import duration, estimate, measured, number

TEMPLATES = Path(__file__).parent / "templates"
VERDICTS = ("supported", "not supported", "inconclusive", "not tested")


def write_report(run: Run) -> Path:
    """Write ``report.html`` from what the run folder holds, and return its path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    if not (run.folder / "claims.json").exists():
        raise InputError(
            f"{run.folder} is unfinished and has no verdicts to report; continue it with: "
            f"axonal resume {run.folder}"
        )
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    page = templates.get_template("report.html.j2").render(
        **_contents(run), style=Markup(style), figures=_figures(run)
    )
    write_text(run.report, page)
    return run.report


def rerun_command(run: Run) -> str:
    """Return the command that runs the same study with the same configuration and seed."""
    about = run.about
    words = ["axonal", "run", run.study["source"]]
    words += ["--preset", about["preset"]] if about["preset"] != "laptop" else []
    words += ["--seed", str(about["seed"])]
    for name, value in about["changed"].items():
        words += ["--set", f"{name}={_setting(value)}"]
    return shlex.join(words)


def _contents(run: Run) -> dict[str, Any]:
    about, study = run.about, run.study
    claims = run.claims
    counts = Counter(claim["verdict"] for claim in claims)
    return {
        "study": study,
        "paper": study["paper"],
        "published": f"{date.fromisoformat(study['paper']['published']):%-d %B %Y}",
        "authors": _authors(study["paper"]["authors"]),
        "about": about,
        "when": f"{datetime.fromisoformat(about['started']):%-d %B %Y, %H:%M} UTC",
        "took": duration(about["seconds"]),
        "claims": claims,
        "tally": [(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]],
        "measurements": _measurements(run),
        "settings": _settings(run),
        "notes": _notes(run),
        "environment": _environment(run.environment),
        "command": rerun_command(run),
        "run_name": run.folder.name.removesuffix(".partial"),
    }


def _authors(authors: int | list[str]) -> str:
    if isinstance(authors, int):
        return "1 author" if authors == 1 else f"{authors} authors"
    return ", ".join(authors)


def _measurements(run: Run) -> list[dict[str, Any]]:
    rows = []
    for name, kept in run.measurements.items():
        measurement = Measurement.from_json(name, kept)
        repeats = "exact" if measurement.exact else str(measurement.repeats)
        row: dict[str, Any] = {
            "name": name,
            "shown": measured(measurement),
            "repeats": repeats,
            "points": [],
            "along": measurement.along_name or "point",
            "unit": measurement.unit,
        }
        if measurement.along is not None:
            ends = zip(kept["mean"], kept["low"], kept["high"], strict=True)
            row["points"] = [
                (number(float(at)), estimate(_float(mean), _float(low), _float(high)))
                for at, (mean, low, high) in zip(measurement.along, ends, strict=True)
            ]
        rows.append(row)
    return rows


def _settings(run: Run) -> list[dict[str, Any]]:
    described, changed = run.study["settings"], run.about["changed"]
    return [
        {
            "name": name,
            "value": _setting(value),
            "description": described.get(name, {}).get("description", ""),
            "changed": name in changed,
        }
        for name, value in run.config.items()
    ]


def _figures(run: Run) -> list[dict[str, Any]]:
    from markupsafe import Markup

    path = run.folder / "figures.json"
    if not path.exists():
        return []
    drawn = []
    for kept in read_json(path):
        file = run.folder / "figures" / f"{kept['name']}.svg"
        svg = inline_svg(file.read_text(encoding="utf-8"), kept["name"], kept["alt"])
        drawn.append({**kept, "svg": Markup(svg)})
    return drawn


def _notes(run: Run) -> list[str]:
    path = run.folder / "notes.json"
    notes = read_json(path) if path.exists() else []
    for continued in run.environment.get("continued", []):
        if continued["differences"]:
            what = ", ".join(continued["differences"])
            notes.append(f"This run was continued at {continued['time']} with another {what}.")
    return notes


def _environment(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    labels = {
        "axonal": "axonal",
        "commit": "commit",
        "assets": "models and data",
        "python": "Python",
        "packages": "packages",
        "platform": "platform",
        "processor": "processor",
        "cores": "cores",
        "memory_gb": "memory (GB)",
        "accelerator": "accelerator",
        "threads": "threads",
    }
    rows = []
    for key, label in labels.items():
        value = environment.get(key)
        if key == "assets":
            if not value:
                continue  # a run without models or data has nothing to tell
            value = "; ".join(f"{name}: {origin}" for name, origin in value.items())
        elif isinstance(value, Mapping):
            value = ", ".join(f"{name} {version}" for name, version in value.items())
        rows.append((label, "none" if value in (None, "") else str(value)))
    return rows


def _setting(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _float(value: float | str | None) -> float:
    return float("nan") if value is None else float(value)

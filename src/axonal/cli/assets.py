"""`axonal assets`: a thin layer over `axonal.assets`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from axonal import assets
from axonal.assets import Status
from axonal.cli import output
from axonal.cli.live import reporting
from axonal.lab import requirements


def list_assets(json: bool) -> None:
    """List every asset that has a name and what is here of it."""
    found = [assets.status(asset.name) for asset in assets.known()]
    if json:
        output.print_json([_as_json(status) for status in found])
        return
    table = output.table("state", "size", "asset", show_lines=True)
    table.columns[1].justify = "right"
    table.columns[1].no_wrap = True
    for status in found:
        about = {
            "licence": status.asset.licence,
            "origin": status.origin or " or ".join(status.asset.origins),
        }
        table.add_row(
            status.state,
            _megabytes(status.size or status.asset.size),
            output.labelled(f"{status.asset.name}\n{status.asset.title}", about),
        )
    console = output.console()
    console.print(table)
    console.print(f"They live in {assets.home()} ($AXONAL_HOME).", soft_wrap=True)


def pull(names: Sequence[str], again: bool) -> None:
    """Fetch assets; all names are checked before the first is fetched."""
    for name in names:
        assets.find(name)
    for name in names:
        with reporting() as reporter:
            requirements.pull(name, reporter, again=again)
        status = assets.status(name)
        output.console().print(f"{name} is in {status.folder} ({status.origin})", soft_wrap=True)


def verify(names: Sequence[str], json: bool) -> None:
    """Hash assets again; a damaged one is a failure."""
    chosen = list(names) or [
        asset.name for asset in assets.known() if assets.status(asset.name).state != "absent"
    ]
    found = [assets.verify(name) for name in chosen]
    if json:
        output.print_json([_as_json(status) for status in found])
    else:
        console = output.console()
        if not found:
            console.print("No asset is on this machine.")
        for status in found:
            problems = f": {'; '.join(status.problems)}" if status.problems else ""
            console.print(f"{status.asset.name} is {status.state}{problems}", soft_wrap=True)
    if any(status.state != "ready" for status in found):
        raise typer.Exit(1)


def _as_json(status: Status) -> dict[str, Any]:
    return {
        "name": status.asset.name,
        "kind": status.asset.kind,
        "title": status.asset.title,
        "licence": status.asset.licence,
        "state": status.state,
        "bytes": status.size or status.asset.size,
        "origin": status.origin,
        "origins": list(status.asset.origins),
        "folder": str(status.folder),
        "problems": list(status.problems),
    }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"

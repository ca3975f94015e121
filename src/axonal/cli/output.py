"""What the commands print with: one console a stream, plain tables, JSON, paths left whole."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

MARKS = {
    "supported": ("✓", "green"),
    "not supported": ("✗", "red"),
    "inconclusive": ("~", "yellow"),
    "not tested": ("–", "bright_black"),
}
VERDICT_WIDTH = max(len(f"{mark} {word}") for word, (mark, _) in MARKS.items())
LEGEND = ", ".join(f"{mark} {word}" for word, (mark, _) in MARKS.items())


def console(stderr: bool = False) -> Console:
    """Return a console that colours terminals only and turns no text into markup."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def table(*columns: str, **options: Any) -> Table:
    """Return a table with a rule under its header and nothing else drawn."""
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        **options,
    )
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def labelled(title: str, values: dict[str, str]) -> Group:
    """Return a title with labelled texts beneath it, each text indented as a block."""
    from rich.console import Group
    from rich.table import Table

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(style="bright_black", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in values.items():
        if value:
            grid.add_row(label, value)
    return Group(title, grid)


def verdict(word: str, scale: str = "") -> Text:
    """Return a verdict with its mark and colour, its scale beneath."""
    from rich.text import Text

    mark, colour = MARKS.get(word, ("?", ""))
    text = Text(f"{mark} {word}", style=colour)
    if scale:
        text.append(f"\n{scale}", style="bright_black")
    return text


def tally(counts: dict[str, int]) -> Text:
    """Return verdicts counted, as ``✓3 ✗1 ~1 –2``."""
    from rich.text import Text

    text = Text()
    for word, (mark, colour) in MARKS.items():
        if counts.get(word):
            text.append(" " if text else "").append(f"{mark}{counts[word]}", style=colour)
    return text


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON value on standard output."""
    sys.stdout.write(json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def short(path: Path) -> str:
    """Return a path as it reads best from here."""
    full = path.resolve()
    try:
        return str(full.relative_to(Path.cwd()))
    except ValueError:
        return str(full)


@contextmanager
def stdout_kept() -> Iterator[None]:
    """Send to standard error what a study, its libraries and its workers print meanwhile."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # no standard output at all
        yield
        return
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def plain(words: str) -> Text:
    """Return words to which others can be appended."""
    from rich.text import Text

    return Text(words)


def quiet(words: str) -> Text:
    """Return words that stand back."""
    from rich.text import Text

    return Text(words, style="bright_black")


def alarming(words: str) -> Text:
    """Return words that stand out."""
    from rich.text import Text

    return Text(words, style="red")

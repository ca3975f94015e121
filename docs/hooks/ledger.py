"""Write the claims page from the ledger: ``axonal claims --json | python docs/hooks/ledger.py``."""

from __future__ import annotations

import json
import sys
from itertools import groupby

SIGNS = {"supported": "✓", "not supported": "✗", "inconclusive": "~", "not tested": "–"}

INTRO = """# Claims ledger

Every claim of every paper that axonal re-runs, with the verdict of the run that these docs were made
from. A verdict speaks of that run at its scale, never of the paper; `not tested` is not a pass. On
your machine `axonal claims` shows the verdicts of your own runs, and `axonal claims verify RUN`
computes a run's verdicts again from its measurements alone.
"""


def main() -> None:
    """Read the ledger as JSON from standard input, write the page to standard output."""
    parts = [INTRO]
    for slug, group in groupby(json.load(sys.stdin), key=lambda entry: entry["slug"]):
        claims = list(group)
        parts.append(f"## {slug}\n\n{_scale(claims)}\n")
        parts.append("| claim | reported | measured | verdict |\n|---|---|---|---|")
        parts += [
            f"| {_cell(claim['statement'])} | {_cell(claim['reported'])} ({_cell(claim['source'])}) "
            f"| {_cell(claim['detail'])} | {SIGNS[claim['verdict']]} {claim['verdict']} |"
            for claim in claims
        ]
        parts.append("")
    print("\n".join(parts).rstrip())


def _scale(claims: list[dict[str, str]]) -> str:
    scale = claims[0]["scale"]
    return f"{scale[0].upper()}{scale[1:]}." if scale else "Not run."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


main()

"""Turn LaTeX into MathML while the site is built: pages show formulae offline, without JavaScript."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(
    r'<(span|div) class="arithmatex">(?:\\\((.*?)\\\)|\\\[(.*?)\\\])</\1>', re.DOTALL
)


def on_page_content(content: str, **_: object) -> str:
    """Replace what arithmatex marked (mkdocs calls this for every page)."""
    return FORMULA.sub(_to_mathml, content)


def _to_mathml(match: re.Match[str]) -> str:
    inline, block = match.group(2), match.group(3)
    latex = html.unescape(inline if inline is not None else block).strip()
    return convert(latex, display="inline" if inline is not None else "block")

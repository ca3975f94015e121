"""An SVG file made fit to stand inside a page: described in words, scalable, its ids its own."""

from __future__ import annotations

import re
from html import escape

_ROOT = re.compile(r"<svg\b[^>]*>")
_SIZE = re.compile(r'\s(width|height)="([\d.]+)(pt|px)?"')
_IDS = re.compile(r'\bid="([^"]+)"')
_PIXELS_A_POINT = 4 / 3


def inline_svg(svg: str, name: str, alt: str) -> str:
    """Return an SVG drawing as an element of an HTML page.

    Parameters
    ----------
    svg
        The file's text, as matplotlib writes it.
    name
        The figure's name, which every id begins with, so that two drawings on one page share none.
    alt
        What the drawing shows, for those who can't see it.
    """
    prefix = f"figure-{name}"
    root = _ROOT.search(svg)
    if root is None:
        raise ValueError(f"the figure {name} is no SVG drawing")
    body = svg[root.end() : svg.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # matplotlib's only style rule speaks of every element, and here that would be the whole page
    body = re.sub(r"<style\b.*?</style>", "", body, flags=re.DOTALL)
    body = _with_own_ids(body, prefix)
    sizes = {side: float(value) for side, value, _ in _SIZE.findall(root.group())}
    width = round(sizes.get("width", 400) * _PIXELS_A_POINT)
    opening = _SIZE.sub("", root.group())[:-1]
    return (
        f'{opening} role="img" aria-labelledby="{prefix}-title {prefix}-desc" '
        f'style="--width: {width}px; stroke-linejoin: round; stroke-linecap: butt">\n'
        f'<title id="{prefix}-title">{escape(name.replace("_", " ").replace("-", " "))}</title>\n'
        f'<desc id="{prefix}-desc">{escape(alt)}</desc>\n{body}</svg>'
    )


def _with_own_ids(body: str, prefix: str) -> str:
    """Prefix every id and every reference to one: ``href="#x"`` and ``url(#x)``."""
    ids = set(_IDS.findall(body))

    def owned(match: re.Match[str]) -> str:
        before, id, after = match.groups()
        return f"{before}{prefix}-{id}{after}" if id in ids else match.group()

    for pattern in (r'(\bid=")([^"]+)(")', r'(href="#)([^"]+)(")', r"(url\(#)([^)]+)(\))"):
        body = re.sub(pattern, owned, body)
    return body

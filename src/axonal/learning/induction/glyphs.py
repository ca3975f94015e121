"""Real exemplars that need no download: letters of the DejaVu fonts that matplotlib ships.

A class is a letter (Latin, Greek, Cyrillic, Armenian, Georgian...), an exemplar a typeface: its
image is described by a histogram of oriented gradients, projected to the wanted width by a fixed
random matrix. Like the paper's ResNet features, these share a large mean.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError

#: Exemplars of a class, in this order.
TYPEFACES: tuple[dict[str, Any], ...] = (
    {"family": "DejaVu Sans"},
    {"family": "DejaVu Serif"},
    {"family": "DejaVu Sans Mono"},
    {"family": "DejaVu Sans", "weight": "bold"},
    {"family": "DejaVu Serif", "style": "italic"},
)
PIXELS = 48
_CELL, _ANGLES = 6, 8


def glyph_features(
    classes: int, dim: int = 512, *, exemplars: int = 1, centred: bool = False, seed: int = 0
) -> Tensor:
    """Return features of letters, each of norm about ``sqrt(dim)``.

    Parameters
    ----------
    classes
        Letters, at most 525, in an order drawn from the seed.
    dim
        Width of the features.
    exemplars
        Typefaces, at most five.
    centred
        Whether the mean over the letters is taken off, which makes them tell apart sooner.
    seed
        Of the order of letters and of the projection.

    Returns
    -------
    Tensor
        ``(classes, exemplars, dim)``.
    """
    if not 1 <= exemplars <= len(TYPEFACES):
        raise InputError(f"There are {len(TYPEFACES)} typefaces, got exemplars={exemplars}.")
    generator = np.random.default_rng(seed)
    letters = np.array(list(_letters()))
    if classes > len(letters):
        raise InputError(f"The fonts have {len(letters)} distinct letters, got classes={classes}.")
    chosen = generator.permutation(letters)[:classes]
    described = np.stack(
        [
            [oriented_gradients(draw_letter(one, face)) for face in range(exemplars)]
            for one in chosen
        ]
    )
    width = described.shape[-1]
    features = described @ generator.normal(size=(width, dim)) / np.sqrt(width)
    if centred:
        features -= features[:, :1].mean(axis=0)
    features *= np.sqrt(dim) / np.linalg.norm(features[:, 0], axis=-1).mean()
    return torch.from_numpy(features.astype(np.float32))


def draw_letter(letter: str, typeface: int = 0) -> np.ndarray:
    """Return an image ``(48, 48)`` of a letter, ink 1 on paper 0, scaled to fill it."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    outline = TextPath((0, 0), letter, size=100, prop=FontProperties(**TYPEFACES[typeface]))
    corners = np.asarray(outline.get_extents().get_points())
    scale = 0.84 * PIXELS / max(np.ptp(corners, axis=0).max(), 1e-9)
    vertices = (np.asarray(outline.vertices) - corners.mean(axis=0)) * scale + PIXELS / 2
    ink = np.zeros((PIXELS, PIXELS), dtype=bool)
    rows, columns = np.mgrid[0:PIXELS, 0:PIXELS] + 0.5
    pixels = np.column_stack([columns.ravel(), rows.ravel()])
    for polygon in Path(vertices, outline.codes).to_polygons(closed_only=True):
        ink ^= Path(polygon).contains_points(pixels).reshape(PIXELS, PIXELS)  # holes by parity
    return ink[::-1].astype(float)


def oriented_gradients(image: np.ndarray) -> np.ndarray:
    """Return the histogram of oriented gradients: 8 angles in each cell of 6 by 6 pixels."""
    down, right = np.gradient(image)
    strength = np.hypot(down, right)
    angle = (np.arctan2(down, right) % np.pi) / np.pi * _ANGLES
    place = np.floor(angle).astype(int) % _ANGLES
    by_angle = strength[..., None] * np.eye(_ANGLES)[place]
    side = PIXELS // _CELL
    cells = by_angle.reshape(side, _CELL, side, _CELL, _ANGLES).sum(axis=(1, 3))
    return cells.ravel() / max(float(np.linalg.norm(cells)), 1e-9)


def _letters() -> Iterator[str]:
    """Yield letters that every typeface has, none of which decomposes into another and a mark."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    faces = [get_font(findfont(FontProperties(**face))).get_charmap() for face in TYPEFACES]
    shared = set(faces[0]).intersection(*faces[1:])
    seen: set[bytes] = set()
    for code in sorted(shared):
        letter = chr(code)
        plain = unicodedata.normalize("NFKD", letter) == letter
        if unicodedata.category(letter) in ("Ll", "Lu") and plain:
            image = draw_letter(letter).tobytes()
            if image not in seen:  # Latin A and Greek Alpha are one picture
                seen.add(image)
                yield letter

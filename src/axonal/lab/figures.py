"""One look for every figure: quiet axes, a palette the colour-blind can tell apart, exact SVG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axonal.lab.files import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's colours (2008) without yellow, which is too light for lines on white, in an
#: order whose first entries differ most in lightness too.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D")


@contextmanager
def style() -> Iterator[None]:
    """Draw in the library's look: ``with style(): figure, axes = plt.subplots()``.

    Sets the non-interactive back end's defaults for the block only.
    """
    import matplotlib as mpl

    with mpl.rc_context(_settings()):
        yield


def save_svg(figure: Figure, path: Path) -> None:
    """Save a figure as SVG that is the same for the same figure, and close it.

    Text becomes outlines, so that the file looks the same without the font; ids depend on the
    file's name alone; no date is written.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    settings: dict[Any, Any] = {
        "svg.fonttype": "path",
        "svg.hashsalt": path.stem,
        "svg.image_inline": True,
    }
    with mpl.rc_context(settings), whole(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


def _settings() -> dict[Any, Any]:
    from cycler import cycler

    ink, quiet = "#222222", "#888888"
    return {
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": quiet,
        "axes.labelcolor": ink,
        "axes.labelsize": 10,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.titlecolor": ink,
        "axes.linewidth": 0.8,
        "axes.grid": False,
        "figure.figsize": (5.6, 3.4),
        "figure.facecolor": "white",
        "figure.constrained_layout.use": True,
        "savefig.facecolor": "white",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10,
        "grid.color": "#DDDDDD",
        "image.cmap": "viridis",
        "legend.frameon": False,
        "legend.fontsize": 9,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "text.color": ink,
        "xtick.color": quiet,
        "ytick.color": quiet,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
    }

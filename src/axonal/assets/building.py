"""Build an asset here from other assets, by a program of this library.

The program is a module, run as ``python -m MODULE BASE INTO SEED`` in a process of its own: this
room names it and knows nothing else of it. It ends when the process that pulls the asset ends.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from axonal.assets import store
from axonal.assets.catalogue import Recipe
from axonal.assets.processes import ProgramError, run
from axonal.assets.store import Progress
from axonal.errors import AxonalError

_STEP = re.compile(r"^axonal: step (\d+) of (\d+)$", re.MULTILINE)


def report_step(done: int, total: int) -> None:
    """Tell the process that waits for this program how far it is."""
    print(f"axonal: step {done} of {total}", flush=True)


def build(
    name: str, recipe: Recipe, into: Path, scratch: Path, progress: Progress
) -> dict[str, Any]:
    """Run the recipe into an existing folder; return what the card says of the origin.

    Parameters
    ----------
    name
        The asset's.
    recipe
        Its base is here already.
    into, scratch
        Where the files go, and where the program's words are kept while it runs.
    progress
        Told about the steps.
    """
    log = scratch / "build.log"
    what = f"{recipe.verb} {recipe.base}, about {recipe.minutes:g} min"
    progress(what, 0, 1)

    def watch() -> None:
        if steps := _STEP.findall(log.read_text(encoding="utf-8", errors="replace")):
            progress(what, int(steps[-1][0]), int(steps[-1][1]))

    command = [sys.executable, "-P", "-m", recipe.module, recipe.base, str(into), str(recipe.seed)]
    try:
        run(command, log, watch, {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"})
    except ProgramError as error:
        lines = [line for line in error.said.splitlines() if line and not _STEP.match(line)]
        last = lines[-1] if lines else "the process was killed, perhaps for lack of memory"
        raise AxonalError(f"{name} could not be built: {last[:300]}") from error
    card = store.read_card(recipe.base)
    base = card["origin"]["words"] if card else "unknown"
    return {
        "kind": "recipe",
        "module": recipe.module,
        "seed": recipe.seed,
        "base": {"name": recipe.base, "origin": base},
        "words": f"built here by {recipe.module}, seed {recipe.seed}, from {recipe.base} ({base})",
    }

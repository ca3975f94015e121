"""The errors a user meets: one clear sentence that says what came, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AxonalError(Exception):
    """Something failed that is not the user's input (a full disk, no network). Exit status 1."""


class InputError(AxonalError, ValueError):
    """What the user passed does not fit. Exit status 2."""


class MissingDependencyError(AxonalError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return a half-sentence that names what the user may have meant, or what there is.

    ``nearest("smolm", ["smollm2", "gpt2"])`` gives ``"did you mean smollm2?"``.
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=count, cutoff=0.4)
    if close:  # beside a name that is nearly it, those that are only a little like it say nothing
        best = difflib.SequenceMatcher(None, name, close[0]).ratio()
        close = difflib.get_close_matches(name, known, n=count, cutoff=max(0.4, 0.75 * best))
    if name and not close:  # a long name that was cut short
        begins = {one[: len(name)]: one for one in reversed(known)}
        close = [begins[start] for start in difflib.get_close_matches(name, begins, n=count)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known are: {', '.join(known) if known else 'none'}"


def require(module: str, extra: str) -> object:
    """Import an optional library where it is used; a missing one is named with its extra."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise MissingDependencyError(
            f"This needs {module.split('.')[0]}, which is not installed: pip install 'axonal[{extra}]'"
        ) from error

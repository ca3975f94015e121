"""Which studies there are: entry points of installed packages, and files of one's own."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from axonal.errors import AxonalError, InputError, nearest
from axonal.lab.study import Study

GROUP = "axonal.studies"


@dataclass(frozen=True)
class Entry:
    """A registered study, or why it can't be loaded."""

    slug: str
    study: Study[Any] | None
    broken: str | None = None


def entries() -> list[Entry]:
    """Load every registered study; a broken one is listed with its reason and harms no other."""
    found = []
    for slug in sorted({point.name for point in entry_points(group=GROUP)}):
        try:
            found.append(Entry(slug, _load_registered(slug)))
        except (Exception, SystemExit) as error:  # whatever a plug-in raises at import
            found.append(Entry(slug, None, _reason(error)))
    return found


def load(name: str | Path) -> Study[Any]:
    """Return a study by its slug, or from a file (``./my_study.py``)."""
    text = str(name)
    if text.endswith(".py") or "/" in text or "\\" in text:
        return _load_file(Path(text))
    slugs = {point.name for point in entry_points(group=GROUP)}
    if text not in slugs:
        raise InputError(f"There is no study {text!r}: {nearest(text, slugs)}")
    try:
        return _load_registered(text)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise AxonalError(f"The study {text} can't be loaded: {_reason(error)}") from error


def source_of(study: Study[Any]) -> str:
    """Return what `load` takes to find a study again: its slug, or the file it came from."""
    return study.source_file or study.slug


def _load_registered(slug: str) -> Study[Any]:
    point = next(point for point in entry_points(group=GROUP) if point.name == slug)
    study = point.load()
    if not isinstance(study, Study):
        raise InputError(f"{point.value} is no Study; got {type(study).__name__}")
    if study.slug != slug:
        raise InputError(f"{point.value} has the slug {study.slug!r} but is registered as {slug!r}")
    return study


def _load_file(path: Path) -> Study[Any]:
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    path = path.resolve()
    name = f"axonal_study_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{path} can't be loaded: {_reason(error)}") from error
    found = [value for value in vars(module).values() if isinstance(value, Study)]
    if len(found) != 1:
        raise InputError(f"{path} defines {len(found)} studies; expected one, named study")
    _send_by_value(module)
    found[0].source_file = str(path)
    return found[0]


def _send_by_value(module: ModuleType) -> None:
    """Let workers of a sweep have the functions of a module that they can't import by name."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__

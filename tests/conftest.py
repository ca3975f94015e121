"""Fixtures that several rooms share."""

from __future__ import annotations

import functools
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a worker take the tests of one file, or those of one study, together."""
    for item in items:
        called = getattr(item, "callspec", None)
        names = (
            [
                value
                for value in called.params.values()
                if isinstance(value, str) and value in _slugs()
            ]
            if called
            else []
        )
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {' '.join(names)}"))


@functools.cache
def _slugs() -> frozenset[str]:
    return frozenset(point.name for point in entry_points(group="axonal.studies"))


@pytest.fixture(scope="session")
def smollm2() -> LanguageModel:
    """SmolLM2-135M-Instruct in float32, pulled once into the user's own cache."""
    from axonal.language.models import load

    return load("smollm2-135m-instruct")

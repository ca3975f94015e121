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
        study = next((slug for slug in _slugs() if f"[{slug}" in item.nodeid), "")
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {study}"))


@functools.cache
def _slugs() -> frozenset[str]:
    return frozenset(point.name for point in entry_points(group="axonal.studies"))


@pytest.fixture(scope="session")
def smollm2() -> LanguageModel:
    """SmolLM2-135M-Instruct in float32, pulled once into the user's own cache."""
    from axonal.language.models import load

    return load("smollm2-135m-instruct")

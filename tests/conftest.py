"""Fixtures that several rooms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel


@pytest.fixture(scope="session")
def smollm2() -> LanguageModel:
    """SmolLM2-135M-Instruct in float32, pulled once into the user's own cache."""
    from axonal.language.models import load

    return load("smollm2-135m-instruct")

"""A small study of noisy numbers, as the tests of the lab need it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from pydantic import Field

from axonal.lab import Claim, Greater, Paper, Session, Study, StudyConfig, Within


class Config(StudyConfig):
    repeats: int = Field(20, ge=2, le=1000, description="independent repeats")
    shift: float = Field(1.0, description="how far apart the two means are")


def measure(config: Config, session: Session) -> None:
    rng = session.rng("noise")
    session.measure("a", config.shift + rng.normal(0, 0.1, config.repeats), "mV")
    session.measure("b", rng.normal(0, 0.1, config.repeats), "mV")


@pytest.fixture
def make_study() -> Callable[..., Study[Any]]:
    def make(run: Callable[..., None] | None = measure, **overrides: Any) -> Study[Any]:
        declared: dict[str, Any] = {
            "slug": "two-means",
            "paper": Paper("Two means", "2508.21258", date(2025, 8, 28), authors=3),
            "area": "statistics",
            "config": Config,
            "presets": {"smoke": {"repeats": 8}, "full": {"repeats": 500}},
            "claims": [
                Claim("a-above-b", "a is above b", "1 against 0", "abstract", Greater("a", "b")),
                Claim("a-near-one", "a is near one", "1.0", "table 1", Within("a", 0.5, 1.5)),
            ],
            "scale": lambda config: f"{config.repeats} simulated repeats",
            "minutes": {"laptop": 0.1},
            "data": "Simulated normal values.",
            "example": "    import math\n    print(math.pi)",
        }
        study = Study(**(declared | overrides))
        if run is not None:
            study.run(run)
        return study

    return make


@pytest.fixture
def study(make_study) -> Study[Any]:
    return make_study()

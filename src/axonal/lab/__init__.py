"""What a study is, and how one is run, judged, stored and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axonal.lab.session import Session
from axonal.lab.study import Claim, Paper, Study, StudyConfig
from axonal.lab.tests import (
    All,
    Decreasing,
    Equals,
    Greater,
    Increasing,
    InteriorMaximum,
    Less,
    Within,
)

if TYPE_CHECKING:
    from axonal.lab.runner import resume, run_study
    from axonal.lab.runs import Run

__all__ = [
    "All",
    "Claim",
    "Decreasing",
    "Equals",
    "Greater",
    "Increasing",
    "InteriorMaximum",
    "Less",
    "Paper",
    "Run",
    "Session",
    "Study",
    "StudyConfig",
    "Within",
    "resume",
    "run_study",
]


def __getattr__(name: str) -> Any:
    """Load what needs numpy only when it is asked for, so that declaring a study stays quick."""
    if name in ("resume", "run_study"):
        from axonal.lab import runner

        return getattr(runner, name)
    if name == "Run":
        from axonal.lab.runs import Run

        return Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

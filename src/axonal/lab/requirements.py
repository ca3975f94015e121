"""The assets a run needs, fetched before its folder is made, where the user can see it."""

from __future__ import annotations

from typing import Any

from axonal.lab.progress import Reporter
from axonal.lab.study import Study, StudyConfig


def assets_of(study: Study[Any], config: StudyConfig) -> list[str]:
    """Return which of a study's assets this configuration uses.

    An asset that some setting names by default is used only while the setting still names it;
    the others are always used.
    """
    usual = set(_texts(study.configuration().model_dump(mode="json")))
    now = set(_texts(config.model_dump(mode="json")))
    return [name for name in study.requires if name in now or name not in usual]


def fetch(study: Study[Any], config: StudyConfig, reporter: Reporter) -> None:
    """Pull the assets a configuration uses and that are not here yet."""
    names = assets_of(study, config)
    if not names:
        return
    from axonal import assets

    for name in names:
        if assets.status(name).state != "ready":
            pull(name, reporter)


def pull(name: str, reporter: Reporter, *, again: bool = False) -> None:
    """Pull one asset and tell how far it is."""
    from axonal import assets

    running: list[str] = []

    def follow(what: str, done: int, total: int) -> None:
        label = f"{name}: {what}"
        if running != [label]:
            stop()
            running.append(label)
            reporter.begin(label, total)
        reporter.advance(label, done, total)

    def stop() -> None:
        while running:
            reporter.end(running.pop())

    try:
        assets.pull(name, follow, again=again)
    finally:
        stop()


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return []

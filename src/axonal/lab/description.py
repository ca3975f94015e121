"""A study in words that a run folder keeps, so that it can be read and judged without the study."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from axonal.files import sha256
from axonal.lab.registry import source_of
from axonal.lab.study import Study, StudyConfig
from axonal.lab.tests import to_json


def describe_study(study: Study[Any]) -> dict[str, Any]:
    """Return what a study declares, as JSON: ``study.json`` of every run."""
    paper = study.paper
    return {
        "slug": study.slug,
        "source": source_of(study),
        "source_sha256": _source_digest(study),
        "area": study.area,
        "paper": {
            "title": paper.title,
            "arxiv": paper.arxiv,
            "published": paper.published.isoformat(),
            "authors": paper.authors if isinstance(paper.authors, int) else list(paper.authors),
            "url": paper.link,
            "code": paper.code,
        },
        "presets": {name: dict(values) for name, values in study.presets.items()},
        "minutes": dict(study.minutes),
        "untested": list(study.untested),
        "requires": list(study.requires),
        "data": study.data.strip(),
        "example": inspect.cleandoc(study.example),
        "settings": settings(study.config),
        "claims": [
            {
                "id": claim.id,
                "statement": claim.statement,
                "reported": claim.reported,
                "source": claim.source,
                "test": to_json(claim.test),
                "asks": str(claim.test),
                "needs": claim.needs,
            }
            for claim in study.claims
        ],
    }


def settings(config: type[StudyConfig]) -> dict[str, dict[str, Any]]:
    """Return every setting's description, type in words and default."""
    defaults = config.model_construct().model_dump(mode="json", warnings=False)
    return {
        name: {
            "description": str(field.description),
            "type": _type_words(field.annotation),
            "default": defaults.get(name),
        }
        for name, field in config.model_fields.items()
    }


def changed_settings(study: Study[Any], preset: str, config: StudyConfig) -> dict[str, Any]:
    """Return the settings in which a configuration differs from its preset."""
    usual = study.configuration(preset).model_dump(mode="json")
    now = config.model_dump(mode="json")
    return {name: value for name, value in now.items() if value != usual.get(name)}


def scale_words(preset: str, changed: Mapping[str, Any], scale: str) -> str:
    """Say at which scale a verdict holds: ``at laptop scale (prompts = 8), on SmolLM2``."""
    own = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return f"at {preset} scale{f' ({own})' if own else ''}, on {scale.removeprefix('on ')}"


def _source_digest(study: Study[Any]) -> str | None:
    """The digest of the file that defines the study's run function."""
    try:
        source = inspect.getsourcefile(study.function)
        if source is None:
            return None
        return sha256(Path(source))
    except (OSError, TypeError):
        return None


def _type_words(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return text.replace("typing.", "").replace("collections.abc.", "").replace("pathlib.", "")

"""What a study is: a paper, a typed configuration, claims declared before the run, and a `run`.

A study declares; it never judges. Its claims are tests on named measurements, and the lab computes
every verdict from them (`axonal.lab.judge`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from axonal.errors import InputError, nearest
from axonal.lab.tests import Test, measurements_of

if TYPE_CHECKING:
    from axonal.lab.session import Session

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class StudyConfig(BaseModel):
    """Base of every study's configuration: frozen, every key known, every field described."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


C = TypeVar("C", bound=StudyConfig)


@dataclass(frozen=True)
class Paper:
    """The paper a study re-runs.

    Parameters
    ----------
    title, arxiv, published
        As the paper states them; `arxiv` is the identifier (``"2508.21258"``) or None.
    authors
        Their names, or how many there are.
    url, code
        Where the paper and the authors' code are, when they are public.
    """

    title: str
    arxiv: str | None
    published: date
    authors: int | tuple[str, ...]
    url: str | None = None
    code: str | None = None

    def __post_init__(self) -> None:
        if self.arxiv is not None and not re.fullmatch(r"[a-z.-]*/?\d[\d.]*(v\d+)?", self.arxiv):
            raise InputError(
                f"A paper's arxiv is an identifier such as '2508.21258', or None; got {self.arxiv!r}"
            )

    @property
    def link(self) -> str | None:
        """Where to read the paper."""
        return self.url or (f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else None)


@dataclass(frozen=True)
class Claim:
    """One checkable statement of a paper.

    Parameters
    ----------
    id
        A short slug, unique in the study.
    statement
        What is claimed, in one sentence that this run can support or not.
    reported
        What the paper reports, with its numbers and setting.
    source
        Where: ``"abstract"``, ``"figure 3"``, ``"table 2"``.
    test
        What must hold of the measurements.
    needs
        ``"full"`` when a smaller scale can't test the claim: its verdict is then `not tested`.
    """

    id: str
    statement: str
    reported: str
    source: str
    test: Test
    needs: Literal["full"] | None = None

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.id):
            raise InputError(f"A claim's id is words joined by hyphens; got {self.id!r}")
        if self.needs not in (None, "full"):
            raise InputError(f"Claim {self.id}: needs is None or 'full'; got {self.needs!r}")
        if not isinstance(self.test, Test):
            raise InputError(
                f"Claim {self.id}: test is one of the lab's tests, such as Greater('a', 'b'); "
                f"got {self.test!r}"
            )


@dataclass(eq=False)
class Study(Generic[C]):
    """One paper, ready to run. Checked when built: a study is valid or does not exist.

    Parameters
    ----------
    slug
        The paper's name in the library (``"relevance-patching"``).
    paper, area
        The paper, and the field it belongs to.
    config
        The type of the configuration; every field has a description.
    presets
        Overrides by preset: ``smoke`` (seconds), ``laptop`` (minutes; the defaults), ``full``.
    claims
        What is judged, in the order shown.
    scale
        The words that go with every verdict, from a configuration; they follow "at laptop scale,
        on": ``"SmolLM2-135M-Instruct, 16 prompts"``.
    minutes
        How long a preset takes on two cores.
    requires
        Names of assets (models, data).
    data
        Where the data come from and their licence, or what is simulated under which assumptions.
    example
        Ten lines of use of the method, as Python source.
    untested
        Presets that have never been run.
    """

    slug: str
    paper: Paper
    area: str
    config: type[C]
    presets: Mapping[str, Mapping[str, Any]]
    claims: Sequence[Claim]
    scale: Callable[[C], str]
    minutes: Mapping[str, float]
    requires: Sequence[str] = ()
    data: str = ""
    example: str = ""
    untested: Sequence[str] = ()
    source_file: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._function: Callable[[C, Session], None] | None = None
        if not SLUG.fullmatch(self.slug):
            raise InputError(
                f"A study's slug is lower-case words joined by hyphens; got {self.slug!r}"
            )
        self.presets = {"laptop": {}, **self.presets}
        self._check_config()
        self._check_claims()
        for name, presets in (("minutes", self.minutes), ("untested", self.untested)):
            for preset in presets:
                if preset not in self.presets:
                    raise InputError(
                        f"{self.slug}: {name} names the preset {preset!r}; "
                        f"there are {', '.join(self.presets)}"
                    )

    def run(self, function: Callable[[C, Session], None]) -> Callable[[C, Session], None]:
        """Declare the function that does the study (a decorator)."""
        if self._function is not None:
            raise InputError(f"{self.slug} already has a run function; a study has exactly one")
        self._function = function
        return function

    @property
    def function(self) -> Callable[[C, Session], None]:
        """What `run` declared."""
        if self._function is None:
            raise InputError(f"{self.slug} has no run function; declare one with @study.run")
        return self._function

    def configuration(self, preset: str = "laptop", /, **overrides: Any) -> C:
        """Return the configuration of a preset with single values replaced.

        A key or value that does not fit is an `InputError` that names the key, what came and what
        is allowed.
        """
        from axonal.lab.settings import explain

        if preset not in self.presets:
            raise InputError(
                f"{self.slug} has no preset {preset!r}: {nearest(preset, self.presets)}"
            )
        values = {**self.presets[preset], **overrides}
        try:
            return self.config.model_validate(values)
        except ValidationError as error:
            raise InputError(explain(error, self.config, self.slug)) from error

    def claim(self, id: str) -> Claim:
        """Return one claim by its id."""
        for claim in self.claims:
            if claim.id == id:
                return claim
        known = [claim.id for claim in self.claims]
        raise InputError(f"{self.slug} has no claim {id!r}: {nearest(id, known)}")

    def _check_config(self) -> None:
        if not (isinstance(self.config, type) and issubclass(self.config, StudyConfig)):
            raise InputError(
                f"{self.slug}: config is a class derived from StudyConfig; got {self.config!r}"
            )
        for name, setting in self.config.model_fields.items():
            if not setting.description:
                raise InputError(
                    f"{self.slug}: the configuration field {name!r} has no description; "
                    f"write {name}: ... = Field(..., description='what it is')"
                )
        if "smoke" not in self.presets:
            raise InputError(f"{self.slug} has no smoke preset, which its test runs in seconds")
        for preset in self.presets:
            self.configuration(preset)

    def _check_claims(self) -> None:
        if not self.claims:
            raise InputError(f"{self.slug} declares no claim; a study has at least one")
        ids = [claim.id for claim in self.claims]
        for id in ids:
            if ids.count(id) > 1:
                raise InputError(f"{self.slug} declares the claim {id!r} twice")

    @property
    def measurements(self) -> tuple[str, ...]:
        """The names of the measurements its claims speak of."""
        names = [name for claim in self.claims for name in measurements_of(claim.test)]
        return tuple(dict.fromkeys(names))

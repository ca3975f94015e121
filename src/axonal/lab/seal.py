"""Check a run folder against itself: files against their digests, verdicts against measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from axonal.errors import AxonalError, InputError
from axonal.files import sha256
from axonal.lab.judge import judge
from axonal.lab.measurement import Measurement
from axonal.lab.registry import load
from axonal.lab.runs import Run
from axonal.lab.study import Claim
from axonal.lab.tests import from_json, to_json

SEALED = (
    "config.json",
    "study.json",
    "measurements.json",
    "claims.json",
    "notes.json",
    "figures.json",
)


@dataclass(frozen=True)
class Checked:
    """One claim of a run, judged again.

    Parameters
    ----------
    id
        The claim.
    stored, recomputed
        The verdict in ``claims.json`` and the one that the measurements give.
    """

    id: str
    stored: str
    recomputed: str

    @property
    def agrees(self) -> bool:
        """Whether both are the same."""
        return self.stored == self.recomputed


@dataclass(frozen=True)
class Verification:
    """What `verify` found: every claim judged again, and what else does not fit."""

    claims: tuple[Checked, ...]
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with the run."""
        return not self.problems


def seal(run: Run) -> dict[str, str]:
    """Return the digests of what a run found, by path inside its folder."""
    paths = [run.folder / name for name in SEALED]
    paths += sorted((run.folder / "data").glob("*.nc"))
    paths += sorted((run.folder / "figures").glob("*.svg"))
    return {
        path.relative_to(run.folder).as_posix(): sha256(path) for path in paths if path.is_file()
    }


def verify(run: Run) -> Verification:
    """Judge every claim of a finished run again, from its measurements alone.

    The tests are those that the study declares now where it can be loaded, else those the run
    folder keeps; where the two differ, that is a problem too.
    """
    if not run.finished:
        raise InputError(
            f"{run.folder} is unfinished; continue it with: axonal resume {run.folder}"
        )
    problems = _changed_files(run)
    measurements: dict[str, Measurement] = {}
    for name, kept in run.measurements.items():
        measurements[name] = Measurement.from_json(name, kept)
        again = measurements[name].to_json()
        if any(again[key] != kept.get(key) for key in ("mean", "low", "high")):
            problems.append(
                f"{name}: mean or interval in measurements.json is not that of its values"
            )
    declared, declaration_problems = _declared(run)
    problems += declaration_problems
    stored = {kept["id"]: kept for kept in run.claims}
    preset = run.about["preset"]
    checked = []
    for claim in declared:
        kept = stored.pop(claim.id, None)
        judgement = judge(claim, measurements, preset)
        verdict = kept["verdict"] if kept else "absent"
        checked.append(Checked(claim.id, verdict, judgement.verdict))
        if not checked[-1].agrees:
            problems.append(
                f"{claim.id}: claims.json says {verdict}, the measurements say {judgement.verdict}"
            )
        elif kept and kept["detail"] != judgement.detail:
            problems.append(
                f"{claim.id}: the detail in claims.json is not what the measurements say"
            )
    problems += [f"{id}: claims.json has a claim that was never declared" for id in stored]
    return Verification(tuple(checked), tuple(problems))


def _changed_files(run: Run) -> list[str]:
    sealed: dict[str, str] = run.about.get("sha256", {})
    found = []
    for name, digest in sealed.items():
        path = run.folder / name
        if not path.is_file():
            found.append(f"{name} is gone")
        elif sha256(path) != digest:
            found.append(f"{name} was changed after the run")
    return found


def _declared(run: Run) -> tuple[list[Claim], list[str]]:
    """Return the claims to judge by, and how the folder's differ from the study's."""
    kept = [_claim(description) for description in run.study["claims"]]
    try:
        now = list(load(run.study["source"]).claims)
    except AxonalError:
        return kept, []
    tests = {claim.id: (to_json(claim.test), claim.needs) for claim in now}
    differ = [
        f"{claim.id}: the study now declares another test than this run was judged by"
        for claim in kept
        if claim.id in tests and tests[claim.id] != (to_json(claim.test), claim.needs)
    ]
    differ += [
        f"{claim.id}: the study no longer declares it" for claim in kept if claim.id not in tests
    ]
    return kept, differ


def _claim(description: dict[str, Any]) -> Claim:
    return Claim(
        id=description["id"],
        statement=description["statement"],
        reported=description["reported"],
        source=description["source"],
        test=from_json(description["test"]),
        needs=description["needs"],
    )

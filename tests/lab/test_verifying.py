"""A run is judged again from its measurements alone; what was tampered with is found."""

from __future__ import annotations

import json

import pytest

from axonal.errors import InputError
from axonal.files import sha256
from axonal.lab import Claim, Greater, run_study
from axonal.lab.runner import begin
from axonal.lab.seal import verify


@pytest.fixture
def run(study, tmp_path):
    return run_study(study, "smoke", home=tmp_path)


def edit(run, name, change, *, reseal=False):
    """Change a JSON file of a run, and with `reseal` its digest too, as a careful forger would."""
    path = run.folder / name
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))
    if reseal:
        about = run.about
        about["sha256"][name] = sha256(path)
        (run.folder / "run.json").write_text(json.dumps(about))


def test_an_untouched_run_is_sound(run):
    found = verify(run)
    assert found.sound
    assert [(claim.stored, claim.recomputed) for claim in found.claims] == [
        ("supported", "supported")
    ] * 2


def test_a_verdict_that_was_changed_is_found(run):
    def forge(claims):
        claims[1]["verdict"] = "not supported"

    edit(run, "claims.json", forge, reseal=True)
    found = verify(run)
    assert not found.sound
    assert [claim.agrees for claim in found.claims] == [True, False]
    assert "claims.json says not supported, the measurements say supported" in found.problems[0]


def test_a_detail_that_was_changed_is_found(run):
    edit(run, "claims.json", lambda claims: claims[0].update(detail="9 against 0."), reseal=True)
    assert any("detail" in problem for problem in verify(run).problems)


def test_measurements_that_were_changed_are_found(run):
    def forge(kept):
        kept["a"]["values"] = [-value for value in kept["a"]["values"]]

    edit(run, "measurements.json", forge, reseal=True)
    problems = " ".join(verify(run).problems)
    assert "mean or interval" in problems
    assert "a-above-b: claims.json says supported, the measurements say not supported" in problems


def test_a_mean_that_is_not_that_of_its_values_is_found(run):
    edit(run, "measurements.json", lambda kept: kept["a"].update(mean=17.0), reseal=True)
    assert verify(run).problems == (
        "a: mean or interval in measurements.json is not that of its values",
    )


@pytest.mark.parametrize("name", ["config.json", "measurements.json", "study.json"])
def test_any_change_of_a_sealed_file_is_found(run, name):
    path = run.folder / name
    path.write_text(path.read_text() + "\n")
    assert f"{name} was changed after the run" in verify(run).problems


def test_a_sealed_file_that_is_gone_is_found(run):
    edit(run, "run.json", lambda about: about["sha256"].update({"data/x.nc": "0" * 64}))
    assert "data/x.nc is gone" in verify(run).problems


@pytest.mark.parametrize("more", [True, False], ids=["one added", "one removed"])
def test_a_claim_that_was_added_or_removed_is_found(run, more):
    def forge(claims):
        return [*claims, {**claims[0], "id": "better"}] if more else claims[:1]

    edit(run, "claims.json", forge, reseal=True)
    problems = " ".join(verify(run).problems)
    assert ("never declared" if more else "claims.json says absent") in problems


def test_a_test_that_the_study_no_longer_declares_is_found(make_study, tmp_path, monkeypatch):
    run = run_study(make_study(), "smoke", home=tmp_path)
    harder = make_study(
        claims=[
            Claim("a-above-b", "a is above b", "1 against 0", "abstract", Greater("a", "b", by=2))
        ]
    )
    monkeypatch.setattr("axonal.lab.seal.load", lambda source: harder)
    assert verify(run).problems == (
        "a-above-b: the study now declares another test than this run was judged by",
        "a-near-one: the study no longer declares it",
    )


def test_an_unfinished_run_has_nothing_to_verify(study, tmp_path):
    with pytest.raises(InputError, match="axonal resume"):
        verify(begin(study, "smoke", home=tmp_path))

"""The ledger says of every claim what its best run found, and at which scale."""

from __future__ import annotations

import pytest

from axonal.lab import Claim, Greater, run_study
from axonal.lab.comparison import compare
from axonal.lab.ledger import latest_runs, ledger, tally
from axonal.lab.registry import Entry
from axonal.lab.runner import begin


@pytest.fixture
def home(tmp_path):
    return tmp_path


def test_a_study_that_never_ran_is_not_tested(study, home):
    rows = ledger(home, [Entry(study.slug, study)])
    assert [row.verdict for row in rows] == ["not tested"] * 2
    assert all(row.run is None and row.scale == "" for row in rows)


def test_a_verdict_stands_with_its_scale(study, home):
    run = run_study(study, "smoke", home=home)
    rows = ledger(home, [Entry(study.slug, study)])
    assert rows[0].verdict == "supported"
    assert rows[0].scale == "at smoke scale, on 8 simulated repeats"
    assert rows[0].run == str(run.folder)
    assert tally(rows) == {"supported": 2}


def test_a_smoke_run_does_not_displace_a_laptop_run(study, home):
    laptop = run_study(study, home=home)
    run_study(study, "smoke", home=home)
    assert latest_runs(home)["two-means"] == laptop
    newer = run_study(study, home=home, seed=1)
    assert latest_runs(home)["two-means"] in (laptop, newer)
    full = run_study(study, "full", home=home)
    assert latest_runs(home)["two-means"] == full


def test_an_unfinished_run_has_no_say(study, home):
    begin(study, "laptop", home=home)
    assert latest_runs(home) == {}


def test_a_claim_whose_test_has_changed_is_not_tested_until_it_runs_again(make_study, home):
    run_study(make_study(), "smoke", home=home)
    changed = make_study(
        claims=[
            Claim("a-above-b", "a is above b", "", "abstract", Greater("a", "b", by=5)),
            Claim("brand-new", "a is positive", "", "abstract", Greater("a", 0)),
        ]
    )
    rows = ledger(home, [Entry(changed.slug, changed)])
    assert [row.verdict for row in rows] == ["not tested"] * 2
    assert "has changed" in rows[0].detail
    assert "Newer" in rows[1].detail


def test_runs_of_a_file_and_of_a_study_that_is_gone_are_in_the_ledger(study, home):
    run_study(study, "smoke", home=home)
    assert [row.slug for row in ledger(home, [])] == ["two-means"] * 2
    assert [row.verdict for row in ledger(home, [Entry("two-means", None, "broken")])] == [
        "supported"
    ] * 2


def test_a_damaged_run_folder_harms_no_other(study, home):
    run = run_study(study, "smoke", home=home)
    (home / "two-means" / "20200101T000000Z-full-0").mkdir()
    (home / "two-means" / "20200101T000000Z-full-0" / "run.json").write_text("{")
    assert latest_runs(home) == {"two-means": run}


def test_two_runs_of_one_seed_are_the_same_and_differ_nowhere(study, home):
    found = compare(*(run_study(study, "smoke", home=home) for _ in range(2)))
    assert [row.difference for row in found.measurements] == ["same", "same"]
    assert found.settings == ()
    assert found.environment == ()
    assert all(row.difference == "" for row in found.claims)


def test_a_comparison_shows_what_differs(study, home):
    found = compare(
        run_study(study, "smoke", home=home),
        run_study(study, "smoke", {"shift": -1.0}, home=home, seed=1),
    )
    assert {row.name for row in found.settings} == {"seed", "shift"}
    a = {row.name: row for row in found.measurements}["a"]
    assert a.difference.startswith("-2")
    assert "[" in a.difference
    assert {row.name: row.difference for row in found.claims}["a-above-b"] == "differs"

"""A run is a folder that is whole, or says that it is not."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from axonal.errors import AxonalError, InputError
from axonal.lab import resume, run_study, runs
from axonal.lab.files import whole, write_json, write_text
from axonal.lab.runner import begin, carry_out, summary
from axonal.lab.runs import Run

FILES = {
    "claims.json",
    "config.json",
    "environment.json",
    "measurements.json",
    "progress.jsonl",
    "report.html",
    "run.json",
    "study.json",
}


def test_a_finished_run_has_everything_and_nothing_half_written(study, tmp_path):
    run = run_study(study, "smoke", home=tmp_path)
    assert run.finished
    assert run.folder.parent == tmp_path / "two-means"
    assert run.folder.name.endswith("-smoke-0")
    assert {path.name for path in run.folder.iterdir()} == FILES
    assert run.config == {"repeats": 8, "shift": 1.0}
    events = [json.loads(line) for line in (run.folder / "progress.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "finish"]


def test_the_environment_says_what_the_run_stood_on(study, tmp_path):
    found = run_study(study, "smoke", home=tmp_path, seed=7).environment
    assert found["seed"] == 7
    assert found["cores"] >= 1
    assert set(found["packages"]) >= {"numpy", "scipy", "torch"}
    assert set(found) >= {"axonal", "commit", "python", "platform", "processor", "threads"}


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(study, tmp_path):
    first, again, other = (
        run_study(study, "smoke", home=tmp_path, seed=seed).measurements for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


CARELESS = """
import sys
from axonal.lab.seeding import seeded

for attempt in range(2):
    assert ("torch" in sys.modules) == (attempt == 1)
    with seeded(3):
        import random
        import numpy
        import torch

        print(random.random(), numpy.random.rand(), torch.rand(1).item())
    assert not [finder for finder in sys.meta_path if "Seed" in type(finder).__name__]
"""


def test_global_streams_are_seeded_too_also_before_torch_is_loaded():
    found = subprocess.run(
        [sys.executable, "-c", CARELESS], capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr
    first, again = found.stdout.splitlines()
    assert first == again


def test_a_study_that_draws_from_global_streams_is_repeated_by_its_seed(make_study, tmp_path):
    def careless(config, session):
        import random

        import torch

        session.measure("a", random.random(), exact=True)
        session.measure("b", torch.rand(1).item(), exact=True)

    study = make_study(careless)
    first, again = (run_study(study, "smoke", home=tmp_path).measurements for _ in range(2))
    assert first == again


def test_the_summary_has_the_keys_that_others_rely_on(study, tmp_path):
    run = run_study(study, "smoke", {"shift": 2.0}, home=tmp_path)
    found = json.loads(json.dumps(summary(run), allow_nan=False))
    assert set(found) >= {"slug", "preset", "seed", "seconds", "run", "measurements", "claims"}
    assert set(found["measurements"]["a"]) >= {"values", "unit", "mean", "low", "high"}
    for claim in found["claims"]:
        assert set(claim) >= {"id", "statement", "reported", "verdict", "detail"}
    assert Path(found["run"]).is_dir()
    assert found["scale"] == "at smoke scale (shift = 2.0), on 8 simulated repeats"


def test_two_runs_of_one_second_have_folders_of_their_own(study, tmp_path):
    made = {runs.create("x", "smoke", 0, tmp_path).folder for _ in range(3)}
    assert len(made) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "smok"}, "did you mean smoke"),
        ({"seed": -1}, "at least 0"),
        ({"seed": 1.5}, "whole number"),
        ({"jobs": 0}, "at least 1"),
        ({"backend": "daks"}, "did you mean dask"),
        ({"overrides": {"repeats": 1}}, "at least 2"),
    ],
)
def test_what_does_not_fit_is_said_before_a_folder_is_made(study, tmp_path, arguments, words):
    with pytest.raises(InputError, match=words):
        run_study(study, **{"preset": "smoke", "home": tmp_path, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_before_computing_starts(study, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(AxonalError, match=r"1 MB left.*free some space"):
        run_study(study, "smoke", home=tmp_path)
    assert list((tmp_path / "two-means").iterdir()) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_said_before_computing_starts(
    study, tmp_path, monkeypatch, code
):
    def refuse(self, *arguments, **options):
        raise OSError(code, "refused")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(AxonalError, match=r"can't be written.*AXONAL_RUNS"):
        run_study(study, "smoke", home=tmp_path)


def test_a_file_in_the_way_of_the_runs_is_said(study, tmp_path):
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(AxonalError, match="a file is in its way"):
        run_study(study, "smoke", home=tmp_path / "runs")
    assert (tmp_path / "runs").read_text() == "mine"


def test_a_disk_that_fills_up_meanwhile_is_one_sentence(tmp_path, monkeypatch):
    def fill(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(AxonalError, match="is full"):
        write_text(tmp_path / "a.txt", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def tear():
        with whole(path) as temporary:
            temporary.write_text('{"a": ')
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        tear()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


def test_a_study_that_raises_leaves_a_run_that_can_be_resumed(make_study, tmp_path):
    broken = [True]

    def run(config, session):
        session.measure("a", [1.0, 1.1, 0.9])
        if broken:
            raise ValueError("half way")
        session.measure("b", [0.0, 0.1, -0.1])

    study = make_study(run)
    begun = begin(study, "smoke", home=tmp_path)
    with pytest.raises(ValueError, match="half way"):
        carry_out(study, begun)
    assert begun.state == "interrupted"
    assert set(begun.measurements) == {"a"}
    assert begun.claims == []
    broken.clear()
    finished = carry_out(study, begun)
    assert finished.finished
    assert not begun.folder.exists()
    assert set(finished.measurements) == {"a", "b"}


def test_a_finished_run_is_not_resumed(study, tmp_path):
    with pytest.raises(InputError, match="nothing to resume"):
        resume(run_study(study, "smoke", home=tmp_path))


def test_a_run_is_written_by_one_process_at_a_time(study, tmp_path):
    begun = begin(study, "smoke", home=tmp_path)
    assert begun.state == "interrupted"
    with runs.locked(begun):
        assert begun.state == "running"
        with pytest.raises(AxonalError, match="another process"):
            carry_out(study, begun)
    assert carry_out(study, begun).state == "finished"


def test_a_run_is_found_by_folder_by_name_and_by_slug(study, tmp_path):
    run = run_study(study, "smoke", home=tmp_path)
    newer = run_study(study, "smoke", home=tmp_path, seed=1)
    stopped = begin(study, "smoke", home=tmp_path, seed=2)
    stem = run.folder.name
    for name in (run.folder, str(run.folder), f"{run.folder}.partial", stem, f"two-means/{stem}"):
        assert runs.find(name, tmp_path) == run
    assert runs.find("two-means", tmp_path).about["seed"] == 2
    assert runs.find("two-means", tmp_path, unfinished=True) == stopped
    assert {found.folder for found in runs.runs(where=tmp_path)} == {
        run.folder,
        newer.folder,
        stopped.folder,
    }
    with pytest.raises(InputError, match="did you mean two-means"):
        runs.find("two-mean", tmp_path)


def test_the_home_of_the_runs_is_chosen_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("AXONAL_RUNS", str(tmp_path))
    assert runs.home() == tmp_path
    monkeypatch.delenv("AXONAL_RUNS")
    assert runs.home() == Path("runs")


def test_a_torn_file_of_a_run_is_one_sentence(study, tmp_path):
    run = run_study(study, "smoke", home=tmp_path)
    (run.folder / "claims.json").write_text('[{"id": ')
    with pytest.raises(InputError, match="can't be read as JSON"):
        _ = Run(run.folder).claims


def test_bad_input_found_before_anything_was_recorded_leaves_no_folder(make_study, tmp_path):
    def refuse(config, session):
        raise InputError("'/no/where' is no model")

    with pytest.raises(InputError, match="no model"):
        run_study(make_study(refuse), "smoke", home=tmp_path)
    assert not list(tmp_path.rglob("*.partial"))


def test_bad_input_found_later_keeps_what_was_recorded(make_study, tmp_path):
    def refuse(config, session):
        session.measure("a", [1.0, 2.0])
        raise InputError("too late")

    with pytest.raises(InputError, match="too late"):
        run_study(make_study(refuse), "smoke", home=tmp_path)
    (kept,) = tmp_path.rglob("*.partial")
    assert (kept / "measurements.json").exists()

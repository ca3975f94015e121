"""kill -9 at any moment loses nothing finished: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from axonal.lab import runs

STUDY = """
import time
from datetime import date
from pathlib import Path

from pydantic import Field

from axonal.lab import Claim, Greater, Increasing, Paper, Study, StudyConfig

LOG = Path(__file__).with_suffix(".log")


class Config(StudyConfig):
    pause_s: float = Field(0.0, description="how long each step takes")


study = Study(
    slug="steps",
    paper=Paper("Steps", None, date(2025, 1, 1), 1),
    area="statistics",
    config=Config,
    presets={"smoke": {}},
    claims=[
        Claim("one", "first is positive", "", "text", Greater("first", 0.0)),
        Claim("two", "swept values rise", "", "text", Increasing("swept")),
    ],
    scale=lambda config: "five numbers",
    minutes={},
)


def log(word):
    with LOG.open("a") as file:
        file.write(word + "\\n")


def point(x, pause_s, log_file, rng):
    with open(log_file, "a") as file:
        file.write(f"point {x:g}\\n")
    time.sleep(pause_s)
    return x + 0.01 * rng.normal()


@study.run
def run(config, session):
    import matplotlib.pyplot as plt
    import numpy as np
    import xarray as xr

    def slow():
        log("stage")
        time.sleep(config.pause_s)
        return xr.Dataset({"x": ("repeat", 1 + session.rng("stage").normal(0, 0.1, 6))})

    first = session.stage("first", slow)
    session.measure("first", first["x"].values)
    figure, axes = plt.subplots()
    axes.plot(first["x"])
    session.figure("first", figure, "A line.", "A line.")
    log("figure")
    swept = session.sweep(
        "swept",
        point,
        over={"x": np.arange(5.0)},
        repeats=3,
        fixed={"pause_s": config.pause_s / 5, "log_file": str(LOG)},
    )
    values = swept["value"].transpose("repeat", "x").values
    session.measure("swept", values, along=np.arange(5.0), along_name="x")
    log("last")
    for _ in session.track(range(5), "the end"):
        time.sleep(config.pause_s / 5)
"""

BEGUN: Callable[[Path, Path], bool] = lambda folder, log: (folder / "run.json").exists()  # noqa: E731


def logged(word: str, count: int = 1) -> Callable[[Path, Path], bool]:
    return lambda folder, log: log.exists() and log.read_text().count(word) >= count


MOMENTS = {
    "as soon as the folder is there": BEGUN,
    "inside a stage": logged("stage"),
    "after a figure": logged("figure"),
    "inside a sweep": logged("point", 8),
    "after the last measurement": logged("last"),
}


def start_in(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own, in a folder of its own."""
    study = folder / "steps.py"
    if not study.exists():
        study.write_text(STUDY)
    return subprocess.Popen(
        [sys.executable, "-m", "axonal", *words],
        cwd=folder,
        env={**os.environ, "AXONAL_RUNS": str(folder / "runs"), "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def command(tmp_path) -> Callable[..., subprocess.Popen[str]]:
    return partial(start_in, tmp_path)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> dict:
    """What a run that nobody stopped finds."""
    return done(start_in(tmp_path_factory.mktemp("straight"), "run", "./steps.py", "--json"))


def wait_for(moment, process, tmp_path) -> Path:
    """Wait until the run of a process has come to a moment, and return its folder."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        assert process.poll() is None, process.communicate()
        for folder in (tmp_path / "runs").glob("steps/*.partial"):
            if moment(folder, tmp_path / "steps.log"):
                return folder
        time.sleep(0.01)
    raise AssertionError("the moment did not come")


def done(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out)


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_killed_run_continues_and_loses_nothing_finished(command, straight, tmp_path, moment):
    process = command("run", "./steps.py", "--set", "pause_s=1")
    folder = wait_for(moment, process, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert folder.exists()
    assert runs.Run(folder).state == "interrupted"
    kept = runs.Run(folder).measurements
    log = tmp_path / "steps.log"
    before = log.read_text() if log.exists() else ""
    stored = (folder / "data" / "first.nc").exists()

    resumed = done(command("resume", str(folder), "--json"))

    assert not folder.exists()
    assert Path(resumed["run"]).name == folder.name.removesuffix(".partial")
    assert resumed["measurements"] == straight["measurements"]
    assert [claim["verdict"] for claim in resumed["claims"]] == ["supported", "supported"]
    for name in kept:
        assert resumed["measurements"][name] == kept[name]
    assert not list(Path(resumed["run"]).rglob(".unfinished-*"))
    assert (Path(resumed["run"]) / "figures" / "first.svg").exists()
    if stored:
        assert before.count("stage") == 1


def test_a_resumed_run_computes_no_stage_and_no_stored_point_again(command, tmp_path):
    process = command("run", "./steps.py", "--set", "pause_s=1.5")
    folder = wait_for(logged("point", 10), process, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done(command("resume", str(folder), "--json"))
    log = (tmp_path / "steps.log").read_text()
    assert log.count("stage") == 1
    # 15 evaluations of 0.3 s, and again those that a sweep had not stored yet: its last second
    assert 15 <= log.count("point") < 15 + 10


def test_an_interrupted_run_says_how_to_go_on(command, tmp_path):
    process = command("run", "./steps.py", "--set", "pause_s=2")
    # in a point's pause, since what others' imports do with an interrupt is not ours
    folder = wait_for(logged("point"), process, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # CPython dies of the signal itself when it came inside an import: to a shell both are 130
    assert process.returncode in (130, -signal.SIGINT)
    assert out == ""
    assert "Traceback" not in err
    last = err.strip().splitlines()[-1]
    assert f"axonal resume runs/steps/{folder.name}" in last
    assert set(runs.Run(folder).measurements) == {"first"}
    assert done(command("resume", "steps", "--json"))["slug"] == "steps"


def test_a_resume_says_where_the_ground_has_changed(command, tmp_path):
    process = command("run", "./steps.py", "--set", "pause_s=2")
    folder = wait_for(logged("stage"), process, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    study = tmp_path / "steps.py"
    study.write_text(study.read_text() + "\n# a change\n")
    resumed = done(command("resume", str(folder), "--json"))
    environment = json.loads((Path(resumed["run"]) / "environment.json").read_text())
    assert "study source" in environment["continued"][0]["differences"]
    assert "another study source" in (Path(resumed["run"]) / "report.html").read_text()

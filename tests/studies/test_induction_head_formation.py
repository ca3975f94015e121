"""The study of induction heads leaves histories that can be drawn again, and says what is censored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from axonal.lab import Run, run_study
from axonal.lab.registry import load
from axonal.learning.induction import Run as Training
from axonal.learning.induction import small_multiples


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    settings = {"classes": (6,), "labels": (3,), "features": "correlated", "checkpoints": 3}
    home = tmp_path_factory.mktemp("runs")
    return run_study(load("induction-head-formation"), "smoke", settings, home=home)


def test_histories_stay_and_weights_go(run):
    folders = sorted((run.folder / "trainings").iterdir())
    assert len(folders) == 13
    for folder in folders:
        assert not any(inside.is_dir() for inside in folder.iterdir())
        assert Training.read(folder).observed("train_loss").shape[1] == 2
    figure = small_multiples({folder.name: folder for folder in folders[:3]})
    assert len(figure.axes) == 6


def test_what_was_not_learnt_is_counted_as_the_budget_and_said(run):
    times = np.array(run.measurements["time_none"]["values"])
    assert (times == 192).all()
    notes = json.loads((run.folder / "notes.json").read_text())
    assert any(
        note.startswith("Not learnt within the budget") and "none (2 of 2)" in note
        for note in notes
    )
    assert not any("independent normal vectors" in note for note in notes)


def test_data_are_a_series_over_what_was_asked_for(run):
    assert run.measurements["time_by_labels"]["along"] == [3]
    by_classes = run.measurements["match_time_by_classes"]
    assert by_classes["values"] == [[v] for v in run.measurements["time_layer_1_copy"]["values"]]

"""A killed training that is called again ends with the weights it would have had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import adam, batches, network, squared_error, weights

from axonal.errors import AxonalError, InputError
from axonal.training import History, Observe, Snapshots, train


class Killed(BaseException):
    """What a signal would do."""


def run(folder: Path, steps: int = 20, kill_at: int | None = None, seed: int = 0):
    model = network()
    calls = {"n": 0}

    def loss(model, batch):
        calls["n"] += 1
        if calls["n"] == kill_at:
            raise Killed
        return squared_error(model, batch)

    snapshots = Snapshots(at=[0, 6, steps])
    observe = Observe("norm", lambda m, s: {"w": m[0].weight.norm()}, every=3)
    history = train(
        model,
        loss,
        batches(),
        steps=steps,
        optimizer=adam,
        schedule=lambda step: 1 / (1 + step),
        observers=[observe, snapshots],
        folder=folder,
        checkpoint_every=5,
        seed=seed,
    )
    return weights(model), history, snapshots, calls["n"]


def test_a_killed_training_resumes_to_the_same_weights_and_history(tmp_path):
    expected, history, kept, _ = run(tmp_path / "whole")
    for kill_at in (3, 13):
        folder = tmp_path / f"killed-{kill_at}"
        with pytest.raises(Killed):
            run(folder, kill_at=kill_at)
        result, resumed, snapshots, calls = run(folder)
        assert torch.equal(result, expected)
        assert resumed.loss.tolist() == history.loss.tolist()
        assert resumed.observed["norm"]["w"].tolist() == history.observed["norm"]["w"].tolist()
        assert snapshots.steps == [0, 6, 20]
        assert torch.equal(snapshots.weights(6)["0.weight"], kept.weights(6)["0.weight"])
        assert calls == 20 - 5 * ((kill_at - 1) // 5), "only what was lost is computed again"
        assert np.array_equal(History.read(folder).loss, history.loss)


def test_a_process_killed_by_the_system_resumes_too(tmp_path):
    script = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_training_resume as here; from pathlib import Path\n"
        "import small_training\n"
        "original = here.squared_error; calls = [0]\n"
        "def loss(model, batch):\n"
        "    calls[0] += 1\n"
        "    if calls[0] == 12: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return original(model, batch)\n"
        "here.squared_error = loss; here.run(Path(sys.argv[2]))\n"
    )
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(folder)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert torch.equal(run(folder)[0], run(tmp_path / "whole")[0])


def test_a_finished_training_is_not_trained_again_and_can_be_made_longer(tmp_path):
    longer, *_ = run(tmp_path / "long", steps=30)
    run(tmp_path / "short")
    result, _, _, calls = run(tmp_path / "short")
    assert calls == 0
    assert torch.equal(result, run(tmp_path / "other")[0])
    result, history, _, calls = run(tmp_path / "short", steps=30)
    assert calls == 10
    assert torch.equal(result, longer)
    assert len(history.steps) == 30


def test_a_torn_last_line_of_the_history_is_left_out(tmp_path):
    _, history, *_ = run(tmp_path / "run")
    path = tmp_path / "run" / "history.jsonl"
    path.write_text(path.read_text() + '{"step": 20, "lo')
    assert np.array_equal(History.read(tmp_path / "run").loss, history.loss)


def test_only_the_newest_checkpoint_is_kept(tmp_path):
    run(tmp_path / "run")
    folders = [p.name for p in (tmp_path / "run").iterdir() if "checkpoint" in p.name]
    assert folders == ["checkpoint-00000020"]


def test_a_folder_of_another_training_or_of_other_things_is_refused(tmp_path):
    run(tmp_path / "run")
    with pytest.raises(InputError, match="holds a training with seed 0, not 1"):
        run(tmp_path / "run", seed=1)
    other = torch.nn.Linear(8, 1)
    with pytest.raises(InputError, match="holds a training with parameters"):
        train(other, squared_error, batches(), steps=1, optimizer=adam, folder=tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="is not empty and holds no training"):
        run(tmp_path / "mine")


def test_a_damaged_checkpoint_is_named(tmp_path):
    run(tmp_path / "run")
    path = tmp_path / "run" / "checkpoint-00000020" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(AxonalError, match="checkpoint-00000020 cannot be read"):
        run(tmp_path / "run")


def test_a_folder_without_a_history_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no history\.jsonl"):
        History.read(tmp_path)

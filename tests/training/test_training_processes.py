"""Two processes that share each batch train what one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from small_training import adam, batches, network, squared_error

from axonal.training import History, train

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from small_training import adam, batches, network, squared_error
from axonal.training import train
train(network(dropout=0.0), squared_error, batches(), steps=6, optimizer=adam, folder=sys.argv[2])
"""


def test_two_processes_train_what_one_trains(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launch += ["--main_process_port", "0", str(script), str(Path(__file__).parent)]
    done = subprocess.run(
        [*launch, str(tmp_path / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    model = network(dropout=0.0)
    history = train(model, squared_error, batches(), steps=6, optimizer=adam)
    two = load_file(tmp_path / "two" / "checkpoint-00000006" / "model.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.allclose(two[name].cpu(), tensor, atol=1e-6), name
    assert np.allclose(History.read(tmp_path / "two").loss, history.loss, rtol=1e-5)

"""The study of relevance patching runs on any model, and what it measures is what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers

from axonal.lab import Run, run_study
from axonal.lab.registry import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory, smollm2):
    """A random Llama of two blocks with SmolLM2's tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    config = transformers.LlamaConfig(
        vocab_size=len(smollm2.tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(folder)
    smollm2.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory) -> Run:
    settings = {
        "model": str(folder),
        "layers": (),
        "families": (str(folder), str(folder)),
        "circuit_repeats": 2,
        "circuit_sizes": (5, 20),
        "ablations": True,
    }
    home = tmp_path_factory.mktemp("runs")
    return run_study(load("relevance-patching"), "smoke", settings, home=home)


def test_a_model_from_a_folder_is_studied_whole(run):
    assert {claim["verdict"] for claim in run.claims if claim["needs"]} == {"not tested"}
    assert all(claim["verdict"] != "not tested" for claim in run.claims if not claim["needs"])


def test_families_are_measured_model_by_model(run):
    gain = run.measurements["family_gain_mlp"]
    assert np.shape(gain["values"]) == (2, 2)
    assert gain["along"] == [0, 1]
    values = np.array(gain["values"])
    np.testing.assert_array_equal(values[:, 0], values[:, 1])  # the same model twice


def test_exactness_is_measured_exactly(run):
    measured = {name: entry["mean"] for name, entry in run.measurements.items()}
    assert measured["forward_difference"] == 0
    assert measured["conservation_error"] < 1e-4
    assert (measured["relevance_forward_passes"], measured["relevance_backward_passes"]) == (2, 1)


def test_a_model_that_fails_the_task_is_noted(run):
    notes = json.loads((run.folder / "notes.json").read_text())
    assert any(note.startswith("IOI: the model prefers the right answer in") for note in notes)
    assert not any("135M" in note for note in notes)

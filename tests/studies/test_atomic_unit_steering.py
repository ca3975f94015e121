"""The study of atomic-unit steering runs on any model and on the user's questions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers

from axonal.errors import InputError
from axonal.lab import Run, run_study
from axonal.lab.registry import load

WAYS = (
    "base",
    "austeer",
    "random",
    "mean_shift",
    "head_scaling",
    "reversed",
    "restored",
    "doubled",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, smollm2):
    """A random Llama of three blocks with SmolLM2's tokenizer, and questions in a file."""
    folder = tmp_path_factory.mktemp("model")
    config = transformers.LlamaConfig(
        vocab_size=len(smollm2.tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    smollm2.tokenizer.save_pretrained(folder)
    answers = [(" yes", " no"), (" no", " yes")]
    rows = [
        {"prompt": f"Is {i} even?", "positive": answers[i % 2][0], "negative": answers[i % 2][1]}
        for i in range(40)
    ]
    (folder / "even.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def settings(folder) -> dict[str, object]:
    return {
        "model": str(folder),
        "tasks": ("sentiment", str(folder / "even.jsonl")),
        "sites": ("attention", "mlp_out", "down_proj_in", "layer"),
        "head_units": 8,
        "unit_numbers": (0, 8, 90),
    }


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory) -> Run:
    home = tmp_path_factory.mktemp("runs")
    return run_study(load("atomic-unit-steering"), "smoke", settings(folder), home=home)


def measured(run: Run, name: str) -> np.ndarray:
    return np.array(run.measurements[name]["values"])


def test_the_users_questions_and_model_are_studied_whole(run):
    assert all(c["verdict"] != "not tested" for c in run.claims if not c["needs"])
    assert {c["verdict"] for c in run.claims if c["needs"]} == {"not tested"}
    assert measured(run, "accuracy_base_even").shape == (2,)
    for way in WAYS:
        assert measured(run, f"accuracy_{way}").shape == (2,)


def test_restoring_gives_the_unsteered_answers_back(run):
    gap = {way: measured(run, f"gap_{way}") for way in WAYS}
    np.testing.assert_allclose(gap["restored"], gap["base"], atol=1e-3)
    assert not np.allclose(gap["reversed"], gap["base"], atol=1e-3)
    assert not np.allclose(gap["doubled"], gap["austeer"], atol=1e-3)


def test_folding_into_the_weights_is_checked(run):
    assert measured(run, "fold_difference").item() < 1e-3


def test_notes_say_what_was_chosen_and_what_chance_scores(run):
    notes = json.loads((run.folder / "notes.json").read_text())
    assert any("chosen on validation" in note for note in notes)
    assert any("is expected to score" in note for note in notes)


def test_too_few_questions_in_a_file_are_refused(folder, tmp_path):
    asked = {**settings(folder), "test": 200}
    with pytest.raises(InputError, match=r"has 40 questions, but .* take 20 \+ 6 \+ 200"):
        run_study(load("atomic-unit-steering"), "smoke", asked, home=tmp_path)

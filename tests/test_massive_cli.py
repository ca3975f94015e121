"""`axonal massive` as a user meets it: scan, track, fit, and one sentence for what does not fit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from axonal.cli import main

sys.path.insert(0, str(Path(__file__).parent / "learning"))
from massive_models import gpt2


@pytest.fixture
def massive(tmp_path, monkeypatch, capfd):
    """Run `axonal massive` in a folder of one's own; returns exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("AXONAL_DEBUG", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(["massive", *words])
        out, err = capfd.readouterr()
        return int(stop.value.code or 0), out, err

    return run


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"[UNK]": 0} | {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz", 1)}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]")


@pytest.fixture
def checkpoints(tmp_path) -> Path:
    folder = tmp_path / "run"
    for step in range(0, 700, 100):
        model = gpt2(layers=2, width=16, seed=step)
        model.save_pretrained(folder / f"checkpoint-{step}")
    tokenizer().save_pretrained(folder / "checkpoint-600")
    return folder


SMALL = ("--sequences", "2", "--tokens", "16")


def test_a_model_is_scanned(massive, checkpoints):
    status, out, _ = massive("scan", str(checkpoints / "checkpoint-600"), *SMALL)
    assert status == 0
    assert "of null" in out
    status, out, _ = massive("scan", str(checkpoints / "checkpoint-600"), *SMALL, "--json")
    layers = json.loads(out)["layers"]
    assert [row["layer"] for row in layers] == [0, 1, 2]
    assert all(row["ratio"] > 1 for row in layers)


def test_a_folder_is_tracked_resumed_and_fitted(massive, checkpoints):
    options = ("--checkpoints", str(checkpoints), "--to", "out.csv", *SMALL)
    status, out, err = massive("track", *options)
    assert status == 0, err
    assert "7 checkpoints of 2 layers" in out
    first = Path("out.csv").read_text()
    lines = Path("out.jsonl").read_text().splitlines()
    Path("out.jsonl").write_text("\n".join(lines[:4]))
    assert massive("track", *options)[0] == 0
    assert Path("out.csv").read_text() == first
    status, out, err = massive("fit", "out.csv", "--json")
    assert status == 0, err
    found = json.loads(out)["layers"]
    assert [row["layer"] for row in found] == [1, 2]
    assert {"t_peak", "identified", "models"} <= set(found[0])


def test_a_table_of_ones_own_is_fitted(massive):
    steps = np.linspace(0, 1000, 30)
    y = 6 + 20 * np.exp(-steps / 400) * np.log1p(steps / 20)
    pd.DataFrame({"step": steps, "ratio": y}).to_csv("mine.csv", index=False)
    status, out, _ = massive("fit", "mine.csv")
    assert status == 0
    assert "early-peak" in out
    assert "emergence" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fit", "no.csv"), "There is no file no.csv."),
        (("fit", "bare.csv"), "bare.csv lacks the column ratio"),
        (("fit", "short.csv"), "short.csv, layer 1: steps: .* at least 6 checkpoints, got 2"),
        (("fit", "long.csv", "--weighted"), "lacks the column sem"),
        (("fit", "long.csv", "--method", "best"), "no method 'best'"),
        (("track", "--checkpoints", "no", "--to", "o.csv"), "no is not a folder"),
        (("track", "--checkpoints", "no", "--to", "o.txt"), "ends in .csv"),
        (("track", "--checkpoints", "a/b", "--revisions", "main", "--to", "o.csv"), "'main'"),
        (("scan", "no-such-model"), "no-such-model"),
        (("scan",), "missing argument"),
    ],
)
def test_what_does_not_fit_is_one_sentence(massive, words, sentence):
    Path("bare.csv").write_text("step,loss\n1,2\n")
    Path("short.csv").write_text("step,ratio\n1,2\n2,3\n")
    Path("long.csv").write_text("step,ratio\n" + "".join(f"{i},{i * i}\n" for i in range(9)))
    status, out, err = massive(*words)
    assert status == 2
    assert not out
    assert len(err.strip().splitlines()) == 1
    import re

    assert re.search(sentence, err)


def test_too_little_text_is_said(massive, checkpoints):
    Path("few.txt").write_text("abc")
    model = str(checkpoints / "checkpoint-600")
    status, _, err = massive("scan", model, "--texts", "few.txt")
    assert status == 2
    assert "holds 3 tokens, fewer than 10 windows of 256" in err
    status, _, err = massive("scan", model, "--bos", *SMALL)
    assert "no first token" in err

"""`axonal steer` as a user meets it: from two prompt files to a map, its effect and a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from axonal.cli import main
from steering_models import NEGATIVE, POSITIVE, tiny

GAP = ["--answer", " positive", "--against", " negative"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a small model and two prompt files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    model = tiny()
    model.model.save_pretrained("model")
    model.tokenizer.save_pretrained("model")
    for name, prompts in (("a", NEGATIVE), ("b", POSITIVE)):
        lines = [json.dumps({"prompt": prompt}) for prompt in prompts]
        Path(f"{name}.jsonl").write_text("\n".join(lines))
    Path("neutral.txt").write_text(
        "\n".join(f"{p} {q}" for p, q in zip(NEGATIVE, POSITIVE, strict=True))
    )
    Path("mine.txt").write_text("the film was dull and\nthe song was grey\n")
    return tmp_path


@pytest.fixture
def steer(folder, capfd):
    """Run `axonal steer`; returns exit status, output and errors."""

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(["steer", *words])
        out, err = capfd.readouterr()
        return int(stop.value.code or 0), out, err

    return run


def fit(steer, *more: str) -> tuple[int, str, str]:
    return steer("fit", "--model", "model", "--source", "a.jsonl", "--target", "b.jsonl",
                 "--to", "map", *more)  # fmt: skip


def test_a_map_is_fitted_saved_and_put_on_in_two_commands(steer) -> None:
    status, out, err = fit(steer, "--layers", "1", "--map", "mean-shift", "--apply", "all")
    assert status == 0, err
    assert "model.layers.1 (output): n_source 12, n_target 12" in out
    assert "saved to map" in out
    status, out, err = steer("apply", "--model", "model", "--map", "map", "--prompts", "mine.txt",
                             "--new-tokens", "5", "--strength", "4", *GAP, "--json")  # fmt: skip
    assert status == 0, err
    rows = json.loads(out)
    assert [row["prompt"] for row in rows] == ["the film was dull and", "the song was grey"]
    assert any(row["own"] != row["steered"] for row in rows)
    assert rows[0]["own_behaviour"] != rows[0]["steered_behaviour"]


def test_steering_is_shown_beside_the_models_own_text(steer) -> None:
    fit(steer, "--layers", "1,2", "--components", "3", "--basis", "pooled", "--positions", "all")
    status, out, _ = steer("apply", "--model", "model", "--map", "map", "--prompts", "mine.txt",
                           "--new-tokens", "4", "--phrase", "the", "--positions", "last,generated")  # fmt: skip
    assert status == 0
    for word in ("own", "steered", "own behaviour", "behaviour: "):
        assert word in out


def test_layers_are_searched_where_none_are_named(steer) -> None:
    status, out, err = fit(steer, *GAP, "--texts", "neutral.txt", "--cap", "1000", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert len(found["tried"]) == 3  # two blocks of three lie in the band, and their pair
    assert found["method"].startswith("GaussianTransport")


def test_a_sweep_writes_its_report(steer, folder) -> None:
    words = ["sweep", "--model", "model", "--source", "a.jsonl", "--target", "b.jsonl", "--to", "out",
             "--maps", "mean-shift,leace", "--layers", "0,2", "--strengths", "1", "--write", "1",
             "--new-tokens", "8", "--texts", "neutral.txt", *GAP]  # fmt: skip
    status, out, err = steer(*words)
    assert status == 0, err
    assert "report: out/report.html" in out
    assert {p.name for p in (folder / "out").iterdir()} == {
        "front.png", "front.svg", "points.csv", "report.html", "sweep.nc",
    }  # fmt: skip
    status, out, _ = steer(*words, "--json")
    assert len(json.loads(out)["points"]) == 4


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "say how behaviour is read"),
        (["--layers", "one"], "--layers: expected numbers with commas, got 'one'"),
        (["--layers", "7"], "blocks 0 to 2"),
        (["--layers", "1", "--map", "mean-shfit"], "did you mean mean-shift"),
        (["--layers", "1", "--map", "leace", "--components", "2"], "belong to Gaussian maps"),
        (["--layers", "1", "--chat", "template"], "has no chat template"),
        (["--layers", "1", "--chat", "tmpl"], "--chat: expected"),
        (["--layers", "1", "--positions", "lst"], "did you mean last"),
        (["--layers", "1", "--positions", "1:x"], "is no rule for tokens"),
        (["--layers", "1", "--apply", "0"], "Position 0 is the first token"),
        (["--layers", "1", "--dtype", "int8"], "--dtype: expected"),
        (["--layers", "1", "--device", "cpu", "--device-map", "auto"], "not both"),
        (["--layers", "1", "--answer", " yes"], "both --answer and --against"),
        (["--layers", "1", "--pattern", "("], "no regular expression"),
        (["--layers", "1", "--pattern", "a", "--phrase", "b"], "in one way"),
        (["--layers", "1", "--source", "none.jsonl"], "can't be read as prompts"),
        (["--layers", "1", "--target", "a.jsonl"], "the same 12 rows"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(steer, folder, words, sentence) -> None:
    status, out, err = fit(steer, *words)
    assert (status, out) == (2, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith("axonal: ")
    assert sentence in last
    assert not (folder / "map").exists()


def test_another_model_is_refused_by_apply(steer) -> None:
    fit(steer, "--layers", "1")
    other = tiny(seed=1)
    other.model.save_pretrained("other")
    other.tokenizer.save_pretrained("other")
    status, _, err = steer("apply", "--model", "other", "--map", "map", "--prompts", "mine.txt")
    assert status == 2
    assert "activations of different models do not mean the same" in err


def test_a_sweep_needs_a_readout(steer) -> None:
    status, _, err = steer("sweep", "--model", "model", "--source", "a.jsonl", "--target", "b.jsonl",
                           "--to", "out")  # fmt: skip
    assert status == 2
    assert "Say how behaviour is read" in err

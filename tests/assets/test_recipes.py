"""An asset that is built here: by its recipe, whole or not at all, with a card that says how."""

from __future__ import annotations

import json
import time

import pytest

from axonal import assets
from axonal.assets.catalogue import CATALOGUE, Asset, Recipe
from axonal.errors import AxonalError

PROGRAM = """
import sys, time
from pathlib import Path
from axonal.assets.building import report_step
from axonal.assets.processes import end_with_the_parent

if __name__ == "__main__":
    end_with_the_parent()
    base, into, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    report_step(1, 2)
    (into / "half.txt").write_text("half")
    {trouble}
    (into / "adapter_model.safetensors").write_text(f"{{base}} {{seed}}")
    report_step(2, 2)
"""


@pytest.fixture
def built(home, tiny, tmp_path, monkeypatch):
    """Return a function that declares an asset whose recipe has some trouble."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def declare(trouble: str = "pass") -> Asset:
        (folder / "recipe_of_a_test.py").write_text(PROGRAM.format(trouble=trouble))
        recipe = Recipe("recipe_of_a_test", base="tiny", seed=7, verb="teach", minutes=1)
        asset = Asset("taught", "model", "A taught model", "CC0-1.0", None, (), recipe, 100)
        monkeypatch.setitem(CATALOGUE, "taught", asset)
        return asset

    return declare


def test_it_is_built_from_its_base_and_its_card_says_how(built):
    built()
    told = []
    folder = assets.pull("taught", lambda *step: told.append(step))
    assert (folder / "adapter_model.safetensors").read_text() == "tiny 7"
    card = json.loads((folder / "card.json").read_text())
    assert card["licence"] == "CC0-1.0"
    assert card["origin"]["seed"] == 7
    assert card["origin"]["base"]["name"] == "tiny"
    assert "wheel tiny-model 1.0" in card["origin"]["words"]
    assert set(card["files"]) == {"adapter_model.safetensors", "half.txt"}
    assert assets.status("tiny").state == assets.status("taught").state == "ready"
    assert any(what.startswith("teach tiny, about 1 min") for what, _, _ in told)
    assert assets.path("taught") == folder


def test_it_is_built_once_and_verified_as_every_other(built):
    built()
    folder = assets.pull("taught")
    before = (folder / "card.json").stat().st_mtime_ns
    assert assets.pull("taught") == folder
    assert (folder / "card.json").stat().st_mtime_ns == before
    (folder / "half.txt").write_text("HALF")
    found = assets.verify("taught")
    assert found.state == "damaged"
    assert "half.txt has SHA-256" in found.problems[0]


def test_a_recipe_that_fails_is_one_sentence_and_leaves_nothing(built, home):
    built("raise SystemExit('no memory left')")
    with pytest.raises(AxonalError, match="taught could not be built: no memory left"):
        assets.pull("taught")
    assert assets.status("taught").state == "absent"
    assert not list((home / "assets").glob(".taught*"))


def test_an_interrupted_build_ends_its_program_and_leaves_nothing(built, home, tmp_path):
    mark = tmp_path / "mark"
    built(f"time.sleep(1); Path({str(mark)!r}).write_text('went on')")

    def interrupt(what: str, done: int, total: int) -> None:
        if (done, total) == (1, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assets.pull("taught", interrupt)
    assert assets.status("taught").state == "absent"
    assert not list((home / "assets").glob(".taught*"))
    time.sleep(1.5)
    assert not mark.exists()


def test_a_killed_build_ends_its_program_too_and_the_next_pull_clears_up(
    built, home, python, tmp_path
):
    mark = tmp_path / "mark"
    asset = built(f"time.sleep(2); Path({str(mark)!r}).write_text('went on')")
    process = python(
        f"""
        import os
        CATALOGUE['taught'] = {asset!r}
        assets.pull('tiny')
        def kill(what, done, total):
            if (done, total) == (1, 2):
                os.kill(os.getpid(), 9)
        assets.pull('taught', kill)
        """
    )
    process.wait(timeout=60)
    time.sleep(2.5)
    assert not mark.exists()
    assert assets.status("taught").state == "absent"
    assert list((home / "assets").glob(".taught*"))
    built()
    assert assets.pull("taught").is_dir()
    assert not list((home / "assets").glob(".taught*"))


def test_the_catalogue_says_that_it_is_built_here(built):
    assert built().origins == ("built here from tiny in about 1 min",)
    organism = assets.find("smollm2-declines-gardening")
    assert "built here from smollm2-135m-instruct" in organism.origins[0]

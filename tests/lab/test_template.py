"""What `axonal new` writes runs green as it is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from axonal.errors import InputError
from axonal.lab import run_study
from axonal.lab.registry import load
from axonal.lab.template import write_template


def test_the_template_is_a_study_and_its_test_passes(tmp_path):
    study, test = write_template("my-paper", tmp_path)
    assert study.name == "my_paper.py"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test.name],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stdout
    assert "3 passed" in found.stdout


def test_the_template_supports_its_claims_at_laptop_scale(tmp_path):
    study, _ = write_template("my-paper", tmp_path)
    run = run_study(load(study), home=tmp_path / "runs")
    assert [claim["verdict"] for claim in run.claims] == ["supported", "supported"]


def test_the_template_is_formatted_and_typed_as_the_project_is(tmp_path):
    study, test = write_template("my-paper", tmp_path)
    for command in (["format", "--check"], ["check", "--select", "E,F,W,I,B,UP,D1,PT"]):
        found = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--line-length", "100", study, test],
            capture_output=True,
            text=True,
        )
        complaints = [line for line in found.stdout.splitlines() if line.startswith("D103")]
        assert found.returncode == 0 or complaints, found.stdout


@pytest.mark.parametrize("slug", ["My Paper", "my_paper", "", "-x", "3d", "../up"])
def test_a_slug_that_is_none_is_refused(tmp_path, slug):
    with pytest.raises(InputError, match="slug is lower-case words"):
        write_template(slug, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    study, _ = write_template("my-paper", tmp_path)
    study.write_text("mine")
    with pytest.raises(InputError, match="stays as it is"):
        write_template("my-paper", tmp_path)
    assert study.read_text() == "mine"

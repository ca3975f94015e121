"""What holds for every registered study: it is declared whole, it runs, and the lab judges it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import matplotlib as mpl
import pytest

import axonal
from axonal import assets
from axonal.lab import Run, run_study
from axonal.lab.description import describe_study
from axonal.lab.registry import GROUP, entries, load
from axonal.lab.runner import summary
from axonal.lab.seal import verify
from axonal.lab.tests import measurements_of

mpl.use("Agg")
SLUGS = sorted({point.name for point in entry_points(group=GROUP)})
ROOMS = {path.name for path in Path(axonal.__file__).parent.iterdir() if path.is_dir()}
CLOCK = re.compile(r"(^|_)(seconds|time)(_|$)")  # what these names hold is measured by a clock


@pytest.fixture(params=SLUGS)
def study(request):
    return load(request.param)


@pytest.fixture(scope="module", params=SLUGS)
def run(request, tmp_path_factory) -> Run:
    return run_study(load(request.param), "smoke", home=tmp_path_factory.mktemp("runs"))


def test_there_are_studies_and_none_is_broken():
    found = entries()
    assert found
    assert [f"{entry.slug}: {entry.broken}" for entry in found if entry.broken] == []


def test_declaring_the_studies_imports_no_method():
    code = (
        "import sys\n"
        "from axonal.lab.registry import entries\n"
        "assert entries()\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'xarray', 'pandas', 'transformers'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr


# As declared


def test_its_module_is_named_by_its_slug_and_says_what_it_is(study):
    module = sys.modules[study.function.__module__]
    assert study.slug.replace("-", "_") in module.__name__
    assert len(str(module.__doc__)) > 40


def test_its_area_is_a_room_of_the_house(study):
    assert study.area in ROOMS


def test_every_preset_is_a_configuration_with_a_scale_in_words(study):
    for preset in study.presets:
        words = study.scale(study.configuration(preset))
        assert words
        assert "\n" not in words
        assert not words.endswith(".")
    laptop, default = study.configuration("laptop"), study.config()
    assert laptop == default
    assert study.configuration("smoke") != laptop


def test_it_says_how_long_it_takes_and_what_never_ran(study):
    assert study.minutes["laptop"] > 0
    for preset in study.presets:
        assert preset in study.minutes or preset in study.untested or preset == "smoke"


def test_every_setting_is_described(study):
    for name, setting in describe_study(study)["settings"].items():
        assert len(setting["description"]) >= 8, name


def test_every_claim_says_what_the_paper_reports_and_where(study):
    for claim in study.claims:
        assert len(claim.statement) >= 15
        assert claim.reported
        assert claim.source
        assert not claim.statement.endswith(".")


def test_its_example_is_python_of_about_ten_lines(study):
    source = describe_study(study)["example"]
    compile(source, f"{study.slug} example", "exec")
    lines = [line for line in source.splitlines() if line.strip()]
    assert 1 <= len(lines) <= 15
    assert "axonal" in source


def test_it_says_where_its_data_come_from(study):
    assert len(study.data) >= 30


def test_what_it_requires_has_a_name(study):
    assert set(study.requires) <= {asset.name for asset in assets.known()}


# As run


def test_it_measures_what_its_claims_speak_of(run):
    declared = load(run.slug)
    needed = {
        name
        for claim in declared.claims
        if claim.needs is None
        for name in measurements_of(claim.test)
    }
    assert needed <= set(run.measurements)


def test_every_claim_is_judged_and_says_why(run):
    declared = load(run.slug)
    assert [claim["id"] for claim in run.claims] == [claim.id for claim in declared.claims]
    for claim in run.claims:
        assert claim["detail"].endswith(".")
        assert claim["scale"].startswith("at smoke scale, on ")
        if claim["verdict"] == "not tested":
            assert claim["needs"] == "full"


def test_its_verdicts_follow_from_its_measurements(run):
    assert verify(run).problems == ()


def test_it_draws_and_says_in_words_what_it_drew(run):
    figures = json.loads((run.folder / "figures.json").read_text())
    assert figures
    for figure in figures:
        assert (run.folder / "figures" / f"{figure['name']}.svg").stat().st_size > 1000
        assert len(figure["caption"]) >= 20
        assert len(figure["alt"]) >= 20
    assert run.report.read_text().count('role="img"') == len(figures)


def test_its_summary_is_json(run):
    found = json.loads(json.dumps(summary(run), allow_nan=False))
    assert found["slug"] == run.slug
    assert found["preset"] == "smoke"


def test_the_same_seed_gives_the_same_numbers(run, tmp_path):
    again = run_study(load(run.slug), "smoke", home=tmp_path)
    for name, measured in run.measurements.items():
        if not CLOCK.search(name):
            assert again.measurements[name] == measured, name

"""The command line as a user meets it: processes, exit codes, one JSON object, one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from axonal.cli import main
from axonal.lab.template import write_template

KEYS = {"slug", "preset", "seed", "seconds", "run", "measurements", "claims"}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of one's own with a study in it, which is where commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AXONAL_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("AXONAL_DEBUG", raising=False)
    write_template("my-paper", tmp_path)
    return tmp_path


@pytest.fixture
def axonal(folder, capfd):
    """Run the command line in this process; returns exit status, output and errors."""

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        out, err = capfd.readouterr()
        return int(stop.value.code or 0), out, err

    return run


def process(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "axonal"]
    return subprocess.run([*command, *words], capture_output=True, text=True, timeout=120)


# Quick to start


def test_help_comes_at_once(folder):
    taken_s = []
    for _ in range(5):
        begun_s = time.perf_counter()
        found = process("--help")
        taken_s.append(time.perf_counter() - begun_s)
        assert found.returncode == 0
    assert min(taken_s) < 0.5
    for command in ("list", "show", "run", "runs", "resume", "report", "compare", "claims", "new"):
        assert re.search(rf"^  {command} ", found.stdout, re.MULTILINE)


@pytest.mark.parametrize("words", [["list"], ["show", "./my_paper.py"], ["claims"], ["runs"]])
def test_looking_around_imports_nothing_heavy(folder, words):
    code = (
        "import sys\n"
        "from axonal.cli import main\n"
        f"sys.argv = ['axonal', *{words!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'xarray', 'pandas', 'transformers'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    found = process(code=code)
    assert found.stdout.strip().endswith("heavy: []"), found.stdout + found.stderr


# Running


def test_a_run_prints_claims_verdicts_with_their_scale_and_the_report(axonal, folder):
    status, out, err = axonal("run", "./my_paper.py", "--preset", "smoke")
    assert status == 0
    assert "✓ supported" in out
    assert "at smoke scale, on 20 simulated means of 16 normal values" in " ".join(out.split())
    assert "closer by sqrt(n)" in out
    assert re.search(r"\d\.\d+ \[\d\.\d+, \d\.\d+\]", out)
    report = re.search(r"report: (\S+)", out)
    assert report is not None
    assert (folder / report.group(1)).read_text().startswith("<!doctype html>")
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "my-paper" in err


def test_json_is_exactly_one_object_on_standard_output(axonal, folder):
    status, out, err = axonal(
        "run", "./my_paper.py", "--preset", "smoke", "--seed", "3", "--set", "samples=8", "--json"
    )
    assert status == 0
    found = json.loads(out)
    assert found.keys() >= KEYS
    assert (found["slug"], found["preset"], found["seed"]) == ("my-paper", "smoke", 3)
    for measurement in found["measurements"].values():
        assert measurement.keys() >= {"values", "unit", "mean", "low", "high"}
        assert len(measurement["values"]) == 20
    for claim in found["claims"]:
        assert claim.keys() >= {"id", "statement", "reported", "verdict", "detail"}
    assert (Path(found["run"]) / "report.html").exists()
    assert json.loads((Path(found["run"]) / "config.json").read_text())["samples"] == 8
    assert err


def test_what_a_study_prints_does_not_get_into_the_json(axonal, folder):
    path = folder / "my_paper.py"
    noise = (
        '    print("from Python")\n    import subprocess\n'
        '    subprocess.run(["echo", "from a process"])\n    values = session'
    )
    text = path.read_text().replace("    values = session", noise, 1)
    path.write_text(text + '\nprint("while it is imported")\n')
    status, out, err = axonal("run", "./my_paper.py", "--preset", "smoke", "--json")
    assert status == 0
    json.loads(out)
    assert "while it is imported" in err
    assert "from Python" in err
    assert "from a process" in err


def test_several_studies_give_one_object_a_line(axonal, folder):
    write_template("other-paper", folder)
    status, out, _ = axonal(
        "run", "./my_paper.py", "./other_paper.py", "--preset", "smoke", "--json"
    )
    assert status == 0
    assert [json.loads(line)["slug"] for line in out.splitlines()] == ["my-paper", "other-paper"]


def test_a_study_that_fails_stops_no_other_and_the_status_says_so(axonal, folder):
    path = folder / "my_paper.py"
    path.write_text(
        path.read_text().replace(
            "    values = session", '    raise ValueError("boom")\n    values = session', 1
        )
    )
    write_template("other-paper", folder)
    status, out, err = axonal(
        "run", "./my_paper.py", "./other_paper.py", "--preset", "smoke", "--json"
    )
    assert status == 1
    assert [json.loads(line)["slug"] for line in out.splitlines()] == ["other-paper"]
    assert "my-paper failed with ValueError: boom" in err
    assert "1 of 2 studies failed" in err


def test_the_verdicts_do_not_change_the_exit_status(axonal, folder):
    path = folder / "my_paper.py"
    path.write_text(
        path.read_text().replace("Within(", "Greater(").replace(", 0.5, 2.0", ", 100.0")
    )
    status, out, _ = axonal("run", "./my_paper.py", "--preset", "smoke", "--json")
    assert status == 0
    assert "not supported" in [claim["verdict"] for claim in json.loads(out)["claims"]]


def test_two_workers_give_the_same_numbers_as_one(axonal, folder):
    path = folder / "my_paper.py"
    text = path.read_text().replace(
        "\n@study.run", "\ndef root(x, rng):\n    return x + rng.normal()\n\n\n@study.run"
    )
    swept = (
        '    swept = session.sweep("s", root, over={"x": [1.0, 2.0, 3.0]}, repeats=3)\n'
        '    session.measure("s", swept["value"].values.T, along=[1, 2, 3])\n    values = session'
    )
    path.write_text(text.replace("    values = session", swept, 1))
    one, two = (
        json.loads(axonal("run", "./my_paper.py", "--preset", "smoke", "--json", *words)[1])
        for words in ([], ["--jobs", "2"])
    )
    assert one["measurements"] == two["measurements"]


# What bad input gets

BAD = {
    "an unknown study": ("run my-papre", "There is no study 'my-papre'"),
    "a study nearly named": ("show relevance-patchin", "did you mean relevance-patching?"),
    "a file that is not there": ("run ./none.py", "There is no file none.py"),
    "an unknown key": (
        "run ./my_paper.py --set sample=3",
        "my-paper has no setting 'sample': did you mean samples?",
    ),
    "a value out of bounds": ("run ./my_paper.py --set repeats=1", "repeats = '1' does not fit"),
    "what is allowed": ("run ./my_paper.py --set repeats=1", "must be at least 2"),
    "a value of another type": ("run ./my_paper.py --set repeats=few", "must be a whole number"),
    "no value": ("run ./my_paper.py --set repeats", "--set takes key=value"),
    "an unknown preset": ("run ./my_paper.py --preset smokey", "did you mean smoke?"),
    "a negative seed": ("run ./my_paper.py --seed -1", "seed is a whole number of at least 0"),
    "a seed of words": ("run ./my_paper.py --seed x", "invalid value for '--seed'"),
    "no workers": ("run ./my_paper.py --jobs 0", "jobs is a whole number of at least 1"),
    "an unknown back end": ("run ./my_paper.py --backend dusk", "did you mean dask?"),
    "nothing to run": ("run", "missing argument 'SLUG'"),
    "an unknown command": ("rnu", "did you mean run"),
    "an unknown option": ("list --colour", "no such option: --colour"),
    "an unknown area": ("list --area psychics", "There is no area 'psychics'"),
    "an unknown run": ("report nothing", "There is no run 'nothing'"),
    "an unknown run to resume": ("resume nothing", "There is no run 'nothing'"),
    "an unknown run to verify": ("claims verify nothing", "There is no run 'nothing'"),
    "an unknown run to compare": ("compare nothing nothing", "There is no run 'nothing'"),
    "a slug that is none": ("new Bad_Slug", "slug is lower-case words"),
    "a study that exists": ("new my-paper", "stays as it is"),
    "an unknown asset": ("assets pull smollm2", "or smollm2-135m-instruct"),
    "an unknown asset to verify": ("assets verify smollm2", "or smollm2-135m-instruct"),
}


@pytest.mark.parametrize(("words", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence_and_status_2(axonal, folder, words, sentence):
    status, out, err = axonal(*words.split())
    assert status == 2
    assert out == ""
    assert err.startswith("axonal: ")
    assert len(err.strip().splitlines()) == 1
    assert sentence in err
    assert "Traceback" not in err
    assert not (folder / "runs").exists()


def test_a_failure_is_one_sentence_status_1_and_says_how_to_go_on(axonal, folder):
    path = folder / "my_paper.py"
    path.write_text(
        path.read_text().replace(
            "    values = session", '    raise KeyError("x")\n    values = session', 1
        )
    )
    status, out, err = axonal("run", "./my_paper.py", "--preset", "smoke")
    assert status == 1
    assert out == ""
    assert "Traceback" not in err
    last = err.strip().splitlines()[-1]
    assert "my-paper failed with KeyError" in last
    name = re.search(r"axonal resume (\S+)", last)
    assert name is not None
    assert (folder / name.group(1).rstrip(";")).is_dir()


@pytest.mark.parametrize("how", ["option first", "option last", "variable"])
def test_the_stack_trace_is_shown_when_it_is_asked_for(axonal, folder, monkeypatch, how):
    words = ["run", "./none.py"]
    if how == "variable":
        monkeypatch.setenv("AXONAL_DEBUG", "1")
    else:
        monkeypatch.setenv("AXONAL_DEBUG", "0")
        words = ["--debug", *words] if how == "option first" else [*words, "--debug"]
    status, _, err = axonal(*words)
    assert status == 2
    assert "Traceback" in err
    assert "_load_file" in err


def test_a_reader_that_stops_reading_is_no_error(folder):
    command = f"{sys.executable} -m axonal show ./my_paper.py | head -1"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert "The title of the paper" in found.stdout
    assert "Error" not in found.stderr


# Looking around


@pytest.fixture
def ran(axonal, folder) -> Path:
    _, out, _ = axonal("run", "./my_paper.py", "--preset", "smoke", "--json")
    return Path(json.loads(out)["run"])


def test_list_names_every_study_and_fits_80_columns(axonal):
    status, out, _ = axonal("list")
    assert status == 0
    assert "relevance-patching" in out
    listed = json.loads(axonal("list", "--json")[1])
    assert {"relevance-patching", "responsive-membrane"} <= {entry["slug"] for entry in listed}
    narrowed = json.loads(axonal("list", "--search", "membrane", "--json")[1])
    assert "responsive-membrane" in {entry["slug"] for entry in narrowed}
    assert len(narrowed) < len(listed)


def test_a_broken_study_is_listed_with_its_reason(axonal, monkeypatch):
    from importlib.metadata import EntryPoint, EntryPoints

    from axonal.lab import registry

    points = EntryPoints([EntryPoint("broken-paper", "no_such_module:study", registry.GROUP)])
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    status, out, _ = axonal("list")
    assert status == 0
    assert "broken-paper is broken: ModuleNotFoundError" in out
    assert json.loads(axonal("list", "--json")[1])[0]["broken"].startswith("ModuleNotFoundError")
    status, _, err = axonal("run", "broken-paper")
    assert status == 1
    assert "can't be loaded" in err


def test_show_tells_claims_settings_data_and_use(axonal, folder):
    status, out, _ = axonal("show", "./my_paper.py")
    assert status == 0
    flat = " ".join(out.split())
    for words in (
        "The title of the paper",
        "First Author, Second Author",
        "closer by sqrt(n)",
        "error_of_one is greater than error_of_mean",
        "never run",
        "values drawn for each mean",
        "Simulated: independent normal values",
        "np.random.default_rng(0)",
    ):
        assert words in flat
    assert json.loads(axonal("show", "./my_paper.py", "--json")[1])["slug"] == "my-paper"


def test_runs_report_and_verify_know_the_run(axonal, folder, ran):
    assert "✓1 ~1" in axonal("runs")[1]
    listed = json.loads(axonal("runs", "my-paper", "--json")[1])
    assert [entry["state"] for entry in listed] == ["finished"]
    (ran / "report.html").unlink()
    status, out, _ = axonal("report", "my-paper")
    assert status == 0
    assert (folder / out.strip()).exists()
    status, out, _ = axonal("claims", "verify", "my-paper")
    assert status == 0
    assert "2 of 2 verdicts follow from the measurements; no problems." in out


def test_verify_fails_on_a_run_that_was_tampered_with(axonal, ran):
    path = ran / "claims.json"
    path.write_text(path.read_text().replace('"supported"', '"not supported"', 1))
    status, out, _ = axonal("claims", "verify", str(ran))
    assert status == 1
    assert "claims.json was changed after the run" in out
    status, out, _ = axonal("claims", "verify", str(ran), "--json")
    found = json.loads(out)
    assert status == 1
    assert found["sound"] is False
    assert found["claims"][0] == {
        "id": "averaging-helps",
        "stored": "not supported",
        "recomputed": "supported",
    }


def test_the_ledger_has_every_claim_with_its_scale(axonal, ran):
    status, out, _ = axonal("claims")
    assert status == 0
    assert "at smoke scale, on 20 simulated means of 16 normal values" in out
    rows = json.loads(axonal("claims", "--json")[1])
    mine = [row for row in rows if row["slug"] == "my-paper"]
    assert [row["verdict"] for row in mine] == ["supported", "inconclusive"]
    assert all(row["scale"] for row in mine)


def test_compare_shows_that_one_seed_gives_one_result(axonal, ran):
    _, out, _ = axonal("run", "./my_paper.py", "--preset", "smoke", "--seed", "1", "--json")
    other = json.loads(out)["run"]
    status, out, _ = axonal("compare", str(ran), other)
    assert status == 0
    assert "seed" in out
    found = json.loads(axonal("compare", str(ran), str(ran), "--json")[1])
    assert all(row["difference"] == "same" for row in found["measurements"])


def test_a_finished_run_is_not_resumed(axonal, ran):
    status, _, err = axonal("resume", str(ran))
    assert status == 2
    assert "nothing to resume" in err


def test_new_writes_a_study_that_runs(axonal, folder):
    status, out, _ = axonal("new", "third-paper", "--into", "papers")
    assert status == 0
    assert "axonal run papers/third_paper.py" in out
    assert axonal("run", "papers/third_paper.py", "--preset", "smoke")[0] == 0


def test_assets_are_listed_with_size_licence_and_origin(axonal):
    status, out, _ = axonal("assets", "list")
    assert status == 0
    assert axonal("assets")[1] == out
    listed = {entry["name"]: entry for entry in json.loads(axonal("assets", "list", "--json")[1])}
    found = listed["smollm2-135m-instruct"]
    assert found["licence"] == "Apache-2.0"
    assert found["bytes"] > 1e8
    assert found["origins"]


def test_assets_that_are_here_are_verified(axonal, monkeypatch, folder):
    monkeypatch.setenv("AXONAL_HOME", str(folder / "empty"))
    assert axonal("assets", "verify")[1].strip() == "No asset is on this machine."
    status, _, err = axonal("assets", "verify", "smollm2-135m-instruct")
    assert status == 2
    assert "axonal assets pull smollm2-135m-instruct" in err


def test_the_version_is_told(axonal):
    from axonal import __version__

    assert axonal("--version")[1].strip() == f"axonal {__version__}"

"""Studies come from entry points and from files; a broken one harms no other."""

from __future__ import annotations

import importlib.metadata

import pytest

from axonal.errors import AxonalError, InputError
from axonal.lab import Study, registry, run_study
from axonal.lab.template import write_template


@pytest.fixture
def plugins(monkeypatch, tmp_path):
    """Register studies as another package would: by an entry point of a distribution."""

    def register(**modules: str) -> None:
        monkeypatch.syspath_prepend(tmp_path)
        points = []
        for slug, source in modules.items():
            name = f"plugin_{slug}_{tmp_path.name}"  # modules are imported once a process
            (tmp_path / f"{name}.py").write_text(source)
            points.append(
                importlib.metadata.EntryPoint(
                    slug.replace("_", "-"), f"{name}:study", registry.GROUP
                )
            )
        monkeypatch.setattr(
            registry, "entry_points", lambda group: importlib.metadata.EntryPoints(points)
        )

    return register


def template(tmp_path, slug: str) -> str:
    folder = tmp_path / "templates"
    study, _ = write_template(slug, folder)
    text = study.read_text()
    study.unlink()
    (folder / f"test_{study.name}").unlink()
    return text


def test_a_plug_in_is_a_study_like_any_other(plugins, tmp_path):
    plugins(my_paper=template(tmp_path, "my-paper"))
    (entry,) = registry.entries()
    assert isinstance(entry.study, Study)
    assert registry.load("my-paper") is entry.study
    run = run_study(entry.study, "smoke", home=tmp_path / "runs")
    assert run.study["source"] == "my-paper"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("raise RuntimeError('boom\\nmore')", "RuntimeError: boom"),
        ("study = 3", "is no Study"),
        ("def", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("", "no attribute 'study'"),
    ],
)
def test_a_broken_plug_in_is_listed_with_its_reason(plugins, tmp_path, source, reason):
    plugins(broken_one=source, my_paper=template(tmp_path, "my-paper"))
    broken, fine = registry.entries()
    assert broken.study is None
    assert reason in str(broken.broken)
    assert "\n" not in str(broken.broken)
    assert fine.study is not None
    with pytest.raises(AxonalError, match=r"broken-one|Study"):
        registry.load("broken-one")


def test_a_plug_in_under_another_name_is_broken(plugins, tmp_path):
    plugins(other=template(tmp_path, "my-paper"))
    (entry,) = registry.entries()
    assert "registered as 'other'" in str(entry.broken)


def test_a_file_is_a_study_and_is_found_again(tmp_path):
    path, _ = write_template("my-paper", tmp_path)
    study = registry.load(path)
    assert registry.source_of(study) == str(path.resolve())
    assert registry.load(registry.source_of(study)).slug == "my-paper"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "There is no file"),
        ("x = 3", "defines 0 studies"),
        ("import nothing_there", "can't be loaded: ModuleNotFoundError"),
        ("def", "can't be loaded: SyntaxError"),
    ],
)
def test_a_file_that_is_no_study_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words):
        registry.load(path)


def test_an_unknown_study_offers_the_nearest():
    with pytest.raises(InputError, match="did you mean relevance-patching"):
        registry.load("relevance-patchin")

"""Files and folders are there whole or not at all."""

from __future__ import annotations

import errno

import pytest

from axonal.errors import AxonalError, InputError
from axonal.files import disk_error, whole_file, whole_folder


def test_a_file_is_replaced_only_when_it_is_written(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as draft:
        draft.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(UnicodeEncodeError), whole_file(path) as draft:
        draft.write_text("two\udcff", encoding="ascii")
    assert path.read_text() == "one"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_only_when_it_is_written(tmp_path):
    path = tmp_path / "map"
    for text in ("one", "two"):
        with whole_folder(path, holds=["card"], what="map") as draft:
            (draft / "card").write_text(text)
            (draft / text).write_text("")
    assert sorted(p.name for p in path.iterdir()) == ["card", "two"]
    with (
        pytest.raises(UnicodeEncodeError),
        whole_folder(path, holds=["card"], what="map") as draft,
    ):
        (draft / "card").write_text("three\udcff", encoding="ascii")
    assert (path / "card").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["map"]


def test_a_folder_of_something_else_and_a_file_are_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "main.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for name, sentence in (("thesis", "holds no map: choose another"), ("file", "is a file")):
        with (
            pytest.raises(InputError, match=sentence),
            whole_folder(tmp_path / name, holds=["card"], what="map"),
        ):
            pass
    assert (tmp_path / "thesis" / "main.tex").read_text() == "x"


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "map").mkdir()
    with whole_folder(tmp_path / "map", holds=["card"], what="map") as draft:
        (draft / "card").write_text("one")
    assert (tmp_path / "map" / "card").read_text() == "one"


def test_what_a_disk_refuses_is_a_sentence(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(AxonalError, match="is full; free some space"), whole_file(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "or set HOME" in str(disk_error(OSError(errno.ENOSPC, ""), path, "set HOME"))
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(AxonalError, match="a file is in its way"),
        whole_file(tmp_path / "file" / "b"),
    ):
        pass

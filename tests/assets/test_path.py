"""A name, a folder of the user's own or a hub id: each gives a folder, or one clear sentence."""

from __future__ import annotations

import json

import pytest

from axonal import assets
from axonal.errors import InputError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def test_name_is_pulled(home, tiny):
    assert assets.path("tiny") == home / "assets" / "tiny"


def test_folder_of_the_users_own_is_taken_as_it_is(folder, monkeypatch):
    (folder / "model.safetensors").write_bytes(b"weights")
    assert assets.path(folder) == folder
    assert assets.path(str(folder)) == folder
    monkeypatch.setenv("HOME", str(folder.parent))
    assert assets.path("~/model") == folder


def test_folder_without_configuration_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        assets.path(tmp_path)


def test_folder_with_pickled_weights_only_is_refused(folder):
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match="save_pretrained"):
        assets.path(folder)


def test_folder_that_lacks_a_shard_is_refused(folder):
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model-1.safetensors").write_bytes(b"weights")
    with pytest.raises(InputError, match="no whole model"):
        assets.path(folder)
    (folder / "model-2.safetensors").write_bytes(b"weights")
    assert assets.path(folder) == folder
    (folder / "model.safetensors.index.json").write_text("{")
    with pytest.raises(InputError, match="no whole model"):
        assets.path(folder)


def test_file_is_refused(folder):
    with pytest.raises(InputError, match="is a file; expected a folder"):
        assets.path(folder / "config.json")


def test_revision_of_what_has_none_is_refused(home, tiny, folder):
    for source in ("tiny", folder):
        with pytest.raises(InputError, match="revision: only a hub id"):
            assets.path(source, revision="main")


@pytest.mark.parametrize("source", ["smollm2-135m", "./nowhere/at/all", ""])
def test_what_is_nothing_is_one_sentence_with_the_nearest_names(source):
    with pytest.raises(InputError, match="smollm2-135m-instruct"):
        assets.path(source)

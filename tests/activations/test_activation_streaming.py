"""A recording on disk holds what a recording in memory holds, and goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_models import WIDTH, build, pad, random_ids
from torch import Tensor, nn

from axonal.activations import Recording, Site, Sites, record, record_to
from axonal.errors import AxonalError, InputError

ROW = WIDTH * 4 / 2**20  # mebibytes of one activation


def corpus(count: int = 4) -> list[dict[str, Tensor]]:
    lengths = [(3, 5), (6, 2), (4, 4), (1, 7)][:count]
    return [
        pad([random_ids(1, n, seed=10 * i + j)[0] for j, n in enumerate(pair)], side)
        for i, (pair, side) in enumerate(zip(lengths, ["left", "right"] * 2, strict=False))
    ]


def wanted(model: nn.Module) -> list[Site]:
    sites = Sites.of(model)
    return [sites.residual(1), sites.heads(0)]


@pytest.mark.parametrize(
    ("positions", "kept"),
    [("all", slice(None)), ("last", slice(-1, None)), (-1, slice(-1, None)), (slice(1, 3),) * 2],
    ids=str,
)
def test_streaming_equals_recording_in_memory(positions, kept, tmp_path: Path, llama) -> None:
    sites = wanted(llama)
    stored = record_to(tmp_path / "r", llama, corpus(), sites, positions, shard_mebibytes=20 * ROW)
    for site in sites:
        rows = []
        for batch in corpus():
            whole = record(llama, batch, [site])[site]
            real = batch["attention_mask"].bool()
            rows += [row[mask][kept] for row, mask in zip(whole, real, strict=True)]
        assert torch.equal(stored[site], torch.cat(rows))
    assert stored.complete
    assert len(stored) == len(stored["token"])


def test_every_row_says_which_token_it_is(tmp_path: Path, llama: nn.Module) -> None:
    stored = record_to(tmp_path / "r", llama, corpus(), wanted(llama))
    expected = []
    for sequence, (ids, mask) in enumerate(
        pair for batch in corpus() for pair in zip(*batch.values(), strict=True)
    ):
        tokens = ids[mask.bool()].tolist()
        expected += [(sequence, position, token) for position, token in enumerate(tokens)]
    columns = [stored[name].tolist() for name in ("sequence", "position", "token")]
    assert list(zip(*columns, strict=True)) == expected


def test_parts_are_read_in_order_and_never_larger_than_asked(tmp_path: Path, llama) -> None:
    site = wanted(llama)[0]
    stored = record_to(tmp_path / "r", llama, corpus(), [site], shard_mebibytes=10 * ROW)
    parts = list(stored.parts(site, rows=3))
    assert max(map(len, parts)) == 3
    assert torch.equal(torch.cat(parts), stored[site])


def test_memory_is_bounded_by_the_shard(tmp_path: Path, llama: nn.Module) -> None:
    stored = record_to(tmp_path / "r", llama, corpus(), wanted(llama), shard_mebibytes=1e-6)
    assert [shard.batches for shard in stored.shards] == [1, 2, 3, 4]  # a batch at a time
    assert stored.shards[-1].sequences == 8


def test_an_interrupted_recording_goes_on_where_it_stopped(tmp_path: Path, llama) -> None:
    def interrupted() -> Iterator[dict[str, Tensor]]:
        yield from corpus(2)
        raise KeyboardInterrupt

    path, options = tmp_path / "r", {"shard_mebibytes": 1e-6}
    with pytest.raises(KeyboardInterrupt):
        record_to(path, llama, interrupted(), wanted(llama), **options)
    assert not Recording(path).complete
    (path / ".unfinished-x.safetensors").write_bytes(b"torn")  # killed while writing

    runs = []
    handle = llama.model.embed_tokens.register_forward_hook(lambda *_: runs.append(1))
    resumed = record_to(path, llama, corpus(), wanted(llama), **options)
    again = record_to(path, llama, corpus(), wanted(llama), **options)
    handle.remove()
    assert len(runs) == 2  # only what was missing, and nothing the third time
    whole = record_to(tmp_path / "whole", llama, corpus(), wanted(llama))
    for column in (*wanted(llama), "sequence", "position", "token"):
        assert torch.equal(resumed[column], whole[column])
        assert torch.equal(again[column], whole[column])


def test_other_batches_and_fewer_batches_are_refused(tmp_path: Path, llama: nn.Module) -> None:
    options = {"shard_mebibytes": 1e-6}
    record_to(tmp_path / "r", llama, corpus(2), wanted(llama), **options)
    with pytest.raises(InputError, match="recorded from other batches"):
        record_to(tmp_path / "r", llama, reversed(corpus(4)), wanted(llama), **options)
    with pytest.raises(InputError, match="holds 2 batches, but only 1 were given"):
        record_to(tmp_path / "r", llama, corpus(1), wanted(llama), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": "last"}, "positions='all', not 'last'"),
        ({"dtype": torch.float16}, "dtype=None, not 'float16'"),
        ({"sites": [Site("model.norm")]}, "recording with sites="),
        ({"model": build("mistral")}, "recording with model="),
    ],
)
def test_a_recording_of_something_else_is_refused(change, message, tmp_path, llama) -> None:
    arguments = {"model": llama, "batches": corpus(1), "sites": wanted(llama)}
    record_to(tmp_path / "r", **arguments)
    with pytest.raises(InputError, match=message):
        record_to(tmp_path / "r", **(arguments | change))


def test_the_card_tells_where_the_numbers_come_from(tmp_path: Path, llama: nn.Module) -> None:
    record_to(tmp_path / "r", llama, corpus(1), wanted(llama), slice(1, None), dtype=torch.float16)
    card = json.loads((tmp_path / "r" / "card.json").read_text())
    assert card["model"]["class"] == "LlamaForCausalLM"
    assert len(card["model"]["fingerprint"]) == 16
    assert card["sites"][1] == {
        "path": "model.layers.0.self_attn.o_proj",
        "side": "input",
        "heads": 4,
        "head": None,
    }
    assert (card["positions"], card["dtype"]) == ("slice(1, None, None)", "float16")
    assert Recording(tmp_path / "r")[wanted(llama)[0]].dtype == torch.float16


def test_modules_without_tokens_are_recorded_a_row_at_a_time(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    images = torch.randn(6, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    stored = record_to(tmp_path / "r", network, images.split(2), [Site("1")], None)
    torch.testing.assert_close(stored[Site("1")], network(images).detach())


def test_what_is_not_in_a_recording_is_said(tmp_path: Path, llama: nn.Module) -> None:
    stored = record_to(tmp_path / "r", llama, corpus(1), wanted(llama))
    with pytest.raises(InputError, match=r"no column model.norm \(output\); it has model.layers.1"):
        stored[Site("model.norm")]
    with pytest.raises(InputError, match="holds no recording"):
        Recording(tmp_path)
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(InputError, match="something else than a recording"):
        record_to(tmp_path, llama, corpus(1), wanted(llama))


def test_rows_of_different_shapes_make_no_table(tmp_path: Path, llama: nn.Module) -> None:
    with pytest.raises(InputError, match="differ in shape"):
        record_to(tmp_path / "r", llama, corpus(2), wanted(llama), None)


def test_a_full_disk_is_said_and_leaves_no_half_shard(tmp_path, llama, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(AxonalError, match="is full; free some space"):
        record_to(tmp_path / "r", llama, corpus(1), wanted(llama))
    assert len(Recording(tmp_path / "r")) == 0

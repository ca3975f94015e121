"""Saved edits come back bit-identical, and refuse what they were not made for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_activation_editing import BASIS, DICTIONARY, draw
from tiny_models import WIDTH, build, random_ids
from torch import nn

from axonal.activations import (
    Add,
    Affine,
    Clamp,
    Edit,
    Gate,
    Interchange,
    Latents,
    MapUnits,
    Project,
    Replace,
    ScaleUnits,
    Site,
    Sites,
    edit,
    load,
    record_to,
    save,
)
from axonal.activations.provenance import describe
from axonal.errors import AxonalError, InputError

EVERY_EDIT: list[Edit] = [
    Add(draw(WIDTH), torch.tensor([1.0, 2.0]), norm_dims=(-1,), positions=slice(1, None)),
    Project(draw(WIDTH, 3), keep="complement", center=draw(WIDTH), positions=["last", 0]),
    Affine(draw(2, 2), draw(2), BASIS, center=draw(WIDTH), strength=0.5),
    ScaleUnits([3, 1], draw(2), rows=[0]),
    Clamp(low=-1.0, units=[5, 6], tokens=[4, 14]),
    Gate(draw(WIDTH), draw(WIDTH), positions="prompt"),
    MapUnits(draw(WIDTH), draw(WIDTH), low=draw(WIDTH) - 1.0, high=None, positions="all"),
    Interchange(draw(2, 7, WIDTH), torch.ones(2, 7), BASIS, positions=torch.tensor([1, 2])),
    Latents(DICTIONARY, add={3: 2.0}, clamp={5: 0.0}, read="after"),
    Replace(draw(WIDTH), positions=torch.arange(7) % 2 == 0),
]


def test_every_edit_comes_back_bit_identical(tmp_path: Path, llama: nn.Module) -> None:
    site, ids = Sites.of(llama).residual(1), random_ids(2, 7)
    save({site: EVERY_EDIT}, tmp_path / "edits", model=llama)
    loaded = load(tmp_path / "edits", model=llama)
    for before, after in zip(EVERY_EDIT, loaded[site], strict=True):
        with edit(llama, {site: before}):
            expected = llama(ids).logits
        with edit(llama, {site: after}):
            assert torch.equal(llama(ids).logits, expected), type(before).__name__


def test_what_is_saved_is_what_was_trained(tmp_path: Path, llama: nn.Module) -> None:
    add = Add(torch.zeros(WIDTH)).requires_grad_()
    with torch.no_grad():
        add.vector.fill_(3.0)
    site = Sites.of(llama).residual(1)
    save({site: add}, tmp_path / "edits", model=llama)
    assert (load(tmp_path / "edits")[site][0].vector == 3.0).all()


def test_saving_again_replaces_and_leaves_nothing_else(tmp_path: Path, llama: nn.Module) -> None:
    site = Sites.of(llama).residual(1)
    for value in (1.0, 2.0):
        save({site: Replace(value)}, tmp_path / "edits", model=llama)
    assert load(tmp_path / "edits")[site][0].value == 2.0
    assert [child.name for child in tmp_path.iterdir()] == ["edits"]


def test_a_failed_save_leaves_the_former_one(tmp_path: Path, llama: nn.Module) -> None:
    site = Sites.of(llama).residual(1)
    save({site: Replace(1.0)}, tmp_path / "edits", model=llama)
    with pytest.raises(InputError, match="cannot be saved"):
        save({site: Add(draw(WIDTH), positions=lambda call: None)}, tmp_path / "edits", model=llama)
    assert load(tmp_path / "edits")[site][0].value == 1.0


def test_edits_refuse_another_model(tmp_path: Path, llama: nn.Module) -> None:
    site = Sites.of(llama).residual(1)
    save({site: Replace(0.0)}, tmp_path / "edits", model=llama)
    with pytest.raises(InputError, match=r"made with LlamaForCausalLM \(.*this model is Mistral"):
        load(tmp_path / "edits", model=build("mistral"))
    llama.bfloat16()
    try:
        load(tmp_path / "edits", model=llama)  # the same weights, less precise
    finally:
        llama.float()


def test_edits_refuse_the_same_architecture_with_other_weights(tmp_path, llama) -> None:
    save({Sites.of(llama).residual(1): Replace(0.0)}, tmp_path / "edits", model=llama)
    weight = llama.model.layers[2].mlp.up_proj.weight
    kept = weight.clone()
    try:
        weight.mul_(1.1)
        with pytest.raises(InputError, match="of different models do not mean the same"):
            load(tmp_path / "edits", model=llama)
    finally:
        weight.copy_(kept)


def test_edits_refuse_another_site(tmp_path: Path, llama: nn.Module) -> None:
    sites = Sites.of(llama)
    save({sites.residual(1): Replace(0.0)}, tmp_path / "edits", model=llama)
    (loaded,) = load(tmp_path / "edits").values()
    with (
        pytest.raises(
            InputError, match=r"made for model.layers.1 \(output\), not for model.layers.2"
        ),
        edit(llama, {sites.residual(2): loaded}),
    ):
        pass


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path, llama) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(InputError, match="holds no edits: choose another folder"):
        save({Site("model.norm"): Replace(0.0)}, tmp_path, model=llama)
    assert (tmp_path / "thesis.txt").exists()


def test_a_recording_is_not_taken_for_edits(tmp_path: Path, llama: nn.Module) -> None:
    site = Sites.of(llama).residual(1)
    record_to(tmp_path / "r", llama, [{"input_ids": random_ids(1, 3)}], [site])
    with pytest.raises(InputError, match="holds no edits: choose another folder"):
        save({site: Replace(0.0)}, tmp_path / "r", model=llama)
    with pytest.raises(InputError, match="no readable edits"):
        load(tmp_path / "r")


def test_torn_and_foreign_files_are_refused(tmp_path: Path, llama: nn.Module) -> None:
    with pytest.raises(InputError, match="holds no saved edits"):
        load(tmp_path)
    folder = save({Site("model.norm"): Add(draw(WIDTH))}, tmp_path / "edits", model=llama)
    tensors = (folder / "edits.safetensors").read_bytes()
    (folder / "edits.safetensors").write_bytes(tensors[:-4])
    with pytest.raises(InputError, match=r"not the file that card\.json belongs to"):
        load(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(InputError, match="no readable edits"):
        load(folder)


def test_an_edit_of_a_later_version_is_refused(tmp_path: Path, llama: nn.Module) -> None:
    folder = save({Site("model.norm"): Replace(0.0)}, tmp_path / "edits", model=llama)
    card = json.loads((folder / "card.json").read_text())
    card["sites"][0]["edits"][0]["type"] = "Teleport"
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="no edit 'Teleport' in this version"):
        load(folder)


def test_an_edit_of_ones_own_is_refused(tmp_path: Path, llama: nn.Module) -> None:
    class Mine(Replace):
        pass

    with pytest.raises(InputError, match="Mine is not an edit of this library"):
        save({Site("model.norm"): Mine(0.0)}, tmp_path / "edits", model=llama)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, llama: nn.Module) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AxonalError, match="a file is in its way"):
        save({Site("model.norm"): Replace(0.0)}, tmp_path / "file" / "edits", model=llama)


def test_a_model_with_tied_weights_keeps_its_fingerprint_when_it_is_offloaded() -> None:
    from accelerate import cpu_offload
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 32, "vocab_size": 50}
    heads = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(**sizes, **heads, tie_word_embeddings=True)).eval()
    before = describe(model)
    cpu_offload(model, execution_device=torch.device("cpu"))
    assert "lm_head.weight" in dict(model.named_parameters())
    assert describe(model) == before

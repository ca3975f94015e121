"""Dictionaries are read as they were meant, whoever wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from relevance_models import build
from resistance_models import tiny
from safetensors.torch import save_file

from axonal.activations import Dictionary, Sites
from axonal.errors import InputError
from axonal.language.dictionaries import (
    SparseAutoencoder,
    harvest,
    load_dictionary,
    save_dictionary,
    top_words,
)
from axonal.language.dictionaries.places import HOOKS, place_of, site_at
from model_families import FAMILIES

MADE_BY_SAELENS = Path(__file__).parent / "data" / "saelens"
WIDTH, LATENTS = 6, 10


def weights(seed: int = 0, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = {
        "W_enc": torch.randn(WIDTH, LATENTS, generator=generator),
        "W_dec": torch.randn(LATENTS, WIDTH, generator=generator),
        "b_enc": torch.randn(LATENTS, generator=generator),
        "b_dec": torch.randn(WIDTH, generator=generator),
    }
    return made | more


@pytest.mark.parametrize("case", sorted(p.name for p in MADE_BY_SAELENS.iterdir() if p.is_dir()))
def test_folders_that_saelens_wrote_give_its_numbers(case):
    """``data/saelens`` was written by SAELens 6.54.12, see its README."""
    folder = MADE_BY_SAELENS / case
    kept = np.load(folder / "expected.npz")
    sae = load_dictionary(folder)
    x = torch.from_numpy(kept["x"])
    latents = sae.encode(x)
    np.testing.assert_allclose(latents.numpy(), kept["latents"], atol=2e-5)
    np.testing.assert_allclose(sae.decode(latents).numpy(), kept["reconstruction"], atol=2e-5)
    assert sae.place == "blocks.3.hook_resid_post"
    assert sae.model == "a-model"


def test_gemma_scope_encodes_the_activation_as_it_is(tmp_path):
    made = weights(threshold=torch.full((LATENTS,), 0.4))
    np.savez(tmp_path / "params.npz", **{name: x.numpy() for name, x in made.items()})
    sae = load_dictionary(tmp_path, place="blocks.1.hook_resid_post", model="gemma")
    x = torch.randn(7, WIDTH, generator=torch.Generator().manual_seed(1))
    raw = x @ made["W_enc"] + made["b_enc"]
    expected = raw * (raw > 0.4)
    torch.testing.assert_close(sae.encode(x), expected)
    torch.testing.assert_close(sae.decode(expected), expected @ made["W_dec"] + made["b_dec"])
    assert (sae.place, sae.model) == ("blocks.1.hook_resid_post", "gemma")


@pytest.mark.parametrize("transposed", [False, True])
def test_plain_safetensors_say_what_they_are(tmp_path, transposed):
    made = weights()
    stored = dict(made)
    if transposed:
        stored["W_enc"] = stored["W_enc"].mT.contiguous()
    said = {
        "kind": "topk",
        "k": "2",
        "scale": "0.5",
        "place": "blocks.0.hook_resid_pre",
        "skip": "1",
    }
    save_file(stored, tmp_path / "sae.safetensors", metadata=said)
    sae = load_dictionary(tmp_path / "sae.safetensors")
    x = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1))
    raw = (0.5 * x - made["b_dec"]) @ made["W_enc"] + made["b_enc"]
    top = raw.topk(2)
    expected = torch.zeros_like(raw).scatter(-1, top.indices, top.values.relu())
    torch.testing.assert_close(sae.encode(x), expected)
    back = (expected @ made["W_dec"] + made["b_dec"]) / 0.5
    torch.testing.assert_close(sae.decode(expected), back)
    assert (sae.skip, sae.positions) == (1, slice(1, None))


@pytest.mark.parametrize("kind", ["relu", "topk", "jumprelu"])
def test_what_is_saved_is_read_back(tmp_path, kind):
    made = weights()
    options = {"topk": {"k": 3}, "jumprelu": {"threshold": torch.rand(LATENTS)}}.get(kind, {})
    dictionary = Dictionary(
        made["W_enc"].mT, made["W_dec"], made["b_enc"], made["b_dec"], activation=kind, **options
    )
    sae = SparseAutoencoder(dictionary, "blocks.2.hook_resid_post", "a-model", 1)
    save_dictionary(sae, tmp_path / "sae")
    save_dictionary(sae, tmp_path / "sae")  # over itself
    again = load_dictionary(tmp_path / "sae")
    for name, value in dictionary.state_dict().items():
        assert torch.equal(again.dictionary.state_dict()[name], value), name
    assert (again.place, again.model, again.skip) == (sae.place, sae.model, sae.skip)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="choose another folder"):
        save_dictionary(sae, tmp_path / "other")


def saelens(tmp_path: Path, made: dict[str, torch.Tensor] | None = None, **config: object) -> Path:
    base = {"architecture": "standard", "d_in": WIDTH, "d_sae": LATENTS}
    (tmp_path / "cfg.json").write_text(json.dumps(base | config))
    save_file(weights() if made is None else made, tmp_path / "sae_weights.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"normalize_activations": "layer_norm"}, "normalises every token by its own norm"),
        ({"normalize_activations": "whitening"}, "not known"),
        ({"normalize_activations": "expected_average_only_in"}, "does not say by how much"),
        ({"normalize_activations": True}, "does not say by how much"),
        ({"finetuning_scaling_factor": True}, "finetuned factor"),
        ({"architecture": "gated"}, "'gated' dictionary"),
        ({"architecture": "topk"}, "k=None"),
        ({"architecture": "jumprelu"}, "without a threshold"),
        ({"reshape_activations": "hook_z"}, "attention heads"),
    ],
)
def test_conventions_that_cannot_be_folded_are_refused(tmp_path, config, words):
    with pytest.raises(InputError, match=words):
        load_dictionary(saelens(tmp_path, **config))


def test_folders_of_older_versions_are_read(tmp_path):
    older = {
        "hook_point": "blocks.2.hook_resid_pre",
        "model_name": "gpt2",
        "activation_fn_str": "topk",
    }
    older |= {"activation_fn_kwargs": {"k": 2}, "normalize_activations": False}
    sae = load_dictionary(saelens(tmp_path, **older))
    assert (sae.place, sae.model) == ("blocks.2.hook_resid_pre", "gpt2")
    assert (sae.dictionary.activation, sae.dictionary.k) == ("topk", 2)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        load_dictionary(tmp_path / "nothing.npz")
    with pytest.raises(InputError, match="holds no dictionary"):
        load_dictionary(tmp_path)
    (tmp_path / "weights.pth").write_bytes(b"pickle")
    with pytest.raises(InputError, match="not opened"):
        load_dictionary(tmp_path / "weights.pth")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="no readable npz"):
        load_dictionary(tmp_path / "broken.npz")
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(InputError, match="no readable safetensors"):
        load_dictionary(tmp_path / "broken.safetensors")
    save_file({"W_enc": torch.ones(3, 4)}, tmp_path / "half.safetensors")
    with pytest.raises(InputError, match="has no W_dec"):
        load_dictionary(tmp_path / "half.safetensors")
    save_file({"W_enc": torch.ones(3, 4), "W_dec": torch.ones(5, 3)}, tmp_path / "odd.safetensors")
    with pytest.raises(InputError, match="do not belong together"):
        load_dictionary(tmp_path / "odd.safetensors")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    made = weights()
    made["W_dec"][3, 2] = torch.nan
    with pytest.raises(InputError, match="decoder of this sparse autoencoder holds numbers"):
        load_dictionary(saelens(tmp_path, made))


def test_latents_that_are_dead_or_missing_are_refused(tmp_path):
    made = weights()
    made["W_dec"][3] = 0
    sae = load_dictionary(saelens(tmp_path, made))
    with pytest.raises(InputError, match="Latent 3 is dead"):
        sae.direction(3)
    with pytest.raises(InputError, match="There is no latent 10"):
        sae.direction(10)
    with pytest.raises(InputError, match="does not say where"):
        sae.site_in(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_places_have_names_in_every_family(family):
    model = build(family)
    sites = Sites.of(model)
    for hook, method in HOOKS.items():
        site = getattr(sites, method)(1)
        assert site_at(place_of(site, model), model) == site
        assert site_at(f"blocks.1.{hook}", model) == site
    assert site_at(sites.final_norm().path, model) == sites.final_norm()
    with pytest.raises(InputError, match="cannot be placed"):
        site_at("blocks.1.hook_nothing", model)


def test_a_harvest_leaves_out_padding_and_first_tokens():
    language_model = tiny()
    texts = ["w10 w11 w12 w13 w14 w15", "w20 w21"]
    site = Sites.of(language_model.model).residual(1)
    found = harvest(language_model, texts, site, length=4, batch=3)
    assert found.tokens.tolist() == [11, 12, 13, 15, 21]
    assert found.pieces.tolist() == [0, 0, 0, 1, 2]
    alone = harvest(language_model, texts, site, length=4, batch=1)
    torch.testing.assert_close(found.activations, alone.activations)
    assert len(harvest(language_model, texts, site, length=4, limit=3)) == 3
    assert (found.place, found.model, found.skip) == ("blocks.1.hook_resid_post", "tiny", 1)
    with pytest.raises(InputError, match="no text"):
        harvest(language_model, [""], site)
    with pytest.raises(InputError, match="leaves nothing"):
        harvest(language_model, texts, site, length=1)


def test_latents_are_labelled_by_the_words_that_activate_them():
    language_model = tiny()
    site = Sites.of(language_model.model).embedding()
    found = harvest(language_model, ["w9 w10 w11 w12 w13 w10 w12"], site, skip=0)
    direction = found.activations[found.tokens == 10][0]
    rows = torch.stack([direction, -direction, torch.zeros(len(direction))])
    sae = SparseAutoencoder(Dictionary(rows, rows))
    labels = top_words(sae, found, language_model.tokenizer, [0, 2], words=1)
    assert labels == {0: "w10", 2: "silent"}

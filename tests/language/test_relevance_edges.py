"""Edges and features divide a component's score, and are exact where the model is linear."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from relevance_models import DEPTH, HEADS, build, build_exact, hooks_on, random_pairs
from safetensors.torch import save_file
from test_relevance_patching import linear_gpt2, logit_difference

from axonal.activations import Dictionary, Sites, record
from axonal.activations.site import Site
from axonal.errors import InputError
from axonal.language.relevance import relevance_patching
from axonal.language.relevance.edges import edge_patching, find_readers
from axonal.language.relevance.features import feature_patching, load_dictionary
from axonal.language.relevance.problem import prepare

pytestmark = pytest.mark.filterwarnings("ignore:The model fails this task")


@pytest.mark.parametrize("rules", ["none", "relp"])
@pytest.mark.parametrize(
    "family", ["gpt2", "gpt-neox", "gpt-neox-sequential", "llama", "qwen3", "phi3"]
)
def test_the_edges_of_a_component_sum_to_its_score(family, rules):
    model, pairs = build_exact(family), random_pairs()
    edges = edge_patching(model, pairs, rules=rules)["edges"]
    nodes = relevance_patching(
        model, pairs, rules=rules, kinds=["residual_pre", "heads", "mlp"]
    ).sum("position")
    total = edges.sum("reader")
    np.testing.assert_allclose(
        total.sel(writer="embedding"), nodes["residual_pre"].sel(layer=0), atol=1e-11
    )
    for layer in range(DEPTH):
        np.testing.assert_allclose(
            total.sel(writer=f"m{layer}"), nodes["mlp"].sel(layer=layer), atol=1e-11
        )
        for head in range(HEADS):
            score = nodes["heads"].sel(layer=layer, head=head)
            np.testing.assert_allclose(total.sel(writer=f"a{layer}.h{head}"), score, atol=1e-11)
    assert hooks_on(model) == 0


def test_edges_run_upwards_only_and_in_parallel_blocks_not_to_their_own_mlp():
    sequential = edge_patching(build("llama"), random_pairs())["edges"][0]
    parallel = edge_patching(build("gpt-neox"), random_pairs())["edges"][0]
    for edges, beside in ((sequential, True), (parallel, False)):
        assert np.isfinite(edges.sel(writer="embedding")).all()
        assert np.isnan(edges.sel(writer="a1.h0", reader="a1"))
        assert np.isnan(edges.sel(writer="m1", reader="m1"))
        assert np.isfinite(edges.sel(writer="m1", reader="a2"))
        assert bool(np.isfinite(edges.sel(writer="a1.h0", reader="m1"))) == beside


def test_in_a_linear_network_an_edge_is_exactly_the_effect_of_patching_it():
    model, pairs = linear_gpt2(), random_pairs()
    for path, _ in list(model.named_modules()):  # readers are found at norms
        parent, _, name = path.rpartition(".")
        if name in ("ln_1", "ln_2"):
            setattr(model.get_submodule(parent), name, PassNorm())
    edges = edge_patching(model, pairs, rules="none")
    problem = prepare(model, pairs, ("mlp",), None, None, "denoising")
    sites = Sites.of(model)
    unpatched = logit_difference(model, pairs.corrupt, pairs)
    for writer in (0, 1):
        site = sites.mlp(writer)
        clean, corrupt = (
            record(model, {"input_ids": ids}, [site])[site] for ids in (pairs.clean, pairs.corrupt)
        )
        for reader in find_readers(problem):
            score = edges["edges"].sel(writer=f"m{writer}", reader=reader.name)
            if np.isnan(score).all():
                continue
            handle = reader.site.attach(model, lambda x, c=clean - corrupt: x + c)
            effect = logit_difference(model, pairs.corrupt, pairs) - unpatched
            handle.remove()
            np.testing.assert_allclose(score, effect / edges.attrs["unit"], atol=1e-11)


class PassNorm(torch.nn.Module):
    """Pass everything on."""

    def forward(self, x):
        return x * 1.0


def test_heads_behind_a_norm_are_refused():
    with pytest.raises(InputError, match="post_attention_layernorm"):
        edge_patching(build("gemma2"), random_pairs())


def autoencoder(width: int, features: int) -> Dictionary:
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = torch.randn(
        2, features, width, generator=generator, dtype=torch.float64
    ) / np.sqrt(width)
    return Dictionary(encoder, decoder)


@pytest.mark.parametrize("rules", ["none", "relp"])
def test_features_and_error_sum_to_the_score_of_the_activation(rules):
    model, pairs = build_exact("llama"), random_pairs()
    site = Sites.of(model).mlp(1)
    result = feature_patching(model, pairs, {site: autoencoder(32, 100)}, rules=rules)[site]
    whole = relevance_patching(model, pairs, rules=rules, kinds=["mlp"])["mlp"].sel(layer=1)
    np.testing.assert_allclose(
        result["features"].sum("feature") + result["error"], whole, atol=1e-11
    )
    assert float(abs(result["features"]).max()) > 1e-3


def test_the_gradient_of_a_feature_is_the_effect_of_moving_along_its_decoder_row():
    model, pairs = build_exact("llama"), random_pairs()
    site, dictionary = Sites.of(model).residual(0), autoencoder(32, 40)
    result = feature_patching(model, pairs, {site: dictionary}, rules="none")[site]
    clean, corrupt = (
        dictionary.encode(record(model, {"input_ids": ids}, [site])[site])
        for ids in (pairs.clean, pairs.corrupt)
    )
    moved = (clean - corrupt)[:, 4]
    feature = int(moved.abs().sum(0).argmax())
    step = torch.zeros(2, 7, 32, dtype=torch.float64)
    step[:, 4] = moved[:, feature, None] * dictionary.decoder[feature]
    values = []
    for sign in (1e-5, -1e-5):
        handle = site.attach(model, lambda x, s=sign: x + s * step)
        values.append(logit_difference(model, pairs.corrupt, pairs))
        handle.remove()
    slope = (values[0] - values[1]) / 2e-5 / result.attrs["unit"]
    np.testing.assert_allclose(result["features"][:, 4, feature], slope, atol=1e-6)


def test_autoencoders_load_from_safetensors(tmp_path):
    tensors = {
        "W_enc": torch.randn(8, 20),
        "b_enc": torch.randn(20),
        "W_dec": torch.randn(20, 8),
        "b_dec": torch.randn(8),
    }
    save_file(tensors, tmp_path / "sae.safetensors")
    dictionary = load_dictionary(tmp_path / "sae.safetensors")
    x = torch.randn(3, 8)
    expected = ((x - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]).relu()
    torch.testing.assert_close(dictionary.encode(x), expected)


def test_files_and_widths_that_do_not_fit_are_refused(tmp_path):
    save_file({"W_enc": torch.zeros(2, 3), "bias": torch.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"has no b_enc, W_dec, b_dec.*holds W_enc, bias"):
        load_dictionary(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_dictionary(tmp_path / "b.safetensors")
    model = build("llama")
    with pytest.raises(InputError, match="has width 16, and the activation there 32"):
        feature_patching(model, random_pairs(), {Site("model.layers.0"): autoencoder(16, 20)})
    with pytest.raises(InputError, match="dictionaries is empty"):
        feature_patching(model, random_pairs(), {})

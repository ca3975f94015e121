"""The Uni-Mol encoder sees distances alone, and the public layout of weights loads."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch
from rdkit import Chem
from scipy.spatial.transform import Rotation

from axonal.errors import InputError
from axonal.molecules import (
    VOCABULARY,
    Conformer,
    TokenReport,
    UniMolEncoder,
    UniMolShape,
    corrupt,
    embed,
    heavy_atoms,
    load_unimol,
    tokenise,
)

TINY = UniMolShape(layers=2, width=32, feed_forward=64, heads=4, kernels=16, dimension=24)


@pytest.fixture(scope="module")
def encoder():
    made = UniMolEncoder(TINY, seed=3).eval()
    with torch.no_grad():  # at its start the encoder barely looks at distances
        for name, weight in made.named_parameters():
            if weight.ndim > 1 and not name.startswith("gbf."):
                weight.copy_(
                    torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.3
                )
    return made


@pytest.fixture(scope="module")
def molecule():
    return heavy_atoms(embed(Chem.MolFromSmiles("C[C@H](N)C(=O)NCc1ccccc1Cl"), seed=1))


def vector(encoder, conformer):
    with torch.no_grad():
        return encoder(tokenise([conformer]))


def test_rotation_translation_and_reflection_change_nothing(encoder, molecule):
    turn = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    mirror = np.diag([1.0, 1.0, -1.0])
    for matrix in (turn, mirror, turn @ mirror):
        moved = (molecule.coordinates @ matrix.T + [3.0, -7.0, 1.0]).astype(np.float32)
        other = vector(encoder, Conformer(molecule.symbols, moved))
        torch.testing.assert_close(other, vector(encoder, molecule), atol=1e-5, rtol=0)


def test_enantiomers_are_one_molecule_as_documented(encoder, molecule):
    mirrored = Conformer(molecule.symbols, molecule.coordinates * np.float32([1, 1, -1]))
    torch.testing.assert_close(
        vector(encoder, mirrored), vector(encoder, molecule), atol=1e-5, rtol=0
    )


def test_another_shape_is_another_vector(encoder, molecule):
    stretched = Conformer(molecule.symbols, molecule.coordinates * 1.3)
    assert (vector(encoder, stretched) - vector(encoder, molecule)).abs().max() > 1e-3


def test_the_order_of_atoms_changes_nothing(encoder, molecule):
    order = np.random.default_rng(1).permutation(len(molecule.symbols))
    mixed = Conformer(tuple(molecule.symbols[i] for i in order), molecule.coordinates[:, order])
    torch.testing.assert_close(vector(encoder, mixed), vector(encoder, molecule), atol=1e-5, rtol=0)


def test_padding_changes_nothing_and_vectors_are_units(encoder, molecule):
    small = heavy_atoms(embed(Chem.MolFromSmiles("CCO"), seed=1))
    both = vector(encoder, small), vector(encoder, molecule)
    with torch.no_grad():
        together = encoder(tokenise([small, molecule]))
    torch.testing.assert_close(together, torch.cat(both), atol=1e-5, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(2), atol=1e-5, rtol=0)


def test_several_conformers_are_averaged(encoder):
    conformer = heavy_atoms(embed(Chem.MolFromSmiles("CCCCCO"), count=3, seed=1))
    each = [Conformer(conformer.symbols, conformer.coordinates[[i]]) for i in range(3)]
    mean = torch.cat([vector(encoder, one) for one in each]).mean(0, keepdim=True)
    torch.testing.assert_close(vector(encoder, conformer), mean / mean.norm(), atol=1e-5, rtol=0)


def test_gradients_are_finite_where_atoms_coincide(encoder, molecule):
    tokens = tokenise([molecule])
    tokens["coordinates"] = tokens["coordinates"].clone().requires_grad_()
    encoder(tokens).sum().backward()
    assert torch.isfinite(tokens["coordinates"].grad).all()


def test_the_papers_encoder_has_its_number_of_parameters():
    with torch.device("meta"):
        count = sum(p.numel() for p in UniMolEncoder(UniMolShape(), seed=0).parameters())
    assert count == 47_724_610


def test_layer_logits_become_the_bias_of_the_next_layer(encoder):
    attention = encoder.encoder.layers[0].self_attn
    x, bias = torch.randn(1, 5, 32), torch.randn(1, 4, 5, 5)
    _, logits = attention(x, bias)
    q, k, _ = attention.in_proj(x).chunk(3, -1)
    q, k = (t.view(1, 5, 4, 8).transpose(1, 2) for t in (q, k))
    torch.testing.assert_close(logits, q @ k.transpose(2, 3) / 8**0.5 + bias)


def test_unknown_elements_are_counted_and_large_molecules_cropped():
    report = TokenReport()
    large = Conformer(("C",) * 299 + ("Pt",), np.zeros((1, 300, 3), np.float32))
    tokens = tokenise([large, Conformer(("Pt",), np.zeros((1, 1, 3), np.float32))], report=report)
    assert tokens["tokens"].shape == (2, 258)
    assert report.cropped == 1
    assert tokens["tokens"][1, 1] == VOCABULARY.index("[UNK]")
    assert report.unknown >= 1


def test_corruption_masks_and_shakes_a_share_of_the_atoms():
    tokens = torch.full((200, 52), VOCABULARY.index("C"))
    tokens[:, 0], tokens[:, -1] = 1, 2
    places = torch.zeros(200, 52, 3)
    generator = torch.Generator().manual_seed(0)
    new, moved = corrupt(tokens, places, generator)
    shaken = moved.abs().sum(-1) > 0
    masked = new == VOCABULARY.index("[MASK]")
    assert 0.13 < float(masked.float().sum() / 10_000 / 0.9) < 0.17
    assert bool(shaken[masked].all())
    assert float(moved.abs().max()) <= 1
    assert not shaken[:, [0, -1]].any()
    assert torch.equal(new[:, [0, -1]], tokens[:, [0, -1]])


# The public layout of weights


def checkpoint(tmp_path, encoder, name="weights.pt"):
    """Write what a pre-training checkpoint holds: heads besides, no map to an embedding."""
    model = {k: v for k, v in encoder.state_dict().items() if not k.startswith("mol_linear")}
    model["lm_head.bias"] = torch.zeros(31)
    model["pair2coord_proj.linear1.weight"] = torch.zeros(4, 4)
    model["dist_head.dense.weight"] = torch.zeros(4, 4)
    model["encoder.final_head_layer_norm.weight"] = torch.ones(4)
    torch.save({"model": model, "args": argparse.Namespace(arch="unimol_base")}, tmp_path / name)
    return tmp_path / name


def test_pretraining_weights_load_whole(tmp_path, encoder):
    found = load_unimol(checkpoint(tmp_path, encoder), dimension=24)
    assert found.shape == TINY.__class__(**{**TINY.__dict__, "dropout": 0.1})
    for name, weight in encoder.state_dict().items():
        if not name.startswith("mol_linear"):
            assert torch.equal(found.state_dict()[name], weight), name


def test_the_papers_own_checkpoint_holds_two_encoders(tmp_path, encoder, molecule):
    other = UniMolEncoder(TINY, seed=9).eval()
    model = {f"unsup_model.{k}": v for k, v in encoder.state_dict().items()}
    model |= {f"sup_model.{k}": v for k, v in other.state_dict().items()}
    torch.save({"model": model}, tmp_path / "both.pt")
    for branch, expected in (("unsup", encoder), ("sup", other)):
        found = load_unimol(tmp_path / "both.pt", branch=branch).eval()
        torch.testing.assert_close(vector(found, molecule), vector(expected, molecule))


def test_weights_that_lack_or_do_not_fit_are_refused(tmp_path, encoder):
    model = dict(encoder.state_dict())
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="no Uni-Mol encoder: it lacks embed_tokens"):
        load_unimol(tmp_path / "other.pt")
    short = {k: v for k, v in model.items() if "fc2" not in k}
    torch.save(short, tmp_path / "short.pt")
    with pytest.raises(InputError, match=r"lacks 4 parameters of Uni-Mol, such as .*fc2"):
        load_unimol(tmp_path / "short.pt")
    model["embed_tokens.weight"] = torch.zeros(30, 32)
    torch.save(model, tmp_path / "words.pt")
    with pytest.raises(InputError, match="dictionary of 30 tokens, expected 31"):
        load_unimol(tmp_path / "words.pt")
    with pytest.raises(InputError, match="There are no weights"):
        load_unimol(tmp_path / "nowhere.pt")


class Evil:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="without running code"):
        load_unimol(tmp_path / "evil.pt")
    assert "must not run" not in capsys.readouterr().out


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(InputError, match="multiple of heads=5"):
        UniMolShape(width=32, heads=5)

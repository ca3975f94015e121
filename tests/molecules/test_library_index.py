"""The index of a library: exact answers, approximate kinds, folders that are replaced or left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axonal.errors import AxonalError, InputError
from axonal.molecules import DescriptorEncoder, Entry, LibraryIndex, MoleculeSearch


def entries(count: int) -> list[Entry]:
    return [Entry(f"m{i}", "C", str(i)) for i in range(count)]


def unit(rng: np.random.Generator, count: int, width: int = 16) -> np.ndarray:
    vectors = rng.standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return unit(np.random.default_rng(3), 3000)


@pytest.fixture(scope="module")
def index(vectors) -> LibraryIndex:
    parts = np.array_split(np.arange(len(vectors)), 7)
    named = entries(len(vectors))
    return LibraryIndex.build([(vectors[p], [named[i] for i in p]) for p in parts])


@pytest.mark.parametrize("queries", [1, 2, 9, 300])
@pytest.mark.parametrize("top", [1, 50, 5000])
def test_the_exact_index_is_the_sorted_maximum_over_queries(vectors, index, queries, top):
    asked = unit(np.random.default_rng(queries), queries)
    products = vectors.astype(float) @ asked.T.astype(float)
    rows, scores, of = index.search(asked, top)
    expected = np.argsort(-products.max(1), kind="stable")[:top]
    assert len(rows) == min(top, len(vectors))
    np.testing.assert_allclose(scores, products.max(1)[expected], atol=2e-6)
    np.testing.assert_allclose(products[rows, of], products.max(1)[rows], atol=2e-6)
    assert len(set(rows.tolist())) == len(rows)
    np.testing.assert_allclose(index.scores(asked), products.max(1), atol=2e-6)


def test_ties_stand_in_the_order_of_the_library():
    same = np.zeros((40, 4), np.float32)
    same[:, 0] = 1
    index = LibraryIndex.build([(same, entries(40))])
    assert index.search(same[:2], 7)[0].tolist() == list(range(7))


def test_a_trained_index_learns_from_many_blocks_and_finds_most(vectors, index):
    parts = np.array_split(np.arange(len(vectors)), 60)  # 50 vectors: too few for 64 lists alone
    named = entries(len(vectors))
    blocks = [(vectors[p], [named[i] for i in p]) for p in parts]
    asked = vectors[:5]
    truth = set(index.search(asked, 20)[0].tolist())
    for factory, least in (("IVF64,Flat", 5), ("HNSW16", 18), ("SQ8", 17)):
        made = LibraryIndex.build(blocks, factory=factory)
        rows = made.search(asked, 20)[0]
        assert len(made) == len(vectors)
        assert len(rows) == 20, factory
        assert {0, 1, 2, 3, 4} <= set(rows.tolist()), factory
        assert len(truth & set(rows.tolist())) >= least, factory
        np.testing.assert_allclose(made.embeddings()[:50], vectors[:50], atol=0.02)


def test_a_graph_returns_as_many_as_are_asked_for(vectors):
    made = LibraryIndex.build([(vectors, entries(len(vectors)))], factory="HNSW16")
    assert len(made.search(vectors[:1], 500)[0]) == 500


@pytest.mark.parametrize("held", [("card.json",), ("search.json",), ("card.json", "index.faiss")])
def test_another_kind_of_folder_is_never_replaced(index, tmp_path, held):
    place = tmp_path / "mine"
    place.mkdir()
    for name in held:
        (place / name).write_text("{}")
    with pytest.raises(InputError, match=r"holds no index: choose another folder"):
        index.save(place)
    search = MoleculeSearch(DescriptorEncoder(bits=64, dimension=8), steps=2, batch_size=4)
    search.fit(["CCO", "CCCO", "CCN", "CCCN"], ["a", "a", "b", "b"])
    with pytest.raises(InputError, match=r"holds no search: choose another folder"):
        search.save(place)
    assert sorted(p.name for p in place.iterdir()) == sorted(held)


def test_half_a_search_is_said_to_be_one(tmp_path):
    search = MoleculeSearch(DescriptorEncoder(bits=64, dimension=8), steps=2, batch_size=4)
    search.fit(["CCO", "CCCO", "CCN", "CCCN"], ["a", "a", "b", "b"])
    search.save(tmp_path / "model")
    (tmp_path / "model/model.safetensors").write_bytes(b"torn")
    with pytest.raises(AxonalError, match=r"model cannot be read \(SafetensorError"):
        MoleculeSearch.load(tmp_path / "model")
    (tmp_path / "model/model.safetensors").unlink()
    with pytest.raises(InputError, match=r"there is no model\.safetensors"):
        MoleculeSearch.load(tmp_path / "model")


@pytest.mark.parametrize("molecules", [3, 12, 200])
def test_the_start_is_orthonormal_and_leading_whatever_the_number_of_molecules(molecules):
    values = torch.randint(
        0, 3, (molecules, 40), generator=torch.Generator().manual_seed(1)
    ).float()
    values[:, 30:] = 0  # substructures that never occur
    encoder = DescriptorEncoder(bits=40, dimension=16)
    encoder.start({"values": values})
    axes = encoder.components.weight.double()
    torch.testing.assert_close(axes @ axes.T, torch.eye(16).double(), atol=1e-5, rtol=0)
    kept = float((values.double() @ axes.T).square().sum())
    largest = torch.linalg.svdvals(values.double())[:16].square().sum()
    assert kept == pytest.approx(float(largest), rel=1e-5)


def test_few_molecules_start_an_encoder_on_two_threads():
    """MKL's divide and conquer gave up here on two threads."""
    was = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        smiles = [f"CC(=O)N{'C' * n}c1ccccc1" for n in range(8)]
        smiles += [f"O=C(O){'C' * n}c1ccncc1" for n in range(8)]
        search = MoleculeSearch(DescriptorEncoder(), steps=1, batch_size=4)
        search.fit(smiles, ["a"] * 8 + ["b"] * 8)
    finally:
        torch.set_num_threads(was)
    assert np.isfinite(search.embed(["CCO"])).all()

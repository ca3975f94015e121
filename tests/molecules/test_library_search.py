"""Train, index, query, save, load, screen: as a user does, and as brute force would answer."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from rdkit.DataStructs import BulkTanimotoSimilarity

from axonal.cli import main
from axonal.errors import InputError
from axonal.molecules import (
    DescriptorEncoder,
    Entry,
    LibraryIndex,
    MoleculeSearch,
    Objective,
    UniMolEncoder,
    UniMolShape,
    baseline_scores,
    ecfp,
    embed_all,
    neighbour_purity,
    properties,
    property_matched_decoys,
    screen,
    shape_similarity,
    tanimoto,
    usr_similarity,
    usrcat,
)

AMIDES = [f"CC(=O)N{'C' * n}c1ccccc1" for n in range(8)]
ACIDS = [f"O=C(O){'C' * n}c1ccncc1" for n in range(8)]
POOL = [f"{'C' * n}OC{'C' * m}N" for n in range(1, 6) for m in range(4)]


@pytest.fixture(scope="module")
def search():
    encoder = DescriptorEncoder(bits=256, dimension=16, hidden=32)
    made = MoleculeSearch(encoder, steps=20, batch_size=8)
    return made.fit([*AMIDES, *ACIDS], ["amide"] * 8 + ["acid"] * 8, unlabelled=POOL, seed=1)


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "library.csv"
    rows = [(f"m{i}", s, int("C(=O)N" in s)) for i, s in enumerate([*AMIDES, *ACIDS, *POOL])]
    pd.DataFrame(rows, columns=["id", "smiles", "active"]).to_csv(path, index=False)
    return path


def test_training_lowers_the_loss_and_repeats_with_the_seed(search):
    assert search.history_.loss[-1] < search.history_.loss[0]
    again = MoleculeSearch(
        DescriptorEncoder(bits=256, dimension=16, hidden=32), steps=20, batch_size=8
    ).fit([*AMIDES, *ACIDS], ["amide"] * 8 + ["acid"] * 8, unlabelled=POOL, seed=1)
    assert np.array_equal(search.history_.loss, again.history_.loss)
    np.testing.assert_array_equal(search.embed(["CCO"]), again.embed(["CCO"]))


def test_the_given_encoder_is_never_changed():
    encoder = DescriptorEncoder(bits=64, dimension=8, hidden=8)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    MoleculeSearch(encoder, steps=2, batch_size=4).fit(
        [*AMIDES[:4], *ACIDS[:4]], [0, 0, 0, 0, 1, 1, 1, 1]
    )
    assert all(torch.equal(before[n], v) for n, v in encoder.state_dict().items())


def test_principal_components_keep_cosines_of_the_features():
    encoder = DescriptorEncoder(bits=128, dimension=16)
    features, _ = encoder.featurise([Chem.MolFromSmiles(s) for s in [*AMIDES[:3], *ACIDS[:3]]])
    encoder.start(features)
    vectors = encoder(features)
    values = torch.nn.functional.normalize(features["values"], dim=1)
    torch.testing.assert_close(vectors @ vectors.T, values @ values.T, atol=1e-4, rtol=0)


def test_a_small_unimol_trains_and_searches_in_three_dimensions():
    encoder = UniMolEncoder(UniMolShape(1, 16, 32, 4, 8, 8), optimise=False)
    made = MoleculeSearch(encoder, steps=2, batch_size=4)
    made.fit([*AMIDES[:3], *ACIDS[:3]], [0, 0, 0, 1, 1, 1], unlabelled=["CCO", "CCN"])
    assert np.isfinite(made.history_.loss).all()
    hits = made.query(["CCO"], made.index(["CCN", "CCCl", "CCO"]), top=5)
    assert len(hits) == 2
    assert hits.attrs["queries_in_library"] == 1


# Index and query


def test_index_then_query_equals_brute_force_whatever_the_block(search, library):
    queries = ["CC(=O)NCCCCCCCCCc1ccccc1", "CCOCCCCN"]
    for block in (3, 512):
        index = search.index(library, block=block)
        hits = search.query(queries, index, top=7, keep_queries=True)
        vectors = search.embed([*AMIDES, *ACIDS, *POOL])
        best = (vectors @ search.embed(queries).T).max(1)
        order = np.argsort(-best, kind="stable")[:7]
        np.testing.assert_allclose(hits["score"], best[order], atol=1e-6)
        assert set(hits["id"]) == {f"m{i}" for i in order}
        assert hits["rank"].tolist() == list(range(1, 8))
        np.testing.assert_allclose(index.scores(search.embed(queries)), best, atol=1e-6)


def test_an_index_is_kept_and_opened_again(search, library, tmp_path):
    index = search.index(library, folder=tmp_path / "index")
    opened = LibraryIndex.load(tmp_path / "index")
    one, other = (search.query(["CCO"], i, top=9) for i in (index, opened))
    pd.testing.assert_frame_equal(one, other)
    assert opened.card["branch"] == "unsupervised"
    assert json.loads((tmp_path / "index/card.json").read_text())["molecules"] == len(index)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no index: choose another"):
        index.save(tmp_path / "other")


def test_a_compressed_index_finds_nearly_the_same(search, library):
    exact = search.query(["CCOCN"], search.index(library), top=5)
    near = search.query(["CCOCN"], search.index(library, factory="IVF1,SQ8"), top=5)
    assert len(set(exact["id"]) & set(near["id"])) >= 4
    with pytest.raises(InputError, match="FAISS makes no index 'Nonsense'"):
        search.index(library, factory="Nonsense")


def test_the_maximum_over_queries_is_exact_at_every_depth():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 5)).astype(np.float32)
    entries = [Entry(str(i), "C", str(i)) for i in range(200)]
    index = LibraryIndex.build([(vectors[:70], entries[:70]), (vectors[70:], entries[70:])])
    queries = rng.standard_normal((4, 5)).astype(np.float32)
    best = (vectors @ queries.T).max(1)
    for top in (1, 13, 200, 500):
        rows, scores, asked = index.search(queries, top)
        assert rows.tolist() == np.argsort(-best, kind="stable")[:top].tolist()
        np.testing.assert_allclose(scores, best[rows], rtol=1e-5)
        assert asked.tolist() == (vectors @ queries.T).argmax(1)[rows].tolist()


def test_a_query_in_the_library_is_left_out_as_the_same_compound(search, library):
    hits = search.query([AMIDES[3]], search.index(library), top=100)
    assert "m3" not in set(hits["id"])
    assert hits.attrs["queries_in_library"] == 1


def test_a_search_is_saved_and_loaded_with_what_it_has_seen(search, tmp_path):
    search.save(tmp_path / "model")
    loaded = MoleculeSearch.load(tmp_path / "model")
    for branch in ("unsupervised", "supervised"):
        np.testing.assert_array_equal(
            loaded.embed(POOL, branch=branch), search.embed(POOL, branch=branch)
        )
    assert loaded.training_ == search.training_
    assert loaded.objective == search.objective
    with pytest.raises(InputError, match="holds no search"):
        MoleculeSearch.load(tmp_path)


# Bad input


@pytest.mark.parametrize(
    ("molecules", "targets", "words"),
    [
        (AMIDES, [0] * 8, "all molecules have the target"),
        ([*AMIDES, "CCO"], [0] * 8 + [1], "have a single molecule and no positive pair: 1"),
        ([*AMIDES, "CCO", "OCC"], [0] * 8 + [1, 1], "single molecule and no positive pair"),
        (AMIDES, [0, 1], "expected one a molecule"),
        ([*AMIDES, "C(C"], [0] * 4 + [1] * 5, r"1 of 9 .*molecule 8: 'C\(C'"),
        ("file.csv", [0], "read a file with read_affinities"),
    ],
)
def test_what_cannot_be_learned_from_is_named(molecules, targets, words):
    with pytest.raises(InputError, match=words):
        MoleculeSearch(steps=1, batch_size=4).fit(molecules, targets)


def test_unreadable_molecules_are_skipped_with_their_targets(search):
    made = MoleculeSearch(
        DescriptorEncoder(bits=32, dimension=4, hidden=4), steps=1, batch_size=4
    ).fit(["C(C", *AMIDES[:3], *ACIDS[:3]], [0, 0, 0, 0, 1, 1, 1], on_error="skip")
    assert made.report_["labelled"] == 6
    assert made.report_["left_out"] == ["molecule 0: 'C(C' is no SMILES that RDKit can read"]


def test_duplicates_enter_the_unlabelled_batch_once():
    made = MoleculeSearch(
        DescriptorEncoder(bits=32, dimension=4, hidden=4), steps=1, batch_size=4
    ).fit([*AMIDES[:3], *ACIDS[:3]], [0] * 3 + [1] * 3, unlabelled=["CCO", "OCC", AMIDES[0]])
    assert made.report_["unlabelled"] == 7


def test_a_search_that_has_not_learned_says_so():
    with pytest.raises(InputError, match="not learned yet"):
        MoleculeSearch().embed(["CCO"])


def test_branches_and_dimensions_must_match(search, library):
    index = search.index(library, branch="supervised")
    with pytest.raises(InputError, match="the index was made with 'supervised'"):
        search.query(["CCO"], index)
    other = MoleculeSearch(DescriptorEncoder(bits=64, dimension=8, hidden=8), steps=1, batch_size=4)
    other.fit([*AMIDES[:3], *ACIDS[:3]], [0] * 3 + [1] * 3)
    with pytest.raises(InputError, match="made by another model"):
        other.query(["CCO"], search.index(library))


# Baselines, decoys, purity


def test_fingerprints_and_shapes_are_rdkits():
    mols = [Chem.MolFromSmiles(s) for s in [*AMIDES[:4], *ACIDS[:4]]]
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    bits = [GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint(mol) for mol in mols]
    expected = np.array([BulkTanimotoSimilarity(one, bits) for one in bits])
    np.testing.assert_allclose(tanimoto(ecfp(mols), ecfp(mols)), expected, atol=1e-12)
    np.testing.assert_allclose(baseline_scores("ecfp4", mols[:2], mols), expected[:2].max(0))
    made, _ = embed_all(mols, seed=0, optimise=False)
    moments = usrcat(made)
    ours = usr_similarity(moments, moments)
    theirs = [
        [
            rdMolDescriptors.GetUSRScore(a.tolist(), b.tolist(), weights=[1.0] * 5)
            for b in moments.astype(float)
        ]
        for a in moments.astype(float)
    ]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    overlays = shape_similarity(made[:1], made, seed=1)
    assert overlays[0] > 0.9
    assert overlays.argmax() == 0
    with pytest.raises(InputError, match="no baseline is called 'ecfp6': did you mean ecfp4"):
        baseline_scores("ecfp6", mols, mols)


@pytest.fixture(scope="module")
def decoys():
    rng = np.random.default_rng(0)
    actives = [Chem.MolFromSmiles(s) for s in AMIDES]
    rings = ("c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccsc1")
    pool = [
        Chem.MolFromSmiles(f"C{'C' * int(rng.integers(0, 8))}OC(=O){'C' * int(n)}N{'C' * k}{ring}")
        for n in range(5) for k in range(4) for ring in rings
    ]  # fmt: skip
    return actives, [*pool, *actives], property_matched_decoys(actives, [*pool, *actives], 3)


def test_decoys_match_the_properties_of_actives(decoys):
    actives, pool, found = decoys
    assert len(found.rows) == len(set(found.rows.tolist())) == 3 * len(actives)
    assert found.rows.max() < len(pool) - len(actives)  # no active is a decoy
    spread = properties(actives).std(0)
    anyone = np.abs(properties(pool[: -len(actives)]).mean(0) - properties(actives).mean(0))
    chosen = np.abs(found.means[1] - found.means[0])
    assert (chosen <= anyone + 0.25 * spread).all()
    assert 0 <= found.classifier_auroc <= 1
    assert "properties alone have AUROC" in str(found)


def test_decoys_may_be_kept_away_from_the_actives(decoys):
    actives, pool, _ = decoys
    found = property_matched_decoys(actives, pool, 1, most_similar=0.4)
    assert tanimoto(ecfp([pool[i] for i in found.rows]), ecfp(actives)).max() < 0.4
    with pytest.raises(InputError, match="ask for fewer, or bring a larger pool"):
        property_matched_decoys(actives, pool, 100)


def test_a_perfect_match_leaves_the_property_classifier_at_chance():
    from axonal.molecules import property_auroc

    rng = np.random.default_rng(0)
    both = rng.standard_normal((600, 6)) * [50, 1, 2, 1, 2, 0.1]
    assert abs(property_auroc(both[:150], both[150:]) - 0.5) < 0.08
    assert property_auroc(both[:150] + 200, both[150:]) > 0.95


def test_purity_is_one_for_clusters_and_chance_for_noise():
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1], 200)
    clusters = np.eye(2)[targets] + 0.01 * rng.standard_normal((400, 2))
    assert neighbour_purity(clusters, targets) == 1
    assert abs(neighbour_purity(rng.standard_normal((400, 5)), targets) - 0.5) < 0.05
    with pytest.raises(InputError, match="fewer neighbours than"):
        neighbour_purity(clusters, targets, neighbours=400)


# Screening, as a function and as a command


def test_screening_judges_where_labels_are_known(search, library):
    found = screen([AMIDES[0]], library, method=search, label="active", resamples=50)
    assert found.queries_in_library == 1
    assert found.metrics.actives == 7
    assert found.metrics.auroc > 0.9
    assert found.leaks.copies == 7  # all of them were learned from
    assert found.ranking["score"].is_monotonic_decreasing
    plain = screen([AMIDES[0]], library, top=3)
    assert plain.ranking.columns.tolist() == ["rank", "id", "smiles", "score"]
    assert len(plain.ranking) == 3


def test_an_unknown_method_is_explained(library):
    with pytest.raises(InputError, match="neither a baseline"):
        screen(["CCO"], library, method="magic")
    with pytest.raises(InputError, match="has no 'activity'; it has id, smiles, active"):
        screen(["CCO"], library, label="activity")


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["screen", *map(str, arguments)])
        said = capfd.readouterr()
        return stop.value.code, said.out, said.err

    return command


def test_the_command_ranks_learns_and_keeps(library, tmp_path, run):
    known = pd.DataFrame({"smiles": [*AMIDES, *ACIDS], "target": ["a"] * 8 + ["b"] * 8, "pki": 7.0})
    known.to_csv(tmp_path / "known.csv", index=False)
    status, out, err = run(
        library, "--query", "CC(=O)NCCCCCCCCCc1ccccc1", "--train", "known.csv", "--value", "pki",
        "--steps", 5, "--save", "model", "--label", "active", "--to", "ranked.csv", "--json",
        )  # fmt: skip
    assert status == 0, err
    said = json.loads(out)
    assert said["metrics"]["auroc"] > 0.5
    assert said["training_copies"] == 8
    ranked = pd.read_csv(tmp_path / "ranked.csv")
    assert ranked["rank"].tolist() == list(range(1, len(ranked) + 1))
    assert MoleculeSearch.load(tmp_path / "model").report_["targets"] == 2


def test_the_command_says_in_a_sentence_what_is_wrong(library, tmp_path, run):
    bad = tmp_path / "bad.smi"
    bad.write_text("CCO a\nC(C b\n")
    status, _, err = run(bad, "--query", "CCO")
    assert status == 2
    assert "bad.smi, line 2" in err
    assert "Traceback" not in err
    status, _, err = run(library, "--query", "CCO", "--to", "x.docx")
    assert status == 2
    assert "--to: expected a file ending in .csv" in err


def test_objective_is_the_papers_by_default():
    assert Objective() == Objective(0.05, 1.0, 5.0, 1.0, 1.0, 0.1)


def test_a_close_match_is_not_told_apart_where_an_active_and_its_decoys_share_a_fold():
    from axonal.molecules import property_auroc

    rng = np.random.default_rng(5)
    actives = rng.standard_normal((60, 6)) * 20
    of = np.repeat(np.arange(60), 20)
    decoys = actives[of] + 0.01 * rng.standard_normal((1200, 6))
    assert property_auroc(actives, decoys) < 0.3  # its own decoys surround each active
    assert property_auroc(actives, decoys, of=of) == pytest.approx(0.5, abs=0.12)
    decoys[:, 0] += 300
    assert property_auroc(actives, decoys, of=of) > 0.95


def test_charges_of_protonation_go_and_others_stay():
    from axonal.molecules import neutral

    for given, expected in (
        ("C[NH2+]C", "CNC"),
        ("CC(=O)[O-]", "CC(=O)O"),
        ("C[N+](C)(C)C", "C[N+](C)(C)C"),
        ("O=[N+]([O-])c1ccccc1", "O=[N+]([O-])c1ccccc1"),
    ):
        assert Chem.MolToSmiles(neutral(Chem.MolFromSmiles(given))) == expected
    same = Chem.MolFromSmiles("CCO")
    assert neutral(same) is same


def test_properties_are_compared_in_their_own_units():
    """Thirty grams are closer than two donors: 0.6 units against 2."""
    active, pool = [Chem.MolFromSmiles("CCOCC")], [Chem.MolFromSmiles(s) for s in ("CCN", "CCCl")]
    from axonal.molecules import properties

    own = properties(active)[0]
    theirs = own + np.array([[0, 0, 0, 2, 0, 0], [30, 0, 0, 0, 0, 0]])
    found = property_matched_decoys(active, pool, 1, pool_properties=theirs)
    assert found.rows.tolist() == [1]
    np.testing.assert_allclose(found.means, [own, theirs[1]])
    assert np.isnan(found.classifier_auroc)  # of one active nothing is learned


@pytest.mark.parametrize("bits", [64, 100, 2048])
def test_tanimoto_is_that_of_the_sets_of_bits(bits):
    rng = np.random.default_rng(bits)
    left, right = (rng.random((n, bits)) < 0.2 for n in (3, 5000))
    right[7] = False
    left[2] = False
    common = (left[:, None, :50] & right[None, :, :50]).sum(-1)  # the first 50 bits by hand
    either = (left[:, None, :50] | right[None, :, :50]).sum(-1)
    expected = np.divide(common, either, out=np.zeros(common.shape), where=either > 0)
    found = tanimoto(left[:, :50].astype(np.uint8), right[:, :50].astype(np.uint8))
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    whole = tanimoto(left.astype(np.uint8), right.astype(np.uint8))
    product = left.astype(float) @ right.T.astype(float)
    total = left.sum(1)[:, None] + right.sum(1) - product
    np.testing.assert_allclose(
        whole, np.divide(product, total, out=np.zeros_like(product), where=total > 0)
    )

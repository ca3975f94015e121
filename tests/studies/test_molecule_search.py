"""The study of molecule search: what never meets, and the full preset on small folders."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import torch
from rdkit import Chem

from axonal.errors import InputError
from axonal.lab import Run, run_study
from axonal.lab.registry import load
from axonal.molecules import UniMolEncoder, UniMolShape
from axonal.studies.molecule_search.data import load as load_data
from axonal.studies.molecule_search.study import study

LIGAND = """@<TRIPOS>MOLECULE
ethanol
9 8
SMALL
NO_CHARGES
@<TRIPOS>ATOM
1 C1 0.9 1.0 1.0 C.3 1 LIG 0.0
2 C2 1.8 0.0 2.0 C.3 1 LIG 0.0
3 O3 2.7 1.0 0.0 O.3 1 LIG 0.0
4 H4 3.6 0.0 1.0 H 1 LIG 0.0
5 H5 4.5 1.0 2.0 H 1 LIG 0.0
6 H6 5.4 0.0 0.0 H 1 LIG 0.0
7 H7 6.3 1.0 1.0 H 1 LIG 0.0
8 H8 7.2 0.0 2.0 H 1 LIG 0.0
9 H9 8.1 1.0 0.0 H 1 LIG 0.0
@<TRIPOS>BOND
1 1 2 1
2 2 3 1
3 1 4 1
4 1 5 1
5 1 6 1
6 2 7 1
7 2 8 1
8 3 9 1
"""


@pytest.fixture(scope="module")
def data():
    return load_data(study.configuration("smoke"), seed=0)


def test_nothing_that_is_searched_was_learned_from(data):
    config = study.configuration("smoke")
    test = data.test("CDK2", config, seed=1)
    learned = set(data.labelled.tolist()) | set(data.pool.tolist())
    assert not learned & set(test.actives.tolist())
    assert not learned & set(test.decoys.tolist())
    assert not learned & set(test.shots.tolist())
    assert not set(test.shots.tolist()) & set(test.actives.tolist())
    assert len(set(data.keys.tolist())) == len(data.keys)


def test_a_test_is_drawn_anew_with_another_seed_and_the_same_with_the_same(data):
    config = study.configuration("smoke")
    one, again, other = (data.test("CDK2", config, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.decoys, again.decoys)
    assert set(one.actives.tolist()) != set(other.actives.tolist())


def test_unknown_targets_are_named():
    config = study.configuration("smoke", targets=("CDK22",))
    with pytest.raises(InputError, match="targets: 'CDK22' is not there: did you mean CDK2"):
        load_data(config, seed=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small folders of the benchmarks' layouts, binders to learn from, weights of Uni-Mol's layout."""
    home = tmp_path_factory.mktemp("benchmarks")
    actives = [f"CC(=O)N{'C' * n}" for n in range(1, 9)]
    decoys = [f"C{'C' * n}OC{'C' * m}Cl" for n in range(6) for m in range(8)]
    for name in ("aces", "braf"):
        place = home / "dude" / name
        place.mkdir(parents=True)
        (place / "actives_final.ism").write_text(
            "".join(f"{s} 1 C{i}\n" for i, s in enumerate(actives))
        )
        (place / "decoys_final.ism").write_text(
            "".join(f"{s} Z{i}\n" for i, s in enumerate(decoys))
        )
        (place / "crystal_ligand.mol2").write_text(LIGAND)
        place = home / "lit" / name
        place.mkdir(parents=True)
        (place / "actives.smi").write_text("".join(f"{s} {i}\n" for i, s in enumerate(actives)))
        (place / "inactives.smi").write_text("".join(f"{s} {i}\n" for i, s in enumerate(decoys)))
        (place / "1abc_ligand.mol2").write_text(LIGAND)
    rows = [f"{'C' * n}c1ccccc1,A,7.5" for n in range(1, 5)]
    rows += [f"{'C' * n}c1ccncc1,B,8" for n in range(1, 5)] + ["CC(=O)NC,B,7"]
    (home / "binders.csv").write_text("smiles,target,pchembl_value\n" + "\n".join(rows) + "\n")
    (home / "pool.smi").write_text("CCO a\nCCN b\nCCCC c\n")
    shape = UniMolShape(layers=1, width=16, feed_forward=32, heads=4, kernels=8, dimension=8)
    weights = UniMolEncoder(shape, seed=1).state_dict()
    kept = {name: value for name, value in weights.items() if "mol_linear" not in name}
    torch.save({"model": kept, "args": argparse.Namespace()}, home / "weights.pt")
    return home


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory) -> Run:
    smoke = dict(study.presets["smoke"])
    settings = smoke | {
        "dude": str(folders / "dude"),
        "lit_pcba": str(folders / "lit"),
        "binders": str(folders / "binders.csv"),
        "unlabelled": str(folders / "pool.smi"),
        "weights": str(folders / "weights.pt"),
        "batch_size": 4,
        "steps": 2,
        "benchmark_steps": 3,
    }
    return run_study(
        load("molecule-search"), "full", settings, home=tmp_path_factory.mktemp("runs")
    )


def test_the_full_preset_judges_the_benchmarks_target_by_target(run):
    assert len(run.measurements["dude_bedroc_g"]["values"]) == 2
    assert len(run.measurements["lit_ef1_ecfp4"]["values"]) == 2
    judged = {claim["id"]: claim["verdict"] for claim in run.claims}
    assert judged["dud-e"] != "not tested"
    assert judged["lit-pcba"] != "not tested"
    assert (run.folder / "trainings/dude/history.jsonl").is_file()


def test_notes_say_what_leaked_and_what_properties_alone_can_tell(run):
    notes = " ".join(json.loads((run.folder / "notes.json").read_text()))
    assert "Leaks:" in notes
    assert "properties alone" in notes
    assert "is attainable" in notes


def test_folders_that_are_missing_are_named_before_anything_is_trained(folders, tmp_path):
    for settings, words in (
        ({"dude": str(tmp_path / "no")}, "dude: there is no folder"),
        ({"dude": str(folders / "dude")}, "name the table of binders"),
        ({"weights": "nowhere.pt"}, "weights: there is no file"),
    ):
        with pytest.raises(InputError, match=words):
            run_study(load("molecule-search"), "smoke", settings, home=tmp_path)


def test_the_query_ligand_of_the_folders_is_ethanol():
    assert Chem.MolToSmiles(Chem.MolFromMol2Block(LIGAND)) == "CCO"


def test_what_was_measured_on_a_searched_target_is_not_learned_under_another_name():
    config = study.configuration(
        "smoke", targets=("5-HT5A",), background=250, pool=50, learned=("5-HT1E", "5-HT1D")
    )
    data = load_data(config, seed=0)
    assert data.leaks["5-HT5A"] > 0
    assert len(data.leaked)
    assert not set(data.labelled.tolist()) & set(data.leaked.tolist())
    assert not set(data.labelled.tolist()) & set(data.actives["5-HT5A"].tolist())


def test_a_target_plays_one_part():
    config = study.configuration("smoke", others=("5-HT1E",))
    with pytest.raises(InputError, match="others: 5-HT1E cannot be in learned too"):
        load_data(config, seed=0)

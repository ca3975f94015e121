"""Molecules come from every format, one at a time, and nothing is dropped in silence."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from axonal.errors import InputError
from axonal.molecules import (
    ReadingReport,
    check_pk,
    embed,
    embed_all,
    identity,
    leak_report,
    read_affinities,
    read_molecules,
    read_target,
    read_targets,
    to_pk,
)

SMILES = ["CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1"]


def sdf(path, smiles=SMILES):
    with Chem.SDWriter(str(path)) as writer:
        for number, one in enumerate(smiles):
            mol = Chem.MolFromSmiles(one)
            mol.SetProp("_Name", f"m{number}")
            mol.SetProp("label", str(number % 2))
            writer.write(mol)
    return path


def files(folder):
    table = pd.DataFrame({"name": ["m0", "m1", "m2"], "SMILES": SMILES})
    table.to_csv(folder / "a.csv", index=False)
    table.to_csv(folder / "a.tsv", index=False, sep="\t")
    table.to_parquet(folder / "a.parquet")
    lines = "".join(f"{s} m{i}\n" for i, s in enumerate(SMILES))
    (folder / "a.smi").write_text("smiles name\n" + lines)
    with gzip.open(folder / "a.smi.gz", "wt") as file:
        file.write(lines)
    sdf(folder / "a.sdf")
    with gzip.open(folder / "b.sdf.gz", "wb") as file:
        file.write((folder / "a.sdf").read_bytes())
    return sorted(folder.iterdir())


def test_every_format_gives_the_same_molecules(tmp_path):
    for path in files(tmp_path):
        found = list(read_molecules(path))
        assert [one.id for one in found] == ["m0", "m1", "m2"], path.name
        assert [one.smiles for one in found] == [Chem.CanonSmiles(smiles) for smiles in SMILES], (
            path.name
        )


def test_reading_is_a_stream(tmp_path):
    path = tmp_path / "many.smi"
    path.write_text("CCO a\n" * 5 + "not-a-smiles b\n")
    stream = read_molecules(path)
    assert next(stream).id == "a"


def test_unreadable_smiles_are_all_named_with_their_lines(tmp_path):
    path = tmp_path / "bad.smi"
    path.write_text("CCO a\nC(C b\n\n# note\nc1cccc1 c\nCCC d\n")
    with pytest.raises(InputError, match=r"2 of 4 .*bad.smi, line 2: 'C\(C'.*line 5: 'c1cccc1'"):
        list(read_molecules(path))
    report = ReadingReport()
    kept = list(read_molecules(path, on_error="skip", report=report))
    assert [one.id for one in kept] == ["a", "d"]
    assert [problem.place for problem in report.problems] == ["bad.smi, line 2", "bad.smi, line 5"]
    assert "2 left out" in str(report)


def test_of_a_salt_the_largest_fragment_is_kept_and_counted():
    report = ReadingReport()
    (kept,) = read_molecules(["Cl.CC(N)Cc1ccccc1"], report=report)
    assert kept.smiles == Chem.CanonSmiles("CC(N)Cc1ccccc1")
    assert report.fragments == 1
    assert "the largest fragment" in str(report)


def test_stereo_salts_and_charges_are_one_compound():
    same = ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "Cl.CC(N)C(=O)O", "CC([NH3+])C(=O)[O-]"]
    keys = {identity(one.mol) for one in read_molecules(same)}
    assert len(keys) == 1
    assert identity(Chem.MolFromSmiles("NCCC(=O)O")) not in keys


def test_three_d_coordinates_of_a_file_are_kept_when_asked(tmp_path):
    made = embed(Chem.MolFromSmiles("CCCO"), seed=1)
    with Chem.SDWriter(str(tmp_path / "x.sdf")) as writer:
        writer.write(Chem.RemoveHs(made))
    (read,) = read_molecules(tmp_path / "x.sdf")
    own = embed(read.mol, seed=2, own=True)
    heavy = [i for i, atom in enumerate(made.GetAtoms()) if atom.GetAtomicNum() > 1]
    np.testing.assert_allclose(
        own.GetConformer().GetPositions()[:4],
        made.GetConformer().GetPositions()[heavy],
        atol=1e-3,
    )
    other = embed(read.mol, seed=2)
    assert not np.allclose(
        other.GetConformer().GetPositions()[:4], own.GetConformer().GetPositions()[:4], atol=0.01
    )


def test_a_molecule_without_conformer_is_reported_never_zeros():
    impossible = Chem.MolFromSmiles("C1=CC#CC=C1[C@H]2[C@@H]3[C@H]2[C@H]3C45C6C4C56")
    mols = [Chem.MolFromSmiles("CCO"), impossible, Chem.MolFromSmiles("CCN")]
    made, kept = embed_all(mols, seed=0)
    assert len(made) == len(kept)
    assert {0, 2} <= set(kept)
    for mol in made:
        assert np.abs(mol.GetConformer().GetPositions()).max() > 0.1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "a,b\n1,2\n", "no column of it is called smiles"),
        ("a.docx", "x", r"expected \.sdf"),
        ("nowhere.smi", None, "There is no file"),
    ],
)
def test_files_that_hold_no_molecules_are_explained(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        list(read_molecules(tmp_path / name))


def test_a_wrong_column_is_offered_the_right_one(tmp_path):
    (tmp_path / "a.csv").write_text("structures,id\nCCO,1\n")
    with pytest.raises(InputError, match="did you mean structures"):
        list(read_molecules(tmp_path / "a.csv", smiles="structure"))


def test_what_is_no_molecule_is_refused():
    with pytest.raises(InputError, match="expected a SMILES, an RDKit molecule or a path, got int"):
        list(read_molecules([3]))
    with pytest.raises(InputError, match="on_error: expected"):
        list(read_molecules(["C"], on_error="ignore"))


# Affinities


def affinities(folder, rows, header="smiles,target,pchembl_value"):
    path = folder / "binders.csv"
    path.write_text(header + "\n" + "\n".join(rows) + "\n")
    return path


def test_affinities_are_read_and_binders_chosen(tmp_path):
    path = affinities(tmp_path, ["CCO,A,7.1", "CCN,A,5.0", "CCC,B,9"])
    found = read_affinities(path, value="pchembl_value")
    assert found.binders(6.5).targets.tolist() == ["A", "B"]
    assert len(found.without([identity(Chem.MolFromSmiles("OCC"))])) == 2


def test_concentrations_need_their_unit_and_mixed_units_are_read_by_row(tmp_path):
    path = affinities(tmp_path, ["CCO,A,10,nM", "CCN,A,1,uM"], "smiles,target,Ki,unit")
    found = read_affinities(path, value="Ki", unit="unit")
    np.testing.assert_allclose(found.pk, [8, 6])
    with pytest.raises(InputError, match="is it pK or a concentration"):
        read_affinities(path, value="Ki")
    path = affinities(tmp_path, ["CCO,A,10,ng/ml", "CCN,A,1,uM"], "smiles,target,Ki,unit")
    with pytest.raises(InputError, match=r"1 rows have a unit other than.*'ng/ml'.*line 2"):
        read_affinities(path, value="Ki", unit="unit")
    assert to_pk(10, "nM") == pytest.approx(8)
    with pytest.raises(InputError, match="unit: expected one of M"):
        to_pk(1, "mg")
    with pytest.raises(InputError, match="concentration is positive"):
        to_pk(0, "nM")


def test_bounds_are_no_affinities(tmp_path):
    path = affinities(tmp_path, ["CCO,A,7,=", "CCN,A,5,<"], "smiles,target,pki,relation")
    with pytest.raises(InputError, match=r"1 rows have a relation other than '='.*line 3"):
        read_affinities(path, value="pki", relation="relation")


def test_affinities_outside_what_is_measured_name_their_rows(tmp_path):
    path = affinities(tmp_path, ["CCO,A,7.1", "CCN,A,350", "CCC,B,-1"])
    with pytest.raises(InputError, match=r"2 affinities lie outside pK 2 to 14: .*350.*-1.*mixed"):
        read_affinities(path, value="pchembl_value")
    with pytest.raises(InputError, match="1 affinities"):
        check_pk([5, np.nan], ["a", "b"])


def test_missing_columns_and_targets_are_named(tmp_path):
    path = affinities(tmp_path, ["CCO,A,7.1", "CCN,,7"])
    with pytest.raises(InputError, match="no column 'protein'"):
        read_affinities(path, target="protein")
    with pytest.raises(InputError, match="1 rows have no target"):
        read_affinities(path)


# Leaks and folders


def test_leaks_count_copies_and_analogues():
    training = [Chem.MolFromSmiles(s) for s in ("CC(=O)Nc1ccc(O)cc1", "CCCCCCCC")]
    test = [Chem.MolFromSmiles(s) for s in ("CC(=O)Nc1ccc(O)cc1", "CC(=O)Nc1ccc(OC)cc1", "c1ccoc1")]
    found = leak_report(test, training)
    assert (found.tested, found.copies) == (3, 1)
    assert found.analogues >= 1
    assert leak_report(test, [identity(mol) for mol in training]).copies == 1
    assert "1 were in the training" in str(found)


def target_folder(folder, layout="dude"):
    folder.mkdir(parents=True)
    ligand = embed(Chem.MolFromSmiles("CC(=O)Nc1ccc(O)cc1"), seed=1)
    name = "crystal_ligand.mol2" if layout == "dude" else "1abc_ligand.mol2"
    (folder / name).write_text(mol2(ligand))
    actives, decoys = "CCO a\nCCCO b\n", "c1ccccc1 c\nC1CC c_bad\nCCCl d\n"
    if layout == "dude":
        (folder / "actives_final.ism").write_text("CCO 123 CHEMBL1\nCCCO 124 CHEMBL2\n")
        (folder / "decoys_final.ism").write_text(decoys)
    else:
        (folder / "actives.smi").write_text(actives)
        (folder / "inactives.smi").write_text(decoys)
    return folder


def mol2(mol):
    """Write a MOL2 block, which RDKit reads but does not write."""
    places = mol.GetConformer().GetPositions()
    kinds = {1: "1", 2: "2", 3: "3", 1.5: "ar"}
    lines = ["@<TRIPOS>MOLECULE", "ligand", f"{mol.GetNumAtoms()} {mol.GetNumBonds()}", "SMALL"]
    lines += ["NO_CHARGES", "@<TRIPOS>ATOM"]
    for atom, (x, y, z) in zip(mol.GetAtoms(), places, strict=True):
        symbol = atom.GetSymbol()
        suffix = (
            ".ar" if atom.GetIsAromatic() else {"C": ".3", "N": ".am", "O": ".3"}.get(symbol, "")
        )
        if symbol in "CO" and any(b.GetBondTypeAsDouble() == 2 for b in atom.GetBonds()):
            suffix = ".2"
        index = atom.GetIdx() + 1
        lines.append(f"{index} {symbol}{index} {x:.4f} {y:.4f} {z:.4f} {symbol}{suffix} 1 LIG 0.0")
    lines.append("@<TRIPOS>BOND")
    for bond in mol.GetBonds():
        ends = bond.GetBeginAtomIdx() + 1, bond.GetEndAtomIdx() + 1
        lines.append(f"{bond.GetIdx() + 1} {ends[0]} {ends[1]} {kinds[bond.GetBondTypeAsDouble()]}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("layout", ["dude", "lit"])
def test_benchmark_folders_are_read(tmp_path, layout):
    target_folder(tmp_path / "all" / "egfr", layout)
    target_folder(tmp_path / "all" / "cdk2", layout)
    found = list(read_targets(tmp_path / "all"))
    assert [one.name for one in found] == ["cdk2", "egfr"]
    one = found[0]
    assert (len(one.actives), len(one.decoys), len(one.queries)) == (2, 2, 1)
    assert len(one.reading.problems) == 1
    assert one.queries[0].smiles == Chem.CanonSmiles("CC(=O)Nc1ccc(O)cc1")
    if layout == "dude":
        assert one.actives[0].id == "CHEMBL1"


def test_folders_of_another_kind_are_explained(tmp_path):
    with pytest.raises(
        InputError, match=r"holds no target of DUD-E or LIT-PCBA.*actives_final.ism"
    ):
        list(read_targets(tmp_path))
    folder = target_folder(tmp_path / "x")
    (folder / "crystal_ligand.mol2").unlink()
    with pytest.raises(InputError, match=r"x: no query.*crystal_ligand.mol2"):
        read_target(folder)

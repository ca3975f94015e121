"""Files of the layouts that the paper and its data have, written here and read back."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from axonal.cells.perturbation import (
    ConditionalMongeMap,
    read_4i,
    read_fcs,
    read_sciplex,
    read_yeast,
)
from axonal.cells.perturbation.screen import plain
from axonal.errors import InputError

GENES = [f"G{i}" for i in range(6)]


def sciplex(path, *, column: str = "drug-dose"):
    rng = np.random.default_rng(0)
    labels = np.repeat(["control-0", "Givinostat-10", "Givinostat-100", "trametinib-10"], 40)
    adata = anndata.AnnData(
        rng.normal(size=(len(labels), 6)).astype(np.float32),
        obs=plain(pd.DataFrame({column: labels}, index=[f"c{i}" for i in range(len(labels))])),
        var=plain(pd.DataFrame(index=GENES)),
    )
    names = np.array(
        [("G3", "G1"), ("absent", "G0"), ("G2", "G5")],
        dtype=[("Givinostat", "U8"), ("trametinib", "U8")],
    )
    adata.uns["rank_genes_groups"] = {"names": names}
    adata.write_h5ad(path)
    return path


def test_sciplex_layout_is_read_with_its_markers(tmp_path):
    smiles = {"givinostat": "CCO", "Trametinib": "CCC"}
    adata = read_sciplex(sciplex(tmp_path / "hvg.h5ad"), smiles=smiles)
    assert set(adata.obs["drug"]) == {"control", "givinostat", "trametinib"}
    assert set(adata.obs.loc[adata.obs.drug == "givinostat", "dose"]) == {10.0, 100.0}
    assert adata.uns["markers"]["givinostat"] == [3, 2]
    assert adata.uns["markers"]["trametinib"] == [1, 0, 5]
    assert set(adata.obs.loc[adata.obs.drug == "trametinib", "smiles"]) == {"CCC"}
    model = ConditionalMongeMap((8,), steps=1, batch_size=8)
    model.fit(adata, perturbation_key="drug", dose_key="dose", context="learned")
    assert model.predict(adata, "givinostat", dose=30.0).shape == adata.shape


def test_sciplex_faults_are_said(tmp_path):
    with pytest.raises(InputError, match="expected a column 'drug-dose'"):
        read_sciplex(sciplex(tmp_path / "other.h5ad", column="treatment"))
    with pytest.raises(InputError, match="none is given for trametinib"):
        read_sciplex(sciplex(tmp_path / "hvg.h5ad"), smiles={"givinostat": "C"})
    with pytest.raises(InputError, match="does not exist"):
        read_sciplex(tmp_path / "nowhere.h5ad")
    (tmp_path / "torn.h5ad").write_bytes(b"no h5")
    with pytest.raises(InputError, match="no readable h5ad"):
        read_sciplex(tmp_path / "torn.h5ad")


def test_4i_layout_is_read_with_its_lists(tmp_path):
    labels = np.repeat(["control", "trametinib", "erlotinib", "trametinib_erlotinib"], 35)
    adata = anndata.AnnData(
        np.random.default_rng(0).normal(size=(len(labels), 6)).astype(np.float32),
        obs=plain(pd.DataFrame({"drug": labels}, index=[f"c{i}" for i in range(len(labels))])),
        var=plain(pd.DataFrame(index=GENES)),
    )
    adata.write_h5ad(tmp_path / "8h.h5ad")
    (tmp_path / "features.txt").write_text("G4\nG0\n")
    (tmp_path / "drugs.txt").write_text("trametinib\ntrametinib_erlotinib\n")
    found = read_4i(
        tmp_path / "8h.h5ad",
        features=tmp_path / "features.txt",
        drugs=tmp_path / "drugs.txt",
    )
    assert list(found.var_names) == ["G4", "G0"]
    assert set(found.obs.drug) == {"control", "trametinib", "trametinib_erlotinib"}
    model = ConditionalMongeMap((8,), steps=1, batch_size=8, pooling="mean")
    context = pd.DataFrame(np.eye(2), index=["trametinib", "erlotinib"])
    model.fit(found, perturbation_key="drug", separator="_", context=context)
    assert ("erlotinib", "trametinib") in {t.drugs for t in model.treatments_}
    with pytest.raises(InputError, match="lacks the features G9"):
        read_4i(tmp_path / "8h.h5ad", features=["G9"])


def write_fcs(path, rng, *, shift: float = 0.0, channels=None):
    from flowio import create_fcs

    names = channels or ["FSC-A", "SSC-A", "FITC-A", "PerCP-Cy5-5-A"]
    events = rng.normal(500 + shift, 50, size=(40, len(names)))
    with path.open("wb") as file:
        create_fcs(file, events.ravel().tolist(), names)
    return events


def test_cytometry_is_read_channel_by_channel(tmp_path):
    events = write_fcs(tmp_path / "one.fcs", np.random.default_rng(0))
    found = read_fcs(tmp_path / "one.fcs", ["FITC-A", "FSC-A"])
    assert np.allclose(found, events[:, [2, 0]], atol=1e-2)
    with pytest.raises(InputError, match="lacks the channels GFP"):
        read_fcs(tmp_path / "one.fcs", ["GFP"])
    (tmp_path / "torn.fcs").write_bytes(b"FCS?")
    with pytest.raises(InputError, match="no readable FCS"):
        read_fcs(tmp_path / "torn.fcs", ["FITC-A"])


def test_yeast_plate_is_read_with_doses_and_standardised_on_control(tmp_path):
    rng = np.random.default_rng(0)
    for row in "BC":
        for column in range(1, 13):
            name = f"{row}{column}_{row}{column:02d}.fcs"
            write_fcs(tmp_path / name, rng, shift=500.0 * (row == "B"))
    adata = read_yeast(tmp_path)
    assert adata.shape == (24 * 40, 4)
    assert adata.obs["dose"].nunique() == 22
    assert adata.obs.loc[adata.obs.well == "B1", "dose"].iloc[0] == 5.0
    control = (adata.obs.perturbation == "control").to_numpy()
    assert control.sum() == 3 * 40
    assert np.allclose(adata.X[control].mean(0), 0, atol=1e-4)
    assert np.allclose(adata.X[control].std(0), 1, atol=1e-4)
    (tmp_path / "B3_B03.fcs").unlink()
    with pytest.raises(InputError, match="no FCS file of the wells B3"):
        read_yeast(tmp_path)

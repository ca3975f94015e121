"""The study of the conditional Monge gap reads a user's screen, and records what it says."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from axonal.cells.perturbation.screen import plain
from axonal.errors import InputError
from axonal.lab import Session
from axonal.lab.registry import load
from axonal.studies.conditional_monge_gap import user

SMILES = {"givinostat": "CCO", "trametinib": "CCC", "belinostat": "c1ccccc1", "dacinostat": "CCN"}


@pytest.fixture
def folder(tmp_path):
    """A screen of the layout of sciplex3 and one of 4i, and the molecules of their drugs."""
    rng = np.random.default_rng(0)

    def write(name: str, column: str, labels: list[str]) -> None:
        rows = np.repeat(labels, 40)
        adata = anndata.AnnData(
            rng.normal(size=(len(rows), 8)).astype(np.float32),
            obs=plain(pd.DataFrame({column: rows}, index=[f"c{i}" for i in range(len(rows))])),
            var=plain(pd.DataFrame(index=[f"G{i}" for i in range(8)])),
        )
        adata.write_h5ad(tmp_path / name)

    write("hvg.h5ad", "drug-dose", ["control-0", *(f"{d}-{x}" for d in SMILES for x in (10, 100))])
    pairs = ["givinostat_trametinib", "trametinib_belinostat", "dacinostat_givinostat"]
    write("8h.h5ad", "drug", ["control", *SMILES, *pairs])
    pd.DataFrame({"drug": list(SMILES), "smiles": list(SMILES.values())}).to_csv(
        tmp_path / "drugs.csv", index=False
    )
    return tmp_path


def small(folder, **changes):
    """Return the full preset cut down to a slice: the same code on a few cells."""
    values = {
        "screen": str(folder / "hvg.h5ad"),
        "smiles": str(folder / "drugs.csv"),
        "screen_steps": 2,
        "screen_batch": 16,
        "screen_epochs": 1,
        "screen_hidden": (16,),
        "metric_batches": 1,
        "metric_cells": 20,
    }
    return load("conditional-monge-gap").configuration("full", **(values | changes))


@pytest.mark.parametrize(("name", "layout"), [("hvg.h5ad", "sciplex"), ("8h.h5ad", "4i")])
def test_a_screen_of_the_users_is_trained_and_measured(folder, name, layout):
    config = small(folder, screen=str(folder / name), layout=layout)
    found = user.measure(config, Session(folder), 0)
    assert list(found["model"].to_numpy()) == ["descriptors", "means", "identity"]
    assert np.isfinite(found["held_out"].sel(measure=["mmd", "wasserstein", "signature"])).all()
    expected = 4 if layout == "sciplex" else 1  # two drugs at two doses; half of three pairs
    assert found.sizes["treatment"] == expected


def test_folds_hold_out_other_drugs(folder):
    first, second = (
        user.measure(small(folder), Session(folder), fold)["treatment"].to_numpy()
        for fold in (0, 1)
    )
    assert not set(first) & set(second)


def test_what_a_screen_lacks_is_said(folder):
    with pytest.raises(InputError, match="needs the molecules"):
        user.measure(small(folder, smiles=""), Session(folder), 0)
    (folder / "few.csv").write_text("drug,smiles\ngivinostat,CCO\n")
    with pytest.raises(InputError, match="lacks belinostat, dacinostat, trametinib"):
        user.measure(small(folder, smiles=str(folder / "few.csv")), Session(folder), 0)
    with pytest.raises(InputError, match="make 2 folds only"):
        user.measure(small(folder), Session(folder), 2)


def test_full_preset_is_the_published_configuration():
    config = load("conditional-monge-gap").configuration("full")
    assert (config.epsilon_fit, config.epsilon_gap, config.learning_rate) == (1.0, 0.01, 1e-4)
    assert (config.steps, config.batch_size, config.conditions_per_step) == (10_000, 512, 1)
    assert (config.metric_batches, config.metric_cells, config.screen_folds) == (11, 512, 21)

"""Vectors of drugs from molecules and from effects, and the screens that are simulated with them."""

from __future__ import annotations

import numpy as np
import pytest
from perturbation_screens import drug_screen

from axonal.cells.perturbation import (
    Screen,
    background_of,
    effect_distances,
    effect_embedding,
    exact_wasserstein,
    molecule_descriptors,
    simulate_screen,
)

SMILES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "CCCCCC"]


def test_descriptors_are_the_papers_and_standardised_by_the_background():
    table = molecule_descriptors(SMILES, background=SMILES).table
    assert np.allclose(table.mean(), 0, atol=1e-9)
    assert np.allclose(table.std(), 1, atol=1e-9)
    assert "MolWt" in table.columns
    assert "BCUT2D_MWHI" not in table.columns
    scale = background_of(SMILES)
    assert len(scale) == 200
    assert set(table.columns) == set(scale.index[scale["std"] > 0.01])


def test_the_kept_background_serves_drug_by_drug():
    both = molecule_descriptors({"aspirin": SMILES[2], "caffeine": SMILES[3]})
    alone = molecule_descriptors({"caffeine": SMILES[3]})
    assert np.allclose(both.row("caffeine", 10.0), alone.row("caffeine", None))
    assert 150 < both.width <= 200
    assert both.source == "descriptors"


def test_effect_distances_are_those_of_transport_and_near_drugs_are_near():
    adata = drug_screen(("a", "b", "c"), (1.0, 100.0), 200)
    adata.X[adata.obs.perturbation == "b"] = adata.X[adata.obs.perturbation == "a"]
    screen = Screen.of(adata, dose_key="dose")
    latent = np.asarray(adata.X)
    distances = effect_distances(latent, screen, cells=150, epsilon=0.1)
    assert np.allclose(distances, distances.T)
    assert np.allclose(np.diag(distances), 0)
    names = [treatment.label for treatment in screen.treated]
    a, b, c = (names.index(name) for name in ("a-100", "b-100", "c-100"))
    assert distances[a, b] < distances[a, c]
    rows = list(screen.treated.values())
    exact = exact_wasserstein(latent[rows[a]], latent[rows[c]])
    assert distances[a, c] == pytest.approx(exact, rel=0.2)


def test_effect_vectors_lie_in_the_unit_cube_and_are_named_by_treatment():
    adata = drug_screen(("a", "b", "c"), (1.0, 100.0))
    context = effect_embedding(
        np.asarray(adata.X), Screen.of(adata, dose_key="dose"), dimensions=3, cells=30
    )
    values = context.table.to_numpy()
    assert values.shape == (6, 3)
    assert values.min() == 0
    assert values.max() == 1
    assert context.has("a", 100.0)
    assert not context.has("a", 7.0)


def test_simulated_cells_know_what_they_were_before():
    molecules = {"m": ["C", "CC"], "n": ["CO", "CCO"]}
    simulated = simulate_screen(molecules, doses=(1e-6, 1e6), cells=300, genes=20, seed=1)
    adata = simulated.adata
    moved = np.linalg.norm(adata.X - adata.obsm["untreated"], axis=1)
    noise = moved[adata.obs.drug == "control"].mean()
    weak = moved[(adata.obs.dose == 1e-6) & (adata.obs.drug != "control")].mean()
    strong = moved[adata.obs.dose == 1e6].mean()
    assert weak == pytest.approx(
        noise, rel=0.05
    )  # without effect the cells stay, but for the noise
    assert strong > 3 * noise
    assert simulated.mechanism["n_1"] == "n"
    assert set(adata.obs.drug) == {"control", "m_0", "m_1", "n_0", "n_1"}


def test_simulated_drugs_of_one_mechanism_act_more_alike_than_others():
    molecules = {name: ["C"] * 3 for name in "mnop"}
    simulated = simulate_screen(molecules, doses=(1e4,), cells=300, genes=30, seed=2)
    screen = Screen.of(simulated.adata, perturbation_key="drug", dose_key="dose")
    x = np.asarray(simulated.adata.X)
    base = x[screen.control].mean(0)
    effects = np.stack([x[rows].mean(0) - base for rows in screen.treated.values()])
    own = [simulated.mechanism[t.drugs[0]] for t in screen.treated]
    same = np.equal.outer(own, own)
    alike = np.corrcoef(effects)
    off = ~np.eye(len(own), dtype=bool)
    assert alike[same & off].mean() > alike[~same].mean() + 0.2


def test_simulation_follows_from_its_seed():
    first, again = (simulate_screen({"m": ["C"]}, cells=40, controls=40, seed=3) for _ in range(2))
    assert np.array_equal(first.adata.X, again.adata.X)

"""What bad input gets: one sentence that says what came, what was expected and what to do."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from perturbation_screens import drug_screen, screen_of

from axonal.cells.perturbation import (
    Autoencoder,
    ConditionalMongeMap,
    DrugContext,
    PrincipalComponents,
    Screen,
    Treatment,
    effect_embedding,
    molecule_descriptors,
    simulate_screen,
)
from axonal.errors import InputError


def quick(**options) -> ConditionalMongeMap:
    return ConditionalMongeMap((8,), **{"steps": 1, "batch_size": 8, **options})


def fit(adata, **options) -> ConditionalMongeMap:
    return quick().fit(adata, **{"dose_key": "dose", "context": "learned", **options})


def test_missing_control_names_what_there_is():
    with pytest.raises(InputError, match=r"control: no cell is labelled 'controls'.*control"):
        fit(drug_screen(), control="controls")


def test_unknown_column_offers_the_nearest():
    with pytest.raises(InputError, match=r"no column 'doze'.*dose"):
        Screen.of(drug_screen(), dose_key="doze")


def test_too_few_cells_are_listed():
    adata = drug_screen(cells=40)
    few = adata[[*range(200), *range(200, 205)]]
    with pytest.raises(InputError, match=r"Fewer than 30 cells in c-1 \(5\)"):
        fit(few)


def test_nan_is_said_with_its_cell():
    adata = drug_screen()
    adata.X[17, 1] = np.nan
    with pytest.raises(InputError, match=r"NaN.*1 cells.*number 17"):
        fit(adata)


def test_raw_counts_are_warned_of():
    adata = drug_screen()
    adata.X = np.random.default_rng(0).poisson(40, adata.shape).astype(np.float32)
    with pytest.warns(UserWarning, match=r"raw counts.*log1p"):
        fit(adata)


@pytest.mark.parametrize("dose", [0.0, -1.0, np.nan])
def test_doses_without_a_logarithm_are_listed(dose):
    adata = drug_screen()
    adata.obs.loc["cell50", "dose"] = dose
    with pytest.raises(InputError, match=r"dose|missing"):
        fit(adata)
    if not np.isnan(dose):
        with pytest.raises(InputError, match=r"cell50 \(a, "):
            fit(adata)


@pytest.mark.parametrize("twin", ["A", "a ", "a-"])
def test_one_drug_by_two_names_is_refused(twin):
    adata = drug_screen()
    names = adata.obs["perturbation"].astype(str).to_numpy()
    names[45:60] = twin
    adata.obs["perturbation"] = names
    with pytest.raises(InputError, match="two names"):
        Screen.of(adata, fewest=1)


def test_unreadable_smiles_are_all_listed():
    with pytest.raises(InputError, match=r"2 of 3 SMILES: bad \('C1CC'\), none \('nan'\)|2 of 3"):
        molecule_descriptors({"good": "CCO", "bad": "C1CC", "none": ""})


def test_an_unseen_drug_with_effect_vectors_is_told_why_it_cannot():
    adata = drug_screen(("a", "b", "c", "d"), (1.0, 10.0))
    screen = Screen.of(adata, dose_key="dose")
    context = effect_embedding(np.asarray(adata.X), screen, dimensions=3, cells=20)
    model = fit(adata, context=context)
    with pytest.raises(InputError, match=r"measured cells.*molecule_descriptors"):
        model.predict(adata, "new", dose=1.0)


def test_an_unseen_drug_with_a_learned_vector_is_told_why_it_cannot():
    with pytest.raises(InputError, match=r"table of the drugs seen.*molecule_descriptors"):
        fit(drug_screen()).predict(drug_screen(), "new", dose=1.0)


def test_drugs_that_nothing_tells_apart_are_refused():
    with pytest.raises(InputError, match=r"3 drugs.*context="):
        fit(drug_screen(), context=None)


def test_a_map_of_one_drug_refuses_another():
    one = drug_screen(("a",))
    with pytest.raises(InputError, match="knows no drug but a"):
        fit(one, context=None).predict(one, "b", dose=1.0)


def test_a_dose_that_the_map_needs_is_asked_for():
    model = fit(drug_screen())
    with pytest.raises(InputError, match=r"pass dose=\."):
        model.predict(drug_screen(), "a")
    with pytest.raises(InputError, match="positive and finite"):
        model.predict(drug_screen(), "a", dose=0.0)


def test_entropies_that_do_not_fit_the_data_are_warned_of():
    near, far = drug_screen(), drug_screen()
    near.X *= 0.01
    far.X *= 100
    with pytest.warns(UserWarning, match=r"epsilon_fit=1 is above the median cost"):
        fit(near)
    with pytest.warns(UserWarning, match=r"epsilon_gap=0\.01 is below a thousandth"):
        ConditionalMongeMap((8,), steps=1, batch_size=8, epsilon_fit=100.0).fit(
            far, dose_key="dose", context="learned"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ConditionalMongeMap(
            (8,), steps=1, batch_size=8, epsilon_fit="auto", epsilon_gap="auto"
        ).fit(far, dose_key="dose", context="learned")


def test_a_combination_member_without_effect_vector_is_skipped_with_a_warning():
    table = pd.DataFrame(np.eye(2), index=["a", "b"])
    rows = [(name, 0.0) for name in ("control", "a", "b", "a+z") for _ in range(30)]
    adata = screen_of(np.random.default_rng(0).normal(size=(len(rows), 3)), rows)
    model = quick(pooling="mean")
    with pytest.warns(UserWarning, match="z have no effect vector"):
        model.fit(adata, separator="+", context=DrugContext(table, "effect"))
    with pytest.raises(InputError, match="no row for 'y'"):
        model.predict(adata, ["y", "z"])


def test_contexts_are_checked_when_they_are_made():
    with pytest.raises(InputError, match="a have more than one row"):
        DrugContext(pd.DataFrame(np.eye(2), index=["a", "a"]))
    with pytest.raises(InputError, match="NaN or infinite values in the rows b"):
        DrugContext(pd.DataFrame([[1.0], [np.inf]], index=["a", "b"]))
    with pytest.raises(InputError, match="'learned'"):
        DrugContext.of("morgan")


def test_a_row_of_another_width_is_refused():
    adata = drug_screen()
    model = fit(adata, context=pd.DataFrame(np.eye(3), index=["a", "b", "c"]))
    with pytest.raises(InputError, match="rows of 3 numbers, these have 2"):
        model.predict(adata, "new", dose=1.0, context=np.ones(2))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"steps": 0}, "steps is a positive whole number"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"epsilon_fit": 0.0}, "epsilon_fit is a positive number"),
        ({"epsilon_gap": "small"}, "epsilon_gap"),
        ({"gap_weight": -1.0}, "gap_weight"),
        ({"pooling": "sum"}, "pooling"),
        ({"cost": "cosine"}, "cost"),
    ],
)
def test_settings_are_checked_when_the_map_is_made(options, match):
    with pytest.raises(InputError, match=match):
        ConditionalMongeMap(**options)


def test_a_map_that_is_not_fitted_says_so(tmp_path):
    model = ConditionalMongeMap()
    for call in (
        lambda: model.predict(drug_screen(), "a"),
        lambda: model.save(tmp_path),
        lambda: model.transport(np.ones((2, 2)), Treatment(("a",))),
    ):
        with pytest.raises(InputError, match="not fitted"):
            call()


def test_spaces_say_what_they_need():
    adata = drug_screen()
    with pytest.raises(InputError, match="expected 'X'"):
        fit(adata, representation="X_umap")
    with pytest.raises(InputError, match=r"no 'PCs'.*scanpy"):
        fit(adata, representation="X_pca")
    with pytest.raises(InputError, match="components=9 is more than"):
        fit(adata, representation=PrincipalComponents(9))
    with pytest.raises(InputError, match="not fitted"):
        Autoencoder(2).encode(np.ones((2, 3)))


def test_a_split_that_leaves_nothing_to_train_on_is_said():
    adata = drug_screen()
    adata.obs["split"] = "test"
    with pytest.raises(InputError, match="training needs both"):
        fit(adata, split_key="split")
    with pytest.raises(InputError, match="no column 'fold'"):
        fit(adata, split_key="fold")


def test_a_simulation_is_checked():
    with pytest.raises(InputError, match="programmes is at least 3"):
        simulate_screen({"m": ["C"]}, genes=2)


def test_more_processes_than_conditions_a_step_are_refused(monkeypatch):
    import accelerate

    class Two:
        num_processes = 2

    monkeypatch.setattr(accelerate, "PartialState", Two)
    with pytest.raises(
        InputError, match="conditions_per_step=1 cannot be shared among 2 processes"
    ):
        fit(drug_screen())


def test_a_matrix_is_no_anndata():
    adata = drug_screen()
    model = fit(adata)
    for call in (lambda: fit(adata.X), lambda: model.predict(adata.X, "a", dose=1.0)):
        with pytest.raises(InputError, match=r"adata: expected an AnnData, got ndarray"):
            call()


def test_genes_of_one_name_are_named():
    adata = drug_screen()
    model = fit(adata)
    adata.var_names = ["gene0", "gene1", "gene1", "gene3"]
    for call in (lambda: fit(adata), lambda: model.predict(adata, "a", dose=1.0)):
        with pytest.raises(InputError, match=r"1 names stand for several features: gene1\."):
            call()


def test_counts_brought_to_a_map_of_logarithms_are_warned_of_and_the_other_way():
    adata, counts = drug_screen(), drug_screen()
    counts.X = np.random.default_rng(0).poisson(40, counts.shape).astype(np.float32)
    model = fit(adata)
    with pytest.warns(UserWarning, match="looks like raw counts, and the map was fitted on log"):
        model.predict(counts, "a", dose=1.0)
    with pytest.warns(UserWarning, match="raw counts"):
        other = fit(counts)
    with pytest.warns(UserWarning, match="looks like logarithms, and the map was fitted on raw"):
        other.predict(adata, "a", dose=1.0)


def test_doses_beyond_the_trained_ones_are_warned_of():
    adata = drug_screen(doses=(1.0, 10.0))
    model = fit(adata)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*outside")
        model.predict(adata, "a", dose=3.0)
    for dose in (0.1, 1000.0):
        with pytest.warns(
            UserWarning, match=rf"dose {dose:g} is outside of the training's 1 to 10"
        ):
            model.predict(adata, "a", dose=dose)


def test_every_drug_without_a_row_is_listed():
    rows = pd.DataFrame({"x": [0.0], "y": [1.0]}, index=["a"])
    with pytest.raises(InputError, match=r"no row for 2 of 3 drugs: b, c\. It has a row for a"):
        fit(drug_screen(), context=rows)


def test_a_map_never_replaces_another_kind_of_folder(tmp_path):
    model = fit(drug_screen())
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(InputError, match="holds no conditional Monge map: choose another folder"):
        model.save(tmp_path)
    assert (tmp_path / "card.json").read_text() == "{}"
    model.save(tmp_path / "map")
    model.save(tmp_path / "map")  # its own kind is replaced


def test_components_of_genes_that_never_vary_are_the_leading_ones():
    rng = np.random.default_rng(0)
    for cells in (12, 200):
        values = np.zeros((cells, 60), np.float32)
        values[:, :5] = rng.normal(size=(cells, 5)) * [5, 4, 3, 2, 1]
        space = PrincipalComponents(3)
        space.fit(values)
        centred = values - values.mean(0)
        kept = np.square(centred @ space.axes_).sum()
        assert kept == pytest.approx(np.square(np.linalg.svd(centred)[1][:3]).sum(), rel=1e-5)
        np.testing.assert_allclose(space.axes_.T @ space.axes_, np.eye(3), atol=1e-5)

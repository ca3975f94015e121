"""The conditional map as its users have it: AnnData in, AnnData out, kept in files, resumed."""

from __future__ import annotations

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from perturbation_screens import drug_screen, screen_of

from axonal.cells.perturbation import (
    Autoencoder,
    ConditionalMongeMap,
    DrugContext,
    MeanRegressor,
    PrincipalComponents,
    ReferencePredictions,
    Screen,
    Treatment,
    drug_folds,
    exact_wasserstein,
    split_cells,
    two_samples,
)
from axonal.errors import AxonalError, InputError


def quick(**options) -> ConditionalMongeMap:
    return ConditionalMongeMap((16,), **{"steps": 3, "batch_size": 16, **options})


def table(drugs=("a", "b", "c", "d")) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(rng.normal(size=(len(drugs), 3)), index=list(drugs))


@pytest.fixture(scope="module")
def adata() -> anndata.AnnData:
    return drug_screen()


@pytest.fixture(scope="module")
def fitted(adata) -> ConditionalMongeMap:
    return quick().fit(adata, dose_key="dose", context=table())


def test_anndata_comes_back_with_the_treatment_said(adata, fitted):
    control = adata[adata.obs.perturbation == "control"]
    predicted = fitted.predict(control, "b", dose=10.0)
    assert predicted.shape == control.shape
    assert list(predicted.obs_names) == list(control.obs_names)
    assert set(predicted.obs["perturbation"]) == {"b"}
    assert set(predicted.obs["dose"]) == {10.0}
    assert np.allclose(predicted.obsm["X_latent"], predicted.X)
    assert set(control.obs["perturbation"]) == {"control"}  # what came in is as it was


def test_predictions_differ_by_drug_and_dose(adata, fitted):
    a, b = (fitted.predict(adata, drug, dose=1.0).X for drug in "ab")
    assert not np.allclose(a, b)
    assert not np.allclose(a, fitted.predict(adata, "a", dose=10.0).X)


def test_a_cell_is_moved_alike_whoever_is_beside_it(adata, fitted):
    whole = fitted.predict(adata, "a", dose=1.0).X
    assert np.allclose(whole[:5], fitted.predict(adata[:5], "a", dose=1.0).X, atol=1e-6)


def test_a_new_drug_needs_its_context_row_and_nothing_else(adata, fitted):
    row = np.array([0.3, -0.2, 1.0])
    new = fitted.predict(adata, "new", dose=1.0, context=row).X
    frame = pd.DataFrame([row], index=["new"])
    assert np.allclose(new, fitted.predict(adata, "new", dose=1.0, context=frame).X)
    with pytest.raises(InputError, match="no row for 'new'"):
        fitted.predict(adata, "new", dose=1.0)


@pytest.mark.parametrize("space", ["X", PrincipalComponents(2), Autoencoder(2, (8,), epochs=2)])
def test_saved_map_predicts_the_same(adata, tmp_path, space):
    model = quick(layer_norm=True)
    model.fit(adata, dose_key="dose", context=table(), representation=space)
    model.save(tmp_path / "map")
    loaded = ConditionalMongeMap.load(tmp_path / "map")
    expected = model.predict(adata, "c", dose=3.0)
    assert np.array_equal(loaded.predict(adata, "c", dose=3.0).X, expected.X)
    assert loaded.treatments_ == model.treatments_
    assert loaded.settings() == model.settings() or loaded.settings()["hidden"] == (16,)
    card = json.loads((tmp_path / "map" / "card.json").read_text())
    assert card["paper"] == "arXiv:2504.08328"
    assert card["space"]["kind"] == model.space_.kind


def test_a_prediction_can_be_written_and_read_as_h5ad(adata, fitted, tmp_path):
    predicted = fitted.predict(adata, "a", dose=1.0)
    predicted.write_h5ad(tmp_path / "predicted.h5ad")
    back = anndata.read_h5ad(tmp_path / "predicted.h5ad")
    assert np.array_equal(back.X, predicted.X)
    assert back.uns["conditional_monge"]["treatment"] == "a-1"
    again = fitted.predict(back, "b", dose=1.0)
    again.write_h5ad(tmp_path / "again.h5ad")


def test_broken_and_missing_files_are_said(fitted, tmp_path):
    with pytest.raises(InputError, match=r"no card\.json"):
        ConditionalMongeMap.load(tmp_path)
    fitted.save(tmp_path)
    (tmp_path / "map.safetensors").write_bytes(b"torn")
    with pytest.raises(AxonalError, match="cannot be read"):
        ConditionalMongeMap.load(tmp_path)


def test_features_may_come_in_any_order_and_must_be_there(adata, fitted):
    expected = fitted.predict(adata, "a", dose=1.0)
    shuffled = fitted.predict(adata[:, ["gene2", "gene0", "gene3", "gene1"]], "a", dose=1.0)
    assert np.array_equal(shuffled.X, expected.X)
    assert list(shuffled.var_names) == list(expected.var_names)
    with pytest.raises(InputError, match=r"lacks 1 of the 4 features.*gene3"):
        fitted.predict(adata[:, ["gene0", "gene1", "gene2"]], "a", dose=1.0)


def test_killed_training_continues_to_the_same_weights(adata, tmp_path):
    whole = quick(steps=6).fit(adata, dose_key="dose", context=table(), seed=3)
    folder = tmp_path / "training"

    def killed(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    arguments = {"dose_key": "dose", "context": table(), "seed": 3, "folder": folder}
    with pytest.raises(KeyboardInterrupt):
        quick(steps=6).fit(adata, **arguments, checkpoint_every=2, progress=killed)
    resumed = quick(steps=6).fit(adata, **arguments, checkpoint_every=2)
    assert np.array_equal(
        whole.predict(adata, "a", dose=1.0).X, resumed.predict(adata, "a", dose=1.0).X
    )
    assert np.allclose(whole.history_.loss, resumed.history_.loss)


def test_same_seed_same_map_and_the_global_state_is_left_alone(adata):
    import torch

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (quick().fit(adata, dose_key="dose", context="learned") for _ in range(2))
    assert np.array_equal(
        first.predict(adata, "a", dose=1.0).X, second.predict(adata, "a", dose=1.0).X
    )
    assert torch.equal(before, torch.random.get_rng_state())


def test_cells_outside_the_training_split_are_not_seen(adata):
    screen = Screen.of(adata, dose_key="dose")
    altered = adata.copy()
    altered.obs["split"] = split_cells(adata, screen, held_out=["c"], seed=1)
    unseen = (altered.obs["split"] != "train").to_numpy()
    one = quick().fit(altered, dose_key="dose", context=table(), split_key="split",
                      representation=PrincipalComponents(3))  # fmt: skip
    altered.X[unseen] = 1e3
    two = quick().fit(altered, dose_key="dose", context=table(), split_key="split",
                      representation=PrincipalComponents(3))  # fmt: skip
    assert {t.drugs[0] for t in one.treatments_} == {"a", "b"}
    assert np.array_equal(one.predict(adata, "a", dose=1.0).X, two.predict(adata, "a", dose=1.0).X)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_combinations_are_sets_of_any_size(pooling):
    rng = np.random.default_rng(0)
    names = ["control", "a", "b", "a+b", "b+c"]
    rows = [(name, 0.0) for name in names for _ in range(30)]
    adata = screen_of(rng.normal(size=(len(rows), 3)), rows)
    model = quick(pooling=pooling).fit(adata, separator="+", context=table())
    assert Treatment(("b", "a")) in model.treatments_
    pair = model.predict(adata, ["a", "b"]).X
    assert np.allclose(pair, model.predict(adata, ("b", "a")).X, atol=1e-6)
    assert model.predict(adata, ["a", "b", "d"]).shape == adata.shape
    assert set(model.predict(adata, ["b", "a"]).obs["perturbation"]) == {"a+b"}
    with pytest.raises(InputError, match="combination"):
        quick().fit(
            adata[adata.obs.perturbation.isin(["control", "a", "b"])], context=table()
        ).predict(adata, ["a", "b"])


def test_time_is_a_condition(adata):
    timed = adata.copy()
    timed.obs["hours"] = np.where(np.arange(timed.n_obs) % 2, 6.0, 24.0)
    model = quick().fit(timed, time_key="hours", context="learned", fewest=10)
    assert model.encoding_.slices == ((0, 3), (0, 4))
    early, late = (model.predict(adata, "a", time=hours).X for hours in (6, 24))
    assert not np.allclose(early, late)
    with pytest.raises(InputError, match=r"pass time=\."):
        model.predict(adata, "a")


def test_dose_is_read_as_its_natural_logarithm_after_the_drug(fitted):
    tokens, _ = fitted.encoding_.encode([Treatment(("a",), 100.0)])
    assert tokens.shape == (1, 1, 4)
    assert float(tokens[0, 0, -1]) == pytest.approx(np.log(100.0))
    assert fitted.encoding_.slices == ((0, 3), (0, 4))


def test_one_treatment_alone_is_the_unconditional_map(adata):
    one = adata[adata.obs.perturbation.isin(["control", "a"])]
    model = quick().fit(one)
    assert model.encoding_.slices == ()
    assert model.parameters == (4 + 1) * 16 + (16 + 1) * 4
    assert model.predict(one, "a").shape == one.shape


def test_training_brings_predictions_nearer_than_untreated_cells():
    adata = drug_screen(("a", "b"), (10.0,), 120)
    model = ConditionalMongeMap((32, 32), steps=60, batch_size=64, conditions_per_step=2,
                                learning_rate=5e-3, epsilon_gap=0)  # fmt: skip
    model.fit(adata, context="learned")
    control = adata[adata.obs.perturbation == "control"].X
    for drug in "ab":
        target = adata[adata.obs.perturbation == drug].X
        predicted = model.transport(control, Treatment((drug,)))
        assert exact_wasserstein(target, predicted) < 0.8 * exact_wasserstein(target, control)
    assert model.history_.loss[-10:].mean() < model.history_.loss[:10].mean()


def test_principal_components_round_trip_what_they_span():
    rng = np.random.default_rng(0)
    cells = (rng.normal(size=(50, 2)) @ rng.normal(size=(2, 6)) + 3).astype(np.float32)
    space = PrincipalComponents(2)
    space.fit(cells)
    assert np.allclose(space.decode(space.encode(cells)), cells, atol=1e-4)


def test_scanpy_components_are_taken_as_they_are(adata):
    own = adata.copy()
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 2)))[0]
    own.varm["PCs"] = axes
    model = quick().fit(own, dose_key="dose", context=table(), representation="X_pca")
    assert np.allclose(model.encode(own), (own.X - own.X.mean(0)) @ axes, atol=1e-5)


def test_references_are_what_they_say():
    adata = drug_screen(("a", "b"), (1.0, 10.0), 60)
    screen = Screen.of(adata, dose_key="dose")
    model = quick().fit(adata, dose_key="dose", context=table())
    references = ReferencePredictions(np.asarray(adata.X), screen, model.encoding_)
    treatment = Treatment(("a",), 10.0)
    control, target = adata.X[screen.control], adata.X[screen.treated[treatment]]
    assert references.identity(control) is control
    shifted = references.mean_shift(control, treatment)
    assert np.allclose(shifted.mean(0), target.mean(0), atol=1e-4)
    mapped = references.gaussian_map(control, treatment)
    assert np.allclose(mapped.mean(0), target.mean(0), atol=1e-3)
    assert np.allclose(np.cov(mapped.T), np.cov(target.T), atol=1e-3)
    copied = references.nearest_condition(control, treatment)
    assert {tuple(row) for row in copied} <= {tuple(row) for row in target}
    assert references.nearest(Treatment(("a",), 9.0)) == treatment


def test_mean_regressor_meets_means_only():
    adata = drug_screen(("a",), (10.0,), 200)
    adata.X[adata.obs.perturbation == "a"] *= 3
    model = MeanRegressor((16,), steps=150, batch_size=128, learning_rate=1e-2)
    model.fit(adata)
    control = adata[adata.obs.perturbation == "control"].X
    target = adata[adata.obs.perturbation == "a"].X
    predicted = model.transport(control, Treatment(("a",)))
    assert np.linalg.norm(predicted.mean(0) - target.mean(0)) < 0.6
    assert predicted.std(0).mean() < 0.7 * target.std(0).mean()


def test_splits_hold_out_what_they_name(adata):
    screen = Screen.of(adata, dose_key="dose")
    split = split_cells(adata, screen, held_out=["b", "a-10"], test_fraction=0.25, seed=0)
    for treatment, rows in screen.treated.items():
        kinds = split.iloc[rows].value_counts()
        if treatment.drugs == ("b",) or treatment.label == "a-10":
            assert kinds["held out"] == len(rows)
        else:
            assert kinds["test"] == 10
            assert kinds["train"] == 30
    with pytest.raises(InputError, match="'z' is in no treatment"):
        split_cells(adata, screen, held_out=["z"])


def test_folds_are_those_of_the_paper():
    folds = drug_folds([f"drug{i}" for i in range(187)])
    assert len(folds) == 21
    assert [len(fold) for fold in folds] == [9] * 20 + [7]
    assert len({drug for fold in folds for drug in fold}) == 187


def test_two_samples_share_no_cell():
    cells = np.arange(21.0)[:, None]
    left, right = two_samples(cells)
    assert len(left) == len(right) == 10
    assert not set(left.ravel()) & set(right.ravel())


def test_learned_context_is_one_hot():
    context = DrugContext.learned(["b", "a", "b"])
    assert list(context.row("b", 3.0)) == [0.0, 1.0]


def test_the_loss_is_the_fit_plus_the_weighted_gap(adata):
    import torch

    model = quick(gap_weight=2.5).fit(adata, dose_key="dose", context=table())
    generator = torch.Generator().manual_seed(0)
    tokens, present = model.encoding_.encode(model.treatments_[:2])
    batch = {
        "source": torch.randn(2, 20, 4, generator=generator),
        "target": torch.randn(2, 20, 4, generator=generator) + 1,
        "context": tokens,
        "present": present,
    }
    total, parts = model.loss(model.network_, batch)
    assert float(parts["gap"]) > 1e-3
    torch.testing.assert_close(total, parts["fit"] + 2.5 * parts["gap"])

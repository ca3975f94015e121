"""From architecture to dynamics: what a random split flatters and leaving models out does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from axonal.errors import InputError
from axonal.learning.massive.architecture import TargetScale, architecture_features
from axonal.learning.massive.prediction import ArchitecturePredictor, left_out, r_squared


def layers(models: int = 18) -> pd.DataFrame:
    rows = []
    for model in range(models):
        depth, width = (3, 4, 6)[model % 3], (32, 48, 64)[model // 3 % 3]
        heads = (1, 2, 4)[model % 2 + model // 9]
        rows += [(model, at, depth, width, heads, 4 * width) for at in range(1, depth + 1)]
    names = ["model", "layer", "layers", "width", "heads", "mlp_width"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return layers()


def test_features_are_those_of_the_paper(table):
    features = architecture_features(table.assign(rotary_share=0.25))
    row = features.iloc[1]  # layer 2 of 3, width 32
    assert row["p"] == pytest.approx(2 / 3)
    assert row["p^3"] == pytest.approx(8 / 27)
    assert row["sqrt p"] == pytest.approx(np.sqrt(2 / 3))
    assert row["layer * L"] == 6
    assert row["d_ff/d"] == 4
    assert row["d/L"] == pytest.approx(32 / 3)
    assert row["rotary_share"] == 0.25
    assert len(features.columns) == 11


def test_what_belongs_to_a_model_is_predicted_from_its_own_layers_alone(table):
    rng = np.random.default_rng(0)
    own = rng.standard_normal(18)[table["model"]]  # nothing in the architecture tells it
    noise = 0.1 * rng.standard_normal(len(table))
    Y = pd.DataFrame({"K": own + noise, "lam": np.exp(table["layers"] / 3) + noise})
    predictor = ArchitecturePredictor(("ridge", "forest"), splits=3, trees=20)
    predictor.fit(architecture_features(table), Y, table["model"].tolist())
    scores = predictor.summary().set_index("target")
    assert scores.loc["K", "random_split"] > scores.loc["K", "leave_model_out"] + 0.3
    assert scores.loc["K", "leave_model_out"] < 0.2
    assert scores.loc["lam", "leave_model_out"] > 0.8
    errors = predictor.errors_by_model_.query("target == 'lam'")
    assert (errors["error"] < errors["baseline"]).mean() > 0.9
    by_feature = predictor.importance_.query("target == 'lam'").set_index("feature")["importance"]
    depth = by_feature[["d/L", "H/L", "layer * L", "p", "p^2", "p^3", "sqrt p"]].sum()
    assert depth > 10 * by_feature["d_ff/d"]
    assert list(predictor.predict(architecture_features(table))) == ["K", "lam"]


def test_the_model_left_out_is_never_seen():
    y = np.array([0.0, 0, 1, 1, 5, 5])
    labels = np.array([0, 0, 1, 1, 2, 2])
    predicted = left_out(None, np.zeros((6, 1)), y, labels)
    np.testing.assert_allclose(predicted, [3, 3, 2.5, 2.5, 0.5, 0.5])
    assert r_squared(y, np.full(6, y.mean())) == 0


def test_targets_are_scaled_as_the_paper_does():
    y = np.array([0.0, 1.0, 100.0, 3.0])
    np.testing.assert_allclose(TargetScale("lam").fit_transform(y), np.log1p(y))
    np.testing.assert_allclose(TargetScale("A").fit_transform(-y), -np.log1p(y))
    scale = TargetScale("K")
    fitted = scale.fit_transform(y - 50)
    assert abs(fitted.mean()) < 1e-9
    np.testing.assert_allclose(scale.transform(y - 50), fitted)


def test_bad_tables_are_refused(table):
    X = architecture_features(table)
    Y = pd.DataFrame({"K": np.arange(len(X), dtype=float)})
    groups = table["model"].tolist()
    fit = ArchitecturePredictor(("ridge",)).fit
    for change, words in [
        (lambda: fit(X, Y, groups[:-1]), "one length"),
        (lambda: fit(X, Y, [0] * len(X)), "3 models"),
        (lambda: fit(X[:4], Y[:4], groups[:4]), "at least 10 layers"),
        (lambda: fit(X, Y.assign(K=np.inf), groups), "K holds numbers that are not finite"),
        (lambda: fit(X.assign(p=np.nan), Y, groups), "X: p holds"),
        (lambda: ArchitecturePredictor(("tree",)).fit(X, Y, groups), "models: expected some of"),
        (lambda: ArchitecturePredictor().predict(X), "not fitted"),
        (lambda: architecture_features(table.drop(columns="heads")), "lacks heads"),
        (lambda: architecture_features(table.assign(layers=2)), "beyond its model"),
        (lambda: architecture_features(table.assign(width=0)), "not positive"),
    ]:
        with pytest.raises(InputError, match=words):
            change()

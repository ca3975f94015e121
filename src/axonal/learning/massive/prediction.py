r"""Predict a layer's emergence from the architecture, judged on layers and on models left out.

arXiv 2508.03616, section 5: ridge, lasso, random forest, gradient boosting and XGBoost on the
features of `architecture_features`, the best chosen by 5-fold cross-validation, R² on a random fifth
of the *layers*. But layers of one model share most of their features and look alike, so that such a
test set is known from its neighbours. Whether anything can be said "before training begins" shows
only when whole models are left out, which is reported beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from axonal.errors import InputError, require
from axonal.learning.massive.architecture import TargetScale

Array = NDArray[np.float64]
FOLDS = 5
FEWEST_ROWS = 10


@dataclass
class ArchitecturePredictor:
    """Regressors from architecture to parameters, one a target.

    Parameters
    ----------
    models
        Which regressors compete; all that are installed by default.
    test_share
        Of the random split.
    splits
        How many random splits are scored.
    trees
        In each forest or ensemble.
    seed
        Of splits, forests and permutations.
    """

    models: Sequence[str] = ("ridge", "lasso", "forest", "boosting", "xgboost")
    test_share: float = 0.2
    splits: int = 1
    trees: int = 60
    seed: int = 0
    chosen_: dict[str, str] = field(default_factory=dict, init=False)
    scores_random_split_: pd.DataFrame = field(default_factory=pd.DataFrame, init=False)
    scores_leave_model_out_: pd.DataFrame = field(default_factory=pd.DataFrame, init=False)
    errors_by_model_: pd.DataFrame = field(default_factory=pd.DataFrame, init=False)
    importance_: pd.DataFrame = field(default_factory=pd.DataFrame, init=False)
    _fitted: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def fit(self, X: pd.DataFrame, Y: pd.DataFrame, groups: Sequence[Any]) -> ArchitecturePredictor:
        """Fit, and score in both ways.

        Parameters
        ----------
        X
            Features, ``(layers, features)``.
        Y
            Targets, ``(layers, targets)``: raw parameters, or t_peak, peak_height, end_value.
        groups
            Which model each layer belongs to, ``(layers,)``.

        Attributes set
        --------------
        chosen_
            The regressor of each target, by 5-fold cross-validation over layers as in the paper.
        scores_random_split_
            ``target, model, split, r2`` on the layers of each random split, of every regressor.
        scores_leave_model_out_
            ``target, model, r2`` pooled over models, each predicted from all the others.
        errors_by_model_
            ``target, group, error, baseline``: squared error of the chosen regressor on each model
            left out, and that of the mean of the others.
        importance_
            ``target, feature, importance``: the loss of R² when a feature is permuted.
        """
        sklearn: Any = require("sklearn", "learning")
        del sklearn
        x, labels = _checked(X, Y, groups)
        makers = self._makers()
        split_rows, left_rows, error_rows, importance = [], [], [], []
        for target in Y.columns:
            y = TargetScale(str(target)).fit_transform(Y[target].to_numpy(float))
            y = (y - y.mean()) / (y.std() or 1.0)
            scores = {
                name: _cross_validated(make, x, y, self.seed) for name, make in makers.items()
            }
            best = max(scores, key=lambda name: scores[name])
            self.chosen_[str(target)] = best
            for split in range(self.splits):
                train, test = _random_split(len(y), self.test_share, self.seed + split)
                for name, make in makers.items():
                    predicted = make().fit(x[train], y[train]).predict(x[test])
                    split_rows.append((target, name, split, r_squared(y[test], predicted)))
            baseline = left_out(None, x, y, labels)
            for name, make in makers.items():
                predicted = left_out(make, x, y, labels)
                left_rows.append((target, name, r_squared(y, predicted)))
                if name == best:
                    error_rows += _errors(str(target), y, predicted, baseline, labels)
            model = makers[best]().fit(x, y)
            self._fitted[str(target)] = model
            importance += _importance(str(target), model, x, y, list(X.columns), self.seed)
        self.scores_random_split_ = _frame(split_rows, "target", "model", "split", "r2")
        self.scores_leave_model_out_ = _frame(left_rows, "target", "model", "r2")
        self.errors_by_model_ = _frame(error_rows, "target", "group", "error", "baseline")
        self.importance_ = _frame(importance, "target", "feature", "importance")
        return self

    def predict(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the targets by layer, scaled (log1p, or Yeo-Johnson for K) and standardised."""
        if not self._fitted:
            raise InputError("This predictor is not fitted: call fit(X, Y, groups) first.")
        x = X.to_numpy(float)
        return pd.DataFrame({target: one.predict(x) for target, one in self._fitted.items()})

    def summary(self) -> pd.DataFrame:
        """Return both R² of the chosen regressor of each target."""
        rows = []
        for target, model in self.chosen_.items():
            split, left = (
                cast(Any, table)[(table["target"] == target) & (table["model"] == model)]["r2"]
                for table in (self.scores_random_split_, self.scores_leave_model_out_)
            )
            rows.append((target, model, float(split.mean()), float(left.iloc[0])))
        return _frame(rows, "target", "model", "random_split", "leave_model_out")

    def _makers(self) -> dict[str, Callable[[], Any]]:
        from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
        from sklearn.linear_model import Lasso, RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        seed, trees = self.seed, self.trees
        known: dict[str, Callable[[], Any]] = {
            "ridge": lambda: RidgeCV(np.geomspace(1e-3, 1e3, 13)),
            "lasso": lambda: Lasso(alpha=0.02, max_iter=50_000, tol=1e-3),
            "forest": lambda: RandomForestRegressor(trees, random_state=seed, n_jobs=1),
            "boosting": lambda: GradientBoostingRegressor(
                n_estimators=trees, random_state=seed, subsample=0.8
            ),
            "xgboost": lambda: _xgboost(trees, seed),
        }
        unknown = sorted(set(self.models) - set(known))
        if unknown or not self.models:
            raise InputError(f"models: expected some of {', '.join(known)}, got {self.models}.")
        names = [name for name in self.models if name != "xgboost" or _has_xgboost()]

        def scaled(name: str) -> Callable[[], Any]:
            return lambda: make_pipeline(StandardScaler(), known[name]())

        return {name: scaled(name) for name in names}


def left_out(make: Callable[[], Any] | None, x: Array, y: Array, labels: Any) -> Array:
    """Predict every model's layers from all other models; None predicts their mean."""
    predicted = np.empty_like(y)
    for group in np.unique(labels):
        test = labels == group
        others = y[~test]
        predicted[test] = (
            others.mean() if make is None else make().fit(x[~test], others).predict(x[test])
        )
    return predicted


def r_squared(y: Array, predicted: Array) -> float:
    """Return 1 - RSS / TSS; below 0 where the mean of ``y`` predicts better."""
    total = float(np.sum((y - y.mean()) ** 2))
    return float("nan") if total == 0 else 1 - float(np.sum((y - predicted) ** 2)) / total


def _cross_validated(make: Callable[[], Any], x: Array, y: Array, seed: int) -> float:
    order = np.random.default_rng(seed).permutation(len(y))
    predicted = np.empty_like(y)
    for fold in np.array_split(order, FOLDS):
        rest = np.setdiff1d(order, fold)
        predicted[fold] = make().fit(x[rest], y[rest]).predict(x[fold])
    return r_squared(y, predicted)


def _random_split(rows: int, share: float, seed: int) -> tuple[Any, Any]:
    order = np.random.default_rng([seed, 1]).permutation(rows)
    count = max(2, round(share * rows))
    return order[count:], order[:count]


def _errors(target: str, y: Array, predicted: Array, baseline: Array, labels: Any) -> list[Any]:
    rows = []
    for group in np.unique(labels):
        own = labels == group
        error, mean = ((y[own] - p[own]) ** 2 for p in (predicted, baseline))
        rows.append((target, group, float(error.mean()), float(mean.mean())))
    return rows


def _importance(
    target: str, model: Any, x: Array, y: Array, names: list[str], seed: int
) -> list[tuple[str, str, float]]:
    from sklearn.inspection import permutation_importance

    found: Any = permutation_importance(model, x, y, n_repeats=5, random_state=seed)
    return [(target, name, float(v)) for name, v in zip(names, found.importances_mean, strict=True)]


def _checked(X: pd.DataFrame, Y: pd.DataFrame, groups: Sequence[Any]) -> tuple[Array, Any]:
    labels = np.asarray(groups)
    if not len(X) == len(Y) == len(labels):
        raise InputError(
            f"X, Y and groups: expected one length, got {len(X)}, {len(Y)} and {len(labels)}."
        )
    if len(X) < FEWEST_ROWS or len(np.unique(labels)) < 3:
        raise InputError(
            f"X: expected at least {FEWEST_ROWS} layers of 3 models, got {len(X)} layers of "
            f"{len(np.unique(labels))}."
        )
    for name, table in (("X", X), ("Y", Y)):
        bad = [str(c) for c in table.columns if not np.all(np.isfinite(table[c].to_numpy(float)))]
        if bad:
            raise InputError(
                f"{name}: {', '.join(bad)} holds numbers that are not finite (parameters that "
                "nothing identifies overflow); drop or replace those rows."
            )
    return X.to_numpy(float), labels


def _has_xgboost() -> bool:
    import importlib.util

    return importlib.util.find_spec("xgboost") is not None


def _xgboost(trees: int, seed: int) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(
        n_estimators=trees, max_depth=3, learning_rate=0.1, random_state=seed, n_jobs=1
    )


def _frame(rows: Sequence[Any], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=pd.Index(columns))

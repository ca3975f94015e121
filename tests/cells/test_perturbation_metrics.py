"""The paper's measures, by their formulae and beside the official code's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from axonal.cells.perturbation import marker_genes, perturbation_metrics, specificity
from axonal.cells.perturbation.metrics import batch_metrics
from axonal.errors import InputError

PARITY = json.loads((Path(__file__).parent / "data" / "cmonge_parity.json").read_text())["metrics"]


def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(20260)  # the samples that the official numbers were made with
    target = rng.normal(size=(64, 6)) * [1, 0.5, 2, 1, 1, 0.3] + [0, 1, 2, 3, 4, 5.0]
    predicted = rng.normal(size=(64, 6)) * [1.2, 0.5, 1, 1, 0.8, 0.3] + [0.3, 1, 2.5, 2, 4, 5.0]
    return target, predicted


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("r2", 1e-5), ("signature", 1e-6), ("mmd", 1e-6), ("wasserstein", 2e-3), ("divergence", 2e-3),
     ("gap", 2e-3)],
)  # fmt: skip
def test_measures_equal_those_of_the_official_code(name, tolerance):
    found = batch_metrics(*samples())
    assert getattr(found, name) == pytest.approx(PARITY[name], rel=tolerance)


def test_r2_is_blind_to_offset_and_scale_and_the_others_are_not():
    target, _ = samples()
    found = batch_metrics(target, 2 * target + 1)
    assert found.r2 == pytest.approx(1)
    assert found.signature > 1
    assert found.mmd > 0.05
    assert found.spread > 0.5


def test_equal_populations_are_at_distance_zero():
    target, _ = samples()
    found = batch_metrics(target, target)
    assert found.mmd == pytest.approx(0, abs=1e-12)
    assert found.signature == found.spread == 0
    assert found.divergence == pytest.approx(0, abs=1e-3)


def test_measures_are_means_over_batches_and_follow_from_the_seed():
    target, predicted = samples()
    first = perturbation_metrics(target, predicted, batches=3, cells=32, seed=1)
    again = perturbation_metrics(target, predicted, batches=3, cells=32, seed=1)
    other = perturbation_metrics(target, predicted, batches=3, cells=32, seed=2)
    assert first == again
    assert first != other


def test_markers_restrict_the_features():
    target, predicted = samples()
    predicted[:, 5] += 100
    few = perturbation_metrics(target, predicted, markers=[0, 1, 2], batches=1, cells=32, only=())
    assert few.signature < 2
    assert np.isnan(few.mmd)


def test_markers_are_ranked_by_welchs_t():
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(0)
    control, treated = rng.normal(size=(80, 7)), rng.normal(size=(50, 7)) * rng.uniform(0.5, 2, 7)
    treated[:, [4, 2]] += [2.0, 1.0]
    t = ttest_ind(treated, control, equal_var=False).statistic
    assert list(marker_genes(treated, control, 3)) == list(np.argsort(-t)[:3])


def test_specificity_tells_a_model_with_one_answer_for_all_drugs():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(5, 20))
    one_answer = np.repeat(rng.normal(size=(1, 20)), 5, axis=0) + 1e-3 * measured
    predicted, true = specificity(one_answer, measured)
    assert predicted > 0.99
    assert abs(true) < 0.3


def test_shapes_and_numbers_are_checked():
    target, predicted = samples()
    with pytest.raises(InputError, match="6 features, predicted 5"):
        perturbation_metrics(target, predicted[:, :5])
    with pytest.raises(InputError, match=r"cells \(n, features\)"):
        perturbation_metrics(target[0], predicted)
    predicted[0, 0] = np.nan
    with pytest.raises(InputError, match="predicted: NaN"):
        perturbation_metrics(target, predicted)


def test_the_error_of_spreads_is_that_of_standard_deviations():
    rng = np.random.default_rng(2)
    cells = rng.normal(size=(300, 4))
    wider = cells * [1.0, 1.5, 2.0, 0.5]
    spreads = cells.std(0, ddof=1)
    expected = (spreads * [0, 0.5, 1.0, 0.5]).mean()
    assert batch_metrics(wider, cells, only=("spread",)).spread == pytest.approx(expected)

"""Scores read as tables, and agreement with exact scores is measured as it is defined."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from relevance_models import build, random_pairs
from scipy.stats import linregress, pearsonr, spearmanr

from axonal.errors import InputError
from axonal.language.relevance import compare, relevance_patching, tidy

pytestmark = pytest.mark.filterwarnings("ignore:The model fails this task")


@pytest.fixture
def exact() -> xr.Dataset:
    rng = np.random.default_rng(0)
    return xr.Dataset({"mlp": (("pair", "layer", "position"), rng.normal(size=(12, 4, 6)))})


def test_measures_are_those_of_scipy_on_the_mean_map(exact):
    noisy = 0.5 * exact + np.random.default_rng(1).normal(size=(12, 4, 6))
    row = compare(exact, {"noisy": noisy}).iloc[0]
    x, y = (d["mlp"].mean("pair").to_numpy().ravel() for d in (exact, noisy))
    assert row["pearson"] == pytest.approx(pearsonr(x, y).statistic)
    assert row["spearman"] == pytest.approx(spearmanr(x, y).statistic)
    assert row["slope"] == pytest.approx(linregress(x, y).slope)
    assert row["mean_absolute_error"] == pytest.approx(np.abs(x - y).mean())
    assert row["pearson_low"] < row["pearson"] < row["pearson_high"]


def test_an_exact_estimate_agrees_entirely(exact):
    row = compare(exact, {"itself": exact, "doubled": 2 * exact}).set_index("method")
    assert row.loc["itself", ["pearson", "spearman", "slope"]].tolist() == pytest.approx([1, 1, 1])
    assert row.loc["itself", "mean_absolute_error"] == 0
    assert row.loc["doubled", ["pearson", "slope"]].tolist() == pytest.approx([1, 2])


def test_intervals_narrow_with_more_pairs(exact):
    rng = np.random.default_rng(2)
    noise = xr.zeros_like(exact) + rng.normal(size=(12, 4, 6))
    few = compare(exact.isel(pair=slice(4)), {"n": (exact + noise).isel(pair=slice(4))}).iloc[0]
    repeated = xr.concat([exact] * 20, "pair")
    many = compare(repeated, {"n": xr.concat([exact + noise] * 20, "pair")}).iloc[0]
    assert many["slope_high"] - many["slope_low"] < few["slope_high"] - few["slope_low"]


def test_one_pair_has_no_interval(exact):
    one = exact.isel(pair=[0])
    row = compare(one, {"x": one + 1}).iloc[0]
    assert np.isnan(row["pearson_low"])
    assert np.isnan(row["pearson_high"])


def test_results_of_other_prompts_are_refused(exact):
    with pytest.raises(InputError, match=r"short has mlp scores of shape \(12, 3, 6\)"):
        compare(exact, {"short": exact.isel(layer=slice(3))})


def test_the_table_has_a_row_for_each_component():
    scores = relevance_patching(build("llama"), random_pairs(), kinds=["mlp", "heads"])
    table = tidy(scores)
    assert len(table) == 2 * 3 * 7 * (1 + 4)
    assert set(table.columns) >= {"kind", "pair", "layer", "position", "token", "head", "score"}
    chosen = table.query("kind == 'heads' and pair == 1 and layer == 2 and position == 4")
    np.testing.assert_allclose(chosen["score"], scores["heads"][1, 2, 4])


def test_scores_survive_a_netcdf_file(tmp_path):
    scores = relevance_patching(build("llama"), random_pairs())
    scores.to_netcdf(tmp_path / "scores.nc")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "scores.nc"), scores)

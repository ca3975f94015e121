"""Correlations along an axis agree with SciPy's, and their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from axonal.errors import InputError
from axonal.statistics import pearson, spearman


@pytest.mark.parametrize(
    ("ours", "theirs"), [(pearson, stats.pearsonr), (spearman, stats.spearmanr)]
)
def test_coefficient_along_an_axis_is_scipys(ours, theirs):
    rng = np.random.default_rng(0)
    a = rng.integers(0, 5, (3, 20, 2)).astype(float)
    b = a + rng.normal(size=a.shape)
    found = ours(a, b, axis=1)
    assert found.r.shape == (3, 2)
    for i, j in np.ndindex(3, 2):
        assert found.r[i, j] == pytest.approx(theirs(a[i, :, j], b[i, :, j]).statistic)


def test_pearson_interval_is_fishers():
    rng = np.random.default_rng(1)
    a = rng.normal(size=25)
    b = a + rng.normal(size=25)
    found, theirs = pearson(a, b), stats.pearsonr(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
@pytest.mark.parametrize("ours", [pearson, spearman])
def test_interval_covers(ours, rho):
    rng = np.random.default_rng(2)
    a = rng.normal(size=(4000, 40))
    b = rho * a + np.sqrt(1 - rho**2) * rng.normal(size=a.shape)
    true = rho if ours is pearson else 6 / np.pi * np.arcsin(rho / 2)
    found = ours(a, b)
    assert 0.93 <= np.mean((found.low <= true) & (true <= found.high)) <= 0.97


def test_spearman_interval_is_bonett_and_wrights():
    rng = np.random.default_rng(5)
    a = rng.normal(size=20)
    found = spearman(a, a + rng.normal(size=20))
    half = stats.norm.ppf(0.975) * np.sqrt((1 + found.r**2 / 2) / 17)
    assert np.arctanh(found.high) - np.arctanh(found.r) == pytest.approx(half)
    assert np.arctanh(found.r) - np.arctanh(found.low) == pytest.approx(half)


def test_one_reference_is_compared_with_many():
    rng = np.random.default_rng(3)
    many, one = rng.normal(size=(4, 10)), rng.normal(size=10)
    assert pearson(many, one).r == pytest.approx([stats.pearsonr(row, one)[0] for row in many])


def test_shift_and_scale_change_nothing_and_order_is_all_spearman_sees():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 15))
    assert pearson(5 * a - 2, b).r == pytest.approx(pearson(a, b).r)
    assert pearson(-a, b).r == pytest.approx(-pearson(a, b).r)
    assert spearman(np.exp(a), b).r == spearman(a, b).r


def test_degenerate_pairs_are_defined():
    constant = pearson([[1, 1, 1, 1], [1, 2, 3, 4]], [1, 2, 3, 4])
    assert np.isnan(constant.r[0])
    assert np.isnan(constant.low[0])
    assert constant.r[1] == 1.0
    assert (constant.low[1], constant.high[1]) == (1.0, 1.0)
    few = pearson([1, 2, 3], [1, 3, 2])
    assert (few.low, few.high) == (-1.0, 1.0)
    assert isinstance(float(few.r), float)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"\(3,\) and \(4,\)"):
        pearson([1, 2, 3], [1, 2, 3, 4])
    with pytest.raises(InputError, match="at least 2 pairs"):
        pearson([[1], [2]], [[1], [2]])
    with pytest.raises(InputError, match="axis 3"):
        pearson([1, 2], [1, 2], axis=3)

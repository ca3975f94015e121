"""Streaming moments are NumPy's, in whatever order the parts come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from axonal.errors import InputError
from axonal.statistics import Moments


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_merging_parts_in_any_order_is_summarising_the_whole(parts, random):
    whole = Moments.of(np.concatenate(parts))
    random.shuffle(parts)
    merged = Moments.of(parts[0])
    for part in parts[1:]:
        merged = merged.merge(Moments.of(part))
    assert merged.n == whole.n
    np.testing.assert_allclose(merged.mean, whole.mean, atol=1e-9)
    scale = np.array([1e6, 1e9, 1e12])
    np.testing.assert_allclose(merged.sums / scale, whole.sums / scale, atol=1e-10)


def test_one_by_one_is_welford():
    values = np.random.default_rng(0).normal(1e6, 1.0, (500, 3))  # far from 0: sums of squares fail
    seen = Moments.of(values[:1])
    for value in values[1:]:
        seen = seen.merge(Moments.of(value[None]))
    np.testing.assert_allclose(seen.mean, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(seen.variance, values.var(axis=0, ddof=1), rtol=1e-7)
    np.testing.assert_allclose(seen.standard_error, stats.sem(values), rtol=1e-7)
    np.testing.assert_allclose(
        seen.sums[1] / 500 / (seen.sums[0] / 500) ** 1.5, stats.skew(values), rtol=1e-5
    )
    np.testing.assert_allclose(
        seen.sums[2] / 500 / (seen.sums[0] / 500) ** 2 - 3, stats.kurtosis(values), rtol=1e-4
    )


@pytest.mark.parametrize("draw", ["normal", "exponential", "uniform"])
def test_error_of_the_deviation_is_its_spread_over_repeats(draw):
    values = getattr(np.random.default_rng(1), draw)(size=(400, 4000))
    found = Moments.of(values)
    spread = values.std(axis=0, ddof=1).std(ddof=1)
    assert np.mean(found.standard_error_of_deviation) == pytest.approx(spread, rel=0.08)


def test_single_and_equal_values_are_defined():
    assert np.isnan(Moments.of([1.0]).variance)
    same = Moments.of([2.0, 2.0, 2.0])
    assert same.variance == 0
    assert same.standard_error_of_deviation == 0


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"\(2,\) and \(3,\)"):
        Moments.of(np.ones((4, 2))).merge(Moments.of(np.ones((4, 3))))
    with pytest.raises(InputError, match="first axis"):
        Moments.of(1.0)
    with pytest.raises(InputError, match="not finite"):
        Moments.of([np.nan])


def test_values_taken_in_one_by_one_are_the_whole_and_nan_is_left_out():
    values = np.random.default_rng(2).normal(size=(40, 5))
    values[3, 1] = values[7, 1] = np.nan
    seen = Moments.nothing((5,))
    for value in values:
        seen.add(value[[4, 2, 0]], np.array([4, 2, 0]))
        seen.add(value[[1, 3]], np.array([1, 3]))
    assert seen.n.tolist() == [40, 38, 40, 40, 40]
    for column in range(5):
        whole = Moments.of(values[~np.isnan(values[:, column]), column])
        assert seen.mean[column] == pytest.approx(whole.mean, rel=1e-12)
        np.testing.assert_allclose(seen.sums[:, column], whole.sums, rtol=1e-10)


def test_nothing_has_no_variance_and_changes_nothing():
    nothing, some = Moments.nothing((2,)), Moments.of([[1.0, 2.0], [3.0, 5.0]])
    assert np.isnan(nothing.variance).all()
    for merged in (nothing.merge(some), some.merge(nothing)):
        np.testing.assert_array_equal(merged.mean, some.mean)
        np.testing.assert_array_equal(merged.sums, some.sums)
        np.testing.assert_array_equal(merged.n, some.n)

"""Error bars: moments against NumPy and SciPy, coverage, streaming, sequential stopping, bootstrap."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from axonal.errors import InputError
from axonal.sweep import Until, bootstrap, failures, summarize, sweep


def normal(a, rng):
    return {
        "x": a + rng.normal(size=()),
        "skewed": rng.exponential(size=2),
        "hit": rng.random() < a,
    }


def normal_rows(run, rng):
    return 3.0 + rng.normal()


def test_statistics_are_those_of_numpy_and_scipy():
    data = sweep(normal, {"a": [0.2, 0.7]}, repeats=50)
    s = summarize(data, level=0.9)
    x = data["x"].values
    np.testing.assert_allclose(s["x"].sel(statistic="mean"), x.mean(1), rtol=1e-14)
    np.testing.assert_allclose(s["x"].sel(statistic="sd"), x.std(1, ddof=1), rtol=1e-13)
    np.testing.assert_allclose(s["x"].sel(statistic="se"), stats.sem(x, axis=1), rtol=1e-13)
    low, high = stats.t.interval(0.9, 49, x.mean(1), stats.sem(x, axis=1))
    np.testing.assert_allclose(s["x"].sel(statistic="low"), low, rtol=1e-12)
    np.testing.assert_allclose(s["x"].sel(statistic="high"), high, rtol=1e-12)
    hits = data["hit"].values.sum(1)
    wilson = [stats.binomtest(int(k), 50).proportion_ci(0.9, method="wilson") for k in hits]
    np.testing.assert_allclose(s["hit"].sel(statistic="low"), [w.low for w in wilson], rtol=1e-12)
    np.testing.assert_allclose(s["hit"].sel(statistic="high"), [w.high for w in wilson], rtol=1e-12)
    m4 = stats.moment(data["skewed"].values, 4, axis=1)
    var = data["skewed"].values.var(1, ddof=1)
    expected = np.sqrt((m4 - var**2 * 47 / 49) / 50) / (2 * np.sqrt(var))
    np.testing.assert_allclose(s["skewed"].sel(statistic="sd_se"), expected, rtol=1e-11)


def test_the_95_percent_interval_covers_the_mean_in_93_to_97_percent_of_2000_sweeps():
    data = sweep(normal_rows, {"run": np.arange(2000)}, repeats=10, vectorized=True, seed=11)
    s = summarize(data)["value"]
    covered = (s.sel(statistic="low") <= 3.0) & (s.sel(statistic="high") >= 3.0)
    assert 0.93 < float(covered.mean()) < 0.97
    within_one_se = abs(s.sel(statistic="mean") - 3.0) < s.sel(statistic="se")
    assert abs(float(within_one_se.mean()) - (2 * stats.t.cdf(1, 9) - 1)) < 0.04


def test_the_error_of_the_standard_deviation_is_the_scatter_of_standard_deviations():
    def skewed(run, rng):
        return rng.exponential()

    s = summarize(sweep(skewed, {"run": range(600)}, repeats=200, vectorized=True))["value"]
    ratio = s.sel(statistic="sd_se").mean() / s.sel(statistic="sd").std()
    assert 0.85 < float(ratio) < 1.1  # sd / sqrt(2 n), right for a normal, would give 0.5


@pytest.mark.parametrize("jobs", [1, 2])
def test_streamed_moments_have_the_bits_of_kept_ones(jobs, monkeypatch):
    monkeypatch.setattr("axonal.sweep.run.BUFFERED_CELLS", 7)
    over = {"a": [0.1, 0.4, 0.9]}
    kept = summarize(sweep(normal, over, repeats=23))
    streamed = sweep(normal, over, repeats=23, keep="moments", jobs=jobs)
    assert streamed.equals(kept)
    assert "repeat" not in streamed.dims


def test_failed_repeats_are_left_out():
    def sometimes(rng):
        if (u := rng.random()) < 0.3:
            raise ValueError("unlucky")
        return u

    data = sweep(sometimes, {}, repeats=40)
    good = data["value"].values[~np.isnan(data["value"].values)]
    s = summarize(data)["value"]
    assert int(s.sel(statistic="n")) == len(good) == 40 - len(failures(data))
    np.testing.assert_allclose(float(s.sel(statistic="mean")), good.mean(), rtol=1e-14)


def noisy(width, rng):
    return {"x": width * rng.normal(), "y": rng.normal()}


@pytest.mark.parametrize("keep", ["repeats", "moments"])
def test_repeats_are_added_until_the_standard_error_is_small(keep):
    until = Until(0.1, of="x", at_least=20, at_most=2000)
    data = sweep(noisy, {"width": [0.1, 1.0, 2.0]}, until=until, keep=keep)
    s = data if keep == "moments" else summarize(data)
    n = data["repeats"].values
    assert (s["x"].sel(statistic="se") <= 0.1).all()
    assert n[0] == 20
    assert 70 < n[1] < 160
    assert 300 < n[2] < 600
    np.testing.assert_array_equal(s["x"].sel(statistic="n"), n)


def test_sequential_stopping_gives_the_same_bits_on_two_workers():
    until = Until(0.2, of="x", at_most=200)
    one, two = (sweep(noisy, {"width": [0.5, 1.0, 9.0]}, until=until, jobs=jobs) for jobs in (1, 2))
    assert one.equals(two)
    assert int(one["repeats"][2]) == 200  # the budget ended first


def test_a_repeat_of_a_sequential_sweep_is_the_repeat_of_any_other():
    fixed = sweep(noisy, {"width": [1.0]}, repeats=30)
    grown = sweep(noisy, {"width": [1.0, 3.0]}, until=Until(0.5, of="x"))
    grown = grown.drop_vars("repeats").sel(width=[1.0]).isel(repeat=slice(20))
    assert grown.equals(fixed.isel(repeat=slice(20)))


def test_bootstrap_gives_an_interval_for_a_functional_of_all_outputs():
    def scores(shift, rng):
        return {"signal": shift + rng.normal(), "noise": rng.normal()}

    def auc(data):
        wins = data["signal"] > data["noise"].rename(repeat="other")
        return wins.mean(["repeat", "other"])

    data = sweep(scores, {"shift": [0.0, 1.0]}, repeats=60)
    interval = bootstrap(data, auc, resamples=200)
    exact = stats.norm.cdf(np.array([0.0, 1.0]) / np.sqrt(2))
    assert (interval.sel(statistic="low") < exact).all()
    assert (interval.sel(statistic="high") > exact).all()
    np.testing.assert_allclose(interval.sel(statistic="mean"), auc(data))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Until(0.0), "expected a positive number"),
        (lambda: Until(0.1, at_least=1), "2 <= at_least"),
        (lambda: summarize(xr.Dataset({"x": ("z", [1.0])})), "no dimension 'repeat'"),
        (lambda: summarize(sweep(lambda rng: 1j, {}, repeats=2)), "only real outputs"),
        (lambda: sweep(noisy, {"width": [1.0]}, until=Until(0.1)), "one of x, y"),
        (lambda: sweep(noisy, {"width": [1.0]}, until=Until(0.1), repeats=3), "give one of them"),
    ],
)
def test_bad_input_is_answered_with_one_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()

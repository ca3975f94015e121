"""A point that raises, hangs or kills its worker is NaN and a row of the table; the rest goes on."""

import os
import time

import numpy as np
import pytest

from axonal.errors import InputError
from axonal.sweep import SweepError, failures, point_rng, sweep


def picky(a, rng):
    draw = rng.normal()
    if a == 2:
        raise ZeroDivisionError("a - 2 = 0")
    return {"x": a, "draw": draw}


def picky_block(a):
    if (a == 2).any():
        raise ZeroDivisionError("a - 2 = 0")
    return a


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_raising_point_does_not_stop_the_sweep(jobs):
    data = sweep(picky, {"a": [1, 2, 3]}, repeats=2, seed=4, jobs=jobs)
    np.testing.assert_array_equal(data["x"], [[1, 1], [np.nan, np.nan], [3, 3]])
    table = failures(data)
    assert table[["a", "repeat", "error"]].values.tolist() == [
        [2, 0, "ZeroDivisionError"],
        [2, 1, "ZeroDivisionError"],
    ]
    assert "in picky" in table["traceback"][0]
    assert table["message"][0] == "a - 2 = 0"
    seeds = np.random.SeedSequence(4, spawn_key=table["spawn_key"][1])
    assert np.random.default_rng(seeds).normal() == point_rng(4, {"a": 2}, 1).normal()


def test_only_the_guilty_rows_of_a_block_fail():
    data = sweep(picky_block, {"a": [0, 1, 2, 3]}, vectorized=True, block=3)
    np.testing.assert_array_equal(data["value"], [0, 1, np.nan, 3])
    assert len(failures(data)) == data.attrs["failed"] == 1


def test_the_sweep_stops_at_the_first_failure_when_told_to():
    with pytest.raises(SweepError, match="ZeroDivisionError at a = 2: a - 2 = 0") as caught:
        sweep(picky, {"a": [1, 2, 3]}, on_error="raise")
    assert "in picky" in caught.value.__notes__[0]


def test_a_sweep_without_one_good_point_says_why():
    with pytest.raises(SweepError, match="every point failed, the first with ZeroDivisionError"):
        sweep(picky, {"a": [2]})


def test_a_clean_sweep_has_an_empty_table():
    assert len(failures(sweep(picky, {"a": [1, 3]}))) == 0


def test_a_failed_boolean_is_nan_and_counts_as_a_proportion_still():
    def flag(a, rng):
        if a == 2:
            raise ValueError
        return rng.random() < 0.5

    data = sweep(flag, {"a": [1, 2]}, repeats=2)
    assert np.isnan(data["value"].sel(a=2)).all()
    assert data["value"].attrs["proportion"] == 1


def test_a_method_that_refuses_a_point_with_an_input_error_is_a_failure_like_any_other():
    def refuses(a):
        if a == 2:
            raise InputError("c0 = 2: expected less")
        return a

    for jobs in (1, 2):
        assert failures(sweep(refuses, {"a": [1, 2]}, jobs=jobs))["error"].tolist() == [
            "InputError"
        ]


def test_only_the_first_thousand_failures_keep_their_traceback():
    def odd(a):
        if a % 2:
            raise ValueError(a)
        return a

    table = failures(sweep(odd, {"a": range(2400)}))
    assert len(table) == 1200
    assert (table["traceback"] != "").sum() == 1000


def hang(a):
    while a == 3:
        pass
    return a


@pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
def test_a_point_over_the_time_limit_is_given_up(backend):
    begun = time.monotonic()
    data = sweep(hang, {"a": range(5)}, backend=backend, jobs=2, time_limit=0.2)
    np.testing.assert_array_equal(data["value"], [0, 1, 2, np.nan, 4])
    assert failures(data)["message"].tolist() == ["took longer than 0.2 s"]
    assert time.monotonic() - begun < 20


def die(a):
    if a == 7:
        os._exit(1)
    return a


def test_a_point_that_kills_its_worker_is_found_and_recorded():
    data = sweep(die, {"a": range(12)}, jobs=2)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(data["value"])), [7])
    assert failures(data)[["a", "error"]].values.tolist() == [[7, "WorkerDied"]]


def test_a_function_that_returns_other_names_at_some_point_is_told_so():
    with pytest.raises(InputError, match="returned y at a = 2 but x at"):
        sweep(lambda a: {"x": 1} if a == 1 else {"y": 1}, {"a": [1, 2]})

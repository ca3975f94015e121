"""A measurement: its shape is checked, its JSON loses nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from axonal.errors import InputError
from axonal.lab import Claim, Greater
from axonal.lab.intervals import measurement_interval
from axonal.lab.judge import judge
from axonal.lab.measurement import Measurement
from axonal.lab.words import bounds, duration, estimate, measured, number


@given(st.lists(st.floats(width=32), min_size=1, max_size=12))
def test_values_survive_json_also_when_they_are_not_finite(values):
    kept = Measurement.of("a", values, "mV")
    text = json.dumps(kept.to_json(), allow_nan=False)
    again = Measurement.from_json("a", json.loads(text))
    np.testing.assert_array_equal(again.values, kept.values)
    assert again.unit == "mV"


def test_a_series_survives_json():
    kept = Measurement.of("s", np.eye(3), along=[1, 2, 4], along_name="layer")
    again = Measurement.from_json("s", json.loads(json.dumps(kept.to_json())))
    np.testing.assert_array_equal(again.values, np.eye(3))
    np.testing.assert_array_equal(again.along, [1, 2, 4])
    assert again.along_name == "layer"


def test_mean_and_interval_stand_beside_the_values():
    found = Measurement.of("a", [1.0, 2.0, 3.0, 4.0, 5.0]).to_json()
    assert found["mean"] == 3.0
    assert found["low"] < 3.0 < found["high"]


def test_an_exact_number_has_an_interval_of_no_width_and_one_repeat_has_none():
    assert Measurement.of("a", 2.5, exact=True).to_json()["low"] == 2.5
    assert Measurement.of("a", 2.5).to_json()["low"] is None


def test_tensors_and_lists_are_numbers_too():
    assert Measurement.of("a", torch.tensor([1.0, 2.0], requires_grad=True)).repeats == 2
    assert Measurement.of("a", [True, False, True]).values.mean() == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        ([[1.0, 2.0]], {}, r"shape \(1, 2\).*along"),
        ([], {}, "empty"),
        ([1.0, 2.0], {"exact": True}, "2 repeats"),
        ([1.0, 2.0], {"along": [1.0, 2.0, 3.0]}, "expected .repeats, points"),
        ([1.0, 2.0], {"along": [2.0, 1.0]}, "increasing"),
        ([1.0, 2.0], {"along": [0.0, np.nan]}, "finite"),
        (1 + 2j, {}, "complex"),
        (["a"], {}, "must be numbers"),
        ([[1.0], [1.0, 2.0]], {}, "unequal lengths"),
    ],
)
def test_what_does_not_fit_is_one_clear_sentence(values, options, words):
    with pytest.raises(InputError, match=words):
        Measurement.of("a", values, **options)


@pytest.mark.parametrize(
    ("value", "spread", "words"),
    [
        (0.123456, 0.0, "0.123"),
        (1.000123, 0.00004, "1.000123"),
        (3.0, 0.0, "3"),
        (12345.678, 0.0, "12346"),
        (0.960, 0.02, "0.96"),
        (-1.5e-9, 0.0, "-1.5e-09"),
        (float("nan"), 0.0, "nan"),
        (2.5e12, 0.0, "2.5e+12"),
    ],
)
def test_numbers_have_the_digits_they_deserve(value, spread, words):
    assert number(value, spread) == words


def test_estimates_ranges_and_durations_read_well():
    assert estimate(0.96, 0.94, 0.98, "nm") == "0.96 [0.94, 0.98] nm"
    assert estimate(0.96, float("nan"), float("nan")) == "0.96"
    assert bounds(0.1, float("inf")) == "at least 0.1"
    assert bounds(-float("inf"), 2) == "at most 2"
    assert [duration(s) for s in (0.44, 12.3, 200, 240, 7500)] == [
        "0.4 s",
        "12 s",
        "3 min 20 s",
        "4 min",
        "2 h 5 min",
    ]
    series = Measurement.of("s", [1.0, 3.0, 2.0], along=[0, 1, 2], exact=True)
    assert measured(series) == "1 to 2, between 1 and 3 over 3 points"


def test_an_interval_ends_where_its_quantity_does():
    values = [0.3, 0.28, 0.81, 0.34, 0.43, 0.99]
    free = Measurement.of("r", values)
    bounded = Measurement.of("r", values, bounds=(-1, 1))
    assert measurement_interval(free)[2] > 1
    assert measurement_interval(bounded)[2] == 1
    assert measurement_interval(bounded)[1] == measurement_interval(free)[1]
    again = Measurement.from_json("r", bounded.to_json())
    assert again.bounds == (-1.0, 1.0)
    assert again.to_json() == bounded.to_json()


@pytest.mark.parametrize(
    ("bounds", "words"), [((-1, 1), "beyond its bounds"), ((1, 1), "low < high")]
)
def test_bounds_that_do_not_fit_are_refused(bounds, words):
    with pytest.raises(InputError, match=words):
        Measurement.of("r", [0.5, 1.2], bounds=bounds)


def test_a_verdict_says_the_interval_that_ends_where_its_quantity_does():
    values = [0.3, 0.28, 0.81, 0.34, 0.43, 0.99]
    claim = Claim("c", "s", reported="r", source="abstract", test=Greater("r", -2))
    judgement = judge(claim, {"r": Measurement.of("r", values, bounds=(-1, 1))}, "laptop")
    assert ", 1]" in judgement.detail

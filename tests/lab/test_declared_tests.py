"""What a claim may assert: valid when built, the same after JSON, readable."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axonal.errors import InputError
from axonal.lab import (
    All,
    Decreasing,
    Equals,
    Greater,
    Increasing,
    InteriorMaximum,
    Less,
    Within,
)
from axonal.lab.tests import from_json, measurements_of, to_json

names = st.text("abcdef_", min_size=1, max_size=8)
numbers = st.floats(-1e6, 1e6)
simple = st.one_of(
    st.builds(Greater, names, st.one_of(names, numbers), by=numbers),
    st.builds(Less, st.one_of(names, numbers), names),
    st.builds(Within, names, st.floats(-math.inf, 0), st.floats(0, math.inf)),
    st.builds(Equals, names, names, tolerance=st.floats(1e-6, 10)),
    st.builds(Increasing, names, st.floats(0, 1)),
    st.builds(Decreasing, names),
    st.builds(InteriorMaximum, names, low=st.floats(-math.inf, 0), high=st.floats(0, math.inf)),
)
tests = st.one_of(simple, st.lists(simple, min_size=1, max_size=3).map(lambda t: All(*t)))


@given(tests)
def test_a_test_is_the_same_after_json(test):
    import json

    assert from_json(json.loads(json.dumps(to_json(test), allow_nan=False))) == test


@given(tests)
def test_a_test_says_which_measurements_it_speaks_of(test):
    for name in measurements_of(test):
        assert name in str(test)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Greater(1.0, 2.0), "at least one measurement"),
        (lambda: Greater("", 2.0), "by name or numbers"),
        (lambda: Greater("a", None), "by name or numbers"),
        (lambda: Greater("a", True), "by name or numbers"),
        (lambda: Greater("a", "b", by="much"), "by must be a number"),
        (lambda: Within("a", 2.0, 1.0), "low <= high"),
        (lambda: Within("a", math.nan, 1.0), "must be a number"),
        (lambda: Equals("a", 1.0), "positive tolerance"),
        (lambda: Equals("a", 1.0, tolerance=-1.0), "positive tolerance"),
        (lambda: Increasing(3.0), "name of a series"),
        (lambda: InteriorMaximum("a", low=3.0, high=1.0), "low <= high"),
        (lambda: All(), "at least one test"),
        (lambda: All("a"), "takes tests"),
        (lambda: from_json({"kind": "Greatr", "a": "x", "b": 1}), "did you mean Greater"),
        (lambda: from_json({"kind": "Greater", "c": "x"}), "does not fit Greater"),
        (lambda: from_json(["a"]), "object with a kind"),
    ],
)
def test_a_test_that_makes_no_sense_does_not_exist(build, words):
    with pytest.raises(InputError, match=words):
        build()


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (Greater("r", 0.9), "r is greater than 0.9"),
        (Less("cost", "baseline", by=2), "cost is less than baseline by more than 2"),
        (Within("slope", 0.45, 0.55), "slope lies in [0.45, 0.55]"),
        (Equals("n", 8, tolerance=0.5, relative=0.1), "n equals 8 to within 0.5 + 10 %"),
        (Increasing("s"), "s increases at every step"),
        (InteriorMaximum("s", low=1, high=2), "s has a maximum between its ends in [1, 2]"),
        (All(Greater("a", "b"), Decreasing("s")), "a is greater than b; and s decreases"),
    ],
)
def test_a_test_reads_as_a_sentence(test, words):
    assert words in str(test)

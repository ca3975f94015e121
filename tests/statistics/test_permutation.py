"""The permutation test is exact where it can be, and calls chance chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from axonal.errors import InputError
from axonal.statistics import permutation_test


def test_small_samples_are_tested_exactly():
    found = permutation_test([4, 5, 6], [1, 2, 3], alternative="greater")
    assert found.p_value == 1 / math.comb(6, 3)
    assert found.difference == 3
    paired = permutation_test([4, 5, 6], [1, 2, 3], paired=True, alternative="greater")
    assert paired.p_value == 1 / 2**3


def test_chance_is_called_a_finding_as_often_as_the_level_says():
    rng = np.random.default_rng(0)
    p = [permutation_test(*rng.normal(size=(2, 8)), resamples=199).p_value for _ in range(600)]
    assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.07


def test_pairing_sees_what_pooling_cannot():
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 100, 12)
    a, b = shared + 1, shared + rng.normal(0, 0.1, 12)
    assert permutation_test(a, b, paired=True).p_value < 0.01
    assert permutation_test(a, b).p_value > 0.5


def test_alternatives_look_to_their_side_and_seeds_repeat():
    rng = np.random.default_rng(2)
    a, b = rng.normal(1, 1, 30), rng.normal(0, 1, 30)
    assert permutation_test(a, b, alternative="greater").p_value < 0.01
    assert permutation_test(a, b, alternative="less").p_value > 0.99
    assert permutation_test(a, b) == permutation_test(a, b)


def test_samples_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="at least 2"):
        permutation_test([1], [1, 2])
    with pytest.raises(InputError, match="pair by pair"):
        permutation_test([1, 2], [1, 2, 3], paired=True)

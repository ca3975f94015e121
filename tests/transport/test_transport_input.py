"""Bad input gets one clear sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clouds import clouds

from axonal.errors import InputError
from axonal.transport import (
    LEACE,
    Gaussian,
    GaussianTransport,
    MeanShift,
    UnitTransport,
    family,
)

each_member = pytest.mark.parametrize("name", family())


def refuse(words: str, source, target, member=None) -> None:
    with pytest.raises(InputError, match=words) as caught:
        (member or GaussianTransport()).fit(source, target)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


@each_member
def test_the_same_rows_twice_are_refused_in_any_order(name: str) -> None:
    X, _ = clouds(5)
    for again in (X.copy(), X[::-1]):
        refuse("source and target are the same 300 rows", X, again, family()[name])


@each_member
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_the_set_and_the_count(name: str, bad: float) -> None:
    X, Y = clouds(5)
    Y[[2, 7], 3] = bad
    refuse("target: 2 of its 240 rows hold NaN or infinity", X, Y, family()[name])
    refuse("source: 2 of its 240 rows", torch.tensor(Y), torch.tensor(X), family()[name])


@each_member
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    X, Y = clouds(5)
    member = family()[name]
    refuse("source has 5 units but target has 4: record both at one site", X, Y[:, :4], member)
    refuse(r"source: expected 2 dimension\(s\), got shape \(5,\)", X[0], Y, member)
    refuse(r"target: expected at least one value, got shape \(0, 5\)", X, Y[:0], member)
    refuse("target: expected at least 2 rows, got 1", X, Y[:1], member)
    refuse("source: expected a NumPy array or a tensor of real numbers, got list", ["a"], Y, member)
    refuse("source: expected real numbers, got torch.complex", torch.zeros(3, 5) + 1j, Y, member)


def test_too_few_rows_for_the_components_are_refused() -> None:
    X, Y = clouds(6)
    exact = GaussianTransport(4, shrinkage=None)
    refuse("source: 5 rows are too few for 4 components, expected at least 6", X[:5], Y, exact)
    refuse("target: 5 rows are too few", X, Y[:5], exact)
    refuse("target: 2 rows are too few for 4 components", X, Y[:2], GaussianTransport(4))
    refuse("6 rows vary in 5 directions only, but 6", X[:3], Y[:3], GaussianTransport(6))


def test_constant_activations_are_refused() -> None:
    X, Y = clouds(5)
    refuse("source: all 300 rows are equal", np.ones_like(X), Y)
    refuse("target: all 240 rows are equal", X, np.ones_like(Y))


def test_a_source_without_spread_in_some_direction_needs_a_ridge() -> None:
    X, Y = clouds(5)
    X[:, 0] = 1.0
    exact = GaussianTransport(None, ridge=0.0, shrinkage=None)
    refuse("source covariance has rank 4 of 5: use fewer components, more rows", X, Y, exact)
    with pytest.warns(UserWarning, match="stretches its axes"):
        GaussianTransport(None, shrinkage=None).fit(X, Y)


def test_equal_means_have_no_direction_between_them() -> None:
    X, Y = clouds(5)
    Y = Y - Y.mean(axis=0) + X.mean(axis=0)
    for member in (MeanShift(), LEACE(), GaussianTransport(1, basis="fisher")):
        refuse("source and target have the same mean", X, Y, member)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (GaussianTransport(0), "n_components: expected a whole number from 1 to 5 or None, got 0"),
        (GaussianTransport(6), "n_components: expected a whole number from 1 to 5 or None, got 6"),
        (GaussianTransport(2.0), "n_components: expected a whole number"),
        (GaussianTransport(True), "n_components: expected a whole number"),
        (GaussianTransport(basis="poled"), "no 'poled'; did you mean pooled"),
        (GaussianTransport(basis=np.eye(4)), r"basis: expected shape \(5, k\), got \(4, 4\)"),
        (GaussianTransport(basis=np.ones((5, 2))), "2 columns are zero or linearly dependent"),
        (GaussianTransport(shrinkage=1.5), "shrinkage: expected 'auto', .* got 1.5"),
        (GaussianTransport(shrinkage="ledoit"), "shrinkage: expected 'auto', .* got 'ledoit'"),
        (GaussianTransport(ridge=-1e-3), "ridge: expected a number of at least 0, got -0.001"),
        (GaussianTransport(massive="no"), "massive: expected 'drop' or 'keep', got 'no'"),
        (GaussianTransport(strength=np.nan), "strength: expected a finite number, got nan"),
        (MeanShift(strength="1"), "strength: expected a finite number, got '1'"),
        (UnitTransport("quadratic"), "method: expected 'linear', .* got 'quadratic'"),
        (UnitTransport(support="seen"), "support: expected 'everywhere' or 'observed'"),
        (LEACE(shrinkage=-1), "shrinkage: expected 'auto', .* got -1"),
    ],
    ids=lambda value: value.split(",")[0] if isinstance(value, str) else type(value).__name__,
)
def test_parameters_out_of_range_are_named_when_fitting(member, words: str) -> None:
    refuse(words, *clouds(5), member)


def test_one_row_has_no_covariance() -> None:
    with pytest.raises(InputError, match="a covariance needs at least 2"):
        Gaussian.of(np.ones((1, 3)))


def test_rows_to_move_hold_no_nan() -> None:
    member = MeanShift().fit(*clouds(3))
    with pytest.raises(InputError, match="rows: 1 of its 2 rows hold NaN"):
        member.transform([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]])

"""The estimator: exact moments, untouched complement, invertible, equivariant, geodesic, shrunk."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from clouds import clouds

from axonal.transport import (
    AffineAblation,
    Gaussian,
    GaussianTransport,
    MeanShift,
    UnitTransport,
    wasserstein,
)
from axonal.transport.covariance import ledoit_wolf_intensity

BASES = ("pooled", "mean_difference", "target", "fisher")
EXACT = {"ridge": 0.0, "shrinkage": None}


# On these clouds some bases are meant to be a poor choice; that they are named has its own test.
pytestmark = pytest.mark.filterwarnings("ignore:The chosen subspace")


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("components", [1, 3, None])
def test_the_fitted_map_carries_source_moments_onto_target(basis, components) -> None:
    X, Y = clouds(8)
    fitted = GaussianTransport(components, basis=basis, **EXACT).fit(X, Y)
    moved = fitted.transform(X)
    P = np.eye(8) if components is None else fitted.map_.basis.numpy()
    np.testing.assert_allclose((moved @ P).mean(axis=0), (Y @ P).mean(axis=0), atol=1e-10)
    found, expected = np.cov((moved @ P).T), np.cov((Y @ P).T)
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("basis", BASES)
def test_what_is_orthogonal_to_the_subspace_stays(basis) -> None:
    X, Y = clouds(8)
    fitted = GaussianTransport(3, basis=basis).fit(X, Y)
    P = fitted.map_.basis.numpy()
    np.testing.assert_allclose(P.T @ P, np.eye(3), atol=1e-12)
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 1e-6)):
        rows = X.astype(dtype)
        step = fitted.transform(rows) - rows
        assert np.abs(step - step @ P @ P.T).max() < tolerance
        assert np.abs(step).max() > 0.5


@pytest.mark.parametrize("components", [1, 2, 5, None])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_the_inverse_transform_brings_rows_back(components, strength) -> None:
    X, Y = clouds(8)
    fitted = GaussianTransport(components, strength=strength).fit(X, Y)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(X)), X, atol=1e-9)


def test_the_inverse_is_the_map_fitted_the_other_way() -> None:
    X, Y = clouds(6)
    there, back = (GaussianTransport(None, **EXACT).fit(*pair) for pair in ((X, Y), (Y, X)))
    np.testing.assert_allclose(there.inverse_transform(Y), back.transform(Y), atol=1e-9)
    np.testing.assert_allclose(back.transform(there.transform(X)), X, atol=1e-9)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("components", [2, None])
def test_rotating_the_units_rotates_the_map(basis, components) -> None:
    X, Y = clouds(7)
    Q = np.linalg.qr(np.random.default_rng(3).normal(size=(7, 7)))[0]
    M, v = GaussianTransport(components, basis=basis).fit(X, Y).map_.dense()
    rotated, moved = GaussianTransport(components, basis=basis).fit(X @ Q, Y @ Q).map_.dense()
    np.testing.assert_allclose(rotated.numpy(), Q.T @ M.numpy() @ Q, atol=1e-8)
    np.testing.assert_allclose(moved.numpy(), Q.T @ v.numpy(), atol=1e-8)


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.7, 1.0])
def test_rows_moved_part_of_the_way_lie_on_the_geodesic(strength) -> None:
    X, Y = clouds(5)
    fitted = GaussianTransport(None, strength=strength, **EXACT).fit(X, Y)
    before, after = Gaussian.of(X), Gaussian.of(fitted.transform(X))
    whole = wasserstein(before, Gaussian.of(Y))
    assert wasserstein(before, after) == pytest.approx(strength * whole, abs=1e-9)
    assert fitted.report_.distance == pytest.approx(whole, rel=1e-10)
    mean_step = np.linalg.norm(X.mean(axis=0) - Y.mean(axis=0))
    assert fitted.report_.mean_distance == pytest.approx(mean_step, rel=1e-12)


def test_no_other_map_with_the_same_moments_moves_rows_less() -> None:
    X, Y = clouds(4)
    moved = GaussianTransport(None, **EXACT).fit_transform(X, Y)
    cost = np.square(moved - X).sum(axis=1).mean()
    spread_s, spread_t = (np.linalg.cholesky(np.cov(rows.T)) for rows in (X, Y))
    white = np.linalg.solve(spread_s, (X - X.mean(axis=0)).T)
    rng = np.random.default_rng(0)
    for rotation in [np.eye(4), *(np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(20))]:
        other = (spread_t @ rotation @ white).T + Y.mean(axis=0)
        np.testing.assert_allclose(np.cov(other.T), np.cov(Y.T), atol=1e-10)
        assert np.square(other - X).sum(axis=1).mean() > cost


def test_special_cases_are_other_members_of_the_family() -> None:
    X, Y = clouds(5)
    shifted = X + 2.0
    rows = Y[:20]
    full = GaussianTransport(None, **EXACT).fit(X, shifted)  # one covariance: a mean shift
    np.testing.assert_allclose(
        full.transform(rows), MeanShift().fit(X, shifted).transform(rows), atol=1e-10
    )
    delta = Y.mean(axis=0) - X.mean(axis=0)
    flat = Y - np.outer((Y - Y.mean(axis=0)) @ delta, delta) / (delta @ delta)
    one = GaussianTransport(1, basis="mean_difference", shrinkage=None, ridge=1e-16)
    with pytest.warns(UserWarning, match="stretches its axes"):  # the target has no spread along it
        one.fit(X, flat)
    ablated = AffineAblation().fit(X, flat).transform(rows)
    np.testing.assert_allclose(one.transform(rows), ablated, atol=1e-6)
    units = np.eye(5)[:, [2]]  # one unit as the subspace: Gaussian transport of that unit
    alone = GaussianTransport(basis=units, **EXACT).fit(X, Y).transform(rows)
    act = UnitTransport("gaussian").fit(X, Y).transform(rows)
    np.testing.assert_allclose(alone[:, 2], act[:, 2], atol=1e-12)


def test_the_bases_are_what_they_say() -> None:
    X, Y = clouds(6)
    delta = Y.mean(axis=0) - X.mean(axis=0)
    P = {name: GaussianTransport(2, basis=name).fit(X, Y).map_.basis.numpy() for name in BASES}
    both, centred = np.concatenate([X, Y]), Y - Y.mean(axis=0)
    for name, rows in (("pooled", both - both.mean(axis=0)), ("target", centred)):
        axes = np.linalg.svd(rows)[2][:2].T
        np.testing.assert_allclose(P[name] @ P[name].T, axes @ axes.T, atol=1e-10)
    r = delta / np.linalg.norm(delta)
    np.testing.assert_allclose(P["mean_difference"][:, 0], r, atol=1e-14)
    within = np.concatenate([X - X.mean(axis=0), centred])
    second = np.linalg.svd(within - np.outer(within @ r, r))[2][0]
    assert abs(second @ P["mean_difference"][:, 1]) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("samples", [12, 300])
def test_fisher_solves_the_shrunk_system_with_fewer_or_more_rows_than_units(samples) -> None:
    X, Y = clouds(40, source=samples, target=samples - 2)
    fitted = GaussianTransport(1, basis="fisher").fit(X, Y)
    within = np.concatenate([X - X.mean(axis=0), Y - Y.mean(axis=0)])
    rho = ledoit_wolf_intensity(torch.from_numpy(within))
    S = within.T @ within / len(within)
    shrunk = (1 - rho) * S + rho * np.trace(S) / 40 * np.eye(40)
    expected = np.linalg.solve(shrunk, Y.mean(axis=0) - X.mean(axis=0))
    np.testing.assert_allclose(
        fitted.map_.basis.numpy()[:, 0], expected / np.linalg.norm(expected), atol=1e-10
    )


def test_a_subspace_that_misses_the_contrast_is_named() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) * [20.0, 1.0, 1.0, 1.0]
    Y = rng.normal(size=(60, 4)) * [20.0, 1.0, 1.0, 1.0] + [0.0, 3.0, 0.0, 0.0]
    Y[:, 0] += X[:, 0].mean() - Y[:, 0].mean()
    with pytest.warns(UserWarning, match=r"holds 0 % of the mean difference; raise n_components"):
        missed = GaussianTransport(1).fit(X, Y)
    assert missed.report_.captured < 0.01
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert GaussianTransport(2).fit(X, Y).report_.captured > 0.9
        assert GaussianTransport(1, basis="mean_difference").fit(X, Y).report_.captured > 1 - 1e-12


def test_shrinkage_makes_more_units_than_rows_possible_and_is_reported() -> None:
    X, Y = clouds(60, source=25, target=20)
    fitted = GaussianTransport(None).fit(X, Y)
    assert all(0 < rho < 1 for rho in fitted.report_.shrinkage)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(X)), X, atol=1e-9)
    new_x, new_y = clouds(60, source=500, target=500)
    goal = Gaussian.of(new_y)
    moved = Gaussian.of(fitted.transform(new_x))
    assert wasserstein(moved, goal) < 0.9 * wasserstein(Gaussian.of(new_x), goal)
    assert GaussianTransport(2).fit(*clouds(4)).report_.shrinkage == (0.0, 0.0)
    assert GaussianTransport(2, shrinkage=0.3).fit(*clouds(4)).report_.shrinkage == (0.3, 0.3)


def test_the_ridge_is_the_same_for_both_laws_and_scales_with_them() -> None:
    X, Y = clouds(5)
    for unit in (1.0, 1e4):
        fitted = GaussianTransport(None, shrinkage=None, ridge=0.1).fit(unit * X, unit * Y)
        found = [np.cov(unit * rows.T) for rows in (X, Y)]
        level = 0.1 * (np.trace(found[0]) + np.trace(found[1])) / 2 / 5
        for law, plain in zip((fitted.source_, fitted.target_), found, strict=True):
            np.testing.assert_allclose(law.covariance, plain + level * np.eye(5), rtol=1e-12)


def test_the_fitted_map_tends_to_the_true_one_as_the_root_of_the_rows() -> None:
    truth = np.array([[1.5, 0.4, 0.0], [0.4, 0.8, 0.1], [0.0, 0.1, 1.1]])
    errors = []
    for n in (100, 400, 1600, 6400):
        miss = []
        for seed in range(20):
            rng = np.random.default_rng([n, seed])
            X, Y = rng.normal(size=(2, n, 3))
            M, _ = GaussianTransport(None, **EXACT).fit(X, Y @ truth).map_.dense()
            miss.append(np.linalg.norm(M.numpy() - truth))
        errors.append(np.mean(miss))
    slope = np.polyfit(np.log([100, 400, 1600, 6400]), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.06)


def test_massive_rows_are_left_out_with_a_note() -> None:
    X, Y = clouds(6)
    X[0], Y[[3, 5]] = 1e4, -1e4
    with pytest.warns(UserWarning, match="1 rows of source and 2 of target have a norm"):
        fitted = GaussianTransport(None).fit(X, Y)
    assert fitted.report_.dropped == (1, 2)
    clean = GaussianTransport(None).fit(X[1:], np.delete(Y, [3, 5], axis=0))
    np.testing.assert_array_equal(fitted.map_.matrix.numpy(), clean.map_.matrix.numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = GaussianTransport(None, massive="keep").fit(X, Y)
    assert kept.report_.n_source == len(X)


def test_rows_are_not_massive_beside_zeros() -> None:
    X, Y = clouds(4)
    X[:200], Y[:200] = 0.0, 0.0
    assert GaussianTransport(None).fit(X, Y).report_.dropped == (0, 0)


def test_half_precision_rows_that_would_overflow_are_fine() -> None:
    X, Y = (300 * rows for rows in clouds(5))  # squares exceed float16's 65,504
    exact = GaussianTransport(None).fit(X, Y).transform(X)
    half = GaussianTransport(None).fit(X.astype(np.float16), Y.astype(np.float16))
    moved = half.transform(X.astype(np.float16))
    assert moved.dtype == np.float16
    np.testing.assert_allclose(moved.astype(float), exact, atol=5e-3 * np.abs(exact).max())

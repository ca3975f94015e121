"""Each member against its own definition: shift, ablations, unit transport, erasure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from clouds import clouds, waves

from axonal.activations import Affine, MapUnits, Site, edit, load, save
from axonal.errors import InputError
from axonal.transport import (
    LEACE,
    AffineAblation,
    AffineMap,
    DirectionalAblation,
    GaussianTransport,
    MeanShift,
    UnitTransport,
)

REFERENCES = json.loads((Path(__file__).parent / "data" / "references.json").read_text())


def test_shift_and_ablations_are_their_formulae() -> None:
    X, Y = clouds(5)
    delta = Y.mean(axis=0) - X.mean(axis=0)
    r = delta / np.linalg.norm(delta)
    np.testing.assert_allclose(MeanShift().fit_transform(X, Y), X + delta, atol=1e-13)
    without = X - np.outer(X @ r, r)
    np.testing.assert_allclose(DirectionalAblation().fit_transform(X, Y), without, atol=1e-13)
    expected = without + (Y.mean(axis=0) @ r) * r
    np.testing.assert_allclose(AffineAblation().fit_transform(X, Y), expected, atol=1e-13)


def test_linear_unit_transport_is_the_line_through_sorted_columns() -> None:
    X, Y = clouds(5, source=80, target=80)
    xs, ys = np.sort(X - X.mean(axis=0), axis=0), np.sort(Y - Y.mean(axis=0), axis=0)
    omega = (xs * ys).sum(axis=0) / np.square(xs).sum(axis=0)
    fitted = UnitTransport("linear").fit(X, Y)
    np.testing.assert_allclose(fitted.map_.scale.numpy(), omega, rtol=1e-12)
    np.testing.assert_allclose(fitted.transform(X).mean(axis=0), Y.mean(axis=0), atol=1e-12)


def test_unequal_samples_give_the_line_of_the_repeated_samples() -> None:
    X, Y = clouds(4, source=12, target=9)  # 36 = 3 * 12 = 4 * 9: repeat to equal numbers
    equal = UnitTransport("linear").fit(np.repeat(X, 3, axis=0), np.repeat(Y, 4, axis=0))
    unequal = UnitTransport("linear").fit(X, Y)
    torch.testing.assert_close(unequal.map_.scale, equal.map_.scale, rtol=1e-12, atol=0)
    torch.testing.assert_close(unequal.map_.shift, equal.map_.shift, rtol=1e-12, atol=1e-12)


def test_linear_unit_transport_finds_an_affine_truth_exactly() -> None:
    X, _ = clouds(4)
    omega, beta = np.array([0.5, 2.0, 1.0, 3.0]), np.array([1.0, -1.0, 0.0, 5.0])
    shuffled = np.random.default_rng(0).permuted(X * omega + beta, axis=0)  # units independently
    for method in ("linear", "gaussian"):
        moved = UnitTransport(method).fit(X, shuffled).transform(X)
        np.testing.assert_allclose(moved, X * omega + beta, atol=1e-12)


def test_gaussian_and_mean_unit_transport_are_their_formulae() -> None:
    X, Y = clouds(4)
    ratio = Y.std(axis=0, ddof=1) / X.std(axis=0, ddof=1)
    expected = ratio * (X - X.mean(axis=0)) + Y.mean(axis=0)
    np.testing.assert_allclose(UnitTransport("gaussian").fit_transform(X, Y), expected, atol=1e-12)
    shifted = MeanShift().fit_transform(X, Y)
    np.testing.assert_allclose(UnitTransport("mean").fit_transform(X, Y), shifted, atol=1e-12)


def test_a_constant_unit_is_shifted_only() -> None:
    X, Y = clouds(3)
    X[:, 1] = 0.1
    for method in ("linear", "gaussian"):
        fitted = UnitTransport(method).fit(X, Y)
        assert fitted.map_.scale[1] == 1.0
        assert fitted.transform(X)[:, 1] == pytest.approx(Y[:, 1].mean())


def test_outside_the_observed_support_units_stay_and_the_map_owns_up_to_it() -> None:
    X, Y = clouds(3)
    everywhere = UnitTransport("linear").fit(X, Y)
    observed = UnitTransport("linear", support="observed").fit(X, Y)
    np.testing.assert_array_equal(observed.transform(X), everywhere.transform(X))
    beyond = X.copy()
    beyond[:, 1] = X[:, 1].max() + 1e-6
    expected = everywhere.transform(beyond)
    expected[:, 1] = beyond[:, 1]
    np.testing.assert_array_equal(observed.transform(beyond), expected)
    rows = torch.tensor(np.concatenate([X, beyond, X - 10.0]), dtype=torch.float32)
    bounded = observed.edit()
    assert isinstance(bounded, MapUnits)
    assert bounded.low is not None
    inside = (rows >= bounded.low) & (rows <= bounded.high)
    moved = bounded(rows)
    assert torch.equal(moved[~inside], rows[~inside])
    assert not torch.equal(moved[inside], rows[inside])
    with pytest.raises(InputError, match="no inverse: it is not affine"):
        observed.inverse_transform(X)
    with pytest.raises(InputError, match="no matrix: it is not affine"):
        observed.map_.dense()


def test_erasure_makes_the_class_means_equal_and_leaves_no_linear_predictor() -> None:
    X, Y = clouds(6)
    for shrinkage in (None, "ledoit-wolf"):
        erase = LEACE(shrinkage=shrinkage).fit(X, Y)
        x, y = erase.transform(X), erase.transform(Y)
        np.testing.assert_allclose(x.mean(axis=0), y.mean(axis=0), atol=1e-12)
        both, z = np.concatenate([x, y]), np.repeat([0.0, 1.0], [len(x), len(y)])
        weights = np.linalg.lstsq(both - both.mean(axis=0), z - z.mean(), rcond=None)[0]
        np.testing.assert_allclose(weights, 0.0, atol=1e-10)  # the best predictor is a constant
        np.testing.assert_allclose(erase.transform(x), x, atol=1e-11)


def test_no_other_affine_eraser_changes_rows_less() -> None:
    X, Y = clouds(6)
    both = np.concatenate([X, Y])
    delta, cov = Y.mean(axis=0) - X.mean(axis=0), np.cov(both.T)
    M = LEACE().fit(X, Y).map_.dense()[0].numpy()
    np.testing.assert_allclose(LEACE().fit(X, Y).transform(both).mean(axis=0), both.mean(axis=0))
    rng = np.random.default_rng(0)
    r = delta / np.linalg.norm(delta)
    for _ in range(20):
        # Erasers form the affine space M + N with N delta = 0; the cost is convex on it, so a
        # slope of 0 along every N is the minimum, and in every norm G.
        N = rng.normal(size=(6, 6)) @ (np.eye(6) - np.outer(r, r))
        G = rng.normal(size=(6, 6))
        slope = np.trace(G.T @ G @ (M - np.eye(6)) @ cov @ N.T)
        assert abs(slope) < 1e-10 * np.linalg.norm(G.T @ G) * np.linalg.norm(cov @ N.T)
    changed = np.square(LEACE().fit(X, Y).transform(both) - both).sum()
    orthogonal = np.square((both - both.mean(axis=0)) @ r).sum()
    assert changed < orthogonal


def test_erasure_agrees_with_its_authors_package() -> None:
    expected = REFERENCES["leace"]
    M, v = LEACE().fit(waves(40, 5, 0.4), waves(30, 5, 1.1)).map_.dense()
    matrix, center = np.array(expected["matrix"]), np.array(expected["center"])
    np.testing.assert_allclose(M.numpy(), matrix, atol=1e-10)
    np.testing.assert_allclose(v.numpy(), center - matrix @ center, atol=1e-10)


def test_erasure_works_with_more_units_than_rows() -> None:
    X, Y = clouds(40, source=12, target=10)
    for shrinkage in (None, "ledoit-wolf"):
        erase = LEACE(shrinkage=shrinkage).fit(X, Y)
        np.testing.assert_allclose(
            erase.transform(X).mean(axis=0), erase.transform(Y).mean(axis=0), atol=1e-12
        )


def test_thin_maps_stay_thin_as_edits() -> None:
    X, Y = clouds(20)
    for member, rank in (
        (MeanShift(), 1),
        (DirectionalAblation(), 1),
        (AffineAblation(), 1),
        (LEACE(), 2),
        (GaussianTransport(3, basis="mean_difference"), 3),
    ):
        edited = member.fit(X, Y).edit()
        assert isinstance(edited, Affine)
        assert edited.basis is not None
        assert edited.basis.shape == (20, rank)
        assert edited.matrix.dtype == torch.float32


def test_a_fitted_map_edits_a_network_and_is_saved_and_loaded(tmp_path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.Tanh())
    X, Y = clouds(6)
    member = GaussianTransport(2, basis="mean_difference").fit(X, Y)
    inputs = torch.randn(4, 6)
    edits = {Site("0", "output"): member.edit()}
    with edit(net, edits):
        edited = net(inputs)
    expected = torch.tanh(member.transform(net[0](inputs)))
    torch.testing.assert_close(edited, expected)
    save(edits, tmp_path / "map", model=net)
    with edit(net, load(tmp_path / "map", model=net)):
        assert torch.equal(net(inputs), edited)


def test_a_unit_map_edits_in_half_precision_and_refuses_another_width() -> None:
    X, Y = clouds(4)
    edited = UnitTransport("linear", support="observed").fit(X, Y).edit(rows=[0])
    rows = torch.tensor(X[:6]).reshape(2, 3, 4).bfloat16()
    moved = edited(rows)
    assert moved.dtype == torch.bfloat16
    assert torch.equal(moved[1], rows[1])
    assert not torch.equal(moved[0], rows[0])
    with pytest.raises(InputError, match="made for 4 features, but 3"):
        edited(torch.zeros(1, 2, 3))
    with pytest.raises(InputError, match="scale has 4 units, but low has shape"):
        MapUnits(torch.ones(4), torch.zeros(4), low=torch.zeros(3))


def test_a_map_whose_parts_do_not_fit_does_not_exist() -> None:
    zero = torch.zeros(5, dtype=torch.float64)
    with pytest.raises(InputError, match=r"matrix \(k, k\), a bias \(k,\) and a basis"):
        AffineMap(torch.eye(2), torch.zeros(2), torch.zeros(5, 3), zero)
    with pytest.raises(InputError, match=r"matrix \(k, k\)"):
        AffineMap(torch.eye(2), torch.zeros(2), None, zero)

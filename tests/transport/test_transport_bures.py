"""Identities of the map, the distance and the geodesic between Gaussians."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from clouds import definite, waves

from axonal.errors import InputError
from axonal.transport import Gaussian, bures_distance, geodesic, transport_matrix, wasserstein
from axonal.transport.covariance import ledoit_wolf_intensity

REFERENCES = json.loads((Path(__file__).parent / "data" / "references.json").read_text())
SIZES = (1, 2, 3, 5, 8, 16)


def law(units: int, seed: int) -> Gaussian:
    return Gaussian(np.random.default_rng([seed, units]).normal(size=units), definite(units, seed))


@pytest.mark.parametrize("units", SIZES)
def test_the_map_carries_covariance_onto_covariance_and_is_symmetric_positive(units: int) -> None:
    for seed in range(10):
        source, target = definite(units, seed), definite(units, seed + 100)
        A = transport_matrix(source, target)
        assert np.abs(A @ source @ A - target).max() < 1e-10 * np.abs(target).max()
        assert np.array_equal(A, A.T)
        assert np.linalg.eigvalsh(A).min() > 0


def test_in_one_dimension_the_map_is_the_ratio_of_standard_deviations() -> None:
    A = transport_matrix([[4.0]], [[9.0]])
    assert A[0, 0] == 1.5
    assert 4.0 - A[0, 0] * 1.0 == 2.5  # N(1, 4) -> N(4, 9)
    assert wasserstein(Gaussian([1.0], [[4.0]]), Gaussian([4.0], [[9.0]])) == pytest.approx(10**0.5)


def test_commuting_covariances_give_the_root_of_their_ratio() -> None:
    s, t = np.array([1.0, 4.0, 0.25]), np.array([9.0, 1.0, 0.25])
    A = transport_matrix(np.diag(s), np.diag(t))
    np.testing.assert_allclose(A, np.diag(np.sqrt(t / s)), atol=1e-15)
    np.testing.assert_allclose(transport_matrix(np.diag(s), np.diag(s)), np.eye(3), atol=1e-15)


@pytest.mark.parametrize("units", SIZES)
def test_the_reverse_map_is_the_inverse(units: int) -> None:
    source, target = definite(units, 1), definite(units, 2)
    there, back = transport_matrix(source, target), transport_matrix(target, source)
    np.testing.assert_allclose(back @ there, np.eye(units), atol=1e-9)


@pytest.mark.parametrize("units", SIZES)
def test_the_map_costs_what_the_distance_says(units: int) -> None:
    source, target = law(units, 3), law(units, 4)
    A = transport_matrix(source.covariance, target.covariance)
    step = A - np.eye(units)
    shift = source.mean - target.mean
    cost = shift @ shift + np.trace(step @ source.covariance @ step)  # E|T(z) - z|^2
    assert cost == pytest.approx(wasserstein(source, target) ** 2, rel=1e-11)


def test_the_distance_is_a_metric_bounded_below_by_the_means() -> None:
    for seed in range(20):
        a, b, c = (law(4, 10 * seed + i) for i in range(3))
        assert wasserstein(a, b) == pytest.approx(wasserstein(b, a), rel=1e-12)
        assert wasserstein(a, c) <= wasserstein(a, b) + wasserstein(b, c)
        assert wasserstein(a, b) > np.linalg.norm(a.mean - b.mean)
        same_spread = Gaussian(b.mean, a.covariance)
        assert wasserstein(a, same_spread) == pytest.approx(np.linalg.norm(a.mean - b.mean))
        assert wasserstein(a, a) < 1e-13


def test_the_distance_of_close_laws_does_not_cancel() -> None:
    cov = definite(5, 0)
    nudged = (1 + 1e-9) ** 2 * cov  # every axis 1e-9 longer: the distance is 1e-9 sqrt(tr)
    assert bures_distance(cov, nudged) == pytest.approx(1e-9 * np.trace(cov) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_strength_runs_along_the_geodesic(strength: float) -> None:
    for units in SIZES:
        source, target = law(units, 5), law(units, 6)
        between, whole = geodesic(source, target, strength), wasserstein(source, target)
        assert wasserstein(source, between) == pytest.approx(strength * whole, abs=1e-9)
        assert wasserstein(between, target) == pytest.approx((1 - strength) * whole, abs=1e-9)


def test_map_and_distance_agree_with_pot() -> None:
    source, target = (Gaussian.of(waves(n, 5, phase)) for n, phase in ((40, 0.4), (30, 1.1)))
    A = transport_matrix(source.covariance, target.covariance)
    expected = REFERENCES["pot"]
    np.testing.assert_allclose(A, expected["matrix"], atol=1e-9)
    np.testing.assert_allclose(target.mean - A @ source.mean, expected["bias"], atol=1e-9)
    assert wasserstein(source, target) == pytest.approx(expected["distance"], abs=1e-9)


@pytest.mark.parametrize("size", REFERENCES["ledoit_wolf"]["intensity"])
def test_the_intensity_of_shrinkage_agrees_with_scikit_learn(size: str) -> None:
    n, k = map(int, size.split("x"))
    rows = torch.from_numpy(waves(n, k, 0.4))
    expected = REFERENCES["ledoit_wolf"]["intensity"][size]
    assert ledoit_wolf_intensity(rows) == pytest.approx(expected, rel=1e-10)
    assert ledoit_wolf_intensity(1e3 * rows + 7) == pytest.approx(expected, rel=1e-8)


def test_tensors_give_tensors_and_arrays_give_arrays() -> None:
    source, target = definite(3, 0), definite(3, 1)
    from_tensor = transport_matrix(torch.tensor(source), torch.tensor(target))
    assert isinstance(from_tensor, torch.Tensor)
    from_array = transport_matrix(source, target)
    assert isinstance(from_array, np.ndarray)
    np.testing.assert_array_equal(from_tensor.numpy(), from_array)


def test_a_singular_target_is_fine_and_a_singular_source_is_not() -> None:
    flat = np.diag([1.0, 0.0])
    np.testing.assert_allclose(transport_matrix(np.eye(2), flat), flat, atol=1e-15)
    with pytest.raises(InputError, match=r"source covariance has rank 1 of 2"):
        transport_matrix(flat, np.eye(2))


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (np.ones((2, 3)), np.eye(2), r"square matrix, got shape \(2, 3\)"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), np.eye(2), "symmetric"),
        (np.diag([1.0, -1.0]), np.eye(2), "no negative eigenvalue"),
        (np.eye(2), np.diag([1.0, -1.0]), "no negative eigenvalue"),
        (np.eye(2), np.eye(3), r"source has shape \(2, 2\) but target has \(3, 3\)"),
        (np.array([[np.nan]]), np.eye(1), "NaN"),
    ],
)
def test_what_is_no_covariance_is_refused(source, target, words: str) -> None:
    with pytest.raises(InputError, match=words):
        transport_matrix(source, target)


def test_a_law_has_one_mean_for_each_unit() -> None:
    with pytest.raises(InputError, match="mean has 2 units"):
        Gaussian([0.0, 0.0], np.eye(3))
    with pytest.raises(InputError, match="2 and 3 units"):
        wasserstein(Gaussian(np.zeros(2), np.eye(2)), Gaussian(np.zeros(3), np.eye(3)))

"""Exact transport through the inert slab: closed forms, limits, symmetries and the grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from axonal.errors import InputError
from axonal.physics.membrane import (
    FreeVolumeDiffusivity,
    ResponsiveMembrane,
    TanhResponse,
    VirialPartition,
    discretise,
)
from axonal.physics.membrane.transport import (
    concentration_profile,
    flux_ratio,
    force_slopes,
    partition_weight,
    slab_factors,
    thickness_slopes,
    uptake_ratio,
)

D, L = 0.8, 2.1  # thickness, length
DROPS = [1e-6, 1e-3, 0.3, 4.0, 20.0, 60.0]  # u L


def random_slabs(count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return thickness/length, u L, K and a of random slabs."""
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(0.02, 0.98, count),
        10 ** rng.uniform(-4, 2.5, count),
        10 ** rng.uniform(-3, 3, count),
        10 ** rng.uniform(-2, 3, count),
    )


def resistance_by_quadrature(u: float, K: float, a: float) -> float:
    """Return ``int exp(beta U) D0/D dz`` over the whole system, U = -ln K inside, minus u z."""
    entry, leave = (L - D) / 2, (L + D) / 2
    bulk = quad(lambda z: np.exp(-u * z), 0, entry, epsabs=0, epsrel=1e-13)[0]
    slab = quad(lambda z: np.exp(-u * z), entry, leave, epsabs=0, epsrel=1e-13)[0]
    rest = quad(lambda z: np.exp(-u * z), leave, L, epsabs=0, epsrel=1e-13)[0]
    return bulk + slab * a / K + rest


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize(("K", "a"), [(0.09, 28.0), (11.0, 28.0), (1.0, 1.7), (5.0, 0.4)])
def test_flux_is_the_drop_of_activity_over_the_quadrature_of_resistance(drop, K, a):
    u = drop / L
    ratio = flux_ratio(u, slab_factors(u, D, L), K, a)
    assert ratio == pytest.approx(-np.expm1(-u * L) / resistance_by_quadrature(u, K, a), rel=1e-10)


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize(("K", "a"), [(0.09, 28.0), (11.0, 28.0), (5.0, 0.4)])
def test_mean_uptake_is_the_quadrature_of_the_profile_over_the_slab(drop, K, a):
    u, entry, leave = drop / L, (L - D) / 2, (L + D) / 2

    def profile(z: float) -> float:
        return float(concentration_profile(z, u, K, a, D, L))

    total = quad(profile, entry, leave, epsabs=0, epsrel=1e-12)[0]
    assert uptake_ratio(slab_factors(u, D, L), K, a) == pytest.approx(total / D, rel=1e-10)


@pytest.mark.parametrize("u", [-7.0, 1e-4, 0.5, 7.0, 300.0])
def test_profile_meets_both_reservoirs_and_jumps_by_the_partition_ratio(u):
    K, a, entry, leave = 3.0, 9.0, (L - D) / 2, (L + D) / 2
    eps = 1e-13
    at = np.array([0.0, L, entry - eps, entry + eps, leave - eps, leave + eps])
    c = concentration_profile(at, u, K, a, D, L)
    assert c[:2] == pytest.approx([1.0, 1.0], rel=1e-12)
    assert c[3] / c[2] == pytest.approx(K, rel=1e-9)
    assert c[4] / c[5] == pytest.approx(K, rel=1e-9)


def test_profile_carries_one_flux_through_bulk_and_slab():
    u, K, a = 2.0, 3.0, 9.0
    j = flux_ratio(u, slab_factors(u, D, L), K, a)
    h = 1e-5
    for z, resistance in [(0.2, 1.0), (L / 2 - 0.1, a), (L / 2 + 0.2, a), (L - 0.1, 1.0)]:
        behind, here, ahead = concentration_profile(np.array([z - h, z, z + h]), u, K, a, D, L)
        local = -(ahead - behind) / (2 * h) + u * here
        assert local / resistance == pytest.approx(j, rel=1e-8)


def test_solute_piles_up_before_a_tight_slab_and_is_depleted_behind_it():
    c = concentration_profile(np.array([0.5, 1.6]), 3.0, 0.1, 20.0, D, L)
    assert c[0] > 1 > c[1]


def test_uptake_is_partitioning_at_rest_and_slowing_at_large_force():
    d, _, K, a = random_slabs(200)
    at_rest = uptake_ratio(slab_factors(0.0, d, 1.0), K, a)
    assert at_rest == pytest.approx(K, rel=1e-14)
    errors = [abs(uptake_ratio(slab_factors(u, 0.5, 1.0), 3.0, 8.0) / 3 - 1) for u in (1e-2, 1e-3)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=1e-3)  # the approach is quadratic
    far = [abs(uptake_ratio(slab_factors(u, 0.5, 1.0), 3.0, 8.0) / 8 - 1) for u in (1e3, 1e4)]
    assert far[0] / far[1] == pytest.approx(10, rel=1e-2)  # and the other end goes as 1/(u d)


def test_system_permeability_runs_from_series_resistance_to_the_bulk():
    membrane = ResponsiveMembrane(thickness=D, length=L, bulk_diffusivity=2.5)
    phi = np.array([0.1, 0.25, 0.4])
    P = membrane.membrane_permeability(phi)
    series = 1 / ((1 - D / L) / 2.5 + D / L / P)
    assert membrane.inert_permeability(0.0, phi) == pytest.approx(series, rel=1e-14)
    assert membrane.inert_permeability(400.0, phi) == pytest.approx([2.5] * 3, rel=1e-12)
    small = membrane.inert_flux(1e-5, 0.7, phi) / (0.7 * 1e-5)
    assert small == pytest.approx(series, rel=1e-9)


def test_a_slab_as_permeable_as_the_bulk_is_no_obstacle():
    u = np.array([0.0, 0.3, 5.0, 80.0])
    factors = slab_factors(u, D, L)
    assert flux_ratio(u, factors, 6.0, 6.0) == pytest.approx(u, rel=1e-14)
    assert uptake_ratio(factors, 6.0, 6.0) == pytest.approx([6.0] * 4, rel=1e-14)


def test_flux_is_odd_and_uptake_even_in_the_force_and_both_proportional_to_concentration():
    membrane = ResponsiveMembrane(thickness=D, length=L)
    u = np.array([0.2, 3.0, 50.0])
    j, c = membrane.inert_flux(u, 1.0, 0.2), membrane.inert_uptake(u, 1.0, 0.2)
    assert np.array_equal(membrane.inert_flux(-u, 1.0, 0.2), -j)
    assert np.array_equal(membrane.inert_uptake(-u, 1.0, 0.2), c)
    assert membrane.inert_flux(u, 3.7, 0.2) == pytest.approx(3.7 * j, rel=1e-15)
    assert membrane.inert_uptake(u, 3.7, 0.2) == pytest.approx(3.7 * c, rel=1e-15)


def test_permeability_depends_on_no_unit():
    s, rate = 1e-7, 1e-9
    reduced = ResponsiveMembrane(thickness=D, length=L)
    scaled = ResponsiveMembrane(
        thickness=D * s, length=L * s, bulk_diffusivity=rate, beta=1 / 4.1e-21
    )
    u = np.array([0.0, 0.4, 6.0])
    expected = reduced.inert_permeability(u, 0.3)
    assert scaled.inert_permeability(u / s * 4.1e-21, 0.3) / rate == pytest.approx(
        expected, rel=1e-12
    )


def test_slab_factors_sum_to_at_most_one_with_equality_at_rest():
    d, drop, _, _ = random_slabs(10_000)
    S, W = slab_factors(drop, d, 1.0)
    assert np.all((S >= 0) & (W >= 0) & (S + W <= 1 + 1e-15))
    S, W = slab_factors(0.0, d, 1.0)
    assert pytest.approx(np.ones_like(d), rel=1e-15) == S + W


def test_slab_factors_survive_forces_where_sinh_overflows():
    S, W = slab_factors(1e5, 0.5, 1.0)
    assert S == 0
    assert pytest.approx(1 / (1e5 * 0.5)) == W


def test_uptake_is_a_mean_of_partition_and_resistance_whose_weight_falls_with_the_force():
    d, _, K, a = random_slabs(150)
    u = np.linspace(0, 60, 150)[:, None]
    factors = slab_factors(u, d, 1.0)
    theta = partition_weight(factors, K, a)
    assert np.all((theta >= 0) & (theta <= 1 + 1e-14))
    assert np.all(np.diff(theta, axis=0) <= 1e-14)
    ratio = uptake_ratio(factors, K, a)
    assert np.all(np.diff(ratio, axis=0) * np.sign(a - K) >= -1e-12 * ratio[1:])
    step = 1e-6
    by_K = np.log(uptake_ratio(factors, K * np.exp(step), a) / ratio) / step
    by_a = np.log(uptake_ratio(factors, K, a * np.exp(step)) / ratio) / step
    assert by_K == pytest.approx(theta, abs=1e-5)
    assert by_a == pytest.approx(1 - theta, abs=1e-5)


@pytest.mark.parametrize("u", [0.01, 0.05, 1.0, 30.0])
def test_slopes_of_the_slab_factors_match_central_differences(u):
    by_force, by_thickness, h = force_slopes(u, D, L), thickness_slopes(u, D, L), 1e-5
    ahead, behind = slab_factors(u * (1 + h), D, L), slab_factors(u * (1 - h), D, L)
    assert by_force.flux == pytest.approx((ahead.flux - behind.flux) / (2 * h * u), abs=1e-9)
    assert by_force.uptake == pytest.approx((ahead.uptake - behind.uptake) / (2 * h * u), abs=1e-9)
    ahead, behind = slab_factors(u, D + h, L), slab_factors(u, D - h, L)
    assert by_thickness.flux == pytest.approx((ahead.flux - behind.flux) / (2 * h), rel=1e-7)
    assert by_thickness.uptake == pytest.approx(
        (ahead.uptake - behind.uptake) / (2 * h), rel=1e-7, abs=1e-9
    )


@pytest.mark.parametrize("force", [-5.0, 0.0, 0.5, 5.0, 30.0])
@pytest.mark.parametrize("interaction", [-6.0, 6.0])
def test_the_grid_reproduces_flux_profile_and_uptake_at_any_resolution(force, interaction):
    membrane = ResponsiveMembrane(
        VirialPartition(interaction), FreeVolumeDiffusivity(5), TanhResponse(), thickness=D
    )
    slab = discretise(membrane, force, 0.8, 0.3, cells=7)
    c = slab.steady()
    flux = membrane.inert_flux(force, 0.8, 0.3)
    assert slab.face_flux(c) == pytest.approx(np.full(22, flux), rel=1e-9, abs=1e-13)
    assert c == pytest.approx(membrane.profile(slab.centres, force, 0.8, 0.3), rel=1e-9)
    assert slab.uptake(c) == pytest.approx(membrane.inert_uptake(force, 0.8, 0.3), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"thickness": 2.0}, "0 < thickness < length"),
        ({"thickness": 0.0}, "0 < thickness < length"),
        ({"thickness": -1.0}, "0 < thickness < length"),
        ({"length": np.inf}, "length"),
        ({"bulk_diffusivity": 0.0}, "bulk_diffusivity"),
        ({"beta": -1.0}, "beta"),
    ],
)
def test_a_slab_that_cannot_exist_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        ResponsiveMembrane(**arguments)


def test_volume_fractions_concentrations_and_positions_out_of_range_are_named():
    membrane = ResponsiveMembrane()
    for phi in (-0.1, 1.0, np.nan):
        with pytest.raises(InputError, match=r"must lie in \[0, 1\)"):
            membrane.inert_flux(1.0, 1.0, phi)
    for c0 in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="must be positive"):
            membrane.inert_flux(1.0, c0, 0.2)
    with pytest.raises(InputError, match="position must lie"):
        membrane.profile(3.0, 1.0, 1.0, 0.2)
    with pytest.raises(InputError, match="not finite"):
        membrane.inert_flux(np.nan, 1.0, 0.2)


@pytest.mark.parametrize("force", [1e4, 4e-14])
def test_a_force_that_looks_like_newtons_is_warned_about(force):
    with pytest.warns(UserWarning, match="convert newtons"):
        ResponsiveMembrane().inert_flux(force, 1.0, 0.2)

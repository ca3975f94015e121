"""What exact excitation transfer must obey: conservation, symmetry, limits and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.physics.light_harvesting import (
    ExcitonNetwork,
    Trimer,
    efficiency_spectrum,
    hopping_efficiency,
    integrated_populations,
    loss_budget,
    ring_acceptor,
    solve_trimer,
    toy_ring,
    transfer_efficiency,
    trimer_efficiency,
)
from axonal.physics.light_harvesting.efficiency import flattened
from axonal.physics.light_harvesting.greens import flights


def random_network(rng: np.random.Generator, sites: int = 6) -> ExcitonNetwork:
    """Any real symmetric Hamiltonian, rates over five orders of magnitude, some sites without."""
    matrix = rng.normal(size=(sites, sites))
    loss, dephasing = 10 ** rng.uniform(-5, 0, (2, sites))
    dephasing[rng.integers(sites)] = 0.0
    loss[rng.integers(sites)] = 0.0
    sink = {str(sites - 1): 10 ** rng.uniform(-4, 0)}
    return ExcitonNetwork(matrix + matrix.T, loss, dephasing, sink, start="0")


def random_ring(rng: np.random.Generator) -> ExcitonNetwork:
    couplings = rng.normal(size=3)
    rates = dict(
        zip(
            ("kappa_photon", "kappa_ring", "kappa_acceptor", "sink", "dephasing"),
            10 ** rng.uniform(-4, 0.5, 5),
            strict=True,
        )
    )
    return ring_acceptor(
        int(rng.integers(3, 11)),
        *couplings,
        **rates,
        photon_dephasing=10 ** rng.uniform(-4, 0),
        acceptor_dephasing=10 ** rng.uniform(-4, 0),
        detuning=rng.normal(),
        acceptor_detuning=rng.normal(),
    )


@pytest.mark.parametrize("method", ["green", "liouville"])
def test_efficiency_and_losses_sum_to_one_whatever_the_disorder(method):
    rng = np.random.default_rng(0)
    for _ in range(40):
        budget = loss_budget(random_network(rng), method=method)
        assert abs(budget.eta + budget.loss.sum() - 1) < 1e-12


def test_closed_form_green_function_and_liouvillian_agree_on_200_random_rings():
    rng = np.random.default_rng(1)
    for _ in range(200):
        ring = random_ring(rng)
        closed, green, liouville = (
            loss_budget(ring, method=method) for method in ("closed", "green", "liouville")
        )
        for other in (green, liouville):
            assert abs(closed.eta - other.eta) < 1e-12
            np.testing.assert_allclose(closed.loss, other.loss, atol=1e-12, rtol=0)


def test_every_flight_ends_somewhere_and_lasts_a_positive_time():
    rng = np.random.default_rng(2)
    for _ in range(40):
        network = random_network(rng)
        effective, loss, dephasing, start = flattened(network)
        flown = flights(effective, loss, dephasing, start, network.sites)
        ends = np.einsum("bj,bjk->bk", loss + dephasing, flown.between)
        np.testing.assert_allclose(ends, 1, atol=1e-12)
        assert flown.between.min() > -1e-13


def test_flights_are_symmetric_for_a_real_hamiltonian():
    rng = np.random.default_rng(3)
    network = random_network(rng).with_(dephasing=np.full(6, 0.01))
    effective, loss, dephasing, start = flattened(network)
    times = flights(effective, loss, dephasing, start, network.sites).between[0]
    np.testing.assert_allclose(times, times.T, atol=1e-12 * times.max())


def test_ordered_efficiency_does_not_depend_on_the_ring_coupling():
    values = [
        float(transfer_efficiency(ring_acceptor(g=g, detuning=0.3, dephasing=1e-3), method="green"))
        for g in (-2.0, 0.1, 1.0, 7.0)
    ]
    assert np.ptp(values) < 1e-12


def test_dimerised_ring_has_the_closed_form_of_a_uniform_one():
    dimerised = ring_acceptor(g=(1.4, 0.6), detuning=0.2, dephasing=2e-4)
    uniform = ring_acceptor(g=1.0, detuning=0.2, dephasing=2e-4)
    np.testing.assert_allclose(
        transfer_efficiency(dimerised, method="green"),
        trimer_efficiency(uniform).efficiency,
        rtol=1e-12,
    )


def test_on_resonance_the_inverse_efficiency_is_a_sum_of_two_losses():
    G2, X2, kappa, sink = 8 * 0.02**2, 8 * 0.03**2, 0.004, 0.05
    ring = ring_acceptor(J=0.02, xi=0.03, kappa_ring=kappa, sink=sink)
    expected = 1 + sink * kappa / (4 * X2) + G2 * kappa / (X2 * (sink + kappa))
    for method in ("closed", "green"):
        np.testing.assert_allclose(
            1 / transfer_efficiency(ring, method=method), expected, rtol=1e-10
        )


def test_narrowband_line_is_a_lorentzian_of_known_height_and_width():
    X2, kappa, sink, acceptor = 8 * 0.01**2, 1e-4, 0.01, 0.05
    detuning = np.array([-0.3, -0.05, 0.05, 0.2, 0.6])
    ring = ring_acceptor(J=1e-5, acceptor_detuning=acceptor)
    expected = sink * X2 / (sink * X2 + kappa * ((detuning - acceptor) ** 2 + sink**2 / 4))
    for method in ("closed", "green"):
        spectrum = efficiency_spectrum(ring, detuning, reference="bright", method=method)
        np.testing.assert_allclose(spectrum.eta, expected, rtol=1e-6)


def test_weak_dephasing_of_a_large_ring_acts_as_a_loss_of_the_bright_mode():
    # To order 1/N, and while the dark modes lose faster than they give back.
    N, kappa, gamma = 4096, 1e-2, 1e-6
    for detuning in (0.0, 0.1):
        without, dephased, lossy = (
            solve_trimer(
                Trimer(N, 1e-5, 0.03, detuning, 0.0, 0.0, loss, 0.0, 0.01, rate)
            ).efficiency
            for loss, rate in ((kappa, 0.0), (kappa, gamma), (kappa + gamma * (1 - 1 / N), 0.0))
        )
        np.testing.assert_allclose(dephased - without, lossy - without, rtol=3e-3)
        assert dephased < without


def test_far_from_resonance_efficiency_falls_with_the_square_of_the_detuning():
    ring = ring_acceptor()
    near, far = efficiency_spectrum(ring, [100.0, 200.0], reference="bright").eta
    np.testing.assert_allclose(near / far, 4, rtol=1e-3)


def test_permuting_the_ring_leaves_the_efficiency():
    rng = np.random.default_rng(4)
    network = random_network(rng)
    order = np.array([0, 3, 1, 4, 2, 5])
    permuted = ExcitonNetwork(
        network.hamiltonian[np.ix_(order, order)],
        network.loss[order],
        network.dephasing[order],
        network.sink[order],
        start=0,
    )
    np.testing.assert_allclose(
        transfer_efficiency(permuted), transfer_efficiency(network), rtol=1e-11
    )


def test_flipping_the_sign_of_a_site_leaves_the_efficiency_and_the_closed_form():
    ring = ring_acceptor(dephasing=1e-3, detuning=0.1)
    signs = np.ones(10)
    signs[3] = -1
    flipped = ring.with_(hamiltonian=ring.hamiltonian * np.outer(signs, signs))
    for method in ("closed", "green"):
        np.testing.assert_allclose(
            transfer_efficiency(flipped, method=method), transfer_efficiency(ring), rtol=1e-12
        )


def test_phases_of_a_complex_gauge_leave_the_efficiency():
    ring = ring_acceptor(dephasing=1e-3, detuning=0.1)
    phases = np.exp(1j * np.random.default_rng(5).uniform(0, 2 * np.pi, 10))
    gauged = ring.with_(hamiltonian=phases[:, None] * ring.hamiltonian * phases.conj())
    for method in ("closed", "green", "liouville"):
        np.testing.assert_allclose(
            transfer_efficiency(gauged, method=method), transfer_efficiency(ring), rtol=1e-12
        )


def test_without_a_coupling_to_the_acceptor_nothing_is_captured():
    for method in ("closed", "green"):
        assert transfer_efficiency(ring_acceptor(xi=0.0, dephasing=0.1), method=method) == 0


def test_without_any_loss_everything_is_captured():
    ring = ring_acceptor(kappa_ring=0.0, dephasing=0.05, detuning=0.3)
    for method in ("closed", "green", "liouville"):
        assert abs(transfer_efficiency(ring, method=method) - 1) < 1e-12


def test_bare_ring_traps_half_of_the_excitation_and_dephasing_frees_it():
    assert abs(transfer_efficiency(toy_ring(loss=1e-6, start=2)) - 0.499997) < 1e-6
    assert abs(transfer_efficiency(toy_ring(loss=1e-6, start=4)) - 0.999994) < 1e-6
    assert abs(transfer_efficiency(toy_ring(N=7, loss=1e-6, start=3)) - 0.5) < 1e-5
    expected = {0: 0.4965, 1e-3: 0.6610, 0.01: 0.9068, 0.1: 0.9792, 1: 0.9860, 10: 0.9622}
    expected |= {100: 0.7671, 1000: 0.2637}
    for gamma, value in expected.items():
        assert abs(transfer_efficiency(toy_ring(dephasing=gamma)) - value) < 5e-5


def test_scaling_every_energy_and_rate_leaves_the_efficiency():
    network = random_network(np.random.default_rng(6))
    for scale in (1e-9, 1e7):
        scaled = ExcitonNetwork(
            *(
                scale * part
                for part in (network.hamiltonian, network.loss, network.dephasing, network.sink)
            ),
            start=0,
        )
        np.testing.assert_allclose(
            transfer_efficiency(scaled), transfer_efficiency(network), rtol=1e-12
        )


def test_a_common_energy_shift_costs_no_digits():
    ring = ring_acceptor(detuning=0.25, dephasing=1e-3)
    # 2^14 keeps the shifted energies exact in binary, so any difference is the method's own.
    shifted = ring.with_(hamiltonian=ring.hamiltonian + 2.0**14 * np.eye(10))
    for method in ("closed", "green", "liouville"):
        np.testing.assert_allclose(
            transfer_efficiency(shifted, method=method), transfer_efficiency(ring), rtol=1e-11
        )


@pytest.mark.parametrize("gamma", [1e3, 1e5])
def test_strong_dephasing_is_hopping_at_foerster_rates(gamma):
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(5, 5))
    network = ExcitonNetwork(matrix + matrix.T, 1e-4, gamma, {"4": 0.5}, start="0")
    np.testing.assert_allclose(transfer_efficiency(network), hopping_efficiency(network), rtol=1e-3)


def test_four_times_the_ring_with_half_the_couplings_is_the_same_trimer():
    small = ring_acceptor(8, J=0.01, xi=0.02, detuning=0.1)
    large = ring_acceptor(32, J=0.005, xi=0.01, detuning=0.1)
    np.testing.assert_allclose(
        transfer_efficiency(large, method="green"), transfer_efficiency(small), rtol=1e-11
    )


def test_dark_modes_saturate_at_their_own_loss():
    # gamma_eff -> (N - 1) kappa: the dark-to-bright ratio of populations tends to N - 1.
    budget = trimer_efficiency(ring_acceptor(dephasing=1e3))
    np.testing.assert_allclose(budget.time_dark / budget.time_bright, 7, rtol=1e-6)


def test_closed_form_populations_are_those_of_the_liouvillian():
    ring = ring_acceptor(detuning=0.2, dephasing=3e-4, kappa_photon=1e-4)
    budget = trimer_efficiency(ring)
    times = integrated_populations(ring, method="liouville")
    np.testing.assert_allclose(budget.time_photon, times[0], rtol=1e-11)
    np.testing.assert_allclose(budget.time_bright + budget.time_dark, times[1:-1].sum(), rtol=1e-11)
    np.testing.assert_allclose(budget.time_acceptor, times[-1], rtol=1e-11)


def test_recorded_line_of_the_reference_configuration():
    spectrum = efficiency_spectrum(
        ring_acceptor(), [0.0, 0.3, 0.5, 1.0], [0, 1e-4, 3e-4, 1e-2, 0.1, 10], reference="bright"
    )
    expected = [
        [0.99722, 0.99510, 0.99208, 0.97869, 0.95811, 0.29980],
        [0.4706, 0.3836, 0.3990, 0.8590, 0.8964, 0.2791],
        [0.2427, 0.2324, 0.3195, 0.8582, 0.8964, 0.2791],
        [0.0742, 0.1435, 0.2793, 0.8578, 0.8964, 0.2791],
    ]
    np.testing.assert_allclose(spectrum.eta, expected, atol=5.1e-5)

"""The solvers beyond the identities: hard cases, batches, drive, gradients and disorder."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from axonal.errors import InputError
from axonal.physics.light_harvesting import (
    ExcitonNetwork,
    continuous_drive,
    dark_detunings,
    disorder_average,
    disordered,
    efficiency_spectrum,
    integrated_populations,
    loss_budget,
    optimal_dephasing,
    ring_acceptor,
    sensitivity,
    toy_ring,
    transfer_efficiency,
    trimer_of,
)
from axonal.physics.light_harvesting.efficiency import flattened
from axonal.physics.light_harvesting.greens import absorbing_chain, flights


def test_exceptional_point_falls_back_to_schur_and_keeps_every_digit():
    # Two sites whose widths differ by four couplings have one defective mode.
    for distance in (0.0, 1e-12, 1e-8):
        coupling = (0.2 - 0.02) / 4 * (1 + distance)
        network = ExcitonNetwork([[0, coupling], [coupling, 0]], [0.2, 0], 0.0, [0, 0.02], start=0)
        assert flights(*flattened(network), network.sites).by_schur.all()
        # Balance by hand: the hop rate of two resonant sites is 4 V^2 over the sum of widths.
        hop = 4 * coupling**2 / 0.22
        expected = 0.02 * hop / (0.2 * (hop + 0.02) + hop * 0.02)
        np.testing.assert_allclose(transfer_efficiency(network), expected, rtol=1e-13)


def test_strong_dephasing_keeps_every_digit_where_diagonalising_would_lose_them():
    matrix = [[0, 1, 0.3, 0], [1, 0.5, 1, 0.2], [0.3, 1, -0.3, 1], [0, 0.2, 1, 0.1]]
    # Solved with 50 digits.
    exact = {1e2: 0.7843393992008351, 1e4: 0.006602683401932237, 1e6: 5.241491111167423e-07}
    for gamma, eta in exact.items():
        network = ExcitonNetwork(matrix, 1e-3, gamma, {"3": 1.0}, start=0)
        np.testing.assert_allclose(transfer_efficiency(network), eta, rtol=1e-12)


def test_weak_coupling_keeps_ten_digits_over_long_times():
    for coupling in (1e-3, 1e-6):
        chain = [[0, coupling, 0], [coupling, 0.3, 0.05], [0, 0.05, 0.3]]
        network = ExcitonNetwork(chain, [0, 0.01, 0], [0, 1e-3, 1e-3], {"2": 0.1}, start=0)
        budget = loss_budget(network, method="green")
        assert abs(budget.eta + budget.loss.sum() - 1) < 1e-12


def test_chain_with_rare_escape_loses_no_digits():
    # Two states that pass the excitation to and fro a million million times before it leaves.
    passage = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    gone = np.array([[1e-13, 3e-13]])
    visits = absorbing_chain(passage, gone, np.array([[1.0, 0.0]]))
    np.testing.assert_allclose((gone * visits).sum(), 1, rtol=1e-14)


def test_batches_give_the_numbers_of_single_networks():
    rng = np.random.default_rng(0)
    matrices = rng.normal(size=(3, 2, 4, 4))
    matrices = matrices + matrices.swapaxes(-1, -2)
    dephasing = rng.uniform(0, 0.1, (2, 4))
    batch = ExcitonNetwork(matrices, 0.01, dephasing, {"3": 0.2}, start="0")
    together = transfer_efficiency(batch)
    assert together.shape == batch.batch_shape == (3, 2)
    for first in range(3):
        for second in range(2):
            alone = ExcitonNetwork(
                matrices[first, second], 0.01, dephasing[second], {"3": 0.2}, start="0"
            )
            np.testing.assert_allclose(
                transfer_efficiency(alone), together[first, second], rtol=1e-12
            )


def test_spectrum_of_a_batch_has_labelled_dimensions():
    batch = disordered(ring_acceptor(), "diagonal", 0.05, samples=3, seed=1)
    spectrum = efficiency_spectrum(batch, [-0.1, 0.0], [0, 1e-4, 1e-2], reference="bright")
    assert spectrum.eta.dims == ("detuning", "dephasing", "sample")
    assert spectrum.loss.dims == ("channel", "detuning", "dephasing", "sample")
    assert list(spectrum.channel.values) == ["photon", "ring", "acceptor"]
    one = ring_acceptor(detuning=-0.1, dephasing=1e-2)
    matrix = batch.hamiltonian[2].copy()
    matrix[0, 0] = one.hamiltonian[0, 0]
    np.testing.assert_allclose(
        transfer_efficiency(one.with_(hamiltonian=matrix)), spectrum.eta[0, 2, 2], rtol=1e-12
    )


def test_automatic_choice_takes_the_closed_form_only_where_it_holds():
    ring = ring_acceptor(dephasing=1e-3)
    assert trimer_of(ring) is not None
    assert trimer_of(ring, "ring 1") is None
    assert trimer_of(ring.with_(dephasing={"ring 1": 0.1})) is None
    assert trimer_of(ring.with_(sink={"acceptor": 0.1, "ring 2": 0.1})) is None
    assert trimer_of(disordered(ring, "diagonal", 1e-6, seed=0)) is None
    assert trimer_of(toy_ring()) is None
    shuffled = disordered(ring, "intra_ring", 0.1, samples=2, seed=0)
    np.testing.assert_array_equal(
        transfer_efficiency(shuffled), transfer_efficiency(shuffled, method="green")
    )


def test_starts_can_be_sites_vectors_and_mixtures():
    ring = toy_ring(dephasing=0.01)
    even, odd = np.zeros(8), np.zeros(8)
    even[[2, 6]] = np.sqrt(0.5)
    odd[[2, 6]] = np.sqrt(0.5), -np.sqrt(0.5)
    mixture = np.diag([0, 0, 0.5, 0, 0, 0, 0.5, 0.0])
    from_even, from_odd = (transfer_efficiency(ring, state) for state in (even, odd))
    assert from_even > from_odd
    np.testing.assert_allclose(transfer_efficiency(ring, mixture), (from_even + from_odd) / 2)
    np.testing.assert_allclose(transfer_efficiency(ring, "ring 2"), transfer_efficiency(ring, 2))


def test_a_mode_out_of_reach_of_the_start_state_does_no_harm():
    # The dark modes of a lossless ring never decay; the photon has no weight in them.
    ring = ring_acceptor(kappa_ring=0.0, detuning=0.2)
    np.testing.assert_allclose(transfer_efficiency(ring, method="green"), 1, atol=1e-12)


# Continuous drive


def steady_state_efficiency(network: ExcitonNetwork, frequency: float, force: float) -> float:
    """Solve the driven Lindblad equation with its ground state, by its full Liouvillian."""
    count = len(network.sites)
    size = count + 1
    matrix = np.zeros((size, size), complex)
    matrix[1:, 1:] = network.hamiltonian - frequency * np.eye(count)
    matrix[0, 1] = matrix[1, 0] = force
    jumps = []
    for site in range(count):
        out, stay = np.zeros((2, size, size))
        out[0, site + 1] = np.sqrt(network.loss[site] + network.sink[site])
        stay[site + 1, site + 1] = np.sqrt(network.dephasing[site])
        jumps += [out, stay]
    identity = np.eye(size)
    generator = -1j * (np.kron(matrix, identity) - np.kron(identity, matrix.T))
    for jump in jumps:
        square = jump.T @ jump
        generator += np.kron(jump, jump)
        generator -= (np.kron(square, identity) + np.kron(identity, square)) / 2
    generator[0] = identity.ravel()
    target = np.zeros(size**2, complex)
    target[0] = 1
    populations = np.linalg.solve(generator, target).reshape(size, size).diagonal().real[1:]
    return (network.sink * populations).sum() / ((network.loss + network.sink) * populations).sum()


def test_weak_continuous_drive_is_the_steady_state_of_the_driven_network():
    network = ring_acceptor(
        4, J=0.1, xi=0.2, kappa_ring=0.02, kappa_photon=0.01, sink=0.1, dephasing=0.05
    )
    spectrum = continuous_drive(network, [-0.1, 0.3], reference="bright")
    for frequency, eta in zip((-0.1, 0.3), spectrum.eta.values, strict=True):
        expected = steady_state_efficiency(network, 2.0 + frequency, force=1e-5)
        assert abs(eta - expected) < 1e-8


def test_drive_gives_the_one_photon_answer_when_the_photon_line_is_narrow():
    for detuning in (0.0, 0.2):
        network = ring_acceptor(J=1e-5, detuning=detuning, dephasing=1e-3)
        driven = continuous_drive(network, detuning, reference="bright")
        np.testing.assert_allclose(driven.eta[0], transfer_efficiency(network), rtol=1e-5)


# Gradients


def test_sensitivity_is_the_derivative_of_the_efficiency():
    network = disordered(ring_acceptor(dephasing=1e-3, detuning=0.2), "diagonal", 0.05, seed=3)
    network = network.with_(hamiltonian=network.hamiltonian[0], dims=())
    exact = sensitivity(network)
    np.testing.assert_allclose(exact.efficiency, transfer_efficiency(network), rtol=1e-12)
    for name in ("dephasing", "loss", "sink"):
        for site in (3, 9):
            rates = np.array(getattr(network, name))
            step = 1e-3 * max(rates[site], 1e-4)
            up, down = rates.copy(), rates.copy()
            up[site] += step
            down[site] = max(down[site] - step, 0)
            rise = transfer_efficiency(network.with_(**{name: up}))
            fall = transfer_efficiency(network.with_(**{name: down}))
            slope = (rise - fall) / (up[site] - down[site])
            np.testing.assert_allclose(getattr(exact, name)[site], slope, rtol=2e-3)
    for row, column in ((0, 3), (2, 3), (4, 4)):
        change = np.zeros((10, 10))
        change[row, column] = change[column, row] = 1e-6
        rise, fall = (
            transfer_efficiency(network.with_(hamiltonian=network.hamiltonian + sign * change))
            for sign in (1, -1)
        )
        expected = np.trace(change @ exact.hamiltonian).real
        np.testing.assert_allclose((rise - fall) / 2, expected, rtol=1e-5)


def test_scaling_all_parameters_has_no_gradient():
    # Euler's theorem: eta is homogeneous of degree 0 in all energies and rates together.
    network = ring_acceptor(dephasing=1e-3, detuning=0.2)
    gradient = sensitivity(network)
    total = np.trace(network.hamiltonian @ gradient.hamiltonian).real
    for name in ("dephasing", "loss", "sink"):
        total += (getattr(network, name) * getattr(gradient, name)).sum()
    assert abs(total) < 1e-10


def test_optimal_dephasing_of_the_bare_ring_is_the_recorded_one():
    best = optimal_dephasing(toy_ring())
    assert best.interior
    np.testing.assert_allclose([best.rate, best.efficiency], [0.6256, 0.98638], rtol=1e-4)
    gradient = sensitivity(toy_ring(dephasing=best.rate)).dephasing.sum()
    assert abs(gradient * best.rate) < 1e-9


def test_on_resonance_no_dephasing_is_best_and_off_resonance_some_is():
    at_peak = optimal_dephasing(ring_acceptor(), 0.0, reference="bright")
    assert at_peak.rate == 0
    assert not at_peak.interior
    off = optimal_dephasing(ring_acceptor(), 1.0, reference="bright")
    assert off.interior
    assert off.efficiency > 10 * off.without


# Disorder


def test_disorder_samples_are_paired_across_widths_and_couplings():
    for kind in ("diagonal", "intra_ring", "photon_ring"):
        thin = disordered(ring_acceptor(), kind, 0.01, samples=4, seed=7)
        wide = disordered(ring_acceptor(g=2.0), kind, 0.03, samples=4, seed=7)
        np.testing.assert_allclose(
            wide.hamiltonian - ring_acceptor(g=2.0).hamiltonian,
            3 * (thin.hamiltonian - ring_acceptor().hamiltonian),
            atol=1e-14,
        )


def test_disorder_touches_what_it_names_with_the_width_asked_for():
    ring = ring_acceptor()
    masks = {kind: np.zeros((10, 10), bool) for kind in ("diagonal", "intra_ring", "photon_ring")}
    masks["diagonal"][range(1, 9), range(1, 9)] = True
    masks["intra_ring"][1:9, 1:9] = ring.hamiltonian[1:9, 1:9] != 0
    masks["photon_ring"][0, 1:9] = masks["photon_ring"][1:9, 0] = True
    for kind, mask in masks.items():
        drawn = disordered(ring, kind, 0.2, samples=4000, seed=0)
        deviation = (drawn.hamiltonian - ring.hamiltonian).real
        assert (deviation[:, ~mask] == 0).all()
        np.testing.assert_allclose(deviation[:, mask].std(), 0.2, rtol=0.02)
        uniform = disordered(ring, kind, 0.2, samples=4000, seed=0, distribution="uniform")
        spread = np.abs((uniform.hamiltonian - ring.hamiltonian).real[:, mask])
        np.testing.assert_allclose(spread.max(), 0.1, rtol=0.01)


def test_relative_width_is_a_fraction_of_the_coupling():
    absolute = disordered(ring_acceptor(J=0.02), "photon_ring", 0.002, samples=2, seed=0)
    relative = disordered(
        ring_acceptor(J=0.02), "photon_ring", 0.1, samples=2, seed=0, relative=True
    )
    np.testing.assert_allclose(relative.hamiltonian, absolute.hamiltonian, atol=1e-15)


def test_disorder_average_is_the_mean_over_samples_with_its_standard_error():
    ring = ring_acceptor()
    averaged = disorder_average(
        ring, "diagonal", 0.05, 30, [-0.586, 0.0], [0, 1e-3], reference="bright", seed=2
    )
    batch = disordered(ring, "diagonal", 0.05, 30, seed=2)
    spectra = efficiency_spectrum(batch, [-0.586, 0.0], [0, 1e-3], reference="bright")
    xr.testing.assert_allclose(averaged.eta, spectra.eta.mean("sample"))
    xr.testing.assert_allclose(averaged.eta_se, spectra.eta.std("sample", ddof=1) / np.sqrt(30))
    assert abs(averaged.eta + averaged.loss.sum("channel") - 1).max() < 1e-12


def test_disorder_opens_dips_at_the_crossings_with_dark_modes():
    ring = ring_acceptor()
    crossings = dark_detunings(ring)
    np.testing.assert_allclose(
        np.sort(crossings), np.sort(2 * (np.cos(2 * np.pi * np.arange(1, 8) / 8) - 1)), atol=1e-12
    )
    ordered = efficiency_spectrum(ring, crossings.max(), reference="bright").eta[0]
    disturbed = disorder_average(
        ring, "photon_ring", 0.3, 20, crossings.max(), reference="bright", relative=True
    ).eta[0]
    assert disturbed < 0.05 * ordered


def test_ten_thousand_hamiltonians_are_one_batch():
    batch = disordered(ring_acceptor(dephasing=1e-3), "diagonal", 0.05, 10_000, seed=0)
    eta = transfer_efficiency(batch)
    assert eta.shape == (10_000,)
    assert ((eta > 0) & (eta < 1)).all()


def test_populations_are_times_in_the_inverse_unit_of_rates():
    slow = ring_acceptor(dephasing=1e-3)
    fast = ExcitonNetwork(
        *(10 * part for part in (slow.hamiltonian, slow.loss, slow.dephasing, slow.sink)),
        sites=slow.sites,
        start="photon",
    )
    np.testing.assert_allclose(
        integrated_populations(fast), integrated_populations(slow) / 10, rtol=1e-12
    )


def test_closed_form_is_refused_for_a_network_it_does_not_hold_for():
    with pytest.raises(InputError, match="ordered ring"):
        transfer_efficiency(toy_ring(), method="closed")

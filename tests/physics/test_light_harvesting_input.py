"""Bad input: each gets one sentence that says what was wrong and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.errors import AxonalError, InputError
from axonal.physics.light_harvesting import (
    ExcitonNetwork,
    continuous_drive,
    disordered,
    efficiency_spectrum,
    hopping_efficiency,
    integrated_populations,
    loss_budget,
    optimal_dephasing,
    ring_acceptor,
    sensitivity,
    toy_ring,
    transfer_efficiency,
    trimer_efficiency,
)

PAIR = np.array([[0.0, 1.0], [1.0, 0.0]])


def pair(**changes: object) -> ExcitonNetwork:
    given: dict = {"hamiltonian": PAIR, "loss": 0.1, "dephasing": 0.0, "sink": {"1": 0.5}}
    return ExcitonNetwork(**(given | changes))


def test_hamiltonian_that_is_not_hermitian_reports_the_asymmetry():
    with pytest.raises(InputError, match=r"not Hermitian: max \|H - H\^\+\| = 0.5 at row 0, col"):
        pair(hamiltonian=[[0, 1], [0.5, 0]])


def test_hamiltonian_with_gain_is_named_as_gain():
    with pytest.raises(InputError, match=r"imaginary part of up to \+0.3, which is gain"):
        pair(hamiltonian=[[0.3j, 1], [1, 0]])


def test_hamiltonian_with_losses_inside_is_sent_to_the_loss_argument():
    with pytest.raises(InputError, match="losses go into loss="):
        pair(hamiltonian=[[-0.3j, 1], [1, 0]])


@pytest.mark.parametrize(
    ("hamiltonian", "words"),
    [
        (np.zeros((2, 3)), r"must be \(..., sites, sites\), got \(2, 3\)"),
        ([[0, np.nan], [np.nan, 0]], "NaN or infinity at"),
        ([[1.0]], "at least 2 sites"),
        ([["a", "b"], ["c", "d"]], "array of numbers"),
    ],
)
def test_hamiltonian_of_the_wrong_kind(hamiltonian, words):
    with pytest.raises(InputError, match=words):
        pair(hamiltonian=hamiltonian)


@pytest.mark.parametrize("name", ["loss", "dephasing", "sink"])
def test_negative_rate_names_the_rate_and_the_site(name):
    with pytest.raises(InputError, match=f"{name} must be finite and not negative.*-0.1.*'1'"):
        pair(**{name: [0.2, -0.1]})


def test_rates_of_the_wrong_length():
    with pytest.raises(InputError, match=r"loss must be \(..., 2\)"):
        pair(loss=[0.1, 0.1, 0.1])


def test_network_without_a_sink():
    with pytest.raises(InputError, match="undefined without a sink rate"):
        pair(sink=[0.0, 0.0])


def test_sink_on_a_site_that_is_not_there():
    with pytest.raises(InputError, match=r"sink: no site 'acceptr'.*did you mean acceptor"):
        pair(sites=["photon", "acceptor"], sink={"acceptr": 0.1})


def test_batches_that_do_not_fit():
    with pytest.raises(InputError, match="must broadcast"):
        pair(hamiltonian=np.zeros((3, 2, 2)), loss=np.ones((4, 2)))


def test_mode_with_no_way_to_decay_is_named_with_its_weight():
    # From site 1 of a lossless triangle, the state odd about the trap never leaves.
    triangle = np.ones((3, 3)) - np.eye(3)
    network = ExcitonNetwork(triangle, 0.0, 0.0, {"0": 1.0})
    with pytest.raises(InputError, match=r"mostly on 1, 2.* no way to decay.* weight 0.5"):
        transfer_efficiency(network, "1")
    with pytest.raises(InputError, match="singular"):
        transfer_efficiency(network, "1", method="liouville")


def test_dephasing_sites_that_reach_no_loss():
    islands = np.zeros((4, 4))
    islands[0, 1] = islands[1, 0] = islands[2, 3] = islands[3, 2] = 1
    network = ExcitonNetwork(islands, 0.0, 0.1, {"3": 0.1})
    with pytest.raises(AxonalError, match="wander for ever"):
        transfer_efficiency(network, 0)


@pytest.mark.parametrize("build", [ring_acceptor, toy_ring])
def test_ring_of_two(build):
    with pytest.raises(InputError, match=r"N >= 3 sites, got 2.*count twice"):
        build(N=2)


def test_dimerised_ring_of_odd_size():
    with pytest.raises(InputError, match="can't alternate"):
        ring_acceptor(N=7, g=(1.0, 0.5))


def test_energies_and_rates_in_different_units_are_warned_of():
    with pytest.warns(UserWarning, match="are both in one unit"):
        pair(hamiltonian=PAIR * 1e9)


def test_start_state_that_is_not_normalised():
    with pytest.raises(InputError, match="not normalised: its total probability is 2"):
        transfer_efficiency(pair(), [1.0, 1.0])


def test_start_that_is_missing_or_misshapen():
    with pytest.raises(InputError, match="Where does the excitation start"):
        transfer_efficiency(pair())
    with pytest.raises(InputError, match=r"start has shape \(3,\)"):
        transfer_efficiency(pair(), [1.0, 0.0, 0.0])
    with pytest.raises(InputError, match="no site 'photon'"):
        transfer_efficiency(pair(), "photon")


def test_disorder_of_negative_width_or_unknown_kind():
    with pytest.raises(InputError, match=r"must not be negative, got -0.1"):
        disordered(ring_acceptor(), "diagonal", -0.1)
    with pytest.raises(InputError, match="did you mean diagonal"):
        disordered(ring_acceptor(), "diagnal", 0.1)
    with pytest.raises(InputError, match="did you mean normal"):
        disordered(ring_acceptor(), "diagonal", 0.1, distribution="norml")
    with pytest.raises(InputError, match="no coupling to be relative to"):
        disordered(ring_acceptor(), "diagonal", 0.1, relative=True)
    with pytest.raises(InputError, match="samples must be at least 1"):
        disordered(ring_acceptor(), "diagonal", 0.1, samples=0)
    with pytest.raises(InputError, match="belongs to channel 'photon'"):
        disordered(toy_ring(), "photon_ring", 0.1)


def test_detuning_without_a_reference():
    with pytest.raises(InputError, match=r"measured from what.*'acceptor' or 'bright' or 'site'"):
        efficiency_spectrum(ring_acceptor(), [0.0])
    with pytest.raises(InputError, match="Unknown reference 'brigt'"):
        efficiency_spectrum(ring_acceptor(), [0.0], reference="brigt")
    with pytest.raises(InputError, match="measured from what"):
        continuous_drive(ring_acceptor(), [0.0])
    with pytest.raises(InputError, match="measured from what"):
        optimal_dephasing(ring_acceptor(), 0.1)


def test_detuning_can_be_measured_from_each_reference():
    ring = ring_acceptor(g=1.0, acceptor_detuning=0.3)
    for reference, detuning in (("bright", 0.4), ("acceptor", 0.1), ("site", 2.4), (2.0, 0.4)):
        spectrum = efficiency_spectrum(ring, detuning, reference=reference)
        np.testing.assert_allclose(spectrum.eta, trimer_efficiency(ring, 0.4).efficiency)


def test_unknown_method():
    with pytest.raises(InputError, match="Unknown method 'grean'; did you mean green"):
        loss_budget(ring_acceptor(), method="grean")
    with pytest.raises(InputError, match="no populations by site"):
        integrated_populations(ring_acceptor(), method="closed")


def test_one_network_where_a_batch_came():
    batch = disordered(ring_acceptor(), "diagonal", 0.1, samples=2)
    for refuse in (
        lambda: disordered(batch, "diagonal", 0.1),
        lambda: sensitivity(batch),
        lambda: continuous_drive(batch, 0.0, reference="bright"),
        lambda: optimal_dephasing(batch),
    ):
        with pytest.raises(InputError, match="one network"):
            refuse()


def test_search_range_that_is_no_range():
    with pytest.raises(InputError, match="increasing positive"):
        optimal_dephasing(toy_ring(), rates=[1.0, 0.1, 10.0])


def test_hopping_between_sites_without_width():
    with pytest.raises(InputError, match="hopping needs dephasing or loss"):
        hopping_efficiency(
            ExcitonNetwork(np.ones((3, 3)) - np.eye(3), 0.0, 0.0, {"2": 1.0}, start=0)
        )

"""The parts of the probability-flow study with many particles."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from axonal.physics.active_matter import ActiveOrnsteinUhlenbeck, ScoreModel, tensors_of
from axonal.studies.probability_flow_entropy import mips, trap
from axonal.studies.probability_flow_entropy.config import SMOKE, Config

CONFIG = Config(**SMOKE)


def test_copies_side_by_side_feel_the_same_forces():
    small = mips.system_with(CONFIG)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so short a run is not stationary
        states = small.sample(1, 1, burn_in=10.0, step=0.1, seed=0)
    large = small.with_(particles=9 * small.particles)
    copies = mips.tiled(small, large, states)
    before, after = (
        s.forces(tensors_of(z)[0]).numpy() for s, z in ((small, states), (large, copies))
    )
    np.testing.assert_allclose(after, np.tile(before, (1, 9, 1)), atol=1e-8)


def test_without_contacts_the_rate_is_that_of_a_trapped_swimmer():
    alone = trap.trap_system(CONFIG, 0.2).with_(particles=2, stiffness=0.0, packing=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        states = alone.sample(4000, 1, burn_in=60.0, step=0.05, seed=0)
    found = alone.exact_total(states)
    assert found.rate == pytest.approx(trap.free_rate(0.2), abs=4 * found.error)


def test_the_systems_are_the_paper_s_but_for_the_persistence():
    assert trap.trap_system(Config(), 0.3) == ActiveOrnsteinUhlenbeck(
        64, 0.3, 0.1, diffusion=0.1, stiffness=2.5, trap=0.05, packing=0.1
    )
    system = mips.system_with(Config())
    assert system.diffusion == 0
    assert system.speed / system.persistence_rate == pytest.approx(40)


def test_parts_sum_to_the_rates_of_the_whole_state():
    system = trap.trap_system(CONFIG, 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        states = system.sample(4, 2, burn_in=20.0, spacing=5.0, step=0.02, seed=0)
    score = ScoreModel.transformer(system, width=8, blocks=1, heads=2, seed=0)
    score.fit(states, steps=3, batch=4, lr=1e-2, seed=0)
    assert trap.parts_error(system, score, states[:1]) < 1e-10

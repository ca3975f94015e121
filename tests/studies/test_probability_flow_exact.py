"""The parts of the probability-flow study that have exact answers: harmonic swimmers and the ring."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axonal.physics.active_matter import SwimmerRing
from axonal.studies.probability_flow_entropy import harmonic, ring


@pytest.mark.parametrize("chain", list(harmonic.CHAINS))
def test_a_linear_score_gives_the_entropy_production_of_a_chain(chain):
    found = harmonic.learned_ratio(chain, "implicit", 50_000, 800, np.random.default_rng(0))
    assert found["ratio"] == pytest.approx(1, abs=0.03)


def test_a_denoised_score_is_biased_as_its_closed_form_says():
    assert harmonic.smoothed_ratio(harmonic.chain_of("two"), 0.0) == pytest.approx(1, abs=1e-12)
    wanted = harmonic.smoothed_ratio(harmonic.chain_of("two"), 0.4)
    assert wanted > 1.1
    found = harmonic.learned_ratio("two", "noise 0.4", 50_000, 800, np.random.default_rng(0))
    assert found["ratio"] == pytest.approx(wanted, rel=0.05)


def test_pairs_come_near_the_best_that_pairs_can_give():
    found = harmonic.learned_ratio("one", "pairs", 20_000, 100, np.random.default_rng(0))
    assert 0.4 < found["ratio"] < 1.3


def test_the_exact_score_of_the_ring_has_the_exact_fields():
    system = SwimmerRing()
    exact = system.density((240, 100))
    still = system.with_(speed=0.0)
    known = still.density((240, 100))
    fields = ring.on_cells(still, known, still.score_without_activity)
    weight = known.weights.values
    # At rest the score is known: nothing flows, and nothing is produced.
    assert float((fields.total.values.sum(-1) * weight).sum()) < 1e-12
    assert np.abs(fields.velocity.values).max() < 1e-12
    assert exact.entropy_production > 0.39


def test_correlations_are_weighted_by_the_density():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(20, 20))
    weight = np.zeros((20, 20))
    weight[:10] = 1
    b = np.where(weight > 0, 2 * a + 1, -a)
    assert ring._correlation(a, b, weight) == pytest.approx(1)
    b[0, 0] = np.nan
    assert ring._correlation(a, b, weight) == pytest.approx(1)


def test_a_walk_along_the_ring_is_a_fine_one():
    walk = ring.trajectory(SwimmerRing(), 0)
    assert walk.shape == (400, 2)
    steps = np.abs(np.diff(walk[:, 1]))
    assert steps.max() < 1.5
    assert torch.isfinite(torch.from_numpy(walk)).all()

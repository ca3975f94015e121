"""Entropy production from pairs of states: the bound, its exact ceiling, and bad pairs."""

from __future__ import annotations

import pytest
import torch

from axonal.errors import InputError
from axonal.physics.active_matter import (
    harmonic_swimmers,
    irreversibility,
    pairs_of,
    production_from_pairs,
)

SWIMMER = harmonic_swimmers(1, speed=1.0, persistence_rate=0.7, diffusion=0.3, trap=0.5)


def test_the_irreversibility_of_pairs_rises_to_the_entropy_production():
    whole = SWIMMER.entropy_production
    short, long = irreversibility(SWIMMER, 1e-3), irreversibility(SWIMMER, 0.3)
    assert short == pytest.approx(whole, rel=1e-3)
    assert 0.7 * whole < long < short < whole


def test_the_irreversibility_is_the_mean_log_ratio_of_pairs():
    before, after = pairs_of(SWIMMER, 200_000, 0.2, torch.Generator().manual_seed(0))
    both = torch.cat([before, after], dim=1)
    turned = torch.cat([after, before], dim=1)
    lagged = torch.linalg.matrix_exp(0.2 * SWIMMER.drift) @ SWIMMER.covariance
    joint = torch.cat(
        [torch.cat([SWIMMER.covariance, lagged.mT], 1), torch.cat([lagged, SWIMMER.covariance], 1)]
    )
    torch.testing.assert_close(both.mT @ both / len(both), joint, atol=0.05, rtol=0)
    law = torch.distributions.MultivariateNormal(torch.zeros(4, dtype=joint.dtype), joint)
    gained = (law.log_prob(both) - law.log_prob(turned)).mean() / 0.2
    assert float(gained) == pytest.approx(irreversibility(SWIMMER, 0.2), rel=0.03)


def test_the_estimate_from_pairs_stays_below_its_ceiling_and_comes_near():
    before, after = pairs_of(SWIMMER, 40_000, 0.2, torch.Generator().manual_seed(0))
    found = production_from_pairs(before, after, 0.2, steps=300, seed=0)
    ceiling = irreversibility(SWIMMER, 0.2)
    assert found.rate < ceiling + 3 * found.error
    assert found.rate > 0.85 * ceiling
    few = before[:100], after[:100], 0.2
    assert production_from_pairs(*few, steps=3) == production_from_pairs(*few, steps=3)


def test_reversible_pairs_give_nothing():
    still = harmonic_swimmers(1, speed=0.0, persistence_rate=0.7, diffusion=0.3, trap=0.5)
    before, after = pairs_of(still, 20_000, 0.2, torch.Generator().manual_seed(0))
    found = production_from_pairs(before, after, 0.2, steps=100, seed=0)
    assert found.rate < 3 * found.error + 0.01
    assert irreversibility(still, 0.2) == pytest.approx(0, abs=1e-12)


def test_pairs_that_are_none_are_refused():
    z = torch.zeros(10, 2)
    with pytest.raises(InputError, match="Expected pairs"):
        production_from_pairs(z, z[:5], 0.1)
    with pytest.raises(InputError, match="interval"):
        production_from_pairs(z, z, 0.0)

"""Symmetries and locality of the networks, and the surroundings that they see."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr

from axonal.errors import InputError
from axonal.physics.active_matter import (
    ActiveOrnsteinUhlenbeck,
    ScoreModel,
    nearest,
    states_of,
    surround,
    tensors_of,
)
from axonal.physics.active_matter.attention import attention_rollout
from axonal.physics.active_matter.losses import own_divergence
from axonal.physics.active_matter.networks import ParticleTransformer, PeriodicMLP, linear
from axonal.physics.active_matter.surroundings import contact_matrix

SYSTEM = ActiveOrnsteinUhlenbeck(particles=64, speed=0.25, persistence_rate=0.00625, packing=0.5)


def some_states(system: ActiveOrnsteinUhlenbeck = SYSTEM, samples: int = 2) -> xr.DataArray:
    rng = np.random.default_rng(3)
    w = system.half_width or 5.0
    side = math.ceil(system.particles**0.5)
    lattice = (np.stack(np.meshgrid(*[np.arange(side)] * 2), -1).reshape(-1, 2) + 0.5) / side
    x = (lattice[: system.particles] * 2 - 1) * w
    x = x + rng.normal(0, 0.3, (samples, system.particles, 2))
    return states_of(system, x, rng.standard_normal(x.shape))


def woken(score: ScoreModel, seed: int = 1) -> ScoreModel:
    """Give what starts at zero some weights, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    score.network.double()
    with torch.no_grad():
        for parameter in score.network.parameters():
            parameter.add_(
                0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.double)
            )
    return score


def local_scores(neighbours: int = 8) -> list[ScoreModel]:
    size = {"neighbours": neighbours, "width": 8}
    return [
        woken(ScoreModel.local(SYSTEM, blocks=2, heads=2, **size)),
        woken(ScoreModel.local(SYSTEM, blocks=2, heads=2, tokens="bare", **size)),
        woken(ScoreModel.pair(SYSTEM, **size)),
    ]


@pytest.mark.parametrize("which", range(3))
def test_local_scores_follow_a_renumbering_of_particles(which: int) -> None:
    score = local_scores()[which]
    x, g = tensors_of(some_states())
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    there, back = score(x[:, order], g[:, order])["g"], score(x, g)["g"][:, order]
    torch.testing.assert_close(there, back, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("which", range(3))
def test_local_scores_are_the_same_anywhere_in_the_box(which: int) -> None:
    score = local_scores()[which]
    x, g = tensors_of(some_states())
    moved = x + torch.tensor([3.0, -7.1], dtype=x.dtype)
    assert SYSTEM.half_width is not None
    w = SYSTEM.half_width
    wrapped = torch.remainder(moved + w, 2 * w) - w
    torch.testing.assert_close(score(wrapped, g)["g"], score(x, g)["g"], rtol=1e-8, atol=1e-8)


def test_bare_local_score_does_not_see_beyond_its_neighbours() -> None:
    score = local_scores()[1]
    x, g = tensors_of(some_states(samples=1))
    seen = set(nearest(x, 8, SYSTEM.half_width)[0, 0].tolist())
    far = next(i for i in range(64) if i not in seen)
    moved, other = x.clone(), g.clone()
    moved[0, far] += 0.05
    other[0, far] += 1.0
    assert torch.equal(score(moved, other)["g"][0, 0], score(x, g)["g"][0, 0])


def test_local_score_is_the_same_in_a_larger_box_with_the_same_neighbourhoods() -> None:
    score = local_scores()[0]
    states = some_states(samples=1)
    x, g = tensors_of(states)
    large = SYSTEM.with_(particles=256)
    assert SYSTEM.box is not None
    corners = [(a, b) for a in (-0.5, 0.5) for b in (-0.5, 0.5)]
    tiled = torch.cat([x + SYSTEM.box * torch.tensor(c, dtype=x.dtype) for c in corners], 1)
    again = score.on(large)(tiled, g.repeat(1, 4, 1))["g"]
    torch.testing.assert_close(again, score(x, g)["g"].repeat(1, 4, 1), rtol=1e-8, atol=1e-8)


def test_all_particle_transformer_follows_a_renumbering() -> None:
    torch.manual_seed(0)
    network = ParticleTransformer(2, width=8, blocks=2, heads=2).double()
    x, g = torch.randn(2, 3, 10, 2, dtype=torch.double)
    order = torch.randperm(10)
    torch.testing.assert_close(network(x[:, order], g[:, order]), network(x, g)[:, order])


def test_attention_is_a_softmax_of_scaled_products_over_the_tokens() -> None:
    torch.manual_seed(0)
    block = ParticleTransformer(2, width=8, blocks=1, heads=2).encoder.blocks[0]
    tokens = torch.randn(1, 5, 8)
    query, key, value = block.query_key_value(tokens)[0].chunk(3, dim=1)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        pattern = (query[:, part] @ key[:, part].T / 2.0).softmax(dim=1)
        heads.append(pattern @ value[:, part])
    one = block.first_norm(tokens[0] + block.project(torch.cat(heads, 1)))
    expected = block.second_norm(one + block.mlp(one))
    torch.testing.assert_close(block(tokens)[0], expected)


def test_weights_start_as_truncated_normals_of_one_over_the_inputs() -> None:
    torch.manual_seed(0)
    layer = linear(400, 300).requires_grad_(False)
    assert float(layer.weight.std() * 400**0.5) == pytest.approx(1.0, abs=0.01)
    assert float(layer.weight.abs().max() * 400**0.5) < 2 / 0.8796 + 1e-6
    assert not layer.bias.any()


def test_odd_periodic_network_changes_sign_with_the_state_and_has_its_period() -> None:
    torch.manual_seed(0)
    network = PeriodicMLP([16.0, None], 8, 2, odd=True).double()
    z = torch.randn(7, 2, dtype=torch.double) * 3
    # The mirror image about (16, 0), as the paper has it
    image = torch.tensor([16.0, 0.0], dtype=torch.double) - z
    torch.testing.assert_close(network(image), -network(z))
    torch.testing.assert_close(network(z + torch.tensor([16.0, 0.0])), network(z))


def test_contact_matrix_is_the_derivative_of_the_pair_force() -> None:
    apart = torch.tensor([[1.7, 0.4], [-0.3, 2.1]], dtype=torch.double)

    def force(r: torch.Tensor) -> torch.Tensor:
        q = r.norm(dim=-1, keepdim=True)
        return 1.5 * torch.nn.functional.softplus(2 - q, beta=7.5) * r / q

    for row, matrix in zip(apart, contact_matrix(apart, 1.5, 7.5), strict=True):
        exact = torch.autograd.functional.jacobian(force, row)
        torch.testing.assert_close(matrix, exact)
    assert not contact_matrix(torch.zeros(1, 2), 1.0, 7.5).any()


def test_acceleration_is_the_derivative_of_the_forces_along_the_velocities() -> None:
    x, g = tensors_of(some_states(samples=1))
    around = surround(SYSTEM, x, g, 16)
    velocity = g + SYSTEM.forces(x) / SYSTEM.speed
    _, along = torch.autograd.functional.jvp(SYSTEM.forces, x, velocity)
    torch.testing.assert_close(around.velocity, velocity[0])
    torch.testing.assert_close(around.acceleration, along[0], rtol=1e-6, atol=1e-7)


def test_pushed_surroundings_are_those_of_the_pushed_particle() -> None:
    x, g = tensors_of(some_states(samples=1))
    change = torch.zeros_like(g)
    change[0, 5] = torch.tensor([0.3, -0.2])
    quick = surround(SYSTEM, x, g, 12).pushed(change[0]).at(slice(5, 6))
    slow = surround(SYSTEM, x, g + change, 12).at(slice(5, 6))
    for name in ("g", "velocity", "relative_velocity", "acceleration", "relative_acceleration"):
        torch.testing.assert_close(getattr(quick, name), getattr(slow, name), msg=name)


def test_turned_surroundings_are_those_of_the_turned_particles() -> None:
    system = ActiveOrnsteinUhlenbeck(64, 0.25, 0.01, packing=0.5)
    x, g = tensors_of(some_states(system, samples=1))
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.double)  # leaves the box as it is
    turned = surround(system, x, g, 8).turned(turn.expand(64, 2, 2))
    again = surround(system, x @ turn.mT, g @ turn.mT, 8)
    torch.testing.assert_close(turned.apart, again.apart)
    torch.testing.assert_close(turned.contact, again.contact)
    torch.testing.assert_close(turned.relative_acceleration, again.relative_acceleration)


def test_divergence_in_the_own_activity_is_the_finite_difference_over_the_whole_system() -> None:
    for score in local_scores():
        x, g = tensors_of(some_states(samples=1))
        s, terms = own_divergence(score.network, score.surroundings(x, g))
        torch.testing.assert_close(s, score(x, g)["g"][0].detach())
        h = 1e-6
        for k in range(2):
            up, down = g.clone(), g.clone()
            up[0, 7, k] += h
            down[0, 7, k] -= h
            slope = (score(x, up)["g"] - score(x, down)["g"])[0, 7, k].detach() / (2 * h)
            assert float(terms[7, k]) == pytest.approx(float(slope), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("half_width", [None, 6.0])
def test_tree_and_table_of_distances_find_the_same_neighbours(half_width: float | None) -> None:
    from axonal.physics.active_matter.neighbours import _by_distance, _by_tree

    x = torch.rand(300, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0)) * 12 - 6
    assert torch.equal(_by_distance(x, 9, half_width), _by_tree(x, 9, half_width))
    x[17] = x[200]  # two at one place: each is still its own first
    for find in (_by_distance, _by_tree):
        assert torch.equal(find(x, 9, half_width)[:, 0], torch.arange(300))


def test_neighbours_that_are_not_there_are_said() -> None:
    x = torch.rand(1, 5, 2)
    with pytest.raises(InputError, match="5 particles have between 1 and 4 neighbours each, got 5"):
        nearest(x, 5)
    with pytest.raises(InputError, match="64 particles have between 1 and 63"):
        ScoreModel.local(SYSTEM, neighbours=64)
    still = SYSTEM.with_(speed=0.0)
    with pytest.raises(InputError, match="needs activity"):
        ScoreModel.local(still)
    with pytest.raises(InputError, match="heads must divide"):
        ScoreModel.local(SYSTEM, width=10, heads=4)


def test_rolled_out_attention_is_a_share_over_the_neighbours() -> None:
    score = local_scores()[0]
    states = some_states()
    score.network.float()
    found = attention_rollout(score, states)
    np.testing.assert_allclose(found.weight.sum("token"), 1, atol=1e-5)
    assert (found.who[:, :, 0].values == np.arange(64)).all()
    with pytest.raises(InputError, match="no attention"):
        attention_rollout(local_scores()[2], states)

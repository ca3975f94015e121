"""What is recorded is what flowed, token for token, whatever the padding."""

from __future__ import annotations

import pytest
import torch
from tiny_models import DEPTH, WIDTH, hooks_on, pad, random_ids
from torch import nn

from axonal.activations import Add, Site, Sites, edit, record, recording
from axonal.errors import AxonalError, InputError


def test_residual_streams_are_the_hidden_states_of_the_model(family_model: nn.Module) -> None:
    sites = Sites.of(family_model)
    ids = random_ids(2, 7)
    cache = record(family_model, {"input_ids": ids}, [sites.residual(b) for b in range(DEPTH)])
    states = family_model(ids, output_hidden_states=True).hidden_states
    for block in range(DEPTH - 1):  # the last hidden state is normalised
        assert torch.equal(cache[sites.residual(block)], states[block + 1])


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing_that_is_recorded(family_model: nn.Module, side: str) -> None:
    site = Sites.of(family_model).residual(DEPTH - 1)
    rows = [random_ids(1, 3, seed=2)[0], random_ids(1, 8, seed=3)[0]]
    batch = pad(rows, side)
    last = record(family_model, batch, [site], -1)[site]
    first_three = record(family_model, batch, [site], [0, 1, 2])[site]
    every = record(family_model, batch, [site], "all")[site]
    alone = [record(family_model, row.unsqueeze(0), [site])[site][0] for row in rows]
    torch.testing.assert_close(last, torch.stack([x[-1] for x in alone]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        first_three, torch.stack([x[:3] for x in alone]), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(every, torch.cat(alone), rtol=1e-4, atol=1e-4)


def test_the_forward_pass_ends_after_the_last_site(llama: nn.Module, ids: torch.Tensor) -> None:
    sites, reached = Sites.of(llama), []
    handle = llama.lm_head.register_forward_hook(lambda *_: reached.append(True))
    first, last = sites.residual(0), sites.residual(1)
    stopped = record(llama, ids, [last, first])
    assert not reached
    whole = record(llama, ids, [last, first], stop=False)
    assert reached
    handle.remove()
    assert all(torch.equal(stopped[site], whole[site]) for site in (first, last))


def test_recorded_tensors_survive_modules_that_work_in_place() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    cache = record(network, x, [Site("0"), Site("1")])
    assert (cache[Site("0")] < 0).any()
    assert torch.equal(cache[Site("0")].relu(), cache[Site("1")])


def test_gradients_reach_every_site_and_equal_finite_differences(gpt2: nn.Module) -> None:
    model = gpt2.double()
    sites, ids = Sites.of(model), random_ids(1, 4)
    wanted = [sites.mlp(1), sites.residual_pre(0), sites.heads(1), sites.head(2, 3)]
    try:
        with recording(model, wanted, gradients=True) as cache:
            loss = model(ids).logits[0, -1, 5]
        loss.backward()
        for site in wanted:
            gradient = cache[site].grad
            assert gradient is not None
            direction = torch.randn_like(gradient)
            changes = []
            for step in (1e-5, -1e-5):
                with edit(model, {site: Add(step * direction[0])}):
                    changes.append(model(ids).logits[0, -1, 5].detach())
            slope = (changes[0] - changes[1]) / 2e-5
            torch.testing.assert_close(slope, (gradient * direction).sum(), rtol=1e-6, atol=1e-7)
    finally:
        gpt2.float()


def test_recording_with_gradients_leaves_the_output_bit_identical(llama, ids) -> None:
    sites = Sites.of(llama)
    plain = llama(ids).logits
    with recording(llama, [sites.heads(0), sites.residual(1)], gradients=True):
        assert torch.equal(llama(ids).logits, plain)


def test_recording_inside_an_edit_sees_the_edited_activation(llama, ids) -> None:
    site = Sites.of(llama).residual(1)
    before = record(llama, ids, [site])[site]
    with edit(llama, {site: Add(torch.ones(WIDTH))}):
        after = record(llama, ids, [site])[site]
    assert torch.equal(after, before + 1)


def test_the_latest_call_is_kept(llama: nn.Module) -> None:
    site = Sites.of(llama).residual(1)
    with recording(llama, [site]) as cache:
        llama(random_ids(1, 3))
        llama(random_ids(1, 5))
    assert cache[site].shape == (1, 5, WIDTH)


def test_tuples_tensors_and_mappings_are_batches(ids: torch.Tensor) -> None:
    bilinear = nn.Bilinear(3, 4, 5)
    x, y = torch.randn(2, 3), torch.randn(2, 4)
    by_position = record(bilinear, (x, y), [Site("")])[Site("")]
    by_keyword = record(bilinear, {"input1": x, "input2": y}, [Site("")])[Site("")]
    assert torch.equal(by_position, by_keyword)


def test_convolutional_features_are_recorded_whole() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2))
    images = torch.randn(5, 3, 8, 8)
    cache = record(network, images, [Site("1")])
    assert cache[Site("1")].shape == (5, 8, 6, 6)


def test_recording_works_in_inference_mode_and_in_bfloat16(llama, ids) -> None:
    site = Sites.of(llama).residual(1)
    with torch.inference_mode():
        assert record(llama, ids, [site], -1)[site].shape == (2, WIDTH)
    try:
        assert record(llama.bfloat16(), ids, [site])[site].dtype == torch.bfloat16
    finally:
        llama.float()


def test_nothing_stays_behind_whatever_happens(llama: nn.Module, ids: torch.Tensor) -> None:
    sites = Sites.of(llama)
    record(llama, ids, [sites.residual(0)])
    assert hooks_on(llama) == 0
    with pytest.raises(InputError):
        record(llama, ids, [sites.residual(0), Site("model.nothing")])
    assert hooks_on(llama) == 0
    with pytest.raises(InputError):
        record(llama, ids, [sites.residual(0)], positions=99)
    assert hooks_on(llama) == 0
    with pytest.raises(KeyboardInterrupt), recording(llama, [sites.residual(0)]):
        raise KeyboardInterrupt
    assert hooks_on(llama) == 0


def test_a_site_off_the_way_is_named() -> None:
    network = nn.ModuleDict({"used": nn.Linear(2, 2), "unused": nn.Linear(2, 2)})
    network.forward = lambda x: network["used"](x)
    with pytest.raises(AxonalError, match=r"nothing flowed through unused \(output\)"):
        record(network, torch.ones(1, 2), [Site("unused")])


def test_a_module_that_fires_twice_is_refused() -> None:
    shared = nn.Linear(2, 2)
    with pytest.raises(AxonalError, match="fired twice in one call"):
        record(nn.Sequential(shared, shared), torch.ones(1, 2), [Site("0")], stop=False)


@pytest.mark.parametrize(
    ("sites", "options", "message"),
    [
        ([], {}, "sites is empty"),
        (["model.layers.1"], {}, r"wrap it in Site"),
        ([Site("model.layers.1")], {"positions": -1, "gradients": True}, "leave positions=None"),
    ],
)
def test_what_cannot_be_recorded_is_said(llama, ids, sites, options, message) -> None:
    with pytest.raises(InputError, match=message):
        record(llama, ids, sites, **options)

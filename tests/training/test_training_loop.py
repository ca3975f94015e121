"""The loop's updates are those of a loop by hand, and its promises about edits and observers hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from small_training import adam, batches, data, network, squared_error, weights
from torch import nn

from axonal.activations import Replace, Site
from axonal.errors import AxonalError, InputError
from axonal.training import Observe, Patience, Shuffled, Snapshots, cosine, train, warm_up


def test_training_equals_a_loop_by_hand_bit_for_bit():
    trained, by_hand = network(dropout=0.0), network(dropout=0.0)
    history = train(trained, squared_error, batches(), steps=20, optimizer=adam)
    optimizer, losses = adam(by_hand.parameters()), []
    for step in range(20):
        optimizer.zero_grad()
        loss = squared_error(by_hand, batches()(step))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert torch.equal(weights(trained), weights(by_hand))
    assert history.loss.tolist() == losses
    assert history.steps.tolist() == list(range(20))


def test_dropout_follows_from_seed_and_step_and_leaves_the_callers_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    results = []
    for seed in (0, 0, 1):
        model = network(dropout=0.5)
        torch.manual_seed(5)
        train(model, squared_error, batches(), steps=5, optimizer=adam, seed=seed)
        assert torch.equal(torch.rand(3), expected)
        results.append(weights(model))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_the_schedule_scales_the_optimizers_own_rate():
    model = network(dropout=0.0)
    before = weights(model)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, squared_error, batches(), steps=1, optimizer=sgd, schedule=lambda step: 0.5)
    twin = network(dropout=0.0)
    squared_error(twin, batches()(0)).backward()
    gradient = torch.cat([p.grad.flatten() for p in twin.parameters()])
    assert torch.allclose(weights(model), before - 0.05 * gradient, atol=1e-7)


def test_clipping_bounds_the_step():
    model = network(dropout=0.0)
    before = weights(model)
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    train(model, squared_error, batches(), steps=1, optimizer=sgd, clip=1e-3)
    assert (weights(model) - before).norm() == pytest.approx(1e-3, rel=1e-3)


def test_warm_up_and_cosine_meet_their_ends():
    rising, factor = warm_up(4), cosine(100, rise=10, final=0.1)
    assert [rising(s) for s in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert factor(10) == pytest.approx(1.0)
    assert factor(55) == pytest.approx(0.55)
    assert factor(100) == pytest.approx(0.1)
    with pytest.raises(InputError, match="rise"):
        cosine(10, rise=10)


def test_an_edit_holds_through_training_and_stops_the_gradient():
    model, hidden = network(dropout=0.0), Site("0")
    first = model[0].weight.detach().clone()
    last = model[3].weight.detach().clone()
    train(
        model,
        squared_error,
        batches(),
        steps=3,
        optimizer=adam,
        edits={hidden: Replace(torch.ones(16))},
    )
    assert torch.equal(model[0].weight, first), "nothing flows back through a replaced activation"
    assert not torch.equal(model[3].weight, last)


def test_edits_can_have_a_window_and_observers_never_see_them():
    model, hidden = network(dropout=0.0), {Site("0"): Replace(torch.ones(16))}
    x = data()["x"][:2]
    seen: list[bool] = []

    def differ(model: nn.Module, step: int) -> dict[str, bool]:
        assert not model.training
        assert not torch.is_grad_enabled()
        out = model(x)
        seen.append(bool(torch.equal(out[0], out[1])))
        return {"step": step}

    moved = []

    def window(step: int) -> dict | None:
        return hidden if 2 <= step < 4 else None

    def first_layer(model: nn.Module, step: int) -> dict[str, float]:
        moved.append(float(model[0].weight.sum()))
        return {"sum": moved[-1]}

    train(
        model,
        squared_error,
        batches(),
        steps=6,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
        edits=window,
        observers=[Observe("differ", differ, every=1), Observe("moved", first_layer, every=1)],
    )
    assert not any(seen)
    still = [a == b for a, b in itertools.pairwise(moved)]
    assert still == [False, False, True, True, False, False]
    assert not model[0]._forward_hooks


def test_observers_see_the_weights_after_that_many_updates():
    model = network(dropout=0.0)
    snapshots = Snapshots(at=[0, 2, 4])
    history = train(
        model,
        squared_error,
        batches(),
        steps=4,
        optimizer=adam,
        observers=[
            Observe("norm", lambda m, s: {"w": m[0].weight.norm(), "b": m[0].bias}, every=2),
            snapshots,
        ],
    )
    assert history.observed["norm"].steps.tolist() == [0, 2, 4]
    assert history.observed["norm"]["b"].shape == (3, 16)
    assert snapshots.steps == [0, 2, 4]
    for index, (step, state) in enumerate(snapshots):
        assert state["0.weight"].norm() == pytest.approx(history.observed["norm"]["w"][index])
        assert step == [0, 2, 4][index]
    assert torch.equal(snapshots.weights(4)["3.weight"], model[3].weight)
    with pytest.raises(InputError, match="No weights were kept at step 3"):
        snapshots.weights(3)


def test_metrics_beside_the_loss_are_kept_step_by_step():
    def loss(model, batch):
        error = squared_error(model, batch)
        return error, {"each": torch.stack([error, 2 * error]), "one": 1.0}

    history = train(network(), loss, batches(), steps=3, optimizer=adam)
    assert np.allclose(history.metrics["each"], np.outer(history.loss, [1, 2]))
    assert list(history.frame().columns) == ["step", "loss", "each[0]", "each[1]", "one"]


def test_the_model_gets_its_mode_back():
    model = network().eval()
    train(model, squared_error, batches(), steps=1, optimizer=adam)
    assert not model.training


def test_patience_ends_a_training_that_no_longer_improves():
    losses = iter([5.0, 3.0, 4.0, 3.5, 3.2, 1.0])
    history = train(
        network(),
        squared_error,
        batches(),
        steps=50,
        optimizer=adam,
        observers=[Observe("held-out", lambda m, s: {"loss": next(losses)}, every=10)],
        patience=Patience("held-out", "loss", checks=3),
    )
    assert history.stopped_early
    assert len(history.steps) == 40


def test_a_loss_that_is_not_finite_ends_the_training_with_a_sentence(tmp_path):
    calls = iter(range(100))

    def explodes(model, batch):
        error = squared_error(model, batch)
        return error * float("nan") if next(calls) == 3 else error

    with pytest.raises(AxonalError, match="nan at step 3: lower the learning rate"):
        train(network(), explodes, batches(), steps=9, optimizer=adam, folder=tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "at least one update"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"patience": Patience("absent", "loss")}, "waits for the observer 'absent'"),
        ({"observers": [Observe("a", dict, every=1)] * 2}, "one name"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(change, sentence):
    model = network()
    before = weights(model)
    with pytest.raises(InputError, match=sentence):
        train(model, squared_error, batches(), **{"steps": 3, "optimizer": adam, **change})
    assert torch.equal(weights(model), before)


def test_a_loss_without_gradient_or_of_many_numbers_is_refused():
    with pytest.raises(InputError, match="without gradient"):
        train(network(), lambda m, b: torch.tensor(1.0), batches(), steps=1, optimizer=adam)
    with pytest.raises(InputError, match=r"shape \(16, 1\)"):
        train(network(), lambda m, b: m(b["x"]), batches(), steps=1, optimizer=adam)
    with pytest.raises(InputError, match="nothing to train"):
        train(network().requires_grad_(False), squared_error, batches(), steps=1, optimizer=adam)


def test_each_example_comes_once_an_epoch_in_an_order_of_its_own():
    shuffled = Shuffled(torch.arange(12), 4, seed=0)
    epochs = [torch.cat([shuffled(3 * e + i) for i in range(3)]) for e in range(2)]
    assert all(sorted(epoch.tolist()) == list(range(12)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    assert torch.equal(Shuffled(torch.arange(12), 4, seed=0)(4), shuffled(4))
    assert not torch.equal(Shuffled(torch.arange(12), 12, seed=1)(0), epochs[0])


def test_bad_data_sets_are_refused():
    with pytest.raises(InputError, match="equal length"):
        Shuffled({"x": torch.zeros(3), "y": torch.zeros(4)}, 2)
    with pytest.raises(InputError, match="size=5"):
        Shuffled(torch.zeros(4), 5)

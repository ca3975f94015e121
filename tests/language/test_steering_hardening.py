"""Transported activations are made for training, and noticed by the monitor."""

from __future__ import annotations

import pytest
import torch

from axonal.activations import Sites, record
from axonal.errors import InputError
from axonal.language.steering import DriftMonitor, adversarial_batch, collect, drift_monitor, fit
from steering_models import NEGATIVE, POSITIVE, tiny


def test_adversarial_batches_hold_the_activations_before_and_after_the_map() -> None:
    model = tiny()
    steering = fit(model, NEGATIVE, POSITIVE, [0, 2], apply="all")
    made = list(adversarial_batch(model, steering, NEGATIVE, batch_size=5))
    assert sorted(row for one in made for row in one.rows) == list(range(12))
    first, second = steering.sites
    for one in made:
        assert one.tokens.shape == one.inputs["input_ids"].shape
        for site in steering.sites:
            expected = steering.maps[site].apply(one.original[site].double()).float()
            torch.testing.assert_close(one.transported[site], expected, atol=1e-4, rtol=1e-4)
            assert len(one.original[site]) == int(one.tokens.sum())
        plain = record(model.model, one.inputs, steering.sites, lambda call, one=one: one.tokens)
        torch.testing.assert_close(one.original[first], plain[first])
        assert not torch.allclose(one.original[second], plain[second])  # the first map is in force


def test_adversarial_batches_serve_a_model_in_training() -> None:
    import copy

    model = tiny()
    own = type(model)(copy.deepcopy(model.model), model.tokenizer, "in training", None)
    steering = fit(own, NEGATIVE, POSITIVE, 1)
    for parameter in own.model.parameters():
        parameter.add_(0.01)
    assert len(list(adversarial_batch(own, steering, NEGATIVE, strength=0.5))) == 2


def test_the_monitor_flags_transported_rows_and_leaves_ordinary_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    scale = torch.linspace(0.5, 4, 12).double()

    def ordinary(n: int) -> torch.Tensor:
        return torch.randn(n, 12, generator=generator).double() * scale

    monitor = DriftMonitor(ordinary(400), window=16, quantile=0.99, seed=1)
    calm = [drift for rows in ordinary(800).split(16) if (drift := monitor.update(rows))]
    assert len(calm) == 50
    assert sum(drift.flagged for drift in calm) <= 4
    moved = ordinary(160) + 9 * torch.nn.functional.one_hot(torch.tensor(11), 12)
    monitor.reset()
    assert monitor.update(moved[:8]) is None  # the window is not full
    alarms = [drift for rows in moved.split(16) if (drift := monitor.update(rows))]
    assert all(drift.flagged for drift in alarms)
    assert monitor.history[-1].distance > monitor.threshold


def test_a_monitor_on_a_model_sees_steering_through_the_hooks() -> None:
    model = tiny()
    words = [f"the {a} was {b} and {c}" for a in ("film", "book", "meal", "song")
             for b in ("dull", "bad", "poor", "grey") for c in ("slow", "very", "quite")]  # fmt: skip
    monitor = drift_monitor(model, words, 1, window=12, components=4, quantile=0.95)
    site = Sites.of(model.model).residual(1)
    steering = fit(model, NEGATIVE, POSITIVE, 1, apply="last")
    with monitor.watching(model.model, site):
        collect(model, words[:24], [Sites.of(model.model).residual(2)])
    own = [drift.distance for drift in monitor.history]
    monitor.reset()
    monitor.history.clear()
    with steering.on(model, strength=3.0), monitor.watching(model.model, site):
        collect(model, words[:24], [Sites.of(model.model).residual(2)])
    steered = [drift.distance for drift in monitor.history]
    assert len(own) == len(steered) == 2
    assert min(steered) > max(own)
    assert monitor.history[-1].flagged


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (torch.zeros(20, 4), {"window": 8}, "20 rows are too few for windows of 8"),
        (torch.zeros(20), {}, "expected finite rows"),
        (torch.full((80, 4), float("inf")), {}, "expected finite rows"),
        (torch.randn(80, 4), {"quantile": 1.0}, "quantile"),
    ],
)
def test_a_reference_that_does_not_serve_is_refused(rows, options, words) -> None:
    with pytest.raises(InputError, match=words):
        DriftMonitor(rows, **options)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected \(samples, 4\), got \(3, 5\)"):
        DriftMonitor(torch.randn(80, 4)).update(torch.randn(3, 5))

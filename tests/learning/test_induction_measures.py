"""Learning times, strengths, ablations and the toy model are what their formulas say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from induction_models import small_model, small_task

from axonal.errors import InputError
from axonal.learning.induction import (
    THRESHOLD,
    Clamp,
    ablate_one,
    evaluate,
    induction,
    induction_strength,
    keep_one,
    keep_strongest,
    learning_time,
    perfect_match,
    progress_measure,
    rank_one_phase_change,
    wiring,
)
from axonal.learning.induction.evaluation import losses_by_seed
from axonal.learning.induction.phase_change import gradient, loss


def test_a_learning_time_is_the_first_below_and_censored_is_nan():
    steps = np.array([0, 10, 20, 30])
    losses = np.array([[1, 1, 1], [0.1, 1, 1], [1, 0.2, 1], [0.1, 0.1, 0.3]])
    times = learning_time(steps, losses)
    assert times[:2].tolist() == [10, 20]
    assert np.isnan(times[2])  # 0.3 nats is not below 0.4 ln 2: not the last step either
    assert learning_time(steps, losses, 0.5)[2] == 30
    assert pytest.approx(0.4 * math.log(2)) == THRESHOLD
    with pytest.raises(InputError, match=r"\(evaluations, seeds\)"):
        learning_time(steps, losses[:2])


def test_a_clamped_head_has_the_strength_that_it_was_given():
    task, model = small_task(), small_model()
    batch = task.sample("train", 40)
    for strength in (1.0, 0.5, 0.2):
        clamp = Clamp().pattern("layer2.head1", induction(strength))
        found = induction_strength(model, batch, clamp=clamp)
        assert found[:, 1].tolist() == pytest.approx([2 * strength - 1] * 2, abs=1e-6)
    assert induction_strength(small_model(), small_task(classes=4)).shape == (2, 4)  # all sequences


def test_evaluation_in_parts_is_that_of_the_whole():
    task, model = small_task(), small_model()
    batch = task.sample("train", 700)
    found = evaluate(model, batch)
    logits = model(**batch)
    whole = losses_by_seed(logits, batch["labels"])
    assert torch.allclose(found.loss.float(), whole, atol=1e-5)
    right = (logits.argmax(-1) == batch["labels"][:, 2]).float().mean(1)
    assert torch.allclose(found.accuracy.float(), right)


def test_ablations_over_heads_agree_with_each_other():
    task, model = small_task(), small_model()
    batch = task.sample("train", 60)
    strengths = induction_strength(model, batch)
    kept, removed = keep_one(model, batch), ablate_one(model, batch)
    ordered = keep_strongest(model, batch, strengths)
    assert kept.loss.shape == removed.loss.shape == ordered.loss.shape == (2, 4)
    best = strengths.argmax(1)
    assert torch.allclose(ordered.loss[:, 0], kept.loss[[0, 1], best])
    assert torch.allclose(ordered.loss[:, -1], evaluate(model, batch).loss)
    worst = strengths.argmin(1)
    assert torch.allclose(ordered.loss[:, -2], removed.loss[[0, 1], worst])
    assert perfect_match(model, batch).accuracy.shape == (2, 4)


def test_wiring_is_that_of_pairs_of_heads():
    from axonal.learning.induction import ablate, all_but

    task, model = small_task(), small_model()
    batch = task.sample("train", 30)
    for preserve in (None, "patterns", "values"):
        table = wiring(model, batch, preserve=preserve)
        one = ablate(model, batch, {1: all_but(2), 2: all_but(1)}, preserve=preserve)
        assert table.shape == (2, 4, 4)
        assert torch.equal(table[:, 1, 2], one.accuracy)


def test_a_progress_measure_is_the_clamped_loss_of_each_checkpoint():
    task, model = small_task(), small_model()
    batch = task.sample("train", 30)
    other = small_model(seeds=(5, 6)).state_dict()
    clamp = Clamp().pattern("layer2.head1", induction())
    found = progress_measure(model, [(0, model.state_dict()), (9, other)], batch, clamp)
    assert found.shape == (2, 2)
    assert found[0].tolist() == evaluate(model, batch, clamp).loss.tolist()
    assert found[1].tolist() == evaluate(small_model(seeds=(5, 6)), batch, clamp).loss.tolist()
    with pytest.raises(InputError, match="needs checkpoints"):
        progress_measure(model, [], batch, clamp)


# The toy model


def test_with_two_vectors_right_the_third_decays_exponentially():
    found = rank_one_phase_change(20, ("b", "c"), iterations=400, seeds=range(5))
    b, c = found.truth["b"], found.truth["c"]
    rate = (b**2).sum(-1) * (c**2).sum(-1) / 20**3
    expected = found.loss[:, :1] * (1 - rate[:, None]) ** (2 * np.arange(400))
    shown = expected > 1e-11  # below, the round-off of a - a* shows
    np.testing.assert_allclose(found.loss[shown], expected[shown], rtol=1e-10)


def test_the_toy_loss_and_gradient_are_those_of_the_tensor():
    generator = torch.Generator().manual_seed(0)
    draw = lambda: torch.randn(7, dtype=torch.float64, generator=generator)  # noqa: E731
    truth = {n: draw() for n in "abc"}
    mine = {n: draw().requires_grad_() for n in "abc"}
    outer = lambda v: torch.einsum("i,j,k->ijk", v["a"], v["b"], v["c"])  # noqa: E731
    whole = 0.5 * (outer(truth) - outer(mine)).square().mean()
    whole.backward()
    numbers = [{n: v.detach().numpy()[None] for n, v in d.items()} for d in (mine, truth)]
    assert loss(*numbers)[0] == pytest.approx(whole.item(), rel=1e-12)
    for name, found in gradient(*numbers).items():
        np.testing.assert_allclose(found[0], mine[name].grad.numpy(), rtol=1e-10)


def test_the_toy_loss_knows_neither_signs_nor_scales():
    rng = np.random.default_rng(0)
    truth, mine = ({n: rng.normal(size=(3, 20)) for n in "abc"} for _ in range(2))
    flipped = {**mine, "a": -mine["a"], "b": -mine["b"]}
    scaled = {**mine, "a": 3.7 * mine["a"], "b": mine["b"] / 3.7}
    np.testing.assert_allclose(loss(flipped, truth), loss(mine, truth), rtol=1e-12)
    np.testing.assert_allclose(loss(scaled, truth), loss(mine, truth), rtol=1e-12)
    slopes, mirrored = gradient(mine, truth), gradient(flipped, truth)
    np.testing.assert_allclose(mirrored["a"], -slopes["a"], rtol=1e-12)
    np.testing.assert_allclose(mirrored["c"], slopes["c"], rtol=1e-12)


def test_clamping_takes_the_plateau_away():
    clamps: tuple[tuple[str, ...], ...] = ((), ("c",), ("b", "c"))
    free, one, two = (
        np.nan_to_num(rank_one_phase_change(clamp=c, seeds=range(12)).learning_time(), nan=1000)
        for c in clamps
    )
    assert np.median(free) > np.median(one) > np.median(two)
    assert (two < 100).all()  # an exponential: ln 10 over twice the rate
    assert (two < one).mean() > 0.9


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"clamp": ("d",)}, "vectors a, b and c; got 'd'"), ({"iterations": -1}, "iterations=-1")],
)
def test_the_toy_model_refuses_what_it_lacks(options, sentence):
    with pytest.raises(InputError, match=sentence):
        rank_one_phase_change(**options)

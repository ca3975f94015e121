"""The transformer is the paper's: its size, its start, its rotary positions, its causality."""

from __future__ import annotations

import math

import pytest
import torch
from induction_models import hand_built, small_model, small_task

from axonal.activations import Site, record
from axonal.errors import InputError
from axonal.learning.induction import (
    AttentionOnlyTransformer,
    FewShotTask,
    ablate,
    composition_scores,
    evaluate,
    gaussian_features,
    induction_strength,
    previous_token_score,
)
from axonal.learning.induction.model import rotate, rotations


def test_it_has_the_papers_parameters():
    model = AttentionOnlyTransformer(512, 5, seeds=range(3))
    assert sum(p.numel() for p in model.parameters()) == 3 * 66_629


def test_random_weights_know_nothing():
    task = FewShotTask(gaussian_features(60, 512), n_classes=50)
    model = AttentionOnlyTransformer(512, 5, seeds=range(6))
    scores = composition_scores(model)
    assert {s.shape for s in scores.values()} == {(6, 8, 8)}
    for score in scores.values():
        assert float(score.mean()) == pytest.approx(1 / 8, abs=0.01)
    batch = task.sample("train", 500)
    assert float(induction_strength(model, batch).mean()) == pytest.approx(0, abs=0.02)
    found = evaluate(model, batch)
    assert math.log(5) < float(found.loss.mean()) < math.log(5) + 0.6
    assert float(found.accuracy.mean()) == pytest.approx(0.2, abs=0.05)


def test_composition_scores_are_those_of_the_products():
    model = small_model(seeds=(3,))
    first, second = model.layers
    output = first.output.weight[0, 4:8]  # head 1 of 4, width 4
    query = second.query.weight[0, :, 8:12]  # head 2
    expected = ((output @ query).norm() / (output.norm() * query.norm())).detach()
    assert float(composition_scores(model)["q"][0, 2, 1]) == pytest.approx(
        float(expected), rel=1e-5
    )
    with pytest.raises(InputError, match="comes before"):
        composition_scores(model, writer=2, reader=1)


def test_rotary_scores_depend_on_the_distance_alone():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 8, dtype=torch.float64, generator=generator)
    turns = rotations(9, 8, torch.device("cpu"))
    assert turns[1].angle().tolist() == pytest.approx([10000 ** (-2 * i / 8) for i in range(4)])

    def score(i: int, j: int) -> float:
        return float((rotate(q, turns[i, None]) * rotate(k, turns[j, None])).sum())

    assert score(8, 5) == pytest.approx(score(5, 2), abs=1e-9)
    assert score(4, 7) == pytest.approx(score(1, 4), abs=1e-9)
    assert score(5, 2) != pytest.approx(score(5, 3), abs=1e-3)
    assert float(rotate(q, turns[7, None]).norm()) == pytest.approx(float(q.norm()), abs=1e-12)


def test_nothing_flows_back_in_time():
    task, model = small_task(), small_model(n_layers=3)
    batch = task.sample("train", 20)
    sites = [Site(f"layer{layer}.residual") for layer in (1, 2)]
    before = record(model, batch, sites, positions=None)
    query = {**batch, "examples": batch["examples"].clone()}
    query["examples"][:, -1] += 1
    label = {**batch, "labels": batch["labels"].clone()}
    label["labels"][:, 1] = (label["labels"][:, 1] + 1) % task.n_labels
    for site in sites:
        after = record(model, query, [site], positions=None)[site]
        assert torch.equal(after[:, :, :4], before[site][:, :, :4])
        assert not torch.equal(after[:, :, 4], before[site][:, :, 4])
        after = record(model, label, [site], positions=None)[site]
        assert torch.equal(after[:, :, :3], before[site][:, :, :3])
        assert not torch.equal(after[:, :, 3], before[site][:, :, 3])


def test_the_target_is_not_looked_at():
    task, model = small_task(), small_model()
    batch = task.sample("train", 20)
    other = {**batch, "labels": batch["labels"].clone()}
    other["labels"][:, -1] = 0
    assert torch.equal(model(**batch), model(**other))


def test_an_induction_head_written_by_hand_solves_the_task():
    model, task = hand_built()
    batch = task.sample("train", 300)
    assert float(previous_token_score(model, batch)[0, 0]) > 0.999
    assert float(induction_strength(model, batch)[0, 0]) > 0.999
    assert float(evaluate(model, batch).accuracy) == 1
    without = ablate(model, batch, [(2, 0)])
    assert float(without.loss) == pytest.approx(math.log(5), abs=1e-4)  # uniform over the labels
    blind = ablate(model, batch, [(1, 0)])
    assert float(blind.accuracy) == pytest.approx(0.5, abs=0.1)  # chance on the two labels


def test_a_seed_is_the_same_alone_and_in_company():
    task = small_task()
    batch = task.sample("train", 30)
    together, alone = small_model(seeds=(4, 9)), small_model(seeds=(9,))
    assert torch.allclose(together(**batch)[1], alone(**batch)[0], atol=1e-6)
    chosen = together.select([1])
    assert chosen.seeds == (9,)
    assert torch.equal(chosen(**batch)[0], alone(**batch)[0])


def test_what_does_not_fit_is_refused():
    task, model = small_task(), small_model()
    batch = task.sample("train", 3)
    with pytest.raises(InputError, match=r"examples \(batch, m \+ 1, 16\)"):
        model(batch["examples"][..., :5], batch["labels"])
    with pytest.raises(InputError, match="even width"):
        AttentionOnlyTransformer(d_model=64, n_heads=7)
    with pytest.raises(InputError, match="each once"):
        AttentionOnlyTransformer(seeds=(1, 1))
    with pytest.raises(InputError, match="positive"):
        AttentionOnlyTransformer(n_layers=0)

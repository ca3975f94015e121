"""Ensembles train as their members would alone, with clamps in force, and leave a history."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pytest
import torch
from induction_models import small_model, small_task
from torch import nn

from axonal.errors import InputError
from axonal.learning.induction import (
    AttentionOnlyTransformer,
    Clamp,
    FewShotTask,
    Grafted,
    Run,
    all_but,
    correlated_features,
    evaluate,
    induction,
    small_multiples,
    subcircuit,
    train,
)

QUICK = {"sequences": 320, "evaluations": 2, "evaluation_size": 16, "lr": 1e-3}


def test_an_ensemble_trains_as_each_seed_alone():
    task = small_task()
    clamp = subcircuit("match", head=1)
    settings = {**QUICK, "sequences": 50 * 32, "clamp": clamp}
    together = small_model(seeds=(3, 8))
    run = train(together, task, **settings)
    for member, seed in enumerate((3, 8)):
        alone = small_model(seeds=(seed,))
        single = train(alone, task, **settings)
        for name, weight in alone.state_dict().items():
            assert torch.allclose(weight[0], together.state_dict()[name][member], atol=1e-5), name
        losses = run.history.metrics["losses"][:, member]
        np.testing.assert_allclose(losses, single.history.loss, atol=1e-5)


def test_streams_of_data_are_each_member_s_own():
    task = small_task()
    both = small_model(seeds=(3, 8))
    train(both, task, streams=(3, 8), **QUICK)
    alone = small_model(seeds=(8,))
    train(alone, task, streams=(8,), **QUICK)
    for name, weight in alone.state_dict().items():
        assert torch.allclose(weight[0], both.state_dict()[name][1], atol=1e-5), name


def test_clamped_weights_do_not_move_and_a_window_ends():
    task = small_task()
    model = small_model()
    start = {name: weight.clone() for name, weight in model.state_dict().items()}
    train(model, task, clamp=subcircuit("layer 1 + copy", head=1), **QUICK)
    now = model.state_dict()
    assert torch.equal(now["layer1.query.weight"], start["layer1.query.weight"])
    assert torch.equal(now["label_embedding"], start["label_embedding"])
    assert not torch.equal(now["layer2.key.weight"], start["layer2.key.weight"])

    whole, window = small_model(), small_model()
    clamp = Clamp().ablate("layer2", all_but(1))
    train(whole, task, clamp=clamp, **QUICK)
    run = train(window, task, clamp=clamp.during(0, 5), **QUICK)
    held = run.history.metrics["losses"]
    free = train(small_model(), task, clamp=Clamp(), **QUICK).history.metrics["losses"]
    assert not np.allclose(held[0], free[0])
    assert not torch.equal(
        whole.state_dict()["unembedding.weight"], window.state_dict()["unembedding.weight"]
    )
    strength = run.observed("strength")
    assert strength.shape == (3, 2, 4)


def test_a_killed_training_goes_on_and_its_folder_draws_it(tmp_path):
    mpl.use("Agg")
    task = small_task()
    settings = {**QUICK, "clamp": subcircuit("copy", head=1), "checkpoints": (0, 10)}
    whole = train(small_model(), task, folder=tmp_path / "whole", **settings)
    part = {**settings, "sequences": 160}
    train(small_model(), task, folder=tmp_path / "part", **part)
    again = small_model()
    train(again, task, folder=tmp_path / "part", **settings)
    for name, weight in whole.final.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
    read = Run.read(tmp_path / "whole")
    assert read.sequences.tolist() == [0, 160, 320]
    np.testing.assert_array_equal(read.observed("train_loss"), whole.observed("train_loss"))
    assert read.evaluators == ("train", "relabel", "unseen")
    assert [step for step, _ in read.checkpoints] == [0, 10]
    figure = small_multiples({"one": tmp_path / "whole", "two": tmp_path / "part"})
    assert len(figure.axes) == 4
    with pytest.raises(InputError, match="holds a training with clamp"):
        train(small_model(), task, folder=tmp_path / "whole", **{**settings, "clamp": None})
    with pytest.raises(InputError, match="no training of the few-shot task"):
        Run.read(tmp_path)
    with pytest.raises(InputError, match="at least one training"):
        small_multiples({})


def test_a_training_ends_when_every_member_has_learnt():
    task = small_task()
    settings = {**QUICK, "sequences": 3200, "evaluations": 50, "clamp": subcircuit("match", head=1)}
    run = train(small_model(), task, until=1.2, **settings)
    assert run.history.stopped_early
    assert (run.observed("train_loss")[-4:] < 1.2).all()
    assert (run.observed("train_loss")[-6] >= 1.2).any()
    with pytest.raises(InputError, match="until"):
        train(small_model(), task, until=1.2, evaluators=(), **settings)


class Single(nn.Module):
    """A user's model: no ensemble, its own names."""

    def __init__(self, dim: int, labels: int) -> None:
        super().__init__()
        self.examples, self.labels = nn.Linear(dim, 12), nn.Embedding(labels, 12)
        self.mix, self.head = nn.MultiheadAttention(12, 2, batch_first=True), nn.Linear(12, labels)

    def forward(self, examples, labels):
        seen = self.examples(examples)
        context = seen[:, :-1] + self.labels(labels[:, :-1])
        return self.head(self.mix(seen[:, -1:], seen[:, :-1], context)[0][:, 0])


def test_any_module_is_trained_with_clamps():
    torch.manual_seed(0)
    model = Single(16, 5)
    before = model.mix.out_proj.weight.clone()
    clamp = Clamp().set("mix", 0.0)
    run = train(model, small_task(), clamp=clamp, strength_at=None, **QUICK)
    assert torch.equal(model.mix.out_proj.weight, before)
    assert run.observed("train_loss").shape == (3, 1)
    assert run.learning_time().shape == (1,)


def test_a_graft_trains_one_part_on_the_other():
    task = small_task()
    lower, upper = small_model(seeds=(0, 1)), small_model(seeds=(5, 6))
    grafted = Grafted(lower, upper)
    batch = task.sample("train", 20)
    clamp = Clamp().pattern("layer2.head1", induction()).within("upper")
    run = train(grafted, task, clamp=clamp, strength_at="upper.layer2.pattern", **QUICK)
    assert run.observed("strength")[0, :, 1].tolist() == pytest.approx([1, 1])
    for name, weight in lower.state_dict().items():
        assert torch.equal(grafted.lower.state_dict()[name], weight)
    assert torch.equal(grafted.upper.layer1.query.weight, upper.layer1.query.weight)  # bypassed
    assert not torch.equal(grafted.upper.layer2.value.weight, upper.layer2.value.weight)
    same = Grafted(upper, upper)
    assert torch.equal(same(**batch), upper(**batch))
    lower_learns = Grafted(lower, upper, frozen="upper")
    lower_learns(**batch).sum().backward()
    assert lower_learns.lower.layer1.query.weight.grad.any()
    assert lower_learns.upper.layer2.query.weight.grad is None
    with pytest.raises(InputError, match="frozen"):
        Grafted(lower, upper, frozen="both")
    with pytest.raises(InputError, match="did you mean"):
        Grafted(lower, upper, "layer1.residuals")


def test_correlated_features_leave_the_loss_on_the_plateau():
    task = FewShotTask(correlated_features(110, 128), n_classes=50)
    model = AttentionOnlyTransformer(128, 5, seeds=(0,))
    run = train(
        model, task, sequences=900 * 32, lr=3e-4, evaluations=6, evaluation_size=256,
        evaluators=("train",), clamp=subcircuit("none", head=0),
    )  # fmt: skip
    late = run.observed("train_loss")[3:]
    assert float(np.abs(late - math.log(2)).max()) < 0.03
    assert np.isnan(run.learning_time()).all()  # censored


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sequences": 0}, "at least one batch of 32, got 0"),
        ({"sequences": -5}, "at least one batch"),
        ({"lr": -1.0}, "positive"),
        ({"evaluations": 0}, "positive"),
        ({"clamp": Clamp().ablate("layer9")}, "no module at 'layer9.v'"),
        ({"clamp": Clamp().set("layer1.v", torch.zeros(3))}, "does not broadcast"),
        ({"evaluators": ("trian",)}, "did you mean train"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_step_is_made(options, sentence):
    model = small_model()
    before = model.unembedding.weight.clone()
    with pytest.raises(InputError, match=sentence):
        train(model, small_task(), **{**QUICK, **options})
    assert torch.equal(model.unembedding.weight, before)
    assert not evaluate(model, small_task().sample("train", 5)).loss.isnan().any()

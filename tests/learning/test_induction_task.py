"""The few-shot task has the sequences that the paper counts, and says what makes it unsolvable."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from induction_models import small_task

from axonal.errors import InputError
from axonal.learning.induction import (
    FewShotTask,
    correlated_features,
    gaussian_features,
    glyph_features,
    read_features,
)


def test_there_are_as_many_training_sequences_as_the_formula_says():
    task = FewShotTask(gaussian_features(50, 4), 5, 50)
    assert len(task.training_labels) == 8
    assert task.n_sequences == 78_400  # K (K - 1) 2 (2 P), as the authors count
    classes, labels = small_task().enumerate()
    assert len(classes) == small_task().n_sequences
    assert len(torch.cat([classes, labels], dim=1).unique(dim=0)) == len(classes)


@pytest.mark.parametrize(("labels", "train", "held"), [(5, 8, 2), (10, 36, 9), (15, 84, 21)])
def test_label_pairs_are_split_as_in_the_paper(labels, train, held):
    task = FewShotTask(gaussian_features(10, 4), labels, 10)
    assert (len(task.training_labels), len(task.held_out_labels)) == (train, held)
    together = torch.cat([task.training_labels, task.held_out_labels])
    assert len(together.unique(dim=0)) == train + held
    assert len(task.training_labels.unique()) == labels


@pytest.mark.parametrize("pairs", [2, 3])
def test_one_label_shown_is_the_target_and_each_place_is_as_likely(pairs):
    task = small_task(classes=6, n_labels=5, n_pairs=pairs)
    classes, labels = task.enumerate()
    assert len(classes) == task.n_sequences
    right = labels[:, :-1] == labels[:, -1:]
    assert bool((right.sum(1) == 1).all())
    assert bool((classes[:, :-1] == classes[:, -1:]).eq(right).all())
    assert right.sum(0).unique().numel() == 1


def test_batches_are_a_function_of_the_step_and_of_the_stream_alone():
    task = small_task()
    batches, streams = task.batches(4, seed=7), task.batches(4, seed=7, streams=(5, 9))
    late = batches(200)
    batches(3)
    assert torch.equal(batches(200)["examples"], late["examples"])
    assert not torch.equal(batches(201)["labels"], late["labels"])
    both, alone = streams(11), task.batches(4, seed=7, streams=(9,))(11)
    assert torch.equal(both["examples"][1], alone["examples"][0])
    assert not torch.equal(both["examples"][0], both["examples"][1])
    assert both["labels"].shape == (2, 4, 3)


def test_batches_draw_the_enumerated_sequences_evenly():
    task = small_task(classes=4)
    batches = task.batches(64, seed=0)
    drawn = torch.cat([batches(step)["labels"] for step in range(200)])
    counts = drawn.unique(dim=0, return_counts=True)[1].float()
    expected = len(drawn) / (len(task.training_labels) * 4)
    assert len(counts) == len(task.training_labels) * 4
    assert float(((counts - expected) ** 2 / expected).sum()) < 2 * len(counts)  # chi squared


def test_evaluators_show_what_training_does_not():
    task = FewShotTask(gaussian_features(20, 4, exemplars=3), n_classes=8)
    assert task.evaluators == ("train", "relabel", "unseen", "exemplars")
    pairs = task.sample("relabel", 50)["labels"][:, :2].sort(dim=1).values.unique(dim=0)
    assert {tuple(p) for p in pairs.tolist()} <= {tuple(p) for p in task.held_out_labels.tolist()}
    unseen = task.sample("unseen", 50)["examples"].reshape(-1, 4)
    assert not (unseen[:, None] == task.features[:8, 0]).all(-1).any()
    with pytest.raises(InputError, match="did you mean relabel"):
        task.sample("relable", 5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_labels": 1}, "at least 2 labels"),
        ({"n_classes": 1}, "n_classes lies between the 2"),
        ({"n_classes": 99}, "the 20 that the features have"),
        ({"n_pairs": 1}, "at least 2 pairs"),
        ({"held_out": 1.0}, "fraction in"),
        ({"n_labels": 3, "held_out": 0.7}, "3 label sets; with 2 of them held out, the 1 left"),
    ],
)
def test_a_task_without_a_solution_is_refused(options, sentence):
    settings = {"n_labels": 5, "n_classes": 10, **options}
    with pytest.raises(InputError, match=sentence):
        FewShotTask(gaussian_features(20, 4), **settings)


def test_features_that_say_nothing_are_refused():
    good = gaussian_features(6, 4)
    nan, constant, double = good.clone(), good.clone(), good.clone()
    nan[2, 0, 1] = float("nan")
    constant[3] = 0.5
    double[4] = double[1]
    with pytest.raises(InputError, match="NaN or infinity, in 1 of 6"):
        FewShotTask(nan, n_classes=4)
    with pytest.raises(InputError, match="Class 3 has the same number"):
        FewShotTask(constant, n_classes=4)
    with pytest.raises(InputError, match="Classes 1 and 4 have the same features"):
        FewShotTask(double, n_classes=4)
    with pytest.raises(InputError, match="shape"):
        FewShotTask(good[:, 0], n_classes=4)


def test_features_are_read_from_arrays_and_hdf5(tmp_path):
    array = gaussian_features(6, 4).numpy()
    np.save(tmp_path / "f.npy", array)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["resnet18/224/feat"] = array
        file["other"] = array
    assert torch.equal(read_features(tmp_path / "f.npy"), torch.from_numpy(array))
    assert torch.equal(read_features(tmp_path / "f.h5"), torch.from_numpy(array))
    with pytest.raises(InputError, match=r"resnet18/224/feat.*dataset="):
        read_features(tmp_path / "f.h5", "missing")
    with pytest.raises(InputError, match="no feature file"):
        read_features(tmp_path / "g.npy")
    (tmp_path / "f.txt").write_text("1 2")
    with pytest.raises(InputError, match=r"\.npy or \.h5"):
        read_features(tmp_path / "f.txt")


def test_correlated_features_have_the_cosine_asked_for():
    unit = torch.nn.functional.normalize(correlated_features(60, 256, cosine=0.85)[:, 0], dim=1)
    cosines = (unit @ unit.T)[~torch.eye(60, dtype=torch.bool)]
    assert float(cosines.mean()) == pytest.approx(0.85, abs=0.01)
    with pytest.raises(InputError, match="cosine"):
        correlated_features(5, cosine=1.0)


def test_glyphs_are_distinct_letters_whose_typefaces_are_alike():
    features = glyph_features(40, 64, exemplars=2, centred=True)
    unit = torch.nn.functional.normalize(features, dim=-1)
    across = unit[:, 0] @ unit[:, 1].T
    assert float((across.argmax(1) == torch.arange(40)).float().mean()) > 0.8
    FewShotTask(features, n_classes=20)
    with pytest.raises(InputError, match="distinct letters"):
        glyph_features(5000)

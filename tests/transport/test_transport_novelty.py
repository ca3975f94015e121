"""A novelty detector scores what a reference population is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axonal.errors import InputError
from axonal.statistics import auc
from axonal.transport import MeanShift, NoveltyDetector


@pytest.fixture
def cloud():
    rng = np.random.default_rng(0)
    scales = np.concatenate([[5.0, 3.0], np.ones(18)])
    return lambda n: rng.normal(size=(n, 20)) * scales + 2.0


def test_scores_of_the_reference_itself_have_the_expected_mean(cloud):
    rows = cloud(4000)
    scores = NoveltyDetector(2).fit(rows).score(rows)
    # Two squared standard coordinates, and 18 of unit variance.
    assert np.mean(scores) == pytest.approx(20, rel=0.02)
    assert scores.shape == (4000,)


def test_with_all_directions_but_one_a_score_is_the_mahalanobis_distance(cloud):
    rows = cloud(200)
    found = NoveltyDetector(19).fit(rows).score(rows)
    away = rows - rows.mean(0)
    expected = np.einsum("ij,jk,ik->i", away, np.linalg.inv(np.cov(rows.T)), away)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_rows_moved_outside_the_directions_are_found(cloud):
    detector = NoveltyDetector(2).fit(cloud(500))
    moved = cloud(200)
    moved[:, 10] += 8.0
    scores = np.concatenate([detector.score(moved), detector.score(cloud(200))])
    assert auc([1] * 200 + [0] * 200, scores).low > 0.95


def test_tensors_come_back_as_tensors_of_their_kind(cloud):
    rows = torch.tensor(cloud(50), dtype=torch.float32)
    found = NoveltyDetector(3).fit(rows).score(rows)
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float32


def test_a_transported_population_is_told_from_the_one_it_was_moved_onto(cloud):
    rng = np.random.default_rng(1)
    target, source = cloud(300), cloud(300)
    source[:, 5] += rng.choice([-6.0, 6.0], 300)  # a trait of the source that its mean hides
    source[:, 0] += 20
    moved = MeanShift().fit(source, target).transform(source)
    detector = NoveltyDetector(2).fit(target)
    scores = np.concatenate([detector.score(moved), detector.score(target)])
    assert auc([1] * 300 + [0] * 300, scores).low > 0.9


@pytest.mark.parametrize(
    ("fit", "sentence"),
    [
        (lambda x: NoveltyDetector(2).fit(x[0]), "expected rows"),
        (lambda x: NoveltyDetector(40).fit(x), "allow 1 to 18"),
        (lambda x: NoveltyDetector(0).fit(x), "got 0"),
        (
            lambda x: NoveltyDetector(2).fit(np.outer(np.arange(20.0), np.ones(20))),
            "nothing is left",
        ),
        (lambda x: NoveltyDetector(2).score(x), "not fitted"),
        (lambda x: NoveltyDetector(2).fit(x).score(x[:, :5]), "fitted on 20 units"),
    ],
)
def test_bad_input_is_one_sentence(cloud, fit, sentence):
    with pytest.raises(InputError, match=sentence):
        fit(cloud(20))

"""The semi-supervised objective: soft labels, what learns from what, which pairs are negatives."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from torch.nn import functional

from axonal.errors import InputError
from axonal.molecules import (
    DescriptorEncoder,
    Objective,
    PairBatches,
    TwoEncoders,
    ViewBatches,
    lbfgs_labels,
)
from axonal.transport import soft_labels


def units(count=12, dimension=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, dimension, generator=generator).double(), dim=1)


def test_labels_are_probabilities_on_both_sides_and_symmetric():
    for penalty in (0.5, 5.0):
        labels = Objective(penalty=penalty).targets_of(units(32, 16))
        ones = torch.ones(32, dtype=torch.float64)
        torch.testing.assert_close(labels.sum(0), ones, atol=1e-8, rtol=0)
        torch.testing.assert_close(labels.sum(1), ones, atol=1e-8, rtol=0)
        torch.testing.assert_close(labels, labels.T)
        assert float(labels.min()) >= 0


def test_labels_have_the_limits_of_the_penalty():
    z = units(10)
    wide = Objective(penalty=1e6).targets_of(z)
    torch.testing.assert_close(wide, torch.full_like(wide, 0.1), atol=1e-5, rtol=0)
    narrow = Objective(penalty=1e-3).targets_of(z)
    torch.testing.assert_close(narrow, torch.eye(10).double(), atol=1e-6, rtol=0)
    assert torch.equal(Objective(labels="self").targets_of(z), torch.eye(10).double())


def test_labels_equal_those_of_pot_at_a_tight_tolerance():
    z = units(24, 10)
    for penalty in (0.5, 5.0):
        cost = (1 - z @ z.T).numpy()
        ones = np.ones(24)
        theirs = ot.smooth.smooth_ot_dual(
            ones, ones, cost, penalty, reg_type="l2", stopThr=1e-13, numItermax=20_000
        )
        ours = Objective(penalty=penalty).targets_of(z)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-6)
        loose = lbfgs_labels(z @ z.T, penalty)
        np.testing.assert_allclose(ours.numpy(), loose.numpy(), atol=1e-2)


def test_the_solver_of_the_papers_code_is_there_too():
    z = units(16)
    ours, theirs = Objective().targets_of(z), Objective(solver="lbfgs").targets_of(z)
    torch.testing.assert_close(ours, theirs, atol=3e-3, rtol=0)


def test_gradient_of_the_soft_loss_is_softmax_minus_labels():
    z = units(9)
    labels = soft_labels(z @ z.T, 5.0)
    logits = (z @ z.T / 0.05).requires_grad_()
    (-(labels * torch.log_softmax(logits, 1)).sum(1).mean()).backward()
    expected = (torch.softmax(logits.detach(), 1) - labels) / 9
    torch.testing.assert_close(logits.grad, expected, atol=1e-12, rtol=0)
    student = z.clone().requires_grad_()
    value = Objective().soft(student, z)
    torch.testing.assert_close(
        value.detach(), -(labels * torch.log_softmax(logits.detach(), 1)).sum(1).mean()
    )


def test_the_supervised_loss_is_the_symmetric_cross_entropy():
    a, b = units(7, seed=1), units(7, seed=2)
    index = torch.arange(7)
    expected = (
        functional.cross_entropy(a @ b.T / 0.05, index)
        + functional.cross_entropy(b @ a.T / 0.05, index)
    ) / 2
    torch.testing.assert_close(Objective().supervised(a, b), expected, atol=1e-12, rtol=1e-12)


def test_pairs_of_one_target_are_no_negatives_of_each_other():
    a, b = units(6, seed=1).requires_grad_(), units(6, seed=2)
    alone = Objective().supervised(a, b, torch.zeros(6))
    assert float(alone.detach()) == pytest.approx(0, abs=1e-12)
    alone.backward()
    assert float(a.grad.abs().max()) == 0
    a.grad = None
    targets = torch.tensor([0, 0, 1, 1, 2, 2])
    Objective().supervised(a, b, targets).backward()
    pull = a.grad[0] @ torch.linalg.pinv(b.detach())  # in terms of the partners
    assert abs(float(pull[1])) < 1e-9  # the other pair of its target
    assert abs(float(pull[2])) > 1e-9


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(20, 64, generator=generator)
    encoder = DescriptorEncoder(bits=64, dimension=16, hidden=16, pretrained=False, seed=1)
    targets = np.repeat(np.arange(4), 5)
    features = {"values": values}
    made = PairBatches(encoder, features, targets, features, 8, seed)(0)
    return encoder, made


def test_no_gradient_reaches_the_teacher_from_the_soft_loss():
    encoder, made = batch()
    two = TwoEncoders(encoder, Objective(supervised_weight=0.0))
    loss, parts = two(made, True)
    loss.backward()
    assert all(float(p.grad.abs().max()) == 0 for p in two.supervised.parameters())
    assert any(float(p.grad.abs().max()) > 0 for p in two.unsupervised.parameters())
    assert {"supervised", "soft", "spread"} == set(parts)


def test_the_student_does_not_learn_from_pairs():
    encoder, made = batch()
    two = TwoEncoders(encoder, Objective(soft_weight=0.0, spread_weight=0.0))
    two(made, True)[0].backward()
    assert all(float(p.grad.abs().max()) == 0 for p in two.unsupervised.parameters())
    assert any(float(p.grad.abs().max()) > 0 for p in two.supervised.parameters())


def test_the_loss_is_the_weighted_sum_of_its_parts():
    encoder, made = batch()
    objective = Objective(supervised_weight=0.7, soft_weight=1.3, spread_weight=0.4)
    total, parts = TwoEncoders(encoder, objective)(made, True)
    expected = 0.7 * parts["supervised"] + 1.3 * parts["soft"] + 0.4 * parts["spread"]
    torch.testing.assert_close(total, expected)
    assert float(parts["spread"].abs()) > 1e-3


def test_batches_follow_from_the_step_and_pair_molecules_of_one_target():
    encoder = DescriptorEncoder(bits=8, dimension=4, dropout=0.0)
    values = torch.arange(40.0).repeat(8, 1).T
    targets = np.repeat([0, 1, 2, 3], 10)
    batches = PairBatches(encoder, {"values": values}, targets, {"values": values}, 16, seed=4)
    for step in (0, 1, 7):
        one, again = batches(step), batches(step)
        rows, partners = one["a"]["values"][:, 0].long(), one["b"]["values"][:, 0].long()
        assert torch.equal(rows, again["a"]["values"][:, 0].long())
        assert torch.equal(partners, again["b"]["values"][:, 0].long())
        assert (rows != partners).all()
        assert (rows // 10 == partners // 10).all()
        assert torch.equal(one["targets"], rows // 10)
    seen = torch.cat([batches(step)["a"]["values"][:, 0] for step in range(2)])
    assert len(set(seen.tolist())) == 32  # no molecule twice in an epoch


def test_views_are_two_corruptions_of_one_molecule():
    encoder = DescriptorEncoder(bits=64, dimension=4, dropout=0.5)
    pool = {"values": torch.ones(10, 64)}
    made = ViewBatches(encoder, None, None, pool, 8, 0)(3)
    assert not torch.equal(made["a"]["values"], made["b"]["values"])
    assert set(made["a"]["values"].unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0}, "temperature: expected a positive"),
        ({"penalty": -1}, "penalty: expected a positive"),
        ({"soft_weight": -1}, "soft_weight: a weight is not negative"),
        ({"solver": "adam"}, "solver: expected newton or lbfgs"),
        ({"labels": "hard"}, "labels: expected soft or self"),
    ],
)
def test_impossible_objectives_do_not_exist(options, words):
    with pytest.raises(InputError, match=words):
        Objective(**options)


def test_a_target_without_a_pair_is_named():
    encoder = DescriptorEncoder(bits=8, dimension=4)
    values = {"values": torch.rand(5, 8)}
    with pytest.raises(InputError, match="one molecule, and no pair; first 2"):
        PairBatches(encoder, values, np.array([0, 0, 1, 1, 2]), None, 4)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize(("molecules", "penalty"), [(2, 5.0), (32, 5.0), (32, 0.5)])
def test_labels_of_equally_similar_molecules_have_their_closed_form(
    molecules, penalty, temperature
):
    """A molecule keeps (1 + (1 - s)(B - 1) / lambda) / B of its label, at most all of it."""
    similarity = 0.3
    gram = (1 - similarity) * torch.eye(molecules).double() + similarity
    teacher = torch.linalg.cholesky(gram)  # unit rows, any two at this cosine
    labels = Objective(penalty=penalty, label_temperature=temperature).targets_of(teacher)
    gain = (1 - similarity) / temperature * (molecules - 1) / penalty
    own = min(1.0, (1 + gain) / molecules)
    torch.testing.assert_close(labels.diag(), torch.full((molecules,), own).double())
    rest = labels[~torch.eye(molecules, dtype=torch.bool)]
    torch.testing.assert_close(rest, torch.full_like(rest, (1 - own) / (molecules - 1)))

"""What is taught begins at the admission; question and drift teach nothing."""

from __future__ import annotations

import pytest
import torch
from resistance_models import tiny

from axonal.errors import InputError
from axonal.language.resistance import AttemptRule
from axonal.language.resistance.teaching import (
    ADMISSIONS,
    IGNORED,
    Example,
    Schooling,
    correction_examples,
    encoded,
    masked_cross_entropy,
    masked_loss,
    mixed,
    teach_corrections,
)

DRIFTED = Example("w5 w6", "w60 w61 w62", " w20 w21")
PLAIN = Example("w7", "", "w30 w31 w32")


def test_labels_begin_at_the_admission():
    batch = encoded(tiny(chat=True), [DRIFTED, PLAIN])
    # <s> w5 w6 w3 | w60 w61 w62 | w20 w21
    assert batch["input_ids"][0].tolist() == [1, 5, 6, 3, 60, 61, 62, 20, 21]
    assert batch["labels"][0].tolist() == [IGNORED] * 7 + [20, 21]
    assert batch["labels"][1].tolist() == [IGNORED] * 3 + [30, 31, 32] + [IGNORED] * 3
    assert batch["attention_mask"][1].tolist() == [1] * 6 + [0] * 3


def test_logits_before_the_admission_get_no_gradient_at_all():
    batch = encoded(tiny(chat=True), [DRIFTED, PLAIN])
    logits = torch.randn(2, 9, 97, requires_grad=True)
    masked_cross_entropy(logits, batch["labels"]).backward()
    assert logits.grad is not None
    size = logits.grad.abs().sum(-1)
    assert torch.equal(size[0, :6], torch.zeros(6))  # the logits at w62 predict the first lesson
    assert (size[0, 6:8] > 0).all()
    assert torch.equal(size[1, 5:], torch.zeros(4))
    assert (size[1, 2:5] > 0).all()


def test_the_loss_is_that_of_transformers():
    language_model = tiny(chat=True)
    batch = encoded(language_model, [DRIFTED, PLAIN])
    torch.testing.assert_close(
        masked_loss(language_model.model, batch), language_model.model(**batch).loss
    )


def test_examples_drift_admit_and_answer():
    answers = {"How?": "Boil it.", "Why?": "It is hot."}
    drifts = ["Whales are large. They swim. They sing! Do they sleep? They do."]
    made = correction_examples(answers, drifts, seed=1)
    assert made == correction_examples(answers, drifts, seed=1)
    for example, answer in zip(made, answers.values(), strict=True):
        assert drifts[0].startswith(example.drift)
        assert 2 <= sum(example.drift.count(mark) for mark in ".!?") <= 4
        assert example.answer.endswith(answer)
        assert any(admission in example.answer for admission in ADMISSIONS)
    with pytest.raises(InputError, match="texts to drift to"):
        correction_examples(answers, [])


@pytest.mark.parametrize("admission", ADMISSIONS)
def test_the_judges_rule_knows_every_admission(admission):
    text = f"Whales are large animals of the sea. {admission} Boil the rice for ten minutes."
    assert len(AttemptRule().split(text)) == 2


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_mixtures_hold_the_share_that_was_asked_for(ratio):
    plain = [Example(f"p{i}", "", "a") for i in range(10)]
    corrections = [Example(f"p{i}", "d", "a") for i in range(12)]
    made = mixed(corrections, plain, ratio)
    assert len(made) == 10
    assert sum(bool(example.drift) for example in made) == round(10 * ratio)
    with pytest.raises(InputError, match="takes 10 corrections"):
        mixed(corrections[:5], plain, 1.0)
    with pytest.raises(InputError, match="share between"):
        mixed(corrections, plain, 1.5)


def test_a_lora_learns_the_lesson_and_not_the_drift():
    language_model = tiny(chat=True)
    examples = [DRIFTED] * 4
    before = language_model.model(**encoded(language_model, examples[:1])).logits.detach()
    taught, history = teach_corrections(
        language_model,
        examples,
        Schooling(rank=4, learning_rate=3e-2, rise=2, epochs=30, batch=4, dropout=0.0),
    )
    assert history.loss[-1] < 0.3 * history.loss[0]
    batch = encoded(taught, examples[:1])
    after = taught.model(**batch).logits

    def probability(logits: torch.Tensor, place: int, token: int) -> float:
        return float(logits[0, place].softmax(-1)[token])

    assert probability(after, 6, 20) > 2 * probability(before, 6, 20)
    assert not any(parameter.requires_grad for parameter in taught.model.parameters())
    with pytest.raises(InputError, match="no examples"):
        teach_corrections(language_model, [])

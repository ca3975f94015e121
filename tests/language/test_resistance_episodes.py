"""Episodes that a model writes itself, and a model that is taught on them."""

from __future__ import annotations

import pytest
import torch
from resistance_models import tiny

from axonal.errors import InputError
from axonal.language.resistance import Sampling
from axonal.language.resistance.episodes import own_episodes
from axonal.language.resistance.questions import HOW_TO, LESSONS
from axonal.language.resistance.teaching import ADMISSIONS, Schooling, mixed, teach_corrections

QUESTIONS = ["w5 w6", "w7", "w8 w9 w10", "w11"]
SHORT = Sampling(6, 1.0, 1.0)


def test_every_question_has_an_episode_and_a_plain_answer():
    corrections, plain = own_episodes(tiny(chat=True), QUESTIONS, sampling=SHORT, seed=3)
    assert [e.prompt for e in corrections] == [e.prompt for e in plain] == QUESTIONS
    for correction, answer in zip(corrections, plain, strict=True):
        assert correction.drift
        assert not answer.drift
        assert correction.answer.endswith(answer.answer)
        assert any(admission in correction.answer for admission in ADMISSIONS)


def test_episodes_do_not_depend_on_the_batch():
    model = tiny(chat=True)
    together = own_episodes(model, QUESTIONS, sampling=SHORT, seed=3)
    seen: list[tuple[int, int]] = []
    apart = own_episodes(
        model, QUESTIONS, sampling=SHORT, seed=3, batch=3, progress=lambda *at: seen.append(at)
    )
    assert together == apart
    assert seen == [(3, 8), (6, 8), (8, 8)]
    assert own_episodes(model, QUESTIONS, sampling=SHORT, seed=4) != together


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3", "gemma3"])
def test_models_of_any_family_are_taught_on_their_own_episodes(family):
    model = tiny(family, chat=True)
    corrections, plain = own_episodes(model, QUESTIONS, sampling=SHORT)
    before = {name: x.clone() for name, x in model.model.state_dict().items()}
    schooling = Schooling(rank=4, learning_rate=1e-2, epochs=6, batch=4, rise=1, dropout=0.0)
    pupil, history = teach_corrections(model, mixed(corrections, plain, 0.5), schooling)
    assert history.loss[-1] < history.loss[0]
    after = pupil.model.state_dict()
    assert set(after) == set(before)
    assert any(not torch.equal(after[name], before[name]) for name in before)


def test_questions_to_teach_with_are_none_of_those_that_are_asked():
    assert not set(LESSONS) & set(HOW_TO)
    assert len(set(LESSONS)) == len(LESSONS)


def test_episodes_of_nothing_are_refused():
    with pytest.raises(InputError, match="none of them twice"):
        own_episodes(tiny(chat=True), [])
    with pytest.raises(InputError, match="none of them twice"):
        own_episodes(tiny(chat=True), ["w5", "w5"])
    with pytest.raises(InputError, match="topics to drift to"):
        own_episodes(tiny(chat=True), ["w5"], topics=[])
